"""Training a network with a new head on one of its layers.

Networks are trained one at a time in a Python loop, or several together.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

from featalign.errors import FeatalignError

Apply = Callable[[Any, Any], Any]
Optimiser = Literal["adamw", "sgd"]
EVALUATION_ROWS = 250
PARTS = 10  # points of a curve
MOMENTUM = 0.9


@dataclass(frozen=True)
class Setting:
    """One way to train.

    The learning rate warms up over a tenth of the steps while it decays to nothing as a cosine; or,
    where `decay` is False, over 10 steps and stays, so that a longer run begins as a shorter one.
    `weight_decay` pulls all parameters towards zero and `towards_start` those of the network
    towards where they started (L2-SP: Li, Grandvalet and Davoine, ICML 2018), both apart from the
    gradient (Loshchilov and Hutter, ICLR 2019), also for `sgd`, which has a momentum of 0.9.
    `head_penalty` λ adds λ/2 |kernel|² of the head to the loss. `augmentation` shifts images by up
    to an eighth of their side.
    """

    learning_rate: float
    steps: int = 300
    batch_size: int = 32
    optimiser: Optimiser = "adamw"
    weight_decay: float = 1e-4
    towards_start: float = 0.0
    label_smoothing: float = 0.0
    augmentation: bool = False
    seed: int = 0
    decay: bool = True
    head_penalty: float = 0.0


def training_steps(num_training: int, *, epochs: int, min_steps: int, batch_size: int) -> int:
    """The steps of one training: so many epochs, and at least so many steps.

    >>> training_steps(80, epochs=15, min_steps=300, batch_size=32)
    300
    >>> training_steps(1280, epochs=15, min_steps=300, batch_size=32)
    600
    """
    return max(min_steps, -(-epochs * num_training // batch_size))


def check_setting(setting: Setting, learning_rates: Sequence[float]) -> tuple[float, ...]:
    """The learning rates as floats.

    Raises FeatalignError, naming the argument, for them or for a setting that cannot be used.
    """
    given = (
        list(learning_rates)
        if isinstance(learning_rates, Sequence | np.ndarray) and not isinstance(learning_rates, str)
        else []
    )
    if not given:
        raise FeatalignError(
            f"learning_rates: expected a list of at least one number, got {learning_rates!r}"
        )
    for rate in given:
        if (
            isinstance(rate, bool)
            or not isinstance(rate, int | float | np.floating)
            or not 0 < rate < np.inf
        ):
            raise FeatalignError(f"learning_rates: expected numbers above 0, got {rate!r}")
    rates = tuple(float(rate) for rate in given)
    if len(set(rates)) != len(rates):
        raise FeatalignError(
            "learning_rates: expected each number once, got "
            f"{', '.join(f'{rate:g}' for rate in rates)}"
        )
    for name in ("steps", "batch_size"):
        number = getattr(setting, name)
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise FeatalignError(f"{name}: expected a whole number of at least 1, got {number!r}")
    for name, shown, most in (
        ("weight_decay", "weight_decay", np.inf),
        ("towards_start", "towards_source", np.inf),
        ("label_smoothing", "label_smoothing", 1),
    ):
        number = getattr(setting, name)
        if (
            isinstance(number, bool)
            or not isinstance(number, int | float)
            or not 0 <= number < most
        ):
            raise FeatalignError(
                f"{shown}: expected a number of at least 0"
                + (f" and below {most}" if most == 1 else "")
                + f", got {number!r}"
            )
    if setting.optimiser not in get_args(Optimiser):
        raise FeatalignError(
            f"optimiser: expected one of {', '.join(get_args(Optimiser))}, got "
            f"{setting.optimiser!r}"
        )
    return rates


@dataclass(frozen=True, eq=False)
class Rows:
    """Preprocessed inputs (N, ...) and class indices (N,).

    In place of the inputs there may be what gives them for an array of row numbers.
    """

    inputs: Any
    labels: np.ndarray


@dataclass(frozen=True)
class Job:
    """One training: where it starts, on which rows, and how.

    `head` has a kernel (D, C) and a bias (C,); None is zeros, so that the first steps do not tear
    at the features. `moving` holds a 0 or a 1 for each tensor of (parameters, head); None: all of
    them move. `anchor` are the parameters that `towards_start` means; None: those it starts from.
    """

    parameters: Any
    rows: Rows
    setting: Setting
    head: Any = None
    moving: Any = None
    anchor: Any = None


@dataclass(frozen=True)
class Trained:
    """Network and head after so many steps, and the mean loss of each tenth of the steps so far."""

    parameters: Any
    head: Any
    step: int
    losses: tuple[float, ...]


Watch = Callable[[int, Trained], None]


def train(
    apply: Apply,
    layer: str,
    job: Job,
    num_classes: int,
    *,
    watch: Watch = lambda place, trained: None,
) -> Trained:
    """The network and head of a job after training.

    `apply(parameters, inputs)` gives the layers by name. Batches are drawn without replacement,
    epoch after epoch. `watch(0, trained)` is called after each tenth of the steps. The step runs in
    a Python loop: convolutions inside `lax.scan` are many times slower on a processor.
    """
    setting, rows = job.setting, job.rows
    start, anchor, moving = _start(apply, layer, job, num_classes)
    trained, state = jax.tree.map(jnp.copy, start), _optimiser(setting.optimiser).init(start)
    rates, batches, shifts = _plan(len(rows.labels), setting)
    scalars, means = _scalars(setting), []
    for part in np.array_split(np.arange(setting.steps), min(PARTS, setting.steps)):
        losses = []
        for step in part:
            batch = batches[step]
            trained, state, loss = _step(
                apply,
                layer,
                setting.optimiser,
                setting.augmentation,
                trained,
                state,
                anchor,
                moving,
                rows.inputs[batch],
                rows.labels[batch],
                shifts[step],
                rates[step],
                scalars,
            )
            losses.append(loss)
        means.append(float(np.mean(jax.device_get(losses))))
        watch(0, Trained(trained[0], trained[1], int(part[-1]) + 1, tuple(means)))
    return Trained(trained[0], trained[1], setting.steps, tuple(means))


def train_together(
    apply: Apply,
    layer: str,
    jobs: Sequence[Job],
    num_classes: int,
    *,
    watch: Watch = lambda place, trained: None,
) -> list[Trained]:
    """What `train` gives for each job, all of them trained at once with vmap.

    It is for accelerators, which one small network leaves idle.

    The jobs share steps, batch size, optimiser, augmentation and the number of rows; everything
    else may differ. `watch(place, trained)` is called for each job after each tenth of the steps.
    """
    settings, first = [job.setting for job in jobs], jobs[0].setting
    starts, anchors, moving = (
        _stack(trees)
        for trees in zip(*(_start(apply, layer, job, num_classes) for job in jobs), strict=True)
    )
    shared = all(job.rows is jobs[0].rows for job in jobs)
    whole = [
        jnp.asarray(job.rows.inputs[np.arange(len(job.rows.labels))])
        for job in (jobs[:1] if shared else jobs)
    ]
    inputs = whole[0] if shared else jnp.stack(whole)
    labels = jnp.asarray(
        jobs[0].rows.labels if shared else np.stack([job.rows.labels for job in jobs])
    )
    rates, batches, shifts = (
        np.stack(each, axis=1)
        for each in zip(*(_plan(len(job.rows.labels), job.setting) for job in jobs), strict=True)
    )
    scalars = _stack([_scalars(setting) for setting in settings])
    trained, state = starts, jax.vmap(_optimiser(first.optimiser).init)(starts)
    means: list[np.ndarray] = []
    found: list[Trained] = []
    for part in np.array_split(np.arange(first.steps), min(PARTS, first.steps)):
        trained, state, losses = _steps(
            apply,
            layer,
            first.optimiser,
            first.augmentation,
            shared,
            trained,
            state,
            anchors,
            moving,
            inputs,
            labels,
            (batches[part], shifts[part], rates[part]),
            scalars,
        )
        means.append(np.asarray(losses).mean(axis=0))
        found = [
            Trained(
                *_taken(trained, place),
                int(part[-1]) + 1,
                tuple(float(each[place]) for each in means),
            )
            for place in range(len(jobs))
        ]
        for place, each in enumerate(found):
            watch(place, each)
    return found


def logits(apply: Apply, layer: str, trained: Trained, inputs: Any, count: int) -> np.ndarray:
    """Logits (N, C) of so many preprocessed inputs, in batches of one size."""
    return np.concatenate(
        [
            part[:kept]
            for part, kept in _predicted(
                apply, layer, (trained.parameters, trained.head), inputs, count
            )
        ]
    )


def cross_entropies(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of each row (N,) from its logits (N, C), in float64; as finite as these."""
    exact = scores.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.logaddexp.reduce(exact, axis=1) - exact[np.arange(len(labels)), labels]


