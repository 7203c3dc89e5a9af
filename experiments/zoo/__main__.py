"""Trains the zoo: python -m experiments.zoo [NAME ...] [--data FOLDER].

A source that already has its weights is left alone; one that was interrupted goes on from its last
epoch. The learning rate starts at 1e-3 (AdamW, weight decay 1e-2) and falls to a fifth whenever the
validation accuracy has not risen by 0.1 points for 4 epochs (an epoch has at least 50 steps); after
the third such fall the training ends, so each source has had the budget after which its own
validation accuracy stops rising. The best epoch's weights are kept, and their accuracy on the set's
test images, which had no part in this, goes into the card. Validation images are a tenth of the
training images; where labels are random there is nothing to generalise, and the training images
stand in for both.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx, serialization
from safetensors.numpy import save_file

from experiments.zoo.datasets import Arrays, load_arrays
from experiments.zoo.recipes import RECIPES, Recipe
from featalign.sources.jax_networks import flat_parameters
from featalign.sources.zoo_networks import ARCHITECTURES

HERE = Path(__file__).parent
CHECKPOINTS = HERE / "checkpoints"
WEIGHTS = HERE.parent.parent / "featalign" / "sources" / "zoo_weights"
BATCH, MIN_STEPS, PATIENCE, FALLS, MAX_EPOCHS, SEED = 128, 50, 4, 3, 100, 0


def augmented(images: np.ndarray, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """Random shifts (edges repeated), flips, and where it is said quarter turns and negatives."""
    count, size = len(images), images.shape[1]
    if recipe.shift:
        padded = np.pad(
            images, ((0, 0), (recipe.shift,) * 2, (recipe.shift,) * 2, (0, 0)), mode="edge"
        )
        rows = random.integers(0, 2 * recipe.shift + 1, (count, 1)) + np.arange(size)
        columns = random.integers(0, 2 * recipe.shift + 1, (count, 1)) + np.arange(size)
        images = padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    if recipe.flip:
        flips = random.random(count) < 0.5
        images = np.where(flips[:, None, None, None], images[:, :, ::-1], images)
    if recipe.turn:
        turns = random.integers(0, 4, count)
        images = np.stack([np.rot90(images[place], turns[place]) for place in range(count)])
    if recipe.invert:
        signs = np.where(random.random(count) < 0.5, np.float32(-1), np.float32(1))
        images = images * signs[:, None, None, None]
    return images


def train(
    recipe: Recipe,
    data: Path,
    *,
    architectures: Mapping[str, Any] = ARCHITECTURES,
    into: Path | None = None,
) -> None:
    """Trains one source and writes its card and weights, in 16 bits where not into the package."""
    arrays: Arrays = load_arrays(recipe, data)
    network = architectures[recipe.architecture](arrays.num_classes, rngs=nnx.Rngs(SEED))
    definition, parameters = nnx.split(network)
    steps_per_epoch = max(MIN_STEPS, len(arrays.train_labels) // BATCH)
    optimizer = optax.inject_hyperparams(optax.adamw)(learning_rate=recipe.rate, weight_decay=1e-2)
    state = optimizer.init(parameters)

    def loss(parameters, images, labels):
        logits = nnx.merge(definition, parameters)(images)["logits"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(parameters, state, images, labels, learning_rate):
        state.hyperparams["learning_rate"] = learning_rate
        value, gradient = jax.value_and_grad(loss)(parameters, images, labels)
        updates, state = optimizer.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state, value

    @jax.jit
    def predict(parameters, images):
        return nnx.merge(definition, parameters)(images)["logits"].argmax(-1)

    def accuracy(parameters, images, labels):
        hits = [
            np.asarray(predict(parameters, images[i : i + 500])) == labels[i : i + 500]
            for i in range(0, len(labels), 500)
        ]
        return float(np.concatenate(hits).mean())

    progress = {
        "epoch": 0,
        "best": -1.0,
        "best_epoch": 0,
        "since": 0,
        "falls": 0,
        "curve": [],
        "seconds": 0.0,
    }
    best = parameters
    checkpoint = CHECKPOINTS / f"{recipe.name}.msgpack"
    if checkpoint.exists():
        saved: Any = serialization.msgpack_restore(checkpoint.read_bytes())
        parameters, best, state = (
            _restored(like, saved[key])
            for key, like in (("parameters", parameters), ("best", best), ("state", state))
        )
        progress = json.loads(saved["progress"])
    while progress["epoch"] < (recipe.epochs or MAX_EPOCHS) and progress["falls"] < FALLS:
        start = time.time()
        random = np.random.default_rng((SEED, progress["epoch"]))
        passes = -(-steps_per_epoch * BATCH // len(arrays.train_labels))
        order = np.concatenate(
            [random.permutation(len(arrays.train_labels)) for _ in range(passes)]
        )
        rate = recipe.rate / 5 ** progress["falls"]
        total = 0.0
        for index in range(steps_per_epoch):
            rows = order[index * BATCH : (index + 1) * BATCH]
            warm = min(1.0, (index + 1) / steps_per_epoch) if progress["epoch"] == 0 else 1.0
            images = augmented(arrays.train_images[rows], recipe, random)
            parameters, state, value = step(
                parameters, state, images, arrays.train_labels[rows], jnp.float32(rate * warm)
            )
            total += float(value)
        validation = accuracy(parameters, arrays.validation_images, arrays.validation_labels)
        progress["curve"].append(round(validation, 4))
        progress["epoch"] += 1
        progress["seconds"] += time.time() - start
        if validation > progress["best"] + 1e-3:
            progress.update(best=validation, best_epoch=progress["epoch"], since=0)
            best = parameters
        else:
            progress["since"] += 1
        if progress["since"] >= PATIENCE:
            progress.update(since=0, falls=progress["falls"] + 1)
            parameters = best
        content = {"progress": json.dumps(progress)}
        content |= {
            key: _leaves(tree)
            for key, tree in (("parameters", parameters), ("best", best), ("state", state))
        }
        CHECKPOINTS.mkdir(exist_ok=True)
        part = checkpoint.with_suffix(".part")
        part.write_bytes(serialization.msgpack_serialize(content))
        part.replace(checkpoint)
        print(
            f"{recipe.name} epoch {progress['epoch']} loss {total / steps_per_epoch:.3f} "
            f"validation {validation:.4f} rate {rate:.1e}",
            flush=True,
        )
    if into is not None:
        best = jax.tree.map(lambda leaf: leaf.astype(jnp.float16).astype(jnp.float32), best)
    test_accuracy = accuracy(best, arrays.test_images, arrays.test_labels)
    layers = [layer for layer in network(arrays.test_images[:1]) if layer != "logits"]
    flat = flat_parameters(nnx.to_pure_dict(best))
    write_source(recipe, arrays, layers, flat, progress, test_accuracy, into=into)


def _leaves(tree) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def _restored(like, leaves: list[np.ndarray]):
    return jax.tree.unflatten(jax.tree.structure(like), [jnp.asarray(leaf) for leaf in leaves])


def write_source(
    recipe: Recipe,
    arrays: Arrays,
    layers: list[str],
    flat: dict[str, np.ndarray],
    progress: dict,
    test_accuracy: float,
    *,
    into: Path | None = None,
) -> None:
    """Writes NAME.safetensors and NAME.json, as 16-bit numbers where not into the package."""
    folder, module = into or WEIGHTS, "experiments.zoo"
    if into is not None:
        module = f"experiments.{into.parent.name}.{into.name}"
        flat = {name: values.astype(np.float16) for name, values in flat.items()}
    folder.mkdir(exist_ok=True)
    card = {
        "name": recipe.name,
        "architecture": recipe.architecture,
        "layers": layers,
        "num_parameters": sum(value.size for value in flat.values()),
        "pretraining": {
            "dataset": "noise" if recipe.spoil == "noise" else recipe.dataset,
            "description": recipe.description,
            "num_examples": len(arrays.train_labels),
            "num_classes": arrays.num_classes,
            "spoiled": recipe.spoil,
        },
        "accuracy": {
            "value": round(test_accuracy, 4),
            "measured_on": "training images"
            if recipe.spoil in ("labels", "noise")
            else "test images",
        },
        "preprocessing": arrays.preprocessing.identity(),
        "training": {
            "command": f"python -m {module} {recipe.name}",
            "epochs": progress["epoch"],
            "best_epoch": progress["best_epoch"],
            "validation_curve": progress["curve"],
            "seconds": round(progress["seconds"]),
            "seed": SEED,
        },
    }
    save_file(flat, folder / f"{recipe.name}.safetensors")
    (folder / f"{recipe.name}.safetensors").chmod(0o644)
    (folder / f"{recipe.name}.json").write_text(json.dumps(card, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.zoo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="sources to train (default: all)")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data/images"), help="folder of the image sets"
    )
    arguments = parser.parse_args()
    for recipe in RECIPES:
        if (not arguments.names or recipe.name in arguments.names) and not (
            WEIGHTS / f"{recipe.name}.json"
        ).exists():
            train(recipe, arguments.data)


if __name__ == "__main__":
    main()
