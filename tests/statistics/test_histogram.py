"""What is derived from a histogram, against the rows that it was counted from."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.histogram import Histogram

RNG = np.random.default_rng(7)
REFERENCE = RNG.gamma(2.0, 30.0, 20_000)
BINS = NumericBins.fit(REFERENCE)


def count(values: NDArray[np.float64]) -> Histogram:
    return Histogram.empty(BINS).updated(values)


def steps(left: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[float, float]:
    """Return the exact Kolmogorov-Smirnov and Wasserstein-1 distances of two samples."""
    grid = np.sort(np.concatenate([left, right]))
    below = [np.searchsorted(np.sort(side), grid, side="right") / side.size for side in (left, right)]
    gap = np.abs(below[0] - below[1])
    return float(gap.max()), float(np.sum(gap[:-1] * np.diff(grid)))


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 400.0), min_size=1, max_size=100))
def test_the_mean_is_right_to_a_65536th_of_a_cell(values: list[float]) -> None:
    counted = count(np.array(values))
    widest = 2 * float(BINS.half_width.max())
    assert abs(counted.mean - float(np.mean(values))) <= widest * 2**-16 + 1e-9
    assert abs(counted.variance - float(np.var(values))) <= 4 * widest**2 * 2**-16 + 1e-6


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=100))
def test_moments_of_few_distinct_values_are_exact(values: list[int]) -> None:
    counted = Histogram.empty(NumericBins.fit(np.arange(10.0))).updated(np.array(values, dtype=np.float64))
    assert counted.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert counted.variance == pytest.approx(np.var(values), abs=1e-9)


@pytest.mark.parametrize("change", [1.0, 1.05, 1.5])
def test_distances_bound_those_of_the_rows(change: float) -> None:
    current = RNG.gamma(2.0, 30.0, 5_000) * change
    ks, wasserstein = steps(REFERENCE, current)
    ours, reference = count(current), count(REFERENCE)
    assert ours.clipped == 0
    assert ks - 1 / 20 <= ours.kolmogorov_smirnov(reference) <= ks + 1e-12
    assert ours.wasserstein(reference) <= wasserstein + 0.01
    assert ours.wasserstein(reference) >= 0.9 * wasserstein - 0.2


def test_a_shift_within_the_bins_is_seen_by_the_sums_alone() -> None:
    bins = NumericBins((0.0, 10.0, 20.0))
    left, right = (Histogram.empty(bins).updated(np.array(values)) for values in ([2.0, 12.0], [5.0, 15.0]))
    assert left.kolmogorov_smirnov(right) == 0.0
    assert left.wasserstein(right) == pytest.approx(3.0, abs=1e-3)


def test_distances_to_oneself_are_zero() -> None:
    itself = count(REFERENCE)
    for distance in (itself.psi, itself.jensen_shannon, itself.kolmogorov_smirnov, itself.wasserstein):
        assert distance(itself) == 0.0


def test_disjoint_distributions_are_one_apart() -> None:
    bins = NumericBins((0.0, 1.0, 2.0))
    left, right = (Histogram.empty(bins).updated(np.full(100, value)) for value in (0.5, 1.5))
    assert left.jensen_shannon(right) == pytest.approx(1.0)
    assert left.kolmogorov_smirnov(right) == 1.0
    assert left.psi(right) > 5.0


def test_psi_by_hand() -> None:
    bins = CategoryBins(("a", "b"), ("a", "b"))
    left = CategoryCounts.empty(bins).updated(pa.array(["a"] * 30 + ["b"] * 70))
    right = CategoryCounts.empty(bins).updated(pa.array(["a"] * 50 + ["b"] * 50))
    p, q = [30.5 / 102, 70.5 / 102, 0.5 / 102, 0.5 / 102], [50.5 / 102, 50.5 / 102, 0.5 / 102, 0.5 / 102]
    expected = sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert left.psi(right) == pytest.approx(expected)
    assert left.largest_difference(right) == pytest.approx(0.2)


def test_without_rows_everything_derived_is_nan() -> None:
    nothing, reference = Histogram.empty(BINS), count(REFERENCE)
    derived = [nothing.mean, nothing.variance, nothing.psi(reference), nothing.jensen_shannon(reference)]
    derived += [nothing.kolmogorov_smirnov(reference), nothing.wasserstein(reference), *nothing.shares]
    assert all(math.isnan(value) for value in derived)


def test_nulls_nan_infinities_and_far_values_are_told_apart() -> None:
    column = pa.array([1.0, None, math.nan, math.inf, -math.inf, 1e9], pa.float64())
    counted = Histogram.empty(BINS).updated(column)
    assert (counted.n, counted.nulls, counted.nonfinite, counted.clipped, counted.outside, counted.rows) == (
        2,
        2,
        2,
        1,
        1,
        6,
    )


def test_huge_values_do_not_overflow_the_mean() -> None:
    values = np.array([-1e308, 0.0, 1e308, 1.5e308])
    counted = Histogram.empty(NumericBins.fit(values)).updated(values)
    assert counted.mean == pytest.approx(1.5e308 / 4)
    assert counted.variance == math.inf


def test_integers_and_booleans_are_counted_as_numbers() -> None:
    bins = NumericBins((0.0, 1.0, 2.0))
    expected = Histogram.empty(bins).updated(np.array([0.0, 1.0, 1.0]))
    for column in (pa.array([0, 1, 1]), pa.array([False, True, True]), np.array([0, 1, 1], dtype=np.int8)):
        assert Histogram.empty(bins).updated(column) == expected


def test_distances_over_other_bins_are_refused() -> None:
    with pytest.raises(StatisticError, match="over the same bins"):
        count(REFERENCE).psi(Histogram.empty(NumericBins((0.0,))))


@settings(deadline=None)
@given(st.lists(st.sampled_from([1.0, 2.0, 5.0, 9.0]), max_size=60), st.floats(0.0, 400.0))
def test_values_that_are_alike_are_counted(values: list[float], value: float) -> None:
    few = Histogram.empty(NumericBins.fit(np.array([1.0, 2.0, 5.0, 9.0] * 30))).updated(np.array(values))
    assert few.alike == max((values.count(each) for each in set(values)), default=0)
    inside = BINS.edges[0] <= value < BINS.edges[-1]
    assert count(np.full(50, value)).alike == 50 * inside
    # Beside values that differ within its cell, a value is not told: the count is a lower bound.
    assert count(np.append(REFERENCE, np.full(50, value))).alike < 50


def test_values_that_are_nearly_equal_count_as_alike_and_a_spread_does_not() -> None:
    middle = BINS.edges[10]
    width = BINS.edges[11] - middle
    assert count(middle + width * (0.5 + 0.005 * RNG.normal(size=200))).alike == 200
    assert count(middle + width * RNG.uniform(size=200)).alike == 0
    assert count(np.array([])).alike == 0
    assert Histogram.empty(NumericBins(())).updated(np.ones(9)).alike == 0


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 2.0, 5.0, 9.0]), max_size=60),
    st.lists(st.floats(1.0, 9.0), max_size=20),
    st.integers(1, 3),
)
def test_values_between_known_ones_are_counted_from_below(known: list[float], other: list[float], times: int) -> None:
    few = Histogram.empty(NumericBins.fit(np.array([1.0, 2.0, 5.0, 9.0])))
    assert few.updated(np.array(known)).between == 0
    new = sum(value not in (1.0, 2.0, 5.0, 9.0) for value in other)
    assert few.updated(np.array(known + other * times)).between <= new * times
    # A thousandth of the values 2, or all of one new value, is counted whole where positions are kept in full.
    assert few.updated(np.array([*known, *[3.5] * 30])).between >= 29
    assert 0 < few.updated(np.full(24, 1.001)).between <= 24


@pytest.mark.parametrize("values", [REFERENCE[:500], REFERENCE[:9] * 1e-3, np.full(30, 40.0), REFERENCE[:300] * 5])
def test_the_relative_variance_is_that_of_the_values_over_the_squared_range(values: NDArray[np.float64]) -> None:
    span = BINS.edges[-1] - BINS.edges[0]
    inside = np.clip(values, BINS.edges[0] - span, BINS.edges[-1] + span)
    assert count(values).relative_variance == pytest.approx(np.var(inside) / span**2, rel=0.01, abs=1e-5)
    assert count(np.array([])).relative_variance == 0
    assert Histogram.empty(NumericBins(())).updated(np.ones(9)).relative_variance == 0
    huge = Histogram.empty(NumericBins((-1e308, 0.0, 1e308))).updated(np.array([-1e308, 1e308]))
    assert huge.relative_variance == pytest.approx(0.25)
