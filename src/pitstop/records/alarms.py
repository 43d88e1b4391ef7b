"""What an owner asks of alarms: the promise, what is too little to judge, and days known to be unlike others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pitstop.errors import SpecError

_SECOND = 1_000_000


@dataclass(frozen=True)
class AlarmsSection:
    """`[alarms]`: the promise, in false alarms per month for the whole model, all monitors together.

    Rates of fewer than `minimum_rows` rows are not judged, nor is any window that begins in one of the `quiet` periods
    ("2026-12-24/2027-01-02", both days included).
    """

    per_month: float = 1.0
    minimum_rows: int = 1
    quiet: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a promise of nothing, and periods that are none."""
        if self.per_month <= 0:
            msg = f"[alarms] per_month is {self.per_month}; expected a number above 0, for instance 1.0"
            raise SpecError(msg)
        if self.minimum_rows < 1:
            msg = f"[alarms] minimum_rows is {self.minimum_rows}; expected at least 1"
            raise SpecError(msg)
        quiet_spans(self.quiet)


def quiet_spans(periods: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return the first instant of each period and the first one after it, in microseconds since 1970-01-01 UTC.

    A period is written "2026-12-24/2027-01-02", both days included, or as a single day. Raises `SpecError` for anything
    else.
    """
    spans = []
    for text in periods:
        first, _, last = text.partition("/")
        try:
            days = date.fromisoformat(first), date.fromisoformat(last or first)
            end = days[1] + timedelta(days=1)
        except (ValueError, OverflowError) as error:
            msg = f"[alarms] quiet holds {text!r}; expected a day or two of them, as in '2026-12-24/2027-01-02'"
            raise SpecError(msg) from error
        if days[1] < days[0]:
            msg = f"[alarms] quiet holds {text!r}, which ends before it begins; write the earlier day first"
            raise SpecError(msg)
        spans.append((_instant(days[0]), _instant(end)))
    return tuple(spans)


def _instant(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _SECOND
