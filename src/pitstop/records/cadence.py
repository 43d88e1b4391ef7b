"""What a time column suggests: windows and periods, and which other columns only repeat a part of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pitstop.records.calendar import DAY, HOUR, WEEK, Ints, PeriodUnit
from pitstop.records.facts import ColumnFacts
from pitstop.records.instants import Instants
from pitstop.records.roles import Guess, is_calendar_name
from pitstop.records.spec import TimeSection

ROWS_PER_WINDOW = 20
MIN_ROW_WINDOW = 25
ROW_WINDOWS = 720
WINDOWS_PER_PERIOD = 30
# Three periods go by before the first model; fewer than ten leave nothing to decide about.
_TEN_MONTHS = 300

_CYCLES = ("hour", "day of the week")


def guess_windows(times: Instants, rows: int) -> tuple[TimeSection, Guess]:
    """Return windows and periods for a table of `rows` rows, of which `times` is a sample.

    Whole days that mostly hold rows, at least about 20 each, are windows; the period is the week below ten months, the
    quarter above four years, else the month, so that there are enough periods to learn from. Sparser tables get weeks.
    Coarse times (a month per row), whole numbers and tables that are too sparse for weeks get windows of
    max(25, rows / 720) rows and periods of 30 windows.
    """
    size = max(MIN_ROW_WINDOW, rows // ROW_WINDOWS)
    by_rows = TimeSection(window=size, period=WINDOWS_PER_PERIOD)
    if times.kind == "integer":
        why = "the time is a whole number, which has no days; a window is about a 720th of the rows"
        return by_rows, Guess("window", f"{size} rows", why)
    scale = rows / len(times.values)
    days, counts = np.unique(times.values // DAY, return_counts=True)
    span = int(days[-1] - days[0]) + 1
    per_day = float(np.median(counts)) * scale
    if per_day >= 0.75 * ROWS_PER_WINDOW and len(days) >= 0.6 * span and span >= 14:
        period = _period(span)
        why = f"{per_day:.0f} rows on a typical day, {span} days: a day is enough to count in"
        return TimeSection(window="day", period=period), Guess("window", f"day, period {period}", why)
    weeks, counts = np.unique((times.values + 3 * DAY) // WEEK, return_counts=True)
    weeks_span = int(weeks[-1] - weeks[0]) + 1
    per_week = float(np.median(counts)) * scale
    if per_week >= 0.75 * ROWS_PER_WINDOW and len(weeks) >= 0.6 * weeks_span and weeks_span >= 12:
        why = f"{per_day:.0f} rows on a typical day are too few, {per_week:.0f} in a week are enough"
        return TimeSection(window="week", period=4), Guess("window", "week, period 4 weeks", why)
    why = f"only {len(days)} of {span} days hold rows, so a window is a number of rows"
    return by_rows, Guess("window", f"{size} rows", why)


def _period(days: int) -> PeriodUnit:
    if days < _TEN_MONTHS:
        return "week"
    return "quarter" if days > 4 * 366 else "month"


def calendar_copies(facts: Mapping[str, ColumnFacts], time: str) -> dict[str, str]:
    """Return the columns that only repeat a part of the time, with the name of the part.

    A column repeats a part where each value of the part has one value of the column, and it is named like a part of a
    date or differs wherever the part differs.
    """
    if facts[time].kind != "time":
        return {}
    parts = _parts(facts[time].instants().values)
    found: dict[str, str] = {}
    for item in facts.values():
        if item.name == time or item.kind not in ("number", "category") or not 2 <= item.distinct <= 366:
            continue
        codes = item.codes()
        for part, values in parts.items():
            pairs = len(np.unique(values * (item.distinct + 2) + codes + 1))
            if pairs != len(np.unique(values)):
                continue
            if is_calendar_name(item.name) or (item.distinct == pairs and item.distinct > 2):
                found[item.name] = part
                break
    return found


def is_cycle(part: str) -> bool:
    """Whether a part of the time comes round at least weekly, so that a model may learn from it."""
    return part in _CYCLES


def _parts(instants: Ints) -> dict[str, NDArray[np.int64]]:
    moments = instants.astype("datetime64[us]")
    days = moments.astype("datetime64[D]")
    months = moments.astype("datetime64[M]")
    years = moments.astype("datetime64[Y]")
    month = months.astype(np.int64) % 12
    parts = {
        "hour": instants // HOUR % 24,
        "day of the week": (instants // DAY + 3) % 7,
        "year": years.astype(np.int64),
        "quarter": month // 3,
        "month": month,
        "day of the month": (days - months).astype(np.int64),
    }
    if int((days.max() - days.min()).astype(np.int64)) > 500:
        # Within one year every daily value is a function of the day of the year, which would say nothing.
        parts["day of the year"] = month * 31 + parts["day of the month"]
    return {part: values for part, values in parts.items() if values.min() < values.max()}
