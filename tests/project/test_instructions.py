"""The speed that may not be lost, guarded without a clock's threshold: what is done a row, and ratios within one run.

A day of rows costs a fixed number of Python calls however many rows it has, no copy of its columns, and at most a few
times what numpy needs to read the same values.
"""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.engines.counting import Reading, RowCounter
from pitstop.profile import Layout, Profile, profile_windows
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec
from pitstop.statistics import kernels, leaf_tests
from pitstop.statistics.arrays import Piece, text_piece
from pitstop.statistics.bins import CategoryBins, NumericBins

NAMES = ("a", "b", "c", "word", "code")
SPEC = ModelSpec(
    ModelSection("guard", "binary"), ColumnsSection(time="at", features=NAMES, categorical=NAMES[3:], label="@label")
)
# A call costs some memory whatever the rows: results, tables of a window's places, one leaf and one code for a row.
BYTES_A_ROW = 48


def table_of(rows: int) -> pa.Table:
    rng = np.random.default_rng(rows)
    words = rng.choice(["red", "green", "a rather longer colour", "blue"], rows)
    numbers = {name: pa.array(rng.normal(size=rows)) for name in NAMES[:3]}
    texts = {"word": pa.array(words), "code": pa.array(words).dictionary_encode()}
    return pa.table({**numbers, **texts, "@label": pa.array(rng.choice(["0", "1"], rows))})


LAYOUT = Layout.fit(SPEC, table_of(2_000))


def counting(rows: int, wrap: Callable[[Any], Any] = lambda column: column) -> Callable[[], Any]:
    """Return the profiling of a table of `rows` rows by window; everything that it is given exists beforehand."""
    table, rng = table_of(rows), np.random.default_rng(0)
    scores, leaves = rng.random(rows), rng.integers(0, 64, rows).astype(np.int32)
    windows = np.sort(rng.integers(0, 5, rows)).astype(np.int32)
    decided = wrap(scores >= 0.5)
    return lambda: profile_windows(LAYOUT, table, windows, 5, scores, decided, leaves)


def calls(action: Callable[[], Any]) -> int:
    """Return how many functions, of Python and of C, are called meanwhile."""
    found = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal found
        found += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return found


def per_row(wrap: Callable[[Any], Any] = lambda column: column) -> float:
    """Return the calls that each further row costs."""
    small, large = counting(2_000, wrap), counting(12_000, wrap)
    small()
    large()
    return (calls(large) - calls(small)) / 10_000


def test_no_python_is_called_for_a_row() -> None:
    assert per_row() < 0.005


def test_the_guard_finds_one_call_a_row() -> None:
    assert per_row(_PerValue) > 0.9


def counting_columns(columns: int) -> Callable[[], Any]:
    """Return the counting of a batch of that many columns, half of them categories, as a pass does it."""
    rng = np.random.default_rng(0)
    names = [f"{'x' if at % 2 else 'k'}{at}" for at in range(columns)]
    word = pa.array(["a", "b", "c"] * 20).dictionary_encode()
    table = pa.table({name: pa.array(rng.normal(size=60)) if name[0] == "x" else word for name in names})
    rows = pa.table({"at": pa.array(np.arange(60) * 3_600_000_000, pa.timestamp("us")), "score": rng.random(60)})
    categorical = tuple(name for name in names if name[0] == "k")
    spec = ModelSpec(
        ModelSection("wide", "binary"),
        ColumnsSection(time="at", score="score", features=tuple(names), categorical=categorical),
    )
    numbers = tuple((name, NumericBins.fit(table[name])) for name in names if name[0] == "x")
    words = tuple((name, CategoryBins.fit(table[name])) for name in categorical)
    counter = RowCounter(Reading(spec, Layout(numbers, words, "binary", ("0", "1"))))
    assert counter.begin(rows)
    return lambda: counter.add(table)


def test_a_column_of_a_batch_costs_few_calls() -> None:
    # Of 5,000 columns in parts of some thousand rows, calls once cost more than counting. It is 12 of them now.
    few, many = counting_columns(50), counting_columns(250)
    few()
    many()
    assert (calls(many) - calls(few)) / 200 < 25


class _PerValue:
    """A column that hands out its values one by one, as a wrong implementation would read them."""

    def __init__(self, column: Any) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.array([self._value(index) for index in range(len(self._column))])

    def _value(self, index: int) -> bool:
        return bool(self._column[index])


