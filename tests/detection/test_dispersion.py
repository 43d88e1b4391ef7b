import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.detection.dispersion import ASSUMED_RHO, autocorrelation, correlation, inflation, weekly
from pitstop.detection.streams import Floats, Ints


def windows(rho: float, m: int, columns: int, n: int = 400, p: float = 0.3) -> tuple[Ints, Ints]:
    rng = np.random.default_rng(5)
    rates = rng.beta(p * (1 / rho - 1), (1 - p) * (1 / rho - 1), (m, columns)) if rho else np.full((m, columns), p)
    size = np.full((m, columns), n)
    return rng.binomial(size, rates), size


@pytest.mark.parametrize("rho", [0.0, 0.01, 0.05])
def test_the_correlation_is_found_and_its_limit_is_above_it(rho: float) -> None:
    k, n = windows(rho, 90, 200)
    found, upper = correlation(k, n, k.sum(axis=0) / n.sum(axis=0), n / n.sum(axis=0))
    assert found.mean() == pytest.approx(rho, abs=0.0015)
    # The limit is asymptotic; with 90 windows and strong correlation it is reached a little too seldom.
    assert (upper >= rho).mean() >= 0.8


def test_a_short_reference_is_given_the_assumed_correlation() -> None:
    k, n = windows(0.0, 1, 3)
    found, upper = correlation(k, n, k.sum(axis=0) / n.sum(axis=0), np.array(0.5))
    assert np.all(found == pytest.approx(0.9 * ASSUMED_RHO))
    assert np.all(upper >= found)


def test_what_was_never_seen_shows_no_dispersion() -> None:
    zeros = np.zeros((90, 1), dtype=np.int64)
    found, upper = correlation(zeros, zeros + 100, np.zeros(1), np.array(0.01))
    assert (found[0], upper[0]) == (0.0, 0.0)


@given(st.integers(0, 10_000), st.floats(0, 0.5))
def test_inflation_is_at_least_one(n: int, rho: float) -> None:
    assert inflation(np.array([n]), np.array([rho]))[0] >= 1


def test_a_weekly_pattern_is_found_and_none_is_not_invented() -> None:
    rng = np.random.default_rng(1)
    phases = np.arange(91) % 7
    pattern = 0.3 + 0.1 * (phases == 5)
    size = np.full((91, 50), 400)
    seen, _, _ = weekly(rng.binomial(size, pattern[:, np.newaxis]), size, phases, 7)
    assert seen[5].mean() - seen[:5].mean() == pytest.approx(0.1, abs=0.01)
    flat, old, new = weekly(rng.binomial(size, 0.3), size, phases, 7)
    plain = 0.023 / np.sqrt(13)  # standard error of an unshrunk mean of 13 windows
    assert (flat - flat.mean(axis=0)).std() < 0.6 * plain
    assert np.all(old <= 1)
    assert np.all(new >= 1)


def test_a_reference_shorter_than_two_weeks_has_no_weekly_pattern() -> None:
    k, n = windows(0.0, 13, 2)
    rates, old, new = weekly(k, n, np.arange(13) % 7, 7)
    assert np.all(rates == rates[0])
    assert np.all(old == 1)
    assert np.all(new == 1)


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(0, 3))
def test_autocorrelation_is_at_least_one_and_finite_for_any_shape(m: int, columns: int) -> None:
    scores: Floats = np.random.default_rng(m).standard_normal((m, columns))
    assert 1 <= autocorrelation(scores) < np.inf


def test_slow_waves_cost_more_than_noise() -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((200, 20))
    wave = np.zeros_like(noise)
    for t in range(1, 200):
        wave[t] = 0.6 * wave[t - 1] + 0.8 * noise[t]
    assert autocorrelation(noise) < 1.3
    assert 2.5 < autocorrelation(wave) < 5  # (1 + .6) / (1 - .6) = 4 in the limit of long blocks


def test_windows_that_are_independent_cost_next_to_nothing_and_neighbours_their_full_price() -> None:
    """A reference of 90 windows of one stream: noise is not taken for waves, and a correlation of .9 is not halved."""
    rng = np.random.default_rng(3)
    noise, close = [], []
    for _ in range(60):
        series = rng.standard_normal((90, 1))
        noise.append(autocorrelation(series))
        for t in range(1, 90):
            series[t] = 0.9 * series[t - 1] + np.sqrt(0.19) * series[t]
        close.append(autocorrelation(series))
    assert np.median(noise) < 1.15
    assert np.median(close) > 12  # (1 + .9) / (1 - .9) = 19 in truth
