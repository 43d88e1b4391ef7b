"""Numbers in two tables: another unit, a stuck value, values outside the known range, drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pitstop.checks.findings import Finding, Kind
from pitstop.checks.pairs import FEWEST_ROWS, NOTABLE, SMALL, Pair, by_distance, number, percent
from pitstop.checks.significance import kolmogorov_smirnov, kolmogorov_smirnov_p, one_sided_only_p, rate_p
from pitstop.statistics.bins import NumericBins
from pitstop.statistics.distances import psi

Floats = NDArray[np.float64]

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
PSI_BINS = 10


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


def compare_numbers(pair: Pair, kind: Kind = "drift") -> list[Finding]:
    """Return the findings on a numeric column, most specific first. `kind` names a plain change of the distribution.

    NaN, infinities and nulls are left out here; they are compared as missing values. Nothing is said where a side has
    fewer than 30 finite values.
    """
    reference, current = _finite(pair.reference.numbers()), _finite(pair.current.numbers())
    if min(len(reference), len(current)) < FEWEST_ROWS:
        return []
    distance = kolmogorov_smirnov(reference, current)
    chance = kolmogorov_smirnov_p(distance, len(reference), len(current)) >= pair.alpha
    found: list[Finding] = []
    found += _unit_change(pair, reference, current)
    found += _stuck(pair, reference, current)
    outside = _outside(pair, reference, current)
    if not chance and distance >= (NOTABLE if outside else SMALL):
        found.append(_drift(pair, reference, current, distance, kind))
    return found + outside


def _finite(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _unit_change(pair: Pair, reference: Floats, current: Floats) -> list[Finding]:
    # Zero is zero in every unit: factors are compared on the rest, so that a column of mostly zeros is not missed.
    nonzero, other = reference[reference != 0], current[current != 0]
    best: tuple[float, _Change] | None = None
    if min(len(nonzero), len(other)) >= FEWEST_ROWS:
        ratio = float(np.median(np.abs(other)) / np.median(np.abs(nonzero)))
        near = [change for change in _factors() if 0.6 < ratio / change.factor < 1.7]
        best = _best(near, nonzero, other, pair.alpha)
    offset = _best(_OFFSETS, reference, current, pair.alpha)
    if offset is not None and (best is None or offset[0] < best[0]):
        best = offset
    if best is None:
        return []
    change = best[1]
    middle = f"median {number(float(np.median(reference)))}, now {number(float(np.median(current)))}"
    if change.factor:
        times = change.factor if change.factor >= 1 else 1 / change.factor
        how = f"{number(times)} times {'larger' if change.factor >= 1 else 'smaller'}"
        sentence = f"{pair.name}: the values are {how} than before ({middle}), with the same shape: the unit changed"
        sentence += f" ({change.words})." if change.words else "."
    else:
        times = 1.0
        sentence = f"{pair.name}: the values have the same shape in another unit ({middle}): {change.words}."
    return [Finding(pair.name, "unit_change", "critical", times, sentence)]


def _factors() -> list[_Change]:
    named = [*_UNITS.items(), *((factor, "") for factor in _POWERS)]
    changes = []
    for factor, words in named:
        before, _, after = words.partition(" to ")
        back = f"{after} to {before}" if after and "," not in words else words
        changes.append(_Change(partial(np.multiply, factor), factor, words))
        changes.append(_Change(partial(np.multiply, 1 / factor), 1 / factor, back))
    return changes


def _best(changes: Sequence[_Change], reference: Floats, current: Floats, alpha: float) -> tuple[float, _Change] | None:
    """Return the change that makes the distributions meet, where they are far apart without it."""
    raw = kolmogorov_smirnov(reference, current)
    if raw < 0.3 or kolmogorov_smirnov_p(raw, len(reference), len(current)) >= alpha:
        return None
    noise = 1.36 * float(np.sqrt(1 / len(reference) + 1 / len(current)))
    # Seven digits: 93.994 * 0.01 and 0.93994 are one value to a person and two to a computer.
    short = current.astype(np.float32).astype(np.float64)
    measured = [
        (kolmogorov_smirnov(change.apply(reference).astype(np.float32).astype(np.float64), short), change)
        for change in changes
    ]
    good = [item for item in measured if item[0] <= min(0.35 * raw, 0.05 + noise)]
    return min(good, key=lambda item: item[0]) if good else None


def _stuck(pair: Pair, reference: Floats, current: Floats) -> list[Finding]:
    """A single value that suddenly holds many rows: a sensor that hangs, a default, a marker for missing."""
    values, counts = np.unique(current, return_counts=True)
    known, known_counts = np.unique(reference, return_counts=True)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    before_counts = np.where(known[at] == values, known_counts[at], 0)
    top = int(np.argmax(counts / len(current) - before_counts / len(reference)))
    hits, value = int(before_counts[top]), float(values[top])
    if rate_p(hits, len(reference), int(counts[top]), len(current)) >= pair.alpha:
        return []
    share, before = float(counts[top] / len(current)), hits / len(reference)
    usual = float(known_counts.max() / len(reference))
    frozen = share >= 0.99 and usual <= 0.97
    sudden = usual < 0.1 and share >= 0.2
    alien = before < 0.001 and share >= 0.05 and (share > 3 * usual or not known[0] <= value <= known[-1])
    if not (frozen or sudden or alien):
        return []
    sentence = (
        f"{pair.name}: {percent(share)} of the rows hold the one value {number(value)} "
        f"({percent(before)} before): it looks stuck, or a default is filled in."
    )
    return [Finding(pair.name, "stuck_value", "critical" if share >= 0.5 else "warning", share - before, sentence)]


def _outside(pair: Pair, reference: Floats, current: Floats) -> list[Finding]:
    low, high = float(reference.min()), float(reference.max())
    below, above = int(np.sum(current < low)), int(np.sum(current > high))
    share_of_rows = len(current) / (len(current) + len(reference))
    # Of exchangeable rows the k largest all lie on one side with probability share ** k.
    if min(one_sided_only_p(below, share_of_rows), one_sided_only_p(above, share_of_rows)) >= pair.alpha / 2:
        return []
    worst = float(current.min()) if below > above else float(current.max())
    share = (below + above) / len(current)
    far = below + above and max(low - float(current.min()), float(current.max()) - high) > 3 * (high - low)
    sentence = (
        f"{pair.name}: {percent(share)} of the rows lie outside the known range {number(low)} to {number(high)} "
        f"(as far as {number(worst)})."
    )
    return [Finding(pair.name, "range", "warning" if share >= 0.01 or far else "info", share, sentence)]


def _drift(pair: Pair, reference: Floats, current: Floats, distance: float, kind: Kind) -> Finding:
    edges = np.array(NumericBins.fit(reference, PSI_BINS).edges)
    before, after = (
        np.bincount(np.searchsorted(edges, side, side="right"), minlength=len(edges) + 1)
        for side in (reference, current)
    )
    stability = psi(before.astype(np.int64), after.astype(np.int64))
    word = {"label_shift": "the label", "score_drift": "the score"}.get(kind, "the distribution")
    sentence = (
        f"{pair.name}: {word} changed: median {number(float(np.median(reference)))}, now "
        f"{number(float(np.median(current)))} "
        f"(largest difference of the distributions {percent(distance)}, PSI {stability:.2f})."
    )
    return Finding(pair.name, kind, by_distance(distance), distance, sentence)
