from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.strategy.resampling import interval, resampled, savings


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40))
def test_draws_are_centred_and_paired(seed: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    hard = draw.random(count) * 100
    windows = np.array([hard, hard - 1.0, hard * 0.5])
    totals = resampled(windows, seed, 200)
    assert totals.shape == (200, 3)
    # A constant difference per window stays what it is in every draw.
    np.testing.assert_allclose(totals[:, 0] - totals[:, 1], count)
    np.testing.assert_allclose(totals[:, 2], totals[:, 0] / 2)
    assert totals[:, 0].mean() == pytest.approx(hard.sum(), rel=0.25)
    assert (resampled(windows, seed, 200) == totals).all()


def test_one_window_has_no_spread() -> None:
    totals = resampled(np.array([[3.0], [4.0]]), 0, 10)
    assert totals.tolist() == [[3.0, 4.0]] * 10
    assert interval(totals[:, 0]) == (3.0, 3.0)


def test_neighbours_that_resemble_each_other_widen_the_interval() -> None:
    """The same values in runs of five and shuffled: independent draws would give both the same interval."""
    draw = np.random.default_rng(5)
    runs = np.repeat(draw.normal(size=80), 5)
    low, high = interval(resampled(runs[None], 0)[:, 0])
    least, most = interval(resampled(draw.permutation(runs)[None], 0)[:, 0])
    assert high - low > 1.5 * (most - least)


@pytest.mark.simulation
def test_the_best_of_many_equals_is_rarely_sure() -> None:
    """Twenty schedules that differ by noise alone: one of them is called surely better in at most 15% of 200 runs."""
    assert sure_share(200) <= 0.15


def test_the_best_of_many_equals_is_rarely_sure_small() -> None:
    assert sure_share(40) <= 0.25


def sure_share(runs: int) -> float:
    called = naive = 0
    for seed in range(runs):
        draw = np.random.default_rng(seed)
        windows = draw.normal(10, 1, 120) + draw.normal(0, 1, (20, 120))
        found = savings(windows, np.zeros(20), 0, seed, 300)
        called += any(saving.sure > 0 for saving in found)
        naive += any(saving.low > 0 for saving in found)
    # The interval of each by itself is no answer: the best of twenty is outside it by chance.
    assert naive > 2 * called
    return called / runs


def test_a_clear_saving_is_sure_and_what_is_paid_besides_counts() -> None:
    draw = np.random.default_rng(1)
    own = draw.normal(10, 1, 100)
    windows = np.array([own, own - 2.0 + draw.normal(0, 0.1, 100), own])
    clear, none, paid = (savings(windows, np.array([0.0, 0.0, 30.0]), 0, 0)[place] for place in (1, 0, 2))
    assert clear.mean == pytest.approx(200, abs=5)
    assert 190 < clear.sure < clear.mean
    assert (none.mean, none.sure) == (0.0, 0.0)
    assert (paid.mean, paid.low, paid.high, paid.sure) == pytest.approx((-30.0, -30.0, -30.0, -30.0))
