"""Columns that are counted and hashed together: the bits of one after the other, and hashes as numpy defines them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import StatisticError
from pitstop.profile import profile_rows
from pitstop.records import row_words
from pitstop.statistics import stable_rows
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.histogram import Histogram
from pitstop.statistics.layout import Layout
from pitstop.statistics.many_columns import ManyColumns

NUMBERS = NumericBins.fit(np.random.default_rng(5).normal(0.0, 4.0, 300))
WORDS = CategoryBins(("", "a", "b\0"), ("", "a", "b\0", "éclair", "x" * 41))
KIND = {"number": (Histogram, NUMBERS), "word": (CategoryCounts, WORDS), "text": (CategoryCounts, WORDS)}
NUMBER = st.one_of(
    st.none(),
    st.floats(-10, 10),
    st.sampled_from([0.0, -0.0, 1e308, 5e-324, math.nan, -math.nan, math.inf, -math.inf]),
)
WORD = st.sampled_from([None, "", "a", "b\0", "éclair", "x" * 41, "x" * 40 + "y", "unheard"])


@st.composite
def tables(draw: Any) -> list[tuple[str, pa.ChunkedArray]]:
    """Columns of one length in any order: numbers, dictionaries (of nulls too), texts; sliced, in chunks."""
    rows, skip = draw(st.integers(0, 12)), draw(st.integers(0, 9))
    found = []
    for kind in draw(st.lists(st.sampled_from(sorted(KIND)), min_size=1, max_size=5)):
        if kind == "number":
            values = draw(st.lists(NUMBER, min_size=rows + skip, max_size=rows + skip))
            array: pa.Array = pa.array(values, pa.float64())
        elif kind == "text":
            array = pa.array(draw(st.lists(WORD, min_size=rows + skip, max_size=rows + skip)), pa.string())
        else:
            words = pa.array(draw(st.lists(WORD, min_size=1, max_size=4)), pa.string())
            codes = st.one_of(st.none(), st.integers(0, len(words) - 1))
            indices = pa.array(draw(st.lists(codes, min_size=rows + skip, max_size=rows + skip)), pa.int32())
            array = pa.DictionaryArray.from_arrays(indices, words)
        cut = draw(st.integers(0, rows))
        whole = array[skip:]
        found.append((kind, pa.chunked_array([whole[:cut], whole[cut:]] if draw(st.booleans()) else [whole])))
    return found


@settings(max_examples=200)
@given(tables(), st.data())
def test_columns_together_give_the_bits_of_one_after_the_other(
    columns: list[tuple[str, pa.ChunkedArray]], data: Any
) -> None:
    rows = len(columns[0][1])
    windows = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=rows, max_size=rows)), dtype=np.int32)
    sizes = [kind.size_for(bins) for kind, bins in (KIND[name] for name, _ in columns)]  # type: ignore[attr-defined]
    firsts = np.cumsum([5, *sizes])
    together, alone = (np.zeros((3, int(firsts[-1]) + 7), dtype=np.int64) for _ in range(2))
    hashes, expected = row_words.start(rows), row_words.start(rows)
    many = ManyColumns(together, windows, hashes)
    for (name, column), first, size in zip(columns, firsts, sizes, strict=False):
        kind, bins = KIND[name]
        if not many.add(column, bins, int(first)):  # type: ignore[arg-type]
            many.count()
            kind.count_into(together[:, first : first + size], bins, column, windows)  # type: ignore[attr-defined]
            stable_rows.fold(hashes, column)
        counts = np.zeros((3, size), dtype=np.int64)
        kind.count_into(counts, bins, column, windows)  # type: ignore[attr-defined]
        alone[:, first : first + size] = counts
        row_words.fold(expected, column)
    many.count()
    assert np.array_equal(together, alone)
    assert np.array_equal(hashes, expected)


def test_a_code_that_its_dictionary_lacks_is_refused_with_its_row_and_nothing_is_read_there() -> None:
    words = pa.array(["a", "b"])
    wrong = pa.DictionaryArray.from_arrays(pa.array([0, 1, 1 << 30], pa.int32()), words, safe=False)
    good = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), words)
    many = ManyColumns(np.zeros((1, 40), np.int64), np.zeros(3, np.int32), row_words.start(3))
    assert many.add(pa.chunked_array([good]), WORDS, 0)
    assert many.add(pa.chunked_array([wrong]), WORDS, 10)
    with pytest.raises(StatisticError, match="row 2 has the code 1073741824; expected 0 to 1"):
        many.count()


@given(st.integers(0, 2**32 - 1), st.integers(0, 400))
@settings(max_examples=30)
def test_totals_of_all_features_at_once_are_those_of_each(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    edges = [(), (0.0,), (0.0, 1.0), (-1.0, 0.0, 1.0), NUMBERS.edges]
    numeric = tuple((f"x{at}", NumericBins(edge)) for at, edge in enumerate(edges))
    layout = Layout(numeric, (("w", WORDS), ("v", CategoryBins((), ()))), "binary", ("0", "1"))
    words = pa.array(rng.choice(["a", "é", ""], rows), mask=rng.random(rows) < 0.1)
    values = np.where(rng.random(rows) < rng.random(), 0.25, rng.normal(size=rows))
    table = pa.table(
        {name: pa.array(values, mask=rng.random(rows) < 0.1) for name, _ in numeric} | {"w": words, "v": words}
    )
    nothing = np.zeros(rows, np.int32)
    profile = profile_rows(layout, table, nothing * 0.5, nothing > 0, nothing)
    for name, (kind, bins, start, end) in layout.places.items():
        alone = kind(bins, np.concatenate([feature.vector for feature in profile.features.values()])[start:end])
        seen = profile.features[name]
        assert (seen.n, seen.nulls) == (alone.n, alone.nulls)
        assert seen == alone
        if isinstance(seen, Histogram):
            assert seen.alike == alone.alike
            # The totals know it already, unless the bins have no inner cell.
            assert bins.cells <= 2 or name in ("x0", "x1", "x2") or "alike" in seen.__dict__
