"""The files of a folder of images: which are taken, and a count of those that are not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from featalign.targets.images import EXTENSIONS, HEIF, starts_like_an_image

# what operating systems and storage boxes leave behind: never data
SYSTEM_FOLDERS = (
    *("__macosx", "@eadir", "$recycle.bin", "#recycle", "system volume information"),
    *("lost+found", "__pycache__", "found.000", "recycler"),
)
HEIF_HINT = " (needs pillow-heif; save them as .jpg or .png)"
SYSTEM_FILES = ("thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r")


@dataclass(frozen=True)
class Found:
    """The images of a folder, at any depth, and how many other files there are for each reason."""

    images: tuple[Path, ...]
    passed_over: Counter[str]


def is_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden or of the operating system's making.

    >>> [is_system(name) for name in ("@eaDir", ".cache", "Thumbs.db", "rose")]
    [True, True, True, False]
    """
    lower = name.lower()
    return lower.startswith((".", "__macosx")) or lower in SYSTEM_FOLDERS or lower in SYSTEM_FILES


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, those of the system left out, in the order of their names."""
    if not folder.is_dir():
        return []
    return [
        entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not is_system(entry.name)
    ]


def files_in(folder: Path, *, deep: bool = True) -> Found:
    """The images of a folder, known by their extensions, or without one by their first bytes.

    Files are sorted by their paths; `deep` takes those of the folders within, too.
    """
    images, others = [], []
    depth = len(folder.parts)
    for file in sorted(folder.rglob("*") if deep else folder.glob("*")):
        if any(map(is_system, file.parts[depth:])) or file.is_dir():
            continue
        reason = _reason(file)
        (images.append(file) if reason is None else others.append(reason))
    return Found(tuple(images), Counter(others))


def counted(passed_over: Counter[str], place: str) -> str:
    """A count of files with the reasons, for a remark.

    >>> counted(Counter({".txt": 2, "broken links": 1}), "rose")
    '2 .txt and 1 broken links in rose'
    """
    parts = [f"{count} {reason}" for reason, count in passed_over.most_common()]
    return f"{' and '.join(parts)} in {place}"


def remark(places: Iterable[tuple[str, Counter[str]]], kept: int = 5) -> tuple[str, ...]:
    """One sentence on all the files that were passed over; none where there are no such files.

    >>> remark([("rose", Counter({".heic": 3}))])
    ('passed over: 3 .heic (needs pillow-heif; save them as .jpg or .png) in rose',)
    """
    found = [(place, passed_over) for place, passed_over in places if passed_over]
    if not found:
        return ()
    found.sort(key=lambda each: -each[1].total())
    listed = [counted(passed_over, place) for place, passed_over in found[:kept]]
    rest = sum(passed_over.total() for _, passed_over in found[kept:])
    more = [f"{rest} other files in {len(found) - kept} more folders"] if rest else []
    sentence = f"passed over: {'; '.join([*listed, *more])}"
    first = next((ending for ending in HEIF if f" {ending}" in sentence), None)
    if first is not None:
        sentence = sentence.replace(first, first + HEIF_HINT, 1)
    return (sentence,)


def hint(passed_over: Counter[str]) -> str:
    """What makes images of these files, where that is known.

    >>> hint(Counter({".heic": 2})), hint(Counter({".txt": 2}))
    (' (needs pillow-heif; save them as .jpg or .png)', '')
    """
    return HEIF_HINT if any(ending in passed_over for ending in HEIF) else ""


def _reason(file: Path) -> str | None:
    """Why a file is not taken; None for an image."""
    if file.is_symlink() and not file.exists():
        return "broken links"
    if not file.is_file():
        return "that are no files"  # pipes and the like
    ending = file.suffix.lower()
    if ending in EXTENSIONS or (not ending and starts_like_an_image(file)):
        return None
    return ending or "without an extension"
