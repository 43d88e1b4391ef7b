"""Evidently: seconds of its drift preset over two whole tables, on the tables of `benchmarks/speed.py`.

Arguments: the reference and the current table (Parquet), the number of runs. It compares one window; by day it would
run once for each.
"""

import json
import sys
import time

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset


def main() -> None:
    """Time the report and print one line."""
    reference_path, current_path, runs = sys.argv[1:]
    reference, current = pd.read_parquet(reference_path), pd.read_parquet(current_path)
    names = [name for name in reference.columns if name.startswith(("number_", "text_"))]
    reference, current = reference[names], current[names]
    seconds = []
    for _ in range(int(runs)):
        start = time.perf_counter()
        Report([DataDriftPreset()]).run(current, reference).dict()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
