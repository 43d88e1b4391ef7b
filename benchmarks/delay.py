"""How soon a change is found, peers and ours tuned to one rate of false alarms: error, numbers, categories, nulls.

Every peer is tuned for each monitor on 504 runs without a change, ours by one scale for all monitors, until one run in
ten alarms within its 60 windows (one false alarm in 600 windows, a monitor's share of a model with twenty). Delays are
medians over runs from other days, the change standing from the first watched window on. The version with its guarantee,
at a promise of 1 a month, stands beside.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.delay_data import WATCHED, Cell, Runs, runs, saved
from benchmarks.delay_ours import first_alarms
from benchmarks.environments import PEERS, PeerError, ask
from benchmarks.result import Bar, Result

TARGET = 0.10
# Of each of the six sets and orders: 504 for each monitor.
NULLS, QUICK_NULLS = 84, 21
REPEATS, QUICK_REPEATS = 24, 8
SCALES = 9  # halvings of the factor between the two scales that bracket ours
OURS, PROMISED = "ours", "ours, as promised"
PEER_NAMES = ("river", "frouros", "nannyml")
Ints = NDArray[np.int64]
Rows = list[dict[str, Any]]


def run(quick: bool, data: Path | None) -> Result:
    """Draw the runs, tune everything, and measure every cell."""
    found = runs(data, QUICK_NULLS if quick else NULLS, QUICK_REPEATS if quick else REPEATS)
    rows: Rows = []
    delays: dict[str, dict[str, Ints]] = {}
    scale = _scale(found)
    for name, factor in ((OURS, scale), (PROMISED, 1.0)):
        null = first_alarms(found.null, factor)
        delays[name] = first_alarms(found.changed, factor)
        rows += [
            {"what": "tuned", "detector": name, "monitor": monitor, "setting": f"scale {factor:.3g}",
             "null runs": len(first), "null rate": _rate(first)}
            for monitor, first in null.items()
        ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.npz"
        saved(found, path)
        for peer in PEER_NAMES:
            try:
                told = ask(
                    peer, PEERS / f"{peer}_delay.py", str(path), str(TARGET), seconds=3600,
                    variables={"OMP_NUM_THREADS": "1"},
                )  # fmt: skip
            except PeerError as error:
                print(f"{peer} is left out: {error}")
                continue
            for detector, monitors in told.items():
                delays[detector] = {
                    monitor: np.array(item["first"], dtype=np.int64) for monitor, item in monitors.items()
                }
                rows += [
                    {"what": "tuned", "detector": detector, "monitor": monitor, "setting": item["setting"],
                     "null runs": len(found.null[monitor]), "null rate": item["null rate"]}
                    for monitor, item in monitors.items()
                ]  # fmt: skip
    rows += [row for cell in found.cells for row in _measured(cell, delays)]
    return Result(tuple(rows), bars(rows))


def _scale(found: Runs) -> float:
    """Return the scale at which ours has the same rate of false alarms over all monitors, never above it."""
    low, high = 1e-3, 1.0
    for _ in range(SCALES):
        middle = float(np.sqrt(low * high))
        rate = float(np.mean([_rate(first) for first in first_alarms(found.null, middle).values()]))
        low, high = (low, middle) if rate <= TARGET else (middle, high)
    return high


def _rate(first: Ints) -> float:
    return float(np.mean(first <= WATCHED))


def _measured(cell: Cell, delays: dict[str, dict[str, Ints]]) -> Rows:
    """Return the median delay of each detector in a cell, and the share of runs that it finds."""
    rows: Rows = []
    for detector, monitors in delays.items():
        if cell.monitor not in monitors:
            continue
        first = monitors[cell.monitor][cell.runs]
        rows.append(
            {
                "what": "delay",
                "set": cell.set,
                "shuffled": cell.how,
                "monitor": cell.monitor,
                "change": f"{cell.change} {cell.size:g}",
                "detector": detector,
                "median windows": float(np.median(first)),
                "found": _rate(first),
                "runs": len(first),
            }
        )
    return rows


def bars(rows: Rows) -> tuple[Bar, ...]:
    """Return the bars, computed from the rows alone.

    A cell counts where some detector finds the change in at least half of its runs. A peer's finds count where it has
    them more often than by chance, by two standard errors. "Not found" is a delay of one window more than were watched.
    """
    cells: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row["what"] == "delay":
            key = (row["set"], row["shuffled"], row["monitor"], row["change"])
            cells.setdefault(key, {})[row["detector"]] = row
    if not cells or not all(any(name.lower().startswith(peer) for cell in cells.values() for name in cell)
                            for peer in PEER_NAMES):  # fmt: skip
        return _named(None, None, None, None)
    near: dict[bool, list[bool]] = {True: [], False: []}
    missed, ratios = [], dict[str, list[float]]()
    for (_, _, monitor, _), cell in cells.items():
        own = cell[OURS]["median windows"]
        rivals = {name: row for name, row in cell.items() if name not in (OURS, PROMISED) and _counts(row)}
        best = min((row["median windows"] for row in rivals.values()), default=WATCHED + 1.0)
        for name, row in cell.items():
            if name not in (OURS, PROMISED):
                value = row["median windows"] if name in rivals else WATCHED + 1.0
                ratios.setdefault(name, []).append(float(np.log(own / value)))
        if min(own, best) > WATCHED:
            continue
        near[monitor == "nulls"].append(own <= max(1.1 * best, best + 2))
        missed.append(own > WATCHED)
    worst = max(float(np.exp(np.mean(values))) for values in ratios.values())
    return _named(float(np.mean(near[False])), float(np.mean(near[True])), float(np.mean(missed)), worst)


def _counts(row: dict[str, Any]) -> bool:
    error = float(np.sqrt(TARGET * (1 - TARGET) / row["runs"]))
    return bool(row["found"] > TARGET + 2 * error)


def _named(near: float | None, near_nulls: float | None, missed: float | None, worst: float | None) -> tuple[Bar, ...]:
    return (
        Bar("delay.2a", near, 0.85, "at least", "cells within 10% or 2 windows of the best peer, without null rates"),
        Bar("delay.2b", near_nulls, 0.80, "at least", "the same of null rates"),
        Bar("delay.2c", missed, 0.03, text="cells that ours misses and a peer finds"),
        Bar("delay.2d", worst, 1.0, text="geometric mean of our delay over a peer's, the nearest peer, on its cells"),
    )
