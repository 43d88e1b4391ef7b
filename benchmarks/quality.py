"""Faults of data quality in partitions of real tables: F1 of `pitstop check`, Evidently, and rules as TFDV makes them.

Ten good partitions of 1,000 rows precede each one in question: eight are the reference, two are only for rivals to
be tuned on. A fault hits 5% to 50% of the rows of one column (of two for swaps); a duplicated batch repeats as many; a
stale partition is the last one of the reference with new time stamps. A partition is called bad by ours where a finding
is `upstream`, with the shipped defaults and without the two good partitions. Each rival is called with its
documented defaults, and tuned: bad where more fails than on either of the two. The better of the two counts. F1 of each
kind is over its partitions and the same number of good ones.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.causes_tables import SCORED_ON
from benchmarks.environments import PEERS, PeerError, ask
from benchmarks.quality_faults import KINDS, Trial, trials
from benchmarks.quality_rules import anomalies
from benchmarks.result import Bar, Result
from pitstop.checks import check

SEED = 20261129
FULL, QUICK = 24, 8
RIVALS = ("Evidently", "TFDV-style rules")
Rows = list[dict[str, Any]]


def run(quick: bool, data: Path | None) -> Result:
    """Judge the same partitions by ours and by both rivals. Raises `MissingDataError` where a set is not there."""
    each = QUICK if quick else FULL
    found = list(trials(SCORED_ON, data, SEED, each, each))
    rows = [_judged(trial) for trial in found]
    for row, verdicts in zip(rows, _evidently(found), strict=True):
        row.update(verdicts)
    return Result(tuple(rows), _bars(rows))


def _judged(trial: Trial) -> dict[str, Any]:
    start = time.process_time()
    findings = [item for item in check(trial.reference, trial.partition) if item.upstream]
    seconds = time.process_time() - start
    known = [anomalies(trial.reference, good) for good in trial.held]
    mine = anomalies(trial.reference, trial.partition)
    return {
        "set": trial.source.name,
        "kind": trial.kind,
        "Pitstop": bool(findings),
        "told": " ".join(dict.fromkeys(item.kind for item in findings)),
        "seconds": seconds,
        "TFDV-style rules, schema": mine.schema_only,
        "TFDV-style rules, with comparators": mine.as_documented,
        "TFDV-style rules, tuned": mine.beyond(known),
    }


def _evidently(found: Sequence[Trial]) -> list[Mapping[str, Any]]:
    """Return the verdicts of Evidently, by default and tuned; nothing where it cannot be run."""
    with tempfile.TemporaryDirectory() as folder:
        for number, trial in enumerate(found):
            place = Path(folder) / f"{number:05d}"
            place.mkdir()
            pq.write_table(trial.reference, place / "reference.parquet")
            pq.write_table(trial.partition, place / "partition.parquet")
            for at, good in enumerate(trial.held):
                pq.write_table(good, place / f"held{at}.parquet")
        try:
            answers = ask("evidently", PEERS / "evidently_quality.py", folder)
        except PeerError as error:
            print(f"Evidently was not measured: {error}")
            return [{} for _ in found]
    return [_verdicts(answers[f"{number:05d}"]) for number in range(len(found))]


def _verdicts(answer: Mapping[str, Any]) -> dict[str, Any]:
    failed = answer["partition"]["failed"]
    good = [item["failed"] for item in answer["held"] if item["failed"] is not None]
    # A table that it cannot read is a bad one.
    return {
        "Evidently, defaults": failed is None or failed > 0,
        "Evidently, tuned": failed is None or failed > max(good, default=0),
        "Evidently failed": failed,
    }


def f1(rows: Rows, kind: str, judge: str) -> float | None:
    """Return the F1 of one judge on one kind: over its partitions and as many good ones, None where not measured."""
    bad = [row[judge] for row in rows if row["kind"] == kind and judge in row]
    good = [row[judge] for row in rows if row["kind"] == "" and judge in row]
    if not bad or not good:
        return None
    hits, wrong = sum(bad), float(np.mean(good)) * len(bad)
    return 2 * hits / (hits + wrong + len(bad)) if hits else 0.0


def _bars(rows: Rows) -> tuple[Bar, ...]:
    judges = [name for name in rows[0] if name.startswith(RIVALS) and name != "Evidently failed"]
    bars = []
    for number, kind in enumerate(KINDS):
        rivals = {judge: value for judge in judges if (value := f1(rows, kind, judge)) is not None}
        both = all(any(name.startswith(rival) for name in rivals) for rival in RIVALS)
        best = max(rivals, key=lambda name: rivals[name]) if both else ""
        ours = f1(rows, kind, "Pitstop")
        text = f"F1 on {kind}; the bound is the best rival's ({best or 'one was not measured'})"
        bars.append(
            Bar(f"quality.5{'abcdef'[number]}", ours if best else None, rivals.get(best, 1.0), "at least", text)
        )
    return tuple(bars)
