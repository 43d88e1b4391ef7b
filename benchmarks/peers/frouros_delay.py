"""Frouros' batch detectors, window by window, on the runs of `benchmarks/delay.py`. Arguments: arrays, rate.

Numbers: Kolmogorov-Smirnov and the population stability index; errors, nulls and categories: chi-squared. The tuned
threshold is one on -log p, or on the distance.
"""

from typing import Any

import numpy as np
from delay_tuning import REFERENCE, by_statistic, given, report
from frouros.detectors.data_drift import PSI, ChiSquareTest, KSTest


def statistics(make: Any, read: Any, rows: Any, kind: Any) -> Any:
    """Return the statistic of each watched window."""
    found = np.zeros((len(rows), rows.shape[1] - REFERENCE))
    for place, run in enumerate(rows):
        reference = run[:REFERENCE].ravel().astype(kind)
        detector = make()
        detector.fit(X=reference)
        for number, window in enumerate(run[REFERENCE:]):
            result, _ = detector.compare(X=window.astype(kind))
            found[place, number] = read(result)
    return found


def surprise(result: Any) -> float:
    """Return -log p, infinite p-values of empty tables as 0."""
    return -np.log(max(float(np.nan_to_num(result.p_value, nan=1.0)), 1e-300))


def chi_squared(rows: Any) -> Any:
    """Return -log p of each window; the events of both samples are named as text, as its chi-squared test wants."""
    names = np.array([f"v{code}" for code in range(int(rows.max()) + 2)], dtype=object)
    found = np.zeros((len(rows), rows.shape[1] - REFERENCE))
    for place, run in enumerate(rows.astype(int) + 1):
        detector = ChiSquareTest()
        detector.fit(X=names[run[:REFERENCE].ravel()])
        for number, window in enumerate(run[REFERENCE:]):
            if len(np.unique(window)) + len(np.unique(run[:REFERENCE])) <= 2 and window[0] == run[0, 0]:
                continue  # one value on both sides: nothing to test
            found[place, number] = surprise(detector.compare(X=names[window])[0])
    return found


def main() -> None:
    """Tune and measure, and print one line."""
    arrays, target = given()
    found = {"frouros chi-squared": {}, "frouros KS": {}, "frouros PSI": {}}
    for monitor in ("error", "category", "nulls"):
        null, changed = (chi_squared(arrays[f"{side}_{monitor}"]) for side in ("null", "changed"))
        found["frouros chi-squared"][monitor] = by_statistic(null, changed, target)
    for peer, make, read in (
        ("frouros KS", KSTest, surprise),
        ("frouros PSI", PSI, lambda result: result.distance),
    ):
        sides = (statistics(make, read, arrays[f"{side}_number"], float) for side in ("null", "changed"))
        found[peer]["number"] = by_statistic(*sides, target)
    report(found)


if __name__ == "__main__":
    main()
