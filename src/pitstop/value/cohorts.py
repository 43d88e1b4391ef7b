"""Label coverage by age, and how well estimates foretold what was earned, from the ledger's own postings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from pitstop.records.calendar import Calendar
from pitstop.value.ledger import NO_VARIANCE, ZERO, Posting, Transaction

# Last window of each age group, counted from the window of the prediction; the rest is one group.
AGES = (1, 7, 30, 90, 180)


@dataclass(frozen=True)
class Cohort:
    """Predictions whose labels came `first` to `last` windows after them (`last` is None for all later ones).

    `estimated` is what was booked for them, `realised` what they earned; `deviation` the standard deviation that the
    estimate's own variance gives to their difference. `old_enough` of all predictions are at least `last` windows old
    (`first` for the open group), and `covered` of those have a label by that age.
    """

    first: int
    last: int | None
    rows: int
    estimated: Decimal
    realised: Decimal
    deviation: Decimal
    old_enough: int
    covered: int

    @property
    def error(self) -> Decimal:
        """Realised minus estimated."""
        return self.realised - self.estimated

    @property
    def surprise(self) -> float | None:
        """The error in standard deviations: about -2 to 2 where the estimates are what they claim to be."""
        return float(self.error / self.deviation) if self.deviation else None

    @property
    def coverage(self) -> float | None:
        """Share of the predictions of that age that have a label by then."""
        return self.covered / self.old_enough if self.old_enough else None


@dataclass(frozen=True)
class Foretold:
    """What was estimated for the windows whose every label has come, and what they earned.

    The one fair test of the estimates: within a window labels may come the sooner the better (or worse) the outcome, so
    the labels of one age do not stand for all. `deviation` counts the outcomes and the calibration's own uncertainty.
    """

    windows: int
    rows: int
    estimated: Decimal
    realised: Decimal
    deviation: Decimal

    @property
    def surprise(self) -> float | None:
        """The error in standard deviations: about -2 to 2 where the estimates are what they claim to be."""
        return float((self.realised - self.estimated) / self.deviation) if self.deviation else None


def foretold(transactions: Iterable[Transaction], as_of: int) -> Foretold:
    """Compare estimates with what was earned, for windows without a waiting label at `as_of`."""
    found: dict[int, _Labelled] = {}
    doubts: dict[int, Decimal] = {}
    waiting: dict[int, int] = {}
    for item in transactions:
        for line in item.postings:
            if line.at >= as_of or line.account not in ("estimated", "realised"):
                continue
            if line.account == "estimated":
                waiting[line.window] = waiting.get(line.window, 0) + line.rows
                doubts[line.window] = doubts.get(line.window, ZERO) + line.doubt
            if item.kind in ("settlement", "correction"):
                found.setdefault(line.window, _Labelled()).add(line)
    ripe = [window for window, rows in waiting.items() if rows == 0 and window in found]
    doubt = sum((doubts[window] for window in ripe), ZERO)
    outcomes = sum((found[window].variance for window in ripe), NO_VARIANCE)
    return Foretold(
        windows=len(ripe),
        rows=sum(found[window].rows for window in ripe),
        estimated=sum((found[window].estimated for window in ripe), ZERO),
        realised=sum((found[window].realised for window in ripe), ZERO),
        deviation=(outcomes + doubt * doubt).sqrt().quantize(ZERO),
    )


def cohorts(transactions: Iterable[Transaction], calendar: Calendar, as_of: int) -> tuple[Cohort, ...]:
    """Return the age groups of everything booked strictly before `as_of`, youngest first. Corrections are left out."""
    now = calendar.window_at(as_of)
    booked: dict[int, int] = {}
    settled: dict[tuple[int, int], _Labelled] = {}
    for item in transactions:
        if item.postings[0].at >= as_of:
            continue
        if item.kind == "estimate":
            for line in item.postings:
                booked[line.window] = booked.get(line.window, 0) + line.rows
        elif item.kind == "settlement":
            # A label is booked at the end of the window in which it came.
            arrived = calendar.window_at(item.postings[0].at) - 1
            for line in item.postings:
                if line.account not in ("estimated", "realised") or line.window not in booked:
                    continue
                settled.setdefault((line.window, max(arrived - line.window, 0)), _Labelled()).add(line)
    groups = []
    for first, last in zip((0, *(age + 1 for age in AGES)), (*AGES, None), strict=True):
        within = [found for (_, age), found in settled.items() if age >= first and (last is None or age <= last)]
        reached = first if last is None else last
        old = {window: rows for window, rows in booked.items() if now - window > reached}
        covered = sum(
            found.rows for (window, age), found in settled.items() if window in old and (last is None or age <= last)
        )
        groups.append(
            Cohort(
                first=first,
                last=last,
                rows=sum(found.rows for found in within),
                estimated=sum((found.estimated for found in within), ZERO),
                realised=sum((found.realised for found in within), ZERO),
                deviation=sum((found.variance for found in within), NO_VARIANCE).sqrt().quantize(ZERO),
                old_enough=sum(old.values()),
                covered=covered,
            )
        )
    return tuple(groups)


@dataclass(slots=True)
class _Labelled:
    """What the labels of one age changed for one window."""

    estimated: Decimal = ZERO
    realised: Decimal = ZERO
    variance: Decimal = NO_VARIANCE
    rows: int = 0

    def add(self, line: Posting) -> None:
        if line.account == "estimated":
            self.estimated -= line.amount
            self.variance -= line.variance
        else:
            self.realised += line.amount
            self.rows += line.rows
