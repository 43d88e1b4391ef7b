"""Milliseconds a transaction of the store, a day of a replay each, and how fast each segment layout reads."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.result import Bar, Result
from pitstop.store.home import Home
from pitstop.store.segments import encode_segment

LAYOUTS: dict[str, dict[str, Any]] = {
    "uncompressed, default": {"compression": "none"},
    "zstd, default": {"compression": "zstd"},
    "lz4, default": {"compression": "lz4"},
}


def run(quick: bool, data: Path | None) -> Result:  # noqa: ARG001 - the frame's signature; the rows are drawn here
    """Commit days of 100 rows in a temporary home, then write and read each layout in memory."""
    rng = np.random.default_rng(0)
    days = _days(rng, 60 if quick else 300)
    rows: list[dict[str, Any]] = [{"what": "a day's transaction", **days}]
    for count in (100, 5_000) if quick else (100, 5_000, 100_000):
        rows += _layouts(_rows(rng, count))
    return Result(
        tuple(rows),
        (
            # The fastest twentieth, since the cores may be shared; the bar of issue 2 is for an idle machine.
            Bar("processor milliseconds a transaction, fastest twentieth", days["processor ms"], 15.0),
        ),
    )


def _days(rng: np.random.Generator, count: int) -> dict[str, float]:
    """Return milliseconds of one transaction: two segments, a profile of 60 kB, 30 signals, 5 artifacts, the state."""
    walls, processors = [], []
    signals = [("drift", f"column {i}", 0.1, 0.0, 0.2) for i in range(30)]
    with tempfile.TemporaryDirectory() as folder, Home.open(folder) as home:
        for window in range(count):
            table, blob = _rows(rng, 100), rng.bytes(60_000)
            wall, processor = time.perf_counter(), time.process_time()
            with home.transaction() as tx:
                tx.add_segment("predictions", "m", window, "batch", table)
                tx.add_segment("labels", "m", window, "batch", table)
                tx.put_profile("m", "rows", window, blob, f"profile-{window}")
                tx.put_signals("m", window, signals)
                for number in range(5):
                    tx.put_artifact({"v": 0.1 * number}, "alarm", f"alarm-{window}-{number}", window, [], "m")
                tx.save_state("m", window, {"a": np.arange(1_000.0), "at": window})
            walls.append(time.perf_counter() - wall)
            processors.append(time.process_time() - processor)
    return {
        "processor ms": 1e3 * sorted(processors)[count // 20],
        "median ms": 1e3 * sorted(walls)[count // 2],
        "slowest ms": 1e3 * max(walls),
    }


def _layouts(table: pa.Table) -> list[dict[str, Any]]:
    found = []
    ours: dict[str, Callable[[], bytes]] = {"ours": lambda: encode_segment(table)}
    for name, write in (ours | {name: _writer(table, options) for name, options in LAYOUTS.items()}).items():
        content = write()
        found.append(
            {
                "what": name,
                "rows": table.num_rows,
                "bytes": len(content),
                "write ms": _fastest(write),
                "read ms": _fastest(_reader(content, None)),
                "read 3 ms": _fastest(_reader(content, ["@at", "@score", "number 3"])),
            }
        )
    return found


def _writer(table: pa.Table, options: dict[str, Any]) -> Callable[[], bytes]:
    def write() -> bytes:
        sink = io.BytesIO()
        pq.write_table(table, sink, **options)
        return sink.getvalue()

    return write


def _reader(content: bytes, columns: list[str] | None) -> Callable[[], Any]:
    return lambda: pq.ParquetFile(pa.BufferReader(content)).read(columns=columns, use_threads=False)


def _fastest(do: Callable[[], Any]) -> float:
    """Return milliseconds of the fastest of some runs, at least five and for a fifth of a second."""
    times: list[float] = []
    while len(times) < 5 or sum(times) < 0.2:
        start = time.perf_counter()
        do()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def _rows(rng: np.random.Generator, count: int) -> pa.Table:
    """Return 26 columns: id, instant, score, class, 12 numbers, 10 categories."""
    columns: dict[str, Any] = {
        "@id": pa.array([f"b{value:08d}" for value in rng.integers(0, 10**8, count)]),
        "@at": pa.array(rng.integers(0, 10**15, count)),
        "@score": pa.array(rng.random(count)),
        "@prediction": pa.array(rng.choice(["0", "1"], count)),
    }
    columns |= {f"number {i}": pa.array(rng.integers(0, 50, count).astype(np.float64)) for i in range(12)}
    names = np.array([f"value {i}" for i in range(30)])
    columns |= {f"category {i}": pa.array(rng.choice(names, count)).dictionary_encode() for i in range(10)}
    return pa.table(columns)
