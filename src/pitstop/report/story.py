"""What a replay report shows, as plain values: the loop fills a `ReplayStory`, the renderers only read it.

Nothing here is computed twice: numbers arrive finished, in the units named below, and are drawn and printed as
they are. Tuples of things that happen in time are in time order. A number that is not known is `None` (NaN and
infinities are read as `None`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pitstop.errors import ReportError

Number = int | float | Decimal
"""A finished number. Money may come as Decimal from the ledger; the rest is float."""

POLICIES = ("never", "monthly", "pitstop", "oracle", "champion")
"""Every policy a report can tell of, in the order of columns. `champion` is a model that is monitored only."""

GRAVE = frozenset({"error", "break"})
"""Kinds of incidents that need a person: the error rose, or a column broke from one window to the next."""


@dataclass(frozen=True)
class PeriodRow:
    """One period: its name as shown (`2016-01`), its predicted rows, and per policy the metric and the value earned.

    `value` is what the decisions were worth, before any cost; `cost` is what releases and fits cost in this period.
    Where no period has costs, running sums are shown before costs, and say so.
    """

    period: str
    rows: int
    metric: Mapping[str, Number | None]
    value: Mapping[str, Number | None]
    cost: Mapping[str, Number | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Totals:
    """One policy over all periods: `cost` of releases and fits, `value` after that cost, in the story's currency."""

    retrains: int
    cost: Number
    value: Number | None
    mean_metric: Number | None


@dataclass(frozen=True)
class BandPoint:
    """Performance in one window or period, by estimate and by labels.

    `order` grows with time (a window number) and is the position on the time axis. `estimated` with its interval
    `low`..`high` was known without labels; `realised` came with them. `withdrawn` says in words why no estimate is
    given; the other numbers may then be None.
    """

    name: str
    order: int
    estimated: Number | None = None
    low: Number | None = None
    high: Number | None = None
    realised: Number | None = None
    withdrawn: str | None = None


@dataclass(frozen=True)
class ReleaseMark:
    """A version that took over from another (the first model is told in `ReplayStory.started_from`).

    `order` is on the scale of `BandPoint.order`; `period` is the `PeriodRow.period` in which it happened. `reason`
    is a short clause, then details after a semicolon. `instead_of` names the version that was given up where this one
    had served before: a rollback.
    """

    at: str
    version: str
    reason: str
    trained_on_rows: int
    order: int
    period: str
    instead_of: str = ""


@dataclass(frozen=True)
class CauseRow:
    """A ranked suspect: importance to the model, distance from the baseline, and share (0..1) of all suspects."""

    column: str
    importance: Number | None
    distance: Number | None
    share: Number | None


@dataclass(frozen=True)
class AlarmRow:
    """One alarm.

    `column` is empty for the model as a whole; `since` is the estimated start; `size` is in the monitor's unit.
    `change` says what went from how much to how much, `amount` is the size with its unit.
    """

    id: str
    at: str
    monitor: str
    column: str
    since: str
    size: Number | None
    change: str = ""
    amount: str = ""


@dataclass(frozen=True)
class IncidentCard:
    """Alarms that belong together and their likely cause.

    `x_share` and `yx_share` are the parts of the change in performance that come from the inputs and from the relation
    of inputs to outcome (of the drop, so they add up to 1; one of them may be negative where it helped); None where
    they could not be told apart. `sentence` begins with `headline`; `brief` is the shortest way to say it. `kind` is
    that of its most telling alarm (`error`, `break`, `quality`, `score`, `drift`, `volume`); `distributions` are those
    of the columns that moved most.
    """

    id: str
    at: str
    since: str
    sentence: str
    causes: tuple[CauseRow, ...] = ()
    x_share: Number | None = None
    yx_share: Number | None = None
    alarms: tuple[AlarmRow, ...] = ()
    kind: str = ""
    headline: str = ""
    brief: str = ""
    distributions: tuple[DistributionPair, ...] = ()

    @property
    def explanation(self) -> str:
        """What the sentence says beyond the headline."""
        return self.sentence.removeprefix(self.headline).removeprefix(".").strip() if self.headline else ""


@dataclass(frozen=True)
class DistributionPair:
    """One column before and after, as shares (0..1) of the same cells."""

    column: str
    before_label: str
    after_label: str
    cells: tuple[str, ...]
    before: tuple[Number, ...]
    after: tuple[Number, ...]

    def __post_init__(self) -> None:
        """Refuse sides of different length."""
        if not len(self.cells) == len(self.before) == len(self.after):
            msg = f"{self.column}: {len(self.cells)} cells, {len(self.before)} shares before, {len(self.after)} after"
            raise ReportError(msg)


@dataclass(frozen=True)
class DecisionRow:
    """What the policy chose (`retrain`, `wait`, ...), why, and the sums in the story's currency that it weighed."""

    at: str
    action: str
    reason: str
    expected_gain: Number | None
    cost: Number | None


@dataclass(frozen=True)
class LedgerRow:
    """One period of the ledger in the story's currency; `coverage` is the share (0..1) of its rows with a label."""

    period: str
    realised: Number | None
    estimated: Number | None
    release_cost: Number
    fit_cost: Number
    net: Number | None
    coverage: Number | None


@dataclass(frozen=True)
class ReplayStory:
    """A whole replay as told to a person.

    `price_range` is the lowest and highest cost of one release between which pitstop earns the most (a high end of
    None: no end was found), or a sentence where there is no such range. `promise` is a sentence about the alarm budget.
    `started_from` says when and on what the first model was fitted; `data_note` is the credit of the data.
    `period_unit` is the singular name of a period (`month`, `week`, `period`).
    """

    model: str
    metric_name: str
    higher_is_better: bool
    currency: str
    periods: tuple[PeriodRow, ...]
    totals: Mapping[str, Totals]
    bands: tuple[BandPoint, ...] = ()
    releases: tuple[ReleaseMark, ...] = ()
    incidents: tuple[IncidentCard, ...] = ()
    distributions: tuple[DistributionPair, ...] = ()
    decisions: tuple[DecisionRow, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    price_range: str | tuple[Number, Number | None] | None = None
    promise: str = ""
    started_from: str = ""
    data_note: str = ""
    period_unit: str = "month"

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies that this story has anything to tell of, in the order of `POLICIES`."""
        named = {key for row in self.periods for key in (*row.metric, *row.value)} | set(self.totals)
        return tuple(policy for policy in POLICIES if policy in named)


def known(number: Number | None) -> float | None:
    """Return `number` as a finite float, or None where it is missing, NaN or infinite."""
    if number is None:
        return None
    value = float(number)
    return value if math.isfinite(value) else None
