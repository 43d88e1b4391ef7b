"""Asking for labels: only where a decision hangs on chance, labels are overdue, and they are worth what they cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.strategy.asking import FIRST_LABELS, Labels, asking, value_of_labels, wanted
from pitstop.strategy.base import Decision

DOUBT = Decision(
    id="decision-1",
    at=0,
    action="keep",
    recipe=None,
    reason="A stop does not pay yet.",
    expected_gain=90.0,
    cost=100.0,
    policy="shadow_plan",
    interval=(-10.0, 190.0),
)
FEW = Labels(seen=100, overdue=5_000, price=0.01, periods=4)


@given(st.floats(-1e4, 1e4), st.floats(0.0, 1e4), st.floats(0.0, 1e4), st.integers(1, 10_000), st.integers(0, 10_000))
def test_labels_are_worth_something_more_of_them_more_and_never_more_than_to_know(
    gain: float, error: float, price: float, seen: int, more: int
) -> None:
    worth = value_of_labels(gain, error, price, seen, more)
    assert 0.0 <= worth <= value_of_labels(gain, error, price, seen, 2 * more + 1) + 1e-9
    # To know the gain exactly is worth half its mean absolute error at most, which is where gain and price are equal.
    assert worth <= error / np.sqrt(2 * np.pi) + 1e-9


def test_the_worth_is_what_a_better_decision_earns_on_average() -> None:
    """Drawn: the true gain, what n labels show of it, what m more show; the better of keeping and stopping, twice."""
    draw = np.random.default_rng(0)
    gain, error, price, seen, more = 90.0, 60.0, 100.0, 100, 300
    # After n labels the true gain is normal around `gain`; m more labels have the error that n of them had, scaled.
    truth = gain + error * draw.normal(size=400_000)
    shown = truth + error * np.sqrt(seen / more) * draw.normal(size=truth.size)
    weight = more / (seen + more)
    believed = gain + weight * (shown - gain)
    earned = np.where(believed > price, truth - price, 0.0).mean() - max(0.0, gain - price)
    assert value_of_labels(gain, error, price, seen, more) == pytest.approx(earned, abs=0.3)


def test_a_decision_in_doubt_asks_for_as_many_labels_as_pay() -> None:
    asked = asking(DOUBT, FEW)
    assert (asked.action, asked.recipe, asked.cost) == ("ask_for_labels", None, 100.0)
    assert asked.id != DOUBT.id
    assert "pitstop label-plan --n" in asked.reason
    assert asked.reason.endswith(DOUBT.reason)
    cheap, dear = wanted(DOUBT, replace(FEW, price=0.001)), wanted(DOUBT, replace(FEW, price=0.05))
    assert cheap is not None
    assert dear is not None
    assert dear.count < cheap.count <= FEW.overdue
    assert dear.worth > dear.cost


@pytest.mark.parametrize(
    ("decision", "labels"),
    [
        (replace(DOUBT, action="retrain", recipe="all"), FEW),
        (replace(DOUBT, interval=(10.0, 90.0)), FEW),
        (replace(DOUBT, interval=None), FEW),
        (DOUBT, replace(FEW, overdue=3)),
        (DOUBT, replace(FEW, price=5.0)),
        (DOUBT, replace(FEW, seen=0, periods=1)),
    ],
    ids=["stands", "clear", "says nothing of chance", "none is overdue", "dear labels", "just released"],
)
def test_other_decisions_stand(decision: Decision, labels: Labels) -> None:
    assert asking(decision, labels) == decision


def test_without_any_label_since_the_release_a_first_plan_is_asked_for() -> None:
    none = Labels(seen=0, overdue=900, price=0.0, periods=3)
    asked = asking(replace(DOUBT, interval=None), none)
    assert asked.action == "ask_for_labels"
    assert f"--n {FIRST_LABELS}" in asked.reason
