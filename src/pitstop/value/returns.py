"""What upkeep brought: paired gains with an interval, break-even and return on what was paid.

The gains are differences on the same labelled rows, between what was decided and what another model would have decided.
They are *not* causal by themselves: where a decision changes the outcome (or whether it is seen), the label under the
other decision is unknown. Only rows that were left out of the model's reach by chance, a holdout, would show that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt

from pitstop.records.calendar import DAY, Calendar
from pitstop.value.money import amount_of, money

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Gain:
    """A sum over `rows` labelled rows in currency, `low` to `high` at 95%; None where fewer than two windows speak.

    The sum itself is known. The interval says how far it could have come out otherwise with other rows of this kind:
    windows are the clusters (Liang and Zeger 1986), because the rows of one day have effects in common.
    """

    total: Decimal
    low: Decimal | None
    high: Decimal | None
    rows: int
    windows: int

    @property
    def mean(self) -> float:
        """Currency a row, 0 without rows."""
        return float(self.total) / self.rows if self.rows else 0.0


def gain_of(blocks: Iterable[Sequence[int]]) -> Gain:
    """Return the gain of (window, rows, ticks) blocks; the same window may come several times."""
    rows: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for window, count, amount in blocks:
        rows[window] = rows.get(window, 0) + count
        ticks[window] = ticks.get(window, 0) + amount
    total, number, clusters = sum(ticks.values()), sum(rows.values()), len(rows)
    if clusters < 2:
        return Gain(money(total), None, None, number, clusters)
    mean = total / number
    spread = sum((ticks[window] - mean * rows[window]) ** 2 for window in rows)
    half = _quantile(clusters - 1) * sqrt(clusters / (clusters - 1) * spread)
    low, high = (amount_of((total + side * half) / 10_000) for side in (-1, 1))
    return Gain(money(total), low, high, number, clusters)


def _quantile(degrees: int) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 - heavy, and a report without gains does not need it

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))


@dataclass(frozen=True)
class Return:
    """What one release earned over the model it replaced, against its price.

    `waiting` of the rows that it served have no label yet; `days` it has served so far. All amounts are in currency.
    """

    release: str
    gain: Gain
    cost: Decimal
    waiting: int
    days: float

    @property
    def expected(self) -> Decimal:
        """The gain with the rows that wait for a label counted at the mean of the others."""
        return self.gain.total + amount_of(self.gain.mean * self.waiting)

    @property
    def break_even_days(self) -> float | None:
        """Days of service after which it has paid for itself at its rate so far, None where it earns nothing."""
        rate = float(self.expected) / self.days if self.days > 0 else 0.0
        return float(self.cost) / rate if rate > 0 else None

    @property
    def ratio(self) -> float | None:
        """(Gain - cost) / cost, None where it cost nothing."""
        return float((self.gain.total - self.cost) / self.cost) if self.cost else None

    @property
    def verdict(self) -> str:
        """In one clause whether it has paid for itself, as far as is known."""
        if not self.gain.rows:
            return "no label has come for a row that it served"
        if self.gain.low is not None and self.gain.low > self.cost:
            return "has paid for itself"
        if self.gain.high is not None and self.gain.high < 0:
            return "was a loss"
        if self.gain.total >= self.cost:
            return "has probably paid for itself"
        return "has not paid for itself yet" if self.gain.total > 0 else "has earned nothing so far"


def return_of(
    release: str,
    appraisals: Iterable[Mapping[str, object]],
    *,
    cost: Decimal,
    waiting: int,
    served: tuple[int, int],
    calendar: Calendar,
) -> Return:
    """Return what a release earned, from the appraisals of each period. `served` is from when to when it served.

    With row-count windows a day stands for a window.
    """
    blocks: list[Sequence[int]] = []
    for appraisal in appraisals:
        parts: object = appraisal["releases"]
        if isinstance(parts, Sequence):
            blocks += [block for part in parts if part["release"] == release for block in part["windows"]]
    start, end = served
    days = float(calendar.window_at(end) - calendar.window_at(start)) if calendar.by_rows else (end - start) / DAY
    return Return(release, gain_of(blocks), cost, waiting, days)


def staleness(appraisals: Iterable[Mapping[str, object]]) -> tuple[Decimal, ...]:
    """Return for each period what the model that served earned less than the freshest one, at least 0.

    S = Σ max(0, v_fresh - v_served) over periods, on labels that neither was trained on.
    """
    found = []
    for appraisal in appraisals:
        blocks: object = appraisal["fresh_over_served"]
        total = sum(block[2] for block in blocks) if isinstance(blocks, Sequence) else 0
        found.append(money(max(0, total)))
    return tuple(found)
