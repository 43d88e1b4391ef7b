"""Figures of the self-test on laws that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.detection.exchangeability import lag_one, rate, wave

ONE = np.ones(1)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.floats(0.1, 10))
def test_an_interval_holds_its_mean(counts: list[int], months: float) -> None:
    found = rate(np.array(counts, dtype=np.float64), months)
    assert 0 <= found.low <= found.mean <= found.high


def test_without_any_alarm_the_limit_is_that_of_poisson() -> None:
    """P(0 alarms) = 2.5% where 3.69 are expected."""
    assert rate(np.zeros(3), 1.0).high == pytest.approx(3.689 / 3, abs=1e-3)


def test_the_interval_covers_the_rate() -> None:
    rng = np.random.default_rng(0)
    found = [rate(rng.poisson(0.7, 20).astype(np.float64), 1.0) for _ in range(300)]
    assert np.mean([item.low <= 0.7 <= item.high for item in found]) >= 0.93


def test_runs_that_come_in_bursts_widen_the_interval() -> None:
    even, bursts = np.full(10, 2.0), np.array([20.0] + [0.0] * 9)
    assert rate(bursts, 1.0).high > rate(even, 1.0).high


@pytest.mark.parametrize("lag", [0.0, 0.3, 0.6, 0.9])
def test_the_correlation_of_neighbours_is_found_and_its_limit_lies_below(lag: float) -> None:
    rng = np.random.default_rng(1)
    z = rng.standard_normal((90, 200))
    for t in range(1, 90):
        z[t] = lag * z[t - 1] + np.sqrt(1 - lag**2) * z[t]
    each = [lag_one([z[:, [column]]], ONE) for column in range(200)]
    assert np.mean([item.value for item in each]) == pytest.approx(lag, abs=0.04)
    assert np.mean([item.low <= lag for item in each]) >= 0.9


def test_streams_that_differ_narrow_the_limit_and_copies_of_one_do_not() -> None:
    rng = np.random.default_rng(4)
    streams = [rng.standard_normal((90, 1)) for _ in range(9)]
    alone, copies = lag_one(streams[:1], ONE), lag_one(streams[:1] * 9, np.ones(9))
    assert copies.low == pytest.approx(alone.low)
    many = lag_one(streams, np.ones(9))
    assert many.value - many.low < (alone.value - alone.low) / 2
    assert lag_one([streams[0], streams[1]], np.array([1.0, 0.0])).value == pytest.approx(alone.value)


def test_windows_without_rows_and_columns_that_never_move_do_not_count() -> None:
    rng = np.random.default_rng(2)
    z = rng.standard_normal((60, 1))
    z[5] = np.nan
    assert lag_one([np.hstack([z, np.ones((60, 1))])], ONE) == lag_one([z], ONE)
    assert lag_one([np.ones((60, 2))], ONE).low < 0


def test_a_wave_is_found_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(3)
    noise, turns = rng.standard_normal((90, 5)), np.sin(2 * np.pi * np.arange(90) / 18)
    found = wave(noise + turns[:, np.newaxis], np.ones(5), draws=199)
    assert found.windows == pytest.approx(18)
    assert found.p_value == pytest.approx(1 / 200)
    by_chance = [wave(rng.standard_normal((60, 3)), np.ones(3), draws=39).p_value for _ in range(40)]
    assert np.mean(np.array(by_chance) <= 0.1) <= 0.25
