from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.strategy.choosing import Rule, cheapest_plan, chosen_by, lowest_fresh, tournament
from pitstop.strategy.matrix import LossMatrix

RULES: tuple[Rule, ...] = (cheapest_plan, lowest_fresh, tournament)


def matrix_of(fresh: list[float], rows: int = 100) -> LossMatrix:
    """Return a matrix whose fresh candidates lose these amounts per row; only fresh ones are scored."""
    size = len(fresh)
    losses = np.full((size, size), np.nan)
    losses[np.diag_indices(size)] = np.array(fresh) * rows
    return LossMatrix(losses, np.full(size, rows), np.where(np.isnan(losses), np.nan, 0.0))


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from(RULES))
def test_a_choice_looks_at_nothing_that_is_to_come(seed: int, rule: Rule) -> None:
    draw = np.random.default_rng(seed)
    matrices = [matrix_of(draw.random(12).tolist()) for _ in range(3)]
    now = int(draw.integers(0, 12))
    changed = [matrix_of([*np.diag(matrix.losses)[:now] / 100, *draw.random(12 - now)]) for matrix in matrices]
    assert chosen_by(rule, matrices, 3.0)[: now + 1] == chosen_by(rule, changed, 3.0)[: now + 1]


def test_the_better_recipe_is_found_and_a_better_one_later_too() -> None:
    """The first is better for ten periods, then the second: the plain rule needs half its look-back to turn."""
    noise = np.random.default_rng(0).normal(0, 0.005, (2, 24))
    first = [0.2 + (0.1 if period >= 10 else 0.0) + noise[0, period] for period in range(24)]
    second = [0.25 + noise[1, period] for period in range(24)]
    matrices = [matrix_of(first), matrix_of(second)]
    for rule in RULES:
        chosen = chosen_by(rule, matrices, 3.0)
        assert chosen[:11] == (0,) * 11
        assert chosen[16:] == (1,) * 8
    # The tournament's window shrinks at the change, so it turns first.
    turned = [chosen_by(rule, matrices, 3.0).index(1) for rule in (tournament, lowest_fresh)]
    assert turned[0] <= turned[1]


def test_without_shared_columns_the_first_recipe_is_taken() -> None:
    lonely = matrix_of([np.nan, np.nan, np.nan])
    assert chosen_by(cheapest_plan, [lonely, matrix_of([0.1, 0.1, 0.1])], 3.0) == (0, 0, 0)
    assert chosen_by(lowest_fresh, [lonely, matrix_of([0.1, 0.1, 0.1])], 3.0) == (0, 0, 0)
    assert chosen_by(tournament, [lonely, matrix_of([0.1, 0.1, 0.1])], 3.0) == (0, 0, 0)


def test_three_recipes_meet_in_a_tournament() -> None:
    matrices = [matrix_of([level] * 6) for level in (0.3, 0.2, 0.1)]
    assert all(chosen_by(rule, matrices, 3.0)[-1] == 2 for rule in RULES)


def ageing(fresh: float, a_period: float, size: int = 16, rows: int = 100) -> LossMatrix:
    """Return a matrix whose models lose `fresh` per row at first and `a_period` more for each period of their age."""
    age = np.arange(size)[None, :] - np.arange(size)[:, None]
    losses = np.where(age >= 0, rows * (fresh + a_period * age), np.nan)
    return LossMatrix(losses, np.full(size, rows), np.where(age >= 0, 0.1, np.nan))


def test_whoever_pays_much_for_a_release_takes_the_recipe_that_lasts() -> None:
    matrices = [ageing(0.20, 0.02), ageing(0.22, 0.0)]
    assert chosen_by(lowest_fresh, matrices, 0.0)[-1] == 0
    assert chosen_by(cheapest_plan, matrices, 0.0)[-1] == 0
    assert chosen_by(cheapest_plan, matrices, 50.0)[-1] == 1
