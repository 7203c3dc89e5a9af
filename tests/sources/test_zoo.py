import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

from experiments.zoo.recipes import RECIPES
from featalign.errors import FeatalignError
from featalign.sources import zoo
from featalign.sources.catalogue import expand, load
from featalign.sources.jax_networks import flat_parameters
from featalign.sources.zoo import WEIGHTS, load_zoo_source, read_card, zoo_names
from featalign.sources.zoo_networks import ARCHITECTURES
from tests.shared import SHARED, needs_shared

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)


def test_the_zoo_is_what_it_promises():
    cards = [read_card(name) for name in zoo_names()]
    assert len(cards) >= 12
    assert {card["architecture"] for card in cards} == set(ARCHITECTURES)
    assert sum(bool(card["pretraining"]["spoiled"]) for card in cards) >= 3
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 10e6
    assert {path.suffix for path in WEIGHTS.iterdir()} == {".safetensors", ".json", ".npz"}


def test_every_source_has_a_recipe_that_agrees_with_its_card():
    recipes = {recipe.name: recipe for recipe in RECIPES}
    for name in zoo_names():
        card, recipe = read_card(name), recipes[name]
        assert card["architecture"] == recipe.architecture
        assert card["pretraining"]["dataset"] == (
            "noise" if recipe.spoil == "noise" else recipe.dataset
        )
        assert card["training"]["command"] == f"python -m experiments.zoo {name}"


@pytest.mark.parametrize("name", zoo_names())
def test_every_source_emits_the_layers_of_its_card(name):
    source, card = load_zoo_source(name), read_card(name)
    emitted = source.embed(IMAGES, source.all_layers)
    assert source.layers == tuple(card["layers"])
    assert emitted["logits"].shape == (3, card["pretraining"]["num_classes"])
    assert all(np.isfinite(features).all() and len(features) == 3 for features in emitted.values())
    assert source.differentiable is not None
    flat = flat_parameters(source.differentiable.parameters)
    assert (
        sum(values.size for values in flat.values())
        == card["num_parameters"]
        == source.pretraining.num_parameters
    )
    order = list(
        source.differentiable.apply(
            source.differentiable.parameters, source.reading.prepare(IMAGES)
        )
    )
    assert order == [*source.layers, "logits"]


def test_revisions_differ():
    assert len({load_zoo_source(name).revision for name in zoo_names()}) == len(zoo_names())


def test_a_twin_is_known_without_being_drawn(monkeypatch):
    def build(*given):
        raise AssertionError("no network is needed")

    monkeypatch.setattr(zoo, "_network", build)
    source = load_zoo_source("resnet_digits")
    assert source.is_differentiable
    assert source.can_be_reinitialised
    twin, again, other = (source.random_twin(seed) for seed in (3, 3, 4))
    assert twin.revision == again.revision
    revisions = {
        source.revision,
        twin.revision,
        other.revision,
        load_zoo_source("resnet_noise").random_twin(3).revision,
    }
    assert len(revisions) == 4
    assert twin.random_twin(3).revision not in revisions


def weights_of(source):
    assert source.differentiable is not None
    return flat_parameters(source.differentiable.parameters)


def test_the_twin_that_is_known_is_the_one_that_is_drawn():
    twin = load_zoo_source("resnet_digits").random_twin(3)
    parameters = nnx.to_pure_dict(
        nnx.state(ARCHITECTURES["resnet"](10, rngs=nnx.Rngs(3)), nnx.Param)
    )
    drawn = weights_of(twin)
    assert drawn.keys() == flat_parameters(parameters).keys()
    for name, values in flat_parameters(parameters).items():
        np.testing.assert_array_equal(drawn[name], values)


