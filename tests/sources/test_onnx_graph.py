"""onnx: axes of channels and what a head reads, against the network of torch that was exported."""

import numpy as np
import pytest

import featalign as fa

pytestmark = [
    pytest.mark.slow,
    # torch's exporter that needs no further package is the older one
    pytest.mark.filterwarnings("ignore"),
]

pytest.importorskip("onnx", reason="needs featalign[onnx]")
pytest.importorskip("onnxruntime", reason="needs featalign[onnx]")
torch = pytest.importorskip("torch", reason="needs torch to export")
nn = torch.nn

RANDOM = np.random.default_rng(0)
WAVES = RANDOM.normal(size=(5, 2, 20)).astype(np.float32)
STEPS = RANDOM.normal(size=(5, 9, 6)).astype(np.float32)
MAPS = RANDOM.normal(size=(5, 4, 8, 8)).astype(np.float32)


class Part(nn.Module):
    """Features by `features`, and a head of 3 classes on them where `width` is given."""

    def __init__(self, width=None):
        super().__init__()
        self.make()
        self.head = nn.Linear(width, 3) if width else nn.Identity()

    def forward(self, inputs):
        return self.head(self.features(inputs))


class Waves(Part):
    """Maps of time (B, C, L), averaged by whoever reads them."""

    def make(self):
        self.layers = nn.Sequential(nn.Conv1d(2, 8, 5), nn.GELU(), nn.BatchNorm1d(8))

    def features(self, inputs):
        return self.layers(inputs)


class ChannelsLast(Part):
    """Maps turned to (B, H, W, C) for products, as ConvNeXt and Swin hold them."""

    def make(self):
        self.conv, self.norm = nn.Conv2d(4, 8, 3), nn.LayerNorm(10)
        self.out = nn.Linear(8, 10)

    def features(self, inputs):
        return self.norm(self.out(self.conv(inputs).permute(0, 2, 3, 1)))


class Encoder(Part):
    """Tokens after a residual block, without a head."""

    def make(self):
        self.up, self.down = nn.Linear(6, 24), nn.Linear(24, 6)
        self.norm = nn.LayerNorm(6)

    def features(self, inputs):
        return self.norm(inputs + self.down(self.up(inputs).relu()))


class Both(Encoder):
    """The first token beside the mean of the others."""

    def features(self, inputs):
        states = super().features(inputs)
        return torch.cat([states[:, 0], states[:, 1:].mean(1)], 1)


class LastToken(Encoder):
    """The last token, sliced and squeezed."""

    def features(self, inputs):
        return super().features(inputs)[:, -1:].squeeze(1)


class Recurrent(Part):
    """The last state of a recurrent network."""

    def make(self):
        self.rnn = nn.GRU(6, 7, batch_first=True)

    def features(self, inputs):
        return self.rnn(inputs)[1][0]


class Projected(Encoder):
    """A projection of unit length, as towers of images and texts give it."""

    def features(self, inputs):
        return nn.functional.normalize(self.up(super().features(inputs).mean(1)), dim=-1)


class Pooled(Part):
    """A pooled map, flattened."""

    def make(self):
        self.layers = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))

    def features(self, inputs):
        return self.layers(inputs).flatten(1)


class ConvHead(Pooled):
    """A head that is a convolution of one place, as in MobileNetV3, with another before it."""

    def __init__(self, width=None):
        super().__init__()
        self.before, self.last = nn.Conv2d(8, 6, 1), nn.Conv2d(6, 3, 1)

    def features(self, inputs):
        return self.before(self.layers(inputs)).relu().flatten(1)

    def forward(self, inputs):
        return self.last(self.before(self.layers(inputs)).relu()).flatten(1)


class MeanHead(ConvHead):
    """The same of a mean over places in place of a pooling."""

    def features(self, inputs):
        return self.layers[:2](inputs).mean((2, 3))

    def forward(self, inputs):
        states = self.layers[:2](inputs).mean((2, 3), keepdim=True)
        return nn.functional.conv2d(states, torch.ones(3, 8, 1, 1)).flatten(1)


def right(module, inputs):
    """The features by torch, averaged over places, steps or tokens."""
    with torch.no_grad():
        values = module.features(torch.from_numpy(inputs))
    if isinstance(module, ChannelsLast):
        return values.mean((1, 2)).numpy()
    if isinstance(module, Waves):
        return values.mean(2).numpy()
    return (values if values.ndim == 2 else values.mean(1)).numpy()


def exported(module, path, inputs):
    torch.onnx.export(
        module.eval(),
        (torch.from_numpy(inputs[:2]),),
        str(path),
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
    )
    return f"onnx:{path}"


@pytest.mark.parametrize(
    ("kind", "width", "inputs"),
    [
        (Waves, None, WAVES),
        (ChannelsLast, None, MAPS),
        (Encoder, None, STEPS),
        (Both, 12, STEPS),
        (LastToken, 6, STEPS),
        (Recurrent, 7, STEPS),
        (Projected, None, STEPS),
        (Pooled, 8, MAPS),
        (ConvHead, None, MAPS),
        (MeanHead, None, MAPS),
    ],
)
def test_the_default_is_what_torch_gives(kind, width, inputs, tmp_path):
    torch.manual_seed(0)
    module = kind(width)
    source = fa.load_source(exported(module, tmp_path / "graph.onnx", inputs))
    emitted = source.embed(inputs)[source.default_layer]
    np.testing.assert_allclose(emitted, right(module, inputs), rtol=1e-4, atol=1e-5)


def test_what_was_right_keeps_its_name_and_key(tmp_path):
    torch.manual_seed(0)
    source = fa.load_source(exported(Pooled(8), tmp_path / "graph.onnx", MAPS))
    assert "Pool" in source.default_layer
    assert "channels" not in source.preprocessing
    other = fa.load_source(exported(Waves(), tmp_path / "waves.onnx", WAVES))
    assert set(other.preprocessing["channels"].values()) == {1}


@pytest.mark.parametrize("static", [False, True])
def test_quantised_products(tmp_path, static):
    quantization = pytest.importorskip("onnxruntime.quantization")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    network.features = lambda inputs: network[:2](inputs)
    rows = RANDOM.normal(size=(40, 6)).astype(np.float32)
    exported(network, tmp_path / "float.onnx", rows)
    path = tmp_path / "int8.onnx"
    if static:

        class Rows(quantization.CalibrationDataReader):
            left = iter([{"x": rows}])

            def get_next(self):
                return next(self.left, None)

        quantization.quantize_static(tmp_path / "float.onnx", path, Rows())
    else:
        quantization.quantize_dynamic(tmp_path / "float.onnx", path)
    source = fa.load_source(f"onnx:{path}")
    emitted = source.embed(rows)[source.default_layer]
    np.testing.assert_allclose(emitted, right(network, rows), atol=0.1)
