"""Equal rows have equal hashes, in every encoding and cut; other rows have others."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.records.row_words import finished, stable_hashes, words

VALUES = {
    "number": (pa.float64(), st.one_of(st.none(), st.sampled_from([0.0, -0.0, math.nan, 1.0, 1.5, 1e300, math.inf]))),
    "whole": (pa.int64(), st.one_of(st.none(), st.sampled_from([0, 1, -1, 2**62]))),
    "text": (pa.string(), st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["ab", "ba", "abab"]))),
    "flag": (pa.bool_(), st.one_of(st.none(), st.booleans())),
    "day": (pa.date32(), st.one_of(st.none(), st.sampled_from([date(2024, 1, 1), date(1969, 1, 1)]))),
    "moment": (pa.timestamp("ms"), st.one_of(st.none(), st.just(datetime(2024, 1, 1, 5)))),  # noqa: DTZ001 - as files
    "bytes": (pa.binary(), st.one_of(st.none(), st.sampled_from([b"", b"\xff", b"\xff\xff"]))),
}
TABLES = st.integers(1, 12).flatmap(
    lambda rows: st.fixed_dictionaries(
        {name: st.lists(values, min_size=rows, max_size=rows) for name, (_, values) in VALUES.items()}
    )
)


def same(value: Any) -> Any:
    """What the hash takes as one value: missing and NaN, both zeros."""
    return None if isinstance(value, float) and math.isnan(value) else value


@settings(max_examples=60)
@given(TABLES)
def test_hashes_are_equal_where_rows_are(columns: dict[str, list[Any]]) -> None:
    arrays = [pa.array(values, VALUES[name][0]) for name, values in columns.items()]
    hashes = stable_hashes(arrays, len(arrays[0])).tolist()
    rows = list(zip(*([same(value) for value in values] for values in columns.values()), strict=True))
    assert [[a == b for b in hashes] for a in hashes] == [[a == b for b in rows] for a in rows]


@settings(max_examples=30)
@given(st.lists(VALUES["text"][1], min_size=1, max_size=30), st.integers(0, 30))
def test_texts_hash_alike_however_they_are_kept(texts: list[str | None], cut: int) -> None:
    plain = pa.array(texts, pa.string())
    expected = words(plain).tolist()
    halves = pa.chunked_array([plain.slice(0, cut), plain.slice(min(cut, len(plain)))])
    coded = plain.dictionary_encode()
    for other in (
        halves,
        coded,
        coded.cast(pa.dictionary(pa.int8(), pa.large_string())),
        plain.cast(pa.large_string()),
    ):
        assert words(other).tolist() == expected
    padded = pa.concat_arrays([pa.array(["other"]), plain]).slice(1)
    assert words(padded).tolist() == expected


def test_a_null_in_the_dictionary_is_a_null() -> None:
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["a", None]))
    assert words(coded).tolist() == words(pa.array(["a", None, None])).tolist()


def test_the_order_of_columns_counts_and_a_million_rows_do_not_collide() -> None:
    grid = np.arange(1_000_000)
    first, second = pa.array(grid % 1000 * 0.5), pa.array(grid // 1000 * 0.25)
    hashes = stable_hashes([first, second], grid.size)
    assert np.unique(hashes).size == grid.size
    assert (stable_hashes([second, first], grid.size) != hashes).mean() > 0.99


@pytest.mark.parametrize("column", [np.arange(200_000) / 8, np.arange(200_000)])
def test_leading_bits_are_as_good_as_random(column: Any) -> None:
    counts = np.bincount((stable_hashes([pa.array(column)], column.size) >> np.uint64(56)).astype(int), minlength=256)
    expected = column.size / 256
    # Chi-square with 255 degrees of freedom: mean 255, standard deviation 22.6.
    assert abs(float(np.sum((counts - expected) ** 2) / expected) - 255) < 5 * 22.6
    assert np.unique(finished(np.arange(1000, dtype=np.uint64))).size == 1000
