"""Bars: one panel per policy over time, ranked shares, two distributions side by side, one whole split in two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pitstop.report import formats
from pitstop.report.charts import CARD, LETTERS, Frame, lettering, picture
from pitstop.report.lettering import BOLD, fitted, text_width
from pitstop.report.markup import Attributes, Markup, element
from pitstop.report.scales import Scale, label_places, value_scale
from pitstop.report.story import DistributionPair, Number, known

_PANEL = 84.0  # height of one panel of a stack, its title included
_ROW = 24.0  # height of one row of horizontal bars
_MOST_CELLS = 14


@dataclass(frozen=True)
class Panel:
    """One policy's values, a bar for each period; `summary` stands beside its name."""

    name: str
    policy: str
    values: tuple[Number | None, ...]
    summary: str = ""


@dataclass(frozen=True)
class RankedRow:
    """One horizontal bar: what it is, how long it is, how its value is written, and whose colour it has."""

    label: str
    value: Number | None
    text: str
    policy: str = "data"


def bar_panels(title: str, description: str, panels: Sequence[Panel], periods: Sequence[str], frame: Frame) -> Markup:
    """Return panels below each other with one scale for all, so that heights compare across policies and periods."""
    reach = value_scale((value for panel in panels for value in panel.values), 0, 1, zero=True, ticks=4)
    left = max(text_width(reach.tick_text(tick), LETTERS) for tick in reach.ticks) + 8
    right = frame.width - 8
    slot = (right - left) / max(1, len(periods))
    centres = [left + slot * (index + 0.5) for index in range(len(periods))]
    parts: list[Markup] = []
    for index, panel in enumerate(panels):
        top, bottom = index * _PANEL + LETTERS * 2, (index + 1) * _PANEL - 6
        scale = Scale(reach.low, reach.high, bottom, top, reach.ticks)
        name = lettering(panel.name, left, top - 8, "name")
        parts += [element("g", {"class": f"p-{panel.policy}"}, name)]
        room = right - left - text_width(panel.name, LETTERS * BOLD) - 12
        parts.append(lettering(fitted(panel.summary, room, LETTERS), right, top - 8, "quiet", "end"))
        parts += _panel_grid(scale, left, right)
        bars = [_bar(scale, centre, slot, value) for centre, value in zip(centres, panel.values, strict=True)]
        parts.append(element("g", {"class": f"p-{panel.policy}"}, *(bar for bar in bars if bar)))
    bottom = len(panels) * _PANEL
    texts = [fitted(text, (right - left) / 2, LETTERS) for text in periods]
    for x, text in label_places(centres, texts, LETTERS, left, right):
        parts.append(lettering(text, x, bottom + LETTERS, "quiet", "middle"))
    return picture(title, description, frame, bottom + LETTERS * 1.6, parts)


def ranked_bars(title: str, description: str, rows: Sequence[RankedRow]) -> Markup:
    """Return one horizontal bar per row on one scale from 0, in the order given. Bars below 0 go to the left."""
    widest = max((text_width(row.text, LETTERS) for row in rows), default=0.0)
    values_from = CARD.width - min(widest, CARD.width / 3)
    name_room = min(max((text_width(row.label, LETTERS) for row in rows), default=0.0), CARD.width * 0.4)
    scale = value_scale((row.value for row in rows), name_room + 10, values_from - 10, zero=True)
    parts: list[Markup] = []
    for index, row in enumerate(rows):
        middle = (index + 0.5) * _ROW
        parts.append(lettering(fitted(row.label, name_room, LETTERS), 0, middle + 4, "plain"))
        parts.append(lettering(fitted(row.text, CARD.width / 3, LETTERS), CARD.width, middle + 4, "number", "end"))
        value = known(row.value)
        if value is not None:
            ends = sorted((scale.at(0.0), scale.at(value)))
            bar = _rectangle(ends[0], middle - 6, max(1.0, ends[1] - ends[0]), 12, "solid")
            parts.append(element("g", {"class": f"p-{row.policy}"}, bar))
    height = max(1, len(rows)) * _ROW
    zero: Attributes = {"x1": scale.at(0.0), "x2": scale.at(0.0), "y1": 0, "y2": height, "class": "zero"}
    return picture(title, description, CARD, height, [*parts, element("line", zero)])


