"""The report: one file that needs nothing else, whose marks can be read and whose parts add up."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import featalign as fa
from featalign.views import costs, parts
from featalign.views.colours import MARKS, SERIES, VARIABLES
from featalign.views.forecast_figure import forecast_figure, forecast_marks, forecast_rows
from featalign.views.map_figure import map_figure, map_marks, map_table
from featalign.views.names import short_names
from featalign.views.report import MOST_SCORES, SECTIONS, scores
from featalign.views.svg import svg_of
from tests.views import examples

IN_ORDER = ("forecast", "why", "sizes", "cost", "scores", "maps", "warnings", "making")


@pytest.fixture(scope="module")
def page():
    return examples.ranking().to_html()


def test_parts_stand_in_the_order_in_which_people_ask(page):
    assert tuple(re.findall(r'<section id="(\w+)"', page)) == IN_ORDER
    assert len(SECTIONS) == len(IN_ORDER)
    assert page.index('<p class="answer">Fine-tune ') < page.index('<section id="forecast"')


def test_it_asks_no_other_place_for_anything(page):
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    assert "url(http" not in page
    assert "@import" not in page
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"'\s<)]+", page)) <= namespaces
    assert "default-src 'none'" in page


def test_addresses_within_the_page_are_there_once(page):
    addresses = re.findall(r'\bid="([^"]+)"', page)
    assert len(addresses) == len(set(addresses))
    wanted = re.findall(r'(?:href="#|url\(#)([^")]+)', page)
    assert set(wanted) <= set(addresses)


def test_charts_have_text_titles_and_marks_that_can_be_reached(page):
    charts = [
        ElementTree.fromstring(each) for each in re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    ]
    assert len(charts) == 2 + 2 + 3 + 1 + 2
    for chart in charts:
        named = chart.attrib["aria-labelledby"].split()
        found = {each.attrib.get("id"): each.text for each in chart}
        assert all(found[name] for name in named)
        texts = [each for each in chart.iter() if each.tag.endswith("}text")]
        assert texts
        marks = [each for each in chart.iter() if each.attrib.get("tabindex") == "0"]
        assert marks
        for mark in marks:
            assert mark.attrib["role"] == "img"
            assert mark[0].tag.endswith("title")
            assert mark[0].text == mark.attrib["aria-label"]
    assert page.count("<summary>The numbers as a table</summary>") == 4


def test_colours_follow_the_page_and_are_told_apart_by_marks_too(page):
    for colour, variable in VARIABLES.items():
        assert f"{variable}:" in page
        assert colour not in "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert page.count("prefers-color-scheme: dark") == 1
    assert page.count("@media print") == 1
    assert len(set(SERIES)) == len(SERIES)
    looks = {(SERIES[n % len(SERIES)], MARKS[n // len(SERIES) * 4 + n % 4]) for n in range(16)}
    assert len(looks) == 16


def test_lines_are_sorted_by_what_is_chosen(page):
    names = re.findall(r'<option value="([\d ]+)">([^<]+)<', page)
    orders = {name: tuple(map(int, places.split())) for places, name in names}
    assert orders["expected accuracy"] == (0, 1, 2)
    assert orders["gain over scratch"] == (0, 1, 2)
    assert orders["accuracy from scratch"] == (0, 2, 1)
    assert orders["name"] == (0, 2, 1)
    rows = set(re.findall(r'data-row="(\d+)"', page))
    assert rows == {"0", "1", "2"}


def test_fifty_sources_take_less_than_two_megabytes():
    names = tuple(f"hf/organisation/model-number-{number}-of-many" for number in range(50))
    found = examples.ranking(names)
    page = found.to_html()
    assert len(page.encode()) < 2_000_000
    for name in names:
        assert name in page.replace("<wbr>", "")


def test_a_saved_ranking_has_no_maps_and_says_so():
    saved = fa.Ranking.from_json(examples.ranking().to_json())
    assert saved == examples.ranking()
    assert saved.feature_maps == ()
    assert saved.made == examples.ranking().made
    page = saved.to_html()
    assert "The maps are not in the saved ranking" in page
    assert page.count("<svg") == 2 + 2 + 3 + 1


def test_a_ranking_by_scores_alone_has_a_report():
    found = examples.ranking()
    rows = tuple(replace(row, forecasts=(), judgement=None) for row in found.rows)
    bare = replace(found, rows=rows, ties=(), ordered_by="linear_probe", made=None, failures={})
    page = replace(bare, feature_maps=()).to_html()
    assert tuple(re.findall(r'<section id="(\w+)"', page)) == (
        "scores",
        "maps",
        "warnings",
        "making",
    )
    assert "By the linear probe hf/" in page
    assert "does not say how it was made" in page


def test_parts_add_up_to_the_gain_in_points():
    for row in examples.ranking().rows:
        assert row.forecast is not None
        found = parts.parts_in_points(row.forecast)
        assert sum(found.values()) == pytest.approx(row.forecast.gain.value)
        assert set(found) == {parts.USUAL, *row.forecast.parts}
        signs = {name: np.sign(value) for name, value in row.forecast.parts.items()}
        assert all(np.sign(found[name]) == sign for name, sign in signs.items())


def test_parts_of_no_gain_follow_the_slope():
    row = examples.ranking().best
    assert row.forecast is not None
    level = replace(row.forecast.gain, value=0.0)
    same = replace(row.forecast, gain=level, scratch_accuracy=row.forecast.accuracy)
    accuracy = same.accuracy.value
    found = parts.parts_in_points(replace(same, parts={"size": 0.1}))
    assert found["size"] == pytest.approx(0.1 * accuracy * (1 - accuracy))
    assert found[parts.USUAL] == pytest.approx(-found["size"])


def test_the_front_is_what_nothing_outdoes():
    rows = examples.ranking().rows
    cost = costs.Cost("price", "price", "s", lambda row: {0: 3.0, 1: 1.0, 2: 2.0}[rows.index(row)])
    assert costs.front(rows, cost) == [True, True, False]
    free = costs.Cost("price", "price", "", lambda row: None)
    assert costs.front(rows, free) == [False] * 3
    assert [each.key for each in costs.known_costs(rows)] == ["num_features"]
    same = [replace(row, num_features=8) for row in rows]
    assert costs.known_costs(same) == []


def test_many_scores_come_in_parts():
    found = examples.ranking()
    more = {f"{name}": result for name, result in found.best.scores.items()}
    section = scores(found)
    assert section is not None
    assert len(section.tables) == 1
    assert len(more) <= MOST_SCORES


def test_maps_name_every_class_and_gather_what_is_rare():
    shown = examples.feature_map("zoo/a", classes=tuple("abcd"))
    texts = [text.get_text() for text in map_figure(shown).axes[0].texts]
    assert texts == list("abcd")
    assert map_marks(shown)["class:0"] == "zoo/a: 2 rows of class a"
    table = map_table([shown])
    assert [row.cells[1].text for row in table.rows] == list("abcd")
    assert table.rows[0].cells[3].value == pytest.approx(0.2)
    many = replace(shown, labels=tuple(range(8)), class_names=())
    assert len(map_marks(many)) == 8


def test_names_that_look_like_mathematics_or_letters_without_a_glyph_are_drawn():
    names = ("$\\frac{", "日本語のモデル", "zoo/plain")
    found = examples.ranking(names)
    rows = forecast_rows(found)
    svg = svg_of(
        forecast_figure(found), name="x", title="t", description="d", marks=forecast_marks(rows)
    )
    texts = {each.text for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("}text")}
    assert set(short_names(names).values()) <= texts


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels
    ]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_texts_and_marks_stand_out_on_light_dark_and_paper(page):
    """What a checker cannot see within a chart: WCAG asks 4.5 of texts and 3 of marks."""
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    grounds = re.findall(r":root \{(.*?)\}", style[1], re.DOTALL)
    assert len(grounds) == 3
    first = {}
    for ground in grounds:
        found = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{3,6});", ground))
        colours = {
            name: value if len(value) == 7 else "#" + "".join(2 * sign for sign in value[1:])
            for name, value in found.items()
        }
        first = first or colours
        for name, least in (
            *((name, 4.5) for name in ("--ink", "--faint", "--link", "--warn", "--err", "--good")),
            *((f"--series-{number}", 3.0) for number in range(1, 9)),
            ("--rule", 3.0),
            ("--other", 3.0),
        ):
            assert contrast(colours[name], colours["--page"]) >= least, (name, colours[name])
    assert set(VARIABLES.values()) <= set(first)
