"""The contract of a source: weights, preprocessing, and the layers it can emit."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from featalign.arrays import FLOATING, check_real
from featalign.errors import FeatalignError
from featalign.nearest import did_you_mean
from featalign.sources.capabilities import JAX, Differentiable, FreshWeights, Trainable
from featalign.sources.input_form import InputForm, misfits
from featalign.sources.parts import AtOnce, in_parts
from featalign.sources.pretrained_on import RowSketch, pretraining_remarks
from featalign.sources.reading import Reading
from featalign.sources.resident import Resident
from featalign.targets.target import Target

EmbedFunction = Callable[[Any, tuple[str, ...]], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Pretraining:
    """What is known of a source's pretraining; a field is None where it is not known.

    `dataset` is the name of the data set. `rows` tell whether rows of a target were among those of
    the pretraining (`RowSketch.of(target)`); they do not make sources unequal.
    """

    dataset: str | None = None
    description: str | None = None
    num_examples: int | None = None
    num_classes: int | None = None
    accuracy: float | None = None
    num_parameters: int | None = None
    rows: RowSketch | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Source:
    """A candidate pretrained model: what it is, what it reads, and what it can do.

    Its identity is `name`, `revision` and `pretraining`. The revision is a digest of the weights,
    or what the user says identifies them. `reading` says what inputs it takes.

    It emits `layers`, named from input to output, of which `default_layer` is scored unless asked
    otherwise. The output of the head, where there is one, is the `logits_layer` beside them.
    `embed_batch(prepared, layers)` maps prepared inputs to features (B, D) for each wanted layer.
    Users call `embed`, which prepares inputs, checks the features and takes `at_once` inputs at a
    time. A large `model` is in memory only while it is needed; a session lets it go when another
    source is embedded. Weights can be trained where there is `trainable`, and drawn anew where
    there are `fresh_weights`. `load_differentiable` and `load_twin` are short for those of JAX that
    nothing else is known of.
    """

    name: str
    revision: str
    embed_batch: EmbedFunction = field(repr=False)
    layers: tuple[str, ...] = ("features",)
    default_layer: str = "features"
    logits_layer: str | None = None
    reading: Reading = field(default_factory=Reading)
    pretraining: Pretraining = Pretraining()
    trainable: Trainable | None = field(default=None, repr=False)
    fresh_weights: FreshWeights | None = field(default=None, repr=False)
    features_file: str | None = None  # features made elsewhere, in the order of the target's rows
    model: Resident[Any] | None = field(default=None, repr=False, compare=False)
    at_once: AtOnce = field(default_factory=AtOnce, repr=False, compare=False)
    load_differentiable: InitVar[Callable[[], Differentiable] | None] = None
    load_twin: InitVar["Callable[[int], Source] | None"] = None

    def __post_init__(
        self,
        load_differentiable: Callable[[], Differentiable] | None,
        load_twin: "Callable[[int], Source] | None",
    ) -> None:
        if load_differentiable is not None:
            object.__setattr__(self, "trainable", Trainable(JAX, load_differentiable))
        if load_twin is not None:
            object.__setattr__(self, "fresh_weights", FreshWeights(load_twin))

    @staticmethod
    def from_function(
        name: str,
        function: Callable[[Any], Any],
        *,
        revision: str,
        preprocessing: Callable[[Any], Any] | None = None,
        layer: str = "features",
    ) -> "Source":
        """A source from any callable that maps a batch of inputs to features (B, D).

        `revision` says which weights these are. Change it whenever the function would give other
        features, because the cache key is made of it and the name. `preprocessing`, when given, is
        applied to each batch before the function, and `revision` covers it too.

        >>> import numpy as np
        >>> def sums(batch):
        ...     return np.stack([[x.sum(), x.max()] for x in batch])
        >>> source = Source.from_function("sums", sums, revision="1")
        >>> source.embed(np.ones((3, 4)))["features"].shape
        (3, 2)
        """
        if not callable(function):
            raise FeatalignError(
                "function: expected a callable that maps a batch of inputs to features (B, D), "
                f"got {type(function).__name__}"
            )
        if not revision or not isinstance(revision, str):
            raise FeatalignError(
                f"revision: expected a non-empty string that names the weights, got {revision!r}; "
                "the cache is keyed by it"
            )

        def embed_batch(prepared: Any, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
            del layers
            return {layer: np.asarray(function(prepared))}

        reading = Reading()
        if preprocessing is not None:
            named = getattr(preprocessing, "__qualname__", type(preprocessing).__name__)
            reading = Reading(preprocessing={"function": named}, prepare=preprocessing)
        # the name counts too: two functions with the revision "1" must not share an embedding
        return Source(
            name,
            hashlib.sha256(f"{name}\0{revision}".encode()).hexdigest(),
            embed_batch,
            (layer,),
            layer,
            reading=reading,
        )

    @staticmethod
    def from_features(name: str, path: str) -> "Source":
        """A source that is only a file of features (N, D): .h5, .npz or .npy.

        The file has one row for each row of the target, in its order.
        """
        refuse = partial(_refuse, name)
        return Source(name, "features made elsewhere", refuse, features_file=path)

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """The declared preprocessing as plain data, which enters the cache key."""
        return self.reading.preprocessing

    @property
    def input_form(self) -> InputForm:
        """What the inputs should be like."""
        return self.reading.form

    @property
    def is_differentiable(self) -> bool:
        """Whether the source has parameters and gradients, in any framework; this loads nothing."""
        return self.trainable is not None

    @property
    def differentiable(self) -> Differentiable | None:
        """Parameters and apply function, or None where there are no gradients in JAX."""
        if self.trainable is None or self.trainable.framework != JAX:
            return None
        return self.trainable.load()

    @property
    def can_be_reinitialised(self) -> bool:
        """Whether its weights can be drawn anew, so that they have learnt nothing."""
        return self.fresh_weights is not None

    def random_twin(self, seed: int = 0) -> "Source":
        """The same architecture with freshly drawn weights.

        Raises FeatalignError for a source that cannot be re-initialised.
        """
        from featalign.sources.random_twin import random_twin

        return random_twin(self, seed)

    @property
    def all_layers(self) -> tuple[str, ...]:
        """Every name that `embed` accepts: the layers, then the logits where there are some."""
        return self.layers if self.logits_layer is None else (*self.layers, self.logits_layer)

    def embed(
        self, inputs: Sequence[Any] | np.ndarray, layers: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Features (B, D) of a batch of raw inputs, for each layer asked for.

        Without `layers` that is the default layer. Raises FeatalignError for a layer that the
        source does not have, or when its features are not (B, D).
        """
        wanted = tuple(layers) if layers is not None else (self.default_layer,)
        for layer in wanted:
            check_layer(layer, self.all_layers, name=self.name)
        try:
            emitted = in_parts(
                inputs,
                self.reading.prepare,
                lambda part: self.embed_batch(part, wanted),
                self.at_once,
                name=self.name,
            )
        except FeatalignError:
            raise
        except Exception as error:
            raise FeatalignError(
                f"{self.name}: its embed function failed on a batch of {len(inputs)} inputs with "
                f"{type(error).__name__}: {error}"
            ) from error
        return {layer: self._checked(layer, emitted, len(inputs)) for layer in wanted}

    def remarks(self, target: Target) -> tuple[str, ...]:
        """Sentences on what does not fit between source and target inputs, and on what was cut.

        One says where the source was pretrained on the target.
        """
        known = self.pretraining
        return (
            *pretraining_remarks(known.dataset, known.rows, target),
            *misfits(self.reading.form, target),
            *self.at_once.sentences,
        )

    def _checked(self, layer: str, emitted: Mapping[str, np.ndarray], num_rows: int) -> np.ndarray:
        if layer not in emitted:
            raise FeatalignError(
                f"{self.name}: expected features for layer {layer!r}, got only "
                f"{', '.join(emitted) or 'nothing'}; mend its embed function"
            )
        features = np.asarray(emitted[layer])
        if features.ndim != 2 or features.shape[0] != num_rows or features.shape[1] == 0:
            raise FeatalignError(
                f"{self.name}: expected features of shape ({num_rows}, D) from layer {layer!r}, "
                f"got {features.shape}; pool or flatten them"
            )
        check_real(features, name=f"{self.name}, layer {layer!r}")
        return features if features.dtype.name in FLOATING else features.astype(np.float32)


def check_layer(layer: str, layers: Sequence[str], *, name: str) -> None:
    """Raise FeatalignError for a layer that does not exist."""
    if layer not in layers:
        raise FeatalignError(
            f"layer: {name} has no layer {layer!r}; {did_you_mean(layer, layers)}it has "
            f"{', '.join(layers)}"
        )


def _refuse(name: str, inputs: Any, layers: tuple[str, ...]) -> Mapping[str, np.ndarray]:
    del inputs, layers
    raise FeatalignError(
        f"{name}: it holds features of one target and cannot embed other inputs; rank it on the "
        "target they were made from"
    )


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of named arrays: names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
