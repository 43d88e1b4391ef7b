"""Counting many windows in one pass: the same bits as counting each window alone, whatever the order of the rows."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics import kernels
from pitstop.statistics.arrays import Piece, piece, text_piece
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.histogram import Histogram
from pitstop.statistics.repeats import repeats_by_window, row_hashes
from pitstop.statistics.words import cells_of, prepare_words

COUNT = 3
WINDOW = st.integers(-1, COUNT - 1)
NUMBER = st.one_of(
    st.none(),
    st.floats(-10, 10),
    st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf]),
)
WORDS = ("", "a", "b\0", "b", "éclair", "exactly8", "a longer value", "sixteen letters!", "seventeen letters", "x" * 41)
WORD = st.one_of(st.none(), st.sampled_from([*WORDS, "a longer valuE", "seventeen lettErs", "x" * 40 + "y", "unheard"]))
CLOSED = CategoryBins(WORDS[:4], tuple(sorted(WORDS)))
OPEN = CategoryBins(WORDS[:4], (), open=True)
BINS = NumericBins.fit(np.random.default_rng(5).normal(0.0, 4.0, 300))


def windows_of(rows: list[tuple[Any, int]]) -> NDArray[np.int32]:
    return np.array([window for _, window in rows], dtype=np.int32)


@settings(max_examples=150)
@given(st.lists(st.tuples(NUMBER, WINDOW), max_size=80), st.booleans(), st.integers(0, 9))
def test_a_histogram_by_window_is_the_histogram_of_each_window(
    rows: list[tuple[float | None, int]], in_order: bool, skip: int
) -> None:
    rows = sorted(rows, key=lambda row: row[1]) if in_order else rows
    array, windows = pa.array([value for value, _ in rows], pa.float64())[skip:], windows_of(rows[skip:])
    counts = np.zeros((COUNT, Histogram.size_for(BINS)), dtype=np.int64)
    Histogram.count_into(counts, BINS, pa.chunked_array([array[:7], array[7:]]), windows)
    for window in range(COUNT):
        alone = Histogram.empty(BINS).updated(array.filter(pa.array(windows == window)))
        assert np.array_equal(counts[window], alone.vector)


@settings(max_examples=150)
@given(st.lists(st.tuples(WORD, WINDOW), max_size=80), st.sampled_from([CLOSED, OPEN]), st.integers(0, 9))
def test_texts_by_window_are_looked_up_as_python_would(
    rows: list[tuple[str | None, int]], bins: CategoryBins, skip: int
) -> None:
    rows = rows[skip:]
    expected = np.zeros((COUNT, bins.cells + 1), dtype=np.int64)
    for word, window in rows:
        if window >= 0:
            expected[window, -1 if word is None else bins.cell_of(word)] += 1
    plain = pa.array([None] * skip + [word for word, _ in rows], pa.string())[skip:]
    encoded = pa.array([word for word, _ in rows], pa.string()).dictionary_encode()
    small = encoded.cast(pa.dictionary(pa.int8(), pa.string()))
    wide = plain.cast(pa.large_string())
    # A null may stand in the dictionary, and a dictionary may be much longer than its rows.
    inside = plain.dictionary_encode(null_encoding="encode")
    rare = pa.DictionaryArray.from_arrays(
        encoded.indices, pa.concat_arrays([encoded.dictionary, pa.array([f"never {i}" for i in range(400)])])
    )
    for column in (plain, encoded, small, wide, inside, rare, pa.chunked_array([plain[:5], plain[5:]])):
        counts = np.zeros_like(expected)
        CategoryCounts.count_into(counts, bins, column, windows_of(rows))
        assert np.array_equal(counts, expected)
        prepared = prepare_words({word: bins.cell_of(word) for word in bins.known}, bins.cell_of_others)
        if not bins.open:
            found = [-1 if word is None else bins.cell_of(word) for word, _ in rows]
            assert cells_of(column, prepared).tolist() == found


@settings(max_examples=60)
@given(st.lists(st.text(max_size=40), unique=True, max_size=60), st.lists(st.text(max_size=40), max_size=60))
def test_any_vocabulary_finds_its_words_and_no_others(known: list[str], asked: list[str]) -> None:
    prepared = prepare_words({word: cell for cell, word in enumerate(known)}, len(known))
    expected = [known.index(word) if word in known else len(known) for word in [*asked, *known]]
    assert cells_of(pa.array([*asked, *known], pa.string()), prepared).tolist() == expected


def test_reading_texts_stops_at_the_end_of_their_buffer() -> None:
    # Twelve bytes and nothing behind them, which Arrow's own arrays never have.
    data = pa.py_buffer(b"onetwosevenx")
    offsets = pa.py_buffer(np.array([0, 3, 6, 11, 12], dtype=np.int32))
    array = pa.Array.from_buffers(pa.string(), 4, [None, offsets, data])
    prepared = prepare_words({"seven": 0, "x": 1, "one": 2, "two": 3}, 4)
    assert cells_of(array, prepared).tolist() == [2, 3, 0, 1]
    assert text_piece(array).data.ctypes.data == data.address


@pytest.mark.parametrize("order", ["sorted", "random", "runs"])
def test_many_blocks_and_many_windows_are_counted_as_by_definition(order: str) -> None:
    rng = np.random.default_rng(3)
    windows = rng.integers(-1, 40, 50_001).astype(np.int32)
    if order == "runs":  # shorter and longer than the rows that a kernel counts by themselves
        windows = np.repeat(windows, rng.choice([1, 3, 63, 64, 65, 1_000, 1_024, 3_000], windows.size))[:50_001]
    windows = np.sort(windows) if order == "sorted" else windows
    values = rng.normal(0.0, 5.0, windows.size)
    values[rng.random(windows.size) < 0.01] = np.nan
    codes = rng.integers(0, 9, windows.size).astype(np.int32)
    cells = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2], dtype=np.int32)
    scores, groups = rng.random(windows.size), rng.integers(-1, 2, windows.size).astype(np.int32)
    numbers = np.zeros((40, Histogram.size_for(BINS)), dtype=np.int64)
    kernels.count_histogram(Piece(values, None, 0), BINS.prepared, numbers, windows)
    words = np.zeros((40, 4), dtype=np.int64)
    kernels.count_codes(Piece(codes, None, 0), 9, words, cells, windows)
    said = np.zeros((40, 2 * 1002 + 1), dtype=np.int64)
    kernels.count_scores(scores, groups, 2, 1000, said, windows)
    for window in range(40):
        mine = windows == window
        assert np.array_equal(numbers[window], Histogram.empty(BINS).updated(values[mine]).vector)
        assert words[window].tolist() == [*np.bincount(cells[codes[mine]], minlength=3), 0]
        alone = np.zeros(2 * 1002 + 1, dtype=np.int64)
        kernels.count_scores(scores[mine], groups[mine], 2, 1000, alone)
        assert np.array_equal(said[window], alone)


def test_a_wrong_code_in_a_window_is_refused_with_its_row_and_one_that_is_left_out_is_not() -> None:
    codes, windows = np.array([0, 9, 9], dtype=np.int32), np.array([1, -1, 0], dtype=np.int32)
    with pytest.raises(StatisticError, match="row 2 has the code 9"):
        kernels.count_codes(Piece(codes, None, 0), 3, np.zeros((2, 4), np.int64), windows=windows)
    kernels.count_codes(Piece(codes[:2], None, 0), 3, np.zeros((2, 4), np.int64), windows=windows[:2])


def test_bins_of_words_survive_another_process() -> None:
    assert CLOSED.prepared.slots > len(CLOSED.known)
    again = pickle.loads(pickle.dumps(CLOSED))  # noqa: S301 - our own bytes
    assert again == CLOSED
    assert CategoryCounts.empty(again).updated(pa.array(["a", "never"])).counts.tolist() == [0, 1, 0, 0, 0, 1]


VALUE = st.sampled_from([0.0, -0.0, 1.0, 2.0, math.nan, None])


@settings(max_examples=150)
@given(st.lists(st.tuples(VALUE, st.sampled_from(["a", "b", None]), VALUE, WINDOW), max_size=60))
def test_repeated_rows_are_those_that_a_set_has_already(rows: list[tuple[Any, ...]]) -> None:
    seen: set[tuple[Any, ...]] = set()
    expected, sizes = [0] * COUNT, [0] * COUNT
    for first, word, second, window in rows:
        if window < 0:
            continue
        plain = [None if value is None or math.isnan(value) else value + 0.0 for value in (first, second)]
        key = (window, word, *plain)
        expected[window] += key in seen
        sizes[window] += 1
        seen.add(key)
    first = pa.array([row[0] for row in rows], pa.float64())
    words = pa.array([row[1] for row in rows], pa.string())
    second = pa.chunked_array([[row[2] for row in rows[:9]], [row[2] for row in rows[9:]]], pa.float64())
    windows = np.array([row[3] for row in rows], dtype=np.int32)
    for texts in (words, words.dictionary_encode(), pa.chunked_array([words[:4], words[4:]])):
        found = repeats_by_window([first, texts, second], windows, np.array(sizes))
        assert found.tolist() == expected
        split = pa.chunked_array([words[:3].dictionary_encode(), words[3:].dictionary_encode()])
        assert np.array_equal(row_hashes([first, texts, second]), row_hashes([first, split, second]))


def test_repeats_are_found_among_many_rows_that_differ_late() -> None:
    rng = np.random.default_rng(0)
    rows = 20_000
    columns = [pa.array(np.zeros(rows)) for _ in range(6)] + [pa.array(rng.integers(0, 5_000, rows).astype(float))]
    windows = rng.integers(0, 7, rows).astype(np.int32)
    last = columns[-1].to_numpy()
    expected = [int((windows == w).sum() - np.unique(last[windows == w]).size) for w in range(7)]
    assert repeats_by_window(columns, windows, np.bincount(windows)).tolist() == expected
    assert repeats_by_window(columns, None, np.array([rows])).tolist() == [rows - np.unique(last).size]
    assert repeats_by_window([], None, np.array([5])).tolist() == [0]


def test_counting_codes_copies_nothing() -> None:
    array = pa.array(["a", "b", "a"]).dictionary_encode()
    assert piece(array.indices, np.int32).values.ctypes.data == array.indices.buffers()[1].address
