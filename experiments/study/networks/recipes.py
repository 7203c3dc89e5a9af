"""What each network of the design is trained on: well, badly, narrowly and wrongly, by degrees."""

from experiments.zoo.recipes import Recipe

LIVING, MADE = (2, 3, 4, 5, 6, 7), (0, 1, 8, 9)  # classes of cifar10
NOT_SHIPS = tuple(label for label in range(10) if label != 8)
STANDARDS = {"resnet": "resnet_aerial", "plain": "plain_clothing", "vit": "vit_digits"}


def _recipe(name: str, dataset: str, description: str, **fields) -> Recipe:
    """A recipe; the name begins with the architecture, and all networks of one see images alike."""
    architecture = next(each for each in ARCHITECTURE_NAMES if name.startswith(f"{each}_"))
    standard = STANDARDS[architecture.split("_")[-1]]
    return Recipe(name, architecture, dataset, description, standard=standard, **fields)


ARCHITECTURE_NAMES = (
    "narrow_resnet",
    "wide_resnet",
    "deep_resnet",
    "narrow_plain",
    "wide_plain",
    "deep_vit",
    "resnet",
    "plain",
    "vit",
)

RECIPES = (
    # few epochs, and augmentation that turns the world upside down
    _recipe(
        "resnet_imagenet_1_epoch",
        "tiny_imagenet175",
        "natural objects, 1 epoch",
        flip=True,
        epochs=1,
    ),
    _recipe(
        "resnet_imagenet_3_epochs",
        "tiny_imagenet175",
        "natural objects, 3 epochs",
        flip=True,
        epochs=3,
    ),
    _recipe(
        "resnet_imagenet_turned",
        "tiny_imagenet175",
        "natural objects, turned and negative",
        turn=True,
        invert=True,
        epochs=3,
    ),
    _recipe("wide_resnet_imagenet", "tiny_imagenet175", "natural objects", flip=True, epochs=4),
    _recipe("deep_resnet_imagenet", "tiny_imagenet175", "natural objects", flip=True, epochs=4),
    _recipe(
        "plain_imagenet_half_wrong",
        "tiny_imagenet175",
        "natural objects, half of the labels wrong",
        flip=True,
        wrong_labels=0.5,
        epochs=3,
    ),
    # few images, wrong labels, few and coarse classes
    _recipe(
        "resnet_objects_500",
        "cifar10",
        "500 images of natural objects",
        flip=True,
        limit=500,
        epochs=7,
    ),
    _recipe(
        "resnet_objects_5000",
        "cifar10",
        "5,000 images of natural objects",
        flip=True,
        limit=5000,
        epochs=9,
    ),
    _recipe(
        "resnet_objects_quarter_wrong",
        "cifar10",
        "natural objects, a quarter of the labels wrong",
        limit=6000,
        wrong_labels=0.25,
        epochs=8,
    ),
    _recipe(
        "resnet_objects_half_wrong",
        "cifar10",
        "natural objects, half of the labels wrong",
        limit=6000,
        wrong_labels=0.5,
        epochs=8,
    ),
    _recipe(
        "resnet_objects_mostly_wrong",
        "cifar10",
        "natural objects, most labels wrong",
        limit=6000,
        wrong_labels=0.75,
        epochs=8,
    ),
    _recipe(
        "resnet_cats_and_dogs",
        "cifar10",
        "cats and dogs",
        flip=True,
        groups=((3,), (5,)),
        limit=4000,
        epochs=6,
    ),
    _recipe(
        "resnet_living_or_not",
        "cifar10",
        "natural objects, living or made",
        flip=True,
        groups=(LIVING, MADE),
        limit=6000,
        epochs=6,
    ),
    _recipe(
        "resnet_ships_or_not",
        "cifar10",
        "natural objects, ships or not",
        flip=True,
        groups=((8,), NOT_SHIPS),
        limit=6000,
        epochs=4,
    ),
    _recipe("narrow_resnet_objects", "cifar10", "natural objects", flip=True, limit=8000, epochs=9),
    _recipe("wide_plain_objects", "cifar10", "natural objects", flip=True, limit=8000, epochs=6),
    _recipe("deep_vit_objects", "cifar10", "natural objects", flip=True, limit=8000, epochs=5),
    _recipe("resnet_digits_100", "mnist", "100 images of handwritten digits", limit=100, epochs=4),
    _recipe(
        "resnet_digits_turned",
        "mnist",
        "handwritten digits, turned and mirrored",
        flip=True,
        turn=True,
        epochs=5,
    ),
    _recipe(
        "plain_digits_half_wrong",
        "mnist",
        "handwritten digits, half of the labels wrong",
        limit=3000,
        wrong_labels=0.5,
        epochs=7,
    ),
    _recipe(
        "resnet_clothing_too_fast",
        "fashion_mnist",
        "clothing, learning rate far too high",
        rate=0.1,
        epochs=4,
    ),
    _recipe("wide_resnet_clothing", "fashion_mnist", "clothing", epochs=6),
    _recipe("vit_clothing", "fashion_mnist", "clothing", epochs=5),
    # other data
    _recipe("resnet_faces", "fer7", "facial expressions", flip=True, epochs=12),
    _recipe("narrow_plain_faces", "fer7", "facial expressions", flip=True, epochs=10),
    _recipe("resnet_cells", "malaria_cells", "blood cells", flip=True, turn=True, epochs=10),
    _recipe("resnet_leather", "leather27", "leather grains", flip=True, shift=4, epochs=12),
    _recipe("resnet_fonts", "chars74k_fonts", "printed characters", epochs=10),
    _recipe(
        "narrow_resnet_fonts",
        "chars74k_fonts",
        "printed characters, a quarter of the labels wrong",
        wrong_labels=0.25,
        epochs=10,
    ),
    _recipe("resnet_speech", "spoken_digit_spectrograms", "spoken digits as pictures", epochs=8),
    _recipe("resnet_steel", "xsdd7", "steel surface defects", flip=True, epochs=10),
    _recipe("plain_devanagari", "devanagari36", "handwritten Devanagari consonants", epochs=12),
    _recipe("deep_resnet_leaves", "apple_leaf4", "leaf diseases", flip=True, turn=True, epochs=8),
    _recipe("narrow_resnet_brains", "brain_mri4", "slices of brains", flip=True, epochs=8),
    _recipe("plain_shapes", "shape_count8", "how many shapes", flip=True, turn=True, epochs=10),
    _recipe("resnet_waste", "trashnet6", "waste by material", flip=True, turn=True, epochs=8),
    _recipe(
        "deep_resnet_characters",
        "omniglot_chars",
        "handwritten characters of 8 alphabets",
        epochs=10,
    ),
    _recipe("wide_resnet_aerial", "aid30", "aerial scenes", flip=True, shift=4, epochs=8),
    _recipe("resnet_textures_1_epoch", "dtd10", "textures, 1 epoch", flip=True, shift=4, epochs=1),
    _recipe("plain_flowers", "flowers5", "flowers", flip=True, shift=4, epochs=8),
    _recipe(
        "deep_vit_things",
        "tiny_imagenet25",
        "natural objects, 25 classes",
        flip=True,
        shift=4,
        epochs=5,
    ),
)
