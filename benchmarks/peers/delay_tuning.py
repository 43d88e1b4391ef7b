"""Tuning that all peers of `benchmarks/delay.py` share: the most sensitive setting that keeps the false-alarm rate.

Arrays are float64[runs, windows, rows]; the first `REFERENCE` windows are the reference. A first alarm is the number
of a watched window, from 1; `WATCHED` + 1 stands for none.
"""

import json
import sys
from typing import Any

import numpy as np

REFERENCE, WATCHED = 60, 60


def by_statistic(null: Any, changed: Any, target: Any) -> Any:
    """Tune a threshold of statistics float64[runs, windows]; return (threshold, null rate, first alarms)."""
    highest = np.sort(np.nanmax(null, axis=1))[::-1]
    allowed = int(target * len(highest))
    threshold = float(highest[allowed])
    return threshold, _rate(_first(null, threshold)), _first(changed, threshold)


def by_setting(run: Any, settings: Any, null: Any, changed: Any, target: Any) -> Any:
    """Tune a setting among `settings`, strict to loose, by bisection; `run(setting, rows)` gives first alarms."""
    low, high, best = 0, len(settings) - 1, 0
    rates = {}
    while low <= high:
        middle = (low + high) // 2
        rates[middle] = _rate(run(settings[middle], null))
        if rates[middle] <= target:
            best, low = middle, middle + 1
        else:
            high = middle - 1
    if best not in rates:
        rates[best] = _rate(run(settings[best], null))
    return settings[best], rates[best], run(settings[best], changed)


def _first(statistics: Any, threshold: Any) -> Any:
    beyond = np.nan_to_num(statistics, nan=-np.inf) > threshold
    return np.where(beyond.any(axis=1), beyond.argmax(axis=1) + 1, WATCHED + 1)


def _rate(first: Any) -> float:
    return float(np.mean(np.asarray(first) <= WATCHED))


def report(found: Any) -> None:
    """Print what was found: peer and monitor to setting, rate and first alarms."""
    plain = {
        peer: {
            monitor: {"setting": str(setting), "null rate": rate, "first": np.asarray(first).astype(int).tolist()}
            for monitor, (setting, rate, first) in monitors.items()
        }
        for peer, monitors in found.items()
    }
    print(json.dumps(plain))


def given() -> Any:
    """Return the arrays and the target that the command line names."""
    return np.load(sys.argv[1]), float(sys.argv[2])
