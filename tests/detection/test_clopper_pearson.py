import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from pitstop.detection.clopper_pearson import LOG_ODDS_RATIOS, log_evidence, lower_bound, upper_bound


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.floats(0.001, 0.999), st.floats(0.01, 1))
def test_evidence_has_mean_at_most_one_for_every_rate_below_the_bound(n: int, bound: float, part: float) -> None:
    k = np.arange(n + 1)
    evidence = np.exp(log_evidence(k, np.full(n + 1, n), np.full(n + 1, bound)))
    assert np.all(evidence @ binom.pmf(k, n, bound * part) <= 1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 200), st.floats(0.01, 0.6))
def test_evidence_grows_where_the_rate_is_higher(n: int, bound: float) -> None:
    """The alternative that is true has positive mean log evidence."""
    odds = np.exp(LOG_ODDS_RATIOS) * bound / (1 - bound)
    truth = odds / (1 + odds)
    k = np.arange(n + 1)
    logs = log_evidence(k, np.full(n + 1, n), np.full(n + 1, bound))
    assert all(logs[i] @ binom.pmf(k, n, truth[i]) > 0 for i in range(len(truth)))


def test_nothing_exceeds_a_rate_of_one() -> None:
    assert np.all(np.isneginf(log_evidence(np.array([5]), np.array([5]), np.array([1.2]))))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.floats(0.001, 0.999), st.sampled_from([0.001, 0.05]))
def test_limits_cover_with_the_stated_probability(n: int, p: float, alpha: float) -> None:
    k = np.arange(n + 1).astype(np.float64)
    weight = binom.pmf(k, n, p)
    assert weight @ (upper_bound(k, np.full(n + 1, float(n)), alpha) < p) <= alpha + 1e-9
    assert weight @ (lower_bound(k, np.full(n + 1, float(n)), alpha) > p) <= alpha + 1e-9


@pytest.mark.parametrize("k", [0.0, 1.5, 10.0])
def test_limits_enclose_the_rate(k: float) -> None:
    low, high = (
        float(lower_bound(np.array(k), np.array(10.0), 0.05)),
        float(upper_bound(np.array(k), np.array(10.0), 0.05)),
    )
    assert 0 <= low <= k / 10 <= high <= 1


def test_no_rows_no_limits() -> None:
    zero = np.array(0.0)
    assert (float(lower_bound(zero, zero, 0.05)), float(upper_bound(zero, zero, 0.05))) == (0.0, 1.0)
