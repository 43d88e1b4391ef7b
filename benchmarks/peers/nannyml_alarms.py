"""NannyML: alerts of its univariate drift by day, defaults, on the replays of `benchmarks/alarms.py`.

Arguments: folders with `reference.parquet` and `watched.parquet`. Prints the number of (column, day) alerts and of
days with an alert of each.
The model's error is a column like any other.
"""

import json
import sys

import nannyml
import pandas as pd


def main() -> None:
    """Count the alerts and print one line."""
    found = {}
    for folder in sys.argv[1:]:
        reference, watched = (pd.read_parquet(f"{folder}/{part}.parquet") for part in ("reference", "watched"))
        names = [name for name in reference.columns if name != "@at"]
        usable = [
            name for name in names if (reference[name] != reference[name].iloc[0]).any() and watched[name].notna().any()
        ]
        try:
            fitted = nannyml.UnivariateDriftCalculator(
                column_names=usable, timestamp_column_name="@at", chunk_period="D"
            ).fit(reference)
            frame = fitted.calculate(watched).filter(period="analysis").to_df()
            alerts = frame.loc[:, frame.columns.get_level_values(-1) == "alert"].to_numpy().astype(bool)
            found[folder] = [int(alerts.sum()), int(alerts.any(axis=1).sum())]
        except Exception as error:  # noqa: BLE001 - what a peer cannot do on a set is told, and the others go on
            print(f"{folder}: {type(error).__name__}: {error}", file=sys.stderr)
            found[folder] = None
    print(json.dumps(found))


if __name__ == "__main__":
    main()
