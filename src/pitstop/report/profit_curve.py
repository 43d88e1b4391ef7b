"""The profit curve: what labelled rows would have earned at every threshold, with today's and the best one."""

from __future__ import annotations

from collections.abc import Sequence

from pitstop.report import formats
from pitstop.report.charts import LETTERS, Frame, lettering, path, picture, point
from pitstop.report.lettering import text_width
from pitstop.report.markup import Markup, element
from pitstop.report.scales import Scale, value_scale


def profit_curve(
    title: str,
    description: str,
    unit: str,
    curve: Sequence[tuple[float, float]],
    today: tuple[float, float],
    best: tuple[float, float],
    frame: Frame,
) -> Markup:
    """Return the curve of (threshold 0..1, amount); `today` and `best` are such points."""
    top, bottom = 3.5 * LETTERS, frame.height - 2.8 * LETTERS
    value = value_scale([*(amount for _, amount in curve), today[1], best[1]], bottom, top, zero=True)
    left = max(text_width(value.tick_text(tick), LETTERS) for tick in value.ticks) + 8
    right = frame.width - 8
    across = Scale(0.0, 1.0, left, right)
    parts: list[Markup] = [lettering(unit, 0, LETTERS)]
    for tick in value.ticks:
        y = value.at(tick)
        style = "zero" if tick == 0 else "grid"
        parts.append(element("line", {"x1": left, "x2": right, "y1": y, "y2": y, "class": style}))
        parts.append(lettering(value.tick_text(tick), left - 8, y + 4, "quiet", "end"))
    for tenth in range(0, 11, 2):
        side = "end" if tenth == 10 else "middle"
        parts.append(lettering(f"{tenth / 10:g}", across.at(tenth / 10), bottom + LETTERS * 1.5, "quiet", side))
    parts.append(lettering("threshold", (left + right) / 2, bottom + LETTERS * 2.7, "quiet", "middle"))
    line = path([(across.at(threshold), value.at(amount)) for threshold, amount in curve])
    parts.append(element("g", {"class": "p-realised"}, element("path", {"d": line, "class": "line"})))
    named = (("today", today, "realised"), ("best", best, "never"))
    # Near each other, one name goes to the left and one to the right of its line.
    for name, (threshold, amount), style in named:
        x, y = across.at(threshold), value.at(amount)
        other = best if name == "today" else today
        anchor: str | None = "end" if threshold < other[0] or (threshold == other[0] and name == "today") else None
        room = text_width(f"{name} 0.333", LETTERS) + 10
        anchor = None if x - room < left else "end" if x + room > right else anchor
        parts.append(element("line", {"x1": x, "x2": x, "y1": top - 6, "y2": bottom, "class": "release"}))
        parts.append(
            element("g", {"class": f"p-{style}"}, point("pitstop" if name == "today" else "oracle", x, y, 4.5))
        )
        label = f"{name} {formats.metric(threshold)}"
        height = top - 10 - (LETTERS * 1.2 if name == "best" and threshold == other[0] else 0)
        parts.append(lettering(label, x + (-6 if anchor else 6), height, "plain", anchor))
    return picture(title, description, frame, frame.height, parts)
