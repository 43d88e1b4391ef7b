from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StrategyError
from pitstop.strategy.row_losses import RowLosses, RowTimes, composed


def random_losses(seed: int, *, periods: int = 7, rows: int = 60, delay: int = 2) -> RowLosses:
    """Return losses of rows from two periods before the first candidate on, whose labels come up to `delay` later."""
    draw = np.random.default_rng(seed)
    predicted = np.sort(draw.integers(-2, periods, rows))
    arrived = predicted + draw.integers(0, delay + 1, rows)
    times = RowTimes(periods, predicted, arrived, np.maximum(predicted, 0) * 2 + draw.integers(0, 2, rows))
    missing = int(draw.integers(1, periods))
    losses = {
        model: np.where(times.due(model), draw.random(rows), np.nan) for model in range(periods) if model != missing
    }
    return RowLosses(times, losses)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_both_views_are_sums_of_the_same_rows(seed: int, delay: int) -> None:
    found = random_losses(seed, delay=delay)
    times, seen, charged, blocks = found.times, found.seen(), found.charged(), found.by_block()
    for model, values in found.losses.items():
        for period in range(model, times.periods):
            served = times.predicted == period
            assert charged[model, period] == pytest.approx(values[served].sum())
            assert np.nansum(blocks[model, 2 * period : 2 * period + 2]) == pytest.approx(values[served].sum())
            labelled = times.arrived == period
            if labelled.any():
                assert seen.losses[model, period] == pytest.approx(values[labelled].sum())
    assert seen.rows.tolist() == [int((times.arrived == period).sum()) for period in range(times.periods)]
    assert np.isnan(charged[np.tril_indices(times.periods, -1)]).all()
    if delay == 0:
        rows = seen.rows > 0
        np.testing.assert_allclose(charged[:, rows], seen.losses[:, rows])


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_what_is_seen_at_a_time_needs_no_label_that_came_later(seed: int, now: int) -> None:
    """Change every loss whose label arrives in period `now` or later: the columns before it stay as they are."""
    found = random_losses(seed)
    late = found.times.arrived >= now
    other = RowLosses(
        found.times, {model: np.where(late, values * 17 + 1, values) for model, values in found.losses.items()}
    )
    np.testing.assert_array_equal(found.seen().visible(now).losses, other.seen().visible(now).losses)
    np.testing.assert_array_equal(found.seen().visible(now).variances, other.seen().visible(now).variances)


def test_a_composed_matrix_takes_each_candidate_from_its_recipe() -> None:
    one = random_losses(1)
    both = [RowLosses(one.times, one.losses), RowLosses(one.times, {m: v + 1 for m, v in one.losses.items()})]
    chosen = (0, 1, 1, 0, 1, 0, 0)
    mixed = composed(both, chosen)
    for model, recipe in enumerate(chosen):
        if model in one.losses:
            np.testing.assert_array_equal(mixed.losses[model], both[recipe].losses[model])
    holey = [RowLosses(one.times, {0: one.losses[0]}), both[1]]
    assert composed(holey, (0,) * 7).losses.keys() == both[1].losses.keys() | {0}


def test_times_that_cannot_be_are_refused() -> None:
    with pytest.raises(StrategyError, match="no label before its prediction"):
        RowTimes(3, np.array([1]), np.array([0]), np.array([0]))
    with pytest.raises(StrategyError, match="one length"):
        RowTimes(3, np.array([1, 1]), np.array([1]), np.array([0]))
