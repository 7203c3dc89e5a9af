"""The tests of timm/: real architectures with random weights, saved by timm.

Run by test_timm_source.py.
"""

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from tests.sources.ecosystem import counting, images, ranked_twice

timm, torch = (
    pytest.importorskip("timm"),
    pytest.importorskip("torch"),
)  # elsewhere this file is only looked through for examples

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

# a residual network, a transformer with a class token, one whose maps have channels last, and one
# whose head is wider than `num_features`
ARCHITECTURES = {
    "resnet10t": {},
    "vit_tiny_patch16_224": {
        "img_size": 32,
        "patch_size": 8,
        "depth": 2,
        "embed_dim": 16,
        "num_heads": 2,
    },
    "swin_tiny_patch4_window7_224": {
        "img_size": 32,
        "window_size": 4,
        "depths": (1, 1),
        "embed_dim": 8,
        "num_heads": (1, 2),
        "patch_size": 4,
    },
    "mobilenetv3_small_050": {},
}
WIDTHS = {
    "resnet10t": 512,
    "vit_tiny_patch16_224": 16,
    "swin_tiny_patch4_window7_224": 16,
    "mobilenetv3_small_050": 1024,
}
LAYERS = {
    "resnet10t": 5,
    "vit_tiny_patch16_224": 2,
    "swin_tiny_patch4_window7_224": 2,
    "mobilenetv3_small_050": 5,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name, options in ARCHITECTURES.items():
        model = timm.create_model(name, num_classes=3, **options)
        model.pretrained_cfg = model.default_cfg = {
            **model.pretrained_cfg,
            "input_size": (3, 32, 32),
            "crop_pct": 0.8,
            "num_classes": 3,
        }
        timm.models.save_for_hf(
            model, place / name, model_args=options or None, safe_serialization=True
        )
    return place


def built(folder, name):
    return timm.create_model(f"local-dir:{folder / name}", pretrained=True).eval()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_from_address_to_ranking(folder, tmp_path, monkeypatch, name):
    model, target = built(folder, name), images(16)
    calls = counting(monkeypatch, type(model), "forward_intermediates")
    source = fa.load_source(f"timm/{folder / name}")
    ranking = ranked_twice([source, source.random_twin(3)], target, tmp_path, calls)
    assert source.layers == (*(f"layer_{place + 1}" for place in range(LAYERS[name])), "features")
    assert len(ranking.rows) == 2 * len(source.layers)
    assert {row.num_features for row in ranking.rows if row.layer == "features"} == {WIDTHS[name]}
    pixels = target.inputs.read(np.arange(4))
    transform = timm.data.create_transform(
        **timm.data.resolve_model_data_config(model), is_training=False
    )
    from PIL import Image

    with torch.no_grad():
        prepared = torch.stack([transform(Image.fromarray(image)) for image in pixels])
        emitted = source.embed(pixels, source.all_layers)
        np.testing.assert_allclose(emitted["logits"], model(prepared), rtol=1e-4, atol=1e-5)
        headless = timm.create_model(
            f"local-dir:{folder / name}", pretrained=True, num_classes=0
        ).eval()
        np.testing.assert_allclose(emitted["features"], headless(prepared), rtol=1e-4, atol=1e-5)
        maps = model.forward_intermediates(prepared, output_fmt="NCHW", intermediates_only=True)
        for place, states in enumerate(maps):
            assert emitted[f"layer_{place + 1}"].shape == (4, states.shape[1])
            np.testing.assert_allclose(
                emitted[f"layer_{place + 1}"], states.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5
            )


def test_twins_revision_and_preprocessing(folder):
    source = fa.load_source(f"timm/{folder / 'resnet10t'}")
    first, same, other = (source.random_twin(seed) for seed in (1, 1, 2))
    assert first.revision == same.revision
    assert len({source.revision, first.revision, other.revision}) == 3
    assert source.preprocessing["timm"]["crop_pct"] == 0.8
    assert source.reading.form.size == (32, 32)
    pixels = images(4).inputs.read(np.arange(4))
    emitted = [model.embed(pixels)["features"] for model in (source, first, same)]
    np.testing.assert_array_equal(emitted[1], emitted[2])
    assert not np.allclose(emitted[0], emitted[1])


def test_names_that_do_not_exist(folder):
    with pytest.raises(FeatalignError, match=r"timm/resnet18x: timm has no model resnet18x"):
        fa.load_source("timm/resnet18x")
    with pytest.raises(
        FeatalignError,
        match=r"timm/resnet18\.nothing: timm has no model resnet18\.nothing; near are .*resnet18",
    ):
        fa.load_source("timm/resnet18.nothing")
    with pytest.raises(FeatalignError, match=r"has no layer 'deep'; it has layer_1, .*, features"):
        fa.load_source(f"timm/{folder / 'resnet10t'}#deep")


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        ("resnet10t", lambda all: {f"encoder.{key}": all[key] for key in all}, "conv1"),
        (
            "vit_tiny_patch16_224",
            lambda all: {key: all[key] for key in all if "blocks.1." not in key},
            r"blocks\.1\.",
        ),
    ],
)
def test_missing_weights_are_named(folder, tmp_path, name, change, named):
    import shutil

    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folder / name, tmp_path / name)
    save_file(change(load_file(copy / "model.safetensors")), copy / "model.safetensors")
    with pytest.raises(FeatalignError, match=rf"timm cannot build it .*{named}"):
        fa.load_source(f"timm/{copy}").embed(images(2).inputs.read(np.arange(2)))


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_a_ranking_shows_a_tangent_gain_with_an_interval(folder, tmp_path, name):
    ranking = fa.rank(f"timm/{folder / name}", images(24), cache=tmp_path, forecast=True)
    (row,) = ranking.rows
    assert row.scores["tangent_gain"].interval is not None
    assert row.evidence is not None
    assert row.evidence.capability == "gradients"
    assert "black box" not in str(ranking)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradients_are_those_of_one_image_after_the_other(folder, monkeypatch, name):
    from featalign.sources.gradients import gradient_source
    from featalign.sources.torch import gradients as in_torch

    source, pixels = fa.load_source(f"timm/{folder / name}"), images(4).inputs.read(np.arange(4))
    together = gradient_source(source, dimension=64)
    found = together.embed(pixels)[together.default_layer]
    assert source.at_once.sentences == ()
    monkeypatch.setattr(in_torch, "MEMORY", 1)
    alone = gradient_source(source, dimension=64)
    wanted = alone.embed(pixels)[alone.default_layer]
    np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("arm", ["scratch", "probe", "full", "probe_then_full", "gradual", "lora"])
