"""A waterfall: from one amount to another by steps that add up, each beginning where the one before ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pitstop.report import formats
from pitstop.report.charts import LETTERS, Frame, lettering, picture
from pitstop.report.lettering import fitted, text_width
from pitstop.report.markup import Attributes, Markup, element
from pitstop.report.scales import value_scale

_ROW = 30.0


@dataclass(frozen=True)
class WaterStep:
    """A step: its name and its amount. A `whole` one begins at 0: what there was, and what came of it."""

    name: str
    amount: float
    whole: bool = False
    estimated: bool = False


def waterfall(title: str, description: str, steps: Sequence[WaterStep], frame: Frame) -> Markup:
    """Return the steps from top to bottom, with their amounts written at the right."""
    ends, level = [], 0.0
    for step in steps:
        start = 0.0 if step.whole else level
        level = start + step.amount
        ends.append((start, level))
    texts = [f"{formats.money(step.amount) if step.whole else _signed(step.amount)}" for step in steps]
    room = max((text_width(text, LETTERS) for text in texts), default=0.0)
    names = min(max((text_width(step.name, LETTERS) for step in steps), default=0.0), frame.width * 0.4)
    scale = value_scale([end for pair in ends for end in pair], names + 14, frame.width - room - 14, zero=True)
    parts: list[Markup] = []
    for place, (step, (start, end), text) in enumerate(zip(steps, ends, texts, strict=True)):
        top = place * _ROW
        left, right = sorted((scale.at(start), scale.at(end)))
        style = "foreseen" if step.estimated else "entire" if step.whole else "solid" if step.amount >= 0 else "cost"
        box: Attributes = {
            "x": left,
            "y": top + 6,
            "width": max(1.0, right - left),
            "height": _ROW - 12,
            "class": style,
        }
        parts.append(lettering(fitted(step.name, names, LETTERS), 0, top + _ROW / 2 + 4, "plain"))
        parts.append(element("g", {"class": "p-realised"}, element("rect", box)))
        if place + 1 < len(steps) and not steps[place + 1].whole:
            x = scale.at(end)
            parts.append(element("line", {"x1": x, "x2": x, "y1": top + 6, "y2": top + _ROW + 6, "class": "grid"}))
        parts.append(lettering(text, frame.width, top + _ROW / 2 + 4, "number", "end"))
    height = max(1, len(steps)) * _ROW
    zero: Attributes = {"x1": scale.at(0.0), "x2": scale.at(0.0), "y1": 0, "y2": height, "class": "zero"}
    return picture(title, description, frame, height, [*parts, element("line", zero)])


def _signed(amount: float) -> str:
    return f"+{formats.money(amount)}" if amount > 0 else formats.money(amount)
