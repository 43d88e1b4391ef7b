"""The part of the scale benchmark about a home of many models, and about hours that become days and months."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed_ours import SPEC, outputs
from benchmarks.speed_workload import workload
from pitstop.profile import Layout, Profile, profile_windows
from pitstop.records.calendar import Calendar
from pitstop.store.home import Home
from pitstop.store.location import CATALOG
from pitstop.store.rollup import RollUp

ROWS, DAYS, FEW = 1_000, 30, 10
_SIGNALS = [("drift", f"column {number}", 0.1, 0.0, 0.2) for number in range(30)]
_HOURS_KEPT = 24 * 90
Rows = list[dict[str, Any]]


def measure(quick: bool, folder: Path) -> Rows:
    """Return what a day of one model costs beside few and many others, and what a year of hours takes on disk."""
    layout, profiles = _profiles()
    many = 100 if quick else 1_000
    homes = {count: _Fleet(folder / f"models-{count}", count, profiles, layout) for count in (FEW, many)}
    rows: Rows = []
    try:
        # In turn, so that what else the machine does disturbs both alike.
        tries = range(60 if quick else 200)
        days = {count: statistics.median(home.day(at) for at in tries) for count, home in homes.items()}
        reads = {count: statistics.median(home.month(at) for at in tries) for count, home in homes.items()}
        for count, home in homes.items():
            rows.append(
                {
                    "pass": f"{count:,} models x {DAYS} days x 30 columns in one home",
                    "a model's day, processor ms": days[count],
                    "a model's month read and added up, processor ms": reads[count],
                    "bytes a column and window": home.size() / ((count * DAYS + len(tries)) * 30),
                }
            )
    finally:
        for home in homes.values():
            home.close()
    return [*rows, _year(folder / "hours", layout, profiles[0], 120 if quick else 365)]


class _Fleet:
    """A home with some models; each has the profiles and signals of 30 days."""

    def __init__(self, path: Path, count: int, profiles: list[Profile], layout: Layout) -> None:
        self._path, self._count, self._layout = path, count, layout
        self._packed = [(profile.pack(), profile.id) for profile in profiles]
        self._home = Home.open(path)
        for start in range(0, count, 50):
            with self._home.transaction() as store:
                for number in range(start, min(start + 50, count)):
                    for day in range(DAYS):
                        store.put_profile(f"model-{number}", "predicted", day, *self._packed[day])
                        store.put_signals(f"model-{number}", day, _SIGNALS)

    def day(self, number: int) -> float:
        """Commit one more day of one model; return processor milliseconds."""
        name = f"model-{number * 7 % self._count}"

        def commit() -> None:
            with self._home.transaction() as store:
                store.put_profile(name, "predicted", DAYS + number, *self._packed[number % DAYS])
                store.put_signals(name, DAYS + number, _SIGNALS)

        return _milliseconds(commit)

    def month(self, number: int) -> float:
        """Read one model's month and add it up; return processor milliseconds."""
        name = f"model-{number * 7 % self._count}"

        def read() -> None:
            found = self._home.profiles(name, "predicted", 0, DAYS)
            total = Profile.total(self._layout, [Profile.unpack(self._layout, record.blob) for record in found])
            if total.rows != DAYS * ROWS:
                msg = f"read {total.rows} rows of {DAYS * ROWS}"
                raise RuntimeError(msg)

        return _milliseconds(read)

    def size(self) -> int:
        """Return the bytes of the home."""
        return _size(self._path)

    def close(self) -> None:
        """Close the home."""
        self._home.close()


def _year(path: Path, layout: Layout, profile: Profile, days: int) -> dict[str, Any]:
    """Write hours, chart them by month, roll them up, and forget all but the newest quarter (at most 90 days)."""
    packed = (profile.pack(), profile.id)
    hours, kept = 24 * days, min(_HOURS_KEPT, 6 * days)
    calendar = Calendar("hour", "day")
    found: dict[str, float] = {}
    with Home.open(path) as home:
        for start in range(0, hours, 240):
            with home.transaction() as store:
                for hour in range(start, min(start + 240, hours)):
                    store.put_profile("m", "predicted", hour, *packed)
        by_day, by_month = (
            RollUp(home, "m", "predicted", Profile, layout, calendar, unit) for unit in ("day", "month")
        )
        found["windows"] = _milliseconds(by_month.charted)
        by_day.keep(hours)
        by_month.keep(hours)
        found["chart"] = statistics.median(_milliseconds(by_month.charted) for _ in range(5))
    before = _size(path)
    with Home.open(path) as home:
        _forget_hours(RollUp(home, "m", "predicted", Profile, layout, calendar, "month"), hours, kept)
    return {
        "pass": f"{hours:,} hours of one model to days and months, {kept:,} hours kept",
        "chart of its windows, processor ms": found["windows"],
        "chart of its months, processor ms": found["chart"],
        "MB before": before / 1e6,
        "MB after": _size(path) / 1e6,
    }


def _forget_hours(months: RollUp[Profile], hours: int, kept: int) -> None:
    months.forget(hours, kept)
    if sum(part.rows for _, part in months.charted()) != hours * ROWS:
        msg = "rows were lost in the roll-up"
        raise RuntimeError(msg)


def _profiles() -> tuple[Layout, list[Profile]]:
    """Return a layout of 30 columns and 30 days of 1,000 rows each, counted from rows."""
    layout = Layout.fit(
        SPEC, (table := workload(ROWS * DAYS, DAYS, 3)).append_column("@label", table["label"].cast("string"))
    )
    days = np.repeat(np.arange(DAYS, dtype=np.int32), ROWS)
    scores, decided, _ = outputs(table)
    return layout, profile_windows(layout, table, days, DAYS, scores, decided, np.zeros(days.size, dtype=np.int32))


def _milliseconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return 1e3 * (time.process_time() - start)


def _size(path: Path) -> int:
    """Return the bytes that a home holds; pages of its catalog that wait to be used again do not count."""
    catalog = sqlite3.connect(path / CATALOG)
    pages, free, size = (
        int(catalog.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    catalog.close()
    others = sum(
        file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.name.startswith(CATALOG)
    )
    return (pages - free) * size + others
