"""Nanoseconds a value of the counting kernels, beside the same counts in numpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.result import Bar, Result
from pitstop.statistics import kernels
from pitstop.statistics.arrays import Piece, piece
from pitstop.statistics.bins import NumericBins

Floats = NDArray[np.float64]


def run(quick: bool, data: Path | None) -> Result:  # noqa: ARG001 - the frame's signature; the values are drawn here
    """Measure on values in memory (best of many runs, one thread). The bars compare within this run."""
    size, repeats = (100_000, 20) if quick else (200_000, 60)
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    alone, alike = [], []
    for name, values in _samples(rng, size).items():
        bins = NumericBins.fit(values)
        state = np.zeros(3 * bins.cells + 3, dtype=np.int64)
        edges = np.array(bins.edges)
        plain = Piece(values, None, 0)
        holey = piece(pa.array(values, mask=rng.random(size) < 0.05), np.float64)
        ours = _best(lambda: kernels.count_histogram(plain, bins.prepared, state), size, repeats)  # noqa: B023 - run at once
        nulls = _best(lambda: kernels.count_histogram(holey, bins.prepared, state), size, repeats)  # noqa: B023
        counts = _best(lambda: _counts(values, edges), size, 5)  # noqa: B023
        same = _best(lambda: _counts_and_sums(values, edges, bins), size, 3)  # noqa: B023
        rows.append(
            {
                "values": name,
                "cells": bins.cells,
                "ours, ns": ours,
                "ours with 5% nulls, ns": nulls,
                "numpy counts only, ns": counts,
                "numpy counts and sums, ns": same,
            }
        )
        alone.append(counts / ours)
        alike.append(same / ours)
    codes = rng.integers(0, 20, size).astype(np.int32)
    by_code = np.zeros(21, dtype=np.int64)
    coded = Piece(codes, None, 0)
    scores, groups = rng.random(size), rng.integers(0, 4, size).astype(np.int32)
    table = np.zeros(4 * 1002 + 1, dtype=np.int64)
    ours = _best(lambda: kernels.count_codes(coded, 20, by_code), size, repeats)
    rows.append(
        {
            "values": "codes",
            "cells": 20,
            "ours, ns": ours,
            "numpy counts only, ns": _best(lambda: np.bincount(codes), size, 5),
        }
    )
    ours = _best(lambda: kernels.count_scores(scores, groups, 4, 1000, table), size, repeats)
    rows.append({"values": "score x class x label", "cells": 4008, "ours, ns": ours})
    return Result(
        tuple(rows),
        (
            Bar("times faster than numpy for the same counts and sums, worst", min(alike), 5.0, "at least"),
            # A constant is numpy's best case: its search is learnt by the branch predictor, and there we are even.
            Bar("times faster than numpy's counts alone, mean", float(np.mean(alone)), 2.5, "at least"),
            Bar("size of the compiled library, kB", kernels.LIBRARY.stat().st_size / 1000, 100.0),
        ),
    )


def _samples(rng: np.random.Generator, size: int) -> dict[str, Floats]:
    return {
        "normal": rng.normal(size=size),
        "log-normal, sd 2": rng.lognormal(0, 2, size),
        "Cauchy": rng.standard_cauchy(size),
        "whole numbers 0-8": rng.integers(0, 9, size).astype(np.float64),
        "90% zeros": np.where(rng.random(size) < 0.9, 0.0, rng.random(size)),
        "constant": np.full(size, 3.0),
    }


def _counts(values: Floats, edges: Floats) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 1)


def _counts_and_sums(values: Floats, edges: Floats, bins: NumericBins) -> tuple[NDArray[Any], ...]:
    """Return what the kernel returns, for finite values."""
    cell = np.searchsorted(edges, values, side="right")
    position = np.trunc(np.clip((values * 0.5 - bins.half_left[cell]) * bins.inverse[cell], 0.0, 65535.0))
    squares = np.floor(position * position / 65536.0)
    return np.bincount(cell), np.bincount(cell, position), np.bincount(cell, squares)


def _best(action: Callable[[], object], size: int, repeats: int) -> float:
    """Return nanoseconds of processor time a value, of the fastest of several runs: the least disturbed one."""
    best = float("inf")
    for _ in range(repeats):
        start = time.thread_time()
        action()
        best = min(best, time.thread_time() - start)
    return best / size * 1e9
