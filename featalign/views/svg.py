"""Figures of matplotlib as SVG within a page: with text, readable by keyboard and screen reader."""

import io
import re
import warnings
from collections.abc import Mapping
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from featalign.views.colours import VARIABLES

SVG, XLINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
ROW = re.compile(r"row:(\d+)")
FONT = re.compile(r"'DejaVu Sans'[^;]*")
REFERENCE = re.compile(r"url\(#([^)]*)\)")
POINTS_PER_INCH = 72


def svg_of(
    figure: Figure, *, name: str, title: str, description: str, marks: Mapping[str, str]
) -> str:
    """A figure as an element `svg` whose addresses begin with `name`.

    `marks` say what artists are, by their gid: each can be reached by keyboard, and shows its words
    to a pointer and to a screen reader. An artist whose gid begins with `row:3` moves with the
    third row when rows are sorted, and one that begins with `label:` has a rim in the colour of the
    page.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        with warnings.catch_warnings():  # a browser has the letters that matplotlib's font lacks
            warnings.filterwarnings("ignore", "Glyph", UserWarning)
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    for child in list(root):
        if child.tag.endswith("metadata"):
            root.remove(child)
    _name_parts(root, name)
    for element in root.iter():
        place = element.attrib.pop("gid", "")
        if (row := ROW.match(place)) is not None:
            element.set("data-row", row[1])
        if place.startswith("label:"):
            element.set("class", "halo")
        if place in marks:
            element.attrib |= {"tabindex": "0", "role": "img", "aria-label": marks[place]}
            element.set("class", "mark")
            _text(element, "title", marks[place])
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    width = figure.get_size_inches()[0] * POINTS_PER_INCH
    root.attrib |= {
        "role": "group" if marks else "img",
        "aria-labelledby": f"{name}-title {name}-description",
        "style": f"width: {width / POINTS_PER_INCH * 96:.0f}px",
    }
    _text(root, "desc", description, f"{name}-description")
    _text(root, "title", title, f"{name}-title")
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _text(element: ElementTree.Element, tag: str, words: str, name: str | None = None) -> None:
    """Put a title or a description into an element, before all else in it."""
    child = ElementTree.Element(f"{{{SVG}}}{tag}", {} if name is None else {"id": name})
    child.text = words
    element.insert(0, child)


def _name_parts(root: ElementTree.Element, name: str) -> None:
    """Keep the addresses that something refers to, with the name before them.

    Addresses that were set as gid of an artist become the attribute `gid`; colours become variables
    of the style, and fonts those of the page.
    """
    used = set()
    for element in root.iter():
        used |= {found for value in element.attrib.values() for found in REFERENCE.findall(value)}
        if XLINK in element.attrib:
            used.add(element.attrib[XLINK].removeprefix("#"))
    for element in root.iter():
        if (address := element.attrib.pop("id", None)) is not None:
            element.set(*(("id", f"{name}-{address}") if address in used else ("gid", address)))
        if XLINK in element.attrib:
            element.set("href", f"#{name}-{element.attrib.pop(XLINK).removeprefix('#')}")
        for key, value in element.attrib.items():
            if key == "style" or "url(" in value:
                element.set(key, _styled(REFERENCE.sub(rf"url(#{name}-\1)", value)))


def _styled(style: str) -> str:
    for colour, variable in VARIABLES.items():
        style = style.replace(colour, f"var({variable})")
    return FONT.sub("var(--font)", style)
