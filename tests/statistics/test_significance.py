"""The tests behind `check` hold their level, and agree with what is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.statistics.significance import (
    counts_p,
    kolmogorov_smirnov,
    kolmogorov_smirnov_p,
    normal_p,
    one_sided_only_p,
    rate_p,
)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_the_rate_test_is_fishers(hits: int, misses: int, other_hits: int, other_misses: int) -> None:
    rows, others, marked = hits + misses, other_hits + other_misses, hits + other_hits
    if rows == 0 or others == 0:
        return
    weights = {
        k: math.comb(others, k) * math.comb(rows, marked - k)
        for k in range(max(0, marked - rows), min(marked, others) + 1)
    }
    total = sum(weights.values())
    low = sum(weight for k, weight in weights.items() if k <= other_hits) / total
    high = sum(weight for k, weight in weights.items() if k >= other_hits) / total
    assert rate_p(hits, rows, other_hits, others) == pytest.approx(min(1.0, 2 * min(low, high)), abs=1e-9)


def test_the_rate_test_stands_large_counts() -> None:
    assert rate_p(500_000, 1_000_000, 500_300, 1_000_000) > 0.5
    assert rate_p(500_000, 1_000_000, 505_000, 1_000_000) < 1e-10


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_the_distance_is_the_largest_gap_of_the_distribution_functions(left: list[float], right: list[float]) -> None:
    first, second = np.array(left), np.array(right)
    gaps = [abs(np.mean(first <= value) - np.mean(second <= value)) for value in (*left, *right)]
    assert kolmogorov_smirnov(first, second) == pytest.approx(max(gaps))
    assert kolmogorov_smirnov(second, first) == pytest.approx(max(gaps))


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_equal_populations_are_rarely_called_different(seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers, classes = [], []
    for _ in range(200):
        first, second = rng.normal(size=80), rng.normal(size=120)
        numbers.append(kolmogorov_smirnov_p(kolmogorov_smirnov(first, second), 80, 120) < 0.05)
        shares = [0.5, 0.3, 0.15, 0.05]
        classes.append(counts_p(rng.multinomial(80, shares), rng.multinomial(120, shares)) < 0.05)
    # 200 tries at 5%: 25 or more would be five standard deviations above the ten expected.
    assert sum(numbers) < 25
    assert sum(classes) < 25


def test_known_values() -> None:
    assert normal_p(1.959964) == pytest.approx(0.05, abs=1e-6)
    assert kolmogorov_smirnov_p(1.358 / math.sqrt(5e5), 10**6, 10**6) == pytest.approx(0.05, abs=1e-3)
    # Chi-square of 11.07 with five degrees of freedom is the 95% point.
    assert counts_p(np.array([100] * 6), np.array([100] * 6)) == pytest.approx(1.0, abs=1e-3)
    assert one_sided_only_p(3, 0.5) == 0.125
    assert counts_p(np.array([5000, 5000]), np.array([5200, 4800])) == pytest.approx(0.00464, rel=0.02)
