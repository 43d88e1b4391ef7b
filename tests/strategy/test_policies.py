from __future__ import annotations

import numpy as np
import pytest

from pitstop.errors import SpecError, StrategyError, UnknownNameError
from pitstop.records.spec import PolicySection
from pitstop.strategy.backtest import walk
from pitstop.strategy.base import Costs, History, Policy
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.oracle import oracle
from pitstop.strategy.policies import BUILT_IN, POLICIES
from pitstop.strategy.policies.cadence import Cadence
from pitstop.strategy.policies.debt import Debt
from pitstop.strategy.policies.rolling_period import RollingPeriod, replayed_cost
from pitstop.strategy.policies.shadow_debt import ShadowDebt
from pitstop.strategy.policies.shadow_plan import Plan, ShadowPlan, departure_of, plan_ahead
from pitstop.strategy.policies.vote import Vote
from pitstop.strategy.staleness import Excess, StalenessCurve
from pitstop.testing.policy_laws import Law, Stream, policy_laws, simulated_stream

STREAMS = {
    "stationary": simulated_stream(1, periods=16),
    "decaying": simulated_stream(2, decay=0.02, periods=16),
}
LEARNERS: tuple[Policy, ...] = (ShadowPlan(), Vote(), ShadowDebt())


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
@pytest.mark.parametrize("law", policy_laws(), ids=lambda law: law.__name__)
@pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: policy.name)
def test_every_policy_obeys_every_law(policy: Policy, law: Law, stream: Stream) -> None:
    law(policy, stream)


def test_the_registry_finds_the_default_and_names_what_it_knows() -> None:
    assert POLICIES.get(PolicySection().name).name == "shadow_plan"
    assert len(set(POLICIES.names())) == len(POLICIES.names())
    with pytest.raises(UnknownNameError, match="'debt'"):
        POLICIES.get("dept")


def excess(policy: Policy, stream: Stream, share: float) -> float:
    """Return the cost above the hindsight optimum, as a share, when a release costs `share` of a fresh period."""
    price = share * stream.fresh
    reached = walk(policy, stream.matrix, Costs(price), horizon_known=False).schedule.cost
    return reached / oracle(stream.matrix.losses, price).cost - 1.0


@pytest.mark.parametrize("policy", [*LEARNERS, RollingPeriod()], ids=lambda policy: policy.name)
def test_without_drift_nearly_nothing_is_wasted(policy: Policy) -> None:
    """The bar of the study for controls without drift: at most 2% above the hindsight optimum."""
    streams = [simulated_stream(100 + seed, periods=18) for seed in range(3)]
    wasted = [excess(policy, stream, share) for stream in streams for share in (0.2, 0.5)]
    assert sum(wasted) / len(wasted) <= 0.02
    dear = walk(policy, STREAMS["stationary"].matrix, Costs(2.0 * STREAMS["stationary"].fresh), horizon_known=False)
    assert dear.schedule.releases == ()


@pytest.mark.parametrize("policy", LEARNERS, ids=lambda policy: policy.name)
@pytest.mark.parametrize("seed", range(3))
def test_an_abrupt_change_is_answered_at_the_first_chance(policy: Policy, seed: int) -> None:
    """Models up to 8 are bad from column 8 on. Column 9 is the first with a good model to compare, complete at 10."""
    stream = simulated_stream(200 + seed, jump_at=8, jump=0.3, periods=16)
    schedule = walk(policy, stream.matrix, Costs(0.5 * stream.fresh), horizon_known=False).schedule
    assert schedule.releases[0] == 10
    # A learnt curve takes the jump for wear at first and may stop again: the study's worst cells are 16% to 20%.
    assert excess(policy, stream, 0.5) <= 0.2


@pytest.mark.parametrize("seed", range(3))
def test_live_debt_sees_an_abrupt_change_without_candidates(seed: int) -> None:
    stream = simulated_stream(200 + seed, jump_at=8, jump=0.3, periods=16)
    releases = walk(Debt(), stream.matrix, Costs(stream.fresh), horizon_known=False).schedule.releases
    assert {9, 10} & set(releases)


