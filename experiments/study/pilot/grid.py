"""What the pilot trains, and the targets it trains on."""

import hashlib
import io
import itertools
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import featalign as fa
from featalign.sources.source import Source
from featalign.targets.stratification import stratified_order

HERE = Path(__file__).parent
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "images"
TARGETS = ("mnist", "fashion_mnist", "omniglot_alphabets", "tiny_imagenet25", "aid30", "dtd10", "flowers5", "magnetic_tile_defects")
SIZES = (100, 400)
RATES = (1e-3, 4e-3)
SCRATCH_SEEDS = (0, 1)
TEST_ROWS = 500
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Cell:
    """One network trained once: from a source's weights, or from those of its random twin where `twin` is a seed."""

    source: str
    target: str
    size: int
    rate: float
    twin: int | None

    @property
    def key(self) -> str:
        """What names the cell among the records."""
        return f"{self.source}|{self.target}|{self.size}|{self.rate:g}|{'source' if self.twin is None else f'twin {self.twin}'}"


def cells() -> list[Cell]:
    """All cells, the cheap and telling ones first: by size, then target, then source."""
    found = []
    for size, target, source in itertools.product(SIZES, TARGETS, zoo_addresses()):
        found += [Cell(source, target, size, rate, None) for rate in RATES]
        if source in stand_ins().values():
            found += [Cell(source, target, size, rate, seed) for seed in SCRATCH_SEEDS for rate in RATES]
    return found


@cache
def stand_ins() -> dict[str, str]:
    """For each architecture the source whose twin stands for training from scratch; the inputs are standardised much alike for all."""
    found: dict[str, str] = {}
    for address in zoo_addresses():
        found.setdefault(architecture(address), address)
    return found


def architecture(source: str) -> str:
    """The architecture of a zoo source."""
    from featalign.sources.zoo import read_card

    return read_card(source.removeprefix("zoo/"))["architecture"]


def zoo_addresses() -> tuple[str, ...]:
    """All sources of the zoo."""
    from featalign.sources.zoo import zoo_names

    return tuple(f"zoo/{name}" for name in zoo_names())


@cache
def load_set(name: str) -> fa.Target:
    """An image set as a target with its test images held out."""
    from PIL import Image

    path = DATA / f"{name}.npz"
    if path.exists():
        return fa.load_target(path)
    stored = np.load(path.with_name(f"{name}_jpeg.npz"))
    jpeg, offsets = stored["jpeg"], stored["offsets"]
    images = np.stack([np.asarray(Image.open(io.BytesIO(jpeg[a:b].tobytes()))) for a, b in itertools.pairwise(offsets)])
    train = stored["is_train"].astype(bool)
    held_out = images[~train], stored["labels"][~train]
    return fa.Target.from_arrays(name, images[train], stored["labels"][train], list(map(str, stored["classes"])), held_out=held_out)


def part(name: str, size: int) -> fa.Target:
    """The target's training rows of this size, the same for every source."""
    target = load_set(name)
    return target.subset(max(size, target.num_classes), seed=0)


def test_rows(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers and labels of up to 500 held-out rows."""
    held_out = load_set(name).held_out
    assert held_out is not None
    rows = np.sort(stratified_order(held_out.labels, 0)[:TEST_ROWS])
    return rows, held_out.labels[rows]


def split(target: fa.Target) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation rows of a part, stratified."""
    order = stratified_order(target.labels, 1)
    count = round(VALIDATION_SHARE * len(order))
    return np.sort(order[:-count]), np.sort(order[-count:])


def digest(cell: Cell) -> int:
    """A seed for the cell's batches."""
    return int(hashlib.sha256(cell.key.encode()).hexdigest()[:8], 16)


def source_of(cell: Cell) -> Source:
    """The source of a cell, or its random twin."""
    source = _source(cell.source)
    return source if cell.twin is None else source.random_twin(cell.twin)


@cache
def _source(address: str) -> Source:
    return fa.load_source(address)
