"""River's detectors on the runs of `benchmarks/delay.py`. Arguments: the arrays (npz), the false-alarm rate.

Rows are fed one by one, reference first; errors, nulls and the commonest category as 0 or 1, numbers in standard
deviations of the reference. KSWIN takes 0.2 ms a value, so it is fed the mean of each window. HDDM needs values within
[0, 1]: numbers go to it clipped to three standard deviations.
"""

import math
from functools import partial
from typing import Any

import numpy as np
from delay_tuning import REFERENCE, WATCHED, by_setting, by_statistic, given, report
from river import drift

ADWIN = [10.0**-power for power in np.arange(12, 0, -0.5)] + [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
HDDM = [10.0**-power for power in np.arange(14, 0.5, -0.5)] + [0.2, 0.4, 0.6, 0.8]


def fed(monitor: Any, rows: Any) -> Any:
    """Return the values of each run in order, float64[runs, windows, rows]."""
    reference = rows[:, :REFERENCE].reshape(len(rows), -1)
    if monitor == "number":
        mean, spread = reference.mean(axis=1), reference.std(axis=1)
        return (rows - mean[:, None, None]) / np.maximum(spread, 1e-9)[:, None, None]
    if monitor == "category":
        common = np.array([np.bincount(run.astype(int) + 1).argmax() - 1 for run in reference])
        return (rows == common[:, None, None]).astype(float)
    return rows


def streamed(make: Any, setting: Any, rows: Any) -> Any:
    """Return the first watched window in which a detector alarms."""
    found = []
    for run in rows:
        detector, first = make(setting), WATCHED + 1
        for value in run[:REFERENCE].ravel().tolist():
            detector.update(value)
        for place, window in enumerate(run[REFERENCE:].tolist()):
            for value in window:
                detector.update(value)
                if detector.drift_detected:
                    first = place + 1
                    break
            if first <= WATCHED:
                break
        found.append(first)
    return np.array(found)


def page_hinkley(rows: Any) -> Any:
    """Return its statistic at the end of each watched window: a threshold that is never reached lets it run on."""
    found = np.zeros((len(rows), WATCHED))
    for place, run in enumerate(rows):
        detector = drift.PageHinkley(threshold=math.inf)
        for number, window in enumerate(run.tolist()):
            for value in window:
                detector.update(value)
            if number >= REFERENCE:
                up = detector._sum_increase - detector._min_increase  # noqa: SLF001 - it is shown nowhere else
                down = detector._max_decrease - detector._sum_decrease  # noqa: SLF001 - as above
                found[place, number - REFERENCE] = max(up, down)
    return found


def kswin(rows: Any) -> Any:
    """Return -log p of its test at each watched window; the alarm wants a distance above .1 as well."""
    found = np.zeros((len(rows), WATCHED))
    for place, run in enumerate(rows.mean(axis=2)):
        detector = drift.KSWIN(alpha=1e-300, window_size=REFERENCE, stat_size=10, seed=0)
        for number, value in enumerate(run.tolist()):
            detector.update(value)
            if number >= REFERENCE:
                found[place, number - REFERENCE] = -math.log(max(detector.p_value, 1e-300))
    return found


def main() -> None:
    """Tune and measure, and print one line."""
    arrays, target = given()
    found = {"river ADWIN": {}, "river Page-Hinkley": {}, "river KSWIN": {}, "river HDDM_A": {}, "river HDDM_W": {}}
    for monitor in ("error", "number", "category", "nulls"):
        null, changed = (fed(monitor, arrays[f"{side}_{monitor}"]) for side in ("null", "changed"))
        adwin = partial(streamed, lambda delta: drift.ADWIN(delta=delta))
        found["river ADWIN"][monitor] = by_setting(adwin, ADWIN, null, changed, target)
        found["river Page-Hinkley"][monitor] = by_statistic(page_hinkley(null), page_hinkley(changed), target)
        found["river KSWIN"][monitor] = by_statistic(kswin(null), kswin(changed), target)
        if monitor == "number":
            null, changed = (np.clip((values + 3) / 6, 0, 1) for values in (null, changed))
        sides = monitor in ("number", "category")
        averages = partial(
            streamed, lambda level, sides=sides: drift.binary.HDDMA(drift_confidence=level, two_sided_test=sides)
        )
        weights = partial(
            streamed, lambda level, sides=sides: drift.binary.HDDMW(drift_confidence=level, two_sided_test=sides)
        )
        found["river HDDM_A"][monitor] = by_setting(averages, HDDM, null, changed, target)
        found["river HDDM_W"][monitor] = by_setting(weights, HDDM, null, changed, target)
    report(found)


if __name__ == "__main__":
    main()
