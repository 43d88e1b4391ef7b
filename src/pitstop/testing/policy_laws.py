"""Laws that every retraining policy has to obey, built in or installed.

`policy_laws()` gives them in order; each takes a policy and a `Stream`, and raises `AssertionError` where it is broken:

    for law in policy_laws():
        law(policy, simulated_stream(seed=7, decay=0.02))
"""

# ruff: noqa: S101 (a law asserts)
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pitstop.strategy.base import Costs, Decision, History, Policy
from pitstop.strategy.matrix import LossMatrix


@dataclass(frozen=True)
class Stream:
    """A loss matrix of a stream with known truth, and the mean loss of a fresh model per period."""

    matrix: LossMatrix
    fresh: float


Law = Callable[[Policy, Stream], None]


def simulated_stream(
    seed: int, *, decay: float = 0.0, jump_at: int | None = None, jump: float = 0.0, periods: int = 24, rows: int = 400
) -> Stream:
    """Return a stream whose models lose 1 unit per error.

    A fresh model errs on 20% of the rows; each period of age adds `decay` to that probability, and having been fitted
    before period `jump_at` adds `jump`. All models meet the same rows, whose difficulty differs, and periods differ in
    size, so gaps are paired as they are in life.
    """
    draw = np.random.default_rng(seed)
    matrix = LossMatrix.empty()
    for column in range(periods):
        difficulty = draw.random(int(rows * (0.5 + draw.random())))
        losses: dict[int, NDArray[np.float64]] = {}
        for model in range(column + 1):
            stale = jump if jump_at is not None and model <= jump_at <= column else 0.0
            chance = min(0.95, 0.2 + decay * (column - model) + stale)
            # A tenth of the rows is decided by each model's own luck.
            own = np.where(draw.random(difficulty.size) < 0.1, draw.random(difficulty.size), difficulty)
            losses[model] = (own < chance).astype(np.float64)
        matrix = matrix.with_column(losses)
    return Stream(matrix, 0.2 * rows)


def is_deterministic(policy: Policy, stream: Stream) -> None:
    """Equal histories give equal decisions, ids included."""
    for history, costs in _situations(stream):
        again = replace(history, matrix=_copied(history.matrix))
        assert policy.decide(history, costs, history.now) == policy.decide(again, costs, history.now)


def is_blind_to_the_future(policy: Policy, stream: Stream) -> None:
    """Corrupting every column that is not complete yet, and the inputs of periods to come, changes no decision."""
    inputs = np.random.default_rng(0).normal(size=(stream.matrix.periods, 4))
    for served, now in _places(stream):
        other = inputs.copy()
        other[now:] += 100.0
        losses, variances = np.array(stream.matrix.losses), np.array(stream.matrix.variances)
        rows = np.array(stream.matrix.rows)
        losses[:, now:] *= 17.0
        variances[:, now:] *= 3.0
        rows[now:] += 1_000
        corrupted = LossMatrix(losses, rows, variances, stream.matrix.lead)
        for price in (0.1, 1.0):
            costs = Costs(price * stream.fresh)
            seen = policy.decide(History(stream.matrix, served, now, inputs=inputs), costs, now)
            assert policy.decide(History(corrupted, served, now, inputs=other), costs, now) == seen


def keeps_what_cannot_be_paid_back(policy: Policy, stream: Stream) -> None:
    """It never retrains where the price is far above all that a perfect model could save within the horizon.

    "Far" is a hundredfold of the largest loss seen: a forecast may rightly go beyond what was seen, but a curve that
    starts at 0 when fresh and grows no faster than linearly stays below twelve times that.
    """
    for history, _ in _situations(stream):
        if np.isfinite(history.largest_saving()):
            costs = Costs(release=100.0 * history.largest_saving() + 1.0)
            assert policy.decide(history, costs, history.now).action == "keep"


def keeps_a_model_of_this_period(policy: Policy, stream: Stream) -> None:
    """It never replaces a model that was fitted at this very moment."""
    for now in range(stream.matrix.periods):
        history = History(stream.matrix, now, now)
        assert policy.decide(history, Costs(0.01 * stream.fresh), now).action == "keep"


def explains_itself(policy: Policy, stream: Stream) -> None:
    """A decision names its policy, both alternatives, finite amounts, and one sentence; only a retrain has a recipe."""
    for history, costs in _situations(stream):
        decision = policy.decide(history, costs, history.now)
        _check_form(policy, decision, history)


def looks_at_any_matrix(policy: Policy, stream: Stream) -> None:
    """No columns, empty columns and models that were not fitted are no reason to fail."""
    losses, rows = np.array(stream.matrix.losses), np.array(stream.matrix.rows)
    losses[1::2] = np.nan
    rows[2::3] = 0
    variances = np.where(np.isnan(losses), np.nan, stream.matrix.variances)
    thin = LossMatrix(losses, rows, variances, stream.matrix.lead)
    for history in (History(thin, 0, 0), History(thin, 0, 1), History(thin, 1, 5), History(thin, 2, 9, (2,), 3)):
        _check_form(policy, policy.decide(history, Costs(0.1 * stream.fresh), 0), history)


def policy_laws() -> tuple[Law, ...]:
    """Return all laws."""
    return (
        is_deterministic,
        is_blind_to_the_future,
        keeps_what_cannot_be_paid_back,
        keeps_a_model_of_this_period,
        explains_itself,
        looks_at_any_matrix,
    )


def _places(stream: Stream) -> Iterator[tuple[int, int]]:
    periods = stream.matrix.periods
    for now in (0, 1, 2, periods // 2, periods - 1):
        for served in sorted({0, now // 2, max(0, now - 1)}):
            yield served, now


def _situations(stream: Stream) -> Iterator[tuple[History, Costs]]:
    for served, now in _places(stream):
        for horizon in (None, 3):
            history = History(stream.matrix, served, now, horizon=horizon, caused_by=("profile-1",))
            yield history, Costs(0.2 * stream.fresh, 0.01 * stream.fresh)


def _copied(matrix: LossMatrix) -> LossMatrix:
    return LossMatrix(matrix.losses.copy(), matrix.rows.copy(), matrix.variances.copy(), matrix.lead)


def _check_form(policy: Policy, decision: Decision, history: History) -> None:
    assert decision.policy == policy.name
    assert decision.action in {"keep", "retrain"}
    assert decision.recipe == (history.recipe if decision.action == "retrain" else None)
    assert decision.caused_by == history.caused_by
    assert {option.action for option in decision.alternatives} == {"keep", "retrain"}
    amounts = [decision.expected_gain, decision.cost, *(option.cost for option in decision.alternatives)]
    assert np.isfinite(amounts).all()
    assert decision.cost >= 0
    assert decision.reason.endswith(".")
    assert "\n" not in decision.reason
