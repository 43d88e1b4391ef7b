"""The bars of `alarms` and `delay` follow from their rows, and what did not run keeps no promise."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks are no part of the package
sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))
alarms = importlib.import_module("benchmarks.alarms")
delay = importlib.import_module("benchmarks.delay")
tuning = importlib.import_module("delay_tuning")


def quiet(value: float) -> list[dict[str, Any]]:
    return [
        {"what": "no drift", "set": name, "shuffled": how, "new": name in alarms.NEW, "pages a month": value}
        for name in (*alarms.SETS, *alarms.NEW)
        for how in ("days", "rows")
    ]


def held(bars: Any) -> dict[str, bool]:
    return {bar.name: bar.holds for bar in bars}


def test_one_set_above_the_promise_breaks_its_bar_and_a_set_that_is_missing_does_too() -> None:
    rows = quiet(0.9)
    assert held(alarms.bars(rows))["alarms.1a"]
    assert not held(alarms.bars([*rows[1:], rows[0] | {"pages a month": 1.1}]))["alarms.1a"]
    assert not held(alarms.bars(rows[2:]))["alarms.1a"]


def test_shares_are_over_all_sets_and_sets_never_used_before_stand_apart() -> None:
    found = [
        {"what": "error + 5 points", "new": new, "found": count, "of": 10} for new, count in ((False, 9), (True, 0))
    ]
    bars = held(alarms.bars([*quiet(0.1), *found]))
    assert bars["alarms.1c"]
    assert not bars["alarms.1d"]  # nothing was contaminated, so nothing was found


def cell(monitor: str, change: str, **medians: float) -> list[dict[str, Any]]:
    names = {"ours": "ours", "river": "river ADWIN", "frouros": "frouros KS", "nannyml": "NannyML KS"}
    return [
        {"what": "delay", "set": "a", "shuffled": "days", "monitor": monitor, "change": change, "runs": 24,
         "detector": names[name], "median windows": value, "found": 0.9 if value <= delay.WATCHED else 0.1}
        for name, value in medians.items()
    ]  # fmt: skip


def test_a_delay_within_two_windows_of_the_best_peer_is_near_and_a_peer_at_its_chance_rate_is_none() -> None:
    rows = [
        *cell("error", "a", ours=5, river=3, frouros=30, nannyml=61),
        *cell("error", "b", ours=9, river=3, frouros=30, nannyml=61),
        *cell("nulls", "a", ours=61, river=61, frouros=61, nannyml=20),
        *cell("nulls", "b", ours=61, river=61, frouros=61, nannyml=61),
    ]
    values = {bar.name: bar.value for bar in delay.bars(rows)}
    assert values["delay.2a"] == pytest.approx(0.5)
    assert values["delay.2b"] == pytest.approx(0.0)
    assert values["delay.2c"] == pytest.approx(1 / 3)  # nobody finds the last cell, so it does not count
    without = [row for row in rows if row["detector"] != "river ADWIN"]
    assert not any(held(delay.bars(without)).values())


def test_tuning_takes_the_most_sensitive_setting_that_keeps_the_rate() -> None:
    null = np.random.default_rng(0).random((200, tuning.WATCHED))
    threshold, rate, first = tuning.by_statistic(null, null + 1, 0.1)
    assert rate == pytest.approx(0.1)
    assert 0.99 < threshold < 1
    assert set(first.tolist()) == {1}

    def run(setting: float, rows: Any) -> Any:
        return np.where(rows.max(axis=1) > setting, 1, tuning.WATCHED + 1)

    settings = [1.0, 0.9999, 0.9995, 0.999, 0.99]
    setting, rate, _ = tuning.by_setting(run, settings, null, null, 0.1)
    assert rate <= 0.1
    assert np.mean(run(settings[settings.index(setting) + 1], null) == 1) > 0.1
