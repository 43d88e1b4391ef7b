"""A table as a comparison needs it: evenly spaced rows of some columns, and how many rows repeat one.

Both are the same on every engine and for every way in which a table was cut, and neither needs the table in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.records import row_words
from pitstop.records.scans import Part, Scan, scan_table
from pitstop.statistics.distinct import Distinct, DistinctRows

# Values that are decoded at a time in each thread (64 MB of floats).
VALUES = 8 << 20
# The same where a part is read some columns at a time: fewer, so that the next ones come into memory in use already.
_AT_ONCE = VALUES // 8

Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]


class Excerpt(ABC):
    """What a comparison reads of a table. `schema` has plain strings; `rows` are all rows; `notes` are sentences."""

    schema: pa.Schema
    rows: int
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self.schema.names)

    def sample(self, names: Sequence[str], rows: int) -> pa.Table:
        """Return at most `rows` rows, evenly spread over the table and in its order."""
        return self.samples(names, [rows])[0]

    @abstractmethod
    def samples(self, names: Sequence[str], sizes: Sequence[int]) -> list[pa.Table]:
        """Return samples of several sizes, read in one pass."""

    @abstractmethod
    def distinct(self, names: Sequence[str]) -> Distinct:
        """Return how many rows differ over these columns; none of them is nested."""


def spread(rows: int, size: int) -> Ints:
    """Return the positions of at most `size` of `rows` rows, evenly spaced, the first and the last among them."""
    if rows <= size:
        return np.arange(rows, dtype=np.int64)
    return np.linspace(0, rows - 1, size).astype(np.int64)


def excerpt_of(source: Any, *, threads: int = 1, progress: Progress | None = None) -> Excerpt:
    """Return the excerpt of anything that `read_table` takes; Parquet and Arrow files are read part by part.

    `threads` parts are read side by side. `progress` is called after each with the rows read and those of the pass;
    what it raises ends the pass. Raises `UnreadableTableError` as `read_table` does.
    """
    return source if isinstance(source, Excerpt) else ScanExcerpt(scan_table(source), threads, progress)


class ScanExcerpt(Excerpt):
    """The excerpt of a scan, on this machine."""

    def __init__(self, scan: Scan, threads: int = 1, progress: Progress | None = None) -> None:
        self._scan, self._threads, self._progress = scan, threads, progress
        self.schema, self.rows, self.notes = scan.schema, scan.rows, scan.notes

    def samples(self, names: Sequence[str], sizes: Sequence[int]) -> list[pa.Table]:
        """Return samples of several sizes, read in one pass; parts that hold none of their rows are not read."""
        wanted = [spread(self.rows, size) for size in sizes]
        union = np.unique(np.concatenate(wanted))
        parts = list(self._rows(names, union))
        columns = [
            pa.chunked_array([chunk for part in parts for chunk in part[at].chunks], self.schema.field(name).type)
            for at, name in enumerate(names)
        ]
        whole = pa.table(columns, names=list(names))
        return [
            whole if rows.size == union.size else whole.take(pa.array(np.searchsorted(union, rows))) for rows in wanted
        ]

    def distinct(self, names: Sequence[str]) -> Distinct:
        """Return how many rows differ over these columns."""
        total = Distinct.empty()
        for counted in self._distinct(names):
            total = total.merged(counted)
        return total

    def _rows(self, names: Sequence[str], wanted: Ints) -> Iterator[list[pa.ChunkedArray]]:
        """Yield the wanted rows of each part, in order, by column."""
        return self._each(partial(rows_of, self._scan, names, wanted))

    def _distinct(self, names: Sequence[str]) -> Iterator[Distinct]:
        """Yield the different rows of each part."""
        return self._each(partial(distinct_of, self._scan, names))

    def _each(self, action: Callable[[Part], Any]) -> Iterator[Any]:
        """Apply `action` to every part, in order."""
        parts = self._scan.parts
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="excerpt") if self._threads > 1 else None
        try:
            done = 0
            for part, found in zip(parts, (pool.map if pool else map)(action, parts), strict=True):
                yield found
                done += part.rows
                if self._progress is not None:
                    self._progress(done, self.rows)
        finally:
            if pool is not None:
                pool.shutdown(cancel_futures=True)


def rows_of(scan: Scan, names: Sequence[str], wanted: Ints, part: Part) -> list[pa.ChunkedArray]:
    """Return the rows of a part that are among the wanted places of the table, by column."""
    first, end = np.searchsorted(wanted, [part.first, part.first + part.rows])
    places = wanted[first:end] - part.first
    found: dict[str, list[pa.Array]] = {name: [] for name in names}
    for at, table in pieces(scan, part, names) if places.size else ():
        here = places[(places >= at) & (places < at + table.num_rows)] - at
        rows = table if here.size == table.num_rows else table.take(pa.array(here))
        for name in rows.column_names:
            found[name] += rows.column(name).chunks
    return [pa.chunked_array(found[name], scan.schema.field(name).type) for name in names]


def distinct_of(scan: Scan, names: Sequence[str], part: Part) -> Distinct:
    """Return how many rows of a part differ over these columns."""
    found = DistinctRows()
    if part.rows > VALUES:
        for _, table in pieces(scan, part, names):
            found.add(row_words.stable_hashes(table.columns, table.num_rows))
        return found.total
    state = row_words.start(part.rows)
    for at, table in pieces(scan, part, names):
        for column in table.columns:
            row_words.fold(state[at : at + table.num_rows], column)
    found.add(row_words.finished(state))
    return found.total


def pieces(
    scan: Scan, part: Part, names: Sequence[str], *, dictionaries: Sequence[str] = ()
) -> Iterator[tuple[int, pa.Table]]:
    """Yield (first row within the part, table), `VALUES` values at a time or fewer (arguments as `Scan.batches`).

    A part of up to `VALUES` rows comes some columns at a time, each with all rows; a larger one some rows at a time,
    each with all columns.
    """
    rows, width = part.rows, max(1, _AT_ONCE // max(1, part.rows))
    if part.rows > VALUES:
        rows, width = max(1, VALUES // len(names)), len(names)
    for start in range(0, len(names), width):
        at = 0
        for table in scan.batches(part, names[start : start + width], rows=rows, dictionaries=dictionaries):
            yield at, table
            at += table.num_rows
