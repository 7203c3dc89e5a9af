"""The targets of the design: python -m experiments.study.derived writes targets/NAME.npz.

Each is a data set as it comes, or with fewer or joined classes, with spoiled images, wrong labels,
or rare classes. All arithmetic is in whole numbers, so that the rows are the same on every machine.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from experiments.study.targets import UNPACKED, unpack
from featalign.strata import stratified_order
from featalign.targets.loaders import load_target
from featalign.training.rows import hold_out

MOST_TRAINING, MOST_TEST = 2400, 1000  # rows of what is not a whole data set
BLUR = 0.05  # deviation as a share of the side
NOISE = 40  # the sum of two numbers of at most this much
KERNEL = (1, 4, 6, 4, 1)
Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Derived:
    """A target: the archive it is made of, and what is done to classes, images and labels.

    Of the classes of a group one is made, and what is in no group is left out; no groups are all
    classes. The last class keeps the share `rarest` of its rows, those before it evenly more up to
    all.
    """

    name: str
    stored: str
    groups: Groups = ()
    change: str = ""  # "", or a function of CHANGES
    wrong_labels: float = 0.0  # this share of the training labels is another one
    rarest: float = 1.0

    @property
    def dataset(self) -> str:
        """The data set it was made of, which is left out whole."""
        return "omniglot" if self.stored.startswith("omniglot") else self.stored

    @property
    def is_whole(self) -> bool:
        """Whether it is the data set as it comes."""
        return self.name == self.stored


def alone(*labels: int) -> Groups:
    """These classes, none joined."""
    return tuple((label,) for label in labels)


def against(label: int, count: int) -> Groups:
    """One class against all others of so many."""
    return (label,), tuple(other for other in range(count) if other != label)


EVEN_ODD = (tuple(range(0, 10, 2)), tuple(range(1, 10, 2)))
SPORT, NATURE, CITY, TRAFFIC = (
    (2, 16, 18, 27),
    (1, 3, 9, 10, 11, 13, 15),
    (7, 8, 12, 14, 22, 24),
    (0, 4, 17, 20, 21, 29),
)

TARGETS = (
    Derived("mnist", "mnist"),
    Derived("mnist_3_5_8", "mnist", alone(3, 5, 8)),
    Derived("mnist_even_odd", "mnist", EVEN_ODD),
    Derived("mnist_small", "mnist", change="small"),
    Derived("mnist_noise", "mnist", change="noise"),
    Derived("mnist_wrong_labels", "mnist", wrong_labels=0.1),
    Derived("fashion_mnist", "fashion_mnist"),
    Derived("fashion_mnist_shirts", "fashion_mnist", alone(0, 2, 4, 6)),
    Derived("fashion_mnist_kinds", "fashion_mnist", ((0, 2, 3, 4, 6), (1,), (5, 7, 9), (8,))),
    Derived("fashion_mnist_noise", "fashion_mnist", change="noise"),
    Derived("fashion_mnist_pale", "fashion_mnist", change="pale"),
    Derived("fashion_mnist_rare", "fashion_mnist", rarest=0.1),
    Derived("cifar10", "cifar10"),
    Derived("cifar10_animals", "cifar10", alone(2, 3, 4, 5, 6, 7)),
    Derived("cifar10_living_or_not", "cifar10", ((2, 3, 4, 5, 6, 7), (0, 1, 8, 9))),
    Derived("cifar10_vehicles_grey", "cifar10", alone(0, 1, 8, 9), change="grey"),
    Derived("cifar10_blur", "cifar10", change="blur"),
    Derived("omniglot_alphabets", "omniglot_alphabets"),
    Derived("omniglot_three_alphabets", "omniglot_alphabets", alone(2, 3, 4)),
    Derived("omniglot_noise", "omniglot_alphabets", change="noise"),
    Derived("omniglot_20_characters", "omniglot_chars", alone(*range(5, 240, 12))),
    Derived("omniglot_60_characters", "omniglot_chars", alone(*range(0, 240, 4))),
    Derived("tiny_imagenet25", "tiny_imagenet25"),
    Derived("tiny_imagenet10", "tiny_imagenet25", alone(0, 3, 5, 7, 10, 12, 15, 19, 21, 24)),
    Derived("tiny_imagenet_kinds", "tiny_imagenet25", ((*range(8),), (*range(8, 23),), (23, 24))),
    Derived("tiny_imagenet25_small", "tiny_imagenet25", change="small"),
    Derived("tiny_imagenet25_grey", "tiny_imagenet25", change="grey"),
    Derived("tiny_imagenet_animals", "tiny_imagenet25", alone(*range(8))),
    Derived("aid30", "aid30"),
    Derived("aid8", "aid30", alone(*range(1, 30, 4))),
    Derived("aid_kinds", "aid30", (SPORT, NATURE, CITY, TRAFFIC)),
    Derived("aid30_blur", "aid30", change="blur"),
    Derived("aid15_pale", "aid30", alone(*range(0, 30, 2)), change="pale"),
    Derived("dtd10", "dtd10"),
    Derived("dtd4", "dtd10", alone(0, 3, 5, 7)),
    Derived("dtd10_grey", "dtd10", change="grey"),
    Derived("dtd10_noise", "dtd10", change="noise"),
    Derived("dtd6_small", "dtd10", alone(1, 2, 4, 6, 8, 9), change="small"),
    Derived("flowers5", "flowers5"),
    Derived("flowers_roses_tulips", "flowers5", alone(2, 4)),
    Derived("flowers5_grey", "flowers5", change="grey"),
    Derived("flowers5_rare", "flowers5", rarest=0.15),
    Derived("flowers5_wrong_labels", "flowers5", wrong_labels=0.1),
    Derived("magnetic_tile_defects", "magnetic_tile_defects"),
    Derived("magnetic_tile_sound_or_not", "magnetic_tile_defects", against(4, 6)),
    Derived("magnetic_tile_three", "magnetic_tile_defects", alone(0, 1, 5)),
    Derived("magnetic_tile_blur", "magnetic_tile_defects", change="blur"),
    Derived("magnetic_tile_pale", "magnetic_tile_defects", change="pale"),
    Derived("xsdd7", "xsdd7"),
    Derived("xsdd_scratches_or_not", "xsdd7", against(6, 7)),
    Derived("xsdd_four", "xsdd7", alone(3, 4, 5, 6)),
    Derived("xsdd7_noise", "xsdd7", change="noise"),
    Derived("xsdd7_small", "xsdd7", change="small"),
    Derived("leather27", "leather27"),
    Derived("leather8", "leather27", alone(*range(0, 24, 3))),
    Derived("leather13_small", "leather27", alone(*range(1, 27, 2)), change="small"),
    Derived("leather27_blur", "leather27", change="blur"),
    Derived("leather27_pale", "leather27", change="pale"),
    Derived("malaria_cells", "malaria_cells"),
    Derived("malaria_cells_small", "malaria_cells", change="small"),
    Derived("malaria_cells_noise", "malaria_cells", change="noise"),
    Derived("malaria_cells_rare", "malaria_cells", rarest=0.2),
    Derived("malaria_cells_wrong_labels", "malaria_cells", wrong_labels=0.1),
    Derived("brain_mri4", "brain_mri4"),
    Derived("brain_tumour_or_not", "brain_mri4", against(2, 4)),
    Derived("brain_kinds", "brain_mri4", alone(0, 1, 3)),
    Derived("brain_mri4_noise", "brain_mri4", change="noise"),
    Derived("brain_mri4_pale", "brain_mri4", change="pale"),
    Derived("apple_leaf4", "apple_leaf4"),
    Derived("apple_healthy_or_not", "apple_leaf4", against(3, 4)),
    Derived("apple_leaf4_grey", "apple_leaf4", change="grey"),
    Derived("apple_leaf4_blur", "apple_leaf4", change="blur"),
    Derived("apple_leaf4_rare", "apple_leaf4", rarest=0.2),
    Derived("trashnet6", "trashnet6"),
    Derived("trashnet_glass_metal_plastic", "trashnet6", alone(1, 2, 4)),
    Derived("trashnet6_grey", "trashnet6", change="grey"),
    Derived("trashnet6_small", "trashnet6", change="small"),
    Derived("trashnet6_wrong_labels", "trashnet6", wrong_labels=0.1),
    Derived("fer7", "fer7"),
    Derived("fer_happy_sad_surprise", "fer7", alone(3, 5, 6)),
    Derived("fer_happy_or_not", "fer7", against(3, 7)),
    Derived("fer7_blur", "fer7", change="blur"),
    Derived("fer4_small", "fer7", alone(0, 3, 4, 6), change="small"),
    Derived("devanagari36", "devanagari36"),
    Derived("devanagari12", "devanagari36", alone(*range(0, 36, 3))),
    Derived(
        "devanagari_four_groups",
        "devanagari36",
        tuple(tuple(range(first, 36, 4)) for first in range(4)),
    ),
    Derived("devanagari36_noise", "devanagari36", change="noise"),
    Derived("devanagari18_small", "devanagari36", alone(*range(1, 36, 2)), change="small"),
    Derived("chars74k_fonts", "chars74k_fonts"),
    Derived("chars74k_numerals", "chars74k_fonts", alone(*range(10))),
    Derived("chars74k_numeral_or_letter", "chars74k_fonts", ((*range(10),), (*range(10, 34),))),
    Derived("chars74k_noise", "chars74k_fonts", change="noise"),
    Derived("chars74k_pale", "chars74k_fonts", change="pale"),
    Derived("spoken_digit_spectrograms", "spoken_digit_spectrograms"),
    Derived("spoken_four", "spoken_digit_spectrograms", alone(0, 3, 6, 9)),
    Derived("spoken_blur", "spoken_digit_spectrograms", change="blur"),
    Derived("spoken_noise", "spoken_digit_spectrograms", change="noise"),
    Derived("spoken_wrong_labels", "spoken_digit_spectrograms", wrong_labels=0.1),
    Derived("shape_count8", "shape_count8"),
    Derived("shape_count_few_or_many", "shape_count8", ((0, 1, 2, 3), (4, 5, 6, 7))),
    Derived("shape_count_to_3", "shape_count8", alone(0, 1, 2)),
    Derived("shape_count8_blur", "shape_count8", change="blur"),
    Derived("shape_count8_pale", "shape_count8", change="pale"),
    Derived("digits", "digits"),
    Derived("digits_five", "digits", alone(1, 4, 7, 8, 9)),
    Derived("digits_even_odd", "digits", EVEN_ODD),
    Derived("digits_noise", "digits", change="noise"),
    Derived("digits_rare", "digits", rarest=0.1),
)


def grey(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Luminance (ITU-R 601) of colour images."""
    del random
    return ((images.astype(np.int32) @ np.array([299, 587, 114]) + 500) // 1000).astype(np.uint8)


def pale(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Three tenths of the contrast, around mid-grey."""
    del random
    return (128 + 3 * (images.astype(np.int32) - 128) // 10).astype(np.uint8)


def noise(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """With noise of its own in every pixel."""
    added = random.integers(-NOISE, NOISE + 1, (2, *images.shape)).sum(axis=0)
    return np.clip(images + added, 0, 255).astype(np.uint8)


def small(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Means of squares, so that the side is 14 to 25 pixels."""
    del random
    step = -(-images.shape[1] // 25)
    side = images.shape[1] // step
    cut, shape = images[:, : side * step, : side * step].astype(np.int32), images.shape[3:]
    squares = cut.reshape(len(cut), side, step, side, step, -1).sum(axis=(2, 4))
    means = (squares + step**2 // 2) // step**2
    return means.reshape(len(cut), side, side, *shape).astype(np.uint8)


def blur(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Binomial filters, edges repeated, until the deviation is a twentieth of the side."""
    del random
    for _ in range(max(1, round((BLUR * images.shape[1]) ** 2))):
        for axis in (1, 2):
            reach = [(2, 2) if place == axis else (0, 0) for place in range(images.ndim)]
            padded = np.pad(images, reach, mode="edge").astype(np.int32)
            total = np.full(images.shape, 8, np.int32)
            for first, weight in enumerate(KERNEL):
                total += weight * np.take(padded, range(first, first + images.shape[axis]), axis)
            images = (total // 16).astype(np.uint8)
    return images


CHANGES = {"grey": grey, "pale": pale, "noise": noise, "small": small, "blur": blur}


def derive(target: Derived, stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a target, from those of its archive."""
    if target.is_whole:
        return dict(stored)
    digest = hashlib.sha256(target.name.encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    count = len(stored["classes"])
    groups = target.groups or alone(*range(count))
    names = ["+".join(str(stored["classes"][label]) for label in group) for group in groups]
    found: dict[str, np.ndarray] = {"classes": np.array(names)}
    place = np.full(count, -1)
    for number, group in enumerate(groups):
        place[list(group)] = number
    for part, most in (("train", MOST_TRAINING), ("test", MOST_TEST)):
        labels = place[stored[f"y_{part}"].astype(np.int64)]
        rows = _kept(labels, len(groups), target.rarest, random)
        rows = np.sort(rows[stratified_order(labels[rows], 0)[:most]])
        images, labels = stored[f"x_{part}"][rows], labels[rows]
        if target.change:
            images = CHANGES[target.change](images, random)
        if part == "train" and target.wrong_labels:
            wrong = random.permutation(len(labels))[: round(target.wrong_labels * len(labels))]
            others = random.integers(1, len(groups), len(wrong))
            labels[wrong] = (labels[wrong] + others) % len(groups)
        found |= {f"x_{part}": images, f"y_{part}": labels}
    return found


def _kept(labels: np.ndarray, count: int, rarest: float, random: np.random.Generator) -> np.ndarray:
    """Rows of the classes that are left, of later ones a smaller part."""
    kept = []
    for label in range(count):
        rows = random.permutation(np.flatnonzero(labels == label))
        share = 1 - (1 - rarest) * label / (count - 1)
        kept.append(rows[: max(2, round(share * len(rows)))])
    return np.sort(np.concatenate(kept))


def stored_arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of a data set; of scikit-learn's digits the test is what training holds out."""
    if name != "digits":
        return unpack(name)
    digits = hold_out(load_target("sklearn:digits"))
    assert digits.held_out is not None
    found = {"classes": np.array(digits.class_names)}
    for part, rows in (("train", digits), ("test", digits.held_out)):
        images = np.stack([np.asarray(image) for image in rows.inputs.read(np.arange(len(rows)))])
        found |= {f"x_{part}": images, f"y_{part}": rows.labels}
    return found


def main() -> None:
    UNPACKED.mkdir(exist_ok=True)
    for name in dict.fromkeys(target.stored for target in TARGETS):
        of_this = [each for each in TARGETS if each.stored == name]
        if name == "digits":
            of_this = of_this[1:]  # the whole comes with scikit-learn
        wanted = [each for each in of_this if not (UNPACKED / f"{each.name}.npz").exists()]
        stored = stored_arrays(name) if wanted else {}
        for target in wanted:
            made = derive(target, stored)
            np.savez(UNPACKED / f"{target.name}.npz", **made)  # type: ignore[arg-type]
            print(target.name, flush=True)


if __name__ == "__main__":
    main()