def test_a_table_is_not_copied_to_be_counted() -> None:
    small, large = counting(2_000), counting(102_000)

    def peak(action: Callable[[], Any]) -> int:
        action()
        before = int(pa.total_allocated_bytes())
        tracemalloc.start()
        action()
        most = int(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        return most + max(int(pa.total_allocated_bytes()) - before, 0)

    assert (peak(large) - peak(small)) / 100_000 < BYTES_A_ROW


def times(action: Callable[[], Any], yardstick: Callable[[], Any], runs: int = 15) -> float:
    """Return the median of how many times the processor time of `yardstick` the action takes, run in turn."""
    ratios = []
    for _ in range(runs):
        took = []
        for do in (action, yardstick):
            start = time.thread_time()
            do()
            took.append(time.thread_time() - start)
        ratios.append(took[0] / took[1])
    return statistics.median(ratios)


@pytest.mark.parametrize("in_order", [True, False])
def test_counting_a_number_costs_a_fraction_of_searching_its_bin_in_numpy(in_order: bool) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=100_000)
    bins = NumericBins.fit(values)
    windows = rng.integers(0, 30, values.size).astype(np.int32)
    windows = np.sort(windows) if in_order else windows
    state = np.zeros((30, 3 * bins.cells + 3), dtype=np.int64)
    edges = np.array(bins.edges)
    ratio = times(
        lambda: kernels.count_histogram(Piece(values, None, 0), bins.prepared, state, windows),
        lambda: np.searchsorted(edges, values, side="right"),
    )
    # Measured: 0.15 in order of time, 0.3 in any order. A kernel that searches, or branches a value, is above 1.
    assert ratio < 0.75


def test_looking_words_up_costs_less_than_encoding_them() -> None:
    rng = np.random.default_rng(0)
    words = pa.array(rng.choice([f"the value {number}" for number in range(40)], 100_000))
    bins = CategoryBins.fit(words)
    counts = np.zeros(bins.cells + 1, dtype=np.int64)
    from_scratch = times(lambda: kernels.count_texts(text_piece(words), bins.prepared, counts), words.dictionary_encode)
    # Measured: 0.45. One look-up a row in a Python dict is above 3.
    assert from_scratch < 0.9
    assert times(lambda: [bins.cell_of(word) for word in words.to_pylist()], words.dictionary_encode, 3) > 0.9


def test_a_dictionary_of_texts_costs_less_than_arrows() -> None:
    rng = np.random.default_rng(0)
    words = pa.array(rng.choice([f"the value {number}" for number in range(40)], 100_000))
    piece = text_piece(words)
    # Measured: 0.45. One that branches on the length of a text, or hashes it byte by byte, is above 0.9.
    assert times(lambda: kernels.encode_texts(piece, 2_048), words.dictionary_encode) < 0.8


def test_a_month_is_added_up_at_once() -> None:
    table, rows = table_of(3_000), 3_000
    windows = np.repeat(np.arange(30, dtype=np.int32), rows // 30)
    scores, leaves = np.random.default_rng(0).random(rows), np.zeros(rows, np.int32)
    days = profile_windows(LAYOUT, table, windows, 30, scores, scores >= 0.5, leaves)
    kept = [Profile.unpack(LAYOUT, day.pack()) for day in days]
    ratio = times(lambda: Profile.total(LAYOUT, kept), lambda: reduce(Profile.merged, kept), 7)
    # Measured: 0.1; up to 0.2 on a machine with a load of 16.
    assert ratio < 0.4


def test_a_leaf_costs_a_fraction_of_comparing_in_numpy() -> None:
    rng = np.random.default_rng(0)
    values, thresholds = rng.normal(size=100_000), np.linspace(-2, 2, 21)
    masks = rng.integers(0, 2**63, thresholds.size).astype(np.uint64) | np.uint64(2**63)
    tests, order = [leaf_tests.LeafTest(Piece(values, None, 0), masks, thresholds)], np.arange(64, dtype=np.int32)

    def in_numpy() -> None:
        reach = np.full(values.size, 2**64 - 1, dtype=np.uint64)
        for threshold, mask in zip(thresholds, masks, strict=True):
            reach[values >= threshold] &= mask

    # Measured: 0.03; without wide vectors 0.16.
    assert times(lambda: leaf_tests.find_leaves(tests, order, values.size), in_numpy, 5) < 0.3
