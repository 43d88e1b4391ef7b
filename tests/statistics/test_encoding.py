"""Plain texts as a dictionary of them: the same texts, the same counts, and vectors of any width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.statistics import kernels
from pitstop.statistics.arrays import Piece
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.leaf_tests import LeafTest, find_leaves
from pitstop.statistics.repeats import row_hashes
from pitstop.statistics.words import encoded

# Lengths on both sides of 8, 16 and 24, where another number of words says all; some differ in one byte only.
LENGTHS = (0, 1, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 60)
WORDS = [
    text
    for size in LENGTHS
    for text in ("x" * size, "x" * (size // 2) + "y" + "x" * (size - size // 2 - 1), "é" * size)
]
WORD = st.one_of(st.none(), st.sampled_from(WORDS), st.text(max_size=30))


@settings(max_examples=200)
@given(st.lists(WORD, max_size=60), st.integers(0, 9), st.integers(0, 60), st.booleans())
def test_a_dictionary_holds_the_same_texts(words: list[str | None], skip: int, cut: int, large: bool) -> None:
    array = pa.array(words, pa.large_string() if large else pa.string())[skip:]
    column = pa.chunked_array([array[:cut], array[cut:]], array.type)
    found = encoded(column)
    assert pa.types.is_dictionary(found.type)
    assert found.to_pylist() == column.to_pylist()
    assert all(len(set(chunk.dictionary.to_pylist())) == len(chunk.dictionary) for chunk in found.chunks)
    bins = CategoryBins.fit(pa.array(WORDS[:25]), top=5)
    assert CategoryCounts.empty(bins).updated(found) == CategoryCounts.empty(bins).updated(column)
    assert np.array_equal(row_hashes([found]), row_hashes([column]))


def test_many_different_texts_and_other_columns_stay_as_they_are() -> None:
    many = pa.chunked_array([[f"customer {number}" for number in range(2_049)]])
    assert encoded(many) is many
    assert pa.types.is_dictionary(encoded(many[:2_048]).type)
    numbers = pa.chunked_array([[1.0, 2.0]])
    assert encoded(numbers) is numbers


@pytest.fixture(name="narrow")
def _narrow() -> Iterator[None]:
    """Run the bodies without wide vectors."""
    kernels.use_wide(use=False)
    yield
    kernels.use_wide(use=True)


def _counted(seed: int) -> list[NDArray[Any]]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=5_003) * 10.0 ** rng.integers(-300, 300, 5_003)
    values[rng.integers(0, values.size, 40)] = rng.choice([np.nan, np.inf, -np.inf, -0.0, 0.0], 40)
    bins = NumericBins.fit(values)
    windows = np.sort(rng.integers(-1, 4, values.size)).astype(np.int32)
    state = np.zeros((4, 3 * bins.cells + 3), dtype=np.int64)
    kernels.count_histogram(Piece(values, None, 0), bins.prepared, state, windows)
    masks = rng.integers(0, 2**63, (3, 5)).astype(np.uint64) | np.uint64(2**63)
    tests = [LeafTest(Piece(values[::-1].copy(), None, 0), masks[0], np.sort(rng.choice(values, 5)))]
    tests.append(LeafTest(Piece(rng.integers(0, 5, values.size).astype(np.int32), None, 0), masks[1]))
    return [state, find_leaves(tests, np.arange(64, dtype=np.int32), values.size)]


@pytest.mark.parametrize("seed", range(5))
def test_narrow_and_wide_vectors_count_the_same_bits(seed: int, request: pytest.FixtureRequest) -> None:
    wide = _counted(seed)
    request.getfixturevalue("narrow")
    assert all(np.array_equal(*pair) for pair in zip(wide, _counted(seed), strict=True))


@pytest.mark.parametrize("rows", [0, 1, 15, 17, 1_023, 1_041, 30_011])
def test_leaves_are_those_of_their_definition_whatever_shares_the_rows(rows: int) -> None:
    rng = np.random.default_rng(rows)
    values, codes = rng.normal(size=rows), rng.integers(0, 3, rows).astype(np.int32)
    values[rng.random(rows) < 0.1] = np.nan
    thresholds = np.array([-1.0, 0.0, 0.5])
    masks = rng.integers(0, 2**63, 6).astype(np.uint64) | np.uint64(2**63)
    tests = [LeafTest(Piece(values, None, 0), masks[:3], thresholds), LeafTest(Piece(codes, None, 0), masks[3:])]
    reach = np.full(rows, 2**64 - 1, dtype=np.uint64)
    for threshold, mask in zip(thresholds, masks[:3], strict=True):
        reach[values >= threshold] &= mask
    reach &= masks[3:][codes]
    expected = [(int(word) & -int(word)).bit_length() - 1 for word in reach]
    for threads in (1, 2, 3):
        assert find_leaves(tests, np.arange(64, dtype=np.int32), rows, threads).tolist() == expected
