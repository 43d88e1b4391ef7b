"""False alarms a month on no-drift replays of real sets, power and upstream breaks in the same runs, peers beside.

Every set is replayed with its rows shuffled and with whole days shuffled (20 seeds): the reference is 90 days, and the
days after it are watched by all streams at the shipped settings. The days that trained the model are in neither. The
same fitted detectors then look at a 5-point rise of the error, a 10% contamination of one feature and 20 upstream
breaks. Two sets that nothing was chosen on come last.

False alarms are counted twice: each stream's alarm, and as a person is paged, where alarms of one window that
`pitstop.detection.together` finds to have one cause are one page. Peers have no such grouping; for them all alarms of
one window are one page, which is the most that a grouping could do for them. The bars count pages.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alarms_changes import BREAKS, breaks_found, contamination_found, error_found
from benchmarks.alarms_nulls import nulls
from benchmarks.alarms_replay import Run, start, stepped
from benchmarks.alarms_rivals import peers, usual
from benchmarks.alarms_sets import NEW, SETS, Case, load
from benchmarks.environments import PeerError
from benchmarks.result import Bar, Result
from pitstop.detection.together import together
from pitstop.loop.reference import REFERENCE_WINDOWS

PROMISE = 1.0
SEEDS, QUICK_SEEDS = 20, 4
PEER_WINDOWS, QUICK_PEER_WINDOWS = 30, 7
NULL_SEEDS, QUICK_NULL_SEEDS = 30, 8
Rows = list[dict[str, Any]]


def run(quick: bool, data: Path | None) -> Result:
    """Replay every set, then the nulls, then the peers on one order of each set."""
    seeds = QUICK_SEEDS if quick else SEEDS
    rows: Rows = []
    kept: list[tuple[str, Run]] = []
    # Each set and order is a piece of work of its own, and nothing here is timed.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        asked = [
            (name, pool.submit(_replayed, name, data, how, seeds)) for name in (*SETS, *NEW) for how in ("days", "rows")
        ]
        for name, future in asked:
            try:
                more, run = future.result()
            except PeerError as error:
                print(f"{name} is left out: {error}")
                continue
            rows += more
            kept.append(run)
    rows += [
        {"what": "autocorrelated null", "set": item.kind, "shuffled": f"lag {item.lag}", "alarms a month": item.alarms,
         "self-test warns": item.warned}
        for item in nulls(QUICK_NULL_SEEDS if quick else NULL_SEEDS)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        windows = QUICK_PEER_WINDOWS if quick else PEER_WINDOWS
        for peer, found in peers(kept, Path(folder), windows).items():
            rows += [
                {"what": "peer", "peer": peer, "set": name.rpartition("-")[0], "shuffled": name.rpartition("-")[2],
                 **counts}
                for name, counts in found.items()
            ]  # fmt: skip
    return Result(tuple(rows), bars(rows))


def _replayed(name: str, data: Path | None, how: str, seeds: int) -> tuple[Rows, tuple[str, Run]]:
    return _replays(load(name, data), how, seeds)


def _replays(case: Case, how: str, seeds: int) -> tuple[Rows, tuple[str, Run]]:
    """Replay one set in `seeds` random orders.

    Returns its row of false alarms and those of changes and breaks; and, with its name, the replay of the first order.
    """
    monthly, pages, incidents, kinds = [], [], [], Counter[str]()
    errors, contaminated, breaks = [], [], {kind.name: [0, 0] for kind in BREAKS}
    months = 0.0
    for seed in range(seeds):
        replay = start(case, how, seed)
        _, findings = stepped(replay.watch, replay.table, REFERENCE_WINDOWS)
        monthly.append(len(findings) / replay.months)
        pages.append(len(together(findings)) / replay.months)
        incidents.append(len({finding.window for finding in findings}) / replay.months)
        kinds.update(f"{finding.stream.kind}{', fast' if finding.fast else ''}" for finding in findings)
        months += replay.months
        if seed == 0:
            first = replay
            rivals = usual(replay, 60, seed)
        if how == "days":
            errors.append(error_found(replay, seed))
            contaminated.append(contamination_found(replay, seed))
            for kind, paged in breaks_found(replay, seed).items():
                if paged is not None:
                    breaks[kind] = [breaks[kind][0] + paged, breaks[kind][1] + 1]
    new = case.name in NEW
    base = {"set": case.name, "shuffled": how, "new": new}
    rows: Rows = [
        base
        | {
            "what": "no drift",
            "seeds": seeds,
            "windows": replay.watched,
            "rows a window": float(np.mean([len(part) for part in replay.rows])),
            "streams": len(replay.watch.panel.layout.streams) + len(replay.watch.volumes),
            "alarms a month": float(np.mean(monthly)),
            "pages a month": float(np.mean(pages)),
            "worst seed": float(np.max(pages)),
            "windows with alarms a month": float(np.mean(incidents)),
            "of which": ", ".join(f"{kind} {count / months:.2f}" for kind, count in kinds.most_common()),
        }
    ]
    rows += [base | {"what": "peer", "peer": rule, **counts} for rule, counts in rivals.items()]
    if how == "days":
        for what, found in (("error + 5 points", errors), ("10% contamination", contaminated)):
            seen = [value for value in found if value is not None]
            rows.append(
                base
                | {
                    "what": what,
                    "found": len(seen),
                    "of": len(found),
                    "median windows": float(np.median(seen)) if seen else None,
                }
            )
        rows += [
            base | {"what": "break", "kind": kind, "found": found, "of": tried}
            for kind, (found, tried) in breaks.items()
            if tried
        ]
    return rows, (f"{case.name}-{how}", first)


def bars(rows: Rows) -> tuple[Bar, ...]:
    """Return the bars, computed from the rows alone."""
    quiet = [row for row in rows if row["what"] == "no drift"]
    broken = [row for row in rows if row["what"] == "autocorrelated null" and row["alarms a month"] > PROMISE]

    def worst(how: str, *, new: bool) -> float | None:
        found = [row["pages a month"] for row in quiet if row["shuffled"] == how and row["new"] == new]
        return max(found) if len(found) >= (len(NEW) if new else len(SETS)) else None

    def share(what: str) -> float | None:
        found = [row for row in rows if row["what"] == what and not row["new"]]
        tried = sum(row["of"] for row in found)
        return sum(row["found"] for row in found) / tried if tried else None

    fresh = [value for how in ("days", "rows") if (value := worst(how, new=True)) is not None]
    return (
        Bar(
            "alarms.1a",
            worst("days", new=False),
            PROMISE,
            text="pages for false alarms a month, whole days shuffled, worst set",
        ),
        Bar(
            "alarms.1b",
            worst("rows", new=False),
            PROMISE,
            text="pages for false alarms a month, rows shuffled, worst set",
        ),
        Bar("alarms.1c", share("error + 5 points"), 0.9, "at least", "error + 5 points found within 30 windows"),
        Bar("alarms.1d", share("10% contamination"), 0.9, "at least", "10% contamination found within 30 windows"),
        Bar("alarms.1e", share("break"), 0.95, "at least", "20 kinds of break found in their first window"),
        Bar(
            "alarms.1f",
            min((row["self-test warns"] for row in broken), default=None),
            0.9,
            "at least",
            "self-tests that warn where the promise is broken by autocorrelation, worst null",
        ),
        Bar(
            "alarms.1g",
            max(fresh) if len(fresh) == 2 else None,
            PROMISE,
            text="pages for false alarms a month on sets never used before, worst set and order",
        ),
    )
