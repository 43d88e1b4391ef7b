"""Pictures: well-formed, named, deterministic, and no letter on another or outside, whatever the numbers are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET  # our own output is parsed, not a stranger's

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import ReportError
from pitstop.report.bars import Panel, RankedRow, bar_panels, paired_bars, ranked_bars, split_bar
from pitstop.report.charts import NARROW, WIDE, Frame, standalone
from pitstop.report.interval_rows import IntervalRow, interval_rows
from pitstop.report.lettering import BOLD, text_width
from pitstop.report.lines import Line, LineChart, line_chart
from pitstop.report.markup import Markup
from pitstop.report.replay_figures import band_chart, cumulated, cumulated_chart, metric_chart, value_panels
from pitstop.report.story import POLICIES, BandPoint, DistributionPair, PeriodRow, ReleaseMark, ReplayStory

# No deadline: a busy machine is not a defect of the code under test.
QUICK = settings(max_examples=40, deadline=None)

SVG = "{http://www.w3.org/2000/svg}"
Builder = Callable[[ReplayStory, Frame], Markup]

NUMBERS = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1))
NAMES = st.text(max_size=24)

BUILDERS: dict[str, Builder] = {
    "bands": lambda story, frame: line_chart(band_chart(story), frame),
    "metric": lambda story, frame: line_chart(metric_chart(story), frame),
    "cumulated": lambda story, frame: line_chart(cumulated_chart(story), frame),
    "panels": value_panels,
}


def letters(drawing: str) -> list[tuple[str, float, float, float, float]]:
    """Return every text with the box (left, right, top, bottom) that it may fill."""
    boxes = []
    for item in ET.fromstring(drawing).iter(f"{SVG}text"):  # noqa: S314 (made by the code under test)
        style, size = item.get("class", ""), float(item.get("font-size", "12"))
        width = text_width(item.text or "", size * (BOLD if style in {"name", "release-number"} else 1.0))
        left = float(item.get("x", "0")) - {"middle": width / 2, "end": width}.get(item.get("text-anchor", ""), 0.0)
        baseline = float(item.get("y", "0"))
        boxes.append((item.text or "", left, left + width, baseline - size * 0.75, baseline + size * 0.22))
    return boxes


def assert_sound(drawing: Markup) -> None:
    """Well-formed, named for those who do not see it, finite everywhere, and every text in its own place."""
    root = ET.fromstring(drawing)  # noqa: S314 (made by the code under test)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title") is not None
    assert root.find(f"{SVG}desc") is not None
    written = [value for item in root.iter() for key, value in item.attrib.items() if key not in {"class", "role"}]
    assert not any(word in value.lower() for value in written for word in ("nan", "inf"))
    _, _, width, height = (float(part) for part in root.get("viewBox", "").split())
    boxes = letters(drawing)
    for text, left, right, top, bottom in boxes:
        if text and not text.endswith("…"):
            assert left >= -1, text
            assert right <= width + 1, text
        assert top >= -1, text
        assert bottom <= height + 1, text
    for one, other in itertools.combinations(boxes, 2):
        apart = one[2] <= other[1] + 0.5 or other[2] <= one[1] + 0.5 or one[4] <= other[3] or other[4] <= one[3]
        assert apart, (one, other)


def story_of(count: int, value: Callable[[int], float | None]) -> ReplayStory:
    """Return a story with `count` periods, whose numbers are all made by `value`."""
    rows = tuple(
        PeriodRow(f"p{index}", index, dict.fromkeys(POLICIES, value(index)), dict.fromkeys(POLICIES, value(index)))
        for index in range(count)
    )
    bands = tuple(
        BandPoint(f"w{index}", index, value(index), value(index), value(index), value(index), None)
        for index in range(count)
    )
    return ReplayStory("m", "AUC", higher_is_better=True, currency="EUR", periods=rows, totals={}, bands=bands)


@pytest.mark.parametrize("frame", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", BUILDERS)
def test_hotel_pictures_are_sound(hotel_story: ReplayStory, name: str, frame: Frame) -> None:
    drawing = BUILDERS[name](hotel_story, frame)
    assert_sound(drawing)
    assert drawing == BUILDERS[name](hotel_story, frame)


@pytest.mark.parametrize("frame", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize(
    "value",
    [
        lambda _: None,
        lambda _: math.nan,
        lambda _: 0.0,
        lambda index: -1000.0 * index,
        lambda index: 1e18 * (1 + index),
        lambda index: (-1.0) ** index * 1.7e308,
        lambda index: 0.5 if index % 3 else None,
        lambda index: math.inf if index % 2 else 1e-12 * index,
    ],
    ids=["none", "nan", "zero", "negative", "huge", "overflow", "gaps", "tiny"],
)
@pytest.mark.parametrize("count", [0, 1, 2, 200])
def test_pictures_stand_any_number(count: int, value: Callable[[int], float | None], frame: Frame) -> None:
    story = story_of(count, value)
    for build in BUILDERS.values():
        assert_sound(build(story, frame))


@QUICK
@given(
    rows=st.lists(st.tuples(NAMES, NUMBERS, NUMBERS, NUMBERS), max_size=12),
    marks=st.lists(st.floats(-2, 14), max_size=60),
    names=st.lists(NAMES, min_size=1, max_size=5),
    withheld=st.booleans(),
)
def test_line_charts_of_anything_are_sound(
    rows: list[tuple[str, float | None, float | None, float | None]],
    marks: list[float],
    names: list[str],
    withheld: bool,
) -> None:
    chart = LineChart(
        title="<script>",
        description="a & b",
        unit="AUC",
        lines=tuple(
            Line(name, policy, tuple((float(x), row[1]) for x, row in enumerate(rows)))
            for name, policy in zip(names, POLICIES, strict=False)
        ),
        labels=tuple((float(x), row[0]) for x, row in enumerate(rows)),
        band=tuple((float(x), row[2], row[3]) for x, row in enumerate(rows)),
        withheld=((0.0, 3.0),) if withheld else (),
        marks=tuple(marks),
    )
    for frame in (WIDE, NARROW):
        assert_sound(line_chart(chart, frame))


@QUICK
@given(st.lists(st.tuples(NAMES, NUMBERS, st.text(max_size=10)), max_size=8))
def test_ranked_bars_of_anything_are_sound(rows: list[tuple[str, float | None, str]]) -> None:
    assert_sound(ranked_bars("t", "d", [RankedRow(*row) for row in rows]))


@QUICK
@given(
    st.lists(st.tuples(NAMES, NUMBERS, NUMBERS, NUMBERS, st.text(max_size=10)), max_size=8),
    st.floats(-1e6, 0),
    st.sampled_from([WIDE, NARROW]),
)
def test_interval_rows_of_anything_are_sound(
    rows: list[tuple[str, float | None, float | None, float | None, str]], limit: float, frame: Frame
) -> None:
    assert_sound(interval_rows("t", "d", [IntervalRow(*row) for row in rows], frame, limit=limit, unit="EUR"))


@QUICK
@given(st.lists(st.tuples(NAMES, st.floats(0, 1), st.floats(0, 1)), max_size=40))
def test_paired_bars_of_anything_are_sound(rows: list[tuple[str, float, float]]) -> None:
    cells, before, after = zip(*rows, strict=True) if rows else ((), (), ())
    assert_sound(paired_bars("t", "d", DistributionPair("c", "before", "after", cells, before, after)))


@QUICK
@given(NAMES, NAMES, st.floats(0, 1), st.floats(0, 1))
def test_split_bars_of_anything_are_sound(first: str, second: str, one: float, other: float) -> None:
    assert_sound(split_bar("t", "d", (first, one), (second, other)))


@QUICK
@given(st.lists(st.tuples(NAMES, NAMES, st.lists(NUMBERS, min_size=3, max_size=3)), max_size=5))
def test_panels_of_anything_are_sound(panels: list[tuple[str, str, list[float | None]]]) -> None:
    drawn = [Panel(name, "never", tuple(values), note) for name, note, values in panels]
    for frame in (WIDE, NARROW):
        assert_sound(bar_panels("t", "d", drawn, ("a", "b", "c"), frame))


def test_every_release_is_marked_and_numbered(hotel_story: ReplayStory) -> None:
    drawing = line_chart(band_chart(hotel_story), WIDE)
    assert drawing.count('class="release"') == len(hotel_story.releases)
    assert [text for text, *_ in letters(drawing) if text.isdigit()] == ["1", "2", "3", "4"]


def test_releases_of_one_day_keep_apart_and_a_crowd_loses_its_numbers_only(hotel_story: ReplayStory) -> None:
    mark = ReleaseMark("2016-01-29", "v", "r", 1, 100, "2016-01")
    same_day = replace(hotel_story, releases=(mark,) * 6)
    assert_sound(line_chart(band_chart(same_day), NARROW))
    crowd = replace(hotel_story, releases=(mark,) * 150)
    drawing = line_chart(band_chart(crowd), WIDE)
    assert drawing.count('class="release"') == 150
    assert "release-number" not in drawing


def test_a_withdrawn_estimate_leaves_a_gap_and_says_so(hotel_story: ReplayStory) -> None:
    chart = band_chart(hotel_story)
    assert chart.withheld == ((94.5, 136.5),)
    shown = [value for x, value in chart.lines[1].points if 94.5 < x < 136.5]
    assert shown == [None] * 6
    assert "no estimate" not in line_chart(chart, NARROW)  # too narrow there; the legend says it
    assert 'class="withheld"' in line_chart(chart, NARROW)


def test_running_sums_skip_gaps_and_end_with_the_last_known_value() -> None:
    assert cumulated([1.0, None, math.nan, 2.0, None]) == [1.0, 1.0, 1.0, 3.0, None]
    assert cumulated([]) == []
    assert cumulated([None]) == [None]


def test_running_sums_are_after_costs_and_agree_with_the_totals(hotel_story: ReplayStory) -> None:
    chart = cumulated_chart(hotel_story)
    assert "after costs" in chart.title
    for line in chart.lines:
        assert line.points[-1][1] == pytest.approx(hotel_story.totals[line.policy].value)
    free = replace(hotel_story, periods=tuple(replace(row, cost={}) for row in hotel_story.periods))
    assert "before costs" in cumulated_chart(free).title


def test_folded_cells_lose_no_share(hotel_story: ReplayStory) -> None:
    drawing = paired_bars("t", "d", hotel_story.distributions[2])
    assert "27 other cells" in drawing
    assert "68% → 54%" in drawing


def test_a_distribution_needs_a_share_for_each_cell() -> None:
    with pytest.raises(ReportError, match="lead_time: 2 cells, 1 shares before, 2 after"):
        DistributionPair("lead_time", "before", "after", ("a", "b"), (1.0,), (0.5, 0.5))


def test_a_standalone_picture_brings_its_style(hotel_story: ReplayStory) -> None:
    drawing = standalone(line_chart(metric_chart(hotel_story), WIDE))
    root = ET.fromstring(drawing)  # noqa: S314 (made by the code under test)
    style = root.find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme:dark" in (style.text or "")


def test_a_withdrawn_estimate_is_not_drawn_even_if_it_is_given(hotel_story: ReplayStory) -> None:
    point = BandPoint("w", 0, 0.7, 0.6, 0.8, 0.7, "calibration failed")
    chart = band_chart(replace(hotel_story, bands=(point, replace(point, order=1, withdrawn=None))))
    assert chart.lines[1].points == ((0.0, None), (1.0, 0.7))
    assert chart.band == ((0.0, None, None), (1.0, 0.6, 0.8))


def test_a_gap_breaks_the_line_and_a_lone_point_is_marked() -> None:
    points = ((0.0, 1.0), (1.0, 2.0), (2.0, None), (3.0, 5.0), (4.0, math.nan), (5.0, 3.0), (6.0, 4.0))
    drawing = line_chart(LineChart("t", "d", "u", (Line("a", "pitstop", points),), ()), WIDE)
    assert drawing.count('class="line"') == 2
    assert drawing.count("<circle") == 5
