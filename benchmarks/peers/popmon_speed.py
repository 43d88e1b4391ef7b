"""Popmon: seconds of its stability metrics by day, on the tables of `benchmarks/speed.py`.

Arguments: the table (Parquet), the number of runs. It is compared with itself, so no reference is read.
"""

import json
import sys
import time

import pandas as pd
import popmon


def main() -> None:
    """Time the metrics and print one line."""
    current_path, runs = sys.argv[1:]
    current = pd.read_parquet(current_path)
    names = [name for name in current.columns if name.startswith(("number_", "text_"))]
    current["at"] = current["at"].dt.tz_localize(None)
    for name in names:
        if name.startswith("text_"):
            current[name] = current[name].astype(object)
    seconds = []
    for _ in range(int(runs)):
        start = time.perf_counter()
        popmon.df_stability_metrics(
            current[["at", *names]],
            time_axis="at",
            time_width="1d",
            time_offset="1970-01-01",
            reference_type="self",
        )
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