def test_every_arm_trains(folder, tmp_path, arm):
    address = f"timm/{folder / 'vit_tiny_patch16_224'}"
    result = fa.fine_tune(
        address,
        images(40),
        arm=arm,
        steps=12,
        learning_rates=[1e-2],
        checkpoint=tmp_path,
        augmentation=arm == "full",
    )
    assert result.accuracy.low <= result.accuracy.value <= result.accuracy.high
    first, last = result.curve[0], result.curve[-1]
    assert arm == "gradual" or last.loss < first.loss
    own = dict(built(folder, "vit_tiny_patch16_224").named_parameters())
    assert set(result.trained.parameters) == set(own)
    assert (result.low_rank is not None) == (arm == "lora")
    if arm == "lora":  # all but the classifier that was pretrained
        moved = {
            name
            for name, value in own.items()
            if not torch.equal(value, result.trained.parameters[name])
        }
        assert moved == {
            f"blocks.{block}.{layer}.weight"
            for block in range(2)
            for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
        }


def test_a_network_without_linear_layers_has_no_small_matrices(folder):
    with pytest.raises(
        FeatalignError,
        match=r"resnet10t: expected linear layers before its 'features' for the arm 'lora', it has",
    ):
        fa.fine_tune(f"timm/{folder / 'resnet10t'}", images(40), arm="lora", steps=3)