def hits(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which rows (N,) get their own class by their logits (N, C).

    None by logits that are not finite, whose arg-max is the first class.

    >>> hits(np.array([[2.0, 1.0], [np.nan, np.nan]]), np.array([0, 0]))
    array([ True, False])
    """
    return (scores.argmax(axis=1) == labels) & np.isfinite(scores).all(axis=1)


def accuracy(apply: Apply, layer: str, trained: Trained, rows: Rows) -> float:
    """The share of rows that get their own class."""
    scores = logits(apply, layer, trained, rows.inputs, len(rows.labels))
    return float(hits(scores, rows.labels).mean())


def _predicted(
    apply: Apply, layer: str, trained: Any, inputs: Any, count: int
) -> Iterator[tuple[np.ndarray, int]]:
    for start in range(0, count, EVALUATION_ROWS):
        some = np.asarray(inputs[np.arange(start, min(start + EVALUATION_ROWS, count))])
        padded = np.concatenate(
            [some, np.zeros((EVALUATION_ROWS - len(some), *some.shape[1:]), some.dtype)]
        )
        yield np.asarray(_predict(apply, layer, trained, padded)), len(some)


def _start(apply: Apply, layer: str, job: Job, num_classes: int) -> tuple[Any, Any, Any]:
    """What training starts from.

    That is parameters and head as arrays, the parameters they are pulled towards, and what of them
    moves.
    """
    head = job.head
    if head is None:
        width = jax.eval_shape(apply, job.parameters, job.rows.inputs[np.arange(1)])[layer].shape[1]
        head = {
            "kernel": np.zeros((width, num_classes), np.float32),
            "bias": np.zeros(num_classes, np.float32),
        }
    start = jax.tree.map(jnp.asarray, (job.parameters, head))
    moving = jax.tree.map(lambda leaf: np.float32(1), start) if job.moving is None else job.moving
    return start, start[0] if job.anchor is None else job.anchor, moving


def _plan(count: int, setting: Setting) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Learning rates (S,), row numbers (S, B) and shifts (S, B, 2) in [-1, 1] of all steps."""
    random = np.random.default_rng(setting.seed)
    steps, size = np.arange(setting.steps), min(setting.batch_size, count)
    epochs = [random.permutation(count) for _ in range(-(-setting.steps * size // count))]
    batches = np.concatenate(epochs)[: setting.steps * size].reshape(-1, size)
    warm_up, decay = (
        (setting.steps / 10, (1 + np.cos(np.pi * steps / setting.steps)) / 2)
        if setting.decay
        else (10, 1.0)
    )
    rates = setting.learning_rate * np.minimum(1.0, (steps + 1) / warm_up) * decay
    shifts = (
        random.uniform(-1, 1, (*batches.shape, 2))
        if setting.augmentation
        else np.zeros((*batches.shape, 2))
    )
    return rates.astype(np.float32), batches, shifts.astype(np.float32)


def _scalars(setting: Setting) -> dict[str, np.float32]:
    return {
        name: np.float32(getattr(setting, name))
        for name in ("weight_decay", "towards_start", "label_smoothing", "head_penalty")
    }


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _taken(trees: tuple[Any, Any], place: int) -> tuple[Any, Any]:
    parameters, head = jax.tree.map(lambda leaf: leaf[place], trees)
    return parameters, head


def _optimiser(name: Optimiser) -> optax.GradientTransformation:
    return optax.scale_by_adam() if name == "adamw" else optax.trace(MOMENTUM)


def _update(
    apply: Apply,
    layer: str,
    optimiser: Optimiser,
    augmentation: bool,
    trained: Any,
    state: Any,
    anchor: Any,
    moving: Any,
    inputs: Any,
    labels: Any,
    shifts: Any,
    rate: Any,
    scalars: Any,
) -> tuple[Any, Any, jax.Array]:
    """One step of one job."""
    seen = _shifted(inputs, shifts) if augmentation else inputs

    def loss_of(trained: Any) -> jax.Array:
        scores = _logits(apply, layer, trained, seen)
        wanted = optax.smooth_labels(
            jax.nn.one_hot(labels, scores.shape[1]), scalars["label_smoothing"]
        )
        return optax.softmax_cross_entropy(scores, wanted).mean()

    loss, (slope, head_slope) = jax.value_and_grad(loss_of)(trained)
    head_slope = {
        **head_slope,
        "kernel": head_slope["kernel"] + scalars["head_penalty"] * trained[1]["kernel"],
    }
    updates, state = _optimiser(optimiser).update((slope, head_slope), state)
    towards = (
        jax.tree.map(lambda now, then: scalars["towards_start"] * (now - then), trained[0], anchor),
        jax.tree.map(jnp.zeros_like, trained[1]),
    )
    moved = jax.tree.map(
        lambda now, step, pull, moves: (
            now - moves * rate * (step + scalars["weight_decay"] * now + pull)
        ),
        trained,
        updates,
        towards,
        moving,
    )
    return moved, state, loss


_step = partial(jax.jit, static_argnums=(0, 1, 2, 3), donate_argnums=(4, 5))(_update)


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4), donate_argnums=(6,))
def _steps(
    apply: Apply,
    layer: str,
    optimiser: Optimiser,
    augmentation: bool,
    shared: bool,
    trained: Any,
    state: Any,
    anchor: Any,
    moving: Any,
    inputs: Any,
    labels: Any,
    plan: Any,
    scalars: Any,
) -> tuple[Any, Any, jax.Array]:
    """Some steps of all jobs."""

    def one(
        trained: Any,
        state: Any,
        anchor: Any,
        moving: Any,
        inputs: Any,
        labels: Any,
        batch: Any,
        shifts: Any,
        rate: Any,
        scalars: Any,
    ) -> Any:
        return _update(
            apply,
            layer,
            optimiser,
            augmentation,
            trained,
            state,
            anchor,
            moving,
            inputs[batch],
            labels[batch],
            shifts,
            rate,
            scalars,
        )

    rows = None if shared else 0
    together: Callable[..., Any] = jax.vmap(one, in_axes=(0, 0, 0, 0, rows, rows, 0, 0, 0, 0))

    def step(carry: Any, planned: Any) -> tuple[Any, jax.Array]:
        *carry, loss = together(*carry, anchor, moving, inputs, labels, *planned, scalars)
        return tuple(carry), loss

    (trained, state), losses = jax.lax.scan(step, (trained, state), plan)
    return trained, state, losses


def _shifted(images: jax.Array, shifts: jax.Array) -> jax.Array:
    """Images (B, H, W, C) moved by `shifts` (B, 2) times an eighth of their sides.

    What comes in is the edge repeated.
    """
    reach = np.array(images.shape[1:3]) // 8
    padded = jnp.pad(
        images, ((0, 0), (reach[0], reach[0]), (reach[1], reach[1]), (0, 0)), mode="edge"
    )
    corners = jnp.round((shifts + 1) * reach).astype(jnp.int32)

    def cut(image, corner):
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

    return jax.vmap(cut)(padded, corners)


def _logits(apply: Apply, layer: str, trained: Any, inputs: Any) -> jax.Array:
    parameters, head = trained
    return apply(parameters, inputs)[layer] @ head["kernel"] + head["bias"]


_predict = partial(jax.jit, static_argnums=(0, 1))(_logits)
