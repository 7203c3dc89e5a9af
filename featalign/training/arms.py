"""The arms: ways to use a source on a target, each really trained."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, Literal, get_args

import jax
import numpy as np

from featalign.arrays import Interval
from featalign.errors import FeatalignError
from featalign.sources.source import Differentiable, Source
from featalign.training.gradual import unfreeze
from featalign.training.loop import (
    Apply,
    Job,
    Rows,
    Setting,
    Trained,
    accuracy,
    cross_entropies,
    hits,
    logits,
    train,
    train_together,
)
from featalign.training.rows import Split

Arm = Literal["scratch", "probe", "full", "probe_then_full", "gradual"]
ARMS: tuple[Arm, ...] = get_args(Arm)
PROBE_RATE, PROBE_PENALTIES = (
    0.03,
    (1e-3, 1e-2, 1e-1, 1.0),
)  # of a head alone on standardised features
LEVEL = 0.9
Scale = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Point:
    """A point of a curve, after so many steps.

    It has the mean training loss since the last point, and the accuracy on the validation rows.
    """

    step: int
    loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Run:
    """One learning rate, of a probe one penalty.

    It says how the run did on the validation rows, which choose, and on the test rows, which do
    not.
    """

    learning_rate: float
    validation_accuracy: float
    validation_loss: float
    test_accuracy: float
    test_hits: str  # which test rows are right, in their order: bits, packed, in hexadecimal digits
    curve: tuple[Point, ...]
    head_penalty: float = 0.0


@dataclass(frozen=True, eq=False)
class FineTuned:
    """What an arm reached, for the run chosen by validation.

    The accuracy is on the test rows, with its binomial interval (Wilson, 90%).
    """

    source: str
    layer: str
    target: str
    arm: Arm
    seed: int
    accuracy: Interval
    setting: Setting
    runs: tuple[Run, ...]
    num_training: int
    num_validation: int
    num_test: int
    seconds: float
    stopped: str | None
    trained: Trained

    @property
    def chosen(self) -> Run:
        """The run that was chosen."""
        setting = self.setting
        return next(
            run
            for run in self.runs
            if (run.learning_rate, run.head_penalty)
            == (setting.learning_rate, setting.head_penalty)
        )

    @property
    def curve(self) -> tuple[Point, ...]:
        """The curve of the run that was chosen."""
        return self.chosen.curve

    def to_record(self) -> dict[str, Any]:
        """As plain data, without the weights."""
        names = (
            "source",
            "layer",
            "target",
            "arm",
            "num_training",
            "num_validation",
            "num_test",
            "stopped",
        )
        return {
            **{name: getattr(self, name) for name in names},
            "seed": int(self.seed),
            "accuracy": asdict(self.accuracy),
            "setting": {
                name: value.item() if isinstance(value, np.generic) else value
                for name, value in asdict(self.setting).items()
            },
            "runs": [
                {name: value for name, value in asdict(run).items() if name != "test_hits"}
                for run in self.runs
            ],
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, eq=False)
class Request:
    """An arm to train, on which rows, with which seed."""

    arm: Arm
    split: Split
    seed: int = 0


Report = Callable[[str, int, int], None]  # what is trained, steps done, steps in all


def run_arms(
    source: Source,
    requests: Sequence[Request],
    *,
    layer: str | None = None,
    learning_rates: Sequence[float],
    setting: Setting,
    together: bool | None = None,
    report: Report = lambda name, done, total: None,
) -> Iterator[FineTuned]:
    """Train the arms of a source; each result comes as soon as it is finished.

    The arms `scratch`, `full` and `probe_then_full` of equal settings are trained together with
    vmap where `together` says so: by default on everything but a processor, where each step of each
    runs in a Python loop. Both give the same but for rounding. An interruption leaves what the
    finished learning rates gave as the last result, with the reason in `stopped`, and is raised
    again after it.

    Raises FeatalignError as `check_arm` does, and for an augmentation of inputs that are no images.
    """
    for request in requests:
        check_arm(source, request.arm, layer)
        if (
            setting.augmentation
            and request.arm != "probe"
            and request.split.training.inputs[np.arange(1)].ndim != 4
        ):
            raise FeatalignError(
                "augmentation: expected images (B, H, W, C), got inputs that cannot be shifted; "
                "leave it out"
            )
    if not requests:
        return
    differentiable, layer = source.differentiable, layer or source.default_layer
    if differentiable is None:
        raise FeatalignError(
            f"{source.name}: expected features of it as inputs, this one is a black box; "
            "featalign.fine_tune embeds the target first"
        )
    arms = Arms(source, differentiable, layer, tuple(learning_rates), setting, report)
    if together is None:
        together = jax.default_backend() != "cpu"
    if not together:
        for request in requests:
            yield from arms.one(request)
        return
    groups: dict[tuple, list[Request]] = {}
    for request in requests:
        size = (
            len(request.split.training.labels)
            if request.arm in ("scratch", "full", "probe_then_full")
            else request
        )
        groups.setdefault((size, request.split.num_classes), []).append(request)
    for group in groups.values():
        yield from (
            arms.one(group[0]) if group[0].arm in ("probe", "gradual") else arms.several(group)
        )


def check_arm(source: Source, arm: str, layer: str | None) -> Differentiable | None:
    """What of the source can be trained: nothing but a head, the arm `probe`, of a black box.

    Raises FeatalignError for an unknown arm, another arm of a black box, or a layer the source does
    not have.
    """
    if arm not in ARMS:
        raise FeatalignError(f"arm: expected one of {', '.join(ARMS)}, got {arm!r}")
    if (differentiable := source.differentiable) is None and arm != "probe":
        raise FeatalignError(
            f"{source.name}: expected a differentiable source for the arm {arm!r}, this one is a "
            "black box, on which only a probe can be trained; "
            "fine-tuning needs a Flax module, a Keras network or a zoo source"
        )
    if layer is not None and layer not in source.all_layers:
        raise FeatalignError(
            f"layer: {source.name} has no layer {layer!r}; it has {', '.join(source.all_layers)}"
        )
    return differentiable


@dataclass(frozen=True)
class Arms:
    """How one source is trained."""

    source: Source
    differentiable: Differentiable
    layer: str
    rates: tuple[float, ...]
    setting: Setting
    report: Report

    def one(self, request: Request) -> Iterator[FineTuned]:
        """An arm, one learning rate after the other."""
        if request.arm == "gradual":
            yield from self.gradual(request)
            return
        start = time.perf_counter()
        split, tried, scale = request.split, [(rate, 0.0) for rate in self.rates], None
        if request.arm == "probe":
            (split, scale), tried = (
                self.standardised(request.split),
                [(PROBE_RATE, penalty) for penalty in PROBE_PENALTIES],
            )
        apply, begun = self.begin(request, split)
        runs: list[tuple[Run, Trained]] = []
        for rate, penalty in tried:
            job = replace(
                begun,
                setting=replace(
                    begun.setting, learning_rate=rate, head_penalty=penalty, seed=request.seed
                ),
            )
            points: list[Point] = []
            name = f"{self.source.name} {request.arm}, " + (
                f"penalty {penalty:g}" if penalty else f"learning rate {rate:g}"
            )
            try:
                trained = train(
                    apply,
                    self.layer,
                    job,
                    split.num_classes,
                    watch=self.watch(name, apply, split, {0: points}),
                )
                run = measured(apply, self.layer, split, trained, rate, points)
                runs.append((replace(run, head_penalty=penalty), trained))
            except KeyboardInterrupt:
                if runs:
                    what = "penalties" if request.arm == "probe" else "learning rates"
                    yield self.result(
                        request,
                        begun.setting,
                        runs,
                        start,
                        f"interrupted after {len(runs)} of {len(tried)} {what}",
                        scale,
                    )
                raise
        yield self.result(request, begun.setting, runs, start, None, scale)

    def several(self, requests: Sequence[Request]) -> Iterator[FineTuned]:
        """Arms whose networks are trained at once, all learning rates of all of them."""
        start = time.perf_counter()
        pairs = [(request, rate) for request in requests for rate in self.rates]
        applies, begun = zip(
            *(self.begin(request, request.split) for request in requests), strict=True
        )
        apply, begun = applies[0], dict(zip(requests, begun, strict=True))
        if any(
            other is not apply for other in applies
        ):  # fresh networks that hold more than parameters
            for request in requests:
                yield from self.one(request)
            return
        jobs = [
            replace(
                begun[request],
                setting=replace(begun[request].setting, learning_rate=rate, seed=request.seed),
            )
            for request, rate in pairs
        ]
        points: dict[int, list[Point]] = {place: [] for place in range(len(jobs))}

        def watch(place: int, trained: Trained) -> None:
            split = pairs[place][0].split
            self.watch(f"{self.source.name}, {len(jobs)} networks", apply, split, points)(
                place, trained
            )

        found = train_together(apply, self.layer, jobs, requests[0].split.num_classes, watch=watch)
        for request in requests:
            places = [place for place, (owner, _) in enumerate(pairs) if owner is request]
            runs = [
                (
                    measured(
                        apply,
                        self.layer,
                        request.split,
                        found[place],
                        pairs[place][1],
                        points[place],
                    ),
                    found[place],
                )
                for place in places
            ]
            yield self.result(request, begun[request].setting, runs, start, None)

    def begin(self, request: Request, split: Split) -> tuple[Apply, Job]:
        """The network and the job of an arm but for its learning rate.

        For a probe there is no network. Otherwise it has fresh weights, the source's own, or these
        with a trained head.
        """
        if request.arm == "probe":
            return head_alone(self.layer), Job(
                {}, split.training, replace(self.setting, augmentation=False, towards_start=0.0)
            )
        if request.arm == "scratch":
            twin = self.source.random_twin(request.seed).differentiable
            assert twin is not None
            return twin.apply, Job(
                twin.parameters, split.training, replace(self.setting, towards_start=0.0)
            )
        head = None
        if request.arm == "probe_then_full":
            *_, probe = self.one(replace(request, arm="probe"))
            head = probe.trained.head
        return self.differentiable.apply, Job(
            self.differentiable.parameters, split.training, self.setting, head
        )

    def features(self, rows: Rows) -> np.ndarray:
        """Features (N, D) of the source as it came."""
        return features_of(
            self.differentiable.apply, self.differentiable.parameters, self.layer, rows
        )

    def standardised(self, split: Split) -> tuple[Split, Scale]:
        """The split with standardised features in the place of inputs.

        Mean and deviation (D,) of the training rows, 1 for a constant feature.
        """
        features = {
            name: self.features(getattr(split, name)) for name in ("training", "validation", "test")
        }
        mean, deviation = features["training"].mean(axis=0), features["training"].std(axis=0)
        deviation = np.where(
            deviation > 1e-6 * max(float(deviation.max()), 1e-30), deviation, 1
        ).astype(np.float32)
        parts = {
            name: Rows((values - mean) / deviation, getattr(split, name).labels)
            for name, values in features.items()
        }
        return replace(split, **parts), (mean, deviation)

    def folded(self, trained: Trained, scale: Scale) -> Trained:
        """The source with a probe's head.

        The head then reads features as they are and not standardised.
        """
        mean, deviation = scale
        kernel = np.asarray(trained.head["kernel"]) / deviation[:, None]
        head = {"kernel": kernel, "bias": np.asarray(trained.head["bias"]) - mean @ kernel}
        return replace(trained, parameters=self.differentiable.parameters, head=head)

    def gradual(self, request: Request) -> Iterator[FineTuned]:
        """Groups of parameters unfrozen from the head down.

        They are watched against what scratch reaches.
        """
        start, apply = time.perf_counter(), self.differentiable.apply
        *_, scratch = self.one(replace(request, arm="scratch"))
        runs: list[tuple[Run, Trained]] = []
        stops: dict[float, str | None] = {}
        for rate in self.rates:
            setting, points = replace(self.setting, learning_rate=rate, seed=request.seed), []
            watch = self.watch(
                f"{self.source.name} gradual, learning rate {rate:g}",
                apply,
                request.split,
                {0: points},
            )
            job = Job(self.differentiable.parameters, request.split.training, setting)
            floor = scratch.chosen.validation_accuracy
            try:
                trained, stops[rate] = unfreeze(
                    apply,
                    self.layer,
                    self.source.all_layers,
                    job,
                    request.split,
                    floor=floor,
                    watch=watch,
                )
                runs.append(
                    (measured(apply, self.layer, request.split, trained, rate, points), trained)
                )
            except KeyboardInterrupt:
                if runs:
                    yield self.result(
                        request,
                        self.setting,
                        runs,
                        start,
                        f"interrupted after {len(runs)} of {len(self.rates)} learning rates",
                    )
                raise
        result = self.result(request, self.setting, runs, start, None)
        yield replace(result, stopped=stops[result.setting.learning_rate] or result.stopped)

    def watch(
        self, name: str, apply: Apply, split: Split, points: dict[int, list[Point]]
    ) -> Callable[[int, Trained], None]:
        """Notes a point of the curve of each network, and reports."""

        def note(place: int, trained: Trained) -> None:
            points[place].append(
                Point(
                    trained.step,
                    trained.losses[-1],
                    accuracy(apply, self.layer, trained, split.validation),
                )
            )
            self.report(name, trained.step, self.setting.steps)

        return note

    def result(
        self,
        request: Request,
        setting: Setting,
        runs: Sequence[tuple[Run, Trained]],
        start: float,
        stopped: str | None,
        scale: Scale | None = None,
    ) -> FineTuned:
        """The run with the best validation accuracy, ties by validation loss.

        It is one that diverged only where all runs did, and `stopped` then says so.
        """
        best, trained = min(
            runs,
            key=lambda pair: (
                -pair[0].validation_accuracy,
                np.nan_to_num(pair[0].validation_loss, nan=np.inf),
            ),
        )
        split, count = request.split, len(request.split.test.labels)
        if stopped is None and not np.isfinite(best.validation_loss):
            stopped = "diverged: no run gives finite logits; scale the inputs or take smaller rates"
        return FineTuned(
            self.source.name,
            self.layer,
            split.target,
            request.arm,
            request.seed,
            binomial(best.test_accuracy, count),
            replace(
                setting,
                learning_rate=best.learning_rate,
                head_penalty=best.head_penalty,
                seed=request.seed,
            ),
            tuple(run for run, _ in runs),
            len(split.training.labels),
            len(split.validation.labels),
            count,
            time.perf_counter() - start,
            stopped,
            trained if scale is None else self.folded(trained, scale),
        )


def binomial(accuracy: float, count: int) -> Interval:
    """An accuracy on so many rows with Wilson's interval (Wilson, JASA 1927).

    >>> found = binomial(0.5, 100)
    >>> round(found.low, 3), round(found.high, 3)
    (0.419, 0.581)
    """
    from scipy.stats import binomtest

    found = binomtest(round(accuracy * count), count).proportion_ci(LEVEL, method="wilson")
    return Interval(accuracy, float(found.low), float(found.high), LEVEL)


def features_of(apply: Apply, parameters: Any, layer: str, rows: Rows) -> np.ndarray:
    """Features (N, D) of preprocessed rows."""
    width = jax.eval_shape(apply, parameters, rows.inputs[np.arange(1)])[layer].shape[1]
    plain = Trained(
        parameters,
        {"kernel": np.eye(width, dtype=np.float32), "bias": np.zeros(width, np.float32)},
        0,
        (),
    )
    return logits(apply, layer, plain, rows.inputs, len(rows.labels))


@cache
def head_alone(layer: str) -> Apply:
    """A network that is nothing: only the head is trained, on features."""
    return lambda parameters, features: {layer: features}


def measured(
    apply: Apply, layer: str, split: Split, trained: Trained, rate: float, points: Sequence[Point]
) -> Run:
    """How a trained network does on the validation and test rows of a split."""
    labels = split.validation.labels
    scores = logits(apply, layer, trained, split.validation.inputs, len(labels))
    test_scores = logits(apply, layer, trained, split.test.inputs, len(split.test.labels))
    tested = hits(test_scores, split.test.labels)
    return Run(
        rate,
        float(hits(scores, labels).mean()),
        float(cross_entropies(scores, labels).mean()),
        float(tested.mean()),
        np.packbits(tested).tobytes().hex(),
        tuple(points),
    )


def unpack_hits(hits: str, count: int) -> np.ndarray:
    """Which of so many test rows are right (N,), from `Run.test_hits`.

    >>> unpack_hits("a0", 3)
    array([ True, False,  True])
    """
    return np.unpackbits(np.frombuffer(bytes.fromhex(hits), np.uint8))[:count].astype(bool)
