"""Policies that follow the calendar, live losses, a forecast or the inputs, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pitstop.errors import SpecError
from pitstop.strategy.backtest import walk
from pitstop.strategy.base import Costs, History
from pitstop.strategy.live import live_losses, tuned
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.oracle import frontier
from pitstop.strategy.policies import BUILT_IN, needs_candidates
from pitstop.strategy.policies.budgeted import Budgeted, plan_within
from pitstop.strategy.policies.cara_cumulative import CaraCumulative
from pitstop.strategy.policies.cara_threshold import CaraThreshold
from pitstop.strategy.policies.debt import Debt
from pitstop.strategy.policies.drift_triggered import DriftTriggered
from pitstop.strategy.policies.error_cusum import ErrorCusum
from pitstop.strategy.policies.every_rows import EveryRows
from pitstop.strategy.policies.forecast import Forecast, fit_forecast
from pitstop.strategy.policies.forecast_plan import ForecastPlan
from pitstop.strategy.policies.shadow_plan import ShadowPlan, plan_ahead
from pitstop.strategy.staleness import Excess, StalenessCurve
from pitstop.testing.policy_laws import simulated_stream

FLAT = simulated_stream(1, periods=16)
DECAY = simulated_stream(2, decay=0.03, periods=16)
JUMP = simulated_stream(200, jump_at=8, jump=0.3, periods=16)


def exact(losses: np.ndarray, rows: int = 100) -> LossMatrix:
    size = len(losses)
    losses = np.where(np.tri(size, k=-1) > 0, np.nan, losses)
    return LossMatrix(losses, np.full(size, rows), np.where(np.isnan(losses), np.nan, 0.0))


def test_every_so_many_rows_counts_labels_that_arrived() -> None:
    matrix = LossMatrix(FLAT.matrix.losses, np.full(16, 100), FLAT.matrix.variances)
    assert walk(EveryRows(250), matrix, Costs(1.0)).schedule.releases == (3, 6, 9, 12, 15)
    with pytest.raises(SpecError, match="at least 1"):
        EveryRows(0)


def test_a_budget_is_never_overdrawn_and_a_large_one_is_the_shadow_plan() -> None:
    costs = Costs(0.2 * DECAY.fresh)
    for budget in (1, 2, 4):
        releases = walk(Budgeted(budget), DECAY.matrix, costs).schedule.releases
        assert len(releases) == budget
    unbounded = walk(ShadowPlan(), DECAY.matrix, costs).schedule.releases
    assert walk(Budgeted(16), DECAY.matrix, costs).schedule.releases == unbounded
    with pytest.raises(SpecError, match="policy never"):
        Budgeted(0)


def test_one_release_is_spent_near_where_hindsight_would() -> None:
    """Models up to 8 are bad from column 8 on; a single release belongs just after that became known."""
    releases = walk(Budgeted(1), JUMP.matrix, Costs(0.1 * JUMP.fresh)).schedule.releases
    assert releases[0] in {10, 11}
    best = frontier(JUMP.matrix.losses, 3)
    assert list(best) == sorted(best, reverse=True)


def test_the_plan_with_a_budget_by_hand() -> None:
    """As for the shadow plan (g(age) = age, three periods, a release costs 2, age 2), but nothing is left to spend.

    Keep without a budget: 2+3+4 = 9. With one release left: 2+2+B(2,0) = 2+2+1 = 5, or now: 2+B(3,0) = 2+3.
    """
    curve = StalenessCurve(linear=10.0, early=0.0)
    assert plan_within(curve, Excess(), 2, 3, 2.0, 0).keep == 9.0
    one = plan_within(curve, Excess(), 2, 3, 2.0, 1)
    assert (one.keep, one.retrain) == (5.0, 3.0)
    many = plan_within(curve, Excess(), 2, 3, 2.0, 9)
    free = plan_ahead(curve, [(0.0, 0.0, 0.0)], 2, 2.0)
    assert (many.keep, many.retrain) == (free.keep, free.retrain)


@pytest.mark.parametrize(
    "policy", [ErrorCusum(), CaraThreshold(), CaraCumulative(), Debt()], ids=lambda item: item.name
)
def test_live_rules_see_a_jump_and_let_a_calm_stream_be(policy: ErrorCusum) -> None:
    costs = Costs(0.5 * JUMP.fresh)
    assert {9, 10, 11} & set(walk(policy, JUMP.matrix, costs).schedule.releases)
    assert len(walk(policy, FLAT.matrix, Costs(FLAT.fresh)).schedule.releases) <= 1


def test_a_threshold_is_tuned_on_what_was_seen() -> None:
    """Each period of age costs 10 more. With a release at 15 a rise of 20 is the cheapest of these to wait for."""
    size = 12
    age = np.arange(size)[None] - np.arange(size)[:, None]
    matrix = exact(100.0 + 10.0 * age)
    by_cost = {
        threshold: tuned(matrix, [threshold], 15.0, cumulative=False).cost for threshold in (5.0, 15.0, 25.0, 45.0)
    }
    found = tuned(matrix, list(by_cost), 15.0, cumulative=False)
    assert found.threshold == min(by_cost, key=lambda threshold: by_cost[threshold])
    assert found.cost < found.never
    dear = tuned(matrix, list(by_cost), 1e6, cumulative=True)
    assert (dear.threshold, dear.cost) == (float("inf"), dear.never)


def test_live_losses_are_those_of_the_served_model_by_usual_period() -> None:
    matrix = LossMatrix.empty().with_column({0: np.ones(10)}).with_column({0: np.ones(30), 1: np.zeros(30)})
    assert live_losses(History(matrix, 0, 2)) == [20.0, 20.0]
    assert live_losses(History(matrix, 1, 2)) == [0.0]
    assert live_losses(History(matrix, 2, 2)) == []


def test_a_forecast_finds_what_age_costs() -> None:
    """Losses 50 + 4 age are forecast within the pull of the ridge penalty."""
    size = 14
    age = np.arange(size)[None] - np.arange(size)[:, None]
    found = fit_forecast(exact(50.0 + 4.0 * age))
    assert found is not None
    assert found.at(0, 13) == pytest.approx(50 + 4 * 13, rel=0.06)
    assert found.at(13, 13) == pytest.approx(50, rel=0.06)
    assert fit_forecast(LossMatrix.empty()) is None
    # One period ahead a dear release never pays, over the horizon it does.
    steep = exact(50.0 + 4.0 * age)
    costs = Costs(60.0)
    assert walk(Forecast(), steep, costs).schedule.releases == ()
    assert walk(ForecastPlan(), steep, costs).schedule.releases != ()


def test_inputs_that_move_set_off_the_drift_rule_and_nothing_else() -> None:
    inputs = np.zeros((16, 3)) + np.random.default_rng(0).normal(0, 0.01, (16, 3))
    inputs[9:] += 1.0
    releases = walk(DriftTriggered(), FLAT.matrix, Costs(1.0), 4, inputs=inputs).schedule.releases
    assert releases[0] == 10
    assert walk(ShadowPlan(), FLAT.matrix, Costs(1.0), 4, inputs=inputs) == walk(
        ShadowPlan(), FLAT.matrix, Costs(1.0), 4
    )
    history = History(FLAT.matrix, 3, 8)
    assert "Nobody counts" in DriftTriggered().decide(history, Costs(1.0), 8).reason
    assert "too few" in DriftTriggered().decide(replace(history, served=2, now=3, inputs=inputs), Costs(1.0), 3).reason


def test_who_needs_candidates_is_said_of_every_policy() -> None:
    without = {policy.name for policy in BUILT_IN if not needs_candidates(policy)}
    assert {"never", "debt", "every_period", "every_1000_rows", "drift_triggered"} <= without
    assert not {"shadow_plan", "vote", "rolling_period", "cara_threshold", "forecast", "at_most_3_retrains"} & without
