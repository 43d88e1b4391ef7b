"""Counts of many windows of one table, in one pass over each of its columns."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics.base import Counts
from pitstop.statistics.cells import LEAVES, LeafBins, count_leaves
from pitstop.statistics.histogram import Histogram
from pitstop.statistics.layout import Layout
from pitstop.statistics.repeats import repeats_by_window
from pitstop.statistics.scores import Scores


@dataclass(frozen=True)
class WindowMatrices:
    """A row of counts for each window: of every feature (name, kind of statistic, bins, matrix), scores and leaves.

    `repeats`: rows of each window that repeat an earlier one, 0 where they were not asked for.
    """

    features: list[tuple[str, Any, Any, Counts]]
    scores: Counts
    leaves: Counts
    repeats: Counts


def count_windows(
    layout: Layout,
    table: pa.Table,
    windows: NDArray[np.int32] | None,
    count: int,
    scores: Any,
    predicted: Any,
    leaves: Any,
    *,
    repeats: bool,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> WindowMatrices:
    """Count `table` by window, read-only; arguments and errors as in `pitstop.profile.profile_windows`.

    `repeats`: whether to count the rows that repeat another one.
    """
    for what, column in (("scores", scores), ("predictions", predicted), ("leaves", leaves), ("windows", windows)):
        if column is not None and len(column) != table.num_rows:
            msg = f"got {len(column)} {what} for {table.num_rows} rows; expected one for each row"
            raise StatisticError(msg)
    within = _within(windows, count)
    columns = _columns(layout, table)
    by_score = np.zeros((count, Scores.size_for(layout.outcome_bins)), np.int64)
    by_leaf = np.zeros((count, LEAVES + 1), np.int64)
    counted = [np.zeros((count, kind.size_for(bins)), np.int64) for _, kind, bins, _ in columns]
    work: list[Callable[[], None]] = [
        partial(kind.count_into, into, bins, values, within)
        for into, (_, kind, bins, values) in zip(counted, columns, strict=True)
    ]
    work.append(partial(Scores.count_into, by_score, layout.outcome_bins, scores, predicted, within))
    work.append(partial(count_leaves, by_leaf, leaves, LeafBins(), within))
    again = np.zeros(count, np.int64)
    if repeats:
        work.insert(0, partial(_count_repeats, again, layout, table, within))
    _run(work, threads, progress)
    for array in (*counted, by_score, by_leaf):
        array.flags.writeable = False
    features = [(name, kind, bins, into) for (name, kind, bins, _), into in zip(columns, counted, strict=True)]
    return WindowMatrices(features, by_score, by_leaf[:, :-1], again)


def repeated_rows(layout: Layout, table: pa.Table, windows: NDArray[np.int32] | None, sizes: Counts) -> Counts:
    """Return how many rows of each window repeat an earlier row of it in every feature, int64[windows].

    `windows` as in `profile_windows`; `sizes`: the rows of each window.
    """
    columns = _columns(layout, table)
    # Numbers with many cells tell rows apart soonest.
    order = sorted(columns, key=lambda column: -column[2].cells if column[1] is Histogram else 0)
    return repeats_by_window([values for *_, values in order], windows, sizes)


def _count_repeats(into: Counts, layout: Layout, table: pa.Table, windows: NDArray[np.int32] | None) -> None:
    if windows is None:
        sizes = np.array([table.num_rows])
    else:
        sizes = np.bincount(windows[windows >= 0] if windows.min(initial=0) < 0 else windows, minlength=into.size)
    into += repeated_rows(layout, table, windows, sizes)


def _within(windows: NDArray[np.int32] | None, count: int) -> NDArray[np.int32] | None:
    """Return the windows as the kernels take them. Raises `StatisticError` for one out of range."""
    if windows is None:
        if count != 1:
            msg = f"got no window for each row and {count} windows; without `windows` there is one"
            raise StatisticError(msg)
        return None
    if windows.dtype != np.int32 or windows.ndim != 1:
        msg = f"got windows of {windows.dtype}{windows.shape}; expected int32, one for each row"
        raise StatisticError(msg)
    if windows.size and not -1 <= int(windows.min()) <= int(windows.max()) < count:
        msg = f"got windows from {windows.min()} to {windows.max()}; expected -1 (left out) to {count - 1}"
        raise StatisticError(msg)
    return np.ascontiguousarray(windows)


def _columns(layout: Layout, table: pa.Table) -> list[tuple[str, Any, Any, pa.ChunkedArray]]:
    """Return name, kind of statistic, bins and values of each feature."""
    place = {name: index for index, name in enumerate(table.column_names)}
    found = []
    for name, statistic, bins in layout.statistics():
        if name not in place:
            msg = f"the table lacks the feature {name!r}; it has {', '.join(place)}"
            raise StatisticError(msg)
        found.append((name, statistic, bins, table.column(place[name])))
    return found


def _run(work: list[Callable[[], None]], threads: int, progress: Callable[[int, int], None] | None) -> None:
    """Do all of the work, up to `threads` pieces at a time; tell of each, and give up what is left where one fails."""
    if threads == 1:
        for done, piece in enumerate(work, start=1):
            piece()
            if progress is not None:
                progress(done, len(work))
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="count")
    try:
        for done, future in enumerate([pool.submit(piece) for piece in work], start=1):
            future.result()
            if progress is not None:
                progress(done, len(work))
    finally:
        pool.shutdown(cancel_futures=True)
