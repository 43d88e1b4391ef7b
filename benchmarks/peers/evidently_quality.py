"""Evidently: which tests of its summary and drift presets fail on partitions, on the files of `benchmarks/quality.py`.

Argument: a folder of trials, each with reference.parquet, held0.parquet, ... and partition.parquet. The tests are
those that Evidently makes of the reference by itself. Printed is for each trial the number of failed tests of the
partition and of each held partition, which is known to be good.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset, DataSummaryPreset


def failures(current: pd.DataFrame, reference: pd.DataFrame) -> dict[str, object]:
    """Return how many tests fail; a table that Evidently cannot read counts as all failed."""
    report = Report([DataSummaryPreset(), DataDriftPreset()], include_tests=True)
    try:
        found = report.run(current, reference).dict()["tests"]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is how the peer takes this table
        return {"failed": None, "error": f"{type(error).__name__}: {error}"[:200]}
    return {"failed": sum(str(test["status"]).endswith("FAIL") for test in found), "tests": len(found)}


def main() -> None:
    """Run every trial and print one line."""
    found = {}
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        reference = pd.read_parquet(folder / "reference.parquet")
        held = [failures(pd.read_parquet(path), reference) for path in sorted(folder.glob("held*.parquet"))]
        partition = failures(pd.read_parquet(folder / "partition.parquet"), reference)
        found[folder.name] = {"partition": partition, "held": held}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
