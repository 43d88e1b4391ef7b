"""A line as small as a word, without axes: for tables, beside the number that it leads to."""

from __future__ import annotations

from collections.abc import Sequence

from pitstop.report.charts import path
from pitstop.report.markup import Markup, element
from pitstop.report.scales import Scale
from pitstop.report.story import Number, known

WIDTH, HEIGHT = 120.0, 28.0
_EDGE = 3.0


def sparkline(values: Sequence[Number | None], sentence: str, *, zero: bool = False, style: str = "realised") -> Markup:
    """Return the line with a point at its end, and a gap where nothing is known; `sentence` says it for a reader.

    `zero` draws a hair line at 0 and keeps it on the scale.
    """
    numbers = [known(value) for value in values]
    found = [value for value in numbers if value is not None]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-12:
        low, high = low - 1.0, high + 1.0
    scale = Scale(low, high, HEIGHT - _EDGE, _EDGE)
    step = (WIDTH - 2 * _EDGE) / max(1, len(numbers) - 1)
    parts: list[Markup] = []
    if zero:
        y = scale.at(0.0)
        parts.append(element("line", {"x1": 0, "x2": WIDTH, "y1": y, "y2": y, "class": "grid"}))
    run: list[tuple[float, float]] = []
    last: tuple[float, float] | None = None
    for place, value in enumerate([*numbers, None]):
        if value is not None:
            last = (_EDGE + place * step, scale.at(value))
            run.append(last)
            continue
        if len(run) > 1:
            parts.append(element("path", {"d": path(run), "class": "line"}))
        elif run:
            parts.append(element("circle", {"cx": run[0][0], "cy": run[0][1], "r": 1.5, "class": "solid"}))
        run = []
    if last is not None:
        parts.append(element("circle", {"cx": last[0], "cy": last[1], "r": 2.5, "class": "solid"}))
    drawing = element("g", {"class": f"p-{style} thin"}, *parts)
    frame = {"class": "picture spark", "viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "role": "img"}
    return element("svg", frame, element("title", None, sentence), drawing)


def interval_bar(low: float, value: float, high: float, most: float, sentence: str) -> Markup:
    """Return a bar from 0 to `value` with its interval as a whisker, on a scale from 0 to `most` (above 0)."""
    scale = Scale(0.0, most, 0.0, WIDTH - 2)
    middle = HEIGHT / 2
    ends = path(((scale.at(low), middle), (scale.at(high), middle)))
    parts = [
        element("rect", {"x": 0, "y": middle - 6, "width": max(1.0, scale.at(value)), "height": 12, "class": "solid"}),
        element("path", {"d": ends, "class": "reach"}),
        *(
            element("line", {"x1": x, "x2": x, "y1": middle - 4, "y2": middle + 4, "class": "reach"})
            for x in (scale.at(low), scale.at(high))
        ),
    ]
    frame = {"class": "picture spark", "viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "role": "img"}
    return element("svg", frame, element("title", None, sentence), element("g", {"class": "p-never"}, *parts))
