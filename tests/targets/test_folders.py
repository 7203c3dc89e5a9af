import numpy as np
import pytest
from PIL import Image

from featalign.errors import FeatalignError
from featalign.targets import inputs as inputs_module
from featalign.targets.loaders import load_target
from tests.targets.pictures import random_images, write_folder

IMAGES = random_images(6)
NAMES = ["rose", "daisy", "rose", "tulip", "daisy", "tulip"]


def test_class_folders(tmp_path):
    target = load_target(write_folder(tmp_path / "flowers", IMAGES, NAMES))
    assert repr(target) == "Target('flowers', 6 images, 3 classes)"
    assert target.class_names == ("daisy", "rose", "tulip")
    np.testing.assert_array_equal(target.labels, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(target.inputs.read(np.arange(6)), IMAGES[[1, 4, 0, 2, 3, 5]])


def test_loading_and_subsetting_decode_nothing(tmp_path, monkeypatch):
    write_folder(tmp_path, IMAGES, NAMES)
    monkeypatch.setattr(inputs_module, "decode_image", lambda path: pytest.fail(f"decoded {path}"))
    assert len(load_target(tmp_path, subset=4)) == 4


def test_the_fingerprint_ignores_where_and_how_the_images_are_stored(tmp_path):
    first = load_target(write_folder(tmp_path / "here", IMAGES, NAMES))
    second = load_target(write_folder(tmp_path / "there", IMAGES, NAMES, ".bmp"))
    assert first.fingerprint == second.fingerprint
    changed = IMAGES.copy()
    changed[0, 0, 0, 0] ^= 1
    assert (
        load_target(write_folder(tmp_path / "changed", changed, NAMES)).fingerprint
        != first.fingerprint
    )


def test_a_folder_and_an_npz_of_the_same_rows_are_the_same_target(tmp_path):
    folder = load_target(write_folder(tmp_path / "flowers", IMAGES, sorted(NAMES)))
    np.savez(
        tmp_path / "flowers.npz",
        inputs=IMAGES,
        labels=[0, 0, 1, 1, 2, 2],
        classes=np.array(["daisy", "rose", "tulip"]),
    )
    archive = load_target(tmp_path / "flowers.npz")
    np.testing.assert_array_equal(folder.inputs.row_digests(), archive.inputs.row_digests())
    assert folder.fingerprint == archive.fingerprint


@pytest.mark.parametrize("held", ["test", "val", "valid", "validation"])
def test_train_and_held_out_folders(tmp_path, held):
    write_folder(tmp_path / "train", IMAGES, NAMES)
    write_folder(tmp_path / held, IMAGES[:2], ["tulip", "rose"])
    (tmp_path / held / "daisy").mkdir()  # a class may lack held-out images
    target = load_target(tmp_path)
    assert len(target) == 6
    assert target.held_out is not None
    np.testing.assert_array_equal(target.held_out.labels, [1, 2])
    np.testing.assert_array_equal(target.held_out.inputs.read(np.arange(2)), IMAGES[[1, 0]])


def test_test_comes_before_val_and_unlabelled_test_images_are_passed_over(tmp_path):
    write_folder(tmp_path / "train", IMAGES, NAMES)
    write_folder(tmp_path / "val", IMAGES[:2], ["tulip", "rose"])
    Image.fromarray(IMAGES[0]).save(_folder(tmp_path / "test") / "unlabelled.png")
    target = load_target(tmp_path)
    assert target.held_out is not None
    assert len(target.held_out) == 2
    write_folder(tmp_path / "test", IMAGES[:3], ["tulip", "rose", "rose"])
    target = load_target(tmp_path)
    assert target.held_out is not None
    assert len(target.held_out) == 3


def test_train_alone_is_a_part_but_among_others_a_class(tmp_path):
    write_folder(tmp_path / "parts" / "train", IMAGES, NAMES)
    assert load_target(tmp_path / "parts").class_names == ("daisy", "rose", "tulip")
    write_folder(tmp_path / "flat", IMAGES, ["train", "plane"] * 3)
    assert load_target(tmp_path / "flat").class_names == ("plane", "train")
    write_folder(tmp_path / "nested" / "train", IMAGES[:4], ["day", "night"] * 2)
    write_folder(tmp_path / "nested" / "plane", IMAGES[4:], ["day", "night"])
    target = load_target(tmp_path / "nested")
    assert target.class_names == ("plane", "train")
    np.testing.assert_array_equal(target.labels, [0, 0, 1, 1, 1, 1])


def test_hidden_and_foreign_files_are_passed_over(tmp_path):
    write_folder(tmp_path, IMAGES, NAMES)
    (tmp_path / "rose" / ".hidden.png").write_bytes(b"")
    (tmp_path / "rose" / "notes.txt").write_text("no image")
    (tmp_path / "readme.md").write_text("no image")
    write_folder(tmp_path, IMAGES[:1], [".cache"])
    write_folder(tmp_path / "rose", IMAGES[:1], [".thumbnails"])
    assert len(load_target(tmp_path)) == 6
    assert load_target(tmp_path).class_names == ("daisy", "rose", "tulip")


def test_differing_sizes_and_modes(tmp_path):
    write_folder(tmp_path, random_images(2), ["a", "b"])
    write_folder(tmp_path, random_images(4, (9, 9)), ["a", "a", "b", "b"], ".bmp")
    target = load_target(tmp_path)
    shapes = [image.shape for image in target.inputs.read(np.arange(6))]
    assert set(shapes) == {(6, 5, 3), (9, 9)}


def test_empty_folder(tmp_path):
    with pytest.raises(
        FeatalignError, match=f"{tmp_path}: expected one folder of images for each class, got none"
    ):
        load_target(tmp_path)


def test_images_without_class_folders(tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "image.png")
    with pytest.raises(
        FeatalignError, match="got 1 images directly in it; put them in one folder per class"
    ):
        load_target(tmp_path)


def test_empty_class_folder(tmp_path):
    write_folder(tmp_path, IMAGES, NAMES)
    _folder(tmp_path / "orchid")
    with pytest.raises(
        FeatalignError, match=r"orchid: expected images in every class folder .*got nothing"
    ):
        load_target(tmp_path)
    (tmp_path / "orchid" / "image.raw").write_bytes(b"...")
    with pytest.raises(FeatalignError, match=r"orchid: .*1 other files such as image\.raw"):
        load_target(tmp_path)


def test_one_class(tmp_path):
    with pytest.raises(
        FeatalignError,
        match="flowers: labels: expected at least two classes, got only 'rose' in all 6 rows",
    ):
        load_target(write_folder(tmp_path / "flowers", IMAGES, ["rose"] * 6))


def test_a_class_that_is_only_held_out(tmp_path):
    write_folder(tmp_path / "train", IMAGES, NAMES)
    write_folder(tmp_path / "test", IMAGES[:2], ["orchid", "rose"])
    with pytest.raises(
        FeatalignError,
        match="got 'orchid' in 1 of 2 held-out rows; add training rows or drop these",
    ):
        load_target(tmp_path)


def test_a_held_out_folder_without_images(tmp_path):
    write_folder(tmp_path / "train", IMAGES, NAMES)
    _folder(tmp_path / "test" / "rose")
    with pytest.raises(
        FeatalignError, match=r"test: expected images in its class folders, got none"
    ):
        load_target(tmp_path)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_file_that_is_no_image_is_named_when_loading(tmp_path, part):
    write_folder(tmp_path / "train", IMAGES, NAMES)
    write_folder(tmp_path / "test", IMAGES, NAMES)
    (tmp_path / part / "rose" / "0002.png").write_bytes(b"no image")
    with pytest.raises(FeatalignError, match=rf"{part}/rose/0002\.png: expected a readable image"):
        load_target(tmp_path)


def test_a_truncated_image_is_named_when_read(tmp_path):
    write_folder(tmp_path, random_images(6, (40, 40, 3)), NAMES)
    path = tmp_path / "rose" / "0002.png"
    path.write_bytes(path.read_bytes()[:1000])
    target = load_target(tmp_path)
    with pytest.raises(FeatalignError, match=r"rose/0002\.png: expected a readable image"):
        target.inputs.read(np.arange(6))
    with pytest.raises(FeatalignError, match=r"rose/0002\.png: expected a readable image"):
        _ = target.fingerprint


def _folder(path):
    path.mkdir(parents=True)
    return path
