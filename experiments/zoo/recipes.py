"""What each source of the zoo is trained on: one row a source."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One source: architecture, pretraining set, and what is done to images and labels."""

    name: str
    architecture: str  # resnet | plain | vit
    dataset: str
    description: str
    flip: bool = False  # random horizontal flips
    shift: int = 2  # random shifts by up to this many pixels
    # "labels": shuffled labels; "pixels": one fixed permutation of pixels; "noise": noise in place
    # of images
    spoil: str = ""
    limit: int | None = None  # use this many training images
    groups: tuple[tuple[int, ...], ...] = ()  # use these classes alone, those of a group as one
    wrong_labels: float = 0.0  # this share of the training labels is drawn at random
    turn: bool = False  # random quarter turns
    invert: bool = False  # half of the images as their negatives
    epochs: int | None = None  # at most so many
    rate: float = 1e-3  # the learning rate it begins with
    standard: str = ""  # the network of the zoo whose preprocessing it has


RECIPES = (
    Recipe("resnet_cifar10", "resnet", "cifar10", "natural objects, 10 classes", flip=True),
    Recipe(
        "resnet_tiny_imagenet",
        "resnet",
        "tiny_imagenet175",
        "natural objects, 175 classes",
        flip=True,
    ),
    Recipe("resnet_digits", "resnet", "mnist", "handwritten digits"),
    Recipe("resnet_clothing", "resnet", "fashion_mnist", "clothing"),
    Recipe(
        "resnet_characters",
        "resnet",
        "omniglot_chars",
        "handwritten characters of 8 alphabets, 242 classes",
    ),
    Recipe("resnet_aerial", "resnet", "aid30", "aerial scenes", flip=True, shift=4),
    Recipe("resnet_textures", "resnet", "dtd10", "textures", flip=True, shift=4),
    Recipe("resnet_flowers", "resnet", "flowers5", "flowers", flip=True, shift=4),
    Recipe(
        "resnet_random_labels",
        "resnet",
        "cifar10",
        "natural objects with random labels (ought to harm)",
        spoil="labels",
        shift=0,
        limit=4000,
    ),
    Recipe(
        "resnet_shuffled_pixels",
        "resnet",
        "cifar10",
        "natural objects with shuffled pixels (ought to harm)",
        spoil="pixels",
        shift=0,
        limit=20000,
    ),
    Recipe(
        "resnet_noise",
        "resnet",
        "cifar10",
        "noise images with random labels (ought to harm)",
        spoil="noise",
        shift=0,
        limit=2000,
    ),
    Recipe("plain_cifar10", "plain", "cifar10", "natural objects, 10 classes", flip=True),
    Recipe(
        "plain_tiny_imagenet",
        "plain",
        "tiny_imagenet175",
        "natural objects, 175 classes",
        flip=True,
    ),
    Recipe("plain_clothing", "plain", "fashion_mnist", "clothing"),
    Recipe(
        "plain_characters",
        "plain",
        "omniglot_chars",
        "handwritten characters of 8 alphabets, 242 classes",
    ),
    Recipe("vit_cifar10", "vit", "cifar10", "natural objects, 10 classes", flip=True),
    Recipe(
        "vit_tiny_imagenet", "vit", "tiny_imagenet175", "natural objects, 175 classes", flip=True
    ),
    Recipe("vit_digits", "vit", "mnist", "handwritten digits"),
)
