"""From numbers to places: axes with round ticks, labels that leave room for each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pitstop.report import formats
from pitstop.report.lettering import text_width
from pitstop.report.story import Number, known

_FARTHEST = 1e300  # beyond it differences of doubles overflow, below its inverse they vanish


@dataclass(frozen=True)
class Scale:
    """A straight line from `low`..`high` (data) to `start`..`end` (drawing units); values outside go to the edge."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...] = ()

    def at(self, value: float) -> float:
        """Return the place of `value`."""
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)

    def tick_text(self, tick: float) -> str:
        """Return the text of a tick: the shortest way to write it in which no two ticks read the same."""
        largest = max(abs(value) for value in self.ticks)
        ways = [f".{decimals}f" for decimals in range(7)] if largest < 1000 else ["compact"]
        ways += [f".{digits}g" for digits in range(1, 17)]
        for way in ways:
            texts = {value: formats.compact(value) if way == "compact" else format(value, way) for value in self.ticks}
            # Distinct is not enough: 0.25 and 0.75 as "0.2" and "0.8" would be distinct and wrong.
            exact = way.endswith("g") or all(_reads_as(text, value) for value, text in texts.items())
            if exact and len(set(texts.values())) == len(texts):
                return texts[tick]
        return repr(tick)


def value_scale(
    values: Iterable[Number | None], start: float, end: float, *, zero: bool = False, ticks: int = 5
) -> Scale:
    """Return a scale that holds all known values and begins and ends at a round tick.

    `zero` puts 0 on the scale (needed wherever length means size). Without any known value it is 0..1.
    """
    given = [min(max(value, -_FARTHEST), _FARTHEST) for value in map(known, values) if value is not None]
    numbers = [value if abs(value) > 1 / _FARTHEST else 0.0 for value in given]
    numbers += [0.0] if zero else []
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    # Differences in the last digits of large numbers are noise and leave no room for round ticks.
    if high - low <= max(abs(low), abs(high)) * 1e-9:
        margin = max(abs(low), abs(high)) * 0.1 or 1.0
        low, high = (low, high + margin) if zero and low == 0.0 else (low - margin, high + margin)
    step = _round_step((high - low) / max(1, ticks - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    places = tuple(index * step for index in range(first, last + 1))
    return Scale(places[0], places[-1], start, end, places)


def label_places(
    places: Sequence[float], texts: Sequence[str], size: float, low: float, high: float
) -> tuple[tuple[float, str], ...]:
    """Return centres and texts of those labels that fit side by side within `low`..`high`, evenly thinned."""
    for stride in (1, 2, 3, 4, 6, *range(12, len(places))):
        chosen = _placed(places, texts, size, low, high, stride=stride)
        if chosen is not None:
            return chosen
    return _placed(places, texts, size, low, high, stride=max(1, len(places))) or ()


def spread(places: Sequence[float], gap: float, low: float, high: float) -> tuple[float, ...]:
    """Return `places` moved as little as needed to be `gap` apart, in the same order of height, within `low`..`high`.

    Where they cannot all fit, they are spaced evenly over the whole range.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    if len(order) > 1 and gap * (len(order) - 1) > high - low:
        gap = (high - low) / (len(order) - 1)
    moved: dict[int, float] = {}
    floor = low
    for index in order:
        moved[index] = max(places[index], floor)
        floor = moved[index] + gap
    ceiling = high
    for index in reversed(order):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - gap
    return tuple(moved[index] for index in range(len(places)))


def _reads_as(text: str, value: float) -> bool:
    number = (
        float(text) if text[-1].isdigit() else float(text[:-1]) * {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}[text[-1]]
    )
    return abs(number - value) <= abs(value) * 1e-9


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * (1 - 1e-9))


def _placed(
    places: Sequence[float], texts: Sequence[str], size: float, low: float, high: float, *, stride: int
) -> tuple[tuple[float, str], ...] | None:
    taken = low
    chosen: list[tuple[float, str]] = []
    for index in range(0, len(places), stride):
        half = text_width(texts[index], size) / 2
        centre = min(max(places[index], low + half), high - half)
        if centre - half < taken and chosen:
            return None
        chosen.append((centre, texts[index]))
        taken = centre + half + size * 0.6
    return tuple(chosen)
