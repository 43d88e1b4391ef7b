from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.detection.clopper_pearson import lower_bound
from pitstop.strategy.resampling import LEVEL, interval, resampled, savings, sure_savings


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


# How windows of equal schedules may resemble each other: not at all; with rare large losses; a model that is lucky or
# not for a whole period of 15 windows; and each window half like the one before.
KINDS = ("apart", "heavy", "periods", "neighbours")


def equal_schedules(kind: str, draw: np.random.Generator, schedules: int, windows: int) -> NDArray[np.float64]:
    noise = draw.normal(size=(schedules, windows))
    if kind == "heavy":
        noise = draw.lognormal(0.0, 1.2, (schedules, windows))
    if kind == "periods":
        noise += np.repeat(draw.normal(0.0, 0.5, (schedules, -(-windows // 15))), 15, axis=1)[:, :windows]
    if kind == "neighbours":
        for window in range(1, windows):
            noise[:, window] = 0.5 * noise[:, window - 1] + np.sqrt(0.75) * noise[:, window]
    return np.asarray(draw.normal(10.0, 1.0, windows) + noise)


def called_sure(kind: str, runs: int, windows: int) -> int:
    """Return in how many histories one of twenty equal schedules is called surely better than the incumbent."""
    called = 0
    for seed in range(runs):
        losses = equal_schedules(kind, np.random.default_rng(seed), 20, windows)
        called += bool((sure_savings(losses[[0]] - losses, np.zeros(20), 15) > 0).any())
    return called


@pytest.mark.simulation
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("windows", [120, 365])
def test_the_best_of_many_equals_is_sure_as_rarely_as_is_said(kind: str, windows: int) -> None:
    """The Clopper-Pearson lower limit (99%) of the share of histories in which one is called sure is at most 10%."""
    called = called_sure(kind, 2000, windows)
    assert lower_bound(np.array(called), np.array(2000), 0.01) <= 1 - LEVEL, called / 2000


def test_the_best_of_many_equals_is_rarely_sure_small() -> None:
    assert called_sure("periods", 100, 120) <= 20


def test_the_interval_of_each_by_itself_is_no_answer() -> None:
    outside = 0
    for seed in range(40):
        losses = equal_schedules("apart", np.random.default_rng(seed), 20, 120)
        outside += any(saving.low > 0 for saving in savings(losses, np.zeros(20), 0, seed, 300))
    assert outside > 12


@pytest.mark.parametrize("windows", [1, 2, 3])
def test_a_history_too_short_to_tell_calls_nothing_sure(windows: int) -> None:
    draw = np.random.default_rng(0)
    losses = np.array([draw.normal(10, 1, windows), draw.normal(1, 0.1, windows)])
    assert sure_savings(losses[[0]] - losses, np.zeros(2))[1] <= 0


def test_a_clear_saving_is_sure_and_what_is_paid_besides_counts() -> None:
    draw = np.random.default_rng(1)
    own = draw.normal(10, 1, 100)
    windows = np.array([own, own - 2.0 + draw.normal(0, 0.1, 100), own])
    clear, none, paid = (savings(windows, np.array([0.0, 0.0, 30.0]), 0, 0)[place] for place in (1, 0, 2))
    assert clear.mean == pytest.approx(200, abs=5)
    assert 190 < clear.sure < clear.mean
    assert (none.mean, none.sure) == (0.0, 0.0)
    assert (paid.mean, paid.low, paid.high, paid.sure) == pytest.approx((-30.0, -30.0, -30.0, -30.0))


def test_a_schedule_that_saves_nothing_in_any_stretch_takes_nothing_from_the_others() -> None:
    """It gains one in a window and loses one in the next: 0 saved, 0 spread between the stretches."""
    differences = np.zeros((3, 60))
    differences[1] = np.random.default_rng(1).normal(5.0, 1.0, 60)
    alone = sure_savings(differences[:2], np.zeros(2))
    assert alone[1] > 200
    differences[2, 3:5] = 1.0, -1.0
    assert sure_savings(differences, np.zeros(3)).tolist() == [*alone, 0.0]
