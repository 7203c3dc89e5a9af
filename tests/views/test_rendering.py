"""Answers as text of three widths beside committed examples, and the same numbers in each form."""

import html
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import featalign as fa
from featalign.records.interval import percent, points
from featalign.views.cells import printable
from featalign.views.fitting import fitted
from featalign.views.names import short_name
from featalign.views.numbers import format_number
from featalign.views.ranking_cells import whole_table
from featalign.views.sheets import sheet_of
from tests.views import examples
from tests.views.examples import HOSTILE, LONG, NAMES

FOLDER = Path(__file__).parent / "examples"
RENEW = os.environ.get("FEATALIGN_RENEW_EXAMPLES")  # writes the examples anew
ANSWERS = {
    "ranking": examples.ranking(),
    "short_runs": examples.ranking(both=True),
    "screening": examples.screening(),
    "trained": examples.fine_tuned(),
    "row": examples.ranking().best,
    "study": examples.findings(),
    "comparison": examples.ranking().compare(examples.ranking((*NAMES[:2], "zoo/new"))),
}
WIDTHS = (80, 100, 140)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ANSWERS)
def test_text_is_that_of_the_committed_example(name, width):
    shown = ANSWERS[name].to_text(width) + "\n"
    path = FOLDER / f"{name}-{width}.txt"
    if RENEW:
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ANSWERS)
def test_it_fits_and_no_word_and_no_address_is_broken(name, width):
    text = ANSWERS[name].to_text(width)
    assert max(map(len, text.splitlines())) <= width
    sheet = sheet_of(ANSWERS[name])
    words = {word for cell in _cells(sheet) for line in cell.lines for word in line.split()}
    told = dict(pair for table in sheet.tables for pair in fitted(table, width).shortened)
    allowed = words | set(" ".join(_said(sheet)).split()) | set(told)
    allowed |= {short_name(word, len(word)) for word in words}  # a revision of 12 digits
    for line in text.splitlines():
        if line.startswith("│"):
            for word in line.replace("│", " ").split():
                plain = word.strip("()")
                assert {word, plain, f"({plain}", f"{plain})"} & allowed, f"{word} is broken"
    for short, name_in_full in told.items():
        assert f"{short} is" in " ".join(text.split())
        assert name_in_full in text


def test_wide_has_every_column_and_every_name():
    text = examples.ranking().to_text(wide=True)
    assert "no room for" not in text
    assert NAMES[2] in text
    for score in examples.VALUES:
        assert score.split("_")[0] in text


