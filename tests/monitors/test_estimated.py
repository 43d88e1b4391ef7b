"""Estimates before labels: near the truth while the relation holds, and withdrawn when labels contradict them."""

from __future__ import annotations

from functools import cache, reduce

import numpy as np
import pytest

from pitstop.baseline.baseline import cell_codes
from pitstop.baseline.expectation import Said
from pitstop.monitors.base import WindowCounts
from pitstop.monitors.estimated import Estimate, estimates
from pitstop.monitors.track_record import Miss
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


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_rows_at_hand_tell_every_metric_and_their_intervals_hold_the_truth(task: Task) -> None:
    baseline, inside, metrics = ward(task).baseline, 0, 0
    for seed in range(10):
        random = np.random.default_rng(50 + seed)
        sample = laws.sample(task, random, 1500)
        window = ward(task).counted(100, sample)
        codes = cell_codes(baseline.layout, sample.table, sample.scores, sample.decided)
        truth = realised(task, window.outcomes)
        for item in estimates(baseline, window.profile, Said(codes, sample.scores, sample.decided)):
            metrics += 1
            inside += item.low <= truth[item.metric] <= item.high
    assert metrics == 10 * {"binary": 9, "multiclass": 3, "regression": 4}[task]
    # 95%, less what chance and a finite reference take.
    assert inside >= 0.85 * metrics


def of_period(period: int, misses: list[float], model: str) -> dict[str, Estimate]:
    profile, _ = summed(healthy("binary", 3))
    record = tuple(Miss("accuracy", miss, 1e-4, place, model) for place, miss in enumerate(misses))
    return {item.metric: item for item in estimates(ward("binary").baseline, profile, misses=record, period=period)}


def test_an_estimate_whose_predecessors_were_far_off_now_here_now_there_is_withdrawn_and_says_why() -> None:
    found = of_period(4, [-0.3, 0.3, -0.3, 0.3], ward("binary").baseline.id)
    assert found["accuracy"].withdrawn is not None
    assert "accuracy came out 0.3 away from the last 4 estimates" in found["accuracy"].withdrawn
    assert found["roc_auc"].withdrawn is None


def test_what_estimates_of_the_same_baseline_missed_by_is_taken_off_the_next_and_what_others_did_is_not() -> None:
    own, plain = ward("binary").baseline.id, of_period(6, [], "")["accuracy"]
    found, others = (of_period(6, [-0.2] * 6, model)["accuracy"] for model in (own, "another"))
    assert (plain.correction, plain.model) == (0.0, own)
    assert found.correction == pytest.approx(-0.2, abs=0.02)
    assert found.value - found.correction == pytest.approx(plain.value)
    assert found.low < found.value < found.high
    assert others == plain


def test_a_correction_does_not_leave_the_range_of_the_metric() -> None:
    found = of_period(6, [0.5] * 6, ward("binary").baseline.id)["accuracy"]
    assert found.value == found.high == 1.0
    assert found.value - found.correction == pytest.approx(of_period(6, [], "")["accuracy"].value)


def test_no_rows_have_no_estimate() -> None:
    for task in ("binary", "multiclass", "regression"):
        assert estimates(ward(task).baseline, Profile.empty(ward(task).baseline.layout)) == ()
