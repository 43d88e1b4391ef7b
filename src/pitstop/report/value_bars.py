"""Value by period: what is realised, and on top of it, outlined, what is estimated and waits for labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pitstop.report.charts import LETTERS, Frame, lettering, picture
from pitstop.report.lettering import fitted, text_width
from pitstop.report.markup import Attributes, Markup, element
from pitstop.report.scales import Scale, label_places, value_scale

_MARK = 9.0


@dataclass(frozen=True)
class ValueBar:
    """One period: `realised` and `estimated` in currency, `doubt` half of the 95% interval of what is estimated."""

    name: str
    realised: float
    estimated: float
    doubt: float


def value_bars(
    title: str, description: str, unit: str, bars: Sequence[ValueBar], marks: Sequence[tuple[float, str]], frame: Frame
) -> Markup:
    """Return the bars with numbered release marks; a mark is (place among the bars, in bars from 0, its text)."""
    top = 2 * LETTERS + (2 * _MARK + 4 if marks else 0)
    bottom = frame.height - 2 * LETTERS
    ends = [end for bar in bars for end in (bar.realised, *_reach(bar))]
    scale = value_scale(ends, bottom, top, zero=True, ticks=6 if frame.labelled else 5)
    left = max(text_width(scale.tick_text(tick), LETTERS) for tick in scale.ticks) + 8
    right = frame.width - 8
    slot = (right - left) / max(1, len(bars))
    parts: list[Markup] = [lettering(unit, 0, LETTERS)]
    for tick in scale.ticks:
        y = scale.at(tick)
        style = "zero" if tick == 0 else "grid"
        parts.append(element("line", {"x1": left, "x2": right, "y1": y, "y2": y, "class": style}))
        parts.append(lettering(scale.tick_text(tick), left - 8, y + LETTERS * 0.35, "quiet", "end"))
    for place, text in marks:
        x = min(max(left + place * slot, left + _MARK), right - _MARK)
        parts.append(element("line", {"x1": x, "x2": x, "y1": top - 4, "y2": bottom, "class": "release"}))
        parts.append(element("circle", {"cx": x, "cy": top - _MARK - 4, "r": _MARK, "class": "release-head"}))
        number: Attributes = {
            "x": x,
            "y": top - _MARK - 0.4,
            "class": "release-number",
            "text-anchor": "middle",
            "font-size": 10,
        }
        parts.append(element("text", number, text))
    drawn = [part for place, bar in enumerate(bars) for part in _bar(bar, left + (place + 0.5) * slot, slot, scale)]
    parts.append(element("g", {"class": "p-realised"}, *drawn))
    centres = [left + (place + 0.5) * slot for place in range(len(bars))]
    texts = [fitted(bar.name, (right - left) / 2, LETTERS) for bar in bars]
    for x, text in label_places(centres, texts, LETTERS, left, right):
        parts.append(lettering(text, x, bottom + LETTERS * 1.6, "quiet", "middle"))
    return picture(title, description, frame, frame.height, parts)


def _reach(bar: ValueBar) -> tuple[float, float]:
    whole = bar.realised + bar.estimated
    return whole - bar.doubt, whole + bar.doubt


def _bar(bar: ValueBar, centre: float, slot: float, scale: Scale) -> list[Markup]:
    width = max(1.0, slot * 0.62)
    x, zero = centre - width / 2, scale.at(0.0)
    known, whole = scale.at(bar.realised), scale.at(bar.realised + bar.estimated)
    parts = [_box(x, zero, known, width, "solid" if bar.realised >= 0 else "loss")]
    if abs(bar.estimated) > 0:
        # Stacked where both point the same way, else from zero: what is estimated is then not part of what is known.
        begin = known if (bar.realised >= 0) == (bar.estimated >= 0) else zero
        end = whole if begin == known else scale.at(bar.estimated)
        parts.append(_box(x, begin, end, width, "foreseen"))
    if bar.doubt > 0:
        low, high = (scale.at(end) for end in _reach(bar))
        parts.append(element("line", {"x1": centre, "x2": centre, "y1": low, "y2": high, "class": "reach"}))
    return parts


def _box(x: float, start: float, end: float, width: float, style: str) -> Markup:
    top, height = min(start, end), max(0.75, abs(end - start))
    return element("rect", {"x": x, "y": top, "width": width, "height": height, "class": style})
