import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom

from pitstop.detection.beta_binomial import tail_bound

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
RATES = st.floats(0.01, 0.99)
RHOS = st.floats(1e-4, 0.3)


def law(p: float, rho: float) -> tuple[float, float]:
    return p * (1 / rho - 1), (1 - p) * (1 / rho - 1)


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
