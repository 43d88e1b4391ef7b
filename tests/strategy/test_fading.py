"""How long a departure lasts: shares between nothing and all, learnt from what became of earlier ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.strategy.fading import departure_paths, shares_left
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.staleness import StalenessCurve

FLAT = StalenessCurve(0.0, 0.0)


def matrix(departures: dict[int, list[float]], periods: int) -> LossMatrix:
    """Return losses of 10 in every cell, plus a model's departures from its second column on."""
    losses = np.full((periods, periods), np.nan)
    losses[np.triu_indices(periods)] = 10.0
    for model, values in departures.items():
        losses[model, model + 1 : model + 1 + len(values)] += values
    return LossMatrix(losses, np.full(periods, 10), np.where(np.isnan(losses), np.nan, 0.0))


@given(st.integers(0, 12), st.integers(1, 20), st.integers(0, 2**31))
def test_shares_lie_between_nothing_and_all_whatever_was_seen(periods: int, horizon: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    losses = np.where(np.triu(np.ones((periods, periods))) > 0, draw.normal(10, 3, (periods, periods)), np.nan)
    seen = LossMatrix(losses, np.full(periods, 10), np.where(np.isnan(losses), np.nan, 0.0))
    shares = shares_left(seen, FLAT, horizon)
    assert len(shares) == horizon
    assert all(0.0 <= share <= 1.0 for share in shares)


def test_without_history_half_is_left_after_each_period() -> None:
    assert shares_left(LossMatrix.empty(), FLAT, 4) == pytest.approx((0.5, 0.25, 0.125, 0.0625))


def test_departures_that_lasted_are_expected_to_last_and_those_that_passed_to_pass() -> None:
    lasting = {model: [4.0] * (39 - model) for model in range(0, 36, 2)}
    passing = {model: [0.0, 0.0, 0.0, 4.0] for model in range(0, 36, 2)}
    lasts, passes = (shares_left(matrix(found, 40), FLAT, 8) for found in (lasting, passing))
    assert lasts[0] > 0.85
    assert lasts[5] > 0.7
    assert passes[2] < 0.25
    assert all(one > other for one, other in zip(lasts, passes, strict=True))


def test_both_readings_begin_with_the_departure_of_today() -> None:
    lasts, fades = departure_paths(-8.0, (0.5, 0.25))
    assert lasts == (-8.0, -8.0)
    assert fades == (-4.0, -2.0)
