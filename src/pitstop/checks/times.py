"""Time in two tables: rows per day."""

from __future__ import annotations

import numpy as np

from pitstop.checks.findings import Finding
from pitstop.checks.pairs import Pair, number
from pitstop.records.calendar import DAY
from pitstop.records.facts import ColumnFacts

_FEWEST_DAYS = 5


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
