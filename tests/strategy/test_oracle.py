from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.errors import StrategyError
from pitstop.strategy.oracle import frontier, oracle, schedule_cost, serving_models, winning_prices


def random_losses(seed: int, periods: int) -> NDArray[np.float64]:
    draw = np.random.default_rng(seed)
    losses = draw.random((periods, periods)) * 10
    losses[np.tril_indices(periods, -1)] = np.nan
    return losses


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(0, 12), st.data())
def test_it_is_the_best_of_all_schedules(seed: int, periods: int, price: float, data: st.DataObject) -> None:
    losses = random_losses(seed, periods)
    first = data.draw(st.integers(0, periods - 1))
    # A model that was never fitted cannot be released.
    missing = data.draw(st.integers(first + 1, periods))
    if missing < periods:
        losses[missing] = np.nan
    later = [model for model in range(first + 1, periods) if model != missing]
    every = [
        schedule_cost(losses, chosen, price, first).cost
        for size in range(len(later) + 1)
        for chosen in combinations(later, size)
    ]
    best = oracle(losses, price, first)
    assert best.cost == pytest.approx(min(every))
    assert schedule_cost(losses, best.releases, price, first) == best


@given(st.integers(0, 2**32 - 1))
def test_dearer_releases_are_never_more(seed: int) -> None:
    losses = random_losses(seed, 8)
    counts = [len(oracle(losses, price).releases) for price in (0.0, 1.0, 4.0, 30.0, 1e3)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0


def test_on_a_tie_it_releases_less() -> None:
    losses = np.where(np.tri(4, k=-1) > 0, np.nan, 1.0)
    assert oracle(losses, 0.0).releases == ()


@settings(max_examples=60)
@given(
    st.tuples(st.floats(0, 100), st.integers(0, 9)),
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 9)), min_size=1, max_size=4),
    st.floats(0, 60),
)
def test_a_schedule_wins_exactly_inside_its_range_of_prices(
    own: tuple[float, int], rivals: list[tuple[float, int]], price: float
) -> None:
    prices = winning_prices(own, tuple(rivals))
    margin = min(loss + price * count for loss, count in rivals) - (own[0] + price * own[1])
    inside = prices is not None and prices[0] <= price <= prices[1]
    assert abs(margin) < 1e-6 or inside == (margin > 0)


def test_prices_by_hand() -> None:
    """Four stops lose 60; never loses 100, monthly (18) loses 46: it wins from 1 to 10 a release."""
    assert winning_prices((60.0, 4), ((100.0, 0), (46.0, 18))) == (1.0, 10.0)
    assert winning_prices((60.0, 4), ((59.0, 4),)) is None
    assert winning_prices((60.0, 4), ()) == (0.0, float("inf"))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.floats(0, 12), st.integers(0, 3))
def test_with_a_lag_it_is_still_the_best_of_all_schedules(seed: int, periods: int, price: float, lag: int) -> None:
    losses = random_losses(seed, periods)
    useful = [model for model in range(1, periods) if model + lag < periods]
    every = {
        chosen: schedule_cost(losses, chosen, price, 0, lag)
        for size in range(len(useful) + 1)
        for chosen in combinations(useful, size)
    }
    best = oracle(losses, price, 0, lag)
    assert best.cost == pytest.approx(min(schedule.cost for schedule in every.values()))
    front = frontier(losses, periods - 1, 0, lag)
    for count, loss in enumerate(front):
        assert loss == pytest.approx(min(item.loss for chosen, item in every.items() if len(chosen) <= count))


def test_a_model_serves_its_lag_after_its_release() -> None:
    assert serving_models(8, (2, 4, 6), 1, 1).tolist() == [1, 1, 2, 2, 4, 4, 6]
    assert serving_models(4, (3,), 0, 2).tolist() == [0, 0, 0, 0]
    with pytest.raises(StrategyError, match="lag"):
        oracle(random_losses(0, 3), 1.0, 0, -1)


def test_what_cannot_be_served_is_refused() -> None:
    losses = random_losses(0, 4)
    with pytest.raises(StrategyError, match="increasing"):
        schedule_cost(losses, (2, 1), 1.0)
    with pytest.raises(StrategyError, match="increasing"):
        schedule_cost(losses, (4,), 1.0)
    with pytest.raises(StrategyError, match="square"):
        oracle(losses[:2], 1.0)
    holey = losses.copy()
    holey[0, 1] = holey[1, 1] = np.nan
    with pytest.raises(StrategyError, match="lacks losses"):
        oracle(holey, 1.0)
    with pytest.raises(StrategyError, match="not known"):
        schedule_cost(holey, (1,), 1.0)
