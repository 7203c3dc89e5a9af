"""The contract of a source: weights, preprocessing, and the layers it can emit."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.sources.input_form import InputForm, misfits
from featalign.sources.parts import AtOnce, in_parts
from featalign.targets.target import Target

EmbedFunction = Callable[[Any, tuple[str, ...]], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Pretraining:
    """What is known of a source's pretraining; None where it is not known."""

    dataset: str | None = None
    description: str | None = None
    num_examples: int | None = None
    num_classes: int | None = None
    accuracy: float | None = None
    num_parameters: int | None = None


@dataclass(frozen=True)
class Differentiable:
    """Parameters and a pure function: what gradients, random twins and fine-tuning need.

    `apply(parameters, prepared)` maps preprocessed inputs (B, ...) to all layers by name,
    `prepare(inputs)` is the preprocessing as an array. `initialise(seed)` is the same with fresh
    parameters of the same shapes; its `apply` is another one where the network holds more than
    parameters, such as the running averages of batch normalisation, which are then as fresh as they
    (`held` are their arrays).
    """

    parameters: Any
    apply: Callable[[Any, Any], Mapping[str, Any]]
    prepare: Callable[[Any], np.ndarray]
    initialise: "Callable[[int], Differentiable] | None" = None
    held: Any = None


@dataclass(frozen=True)
class Source:
    """A candidate pretrained model.

    `revision` is a digest of the weights (or what the user says identifies them), `preprocessing`
    the declared preprocessing as plain data, `layers` the names of the layers from input to output
    (the head's logits left out), `default_layer` the one that is scored unless asked otherwise,
    `logits_layer` the head's output where there is one. `embed_batch(inputs, layers)` maps a batch
    of raw inputs, or what `prepare_batch` made of them, to features (B, D) for each layer asked
    for; call `embed`, which checks what comes back and takes `at_once` inputs at a time.
    `static_shapes` says that another number of inputs costs a compilation, so that batches are
    padded. A black box whose architecture is known says by `load_twin(seed)` what it is with fresh
    weights; a differentiable source needs no such function. `initialiser` names all that fresh
    weights depend on but the seed (code, releases): a random twin is then known, and found in the
    cache, without being drawn. It is for differentiable sources that can be drawn anew.
    `input_form` says what the inputs should be like.
    """

    name: str
    revision: str
    embed_batch: EmbedFunction = field(repr=False)
    layers: tuple[str, ...] = ("features",)
    default_layer: str = "features"
    logits_layer: str | None = None
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    input_kind: str | None = None  # "image" | "text" | "array"; None: whatever the target holds
    pretraining: Pretraining = Pretraining()
    load_differentiable: Callable[[], Differentiable | None] | None = field(
        default=None, repr=False
    )
    features_file: str | None = None  # features made elsewhere, in the order of the target's rows
    prepare_batch: Callable[[Any], Any] | None = field(default=None, repr=False)
    load_twin: "Callable[[int], Source] | None" = field(default=None, repr=False)
    initialiser: str | None = field(default=None, repr=False)
    input_form: InputForm = field(default_factory=InputForm, repr=False)
    static_shapes: bool = True
    reads_tokens: bool = False  # words in their sentences, beside texts
    at_once: AtOnce = field(default_factory=AtOnce, repr=False, compare=False)

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

        `revision` says which weights these are: change it whenever the function would give other
        features, because the cache is keyed by it (and the name). `preprocessing`, when given, is
        applied to each batch before the function; it counts as part of what `revision` names.

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

        def embed_batch(inputs: Any, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
            del layers
            return {
                layer: np.asarray(
                    function(inputs if preprocessing is None else preprocessing(inputs))
                )
            }

        declared = (
            {"function": getattr(preprocessing, "__qualname__", type(preprocessing).__name__)}
            if preprocessing
            else {}
        )
        # the name too: two functions whose users both say "1" must not share an embedding
        return Source(
            name,
            hashlib.sha256(f"{name}\0{revision}".encode()).hexdigest(),
            embed_batch,
            (layer,),
            layer,
            preprocessing=declared,
        )

    @staticmethod
    def from_features(name: str, path: str) -> "Source":
        """A source that is only a file of features (N, D): .h5, .npz or .npy.

        The file has one row for each row of the target, in its order.
        """

        def embed_batch(inputs: Any, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
            del inputs, layers
            raise FeatalignError(
                f"{name}: it holds features of one target and cannot embed other inputs; rank it "
                "on the target they were made from"
            )

        return Source(name, "features made elsewhere", embed_batch, features_file=path)

    @property
    def differentiable(self) -> Differentiable | None:
        """Parameters and apply function; None for a black box."""
        return None if self.load_differentiable is None else self.load_differentiable()

    @property
    def is_differentiable(self) -> bool:
        """Whether it has parameters.

        The network is built only where `initialiser` does not tell.
        """
        return self.initialiser is not None or self.differentiable is not None

    @property
    def has_fresh_weights(self) -> bool:
        """Whether a differentiable source can be drawn anew; the network is built as above."""
        if self.initialiser is not None:
            return True
        differentiable = self.differentiable
        return differentiable is not None and differentiable.initialise is not None

    def random_twin(self, seed: int = 0) -> "Source":
        """The same architecture with freshly drawn weights.

        Raises FeatalignError for a source that cannot be re-initialised.
        """
        from featalign.sources.random_twin import random_twin

        return random_twin(self, seed)

    @property
    def all_layers(self) -> tuple[str, ...]:
        """Every name `embed` accepts: the layers, then the logits where there are some."""
        return self.layers if self.logits_layer is None else (*self.layers, self.logits_layer)

    def embed(
        self, inputs: Sequence[Any] | np.ndarray, layers: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Features (B, D) of a batch of raw inputs, for each layer asked for.

        By default that is the default layer.

        Raises FeatalignError for a layer the source does not have, or when what it returns is not
        (B, D).
        """
        wanted = tuple(layers) if layers is not None else (self.default_layer,)
        for layer in wanted:
            if layer not in self.all_layers:
                raise FeatalignError(
                    f"layer: {self.name} has no layer {layer!r}; it has "
                    f"{', '.join(self.all_layers)}"
                )
        try:
            emitted = in_parts(
                inputs,
                self.prepare_batch,
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
        """What does not fit between the source and a target's inputs, and how memory did.

        The remarks are sentences for whoever reads the scores.
        """
        memory = self.at_once.sentence
        return (*misfits(self.input_form, target), *((memory,) if memory else ()))

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
        if features.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
            features = features.astype(np.float32)
        return features


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of named arrays: names, types, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
