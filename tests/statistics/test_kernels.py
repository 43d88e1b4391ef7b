"""The compiled kernels against their definition in numpy, bit for bit."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics import kernels
from pitstop.statistics.arrays import Piece, piece
from pitstop.statistics.bins import NumericBins

Ints = NDArray[np.int64]
FLOATS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-10, 10),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, 1e308, -1e308, 5e-324, math.nan, math.inf]),
)
EDGES = st.lists(
    st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.floats(-10, 10), st.integers(-9, 9).map(float)),
    unique_by=lambda edge: edge + 0.0,
    max_size=45,
).map(lambda edges: NumericBins(tuple(sorted(edge + 0.0 for edge in edges))))


def histogram_by_definition(values: NDArray[np.float64], valid: NDArray[np.bool_], bins: NumericBins) -> Ints:
    """Cell: the number of edges at or below the value. Position: truncated 2^16 x offset / width, within 0..65535."""
    x = values[valid]
    finite = x[np.isfinite(x)]
    cell = np.searchsorted(np.array(bins.edges), finite, side="right")
    with np.errstate(over="ignore"):
        exact = (finite * 0.5 - bins.half_left[cell]) * bins.inverse[cell]
    position = np.trunc(np.clip(exact, 0.0, 65535.0)).astype(np.int64)
    outside = ~((exact >= 0) & (exact < 65536)) & ((cell == 0) | (cell == bins.cells - 1))
    state = np.zeros((3, bins.cells), dtype=np.int64)
    for row, amount in enumerate((np.ones_like(position), position, position * position >> 16)):
        np.add.at(state[row], cell, amount)
    nulls = int((~valid).sum() + np.isnan(x).sum())
    return np.concatenate([state.ravel(), [nulls, int(np.isinf(x).sum()), int(outside.sum())]])


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(st.none(), FLOATS), max_size=60), EDGES, st.integers(0, 11))
def test_the_histogram_is_its_definition(values: list[Any], bins: NumericBins, skip: int) -> None:
    on_edges = [value for edge in bins.edges for value in (edge, math.nextafter(edge, math.inf))]
    array = pa.array([*values, *on_edges], pa.float64())[skip:]
    state = np.zeros(3 * bins.cells + 3, dtype=np.int64)
    kernels.count_histogram(piece(array, np.float64), bins.prepared, state)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    assert np.array_equal(
        state, histogram_by_definition(np.array(array.to_numpy(zero_copy_only=False), dtype=np.float64), valid, bins)
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_histogram_is_its_definition_over_many_blocks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = [
        rng.normal(size=70_001),
        rng.lognormal(0, 4, 70_001),
        rng.integers(0, 9, 70_001) * 1.0,
        rng.random(70_001) * 1e-308,
    ]
    values = np.asarray(samples[seed], dtype=np.float64)
    bins = NumericBins.fit(values)
    mask = rng.random(values.size) < 0.1
    array = pa.array(values * 1.3, mask=mask)[5:]
    state = np.zeros(3 * bins.cells + 3, dtype=np.int64)
    kernels.count_histogram(piece(array, np.float64), bins.prepared, state)
    kernels.count_histogram(piece(array, np.float64), bins.prepared, state)
    assert np.array_equal(state, 2 * histogram_by_definition(values[5:] * 1.3, ~mask[5:], bins))


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 6)), max_size=60), st.integers(0, 11))
def test_codes_are_counted_as_bincount_does(codes: list[int | None], skip: int) -> None:
    array = pa.array(codes, pa.int32())[skip:]
    counts = np.zeros(8, dtype=np.int64)
    kernels.count_codes(piece(array, np.int32), 7, counts)
    known = [code for code in codes[skip:] if code is not None]
    expected = [*np.bincount(np.array(known, dtype=np.int64), minlength=7), len(codes[skip:]) - len(known)]
    assert counts.tolist() == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(st.just(math.nan), st.floats(0, 1)), st.integers(-1, 3)), max_size=60))
def test_scores_are_rounded_half_up_into_their_bin(rows: list[tuple[float, int]]) -> None:
    scores, groups = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=np.int32)
    counts = np.zeros(4 * 1002 + 1, dtype=np.int64)
    kernels.count_scores(scores, groups, 4, 1000, counts)
    expected = np.zeros_like(counts)
    for score, group in rows:
        at = 4 * 1002 if group < 0 else group * 1002 + (1001 if math.isnan(score) else math.floor(score * 1000 + 0.5))
        expected[at] += 1
    assert np.array_equal(counts, expected)


@pytest.mark.parametrize("score", [-1e-9, 1.0000001, math.inf, -math.inf])
def test_a_score_that_is_no_probability_is_refused_with_its_row(score: float) -> None:
    with pytest.raises(StatisticError, match="row 1 has the score"):
        kernels.count_scores(np.array([0.5, score]), np.zeros(2, np.int32), 1, 1000, np.zeros(1003, np.int64))


@pytest.mark.parametrize("code", [-1, 3])
def test_a_code_outside_its_dictionary_is_refused_with_its_row(code: int) -> None:
    codes = np.array([0, 2, code], dtype=np.int32)
    with pytest.raises(StatisticError, match="row 2 has the code"):
        kernels.count_codes(Piece(codes, None, 0), 3, np.zeros(4, np.int64))


def test_counting_does_not_copy_the_column() -> None:
    array = pa.array(np.arange(10.0))[3:]
    assert piece(array, np.float64).values.ctypes.data == array.buffers()[1].address + 3 * 8


def test_threads_count_at_the_same_time_without_disturbing_each_other() -> None:
    values = np.random.default_rng(8).normal(size=400_000)
    bins = NumericBins.fit(values[:1000])

    def count(part: NDArray[np.float64]) -> Ints:
        state = np.zeros(3 * bins.cells + 3, dtype=np.int64)
        kernels.count_histogram(Piece(part, None, 0), bins.prepared, state)
        return state

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(count, np.array_split(values, 16)))
    assert np.array_equal(np.sum(parts, axis=0), count(values))


def test_a_missing_library_names_the_way_out(tmp_path: Path) -> None:
    code = (
        "import ctypes, pathlib, sys\n"
        "real = ctypes.CDLL\n"
        "def gone(name, *rest):\n"
        "    if '_kernels' in str(name):\n"
        "        raise OSError(f'{name}: cannot open shared object file')\n"
        "    return real(name, *rest)\n"
        "ctypes.CDLL = gone\n"
        "import pitstop.statistics.kernels\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert "pip install --force-reinstall pitstop" in done.stderr