class _Tables(HTMLParser):
    """The cells of the tables of a page: their texts and their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[tuple[str, str | None]]]] = []
        self.tags: list[str] = []
        self.cell: list[str] | None = None
        self.number: str | None = None

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell, self.number = [], dict(attrs).get("data-value")
        elif tag == "br" and self.cell is not None:
            self.cell.append("\n")

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.cell is not None:
            self.tables[-1][-1].append(("".join(self.cell).strip(), self.number))
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell.append(data)


def tables_of(page: str):
    parser = _Tables()
    parser.feed(page)
    return parser


def test_html_text_markdown_and_frame_hold_the_same_numbers():
    found = examples.ranking()
    frame, page, text = found.to_frame(), found.to_html(), found.to_text(wide=True)
    markdown = found.to_markdown()
    rows = [line for table in tables_of(page).tables for line in table]
    for place, row in enumerate(found.rows):
        told = frame.iloc[place]
        assert told["source"] == row.source
        assert told["place"] == place + 1
        for name in ("accuracy", "scratch_accuracy", "gain"):
            interval = getattr(row, name)
            ends = interval.value, interval.low, interval.high
            assert tuple(told[[name, f"{name}_low", f"{name}_high"]]) == ends
            _is_in(rows, row.source, repr(interval.value))
        assert told["verdict"] == row.verdict
        for shown in (text, markdown, page):
            line = next(
                line for line in shown.splitlines() if points(told["gain"]) in line and "(" in line
            )
            assert f"({points(told['gain_low'])} to {points(told['gain_high'])})" in line
        assert percent(told["accuracy"], 0) in text
        for name, result in row.scores.items():
            assert told[name] == result.value or math.isnan(result.value)
            assert told[f"{name}_zero"] == result.zero.mean if result.zero else True
            if result.ok:
                _is_in(rows, row.source, repr(result.value))
                shown = format_number(name, result.value)
                assert shown in text
                assert shown.replace("-", "-") in markdown
                assert format_number(name, result.zero.mean).strip("%") in page  # type: ignore


def _is_in(rows, source, number):
    lines = [line for line in rows if any(cell == source for cell, _ in line)]
    assert any(number == value for line in lines for _, value in line), (source, number)


def test_a_frame_of_short_runs_has_the_best_informed_forecast():
    found = examples.ranking(both=True)
    frame = found.to_frame()
    assert len(frame) == 3
    assert frame["source"].tolist() == list(NAMES)
    assert set(frame["made"]) == {"with short runs"}
    assert frame["verdict"].tolist() == [row.verdict for row in found.rows]
    assert frame["seconds"].tolist() == [9.75] * 3


def test_what_became_of_each_source():
    before, after = examples.ranking(), examples.ranking((*NAMES[1::-1], "zoo/new"))
    frame = before.compare(after).to_frame().set_index("source")
    assert list(frame.index) == [NAMES[1], NAMES[0], "zoo/new", NAMES[2]]
    first = frame.loc[NAMES[1]]
    assert (first["place_before"], first["place"]) == (2, 1)
    assert first["accuracy_change"] == pytest.approx(0.1)
    assert first["gain_change"] == pytest.approx(0.03)
    assert (first["verdict_before"], first["verdict"]) == ("cannot tell", "fine-tune")
    assert frame.loc["zoo/new", "verdict_before"] == "-"
    assert np.isnan(frame.loc[NAMES[2], "gain"])  # type: ignore
    assert before.compare(before).to_text(wide=True).count("+0.0") >= 6


@pytest.mark.parametrize("name", ["screening", "trained", "row", "study", "comparison"])
def test_other_answers_have_frames_markdown_and_pages(name):
    answer = ANSWERS[name]
    frame = answer.to_frame()
    assert len(frame) == len(sheet_of(answer).whole.rows)
    assert answer.to_markdown().count("|") > len(frame)
    assert "<html" in answer.to_html()
    assert "<html" not in answer._repr_html_()
    assert "<table" in answer._repr_html_()


def test_names_from_users_are_escaped_everywhere():
    names = (HOSTILE, HOSTILE + "</svg>", "plain")
    found = examples.ranking(names)
    classes = ("<img src=x onerror=alert(1)>", HOSTILE)
    maps = tuple(examples.feature_map(name, classes=classes) for name in names[::2])
    found = fa.Ranking(
        **{
            **{name: getattr(found, name) for name in found.__dataclass_fields__},
            "target": HOSTILE,
            "feature_maps": maps,
        }
    )
    page = found.to_html()
    for shown in (page, found._repr_html_(), found.best._repr_html_()):
        assert "<script>alert" not in shown
        assert "<img" not in shown
        assert "\x1b" not in shown
        assert "\x00" not in shown
        parser = tables_of(shown)
        assert "img" not in parser.tags
        assert parser.tags.count("script") <= 1
    assert html.escape("<script>alert(1)</script>", quote=False) in page
    assert "\x1b" not in found.to_text(100)
    for cell in re.findall(r"\|\s(.*?)(?<!\\)\|", found.to_markdown()):
        assert "<script>" not in cell
    assert "<script>" not in found.to_markdown().replace("\\<", "")
    assert found.to_frame()["source"].tolist()[0] == HOSTILE, "a data frame keeps what it is"


def test_signs_that_steer_a_terminal_are_replaced():
    assert printable("a\x1bb\nc\x07") == "a\N{REPLACEMENT CHARACTER}b\nc\N{REPLACEMENT CHARACTER}"


def test_a_page_is_written_or_it_is_said_why_not(tmp_path):
    found = examples.screening()
    assert found.to_html(tmp_path / "page.html") == (tmp_path / "page.html").read_text("utf-8")
    for path in (tmp_path, tmp_path / "nowhere" / "page.html"):
        with pytest.raises(fa.FeatalignError, match="path: expected a file in a folder"):
            found.to_html(path)


def test_a_frame_needs_pandas_and_says_so():
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from tests.views import examples\n"
        "try: examples.ranking().to_frame()\n"
        "except ImportError as error: print(error)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "to_frame needs pandas: install featalign[pandas]"


def test_text_and_frames_load_neither_matplotlib_nor_jinja2():
    code = (
        "import sys\n"
        "from tests.views import examples\n"
        "found = examples.ranking(); str(found); found.to_markdown(); found.to_frame()\n"
        "print(*sorted({'matplotlib', 'jinja2', 'jax'} & {n.split('.')[0] for n in sys.modules}))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() in ([], ["jax"])


def test_the_width_of_a_name_is_at_least_that_of_its_heading():
    table = whole_table(examples.ranking())
    for width in range(100, 400, 20):
        found = fitted(table, width)
        used = sum(found.widths) + 3 * len(found.widths) + 1
        assert used <= width
    assert fitted(table, None).left_out == ()
    assert np.all(np.diff(found.places) > 0)


def _cells(sheet):
    return [cell for table in sheet.tables for row in table.rows for cell in row.cells]


def _said(sheet):
    for table in sheet.tables:
        yield table.title
        yield table.caption
        for column in table.columns:
            yield column.heading


def test_long_names_are_whole_where_there_is_room():
    assert LONG.split("@")[0] in examples.ranking().to_text(140)
