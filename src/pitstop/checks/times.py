"""Time in two tables: stamps moved by whole hours, and rows per day."""

from __future__ import annotations

import numpy as np

from pitstop.checks.findings import Finding
from pitstop.checks.pairs import FEWEST_ROWS, Pair, number
from pitstop.checks.significance import counts_p
from pitstop.records.calendar import DAY, HOUR
from pitstop.records.facts import ColumnFacts

_FEWEST_DAYS = 5


def compare_hours(pair: Pair) -> list[Finding]:
    """Return a finding where the rows' hours of the day are the reference's, moved round the clock by whole hours."""
    before, after = _hours(pair.reference), _hours(pair.current)
    rows, current_rows = int(before.sum()), int(after.sum())
    if min(rows, current_rows) < FEWEST_ROWS or counts_p(before, after) >= pair.alpha:
        return []
    distances = [float(np.abs(np.roll(before, shift) / rows - after / current_rows).sum() / 2) for shift in range(24)]
    best = int(np.argmin(distances))
    noise = float(np.sqrt(24 / min(rows, current_rows)) / 2)
    if distances[0] < 0.1 or best == 0 or distances[best] > min(0.4 * distances[0], 0.05 + noise):
        return []
    hours = best if best <= 12 else best - 24
    sentence = (
        f"{pair.name}: the hours of the day are those of the reference moved by {hours:+d} h: a time zone or daylight "
        "saving changed."
    )
    return [Finding(pair.name, "time_shift", "critical", float(abs(hours)), sentence)]


def _hours(facts: ColumnFacts) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    times = facts.instants()
    hours = times.values[times.valid] // HOUR % 24
    return np.bincount(hours, minlength=24).astype(np.int64)


def compare_volume(pair: Pair, rows: int, current_rows: int) -> list[Finding]:
    """Return a finding where a day has less than half or more than twice as many rows as before.

    The pair is of the time column, possibly sampled; `rows` and `current_rows` are those of the whole tables.
    """
    before, after = _per_day(pair.reference, rows), _per_day(pair.current, current_rows)
    if before is None or after is None or 0.5 <= after / before <= 2.0:
        return []
    ratio = after / before
    factor = ratio if ratio > 1 else 1 / ratio
    sentence = (
        f"{number(after)} rows on a typical day, {number(before)} before: {'more' if ratio > 1 else 'fewer'} by a "
        f"factor of {number(factor)}."
    )
    return [Finding("", "volume", "warning" if factor >= 5 else "info", factor, sentence)]


def _per_day(facts: ColumnFacts, rows: int) -> float | None:
    times = facts.instants()
    if times.kind == "integer":
        return None
    counts = np.unique(times.values[times.valid] // DAY, return_counts=True)[1]
    if len(counts) < _FEWEST_DAYS:
        return None
    return float(np.median(counts)) * rows / len(facts.column)
