"""Bins: what they divide, and how they are fitted."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StatisticError
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.histogram import Histogram

VALUES = st.lists(
    st.one_of(st.floats(), st.none(), st.integers(-3, 3).map(float), st.sampled_from([1e308, -1e308, 5e-324])),
    max_size=120,
)
LARGEST = 1.7976931348623157e308


@settings(deadline=None)
@given(VALUES, st.integers(1, 30))
def test_fitted_edges_increase_and_hold_the_reference_inside(values: list[Any], count: int) -> None:
    column = pa.array(values, pa.float64())
    bins = NumericBins.fit(column, count)
    counted = Histogram.empty(bins).updated(column)
    finite = [value for value in values if value is not None and math.isfinite(value)]
    assert all(left < right for left, right in zip(bins.edges, bins.edges[1:], strict=False))
    assert bins.cells == len(bins.edges) + 1 == len(bins.names())
    assert counted.n == len(finite)
    if finite and max(finite) < LARGEST:
        assert counted.outside == 0


@settings(deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=300), st.integers(1, 10))
def test_few_distinct_values_get_a_bin_each(values: list[int], count: int) -> None:
    distinct = sorted(set(values))
    bins = NumericBins.fit(np.array(values, dtype=np.float64), count)
    if len(distinct) <= 2 * count:
        assert bins.edges[:-1] == tuple(float(value) for value in distinct)
        assert bins.edges[-1] == math.nextafter(distinct[-1], math.inf)
    else:
        assert len(bins.edges) <= count + 1


def test_quantile_bins_hold_equal_shares() -> None:
    values = np.random.default_rng(3).lognormal(0, 2, 10_000)
    counts = Histogram.empty(NumericBins.fit(values)).updated(values).counts
    assert counts[1:-1].tolist() == [500] * 20


def test_a_column_without_a_finite_value_has_one_cell() -> None:
    for column in (pa.nulls(5, pa.float64()), pa.array([math.nan, math.inf], pa.float64()), np.zeros(0)):
        assert NumericBins.fit(column) == NumericBins(())
    assert NumericBins(()).names() == ("any value",)


def test_a_constant_has_its_own_cell_and_all_else_is_outside() -> None:
    bins = NumericBins.fit(np.full(10, 3.0))
    assert Histogram.empty(bins).updated(np.array([2.9, 3.0, 3.1])).counts.tolist() == [1, 1, 1]
    assert bins.names() == ("below 3", "3", "above 3")


def test_zero_and_minus_zero_make_the_same_bins() -> None:
    assert NumericBins.fit(np.array([-0.0, 1.0])).id == NumericBins.fit(np.array([0.0, 1.0])).id


def test_the_last_bit_of_an_edge_changes_the_id() -> None:
    assert NumericBins((0.0, 1.0)).id != NumericBins((0.0, math.nextafter(1.0, 2.0))).id


@pytest.mark.parametrize("edges", [(1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan,)])
def test_edges_that_do_not_divide_the_line_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(StatisticError, match="edges must"):
        NumericBins(edges)


def test_bins_survive_pickling_although_the_kernel_form_holds_addresses() -> None:
    bins = NumericBins.fit(np.arange(100.0))
    before = Histogram.empty(bins).updated(np.arange(100.0))
    again = pickle.loads(pickle.dumps(bins))  # noqa: S301 - our own bytes, as a process pool would pass them
    assert Histogram.empty(again).updated(np.arange(100.0)) == before


def test_text_is_no_number() -> None:
    with pytest.raises(StatisticError, match="expected numbers"):
        NumericBins.fit(pa.array(["1", "2"]))


def test_the_top_categories_are_ordered_by_count_then_name() -> None:
    bins = CategoryBins.fit(pa.array(["b", "b", "a", "a", "c", None, "d"]), top=3)
    assert bins.values == ("a", "b", "c")
    assert bins.known == ("a", "b", "c", "d")
    assert bins.names() == ("a", "b", "c", "other", "unseen")


def test_known_unseen_and_null_are_told_apart() -> None:
    bins = CategoryBins(("a",), ("a", "b"))
    counted = CategoryCounts.empty(bins).updated(pa.array(["a", "b", "never", None, "a"]))
    assert (counted.counts.tolist(), counted.unseen, counted.nulls, counted.rows) == ([2, 1, 1], 1, 1, 5)


def test_beyond_its_limit_a_vocabulary_is_open_and_nothing_is_unseen() -> None:
    bins = CategoryBins.fit(pa.array([f"v{index:06}" for index in range(10_001)]))
    assert bins.open
    assert bins.known == ()
    assert CategoryCounts.empty(bins).updated(pa.array(["never", "v000000"])).counts.tolist() == [1, *[0] * 19, 1, 0]
    assert not CategoryBins.fit(pa.array([f"v{index:06}" for index in range(10_000)])).open


def test_a_hundred_thousand_categories_are_counted() -> None:
    values = pa.array([f"v{index % 100_000}" for index in range(150_000)]).dictionary_encode()
    counted = CategoryCounts.empty(CategoryBins.fit(values)).updated(values)
    assert counted.n == 150_000
    assert int(counted.counts[:20].sum()) == 40


def test_a_category_outside_its_vocabulary_is_refused() -> None:
    with pytest.raises(StatisticError, match="'z'"):
        CategoryBins(("z",), ("a",))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.large_string())])
def test_every_arrow_form_of_a_text_is_counted_alike(kind: Any) -> None:
    plain = pa.array(["a", None, "b", "a"])
    bins = CategoryBins(("a", "b"), ("a", "b"))
    expected = CategoryCounts.empty(bins).updated(plain)
    form = plain.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else plain.cast(kind)
    assert CategoryCounts.empty(bins).updated(form) == expected
    assert CategoryCounts.empty(bins).updated(pa.chunked_array([form[:1], form[1:]])) == expected


def test_a_null_within_the_dictionary_is_a_null() -> None:
    encoded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, None], pa.int32()), pa.array([None, "a"]))
    counted = CategoryCounts.empty(CategoryBins(("a",), ("a",))).updated(encoded)
    assert (counted.n, counted.nulls) == (1, 3)
