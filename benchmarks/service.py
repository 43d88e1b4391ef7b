"""Rows a second that `pitstop up` takes in and stores, what logging costs the caller, what a late label costs."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result import Bar, Result
from benchmarks.service_labels import join_all
from benchmarks.service_load import FEATURES, SPEC, Up, anonymous_bytes, post_arrow, service, wrk
from pitstop.client.sending import Sender
from pitstop.client.watching import Watched
from pitstop.records.spec import parse_spec

# Bytes that may lie in the spool while rows go through to the profiles: some seconds of them.
BACKLOG = 256 << 20
CALL_ROWS = 100


def run(quick: bool, data: Path | None) -> Result:  # noqa: ARG001 - the frame's signature; the rows are drawn here
    """Measure acknowledging, storing, memory, the caller's overhead, and the join of labels."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="pitstop-") as folder, service(Path(folder)) as up:
        single = wrk(up.port, Path(folder), 10 if quick else 60, "single")
        rate = single["requests"] / single["seconds"]
        rows.append({"what": "rows of JSON, one a request", "a second": rate, **single})
        _until_stored(up)
        burst, seconds = post_arrow(up, 5 if quick else 20, seed=10, most_backlog=1 << 40)
        rows.append({"what": "Arrow batches of 5,000, acknowledged", "rows": burst, "a second": burst / seconds})
        _until_stored(up)
        through, flat = _sustained(up, 120 if quick else 600, rows)
    with tempfile.TemporaryDirectory(prefix="pitstop-") as folder:
        with service(Path(folder)) as up:
            there = _caller(f"http://127.0.0.1:{up.port}", Path(folder) / "spool", rows, "service up")
        away = _caller("http://127.0.0.1:9", Path(folder) / "away", rows, "service down")
    curve, labels = join_all(1_000_000 if quick else 10_000_000)
    rows += curve
    return Result(
        tuple(rows),
        (
            Bar("service.2a", rate, 6_000, "at least", "single-row JSON requests with 20 features a second"),
            Bar("service.2b", single["p99"], 30, text="p99 of their latency, ms"),
            Bar("service.2c", single["bad"], 0, text="requests among them that failed"),
            Bar("service.2d", burst / seconds, 200_000, "at least", "rows a second acknowledged in Arrow batches"),
            Bar("service.2e", through, 100_000, "at least", "rows a second through to profiles"),
            Bar("service.2f", flat, 1.1, text="memory in the last quarter over that in the second"),
            Bar("service.2g", there, 20, text="microseconds a row that logging costs the caller"),
            Bar("service.2h", away, 20, text="the same while the service is down"),
            Bar("service.3a", labels["more predictions"], 1.5, text="cost of a label among ten times the predictions"),
            Bar("service.3b", labels["more labels"], 1.5, text="cost of the last labels over that of the first"),
            Bar("service.3c", labels["missing"], 0, text="labels that were not joined"),
        ),
    )


def _until_stored(up: Up) -> int:
    """Wait until nothing more is stored; return the rows that are."""
    before, since = -1, time.perf_counter()
    while True:
        rows = up.intake().rows
        if rows != before:
            before, since = rows, time.perf_counter()
        elif time.perf_counter() - since > 3:
            return rows
        time.sleep(0.25)


def _sustained(up: Up, seconds: float, rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Send for some minutes; return rows a second that reached the profiles, and how much memory grew."""
    first = up.intake().rows
    memory: list[int] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(seconds / 40):
            memory.append(anonymous_bytes(up.processes))

    sampler = threading.Thread(target=sample)
    sampler.start()
    started = time.perf_counter()
    sent, _ = post_arrow(up, seconds, seed=20, most_backlog=BACKLOG)
    over.set()
    sampler.join()
    last = first
    while last < first + sent and time.perf_counter() - started < 2 * seconds + 60:
        time.sleep(0.1)
        last = up.intake().rows
    rate = (last - first) / (time.perf_counter() - started)
    quarters = np.array_split(np.array(memory, dtype=np.float64), 4)
    rows.append({"what": "Arrow through to profiles", "rows": last - first, "acknowledged": sent, "a second": rate})
    rows += [
        {"what": "memory of service and worker, MiB", "quarter": place + 1, "mean": float(part.mean() / 2**20)}
        for place, part in enumerate(quarters)
    ]
    return rate, float(quarters[3].mean() / quarters[1].mean())


class _Model:
    """An estimator that costs nothing, so that what is measured is the logging."""

    classes_ = np.array([0, 1])

    def __init__(self) -> None:
        score = np.random.default_rng(0).random(CALL_ROWS)
        self._said = np.stack([1 - score, score], axis=1)

    def predict_proba(self, rows: Any) -> Any:
        del rows
        return self._said


def _caller(address: str, spool: Path, rows: list[dict[str, Any]], where: str) -> float:
    """Return the microseconds a row that a watched call takes longer than a plain one, batches of 100, mean."""
    model = _Model()
    sender = Sender(address, "m", spool=spool, key="")
    watched = Watched(model, sender, parse_spec(SPEC))
    asked = np.random.default_rng(1).normal(size=(CALL_ROWS, len(FEATURES)))
    costs = []
    for _ in range(3_000):
        started = time.perf_counter()
        model.predict_proba(asked)
        plain = time.perf_counter()
        watched.predict_proba(asked)
        costs.append((time.perf_counter() - plain) - (plain - started))
        time.sleep(0.002)  # a service that predicts waits for its next request
    arrived = sender.flush(30)
    sender.close()
    values = np.array(costs) / CALL_ROWS * 1e6
    rows.append(
        {
            "what": f"caller, {where}",
            "us a row, mean": float(values.mean()),
            "median": float(np.median(values)),
            "p99": float(np.quantile(values, 0.99)),
            "dropped": sender.dropped,
            "all arrived": arrived,
        }
    )
    return float(values.mean())
