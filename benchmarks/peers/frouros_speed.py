"""Frouros: seconds of Kolmogorov-Smirnov and chi-squared tests by day, on the tables of `benchmarks/speed.py`.

Arguments: the reference and the current table (Parquet), the number of runs. The fit is not timed.
"""

import json
import sys
import time

import pandas as pd
from frouros.detectors.data_drift import ChiSquareTest, KSTest


def main() -> None:
    """Time the tests and print one line."""
    reference_path, current_path, runs = sys.argv[1:]
    reference, current = pd.read_parquet(reference_path), pd.read_parquet(current_path)
    names = [name for name in reference.columns if name.startswith(("number_", "text_"))]
    detectors = {}
    for name in names:
        detectors[name] = KSTest() if name.startswith("number_") else ChiSquareTest()
        detectors[name].fit(X=reference[name].astype(object if name.startswith("text_") else float).to_numpy())
    days = current["at"].dt.floor("D")
    seconds = []
    for _ in range(int(runs)):
        start = time.perf_counter()
        for _, rows in current.groupby(days):
            for name in names:
                values = rows[name].astype(object if name.startswith("text_") else float).to_numpy()
                detectors[name].compare(X=values)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
