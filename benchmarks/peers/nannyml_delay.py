"""NannyML's chunks on the runs of `benchmarks/delay.py`: thresholds of mean +- k standard deviations, k tuned.

Arguments: arrays, rate. Every run is a column of one frame, a window is a chunk. Errors and nulls are averages of a
chunk (`SummaryStatsAvgCalculator`, as its realised performance is); numbers and categories its default distance and
its test. Its thresholds come with k = 3; the statistic is how many standard deviations a chunk lies beyond the mean.
"""

from typing import Any

import nannyml
import numpy as np
import pandas as pd
from delay_tuning import REFERENCE, by_statistic, given, report

COLUMNS = 84


def deviations(rows: Any, monitor: Any, method: Any) -> Any:
    """Return the deviation of each watched chunk, in standard deviations of the reference's chunks."""
    parts = [_some(rows[first : first + COLUMNS], monitor, method) for first in range(0, len(rows), COLUMNS)]
    return np.concatenate(parts)


def _some(rows: Any, monitor: Any, method: Any) -> Any:
    size = rows.shape[2]
    names = [f"run{place}" for place in range(len(rows))]
    flat = rows.reshape(len(rows), -1).T
    frame = pd.DataFrame(flat, columns=names)
    if monitor == "category":
        frame = frame.astype(int).astype(str).astype("category")
    reference, watched = frame[: REFERENCE * size], frame[REFERENCE * size :].reset_index(drop=True)
    if method == "average":
        fitted = nannyml.SummaryStatsAvgCalculator(column_names=names, chunk_size=size).fit(reference)
    else:
        fitted = nannyml.UnivariateDriftCalculator(
            column_names=names,
            chunk_size=size,
            **{("categorical" if monitor == "category" else "continuous") + "_methods": [method]},
        ).fit(reference)
    result = fitted.calculate(watched).to_df()
    period = result["chunk"]["period"] if method == "average" else result["chunk"]["chunk"]["period"]
    chunks = np.asarray(period == "analysis").ravel()
    found = np.zeros((len(rows), int(chunks.sum())))
    for place, name in enumerate(names):
        own = result[name] if method == "average" else result[name][method]
        values = np.asarray(own["value"], dtype=float)
        before, now = values[~chunks], values[chunks]
        found[place] = (now - before.mean()) / max(before.std(), 1e-9)
    # A rise of errors and nulls counts; distances cannot fall below none.
    return found


def main() -> None:
    """Tune and measure, and print one line."""
    arrays, target = given()
    found = {"NannyML average": {}, "NannyML Jensen-Shannon": {}, "NannyML KS": {}, "NannyML chi-squared": {}}
    for peer, monitor, method in (
        ("NannyML average", "error", "average"),
        ("NannyML average", "nulls", "average"),
        ("NannyML Jensen-Shannon", "number", "jensen_shannon"),
        ("NannyML KS", "number", "kolmogorov_smirnov"),
        ("NannyML Jensen-Shannon", "category", "jensen_shannon"),
        ("NannyML chi-squared", "category", "chi2"),
    ):
        null, changed = (deviations(arrays[f"{side}_{monitor}"], monitor, method) for side in ("null", "changed"))
        found[peer][monitor] = by_statistic(null, changed, target)
    report(found)


if __name__ == "__main__":
    main()