SETTINGS = {
    "jax_random_seed_offset": 5,
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_enable_x64": True,
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_fresh_weights_do_not_hang_on_settings_of_jax(setting):
    source = load_zoo_source("vit_digits")
    expected = weights_of(source.random_twin(1))
    before = getattr(jax.config, setting)
    jax.config.update(setting, SETTINGS[setting])
    try:
        found = weights_of(source.random_twin(1))
    finally:
        jax.config.update(setting, before)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_a_twin_of_other_code_or_releases_is_another(monkeypatch):
    source = load_zoo_source("resnet_digits")
    revisions = [source.random_twin(3).revision]
    for name, changed in (
        ("version", lambda package: f"99 of {package}"),
        ("_code", lambda: b"other networks"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(zoo, name, changed)
            zoo._initialiser.cache_clear()
            revisions.append(load_zoo_source("resnet_digits").random_twin(3).revision)
    zoo._initialiser.cache_clear()
    assert len(set(revisions)) == 3
    assert load_zoo_source("resnet_digits").random_twin(3).revision == revisions[0]


def test_where_the_code_is_not_there_as_text_twins_are_named_by_their_weights(monkeypatch):
    def missing():
        raise OSError("could not get source code")

    known = load_zoo_source("vit_digits").random_twin(1)
    with monkeypatch.context() as patched:
        patched.setattr(zoo, "_code", missing)
        zoo._initialiser.cache_clear()
        source = load_zoo_source("vit_digits")
    zoo._initialiser.cache_clear()
    first, same, other = (source.random_twin(seed) for seed in (1, 1, 2))
    assert len({known.revision, first.revision, other.revision}) == 3
    assert first.revision == same.revision
    np.testing.assert_array_equal(first.embed(IMAGES)["features"], known.embed(IMAGES)["features"])


@needs_shared
@pytest.mark.parametrize(
    ("name", "dataset"),
    [("resnet_digits", "mnist"), ("resnet_clothing", "fashion_mnist"), ("vit_digits", "mnist")],
)
def test_the_accuracy_of_the_card_is_reached(name, dataset):
    if name not in zoo_names():
        pytest.skip(f"{name} is not shipped")
    with np.load(SHARED / "data" / "images" / f"{dataset}.npz") as stored:
        images, labels = stored["x_test"], stored["y_test"]
    logits = load_zoo_source(name).embed(images, ["logits"])["logits"]
    assert (logits.argmax(axis=1) == labels).mean() == pytest.approx(
        read_card(name)["accuracy"]["value"], abs=0.001
    )


def test_cards_hold_no_path():
    for name in zoo_names():
        assert "/" not in json.dumps({**read_card(name), "name": ""})


def test_addresses():
    assert expand(["zoo/resnet_*", "zoo/resnet_digits"]) == [
        f"zoo/{name}" for name in zoo_names() if name.startswith("resnet_")
    ]
    assert load("zoo/resnet_digits").name == "zoo/resnet_digits"
    assert load("h5:some/features.h5").features_file == "some/features.h5"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("zoo/nothing", "there is no zoo/nothing; .*the zoo has"),
        ("nothing", "expected an address such as zoo/resnet_cifar10"),
        ("moon/resnet", "expected an address such as zoo/resnet_cifar10"),
        ("zoo/", "expected an address such as zoo/resnet_cifar10"),
    ],
)
def test_bad_addresses_are_said(address, words):
    with pytest.raises(FeatalignError, match=words):
        load(address)


def test_a_wildcard_that_matches_nothing_is_said():
    with pytest.raises(FeatalignError, match="nothing matches 'zoo/x\\*'"):
        expand(["zoo/x*"])


def test_ranking_the_zoo_loads_no_other_ecosystem(tmp_path):
    code = (
        "import sys, featalign as fa; target = fa.load_target('sklearn:digits', subset=40); "
        f"fa.rank('zoo/resnet_digits', target, cache={str(tmp_path)!r}, "
        "scorers=['dead_fraction']); print(*sys.modules)"
    )
    loaded = {
        name.partition(".")[0]
        for name in subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    }
    assert "jax" in loaded
    assert not loaded & {
        "torch",
        "torchvision",
        "timm",
        "transformers",
        "tokenizers",
        "huggingface_hub",
        "sentence_transformers",
        "keras",
        "onnx",
        "onnxruntime",
    }
