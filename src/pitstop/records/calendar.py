"""Windows and periods: the only place that knows how instants become windows.

An *instant* is an int: microseconds since 1970-01-01 UTC where the time column is a date or a timestamp,
and the ordinal of the row (0, 1, 2, ... in stable time order) where windows are row counts. A *window* is the unit
of monitoring (hour, day, week or N rows), a *period* the unit of decisions (day, week, month, quarter, year or N
windows). Everything strictly before an instant `as_of` is known at `as_of`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import SpecError

Ints = NDArray[np.int64]

HOUR = 3_600_000_000
DAY = 24 * HOUR
WEEK = 7 * DAY
# 1970-01-01 was a Thursday: weeks start on Monday, so they are counted from 1969-12-29.
_MONDAY = -3 * DAY
_LENGTHS = {"hour": HOUR, "day": DAY, "week": WEEK}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_PER_MONTH = {"hour": 720, "day": 30, "week": 4}
ROWS_WINDOWS_PER_MONTH = 30

WindowUnit = Literal["hour", "day", "week"]
PeriodUnit = Literal["day", "week", "month", "quarter", "year"]


@dataclass(frozen=True)
class Calendar:
    """Maps instants to windows and windows to periods.

    `window` is "hour", "day", "week" or a number of rows; `period` is "day", "week", "month", "quarter", "year" or a
    number of windows. Row-count windows need a number of windows as their period.
    """

    window: WindowUnit | int
    period: PeriodUnit | int

    def __post_init__(self) -> None:
        """Refuse what cannot be mapped."""
        if isinstance(self.window, int):
            if self.window < 1 or not isinstance(self.period, int) or self.period < 1:
                msg = (
                    f"a window of {self.window!r} rows needs a period in windows, got {self.period!r}; "
                    "write for instance window = 50 and period = 30"
                )
                raise SpecError(msg)
            return
        if self.window not in _LENGTHS:
            msg = f"unknown window {self.window!r}; known: hour, day, week, or a number of rows"
            raise SpecError(msg)
        if isinstance(self.period, int):
            if self.period < 1:
                msg = f"a period is at least one window, got {self.period}"
                raise SpecError(msg)
        elif self.period not in ("day", "week", *_MONTHS):
            msg = f"unknown period {self.period!r}; known: day, week, month, quarter, year, or a number of windows"
            raise SpecError(msg)
        elif self.period in _LENGTHS and _LENGTHS[self.period] < _LENGTHS[self.window]:
            msg = f"a period ({self.period}) cannot be shorter than a window ({self.window})"
            raise SpecError(msg)
        elif self.window == "week" and self.period in _MONTHS:
            msg = f'weeks do not end where a {self.period} ends; write period = 4 (windows), or window = "day"'
            raise SpecError(msg)

    @property
    def by_rows(self) -> bool:
        """Whether instants are row ordinals."""
        return isinstance(self.window, int)

    @property
    def windows_per_month(self) -> int:
        """Number of windows in the month of the false-alarm promise (30 for row-count windows)."""
        return ROWS_WINDOWS_PER_MONTH if isinstance(self.window, int) else _PER_MONTH[self.window]

    def window_of(self, instants: Ints) -> Ints:
        """Return the window number of each instant."""
        if isinstance(self.window, int):
            return instants // self.window
        origin = _MONDAY if self.window == "week" else 0
        return (instants - origin) // _LENGTHS[self.window]

    def window_start(self, window: int) -> int:
        """Return the first instant of a window."""
        if isinstance(self.window, int):
            return window * self.window
        origin = _MONDAY if self.window == "week" else 0
        return origin + window * _LENGTHS[self.window]

    def period_of(self, instants: Ints) -> Ints:
        """Return the period number of each instant (months since 1970 for months, and so on)."""
        if isinstance(self.period, int):
            return self.window_of(instants) // self.period
        if self.period in _MONTHS:
            months = instants.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
            return np.asarray(months // _MONTHS[self.period], dtype=np.int64)
        origin = _MONDAY if self.period == "week" else 0
        return (instants - origin) // _LENGTHS[self.period]

    def period_start(self, period: int) -> int:
        """Return the first instant of a period; always also the first instant of a window."""
        if isinstance(self.period, int):
            return self.window_start(period * self.period)
        if self.period in _MONTHS:
            month = np.datetime64(period * _MONTHS[self.period], "M")
            return int(month.astype("datetime64[us]").astype(np.int64))
        origin = _MONDAY if self.period == "week" else 0
        return origin + period * _LENGTHS[self.period]

    def period_at(self, instant: int) -> int:
        """Return the period number of one instant."""
        return int(self.period_of(np.array([instant], dtype=np.int64))[0])

    def window_at(self, instant: int) -> int:
        """Return the window number of one instant."""
        return int(self.window_of(np.array([instant], dtype=np.int64))[0])

    def phase(self, window: int) -> int:
        """Return a window's position in its week (weekday 0-6 by day, hour of the week by hour), else 0."""
        if self.window == "day":
            return (window + 3) % 7
        if self.window == "hour":
            return (window + 72) % 168
        return 0

    @property
    def phases(self) -> int:
        """Number of different values of `phase`."""
        return {"day": 7, "hour": 168}.get(str(self.window), 1)

    def name_instant(self, instant: int) -> str:
        """Return an instant as ISO text (UTC), or as `row N`."""
        if self.by_rows:
            return f"row {instant}"
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)
        return moment.date().isoformat() if instant % DAY == 0 else moment.isoformat()

    def name_window(self, window: int) -> str:
        """Return a window's name: the ISO text of its start, or `rows A-B`."""
        start = self.window_start(window)
        if isinstance(self.window, int):
            return f"rows {start}-{start + self.window - 1}"
        return self.name_instant(start)

    def name_period(self, period: int) -> str:
        """Return a period's name, such as 2016-01, 2016-Q1, 2016, 2016-01-04 or rows 0-1499."""
        start = self.period_start(period)
        if isinstance(self.window, int):
            return f"rows {start}-{self.period_start(period + 1) - 1}"
        day = self.name_instant(start)
        if self.period == "month":
            return day[:7]
        if self.period == "quarter":
            return f"{day[:4]}-Q{(int(day[5:7]) + 2) // 3}"
        return day[:4] if self.period == "year" else day

    def parse_instant(self, text: str) -> int:
        """Return the instant of an ISO date or time (UTC unless it says otherwise), or of a row ordinal."""
        if self.by_rows:
            try:
                return int(text.removeprefix("row").strip())
            except ValueError as error:
                msg = f"got the time {text!r}; with row-count windows it is a row number such as 1500"
                raise SpecError(msg) from error
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            msg = f"got the time {text!r}; expected an ISO date such as 2015-10-01 or 2015-10-01T06:00"
            raise SpecError(msg) from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
