"""Estimates before labels: near the truth while the relation holds, and withdrawn when labels contradict them."""

from __future__ import annotations

from functools import cache, reduce
from typing import Any

import numpy as np
import pytest

from pitstop.monitors.base import WindowCounts
from pitstop.monitors.estimated import MIN_LABELLED, believable, estimates
from pitstop.profile import OutcomeProfile, Profile
from pitstop.records.spec import Task
from pitstop.testing import monitor_laws as laws


@cache
def ward(task: Task) -> laws.Ward:
    return laws.ward(task)


def summed(windows: list[WindowCounts]) -> tuple[Profile, OutcomeProfile]:
    return (
        reduce(Profile.merged, (window.profile for window in windows)),
        reduce(OutcomeProfile.merged, (window.outcomes for window in windows)),
    )


def healthy(task: Task, seed: int, windows: int = 20) -> list[WindowCounts]:
    random = np.random.default_rng(seed)
    return [ward(task).counted(100 + day, laws.sample(task, random)) for day in range(windows)]


def realised(task: Task, outcomes: OutcomeProfile) -> dict[str, float]:
    del task
    return dict(outcomes.outcomes.metrics())


@pytest.mark.parametrize(
    ("task", "metric"), [("binary", "accuracy"), ("multiclass", "accuracy"), ("regression", "mae")]
)
def test_without_drift_the_interval_holds_the_truth(task: Task, metric: str) -> None:
    inside = 0
    for seed in range(20):
        profile, outcomes = summed(healthy(task, seed))
        found = {item.metric: item for item in estimates(ward(task).baseline, profile)}[metric]
        assert found.low <= found.value <= found.high
        inside += found.low <= realised(task, outcomes)[metric] <= found.high
    # 95% of 20, less what chance and a finite reference take.
    assert inside >= 16


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_labels_that_agree_leave_it_standing(task: Task) -> None:
    held = sum(believable(ward(task).baseline, summed(healthy(task, seed))[1]) is None for seed in range(20))
    assert held >= 19


def spoiled(task: Task, seed: int, rows: int) -> OutcomeProfile:
    """Return outcomes of rows whose labels are shuffled: the relation is gone, the scores are as ever."""
    random = np.random.default_rng(seed)
    part: Any = laws.sample(task, random, rows)
    mixed = laws.Sample(part.table, part.scores, part.decided, random.permutation(part.labels))
    return ward(task).counted(100, mixed).outcomes


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_labels_that_contradict_withdraw_it_and_say_why(task: Task) -> None:
    why = believable(ward(task).baseline, spoiled(task, 1, 600))
    assert why is not None
    assert "600" in why


def test_too_few_labels_contradict_nothing() -> None:
    assert believable(ward("binary").baseline, spoiled("binary", 1, MIN_LABELLED - 1)) is None
    assert believable(ward("regression").baseline, spoiled("regression", 1, 600)) is None


def test_no_rows_have_no_estimate() -> None:
    for task in ("binary", "multiclass", "regression"):
        assert estimates(ward(task).baseline, Profile.empty(ward(task).baseline.layout)) == ()
