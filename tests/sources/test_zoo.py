import json
import subprocess
import sys

import numpy as np
import pytest

from experiments.zoo.recipes import RECIPES
from featalign.errors import FeatalignError
from featalign.sources.catalogue import expand, load
from featalign.sources.flax_modules import flat_parameters
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
    assert {path.suffix for path in WEIGHTS.iterdir()} == {".safetensors", ".json"}


def test_every_source_has_a_recipe_that_agrees_with_its_card():
    recipes = {recipe.name: recipe for recipe in RECIPES}
    for name in zoo_names():
        card, recipe = read_card(name), recipes[name]
        assert card["architecture"] == recipe.architecture
        assert card["pretraining"]["dataset"] == ("noise" if recipe.spoil == "noise" else recipe.dataset)
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
    assert sum(values.size for values in flat.values()) == card["num_parameters"] == source.pretraining.num_parameters
    order = list(source.differentiable.apply(source.differentiable.parameters, source.differentiable.prepare(IMAGES)))
    assert order == [*source.layers, "logits"]


def test_revisions_differ():
    assert len({load_zoo_source(name).revision for name in zoo_names()}) == len(zoo_names())


@needs_shared
@pytest.mark.parametrize(("name", "dataset"), [("resnet_digits", "mnist"), ("resnet_clothing", "fashion_mnist"), ("vit_digits", "mnist")])
def test_the_accuracy_of_the_card_is_reached(name, dataset):
    if name not in zoo_names():
        pytest.skip(f"{name} is not shipped")
    with np.load(SHARED / "data" / "images" / f"{dataset}.npz") as stored:
        images, labels = stored["x_test"], stored["y_test"]
    logits = load_zoo_source(name).embed(images, ["logits"])["logits"]
    assert (logits.argmax(axis=1) == labels).mean() == pytest.approx(read_card(name)["accuracy"]["value"], abs=0.001)


def test_cards_hold_no_path():
    for name in zoo_names():
        assert "/" not in json.dumps({**read_card(name), "name": ""})


def test_addresses():
    assert expand(["zoo/resnet_*", "zoo/resnet_digits"]) == [f"zoo/{name}" for name in zoo_names() if name.startswith("resnet_")]
    assert load("zoo/resnet_digits").name == "zoo/resnet_digits"
    assert load("h5:some/features.h5").features_file == "some/features.h5"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("zoo/nothing", "there is no zoo/nothing; the zoo has"),
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
        f"fa.rank('zoo/resnet_digits', target, cache={str(tmp_path)!r}, scorers=['dead_fraction']); print(*sys.modules)"
    )
    loaded = {
        name.partition(".")[0] for name in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
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
