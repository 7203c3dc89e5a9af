"""Targets from a folder of class folders of images."""

from pathlib import Path

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.images import EXTENSIONS
from featalign.targets.inputs import ImageFiles
from featalign.targets.raw import Part, Raw

HELD_OUT_FOLDERS = ("test", "val", "valid", "validation")


def open_folder(place: str) -> Raw:
    """A folder with one folder of images per class.

    The class names are the sorted folder names. A `train` folder of class folders holds the rows. A
    folder `test` (or else `val`, `valid` or `validation`) beside it holds the held-out rows, if it
    has class folders too. Hidden files and files that are not images by their extension are
    ignored. Only names are read here; the images stay on disk.
    """
    path = Path(place)
    held_folder = next(
        (path / folder for folder in HELD_OUT_FOLDERS if _class_folders(path / folder)), None
    )
    if not _class_folders(path / "train") or (
        held_folder is None and len(_class_folders(path)) > 1
    ):
        return Raw(_listed(path))  # a `train` beside other folders, or full of images, is a class
    train = _listed(path / "train")
    return Raw(train, held_folder and _listed(held_folder, may_lack_images=True))


def _class_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [
        entry
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith((".", "__MACOSX"))
    ]


def _listed(folder: Path, *, may_lack_images: bool = False) -> Part:
    """The image files of the class folders and their class names, in sorted order."""
    class_folders = _class_folders(folder)
    if not class_folders:
        loose = sum(map(_is_image, _visible_files(folder)))
        found = (
            f"{loose} images directly in it; put them in one folder per class"
            if loose
            else "none; check the path"
        )
        raise FeatalignError(f"{folder}: expected one folder of images for each class, got {found}")
    paths: list[Path] = []
    names: list[str] = []
    for class_folder in class_folders:
        files = _visible_files(class_folder)
        images = [file for file in files if _is_image(file)]
        if not images and not may_lack_images:
            others = f"{len(files)} other files such as {files[0].name}" if files else "nothing"
            raise FeatalignError(
                f"{class_folder}: expected images in every class folder ({', '.join(EXTENSIONS)}), "
                f"got {others}; add images or remove the folder"
            )
        paths += images
        names += [class_folder.name] * len(images)
    if not paths:
        raise FeatalignError(
            f"{folder}: expected images in its class folders, got none; add images or remove the "
            "folder"
        )
    return Part(ImageFiles(tuple(paths)), np.array(names))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in EXTENSIONS


def _visible_files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and file.is_file()
    ]
