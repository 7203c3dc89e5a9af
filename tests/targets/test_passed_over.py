"""Files and rows that are not taken: which they are, and that they are said."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageOps

import featalign as fa
from featalign.errors import FeatalignError
from featalign.targets.conversion import as_inputs
from featalign.targets.images import EXTENSIONS, decode_image
from featalign.targets.loaders import load_target
from featalign.targets.not_images import why_no_images
from tests.targets.pictures import random_images, write_folder

NAMES = ["rose", "daisy"] * 3


@pytest.fixture
def flowers(tmp_path):
    return write_folder(tmp_path / "flowers", random_images(6), NAMES)


@pytest.mark.parametrize(
    ("ending", "form"),
    [(".avif", "AVIF"), (".jp2", "JPEG2000"), (".JPE", "JPEG"), (".tga", "TGA"), ("", "PNG")],
)
def test_more_formats_are_taken(flowers, ending, form):
    if form == "AVIF" and ".avif" not in Image.registered_extensions():
        pytest.skip("this Pillow has no AVIF")
    Image.fromarray(random_images(1, (32, 32, 3))[0]).save(flowers / "rose" / f"n{ending}", form)
    target = load_target(flowers)
    assert (len(target), target.remarks) == (7, ())
    assert len(target.inputs.read(np.arange(7))) == 7


def test_pillow_knows_the_extensions():
    Image.init()
    known = {ending.lower() for ending in Image.registered_extensions()}
    assert {ending for ending in EXTENSIONS if ending != ".avif"} <= known | {".jpx"}


def test_what_is_passed_over_is_counted_with_reasons(flowers):
    for name in ("a.heic", "b.HEIC", "notes.txt", "raw"):
        (flowers / "rose" / name).write_bytes(b"no image")
    (flowers / "daisy" / "gone.png").symlink_to(flowers / "nowhere.png")
    Image.fromarray(random_images(1)[0]).save(flowers / "loose.png")
    (remark,) = load_target(flowers).remarks
    assert "2 .heic (needs pillow-heif; save them as .jpg or .png)" in remark
    assert "1 .txt and 1 without an extension in rose" in remark
    assert "1 broken links in daisy" in remark
    assert "1 images in no class folder in flowers" in remark


def test_a_class_of_broken_links_or_of_foreign_files_says_so(flowers):
    (flowers / "tulip").mkdir()
    (flowers / "tulip" / "a.png").symlink_to("/nowhere/a.png")
    with pytest.raises(FeatalignError, match=r"tulip: .* got 1 broken links in it"):
        load_target(flowers)
    (flowers / "tulip" / "b.heic").write_bytes(b"...")
    with pytest.raises(FeatalignError, match=r"got 2 other files such as b\.heic"):
        load_target(flowers)


@pytest.mark.parametrize(
    "name", ["@eaDir", "$RECYCLE.BIN", "__MACOSX", "System Volume Information", "#recycle"]
)
def test_folders_of_the_system_are_no_data(flowers, name):
    before = load_target(flowers).fingerprint
    write_folder(flowers, random_images(2), [name] * 2)
    write_folder(flowers / "rose", random_images(2), [name] * 2)
    (flowers / "rose" / "Thumbs.db").write_bytes(b"")
    target = load_target(flowers)
    assert (target.fingerprint, target.remarks) == (before, ())


def test_remarks_reach_the_ranking_whatever_is_asked_for(flowers):
    (flowers / "rose" / "notes.txt").write_text("no image")
    target = load_target(flowers)
    pixels = fa.Source.from_function("mean", _means, revision="1")
    ranking = fa.rank([pixels], target.subset(4), scorers=["knn"])
    assert ranking.target_warnings[0] == "passed over: 1 .txt in rose"
    assert "passed over" in str(ranking)


def _means(images):
    return np.stack([np.asarray(image, np.float32).mean(axis=(0, 1)) for image in images])


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_images_are_turned_as_their_tag_says(form, tag):
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x0112] = tag
    Image.fromarray(random_images(1, (5, 7, 3))[0]).save(content, form, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content.getvalue())))
    np.testing.assert_array_equal(decode_image("x", content.getvalue()), np.asarray(expected))


@pytest.mark.parametrize(
    ("values", "reason", "remedy"),
    [
        (np.zeros((2, 1, 9, 9), np.uint8), "channels first", "transpose"),
        (np.zeros((2, 8, 8, 13), np.uint8), "13 channels", "choose 1, 3 or 4"),
        (np.full((2, 8, 8), 1040, np.int16), "int16 from 1040 to 1040", "clip"),
        (np.full((2, 8, 8), 4000, np.uint16), "uint16", ">> 8"),
        (np.linspace(-1, 1, 128).reshape(2, 8, 8), "floats from -1 to 1", r"\(inputs \+ 1\) / 2"),
        (np.linspace(-2.1, 2.6, 128).reshape(2, 8, 8), "floats", "normalisation"),
        (np.linspace(0, 255, 128).reshape(2, 8, 8), "floats from 0 to 255", "/ 255"),
        (np.full((2, 784), 255.0), r"shape \(N, 784\)", r"reshape\(-1, 28, 28\)"),
        (np.zeros((2, 4, 8, 8, 3), np.uint8), "4 axes for each row", "one a row"),
    ],
)
def test_what_keeps_an_array_from_being_images(values, reason, remedy):
    inputs = as_inputs(values)
    assert inputs.kind == "array"
    target = fa.Target.from_arrays("t", inputs, [0, 1])
    with pytest.raises(FeatalignError, match=f"{reason}.*{remedy}"):
        fa.rank(["zoo/resnet_digits"], target, scorers=["knn"])


@pytest.mark.parametrize("values", [np.zeros((2, 8, 8), np.uint8), ["a", "b"], np.ones((2, 3, 3))])
def test_what_is_no_array_needs_no_reason(values):
    assert why_no_images(as_inputs(values)) is None


def encoded(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("form", ["bytes", "bytes alone", "bytes and path", "and more"])
@pytest.mark.parametrize("first", [0, 2])
def test_columns_of_images_are_known_by_the_column(tmp_path, form, first):
    pyarrow = pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "featalign[data]"')
    from pyarrow import parquet

    images = random_images(4)
    forms = {
        "bytes": lambda content: content,
        "bytes alone": lambda content: {"bytes": content},
        "and more": lambda content: {"bytes": content, "height": 6},
        "bytes and path": lambda content: {"bytes": content, "path": "a.png"},
    }
    column = [None] * first + [forms[form](encoded(image)) for image in images]
    rows = {
        "picture": column,
        "id": list(range(len(column))),
        "label": list("xyxyxy")[: len(column)],
    }
    parquet.write_table(pyarrow.table(rows), tmp_path / "set.parquet")
    target = load_target(tmp_path / "set.parquet")
    assert target.kind == "image"
    np.testing.assert_array_equal(target.inputs.read(np.arange(first, first + 4)), images)
    if first:
        with pytest.raises(FeatalignError, match="row 0: expected an image, got none"):
            target.inputs.read(np.arange(2))


def test_paths_of_heic_images_are_no_texts(tmp_path):
    (tmp_path / "set.csv").write_text("file,label\na.heic,x\nb.HEIC,y\n")
    (tmp_path / "a.heic").write_bytes(b"....ftypheic")
    with pytest.raises(FeatalignError, match=r"a\.heic: .* without pillow-heif"):
        load_target(tmp_path / "set.csv")


def test_images_in_a_form_that_is_not_read(tmp_path):
    rows = [{"image": [[0, 1], [2, 3]], "label": row % 2} for row in range(4)]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(FeatalignError, match=r"images are read as the bytes of a file"):
        load_target(tmp_path / "set.jsonl")


def test_types_of_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "featalign[data]"')
    import datetime
    from decimal import Decimal

    from pyarrow import parquet

    def load(labels, **options):
        rows = {"text": [f"t{row}" for row in range(len(labels))], "label": labels}
        parquet.write_table(pyarrow.table(rows), tmp_path / "set.parquet")
        return load_target(tmp_path / "set.parquet", **options)

    assert load([Decimal("1.50"), Decimal("2.25")]).task == "regression"
    assert load(pyarrow.array(["x", "y", "x"]).dictionary_encode()).class_names == ("x", "y")
    with pytest.raises(FeatalignError, match=r"row 0: .* the date 2024-01-02"):
        load([datetime.date(2024, 1, 2), datetime.date(2024, 1, 3)])
    lists = load([["a"], ["a", "b"], ["b"]])
    assert lists.task == "multilabel"


def test_repeated_names_are_refused(tmp_path):
    (tmp_path / "set.csv").write_text("text,label,label\na,x,y\nb,y,x\n")
    with pytest.raises(FeatalignError, match="line 1: expected every column once, got 'label'"):
        load_target(tmp_path / "set.csv")
    (tmp_path / "set.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "a", "text": "b"}\n')
    with pytest.raises(FeatalignError, match="line 2: expected every key once, got 'text'"):
        load_target(tmp_path / "set.jsonl")
    pyarrow = pytest.importorskip("pyarrow", reason='needs pyarrow: pip install "featalign[data]"')
    from pyarrow import parquet

    twice = pyarrow.Table.from_arrays([["a"], ["b"]], names=["text", "text"])
    parquet.write_table(twice, tmp_path / "set.parquet")
    with pytest.raises(FeatalignError, match="expected every column once, got 'text' more than"):
        load_target(tmp_path / "set.parquet")


@pytest.mark.parametrize("missing", ["text", "label", "split"])
def test_the_columns_of_json_are_the_keys_of_any_row(tmp_path, missing):
    rows = [
        {"text": f"t{row}", "label": "xy"[row % 2], "split": ("train", "test")[row > 3]}
        for row in range(6)
    ]
    del rows[0][missing]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(FeatalignError, match=rf"line 1: expected .*{missing}"):
        load_target(tmp_path / "set.jsonl")


def test_links_and_files_beside_the_classes_are_counted(flowers):
    (flowers / "tulip").symlink_to("/nowhere/tulip")
    (flowers / "list.csv").write_text("a")
    assert load_target(flowers).remarks == ("passed over: 1 .csv and 1 broken links in flowers",)


def test_images_in_folders_within_a_class_are_said(flowers):
    write_folder(flowers / "rose", random_images(2), ["masks"] * 2)
    target = load_target(flowers)
    assert len(target) == 8
    assert "2 images in folders within rose (masks)" in target.remarks[0]


def test_pixels_without_a_known_range_are_refused(tmp_path):
    for dtype in (np.int32, np.float32):
        Image.fromarray(np.arange(16, dtype=dtype).reshape(4, 4)).save(tmp_path / "x.tif")
        with pytest.raises(FeatalignError, match="ones without a known range; save it with 8 bits"):
            decode_image(tmp_path / "x.tif")
