"""What a target's inputs are against what a source declares.

The difference is said with the numbers, and shown with the ranking.
"""

import numpy as np
import pytest

import featalign as fa
from featalign.sources.input_form import InputForm, misfits
from featalign.sources.reading import Reading
from featalign.sources.source import Source

LABELS = np.arange(8) % 2


def target(images):
    return fa.Target.from_arrays("mine", images, LABELS)


def noise(*shape, top=256):
    return np.random.default_rng(0).integers(0, top, (8, *shape)).astype(np.uint8)


@pytest.mark.parametrize(
    ("form", "images", "words"),
    [
        (InputForm((224, 224), 3), noise(200, 300, 3), []),
        (
            InputForm((224, 224), 3),
            noise(28, 28, 3),
            ["images of 28 x 28 are enlarged 8 times to 224 x 224"],
        ),
        (
            InputForm((16, 16), 3),
            noise(160, 320, 3),
            ["images of 160 x 320 are shrunk 20 times to 16 x 16"],
        ),
        (InputForm((32, 32), 3), noise(32, 32), ["images have 1 channel, the source declares 3"]),
        (
            InputForm((32, 32), 1),
            noise(32, 32, 3),
            ["images have 3 channels, the source declares 1"],
        ),
        (
            InputForm((32, 32), 3),
            noise(32, 32, 4),
            ["images have 4 channels, the source declares 3: transparency is dropped"],
        ),
        (
            InputForm((32, 32)),
            noise(32, 32, 3, top=17),
            ["pixels lie from 0 to 16, the source expects 0 to 255"],
        ),
        (
            InputForm((32, 32)),
            noise(32, 32, 3) / 255 / 255,
            ["pixels lie from 0 to 0.00392157, the source expects 0 to 1"],
        ),
        (InputForm((32, 32)), noise(32, 32, 3) / 255, []),
        (InputForm(), noise(28, 28, top=3), []),
        (InputForm(), noise(28, 28, 4), ["images have 4 channels, the last of them transparency"]),
        (
            InputForm((32, 32)),
            noise(32, 32, 4),
            ["images have 4 channels, the last of them transparency"],
        ),
    ],
)
def test_images(form, images, words):
    found = misfits(form, target(images))
    assert len(found) == len(words)
    assert all(said.startswith(word) for said, word in zip(found, words, strict=True))


def test_texts():
    texts = fa.Target.from_arrays("mine", ["a b c", "a", "b", "a b c d e"] * 2, LABELS)
    form = InputForm(max_tokens=3, count_tokens=lambda rows: [len(row.split()) for row in rows])
    assert misfits(form, texts) == (
        "25% of the texts have more than 3 tokens, the most that the source reads (median 2, "
        "longest 5), and are cut",
    )
    assert misfits(InputForm(max_tokens=5, count_tokens=form.count_tokens), texts) == ()


def test_what_does_not_fit_is_shown_with_the_row(tmp_path, capsys):
    from rich.console import Console

    from featalign.views.sheets import sheet_of
    from featalign.views.text import print_sheet

    source = Source(
        "mine",
        "1",
        lambda images, layers: {
            layer: np.stack([image.mean(axis=(0, 1)) for image in images]) for layer in layers
        },
        ("first", "features"),
        reading=Reading(input_kind="image", form=InputForm((224, 224), 3)),
    )
    ranking = fa.rank(
        source, target(noise(28, 28, 3)), cache=tmp_path, scorers=["knn"], layers="all"
    )
    assert all(len(row.warnings) == 1 for row in ranking.rows)
    assert list(ranking.warnings.values()) == [tuple(row.layer for row in ranking.rows)]
    assert "enlarged 8 times" in ranking.to_records()[0]["warnings"][0]
    assert str(ranking).count("enlarged 8 times") == 1
    print_sheet(sheet_of(ranking), Console(width=200))
    assert capsys.readouterr().out.count("enlarged 8 times") == 1
