"""Line charts over time: lines with point marks, a band of uncertainty, spans without estimate, release marks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pitstop.report.charts import LETTERS, Frame, lettering, path, picture, point
from pitstop.report.lettering import BOLD, fitted, text_width
from pitstop.report.markup import Attributes, Markup, element
from pitstop.report.scales import Scale, label_places, spread, value_scale
from pitstop.report.story import Number, known

_MARK = 9.0  # radius of a numbered release mark
_FLAG = 13.0  # width of the flag of an event
_DIGITS = 10.0  # font size of the number within
_SUBJECTS = frozenset({"pitstop", "realised"})
_DENSE = 150  # points from which on a thick line closes its own gaps
_POINTS = 24  # more point marks than this on one line are a rope of beads


@dataclass(frozen=True)
class Line:
    """One line: the name written at its end, the policy that gives its colour, dash and point mark, and its points."""

    name: str
    policy: str
    points: tuple[tuple[float, Number | None], ...]


@dataclass(frozen=True)
class LineChart:
    """What a line chart shows. All `x` are on one scale of time; a point without a value is a gap.

    `labels` name places of the time axis; `band` holds (x, low, high); `withheld` spans of x without an estimate;
    `marks` the x of releases, numbered from `first_mark`; `events` (x, letter, style) what happened, flagged below the
    axis; `zero` puts 0 on the value axis.
    """

    title: str
    description: str
    unit: str
    lines: tuple[Line, ...]
    labels: tuple[tuple[float, str], ...]
    band: tuple[tuple[float, Number | None, Number | None], ...] = ()
    withheld: tuple[tuple[float, float], ...] = ()
    marks: tuple[float, ...] = ()
    events: tuple[tuple[float, str, str], ...] = ()
    first_mark: int = 1
    zero: bool = False


@dataclass(frozen=True)
class _Plot:
    """The rectangle that the data fill, and its two scales."""

    left: float
    right: float
    top: float
    bottom: float
    time: Scale
    value: Scale


def line_chart(chart: LineChart, frame: Frame) -> Markup:
    """Return the chart drawn for `frame`. An empty chart is an empty pair of axes that says so."""
    plot = _plot(chart, frame)
    parts = [lettering(chart.unit, 0, LETTERS), *_axes(chart, plot)]
    parts += [_withheld_span(plot, start, end) for start, end in chart.withheld]
    parts += _band(chart, plot)
    parts += _marks(chart, plot)
    parts += _events(chart, plot)
    # What the report is about is drawn last, so that nothing covers it.
    parts += [_line(line, plot) for line in sorted(chart.lines, key=lambda line: line.policy in _SUBJECTS)]
    if frame.labelled:
        parts += _end_names(chart, plot, frame)
    if not any(known(value) is not None for line in chart.lines for _, value in line.points):
        parts.append(
            lettering("nothing to show yet", (plot.left + plot.right) / 2, plot.bottom - 40, "quiet", "middle")
        )
    return picture(chart.title, chart.description, frame, frame.height, parts)


def _plot(chart: LineChart, frame: Frame) -> _Plot:
    values = [value for line in chart.lines for _, value in line.points]
    values += [value for _, low, high in chart.band for value in (low, high)]
    top = 2 * LETTERS + (2 * _MARK + 4 if chart.marks else 0)
    bottom = frame.height - (3.4 if chart.events else 2) * LETTERS
    value = value_scale(values, bottom, top, zero=chart.zero, ticks=6 if frame.labelled else 5)
    left = max(text_width(value.tick_text(tick), LETTERS) for tick in value.ticks) + 8
    names = [text_width(line.name, LETTERS * BOLD) for line in chart.lines] if frame.labelled else []
    right = frame.width - (min(max(names, default=0.0), frame.width / 4) + 16 if names else 8)
    places = [x for x, _ in chart.labels] + [x for line in chart.lines for x, _ in line.points] + list(chart.marks)
    low, high = (min(places), max(places)) if places else (0.0, 1.0)
    room = (high - low) * 0.5 / max(1, len(chart.labels)) or 0.5
    return _Plot(left, right, top, bottom, Scale(low - room, high + room, left, right), value)


def _axes(chart: LineChart, plot: _Plot) -> list[Markup]:
    parts = []
    for tick in plot.value.ticks:
        y = plot.value.at(tick)
        style = "zero" if chart.zero and tick == 0 else "grid"
        parts.append(element("line", {"x1": plot.left, "x2": plot.right, "y1": y, "y2": y, "class": style}))
        parts.append(lettering(plot.value.tick_text(tick), plot.left - 8, y + LETTERS * 0.35, "quiet", "end"))
    places = [plot.time.at(x) for x, _ in chart.labels]
    texts = [fitted(text, (plot.right - plot.left) / 2, LETTERS) for _, text in chart.labels]
    for x, text in label_places(places, texts, LETTERS, plot.left, plot.right):
        parts.append(lettering(text, x, plot.bottom + LETTERS * (3.0 if chart.events else 1.6), "quiet", "middle"))
    return parts


def _events(chart: LineChart, plot: _Plot) -> list[Markup]:
    """Return a small flag below the axis for each event, with its letter where letters do not touch."""
    places = [plot.time.at(x) for x, _, _ in chart.events]
    lettered = len(places) * _FLAG * 1.5 <= plot.right - plot.left
    heads = spread(places, _FLAG * 1.5, plot.left, plot.right) if lettered else places
    parts = []
    for place, head, (_, letter, style) in zip(places, heads, chart.events, strict=True):
        foot = plot.bottom + 4
        parts.append(element("path", {"d": path(((place, plot.bottom), (head, foot))), "class": "flag-foot"}))
        corners = path(((head, foot), (head + _FLAG / 2, foot + 5), (head + _FLAG / 2, foot + 16)))
        shape = f"{corners}L{head - _FLAG / 2:.1f} {foot + 16:.1f}L{head - _FLAG / 2:.1f} {foot + 5:.1f}Z"
        parts.append(element("path", {"d": shape, "class": f"flag {style}"}))
        if lettered:
            spot: Attributes = {
                "x": head,
                "y": foot + 13.5,
                "class": "flag-letter",
                "text-anchor": "middle",
                "font-size": 9,
            }
            parts.append(element("text", spot, letter))
    return parts


def _withheld_span(plot: _Plot, start: float, end: float) -> Markup:
    left, right = plot.time.at(start), plot.time.at(end)
    parts = [
        element(
            "rect",
            {
                "x": left,
                "y": plot.top,
                "width": max(1, right - left),
                "height": plot.bottom - plot.top,
                "class": "withheld",
            },
        )
    ]
    text = "no estimate"
    if right - left > text_width(text, LETTERS) + 8:
        parts.append(lettering(text, (left + right) / 2, plot.bottom - 6, "quiet", "middle"))
    return element("g", None, *parts)


def _band(chart: LineChart, plot: _Plot) -> list[Markup]:
    run: list[tuple[float, float, float]] = []
    parts = []
    for x, low, high in (*chart.band, (0.0, None, None)):
        least, most = known(low), known(high)
        if least is not None and most is not None:
            run.append((plot.time.at(x), plot.value.at(least), plot.value.at(most)))
            continue
        if len(run) > 1:
            outline = [(place, upper) for place, _, upper in run] + [
                (place, lower) for place, lower, _ in reversed(run)
            ]
            parts.append(element("path", {"d": path(outline) + "Z", "class": "band"}))
        elif run:
            ((place, lower, upper),) = run
            parts.append(element("path", {"d": path(((place, upper), (place, lower))), "class": "whisker"}))
        run = []
    return parts


def _marks(chart: LineChart, plot: _Plot) -> list[Markup]:
    places = [plot.time.at(x) for x in chart.marks]
    numbered = len(places) * (2 * _MARK + 2) <= plot.right - plot.left
    strip = plot.top - _MARK - 4
    heads = spread(places, 2 * _MARK + 2, plot.left + _MARK, plot.right - _MARK) if numbered else places
    parts = []
    for index, (place, head) in enumerate(zip(places, heads, strict=True)):
        foot = path(((head, strip + _MARK), (place, plot.top), (place, plot.bottom)))
        parts.append(element("path", {"d": foot, "class": "release"}))
        if numbered:
            parts.append(element("circle", {"cx": head, "cy": strip, "r": _MARK, "class": "release-head"}))
            text = element(
                "text",
                {
                    "x": head,
                    "y": strip + _DIGITS * 0.36,
                    "class": "release-number",
                    "text-anchor": "middle",
                    "font-size": _DIGITS,
                },
                str(chart.first_mark + index),
            )
            parts.append(text)
    return parts


def _line(line: Line, plot: _Plot) -> Markup:
    runs = list(_runs(line, plot))
    parts = [element("path", {"d": path(run), "class": "line"}) for run in runs if len(run) > 1]
    points = [place for run in runs for place in run]
    every = max(1, math.ceil(len(points) / _POINTS))
    lonely = [run[0] for run in runs if len(run) == 1]
    shown = dict.fromkeys([*points[::every], *lonely, *points[-1:]])
    parts += [point(line.policy, x, y, 2.2 if every > 1 else 3.2) for x, y in shown]
    dense = " dense" if len(points) > _DENSE else ""
    return element("g", {"class": f"p-{line.policy}{dense}"}, *parts)


def _runs(line: Line, plot: _Plot) -> Iterator[list[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for x, value in line.points:
        number = known(value)
        if number is not None:
            run.append((plot.time.at(x), plot.value.at(number)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _end_names(chart: LineChart, plot: _Plot, frame: Frame) -> list[Markup]:
    ends: list[tuple[Line, float]] = []
    for line in chart.lines:
        values = [number for _, value in line.points if (number := known(value)) is not None]
        if values:
            ends.append((line, plot.value.at(values[-1])))
    heights = spread([y for _, y in ends], LETTERS * 1.35, plot.top, plot.bottom)
    room = frame.width - plot.right - 8
    return [
        element(
            "g",
            {"class": f"p-{line.policy}"},
            lettering(fitted(line.name, room, LETTERS * BOLD), plot.right + 8, y + 4, "name"),
        )
        for (line, _), y in zip(ends, heights, strict=True)
    ]
