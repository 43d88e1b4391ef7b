"""One row for each of several estimates: a point, its interval, and the lines that they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pitstop.report.charts import LETTERS, Frame, lettering, picture, point
from pitstop.report.lettering import fitted, text_width
from pitstop.report.markup import Attributes, Markup, element
from pitstop.report.scales import Scale, label_places, value_scale
from pitstop.report.story import Number, known

_ROW = 24.0
_AXIS = 22.0


@dataclass(frozen=True)
class IntervalRow:
    """One estimate: what of, its value with both ends (None: not known), how it is told, and whose sign it has."""

    label: str
    value: Number | None
    low: Number | None
    high: Number | None
    text: str
    policy: str = "data"


def interval_rows(
    title: str, description: str, rows: Sequence[IntervalRow], frame: Frame, *, limit: float = 0.0, unit: str = ""
) -> Markup:
    """Return a row for each estimate on one axis, a solid line at 0 and, where it is not 0, a dashed one at `limit`.

    The axis holds every value and most intervals: an end that lies far outside stops at its edge, without a cap.
    """
    names = min(max((text_width(row.label, LETTERS) for row in rows), default=0.0), frame.width * 0.36)
    widest = max((text_width(row.text, LETTERS) for row in rows), default=0.0) if frame.labelled else 0.0
    texts = min(widest, frame.width * 0.3)
    scale = value_scale(_shown(rows, limit), names + 12, frame.width - texts - 14, zero=True, ticks=4)
    step = _ROW if frame.labelled else _ROW + LETTERS
    height = len(rows) * step
    parts: list[Markup] = []
    places = [scale.at(tick) for tick in scale.ticks]
    for x, tick in zip(places, scale.ticks, strict=True):
        parts.append(_upright(x, height, "zero" if tick == 0 else "grid"))
    for x, text in label_places(places, [scale.tick_text(tick) for tick in scale.ticks], LETTERS, 0, frame.width):
        parts.append(lettering(text, x, height + LETTERS + 4, "quiet", "middle"))
    if limit:
        parts.append(_upright(scale.at(limit), height, "release"))
    for index, row in enumerate(rows):
        middle = index * step + _ROW / 2
        parts.append(lettering(fitted(row.label, names, LETTERS), 0, middle + 4, "plain"))
        parts += _estimate(row, scale, middle)
        if frame.labelled:
            text = fitted(row.text, frame.width * 0.3, LETTERS)
            parts.append(lettering(text, frame.width, middle + 4, "number", "end"))
        else:
            parts.append(lettering(fitted(row.text, frame.width, LETTERS), 0, middle + LETTERS + 6, "quiet"))
    if unit:
        parts.append(
            lettering(fitted(unit, frame.width - scale.start, LETTERS), scale.start, height + 2 * LETTERS + 8, "quiet")
        )
    return picture(title, description, frame, height + _AXIS + (LETTERS if unit else 0), parts)


def _shown(rows: Sequence[IntervalRow], limit: float) -> list[float]:
    """Return what the axis has to hold: every value, the limit, and intervals up to three times the middle one."""
    values = [value for row in rows if (value := known(row.value)) is not None]
    widths = sorted(
        high - low for row in rows if (low := known(row.low)) is not None and (high := known(row.high)) is not None
    )
    most = 1.5 * widths[len(widths) // 2] if widths else 0.0
    ends = [limit]
    for row in rows:
        value, low, high = known(row.value), known(row.low), known(row.high)
        if value is not None and low is not None and high is not None:
            ends += [max(low, value - most), min(high, value + most)]
    return [*values, *ends]


def _estimate(row: IntervalRow, scale: Scale, middle: float) -> list[Markup]:
    value, low, high = known(row.value), known(row.low), known(row.high)
    parts: list[Markup] = []
    if low is not None and high is not None:
        left, right = max(scale.at(low), scale.start), min(scale.at(high), scale.end)
        path = f"M{left:.1f} {middle:.1f}H{right:.1f}"
        path += f"M{left:.1f} {middle - 4:.1f}v8" if low >= scale.low else ""
        path += f"M{right:.1f} {middle - 4:.1f}v8" if high <= scale.high else ""
        parts.append(element("path", {"d": path, "class": "reach"}))
    if value is not None:
        mark = point(row.policy, scale.at(value), middle, 4.2)
        parts.append(element("g", {"class": f"p-{row.policy}"}, mark))
    return parts


def _upright(x: float, height: float, style: str) -> Markup:
    line: Attributes = {"x1": x, "x2": x, "y1": 0, "y2": height, "class": style}
    return element("line", line)
