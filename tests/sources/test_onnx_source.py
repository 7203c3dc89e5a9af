"""onnx: graphs exported by torch and made by onnx.helper, with random weights.

They are run by the real onnxruntime.
"""

import json

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from tests.sources.ecosystem import counting, images, ranked_twice

pytestmark = pytest.mark.slow

onnx = pytest.importorskip("onnx", reason="needs featalign[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs featalign[onnx]")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RANDOM = np.random.default_rng(0)
WEIGHTS = {
    "kernel": RANDOM.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "head": RANDOM.normal(size=(4, 3)).astype(np.float32),
    "first": RANDOM.normal(size=(6, 5)).astype(np.float32),
    "second": RANDOM.normal(size=(5, 2)).astype(np.float32),
}


def save(path, nodes, reads, gives, weights, **options):
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (reads, gives)
    ]
    tensors = [numpy_helper.from_array(WEIGHTS[name], name) for name in weights]
    model = helper.make_model(
        helper.make_graph(nodes, "tiny", values[:1], values[1:], tensors),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(model, str(path), **options)
    return path


@pytest.fixture
def pictures(tmp_path):
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["maps"], strides=[2, 2]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["logits"]),
    ]
    return save(
        tmp_path / "pictures.onnx",
        nodes,
        ("pixels", ["batch", 3, 16, 16]),
        ("logits", ["batch", 3]),
        ["kernel", "head"],
    )


@pytest.fixture
def numbers(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["rows", "first"], ["product"]),
        helper.make_node("Tanh", ["product"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["logits"]),
    ]
    return save(
        tmp_path / "numbers.onnx",
        nodes,
        ("rows", ["batch", 6]),
        ("logits", ["batch", 2]),
        ["first", "second"],
    )


