"""Counts rows in this process: files part by part, or rows at hand piece by piece; in threads if asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.checks.excerpts import Excerpt, excerpt_of
from pitstop.engines.base import Piece, Progress
from pitstop.engines.counting import Reading
from pitstop.engines.passes import count_scan
from pitstop.errors import RecordError
from pitstop.profile import Layout, Profile, profile_rows
from pitstop.records.columns import row_hashes
from pitstop.records.scans import scan_table
from pitstop.records.spec import ModelSpec


@dataclass(frozen=True)
class LocalEngine:
    """The engine that is there without anything installed. `threads` count pieces at the same time."""

    name: str = "local"
    threads: int = 1

    def profiles(
        self,
        source: Any,
        spec: ModelSpec,
        layout: Layout,
        *,
        windows: tuple[int | None, int | None] = (None, None),
        progress: Progress | None = None,
        resume: Path | None = None,
    ) -> Iterator[tuple[int, Profile]]:
        """Yield (window, profile) of a source of any size, by window (`Engine.profiles`; `source` as `read_table`).

        Memory is bounded for Parquet and Arrow files: see `passes.count_scan`. Close the iterator, or raise from
        `progress`, to stop early; with `resume`, a file, the next pass goes on where this one stopped. Remove that
        file after the last window. Raises `StoreError` where it cannot be written.
        """
        scan = scan_table(source)
        yield from count_scan(
            scan, Reading(spec, layout, windows), threads=self.threads, progress=progress, resume=resume
        )

    def excerpt(self, source: Any) -> Excerpt:
        """Return the table as a comparison needs it; files are read part by part."""
        return excerpt_of(source)

    def profile(self, pieces: Iterable[Piece], layout: Layout) -> Iterator[tuple[int, Profile]]:
        """Yield (window, profile) for each window that has a piece, in order, as the loop counts rows at hand.

        Pieces come in order of their windows; how a window's rows are cut into pieces, and in which order, changes
        nothing. In memory are a few pieces, and eight bytes for each row of a window. Raises `RecordError` for a
        window that comes after a later one, and `StatisticError` as `profile_rows`.
        """
        window, total, repeats = 0, None, _Repeats(layout)
        for piece, counted in self._counted(pieces, layout):
            if total is not None and piece.window < window:
                msg = (
                    f"rows of window {piece.window} come after rows of window {window}; "
                    "give rows in order of time, for instance by sorting the files"
                )
                raise RecordError(msg)
            if total is not None and piece.window > window:
                yield window, replace(total, duplicates=repeats.count)
                total, repeats = None, _Repeats(layout)
            window = piece.window
            total = counted if total is None else total.merged(counted)
            repeats.add(piece.table)
        if total is not None:
            yield window, replace(total, duplicates=repeats.count)

    def _counted(self, pieces: Iterable[Piece], layout: Layout) -> Iterator[tuple[Piece, Profile]]:
        """Yield each piece with its profile (duplicates not counted), in order."""
        if self.threads == 1:
            yield from ((piece, _count(piece, layout)) for piece in pieces)
            return
        running: deque[tuple[Piece, Future[Profile]]] = deque()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="profile") as pool:
            for piece in pieces:
                running.append((piece, pool.submit(_count, piece, layout)))
                if len(running) > self.threads:
                    first, done = running.popleft()
                    yield first, done.result()
            while running:
                first, done = running.popleft()
                yield first, done.result()


def _count(piece: Piece, layout: Layout) -> Profile:
    return profile_rows(layout, piece.table, piece.scores, piece.predicted, piece.leaves)


class _Repeats:
    """Rows of one window that repeat an earlier one in every feature."""

    def __init__(self, layout: Layout) -> None:
        self._names = tuple(name for name, _, _ in layout.statistics())
        self._words: dict[str, dict[str | None, int]] = {}
        self._first: pa.Table | None = None
        self._seen = np.zeros(0, dtype=np.uint64)
        self._rows = 0

    @property
    def count(self) -> int:
        """Number of rows that repeat one."""
        if self._first is None:
            return self._rows - len(self._seen)
        # The only piece: the codes of its own dictionaries do, and are quicker.
        return self._rows - len(np.unique(row_hashes([_flat(self._first.column(name)) for name in self._names])))

    def add(self, table: pa.Table) -> None:
        """Take in rows. Beyond the first piece only hashes of 64 bits are kept, which hardly ever mistake a row."""
        if not table.num_rows:
            return
        pieces = [table] if self._first is None else [self._first, table]
        self._first = table if not self._rows else None
        self._rows += table.num_rows
        if self._first is None:
            for piece in pieces:
                hashes = row_hashes([self._column(name, piece.column(name)) for name in self._names])
                self._seen = np.union1d(self._seen, hashes)

    def _column(self, name: str, column: pa.ChunkedArray) -> pa.Array | NDArray[np.int64]:
        """Return numbers as they are, categories as codes that mean the same in every piece of the window."""
        array = _flat(column)
        if pa.types.is_floating(array.type):
            return array
        encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        words = self._words.setdefault(name, {})
        indices = np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
        # A dictionary may hold far more words than this piece uses.
        used = np.unique(indices[indices >= 0])
        table = np.full(len(encoded.dictionary) + 1, -1, dtype=np.int64)
        table[used] = [
            words.setdefault(word, len(words)) for word in encoded.dictionary.take(pa.array(used)).to_pylist()
        ]
        return table[indices]


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
