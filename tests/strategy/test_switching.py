"""Where recipes are chosen again, a decision sees the recipe chosen now, and the served model on the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.strategy.backtest import walk
from pitstop.strategy.base import Costs
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.policies.shadow_plan import ShadowPlan
from pitstop.strategy.row_losses import RowLosses, RowTimes, composed
from pitstop.strategy.switching import ChosenNow

PERIODS, ROWS = 8, 12


def recipe(seed: int, late: int = 1, after: int = PERIODS) -> RowLosses:
    """Return losses of a recipe; those of columns from `after` on are drawn anew."""
    predicted = np.repeat(np.arange(PERIODS), ROWS)
    times = RowTimes(PERIODS, predicted, predicted + np.arange(len(predicted)) % (1 + late), predicted)
    first, second = np.random.default_rng(seed), np.random.default_rng(seed + 1000)
    losses = {}
    for model in range(PERIODS):
        drawn = np.where(times.arrived < after, first.random(len(predicted)), second.random(len(predicted)))
        losses[model] = np.where(times.due(model), drawn, np.nan)
    return RowLosses(times, losses)


def choices(chosen: tuple[int, ...], after: int = PERIODS) -> ChosenNow:
    recipes = [recipe(1, after=after), recipe(2, after=after)]
    return ChosenNow(recipes, [item.seen() for item in recipes], chosen, composed(recipes, chosen))


def test_one_recipe_is_its_own_matrix() -> None:
    found = choices((1,) * PERIODS)
    for now in range(1, PERIODS):
        assert found.at(now, now - 1) == recipe(2).seen().visible(now) or np.array_equal(
            found.at(now, now - 1).losses, recipe(2).seen().visible(now).losses, equal_nan=True
        )


def test_after_a_switch_the_served_model_stands_beside_the_new_recipe() -> None:
    """Every line is the new recipe's, but that of the model that serves; its gaps are paired on the same rows."""
    found = choices((0,) * 5 + (1,) * 3).at(6, 2)
    one, two = recipe(1), recipe(2)
    own, other = one.seen().visible(6), two.seen().visible(6)
    for model in range(6):
        expected = own if model == 2 else other
        np.testing.assert_array_equal(found.losses[model], expected.losses[model])
    column = 4
    rows = one.times.arrived == column
    gap = one.losses[2][rows] - two.losses[4][rows]
    assert found.variances[2, column] == pytest.approx(rows.sum() * gap.var(ddof=1))
    np.testing.assert_array_equal(found.rows, other.rows)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 1), min_size=PERIODS, max_size=PERIODS), st.integers(1, PERIODS - 1))
def test_a_decision_is_blind_to_what_had_not_arrived(chosen: list[int], now: int) -> None:
    before, changed = choices(tuple(chosen)), choices(tuple(chosen), after=now)
    for served in range(now):
        one, two = before.at(now, served), changed.at(now, served)
        np.testing.assert_array_equal(one.losses, two.losses)
        np.testing.assert_array_equal(one.variances, two.variances)


def test_a_walk_sees_at_once_what_the_new_recipe_would_save() -> None:
    """From period 4 on the second recipe loses little; on the entered candidates alone that takes a column more."""
    size, rows = 12, 200
    draw = np.random.default_rng(0)
    predicted = np.repeat(np.arange(size), rows)
    times = RowTimes(size, predicted, predicted, predicted)
    level = {0: np.where(predicted >= 4, 0.5, 0.1), 1: np.full(len(predicted), 0.2)}
    recipes = [
        RowLosses(
            times,
            {
                m: np.where(times.due(m), (draw.random(len(predicted)) < level[place]) * 1.0, np.nan)
                for m in range(size)
            },
        )
        for place in (0, 1)
    ]
    chosen = (0,) * 6 + (1,) * 6
    entered = composed(recipes, chosen)
    known = ChosenNow(recipes, [item.seen() for item in recipes], chosen, entered)

    def first_release(beside: ChosenNow | None) -> int:
        found = walk(
            ShadowPlan(), entered.seen(), Costs(30.0), 2, horizon_known=False, truth=entered.charged(), chosen=beside
        )
        return next((at for at in found.schedule.releases if at >= 6), size)

    assert first_release(known) == 6
    assert first_release(None) > 6


def test_a_matrix_that_is_asked_for_again_is_kept() -> None:
    found = choices((0,) * 5 + (1,) * 3)
    assert isinstance(found.at(6, 2), LossMatrix)
    assert found.at(6, 2) is found.at(6, 2)