def test_images_from_address_to_ranking(pictures, tmp_path, monkeypatch):
    calls, target = counting(monkeypatch, onnxruntime.InferenceSession, "run"), images(size=16)
    source = fa.load_source(f"onnx:{pictures}")
    ranking = ranked_twice(source, target, tmp_path / "cache", calls)
    assert source.layers == ("maps", "active", "pooled", "logits")
    assert source.default_layer == "pooled"
    assert {row.layer: row.num_features for row in ranking.rows} == {
        "maps": 4,
        "active": 4,
        "pooled": 4,
        "logits": 3,
    }
    assert all(
        any(warning.startswith("the graph declares no range") for warning in row.warnings)
        for row in ranking.rows
    )
    pixels = np.asarray(target.inputs.read(np.arange(3)))
    session = onnxruntime.InferenceSession(str(pictures), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"pixels": np.moveaxis(pixels.astype(np.float32) / 255, -1, 1)})
    emitted = source.embed(pixels, ["pooled", "logits"])
    np.testing.assert_allclose(emitted["logits"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(emitted["pooled"] @ WEIGHTS["head"], expected, rtol=1e-4, atol=1e-5)


def test_arrays_and_any_tensor(numbers, tmp_path, monkeypatch):
    rows = np.random.default_rng(1).normal(size=(24, 6)).astype(np.float32)
    target = fa.Target.from_arrays("numbers", rows, np.arange(24) % 2)
    source = fa.load_source(f"onnx:{numbers}#product")
    calls = counting(monkeypatch, onnxruntime.InferenceSession, "run")
    ranking = ranked_twice(source, target, tmp_path / "cache", calls, layers=None)
    assert [row.layer for row in ranking.rows] == ["product"]
    np.testing.assert_allclose(
        source.embed(rows)["product"], rows @ WEIGHTS["first"], rtol=1e-4, atol=1e-5
    )
    assert fa.load_source(f"onnx:{numbers}").default_layer == "hidden"


def test_declared_preprocessing_is_followed_and_part_of_the_key(pictures, tmp_path):
    plain = fa.load_source(f"onnx:{pictures}")
    declared = {
        "do_normalize": True,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.3, 0.4],
        "do_rescale": True,
        "rescale_factor": 1 / 255,
    }
    (pictures.parent / "preprocessor_config.json").write_text(json.dumps(declared))
    own = fa.load_source(f"onnx:{pictures}")
    assert own.preprocessing != plain.preprocessing
    assert own.reading.form.assumed is None
    pixels = np.asarray(images(size=16).inputs.read(np.arange(2)))
    expected = (pixels.astype(np.float32) / 255 - declared["image_mean"]) / declared["image_std"]
    np.testing.assert_allclose(
        own.reading.prepare(pixels), np.moveaxis(expected, -1, 1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # torch's exporter that needs no further package is the older one
def test_what_torch_exports(tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch to export")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)
    ).eval()
    rows = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    path = tmp_path / "torch.onnx"
    dynamic = {"rows": {0: "batch"}}
    torch.onnx.export(
        network,
        (torch.from_numpy(rows),),
        str(path),
        dynamo=False,
        input_names=["rows"],
        dynamic_axes=dynamic,
    )
    source = fa.load_source(f"onnx:{path}")
    with torch.no_grad():
        expected = network[:2](torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(
        source.embed(rows)[source.default_layer], expected, rtol=1e-4, atol=1e-5
    )


def test_the_revision_is_of_the_weights_also_beside_the_graph(numbers, tmp_path):
    (tmp_path / "apart").mkdir()
    apart = tmp_path / "apart" / "numbers.onnx"
    onnx.save(
        onnx.load(str(numbers)),
        str(apart),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    first = fa.load_source(f"onnx:{apart}")
    rows = np.ones((2, 6), np.float32)
    np.testing.assert_allclose(
        first.embed(rows)["hidden"],
        fa.load_source(f"onnx:{numbers}").embed(rows)["hidden"],
        rtol=1e-6,
    )
    content = bytearray((apart.parent / "weights.bin").read_bytes())
    content[0] ^= 1
    (apart.parent / "weights.bin").write_bytes(content)
    assert fa.load_source(f"onnx:{apart}").revision != first.revision
    (apart.parent / "weights.bin").unlink()
    with pytest.raises(
        FeatalignError,
        match=r"the file weights.bin with its weights is missing; put it beside the graph",
    ):
        fa.load_source(f"onnx:{apart}")


def test_weights_outside_the_folder_are_not_read(numbers, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    model = onnx.load(str(numbers))
    onnx.save(
        model,
        str(inner / "numbers.onnx"),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    model = onnx.load(str(inner / "numbers.onnx"), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../weights.bin"
    (inner / "numbers.onnx").write_bytes(model.SerializeToString())
    (inner / "weights.bin").rename(tmp_path / "weights.bin")
    with pytest.raises(FeatalignError, match="its weights lie outside its own folder"):
        fa.load_source(f"onnx:{inner / 'numbers.onnx'}")


def test_errors_are_sentences(numbers, tmp_path):
    with pytest.raises(
        FeatalignError,
        match=r"has no tensor 'deep' with a batch axis; it has product, hidden, logits",
    ):
        fa.load_source(f"onnx:{numbers}#deep")
    with pytest.raises(FeatalignError, match=r"there is no file .*nothing.onnx; name a .onnx file"):
        fa.load_source(f"onnx:{tmp_path / 'nothing.onnx'}")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(FeatalignError, match=r"it is no valid ONNX graph .* export it anew"):
        fa.load_source(f"onnx:{tmp_path / 'text.onnx'}")
    with pytest.raises(FeatalignError, match=r"it reads inputs of shape \(6\), got \(4,\)"):
        fa.load_source(f"onnx:{numbers}").embed(np.ones((2, 4), np.float32))
    with pytest.raises(FeatalignError, match="a black box without fresh weights"):
        fa.load_source(f"onnx:{numbers}").random_twin(0)