def paired_bars(title: str, description: str, pair: DistributionPair) -> Markup:
    """Return the shares before (outlined) and after (filled) for each cell, both from one axis.

    Of more than 14 cells the largest are shown, in their order; the others are added up in a last row.
    """
    rows = _largest_cells(pair)
    texts = [f"{formats.percent(before)} → {formats.percent(after)}" for _, before, after in rows]
    widest = max((text_width(text, LETTERS) for text in texts), default=0.0)
    name_room = min(max((text_width(label, LETTERS) for label, _, _ in rows), default=0.0), CARD.width * 0.4)
    most = max((share for _, *shares in rows for share in shares), default=1.0) or 1.0
    scale = Scale(0.0, most, name_room + 10, CARD.width - widest - 10)
    parts: list[Markup] = []
    for index, ((label, before, after), text) in enumerate(zip(rows, texts, strict=True)):
        top = index * _ROW
        parts.append(lettering(fitted(label, name_room, LETTERS), 0, top + _ROW / 2 + 4, "plain"))
        parts.append(_rectangle(scale.start, top + 3, scale.at(before) - scale.start, 7, "before"))
        parts.append(_rectangle(scale.start, top + 12, scale.at(after) - scale.start, 8, "after"))
        parts.append(lettering(text, CARD.width, top + _ROW / 2 + 4, "number", "end"))
    height = max(1, len(rows)) * _ROW
    axis: Attributes = {"x1": scale.start, "x2": scale.start, "y1": 0, "y2": height, "class": "zero"}
    return picture(title, description, CARD, height, [*parts, element("line", axis)])


def split_bar(title: str, description: str, first: tuple[str, float], second: tuple[str, float]) -> Markup:
    """Return one bar split in two named shares, which must be at least 0; they are drawn in proportion to their sum."""
    whole = first[1] + second[1] or 1.0
    cut = CARD.width * first[1] / whole
    half = CARD.width / 2 - 6
    parts = [
        lettering(fitted(f"{first[0]} {formats.percent(first[1])}", half, LETTERS), 0, LETTERS, "plain"),
        lettering(
            fitted(f"{second[0]} {formats.percent(second[1])}", half, LETTERS), CARD.width, LETTERS, "plain", "end"
        ),
        _rectangle(0.5, 20, max(0.0, cut - 1.5), 12, "before"),
        _rectangle(cut + 0.5, 20, max(0.0, CARD.width - cut - 1), 12, "after"),
    ]
    return picture(title, description, CARD, 36, parts)


def _panel_grid(scale: Scale, left: float, right: float) -> list[Markup]:
    parts = []
    for tick in scale.ticks:
        y = scale.at(tick)
        parts.append(
            element("line", {"x1": left, "x2": right, "y1": y, "y2": y, "class": "zero" if tick == 0 else "grid"})
        )
        if tick in {scale.ticks[0], 0.0, scale.ticks[-1]}:
            parts.append(lettering(scale.tick_text(tick), left - 8, y + 4, "quiet", "end"))
    return parts


def _bar(scale: Scale, centre: float, slot: float, value: Number | None) -> Markup | None:
    number = known(value)
    if number is None:
        return None
    ends = sorted((scale.at(0.0), scale.at(number)))
    width = max(0.5, slot * 0.68)
    return _rectangle(
        centre - width / 2, ends[0], width, max(0.75, ends[1] - ends[0]), "solid" if number >= 0 else "loss"
    )


def _rectangle(x: float, y: float, width: float, height: float, style: str) -> Markup:
    return element("rect", {"x": x, "y": y, "width": width, "height": height, "class": style})


def _largest_cells(pair: DistributionPair) -> list[tuple[str, float, float]]:
    rows = [
        (cell, known(before) or 0.0, known(after) or 0.0)
        for cell, before, after in zip(pair.cells, pair.before, pair.after, strict=True)
    ]
    if len(rows) <= _MOST_CELLS:
        return rows
    ranked = sorted(range(len(rows)), key=lambda index: (-max(rows[index][1:]), index))
    kept = sorted(ranked[: _MOST_CELLS - 1])
    others = [rows[index] for index in ranked[_MOST_CELLS - 1 :]]
    folded = (f"{len(others)} other cells", sum(row[1] for row in others), sum(row[2] for row in others))
    return [*(rows[index] for index in kept), folded]
