import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import betabinom

from pitstop.detection.beta_binomial import CLIP, normal_scores, tail_bound
from pitstop.detection.streams import Floats

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
RATES = st.floats(0.01, 0.99)
RHOS = st.floats(1e-4, 0.3)


def law(p: float, rho: float) -> tuple[float, float]:
    return p * (1 / rho - 1), (1 - p) * (1 / rho - 1)


def score(k: int, n: int, p: float, rho: float, draw: float) -> float:
    def one(value: float) -> Floats:
        return np.array([value])

    return float(normal_scores(np.array([k]), np.array([n]), one(p), one(rho), one(draw))[0])


@settings(max_examples=40, deadline=None)
@given(COUNTS, RATES, RHOS, st.floats(0.05, 0.95))
def test_scores_follow_the_law(counts: tuple[int, int], p: float, rho: float, draw: float) -> None:
    """Exact for small counts at either end, within .25 standard deviations where a Beta law stands in."""
    k, n = counts
    a, b = law(p, rho)
    expected = float(ndtri(betabinom.cdf(k - 1, n, a, b) + draw * betabinom.pmf(k, n, a, b)))
    if abs(expected) < 4:
        exact = min(k, n - k) <= 48
        assert abs(score(k, n, p, rho, draw) - expected) < (1e-3 if exact else 0.25)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), RATES, RHOS, st.floats(0.05, 0.95))
def test_scores_grow_with_the_count(n: int, p: float, rho: float, draw: float) -> None:
    k = np.arange(n + 1)
    same = np.ones(n + 1)
    z = normal_scores(k, np.full(n + 1, n), p * same, rho * same, draw * same)
    assert np.all(np.abs(z) <= CLIP + 1e-6)
    summed = np.minimum(k, n - k) <= 48
    assert np.all(np.diff(z[summed & (k <= n / 2)]) > -1e-6)
    assert np.all(np.diff(z[summed & (k > n / 2)]) > -1e-6)
    # Where the sum gives way to the Beta law a score may fall by a little; only there.
    near = np.abs(z) < 3
    assert np.all(np.diff(z)[near[1:] & near[:-1]] > -0.2)


def test_a_window_without_rows_has_no_score() -> None:
    assert np.isnan(score(0, 0, 0.5, 0.01, 0.5))


@settings(max_examples=40, deadline=None)
@given(COUNTS, RATES, RHOS)
def test_the_tail_bound_is_a_bound(counts: tuple[int, int], p: float, rho: float) -> None:
    k, n = counts
    a, b = law(p, rho)
    true = float(betabinom.pmf(np.arange(k, n + 1), n, a, b).sum())
    bound = float(tail_bound(np.array([k]), np.array([n]), np.array([p]), np.array([rho]))[0])
    assert bound >= min(true, 1) * (1 - 1e-6)


def test_the_tail_bound_is_sharp_far_out() -> None:
    a, b = law(0.01, 0.005)
    true = float(betabinom.sf(99, 1000, a, b))
    bound = float(tail_bound(np.array([100]), np.array([1000]), np.array([0.01]), np.array([0.005]))[0])
    assert true <= bound < 1.5 * true
