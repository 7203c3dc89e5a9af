"""Put long screenshots, and the pages of a print, side by side into small pictures."""

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

GAP, COLOURS = 12, 160


def side_by_side(parts: Sequence[Image.Image], columns: int, scale: float) -> Image.Image:
    """The parts in rows of so many, scaled, in few colours."""
    width, height = max(part.width for part in parts), max(part.height for part in parts)
    rows = -(-len(parts) // columns)
    size = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP)
    sheet = Image.new("RGB", size, "#888888")
    for place, part in enumerate(parts):
        row, column = divmod(place, columns)
        sheet.paste(part, (column * (width + GAP), row * (height + GAP)))
    small = sheet.resize(
        (round(sheet.width * scale), round(sheet.height * scale)), Image.Resampling.LANCZOS
    )
    return small.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE)


def cut(picture: Image.Image, count: int) -> list[Image.Image]:
    """A long picture in so many parts of one height."""
    height = -(-picture.height // count)
    edges = range(0, picture.height, height)
    return [
        picture.crop((0, top, picture.width, min(top + height, picture.height))) for top in edges
    ]


def main(folder: Path, output: Path) -> None:
    """Pictures of what `look.mjs` wrote into the folder; pages of the print are page-*.png."""
    for width, count, scale in ((390, 6, 0.55), (768, 4, 0.5), (1400, 3, 0.4)):
        for scheme in ("light", "dark"):
            name = f"report-{scheme}-{width}.png"
            parts = cut(Image.open(folder / name).convert("RGB"), count)
            side_by_side(parts, count, scale).save(output / name, optimize=True)
    pages = [Image.open(path).convert("RGB") for path in sorted(folder.glob("page-*.png"))]
    side_by_side(pages, 5, 0.6).save(output / "report-print.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
