"""Value exposed by an open incident: what each day costs while nobody mends it, and for how many days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt

from pitstop.value.ledger import ZERO, Transaction
from pitstop.value.money import amount_of

# Windows before an incident that say what is normal, and days until it is mended unless the user knows better.
REFERENCE = 56
DAYS_TO_FIX = 14.0
_NORMAL_95 = 1.959964
_LEAST_WINDOWS = 4

Worth = Mapping[int, tuple[Decimal, int]]
"""By window of prediction: what its rows earned (or are estimated to earn, without a label), and how many they are."""


@dataclass(frozen=True)
class Exposure:
    """What an incident that stands open costs, in currency: `a_day`, from `low` to `high` at 95%, and over `days`.

    Nothing is exposed where rows earn no less than before. `before` and `since` are means a row.
    """

    incident: str
    before: float
    since: float
    a_day: Decimal
    low: Decimal
    high: Decimal
    days: float

    @property
    def total(self) -> Decimal:
        """A day's exposure times the days until it is mended."""
        return amount_of(float(self.a_day) * self.days)


def worth_by_window(transactions: tuple[Transaction, ...]) -> Worth:
    """Return what each window's predictions earn as far as is known, from the ledger."""
    amounts: dict[int, Decimal] = {}
    rows: dict[int, int] = {}
    for item in transactions:
        for line in item.postings:
            if line.account in ("estimated", "realised"):
                amounts[line.window] = amounts.get(line.window, ZERO) + line.amount
                rows[line.window] = rows.get(line.window, 0) + line.rows
    return {window: (amounts[window], rows[window]) for window in sorted(amounts) if rows[window] > 0}


def exposure(
    incident: str, since: int, worth: Worth, *, days: float = DAYS_TO_FIX, windows_a_day: float = 1.0
) -> Exposure | None:
    """Return what an incident that began in window `since` costs a day; None where too few windows speak.

    max(0, v_before - v_since) x rows a day. The estimated part of v_since cannot see a changed relation between inputs
    and outcome; it is replaced as labels come.
    """
    old = [worth[window] for window in worth if since - REFERENCE <= window < since]
    new = [worth[window] for window in worth if window >= since]
    if len(old) < _LEAST_WINDOWS or len(new) < _LEAST_WINDOWS:
        return None
    (before, before_error), (after, after_error) = _mean(old), _mean(new)
    rows_a_day = sum(rows for _, rows in new) / len(new) * windows_a_day
    drop, error = before - after, sqrt(before_error**2 + after_error**2)
    a_day, low, high = (amount_of(max(0.0, drop + side * _NORMAL_95 * error) * rows_a_day) for side in (0, -1, 1))
    return Exposure(incident, before, after, a_day, low, high, days)


def _mean(windows: list[tuple[Decimal, int]]) -> tuple[float, float]:
    """Return the mean a row, and its standard error with windows as clusters."""
    rows = sum(count for _, count in windows)
    mean = float(sum(amount for amount, _ in windows)) / rows
    spread = sum((float(amount) - mean * count) ** 2 for amount, count in windows)
    number = len(windows)
    return mean, sqrt(number / (number - 1) * spread) / rows
