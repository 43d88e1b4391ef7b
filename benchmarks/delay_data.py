"""The rows of `benchmarks delay`: windows of real days in random order, with and without an injected change.

Days with an even number make the runs without a change, on which every detector is tuned; days with an odd number make
the runs on which delays are measured. A run is 60 windows of reference and 60 watched ones, 60 rows each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.alarms_sets import Case, load

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REFERENCE, WATCHED, ROWS = 60, 60, 60
MONITORS = ("error", "number", "category", "nulls")
# Numeric column, categorical column, and the share of nulls in healthy windows.
COLUMNS = {
    "hotel_bookings": ("lead_time", "market_segment", 0.0),
    "nycflights13": ("distance", "carrier", 0.01),
    "acs_employment_ma": ("AGEP", "MAR", 0.03),
}
CHANGES: dict[str, tuple[tuple[str, float], ...]] = {
    "error": (("more", 0.05), ("more", 0.10), ("more", 0.20)),
    "number": (("stuck", 0.05), ("stuck", 0.10), ("stuck", 0.20), ("shift", 0.25), ("shift", 0.50)),
    "category": (("moved", 0.05), ("moved", 0.10), ("moved", 0.20)),
    "nulls": (("more", 0.01), ("more", 0.03), ("more", 0.10)),
}


@dataclass(frozen=True)
class Cell:
    """One injected change in one monitor of one set; `runs` are its rows in `Runs.changed[monitor]`."""

    set: str
    how: str
    monitor: str
    change: str
    size: float
    runs: slice


@dataclass(frozen=True)
class Runs:
    """Rows of all runs, float64[runs, windows, rows], by monitor: 0 or 1 for errors and nulls, codes of categories."""

    null: dict[str, Floats]
    changed: dict[str, Floats]
    cells: tuple[Cell, ...]


def runs(data: Path | None, nulls: int, repeats: int) -> Runs:
    """Draw `nulls` runs of each set and order for every monitor, and `repeats` runs of every cell."""
    null: dict[str, list[Floats]] = {monitor: [] for monitor in MONITORS}
    changed: dict[str, list[Floats]] = {monitor: [] for monitor in MONITORS}
    cells = []
    for name, (number, category, share) in COLUMNS.items():
        case = load(name, data)
        values = _values(case, number, category)
        for how in ("days", "rows"):
            rng = np.random.default_rng([len(name), how == "days"])
            for _ in range(nulls):
                rows = _rows(case, how, 0, rng)
                for monitor in MONITORS:
                    null[monitor].append(_healthy(values, monitor, rows, share, rng))
            for monitor in MONITORS:
                for change, size in CHANGES[monitor]:
                    first = len(changed[monitor])
                    for _ in range(repeats):
                        rows = _rows(case, how, 1, rng)
                        healthy = _healthy(values, monitor, rows, share, rng)
                        changed[monitor].append(_changed(healthy, monitor, change, size, rng))
                    cells.append(Cell(name, how, monitor, change, size, slice(first, first + repeats)))
    return Runs(
        {monitor: np.stack(found) for monitor, found in null.items()},
        {monitor: np.stack(found) for monitor, found in changed.items()},
        tuple(cells),
    )


def _values(case: Case, number: str, category: str) -> dict[str, Floats]:
    numbers = np.asarray(case.table[number].to_numpy(), dtype=np.float64)
    codes = case.table[category].combine_chunks().indices.fill_null(-1)
    return {
        "error": (case.decided != case.labels).astype(np.float64),
        "number": np.nan_to_num(numbers, nan=float(np.nanmedian(numbers))),
        "category": np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.float64),
    }


def _rows(case: Case, how: str, half: int, rng: np.random.Generator) -> Ints:
    """Return rows of the case, int64[windows, rows]: each window from one day ("days"), or from any of them."""
    starts = case.starts
    groups = np.unique(case.group)
    # Where days are shuffled within groups (years), one half of the groups tunes and the other measures.
    if len(groups) > 1:
        own = rng.choice(groups[half::2])
        days = np.flatnonzero((case.group == own) & (np.diff(starts) >= ROWS))
    else:
        days = np.flatnonzero(np.diff(starts) >= ROWS)
        days = days[days % 2 == half]
    needed = REFERENCE + WATCHED
    chosen = rng.permutation(days)[:needed]
    if len(chosen) < needed:
        chosen = rng.choice(days, needed)
    rows = np.stack([starts[day] + rng.permutation(starts[day + 1] - starts[day])[:ROWS] for day in chosen])
    return rng.permutation(rows.ravel()).reshape(rows.shape) if how == "rows" else rows


def _healthy(values: dict[str, Floats], monitor: str, rows: Ints, share: float, rng: np.random.Generator) -> Floats:
    if monitor == "nulls":
        return (rng.random(rows.shape) < share).astype(np.float64)
    return values[monitor][rows]


def _changed(healthy: Floats, monitor: str, change: str, size: float, rng: np.random.Generator) -> Floats:
    """Put the change into the watched windows."""
    values = healthy.copy()
    reference, watched = values[:REFERENCE], values[REFERENCE:]
    hit = rng.random(watched.shape)
    if monitor in ("error", "nulls"):
        rate = float(reference.mean())
        watched[(watched == 0) & (hit < size / max(1 - rate, 0.05))] = 1.0
    elif change == "stuck":
        watched[hit < size] = np.quantile(reference, 0.99)
    elif change == "shift":
        watched += size * reference.std()
    else:
        codes, counts = np.unique(reference, return_counts=True)
        known = codes[counts >= 0.01 * reference.size]
        watched[hit < size] = known[np.argmin(counts[counts >= 0.01 * reference.size])]
    return values


def saved(found: Runs, path: Path) -> None:
    """Write the rows for the peers."""
    arrays: dict[str, Any] = {f"null_{monitor}": rows for monitor, rows in found.null.items()}
    arrays |= {f"changed_{monitor}": rows for monitor, rows in found.changed.items()}
    np.savez(path, **arrays)
