"""Whylogs: seconds of profiling the current table and of merging days, on the tables of `benchmarks/speed.py`.

Arguments: the current table (Parquet), the number of runs. Profiles are of the whole table; drift comes after.
"""

import json
import sys
import time

import pandas as pd
import whylogs


def main() -> None:
    """Time profiling and merging and print one line."""
    current_path, runs = sys.argv[1:]
    current = pd.read_parquet(current_path)
    names = [name for name in current.columns if name.startswith(("number_", "text_"))]
    for name in names:
        if name.startswith("text_"):
            current[name] = current[name].astype(str)
    seconds = []
    for _ in range(int(runs)):
        start = time.perf_counter()
        whylogs.log(current[names])
        seconds.append(time.perf_counter() - start)
    daily = [whylogs.log(current[names].iloc[day * 1000 : (day + 1) * 1000]).view() for day in range(30)]
    start = time.perf_counter()
    whole = daily[0]
    for other in daily[1:]:
        whole = whole.merge(other)
    merge = time.perf_counter() - start
    size = len(whole.serialize())
    print(json.dumps({"seconds": seconds, "merge seconds": merge, "bytes": size}))


if __name__ == "__main__":
    main()
