"""The part of the scale benchmark that runs beside Spark: equality on three shapes, and one worker against two."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import scale_tables
from pitstop.checks.excerpts import excerpt_of
from pitstop.engines.local import LocalEngine
from pitstop.engines.spark import SparkEngine


def session(workers: int) -> Any:
    """Return a session on a cluster of worker processes on this machine."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - only in Spark's environment

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.files.maxPartitionBytes": str(16 << 20),
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master(f"local-cluster[{workers},1,1024]").appName("pitstop-benchmark")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def main() -> int:
    """Measure; the last line is JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shapes", nargs="+", type=Path, help="files to compare on")
    parser.add_argument("--timed", type=Path, required=True, help="the file that is timed")
    arguments = parser.parse_args()
    found: dict[str, Any] = {"shapes": {}, "seconds": {}}
    for workers in (2, 1):
        spark = session(workers)
        engine = SparkEngine(session=spark)
        # The first pass starts the workers' interpreters.
        for path in arguments.shapes if workers == 2 else arguments.shapes[:1]:
            spec = scale_tables.model(excerpt_of(path).names)
            bins = scale_tables.layout(path, spec)
            profiles = dict(engine.profiles(path, spec, bins))
            if workers == 2:
                local = dict(LocalEngine().profiles(path, spec, bins))
                found["shapes"][path.stem] = sum(scale_tables.differing(local, profiles))
        spec = scale_tables.model(excerpt_of(arguments.timed).names)
        bins = scale_tables.layout(arguments.timed, spec)
        times = []
        for _ in range(2):
            start = time.perf_counter()
            list(engine.profiles(arguments.timed, spec, bins))
            times.append(time.perf_counter() - start)
        found["seconds"][str(workers)] = min(times)
        spark.stop()
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
