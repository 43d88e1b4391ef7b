"""One measured process of the scale benchmark: a pass over a file, or a comparison. Prints one line of JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks import scale_tables
from pitstop.checks.comparison import check
from pitstop.checks.excerpts import excerpt_of
from pitstop.engines.local import LocalEngine


def profile(path: Path, threads: int) -> dict[str, float]:
    """Return seconds of a whole pass (by the clock and of processor), the values counted and the windows."""
    excerpt = excerpt_of(path)
    spec = scale_tables.model(excerpt.names)
    bins = scale_tables.layout(path, spec)
    clock, processor = time.perf_counter(), time.process_time()
    rows = windows = 0
    for _, found in LocalEngine(threads=threads).profiles(path, spec, bins):
        rows, windows, last = rows + found.rows, windows + 1, found
    if rows != excerpt.rows:
        msg = f"counted {rows} rows of {excerpt.rows}"
        raise RuntimeError(msg)
    figures = {"seconds": time.perf_counter() - clock, "processor": time.process_time() - processor}
    return figures | {"values": float(rows * len(excerpt.names)), "windows": windows, "bytes": len(last.pack())}


def compare(reference: Path, current: Path, threads: int) -> dict[str, float]:
    """Return seconds of `check` on two files."""
    clock, processor = time.perf_counter(), time.process_time()
    sides = [excerpt_of(path, threads=threads) for path in (reference, current)]
    found = check(*sides)
    return {
        "seconds": time.perf_counter() - clock,
        "processor": time.process_time() - processor,
        "values": float(sum(side.rows * len(side.names) for side in sides)),
        "findings": len(found),
    }


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    paths = arguments.paths
    found = profile(paths[0], arguments.threads) if len(paths) == 1 else compare(paths[0], paths[1], arguments.threads)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
