"""Drift and estimated performance by day against the peers, live in one run; merging, cold start and installed size.

1 million rows of 30 columns (20 numbers, 10 texts) over 30 days in memory; the reference of 100,000 rows is fitted
beforehand on both sides, and the fits are not timed. Ours is from the table to every statistic that the monitors read,
with the shipped defaults: profiles with leaves and repeated rows, then drift, outputs, quality and volume of each day.
Peers run in environments of their own. Times are medians; the bars are ratios, but for cold start and sizes.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import speed_ours as ours
from benchmarks.environments import PEERS, PeerError, ask, environment
from benchmarks.result import Bar, Result
from benchmarks.speed_cold import cold_start, own_install
from benchmarks.speed_workload import NUMBERS, TEXTS, plain, workload, write
from benchmarks.speed_yardstick import Yardstick
from pitstop.baseline.baseline import Baseline
from pitstop.profile import Profile

ROWS, REFERENCE_ROWS, FEW_ROWS, DAYS = 1_000_000, 100_000, 100_000, 30
THREADS = os.cpu_count() or 1
Rows = list[dict[str, Any]]
BARS: tuple[tuple[str, float, str, str], ...] = (
    ("1a", 100, "at least", "times faster than NannyML's KS by day, dictionary strings"),
    ("1b", 40, "at least", "times faster than NannyML's KS by day, plain strings"),
    ("1c", 2, "at most", "times one hand-written C pass that only counts by day, same threads"),
    ("1d", 1.5, "at most", "times decoding the same columns of the same Parquet file with PyArrow, same threads"),
    ("2a", 50, "at least", "times faster than NannyML's CBPE by day"),
    ("2b", 1, "at most", "ms to merge 30 daily profiles"),
    ("2c", 60, "at most", "kB of a packed day's profile of 30 columns"),
    ("4a", 150, "at most", "ms to import pitstop"),
    ("4b", 300, "at most", "ms of `pitstop --help`, cold process"),
    ("4c", 2000, "at most", "ms of `pitstop check` on 10,000 rows, cold process"),
    ("4d", 1, "at most", "installed distributions, share of Evidently's"),
    ("4e", 1, "at most", "installed size, share of Evidently's"),
)


def run(quick: bool, data: Path | None) -> Result:  # noqa: ARG001 - the frame's signature; the rows are drawn here
    """Measure ours, then each peer, on the same tables."""
    reference, table = workload(REFERENCE_ROWS, DAYS, 0), workload(ROWS, DAYS, 1, drift=0.3)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        rows = _ours(reference, table, home, 3 if quick else 9, found)
        cold = cold_start(environment("pitstop"), home, workload(10_000, DAYS, 2), 5 if quick else 9)
        rows += [{"what": name, "ms": value} for name, value in cold.items()]
        found |= dict(zip(("4a", "4b", "4c"), cold.values(), strict=True))
        rows += _peers(reference, table, home, quick, found)
    rows += _sizes(found)
    return Result(
        tuple(rows),
        tuple(
            Bar(f"speed.{name}", found.get(name), bound, "at least" if side == "at least" else "at most", text)
            for name, bound, side, text in BARS
        ),
    )


def median(action: Callable[[], object], runs: int) -> float:
    """Return the median of the milliseconds of several runs, after one that is not counted."""
    action()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def paired(first: Callable[[], object], second: Callable[[], object], runs: int) -> float:
    """Return the median of how many times longer `first` takes than `second`, one after the other in each run.

    What else the machine does then disturbs both alike.
    """
    ratios = []
    for _ in range(runs):
        times = []
        for action in (first, second):
            start = time.perf_counter()
            action()
            times.append(time.perf_counter() - start)
        ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def _ours(reference: pa.Table, table: pa.Table, home: Path, runs: int, found: dict[str, float]) -> Rows:
    start = time.perf_counter()
    baseline = ours.fit(reference)
    rows: Rows = [
        {"what": "ours: fit of the baseline", "rows": REFERENCE_ROWS, "ms": 1e3 * (time.perf_counter() - start)}
    ]
    texts = plain(table)
    path = home / "plain.parquet"
    write(texts, path)
    yardstick = Yardstick(baseline.layout, table, home)
    timed: Mapping[str, Callable[[], object]] = {
        "ours: drift by day": partial(ours.drift_by_day, baseline, table, threads=THREADS),
        "ours: drift by day, one thread": partial(ours.drift_by_day, baseline, table),
        "ours: drift by day, plain strings": partial(ours.drift_by_day, baseline, texts, threads=THREADS),
        "ours: profiles alone": partial(ours.profiles, baseline, table, threads=THREADS),
        "hand-written C, counts by day alone": partial(yardstick.count, THREADS),
        "hand-written C, one thread": partial(yardstick.count, 1),
        "ours: profiles from Parquet": partial(_from_parquet, baseline, path),
        "PyArrow: decoding the same columns": partial(_decode, path),
        "ours: estimated performance by day": partial(ours.estimated_by_day, baseline, table),
    }
    took = {what: median(action, runs) for what, action in timed.items()}
    rows += [{"what": what, "rows": ROWS, "ms": value} for what, value in took.items()]
    ratios = {
        "1c": paired(timed["ours: drift by day"], timed["hand-written C, counts by day alone"], runs),
        "1d": paired(timed["ours: profiles from Parquet"], timed["PyArrow: decoding the same columns"], runs),
    }
    rows += [
        {"what": "drift by day: times the hand-written pass, paired", "ratio": ratios["1c"]},
        {"what": "profiles from Parquet: times decoding, paired", "ratio": ratios["1d"]},
    ]
    daily = ours.profiles(baseline, table)
    merging = median(lambda: Profile.total(baseline.layout, daily), 5 * runs)
    size = len(daily[0].pack()) / 1e3
    rows += [
        {"what": "ours: merging 30 daily profiles", "ms": merging},
        {"what": "ours: a packed day's profile", "kB": size},
    ]
    found |= {
        "ours": took["ours: drift by day"],
        "ours plain": took["ours: drift by day, plain strings"],
        "ours estimated": took["ours: estimated performance by day"],
        **ratios,
        "2b": merging,
        "2c": size,
    }
    return rows


def _columns() -> list[str]:
    return ["at", *NUMBERS, *TEXTS, "score"]


def _decode(path: Path) -> pa.Table:
    return pq.read_table(path, columns=_columns(), use_threads=THREADS > 1)


def _from_parquet(baseline: Baseline, path: Path) -> list[Profile]:
    table = pq.read_table(path, columns=_columns(), use_threads=THREADS > 1, read_dictionary=list(TEXTS))
    return ours.profiles(baseline, table, threads=THREADS)


def _peers(reference: pa.Table, table: pa.Table, home: Path, quick: bool, found: dict[str, float]) -> Rows:
    """Run each peer that can be installed; one that cannot has a row that says why."""
    paths = {}
    few = table.take(pa.array(range(0, ROWS, ROWS // FEW_ROWS)))
    for name, content in {"reference": reference, "current": table, "few": few}.items():
        for kind, made in (("", content), (" plain", plain(content))):
            paths[name + kind] = str(home / f"peer {name}{kind}.parquet")
            write(made, Path(paths[name + kind]))
    runs = "1" if quick else "3"
    many = ("few", FEW_ROWS) if quick else ("current", ROWS)
    rows: Rows = []

    def one(what: str, peer: str, count: int, *arguments: str) -> float | None:
        try:
            figures = ask(peer, PEERS / f"{peer}_speed.py", *arguments, seconds=900)
        except PeerError as error:
            print(f"{what}: {error}", file=sys.stderr)
            rows.append({"what": what, "rows": count, "not run": "see the error output"})
            return None
        took: float = 1e3 * statistics.median(figures["seconds"])
        rows.append(
            {"what": what, "rows": count, "ms": took, "times ours a row": took / count / (found["ours"] / ROWS)}
        )
        if "merge seconds" in figures:
            rows.append(
                {"what": f"{what}: merging 30", "ms": 1e3 * figures["merge seconds"], "kB": figures["bytes"] / 1e3}
            )
        return took

    for key, own, name, kind in (("1a", "ours", "dictionary", ""), ("1b", "ours plain", "plain", " plain")):
        took = one(
            f"NannyML: KS by day, {name} strings",
            *("nannyml", ROWS, "drift", paths[f"reference{kind}"], paths[f"current{kind}"], runs),
        )
        if took is not None:
            found[key] = took / found[own]
    took = one("NannyML: CBPE by day", "nannyml", ROWS, "cbpe", paths["reference"], paths["current"], runs)
    if took is not None:
        found["2a"] = took / found["ours estimated"]
        rows[-1].pop("times ours a row")
    one("Evidently: drift, whole", "evidently", FEW_ROWS, paths["reference"], paths["few"], runs)
    one("whylogs: profile, whole", "whylogs", many[1], paths[many[0]], runs)
    one("popmon: stability by day", "popmon", many[1], paths[many[0]], runs)
    one("frouros: KS and chi-squared by day", "frouros", many[1], paths["reference"], paths[many[0]], runs)
    return rows


def _sizes(found: dict[str, float]) -> Rows:
    """Count the installed distributions and their bytes, ours and the peers', each in a fresh environment."""
    rows: Rows = []
    for peer in ("pitstop", "evidently", "nannyml", "whylogs"):
        try:
            figures = ask(peer, PEERS / "installed.py")
        except PeerError as error:
            print(f"{peer}: {error}", file=sys.stderr)
            rows.append({"what": f"{peer}: installed", "not run": "see the error output"})
            continue
        count, size = figures["distributions"], figures["bytes"]
        if peer == "pitstop":
            # The list holds what Pitstop needs; Pitstop itself comes from this checkout.
            count, size = count + 1, size + own_install()
        found |= {f"count {peer}": count, f"bytes {peer}": size}
        rows.append({"what": f"{peer}: installed", "distributions": count, "MB": size / 1e6})
    if "count pitstop" in found and "count evidently" in found:
        found |= {
            "4d": found["count pitstop"] / found["count evidently"],
            "4e": found["bytes pitstop"] / found["bytes evidently"],
        }
    return rows
