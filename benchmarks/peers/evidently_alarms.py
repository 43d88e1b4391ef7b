"""Evidently: columns that its drift preset calls drifted, day by day, on the replays of `benchmarks/alarms.py`.

Arguments: folders with `reference.parquet` and `watched.parquet`. Prints the number of (column, day) pairs and of
days with one of each.
"""

import json
import sys

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset


def drifted(result: dict) -> int:
    """Return how many columns of a report are drifted by the preset's own count."""
    for metric in result["metrics"]:
        if str(metric.get("metric_name", metric.get("metric_id", ""))).startswith("DriftedColumnsCount"):
            return int(metric["value"]["count"])
    message = f"no count of drifted columns in {[metric.get('metric_name') for metric in result['metrics']]}"
    raise ValueError(message)


def main() -> None:
    """Count the drifted columns and print one line."""
    found = {}
    for folder in sys.argv[1:]:
        reference, watched = (pd.read_parquet(f"{folder}/{part}.parquet") for part in ("reference", "watched"))
        names = [
            name for name in reference.columns if name != "@at" and (reference[name] != reference[name].iloc[0]).any()
        ]
        total, days = 0, 0
        try:
            for _, day in watched.groupby("@at"):
                usable = [name for name in names if day[name].notna().any()]
                columns = drifted(Report([DataDriftPreset()]).run(day[usable], reference[usable]).dict())
                total, days = total + columns, days + (columns > 0)
            found[folder] = [total, days]
        except Exception as error:  # noqa: BLE001 - what a peer cannot do on a set is told, and the others go on
            print(f"{folder}: {type(error).__name__}: {error}", file=sys.stderr)
            found[folder] = None
    print(json.dumps(found))


if __name__ == "__main__":
    main()
