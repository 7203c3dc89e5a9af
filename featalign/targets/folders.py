"""Targets from a folder of class folders of images."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.folder_files import counted, files_in, folders_in, hint, remark
from featalign.targets.images import EXTENSIONS
from featalign.targets.inputs import ImageFiles
from featalign.targets.label_names import clean
from featalign.targets.raw import Part, Raw
from featalign.targets.splits import (
    HELD_OUT,
    TRAIN,
    UNLABELLED,
    Splits,
    find_splits,
    named,
    words_of,
)

ClassFolders = list[tuple[str, Path]]  # the name of a class, and where its images are


def open_folder(place: str) -> Raw:
    """A folder with one folder of images per class.

    The class names are the sorted folder names.

    Where there is a training folder of class folders (`train`, `Training`, `seg_train`; the words
    are in `splits.py`), it holds the rows, and a test or validation folder beside it, if it has
    class folders too, the held-out rows; one without class folders has no labels and is left out.
    The splits may also lie within the class folders. Raises FeatalignError where it cannot be told
    whether folders are splits or classes. Folders of the system are ignored, and files that are no
    images are counted in a remark. Only names are read here: the images stay on disk.
    """
    path = Path(place)
    inner = folders_in(path)
    if len(inner) == 1 and not named(inner[0].name) and _splits(inner[0]) is not None:
        path = inner[0]  # a folder around everything, as archives have it
    within = _splits_within(path)
    if within is not None:
        return within
    splits = _splits(path)
    if splits is None:
        _check_depth(path, _class_folders(path))
        alike = _all_alike(path)
        part, said = _listed(path, _class_folders(path))
        return Raw(part, remarks=(*alike, *said), are_names=True)
    folders = _unwrapped(path / splits.train)
    _check_depth(path / splits.train, folders)
    train, said = _listed(path / splits.train, folders)
    held_out, more = _held_out(path, splits, set(np.unique(train.labels).tolist()))
    return Raw(train, held_out, remarks=(*said, *more), are_names=True)


def _check_depth(folder: Path, class_folders: ClassFolders) -> None:
    """Raise FeatalignError where the classes seem to lie one folder deeper."""
    if len(class_folders) == 1 and len(folders_in(class_folders[0][1])) > 1:
        alone = class_folders[0][1]
        raise FeatalignError(
            f"{folder}: expected at least two classes, got one folder, {alone.name}, with folders "
            f"in it; where these are the classes, give {alone} or move them up"
        )


def _all_alike(path: Path) -> tuple[str, ...]:
    """A remark where all folders hold folders of the same names, and nothing else.

    Then these may be the classes, and the folders parts of the data set by another word, such as
    domains. Raises FeatalignError where the folders differ in their figures alone, as folds do.
    """
    folders = folders_in(path)
    within = [{clean(each.name) for each in folders_in(folder)} for folder in folders]
    if len(folders) < 2 or len(within[0]) < 2 or any(each != within[0] for each in within):
        return ()
    if any(files_in(folder, deep=False).images for folder in folders):
        return ()
    listed = ", ".join(folder.name for folder in folders[:5])
    inner = ", ".join(sorted(within[0])[:5])
    if len({tuple(words_of(folder.name)) for folder in folders}) == 1:
        raise FeatalignError(
            f"{path}: cannot tell whether its folders ({listed}) are classes or parts of the data "
            f"set: each holds the folders {inner}; where these are the classes, give one part, "
            f"such as {folders[0]}, or name the parts train and test; else rename the folders"
        )
    return (
        f"its folders ({listed}) are taken as classes, and each holds the folders {inner}; where "
        f"these are the classes, give one part, such as {folders[0]}, or name the parts train and "
        "test",
    )


def _class_folders(folder: Path) -> ClassFolders:
    return [(clean(entry.name), entry) for entry in folders_in(folder)]


def _unwrapped(folder: Path) -> ClassFolders:
    """The class folders of a split, which may lie in a folder of the same name once more."""
    inner = folders_in(folder)
    if len(inner) == 1 and inner[0].name == folder.name and folders_in(inner[0]):
        return _class_folders(inner[0])
    return _class_folders(folder)


def _splits(path: Path) -> Splits | None:
    """The splits of a folder; None where its folders are classes.

    `train` among others that are no splits is a class. Raises FeatalignError where that cannot be
    told.
    """
    folders = folders_in(path)
    nested = [folder.name for folder in folders if folders_in(folder)]
    known = {folder.name: found for folder in folders if (found := named(folder.name))}
    trains = [name for name, found in known.items() if found.role == TRAIN and name in nested]
    if trains:
        splits = find_splits([folder.name for folder in folders if _may_be_part(folder, nested)])
        assert splits is not None
        if splits.held_out or len(folders) == 1 or known.keys() - trains:
            return splits
        others = [folder.name for folder in folders if folder.name not in known]
        if others and set(others) <= set(nested):
            return None  # every folder has folders within: `train` is a class like the others
        if others:
            raise _undecided(path, trains[0], "it has class folders, and the others have none")
        return splits
    bare = [name for name, found in known.items() if not found.rest]
    apart = (*HELD_OUT, UNLABELLED)
    held = [name for name in bare if known[name].role in apart and not _may_be_class(name)]
    parts = {found.role for found in known.values() if found.role in (TRAIN, *HELD_OUT)}
    if len(known) == len(folders) and len(parts) > 1:
        raise FeatalignError(
            f"{path}: its folders are splits ({', '.join(known)}), and there is no training folder "
            "of class folders; put the training images in train/CLASS/, or labels and paths in a "
            "table"
        )
    opposites = {f"in{name.lower()}" for name in held}  # valid and invalid are classes
    if held and len(folders) > 1 and not opposites & {folder.name.lower() for folder in folders}:
        raise _undecided(path, held[0], "there is no training folder beside it")
    return None


def _may_be_part(folder: Path, nested: list[str]) -> bool:
    """A training folder without class folders is none, where another has them."""
    found = named(folder.name)
    return found is None or found.role != TRAIN or folder.name in nested


def _may_be_class(name: str) -> bool:
    """Whether a word for an unlabelled part may as well be a class: `pred`, `submission`."""
    found = named(name)
    return found is not None and found.role == UNLABELLED and not name.lower().startswith("un")


def _undecided(path: Path, name: str, reason: str) -> FeatalignError:
    return FeatalignError(
        f"{path}: cannot tell whether {name!r} is a class or a split: {reason}; name the class "
        "otherwise, or put the classes in train/CLASS/ and test/CLASS/"
    )


def _splits_within(path: Path) -> Raw | None:
    """Class folders each of which holds the splits; None where they do not."""
    folders = folders_in(path)
    parts: dict[str, ClassFolders] = {}
    for folder in folders:
        inner = folders_in(folder)
        roles = [found.role if (found := named(each.name)) else None for each in inner]
        if named(folder.name) or not roles or None in roles or len(set(roles)) < len(roles):
            return None
        for role, each in zip(roles, inner, strict=True):
            parts.setdefault(str(role), []).append((clean(folder.name), each))
    deeper = [each for part in parts.values() for _, each in part if folders_in(each)]
    if TRAIN in parts and deeper:
        raise FeatalignError(
            f"{path}: cannot tell whether {', '.join(folder.name for folder in folders[:5])} are "
            f"classes: they hold splits, and {deeper[0]} holds folders; give the folder of one of "
            "them, or put the classes in train/CLASS/ and test/CLASS/"
        )
    if len(parts.get(TRAIN, [])) < len(folders) or not any(role in parts for role in HELD_OUT):
        return None
    train, said = _listed(path, parts[TRAIN])
    held = next(role for role in HELD_OUT if role in parts)
    held_out, more = _listed(path, parts[held], may_lack_images=True)
    others = [role for role in parts if role not in (TRAIN, held)]
    left = tuple(
        f"left out: the folders of {role}, since those of {held} are held out" for role in others
    )
    return Raw(train, held_out, remarks=(*said, *more, *left), are_names=True)


def _held_out(path: Path, splits: Splits, classes: set[str]) -> tuple[Part | None, tuple[str, ...]]:
    """The held-out rows, of the first such part that has labels, and what is left out."""
    held_out: Part | None = None
    taken = ""
    said: list[str] = []
    for name in splits.held_out:
        folders = _unwrapped(path / name)
        count = len(files_in(path / name).images)
        unlabelled = len(folders) == 1 and folders[0][0] not in classes
        if not folders or unlabelled:
            said.append(f"left out: {name} ({count} images), which has no folders of the classes")
        elif held_out is not None:
            said.append(f"left out: {name} ({count} images), since {taken} is held out")
        else:
            held_out, more = _listed(path / name, folders, may_lack_images=True)
            taken = name
            said += more
    for name in splits.others:
        count = len(files_in(path / name).images)
        if count:
            said.append(f"left out: {name} ({count} images), which is no part of {splits.train}")
    return held_out, tuple(said)


def _listed(
    folder: Path, class_folders: ClassFolders, *, may_lack_images: bool = False
) -> tuple[Part, tuple[str, ...]]:
    """The image files of the class folders and their class names, in sorted order.

    With them a remark on the files that were passed over.
    """
    loose = files_in(folder, deep=False)
    if not class_folders:
        found = (
            f"{len(loose.images)} images directly in it; put them in one folder per class"
            if loose.images
            else "none; check the path"
        )
        raise FeatalignError(f"{folder}: expected one folder of images for each class, got {found}")
    paths: list[Path] = []
    names: list[str] = []
    passed_over: list[tuple[str, Counter[str]]] = []
    nested: list[str] = []
    for name, class_folder in class_folders:
        found_files = files_in(class_folder)
        if not found_files.images and not may_lack_images:
            raise _without_images(class_folder, found_files.passed_over)
        paths += found_files.images
        names += [name] * len(found_files.images)
        passed_over.append((_shown(folder, class_folder), found_files.passed_over))
        nested += _nested(_shown(folder, class_folder), class_folder, found_files.images)
    if not paths:
        raise FeatalignError(
            f"{folder}: expected images in its class folders, got none; add images or remove the "
            "folder"
        )
    outside = Counter(loose.passed_over)
    if loose.images:
        outside["images in no class folder"] = len(loose.images)
    passed_over.append((folder.name, outside))
    return Part(ImageFiles(tuple(paths)), np.array(names)), (*remark(passed_over), *nested)


def _nested(shown: str, class_folder: Path, images: Sequence[Path]) -> list[str]:
    """What to say where some images of a class lie in folders beside the others, as masks do."""
    deeper = [image for image in images if image.parent != class_folder]
    if not deeper or len(deeper) == len(images):
        return []
    within = sorted({image.relative_to(class_folder).parts[0] for image in deeper})
    return [
        f"taken too: {len(deeper)} images in folders within {shown} ({', '.join(within[:3])}); "
        "move them away where they are masks or the like"
    ]


def _shown(folder: Path, class_folder: Path) -> str:
    """A class folder as a remark names it: with its split where there is one."""
    within = class_folder.relative_to(folder).as_posix()
    return f"{folder.name}/{within}" if named(folder.name) else within


def _without_images(class_folder: Path, passed_over: Counter[str]) -> FeatalignError:
    files = [file for file in sorted(class_folder.rglob("*")) if file.is_file()]
    found = "nothing"
    if files:
        found = f"{passed_over.total()} other files such as {files[0].name}{hint(passed_over)}"
    elif passed_over:
        found = counted(passed_over, "it")
    return FeatalignError(
        f"{class_folder}: expected images in every class folder ({', '.join(EXTENSIONS)}), "
        f"got {found}; add images or remove the folder"
    )