@pytest.mark.parametrize("policy", LEARNERS, ids=lambda policy: policy.name)
def test_dearer_releases_are_rarer(policy: Policy) -> None:
    stream = STREAMS["decaying"]
    counts = [
        len(walk(policy, stream.matrix, Costs(share * stream.fresh)).schedule.releases)
        for share in (0.01, 0.2, 1.0, 50.0)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[1] > counts[-1] == 0


def test_a_hard_period_for_all_models_moves_the_live_rule_but_not_the_paired_ones() -> None:
    """From column 6 on everybody loses twice as much, fresh models included: nothing to gain from a retrain."""
    calm = STREAMS["stationary"].matrix
    factor = np.where(np.arange(calm.periods) >= 6, 2.0, 1.0)
    hard = LossMatrix(calm.losses * factor, calm.rows, calm.variances * factor**2, calm.lead)
    costs = Costs(1.5 * STREAMS["stationary"].fresh)
    for policy in LEARNERS:
        assert walk(policy, hard, costs).schedule.releases == ()
    assert walk(Debt(), hard, costs).schedule.releases != ()


def test_a_cadence_follows_the_calendar() -> None:
    stream = STREAMS["decaying"]
    assert walk(Cadence(5), stream.matrix, Costs(1.0)).schedule.releases == (5, 10, 15)
    assert POLICIES.get("every_4_periods") == Cadence(4)
    with pytest.raises(SpecError, match="at least 1"):
        Cadence(0)


def test_candidates_fitted_every_fourth_period_still_find_the_decay() -> None:
    stream = simulated_stream(5, jump_at=8, jump=0.3, periods=16)
    costs = Costs(0.5 * stream.fresh)
    releases = walk(ShadowPlan(), stream.matrix, costs, horizon_known=False, fit_every=4).schedule.releases
    # The first candidate that has seen the change is the one of period 12, which is scored in column 12.
    assert releases
    assert releases[0] <= 14


def test_the_plan_by_hand() -> None:
    """g(age) = age, three periods ahead, a release costs 2, the model is 2 periods old.

    Fresh: 0+1+2 = 3 without a stop; one stop after 2 periods: 0+1 +2 +0 = 3; so B(3) = 3, B(2) = 1, B(1) = 0.
    Keep: 2+3+4 = 9 without a stop; 2 +2+B(2) = 5; 2+3 +2+B(1) = 7; so 5. Releasing now costs 2+3 = 5 as well.
    """
    curve = StalenessCurve(linear=10.0, early=0.0)
    none = (0.0, 0.0, 0.0)
    plan = plan_ahead(curve, [none], age=2, release=2.0)
    assert (plan.keep, plan.retrain) == (5.0, 3.0)
    # One off in every period: 3 +2+B(2) = 6. Only in the first one as well; off in the second only: 2 +2+B(2) = 5.
    assert plan_ahead(curve, [(1.0, 1.0, 1.0)], age=2, release=2.0).keep == 6.0
    assert plan_ahead(curve, [(1.0, 0.0, 0.0)], age=2, release=2.0).keep == 6.0
    assert plan_ahead(curve, [(0.0, 1.0, 0.0)], age=2, release=2.0).keep == 5.0
    # What keeping costs is the mean over readings.
    assert plan_ahead(curve, [(1.0, 1.0, 1.0), none], age=2, release=2.0).keep == 5.5


def test_a_departure_counts_as_far_as_it_passes_its_error_on_either_side() -> None:
    # What speaks for a release counts as far as it is sure, what speaks for waiting sooner.
    assert departure_of(Excess(departure=1.5, recent_error=0.5, columns=1)) == pytest.approx(1.5 - 1.645 * 0.5)
    assert departure_of(Excess(departure=1.5, recent_error=2.0, columns=1)) == 0.0
    assert departure_of(Excess(departure=1.5, recent_error=0.5, columns=1), 2.0) == 0.5
    assert departure_of(Excess(departure=-1.5, recent_error=0.5, columns=1)) == -1.0
    assert departure_of(Excess(departure=-1.5, recent_error=2.0, columns=1)) == 0.0


def test_where_both_plans_cost_the_same_the_side_of_the_departure_decides() -> None:
    plan = Plan(keep=5.0, retrain=3.0)
    assert plan.stops(2.0, Excess(departure=0.1))
    assert plan.stops(2.0 + 1e-12, Excess(departure=0.1))
    assert not plan.stops(2.0, Excess(departure=-0.1))
    assert not plan.stops(2.0, Excess())
    assert plan.stops(1.9, Excess(departure=-9.0))
    assert not plan.stops(2.1, Excess(departure=9.0))


def test_the_interval_of_a_gain_holds_the_gain_and_narrows_with_rows() -> None:
    costs = Costs(50 * STREAMS["decaying"].fresh)
    widths = []
    for rows in (100, 10_000):
        stream = simulated_stream(3, decay=0.02, periods=14, rows=rows)
        decisions = [
            decision for decision in walk(ShadowPlan(), stream.matrix, costs, 4).decisions if decision.interval
        ]
        assert decisions
        ends = [decision.interval for decision in decisions if decision.interval]
        assert all(low <= high for low, high in ends)
        widths.append(np.mean([high - low for low, high in ends]) / stream.fresh)
    assert widths[1] < widths[0] / 3


def test_the_debt_by_hand() -> None:
    losses = np.full((4, 4), np.nan)
    losses[0] = [10.0, 13.0, 9.0, 14.0]
    matrix = LossMatrix(losses, np.full(4, 10), np.where(np.isnan(losses), np.nan, 0.0))
    history = History(matrix, 0, 4)
    assert Debt().decide(history, Costs(7.0), 4).action == "retrain"
    assert Debt().decide(history, Costs(7.0, fit=0.1), 4).action == "keep"
    assert Debt().decide(History(matrix, 0, 3), Costs(7.0), 3).expected_gain == 3.0
    # Without a price nothing is "reached" by a debt of nothing.
    told = Debt().decide(History(matrix, 0, 1), Costs(0.0), 1)
    assert (told.action, told.reason.partition(":")[0]) == (
        "keep",
        "The model has lost no more in any period than in its first",
    )


def test_the_replay_of_cadences_by_hand() -> None:
    """Two models, three columns: from start 0 every 2 periods releases in column 2; from start 1 nothing happens."""
    losses = np.array([[1.0, 2.0, 9.0], [np.nan, 1.0, 4.0], [np.nan, np.nan, 1.0]])
    matrix = LossMatrix(losses, np.full(3, 5), np.where(np.isnan(losses), np.nan, 0.0))
    assert replayed_cost(matrix, None, 3.0) == pytest.approx((1.0 + 1.5 + 6.5) / 3)
    assert replayed_cost(matrix, 2, 3.0) == pytest.approx((1.0 + 1.5 + 4.0) / 3)
    assert replayed_cost(LossMatrix.empty(), 1, 3.0) == 0.0


def test_every_period_is_said_so() -> None:
    fast = np.where(np.triu(np.ones((6, 6))) > 0, 10.0 * np.maximum(np.arange(6) - np.arange(6)[:, None], 0), np.nan)
    matrix = LossMatrix(fast, np.full(6, 5), np.where(np.isnan(fast), np.nan, 0.0))
    reason = RollingPeriod().decide(History(matrix, 0, 6), Costs(1.0), 0).reason
    assert reason.startswith("So far retraining every period would have been cheapest")
    none = LossMatrix(fast * 0.0, np.full(6, 5), np.where(np.isnan(fast), np.nan, 0.0))
    assert Cadence(1).decide(History(none, 0, 6), Costs(1.0), 0).reason.startswith("Due after 1 period, but")


def test_histories_and_costs_that_cannot_be_are_refused() -> None:
    matrix = STREAMS["stationary"].matrix
    with pytest.raises(StrategyError, match="from 0 to 3"):
        History(matrix, 4, 3)
    with pytest.raises(StrategyError, match="at least 1"):
        History(matrix, 0, 3, horizon=0)
    with pytest.raises(StrategyError, match="finite numbers"):
        Costs(release=float("nan"))


@pytest.mark.parametrize("policy", BUILT_IN, ids=lambda policy: policy.name)
def test_what_can_never_be_paid_back_is_not_bought_however_steep_the_decay(policy: Policy) -> None:
    """Losses that double every period, from nothing: the hardest case for a forecast."""
    matrix = LossMatrix.empty()
    for column in range(8):
        matrix = matrix.with_column({model: np.full(4, 2.0 ** (column - model) - 1) for model in range(column + 1)})
        history = History(matrix, 0, column + 1)
        price = 100.0 * history.largest_saving() + 1.0
        assert policy.decide(history, Costs(price), column + 1).action == "keep"
