from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StrategyError
from pitstop.strategy.matrix import LossMatrix, gaps
from pitstop.strategy.staleness import excess_of, fit_curve
from pitstop.testing.policy_laws import simulated_stream


def assert_same(one: LossMatrix, other: LossMatrix) -> None:
    np.testing.assert_array_equal(one.losses, other.losses)
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(one.variances, other.variances)
    assert one.lead == other.lead


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(0, 8))
def test_what_was_visible_is_what_had_been_added(seed: int, now: int) -> None:
    """A matrix cut at a period is the matrix that existed at its start; and it survives a journey through JSON."""
    draw = np.random.default_rng(seed)
    growing = LossMatrix.empty(2)
    at_now = growing
    for column in range(8):
        if column == now:
            at_now = growing
        size = int(draw.integers(0, 5))
        growing = growing.with_column({model: draw.random(size) for model in range(column + 1) if draw.random() < 0.7})
    if now == 8:
        at_now = growing
    assert_same(growing.visible(now), at_now)
    assert_same(LossMatrix.from_state(json.loads(json.dumps(growing.to_state()))), growing)


def test_a_column_by_hand() -> None:
    matrix = LossMatrix.empty().with_column({0: np.array([1.0, 3.0])})
    matrix = matrix.with_column({0: np.array([1.0, 2.0, 6.0]), 1: np.array([1.0, 1.0, 1.0])})
    assert matrix.losses[0].tolist() == [4.0, 9.0]
    # The gaps 0, 1, 5 have the variance 7; their sum has three times that.
    assert matrix.variances[0, 1] == pytest.approx(21.0)
    assert matrix.variances[1, 1] == 0.0
    only = gaps(matrix)
    assert len(only) == 1
    # Columns of 2 and 3 rows: the usual size is 2.5.
    assert only[0].excess == pytest.approx(6.0 * 2.5 / 3)
    assert (only[0].age, only[0].fresh_age) == (1, 0)
    assert matrix.fresh_loss() == pytest.approx((4.0 * 2.5 / 2 + 3.0 * 2.5 / 3) / 2)


def test_the_size_of_a_period_does_not_look_like_staleness() -> None:
    """Four times the rows with the same losses per row leave the curve as it was."""
    one = LossMatrix.empty()
    big = LossMatrix.empty()
    for column in range(9):
        rows = {model: np.tile([0.0, 1.0, 0.1 * (column - model)], 20) for model in range(column + 1)}
        one = one.with_column(rows)
        big = big.with_column({model: np.tile(values, 4 if column % 2 else 1) for model, values in rows.items()})
    first, second = fit_curve(one), fit_curve(big)
    ratio = float(big.rows[-8:].mean()) / float(one.rows[-8:].mean())
    assert (second.linear, second.early) == pytest.approx((first.linear * ratio, first.early * ratio))


def test_the_curve_finds_the_decay_that_was_simulated() -> None:
    """2% more errors a period on 400 rows cost 8 a period and age; the prior pulls a little towards less."""
    stream = simulated_stream(11, decay=0.02)
    curve = fit_curve(stream.matrix)
    usual = float(stream.matrix.rows[-8:].mean())
    assert curve.at(0) == 0.0
    assert curve.at(10) == pytest.approx(0.2 * usual, rel=0.15)
    excess = excess_of(stream.matrix, 0, curve)
    assert excess.columns == stream.matrix.periods - 1
    assert excess.recent == pytest.approx(0.02 * 22 * usual, rel=0.15)
    flat = fit_curve(simulated_stream(12).matrix)
    assert flat.at(10) < 0.02 * usual


def test_without_gaps_the_curve_is_the_prior() -> None:
    """One model only: 1.8% and 1.9% of its loss of 100 (study: c0)."""
    curve = fit_curve(LossMatrix.empty().with_column({0: np.full(100, 1.0)}))
    assert (curve.linear, curve.early) == pytest.approx((1.8, 1.9))
    assert fit_curve(LossMatrix.empty()).at(5) == 0.0


def test_young_models_say_nothing_about_staleness() -> None:
    """A model that was fitted on one or two periods lacks data; it is left out of the curve."""
    columns = [{model: np.full(10, 1.0 + (model == 0)) for model in range(column + 1)} for column in range(4)]
    seasoned, young = LossMatrix.empty(3), LossMatrix.empty(2)
    for column in columns:
        seasoned, young = seasoned.with_column(column), young.with_column(column)
    assert fit_curve(young).at(3) < fit_curve(seasoned).at(3)


def test_matrices_that_cannot_be_are_refused() -> None:
    matrix = LossMatrix.empty().with_column({0: np.ones(2)})
    with pytest.raises(StrategyError, match="models from 0 to 1"):
        matrix.with_column({2: np.ones(2)})
    with pytest.raises(StrategyError, match="one number of rows"):
        matrix.with_column({0: np.ones(2), 1: np.ones(3)})
    with pytest.raises(StrategyError, match="not finite"):
        matrix.with_column({0: np.array([1.0, np.nan])})
    with pytest.raises(StrategyError, match="before its own"):
        LossMatrix(np.ones((2, 2)), np.array([1, 1]), np.zeros((2, 2)))
    with pytest.raises(StrategyError, match=r"expected \(periods, periods\)"):
        LossMatrix(np.ones((1, 2)), np.array([1, 1]), np.zeros((2, 2)))
    with pytest.raises(StrategyError, match="at least 0"):
        LossMatrix(np.ones((1, 1)), np.array([-1]), np.zeros((1, 1)))
    with pytest.raises(ValueError, match="read-only"):
        matrix.losses[0, 0] = 5.0
