"""Faults in a number: another unit, or a value that sticks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.breaks import Break
from pitstop.diagnosis.categories import VARIED
from pitstop.diagnosis.natural import HELD_AGAIN, longest_run, stretches, usual_distance
from pitstop.diagnosis.wording import number, percent
from pitstop.statistics.significance import kolmogorov_smirnov, kolmogorov_smirnov_p, rate_p

Floats = NDArray[np.float64]

FEWEST_VALUES = 30
_POWERS = (10.0, 100.0, 1000.0, 10_000.0, 100_000.0, 1_000_000.0, 1_000_000_000.0)
_UNITS = {
    60.0: "minutes to seconds",
    3600.0: "hours to seconds",
    24.0: "days to hours",
    1440.0: "days to minutes",
    86_400.0: "days to seconds",
    7.0: "weeks to days",
    12.0: "years to months, or feet to inches",
    365.25: "years to days",
    2.54: "inches to centimetres",
    25.4: "inches to millimetres",
    0.3048: "feet to metres",
    1.609344: "miles to kilometres",
    1.852: "knots to km/h",
    3.6: "m/s to km/h",
    0.45359237: "pounds to kilograms",
    28.349523: "ounces to grams",
    3.785412: "gallons to litres",
    1024.0: "KiB to bytes, or the like",
}
# Values beside the reference's own: this share of them must be known after the change, so many fewer before it.
_KNOWN, _UNKNOWN = 0.9, 0.5
# More of the values than this are the reference's own: their unit did not change.
_FAMILIAR = 0.3
# A constant factor or offset that is no known unit needs a distance beyond the column's own by so much.
_UNNAMED_TIMES = 4.0


@dataclass(frozen=True)
class _Change:
    """A change of unit: a function, its factor (0 for those with an offset) and words for it."""

    apply: Callable[[Floats], Floats]
    factor: float
    words: str


_OFFSETS = (
    _Change(lambda values: values * 1.8 + 32.0, 0.0, "Celsius became Fahrenheit"),
    _Change(lambda values: (values - 32.0) / 1.8, 0.0, "Fahrenheit became Celsius"),
    _Change(lambda values: values + 273.15, 0.0, "Celsius became kelvin"),
    _Change(lambda values: values - 273.15, 0.0, "kelvin became Celsius"),
    _Change(lambda values: -values, 0.0, "the sign was turned round"),
)


def find_unit_change(column: str, reference: Floats, current: Floats, alpha: float) -> Break | None:
    """Return the change of unit that brings the values back to the reference's distribution, or None.

    Both sides in their order in time, NaN and infinities where missing. A change is told where the values lie farther
    from the reference than chance (`alpha`) and than any stretch of it, and lie as near as those with the change
    undone. Besides distributions the values themselves are compared: a column of few values (prices, degrees) has
    them again after the factor is undone, whatever its shares did.
    """
    before, after = (side[np.isfinite(side)] for side in (reference, current))
    if min(before.size, after.size) < FEWEST_VALUES:
        return None
    raw = kolmogorov_smirnov(before, after)
    if raw < 0.2 or kolmogorov_smirnov_p(raw, before.size, after.size) >= alpha:
        return None
    usual = usual_distance(reference, stretches(reference.size, current.size))
    judge = _Judge.of(before, after, raw, usual)
    best = judge.best([*_near(before, after), *_OFFSETS]) or judge.unnamed(before, after)
    if best is None:
        return None
    middle = f"median {number(float(np.median(before)))}, now {number(float(np.median(after)))}"
    if best.factor:
        times = best.factor if best.factor >= 1 else 1 / best.factor
        how = f"{number(times)} times {'larger' if best.factor >= 1 else 'smaller'}"
        sentence = f"{column}: the values are {how} than before ({middle}), with the same shape: the unit changed"
        sentence += f" ({best.words})." if best.words else "."
    else:
        times = 1.0
        sentence = f"{column}: the values have the same shape in another unit ({middle}): {best.words}."
    return Break(column, "unit_change", times, 1.0, min(1.0, 0.5 + raw / 2), sentence)


@dataclass(frozen=True)
class _Judge:
    """Two samples with what is the same for every change that is tried on the reference."""

    before: Floats
    after: Floats
    raw: float
    usual: float
    noise: float
    known_raw: float

    @classmethod
    def of(cls, before: Floats, after: Floats, raw: float, usual: float) -> _Judge:
        noise = 1.36 * float(np.sqrt(1 / before.size + 1 / after.size))
        short = _short(after)
        return cls(before, short, raw, usual, noise, _overlap(_short(before), short))

    def best(self, changes: Sequence[_Change]) -> _Change | None:
        """Return the change that fits best; a power of ten where it fits nearly as well as the best one."""
        measured = [(self._distance(change), self._known(change), change) for change in changes]
        good = [item for item in measured if self._fits(*item)]
        if not good:
            return None
        least = min(distance for distance, _, _ in good)

        # Orders of magnitude are what pipelines get wrong; a drift must not turn a hundred into sixty. Of two orders
        # the one that brings the reference's own values back is right, where the column has few.
        def order(item: tuple[float, float, _Change]) -> tuple[bool, float]:
            distance, known, change = item
            return (not _power(change) or distance > least + 0.15 + known), distance - known

        return min(good, key=order)[2]

    def unnamed(self, before: Floats, after: Floats) -> _Change | None:
        """Return a factor or an offset that no table of units holds, where the shapes agree closely."""
        near = self.raw < max(0.5, _UNNAMED_TIMES * self.usual) or self.known_raw > _FAMILIAR
        if near or np.unique(after).size < FEWEST_VALUES:
            return None
        first, second = float(np.median(before)), float(np.median(after))
        tried = [_Change(partial(np.add, second - first), 0.0, f"a constant {number(second - first)} was added")]
        if first * second > 0:
            factor = second / first
            tried.append(_Change(partial(np.multiply, factor), factor, ""))
        close = [(self._distance(change), change) for change in tried]
        close = [item for item in close if item[0] <= 0.05 + self.noise]
        return min(close, key=lambda item: item[0])[1] if close else None

    def _distance(self, change: _Change) -> float:
        return kolmogorov_smirnov(_short(change.apply(self.before)), self.after)

    def _known(self, change: _Change) -> float:
        return _overlap(_short(change.apply(self.before)), self.after)

    def _fits(self, distance: float, known: float, change: _Change) -> bool:
        # Prices of another season are the prices that were known; in another unit they are not.
        if self.known_raw > max(_FAMILIAR, known):
            return False
        habit = 1.2 * self.usual if _power(change) else 3.0 * self.usual
        if self.raw >= 0.3 and self.raw > habit and distance <= min(0.35 * self.raw, 0.05 + self.noise):
            return True
        if not _power(change):
            return False
        # A season moves the values as well: undone, they lie as near as stretches of the reference do.
        if self.raw > 1.5 * self.usual + 0.1 and distance <= min(0.6 * self.raw, 1.2 * self.usual + self.noise):
            return True
        return known >= _KNOWN and self.known_raw <= _UNKNOWN * known


def _power(change: _Change) -> bool:
    return change.factor in _POWERS or (change.factor > 0 and round(1 / change.factor) in _POWERS)


def _short(values: Floats) -> Floats:
    # Seven digits: 93.994 * 0.01 and 0.93994 are one value to a person and two to a computer.
    # Beyond what a float32 holds all values are one: infinite.
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)


def _overlap(known: Floats, values: Floats) -> float:
    """Return the share of values, zeros and infinities left out, that occur on the other side up to rounding."""
    values = values[(values != 0) & np.isfinite(values)]
    sorted_known = np.unique(known[np.isfinite(known)])
    if not values.size or not sorted_known.size:
        return 0.0
    at = np.clip(np.searchsorted(sorted_known, values), 1, max(sorted_known.size - 1, 1))
    near = np.minimum(
        np.abs(sorted_known[np.minimum(at, sorted_known.size - 1)] - values), np.abs(sorted_known[at - 1] - values)
    )
    return float(np.mean(near <= 1e-6 * np.abs(values)))


def _near(before: Floats, after: Floats) -> list[_Change]:
    """Return the factors that the sizes of the values allow: zero is zero in every unit and is left out."""
    nonzero, other = before[before != 0], after[after != 0]
    if min(nonzero.size, other.size) < FEWEST_VALUES:
        return []
    ratio = float(np.median(np.abs(other)) / np.median(np.abs(nonzero)))
    return [
        change
        for change in _factors()
        if (0.1 < ratio / change.factor < 10.0 if _power(change) else 0.6 < ratio / change.factor < 1.7)
    ]


def _factors() -> list[_Change]:
    named = [*_UNITS.items(), *((factor, "") for factor in _POWERS)]
    changes = []
    for factor, words in named:
        before, _, after = words.partition(" to ")
        back = f"{after} to {before}" if after and "," not in words else words
        changes.append(_Change(partial(np.multiply, factor), factor, words))
        changes.append(_Change(partial(np.multiply, 1 / factor), 1 / factor, back))
    return changes


def find_stuck_number(column: str, reference: Floats, current: Floats, alpha: float) -> Break | None:
    """Return a single value that suddenly holds many rows: a sensor that hangs, a default, a marker for missing.

    Arguments as `find_unit_change`. A column that is constant for stretches of the reference is not called stuck, nor
    one that holds each value for long (a rate that is fixed daily), unless it now does so for twice as many rows.
    """
    before, after = (side[np.isfinite(side)] for side in (reference, current))
    if min(before.size, after.size) < FEWEST_VALUES:
        return None
    values, counts = np.unique(after, return_counts=True)
    known, known_counts = np.unique(before, return_counts=True)
    at = np.minimum(np.searchsorted(known, values), known.size - 1)
    before_counts = np.where(known[at] == values, known_counts[at], 0)
    top = int(np.argmax(counts / after.size - before_counts / before.size))
    hits, value = int(before_counts[top]), float(values[top])
    if rate_p(hits, before.size, int(counts[top]), after.size) >= alpha:
        return None
    share, rate = float(counts[top] / after.size), hits / before.size
    usual, most = float(known_counts.max() / before.size), _top_share(reference, current.size)
    frozen = share >= 0.99 and most <= VARIED
    sudden = usual < 0.1 and share >= 0.2 and share > 2 * most
    alien = rate < 0.001 and share >= 0.05 and (share > 3 * most or not known[0] <= value <= known[-1])
    if int(counts[top]) <= HELD_AGAIN * longest_run(before):
        return None
    # Beside other new values one of them is no marker: the column moved as a whole.
    alien = alien and float(counts[before_counts == 0].sum() / after.size) < 2 * share
    if not (frozen or sudden or alien):
        return None
    sentence = (
        f"{column}: {percent(share)} of the rows hold the one value {number(value)} "
        f"({percent(rate)} before): it looks stuck, or a default is filled in."
    )
    return Break(column, "stuck_value", share - rate, share, min(1.0, 0.5 + (share - most) / 2), sentence)


def _top_share(values: Floats, window: int) -> float:
    """Return the largest share of one value in any stretch."""
    shares = [0.0]
    for cut in stretches(values.size, window):
        piece = values[cut]
        piece = piece[np.isfinite(piece)]
        if piece.size:
            shares.append(float(np.unique(piece, return_counts=True)[1].max() / piece.size))
    return max(shares)
