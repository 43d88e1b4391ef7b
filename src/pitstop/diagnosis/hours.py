"""Hours moved by a constant: a time zone or daylight saving changed.

Where the rows of a day are spread unevenly, the hours themselves show it. Where every hour has its row (a sensor, a
meter), only the columns beside can: their course over the day is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.breaks import Break
from pitstop.diagnosis.natural import stretches
from pitstop.statistics.significance import counts_p

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HOURS = 24
FEWEST_ROWS = 30
# Hours that occur; a column of fewer has no course over the day to compare.
FEWEST_HOURS = 12
# Share of a column's variance that the hour explains, from which its course over the day says something.
_EXPLAINED = 0.05
# What a shift must bring beyond twice the most that it brings to any stretch of the reference: a share of the rows
# that moves, and a correlation.
_LEAST_GAIN, _LEAST_RISE = 0.03, 0.05
# Share of the witnesses, by weight, whose own best shift has to be this one, within an hour.
_AGREE = 0.75


@dataclass(frozen=True)
class Hours:
    """Hours of the day (0 to 23, -1 where missing) of both sides, in order of time."""

    column: str
    reference: Ints
    current: Ints


@dataclass(frozen=True)
class Course:
    """A numeric column of the same rows, NaN where missing."""

    reference: Floats
    current: Floats


def find_time_shift(hours: Hours, courses: Sequence[Course], alpha: float) -> Break | None:
    """Return by how many hours the current rows are moved round the clock, or None.

    `courses` are columns beside, whose course over the day is compared where the hours alone say nothing.
    """
    before, after = (np.bincount(side[side >= 0], minlength=HOURS) for side in (hours.reference, hours.current))
    if min(int(before.sum()), int(after.sum())) < FEWEST_ROWS:
        return None
    shift = _by_rows(hours, before, after, alpha) or _by_courses(hours, courses)
    if not shift:
        return None
    moved = shift if shift <= HOURS // 2 else shift - HOURS
    sentence = (
        f"{hours.column}: the hours of the day are those of the reference moved by {moved:+d} h: a time zone or "
        "daylight saving changed."
    )
    return Break(hours.column, "time_shift", float(abs(moved)), 1.0, 0.9, sentence)


def _by_rows(hours: Hours, before: Ints, after: Ints, alpha: float) -> int:
    """Return the shift that brings the numbers of rows by hour together, 0 where none is needed or enough."""
    if counts_p(before, after) >= alpha:
        return 0
    distances = _distances(before, after)
    best, noise = int(np.argmin(distances)), float(np.sqrt(HOURS / min(before.sum(), after.sum())) / 2)
    distance, gain = 0.0, 0.0
    for cut in stretches(hours.reference.size, hours.current.size):
        piece = hours.reference[cut]
        own = _distances(before, np.bincount(piece[piece >= 0], minlength=HOURS))
        distance, gain = max(distance, float(own[0])), max(gain, float(own[0] - own.min()))
    if float(distances[0] - distances[best]) <= 2.0 * gain + _LEAST_GAIN:
        return 0
    return best if distances[best] <= max(0.05, distance) + noise else 0


def _distances(before: Ints, after: Ints) -> Floats:
    """Return the total variation distance to the reference moved by 0 to 23 hours."""
    first, second = before / max(int(before.sum()), 1), after / max(int(after.sum()), 1)
    return np.array([float(np.abs(np.roll(first, shift) - second).sum() / 2) for shift in range(HOURS)])


def _by_courses(hours: Hours, courses: Sequence[Course]) -> int:
    found = [(_Daily.of(hours.reference, course.reference, hours.current.size), course) for course in courses]
    known = [(daily, course) for daily, course in found if daily.weight > 0]
    if not known or int((np.bincount(hours.current[hours.current >= 0], minlength=HOURS) > 0).sum()) < FEWEST_HOURS:
        return 0
    each = _scores([(daily, course.current) for daily, course in known], hours.current)
    weights = np.array([daily.weight for daily, _ in known])
    score = weights @ each / weights.sum()
    best = int(np.argmax(score))
    usual = 0.0
    for cut in stretches(hours.reference.size, hours.current.size):
        piece = _scores([(daily, course.reference[cut]) for daily, course in known], hours.reference[cut])
        own = weights @ piece / weights.sum()
        usual = max(usual, float(own.max() - own[0]))
    # A season moves the hottest hour and not the windiest one; a clock moves all columns alike.
    apart = np.abs((each.argmax(axis=1) - best + HOURS // 2) % HOURS - HOURS // 2)
    agree = float(weights[apart <= 1].sum() / weights.sum())
    gain = float(score[best] - score[0])
    return best if best and gain > 2.0 * usual + _LEAST_RISE and agree >= _AGREE else 0


@dataclass(frozen=True)
class _Daily:
    """A column's mean by hour, centred, NaN for hours without rows; `weight` is the variance that the hour explains."""

    means: Floats
    weight: float

    @classmethod
    def of(cls, hours: Ints, values: Floats, window: int) -> _Daily:
        values = _without_season(values, window)
        use = (hours >= 0) & np.isfinite(values)
        counts = np.bincount(hours[use], minlength=HOURS)
        spread = float(np.var(values[use])) if use.any() else 0.0
        if spread == 0.0 or int((counts > 0).sum()) < FEWEST_HOURS:
            return cls(np.zeros(HOURS), 0.0)
        sums = np.bincount(hours[use], weights=values[use], minlength=HOURS)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / counts - values[use].mean()
        explained = float(np.nansum(counts * means**2) / counts.sum() / spread)
        # What chance alone explains of n rows by 24 means.
        explained -= HOURS / max(int(counts.sum()), 1)
        return cls(means, explained if explained >= _EXPLAINED else 0.0)


def _without_season(values: Floats, window: int) -> Floats:
    """Return values less the mean of their stretch: a year's warmth must not hide the day's."""
    found = np.where(np.isfinite(values), values, np.nan)
    for cut in stretches(values.size, window):
        piece = found[cut]
        if np.isfinite(piece).any():
            found[cut] = piece - np.nanmean(piece)
    return found


def _scores(witnesses: Sequence[tuple[_Daily, Floats]], hours: Ints) -> Floats:
    """Return how well each column's course agrees with its own moved by 0 to 23 hours: correlations, [columns, 24]."""
    found = np.zeros((len(witnesses), HOURS))
    for row, (daily, column) in zip(found, witnesses, strict=True):
        use = (hours >= 0) & np.isfinite(column)
        counts = np.bincount(hours[use], minlength=HOURS)
        if int((counts > 0).sum()) < FEWEST_HOURS:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            now = np.bincount(hours[use], weights=column[use], minlength=HOURS) / counts
        row[:] = [_correlation(np.roll(daily.means, shift), now) for shift in range(HOURS)]
    return found


def _correlation(first: Floats, second: Floats) -> float:
    use = np.isfinite(first) & np.isfinite(second)
    if int(use.sum()) < FEWEST_HOURS:
        return 0.0
    one, other = first[use] - first[use].mean(), second[use] - second[use].mean()
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / size) if size > 0 else 0.0
