"""Many columns of one batch, counted and hashed by one call of a kernel.

A table of thousands of columns in row groups of some thousand rows costs more in calls from Python than in counting.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics.base import Counts
from pitstop.statistics.bins import CategoryBins, NumericBins
from pitstop.statistics.kernels import Hashes, library

_NUMBERS, _WORDS = pa.float64(), pa.dictionary(pa.int32(), pa.string())
# Entries of `struct column` of `_texts.h`.
_ENTRIES = 15


class ManyColumns:
    """Columns of the same rows that wait to be counted (`add`), and are counted in the order in which they came.

    `counts`: int64[windows, ...], where each column has a place. `windows`: int32, the window of each row, -1 to leave
    it out; the caller has checked their range. `hashes`: of each row, unfinished (`row_words.start`).
    """

    def __init__(self, counts: Counts, windows: NDArray[np.int32], hashes: Hashes) -> None:
        self._counts, self._windows, self._hashes = counts, windows, hashes
        self._entries = array("q")
        self._columns: list[tuple[pa.Array, Any]] = []
        self._room = 1

    def add(self, column: pa.ChunkedArray, bins: NumericBins | CategoryBins, first: int) -> bool:
        """Take a column whose counts begin at entry `first`; return False for one that no kernel takes as it is.

        Taken are whole float64 columns with numeric bins, and strings in a dictionary with those of categories.
        """
        if column.num_chunks != 1:
            return False
        chunk, kind = column.chunk(0), column.type
        if isinstance(bins, NumericBins):
            if kind != _NUMBERS:
                return False
            validity, values = chunk.buffers()
            self._entries.extend(
                (*_addresses(chunk, validity, values), first, 0, bins.prepared.address, 0, 0, 0, 0, 0, 0, 0, 0, 0)
            )
            self._room = max(self._room, 2 * bins.cells)
        else:
            if kind != _WORDS:
                return False
            words = chunk.dictionary
            if len(words) > len(chunk):
                return False  # its own texts may be less to read
            validity, codes = chunk.buffers()[:2]
            absent, offsets, letters = words.buffers()
            known = bins.prepared
            self._entries.extend((*_addresses(chunk, validity, codes), first, bins.cells, 0))
            self._entries.extend((known.address, known.slots, known.unknown))
            start = words.offset
            self._entries.extend(
                (
                    0 if offsets is None else offsets.address + 4 * start,
                    0 if letters is None else letters.address,
                    0 if letters is None else letters.size,
                    0 if absent is None or not words.null_count else absent.address,
                    start,
                    len(words),
                )
            )
            self._room = max(self._room, 2 * len(words))
        self._columns.append((chunk, bins))
        return True

    def count(self) -> None:
        """Count what waits. Raises `StatisticError` for a code that its dictionary lacks."""
        if not self._columns:
            return
        place = array("q", [-1])
        scratch = np.empty(self._room, dtype=np.uint64)
        wrong = library.pitstop_columns(
            self._entries.buffer_info()[0],
            len(self._entries) // _ENTRIES,
            self._windows.size,
            self._windows.ctypes.data,
            self._counts.strides[0] // self._counts.itemsize,
            self._counts.ctypes.data,
            self._hashes.ctypes.data,
            scratch.ctypes.data,
            place.buffer_info()[0],
        )
        if wrong >= 0:
            chunk = self._columns[wrong][0]
            code = int(np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset + place[0]])
            msg = f"row {place[0]} has the code {code}; expected 0 to {len(chunk.dictionary) - 1}"
            raise StatisticError(msg)
        self._entries, self._columns, self._room = array("q"), [], 1


def _addresses(chunk: pa.Array, validity: pa.Buffer | None, values: pa.Buffer | None) -> tuple[int, int, int]:
    """Return where values and bitmap lie, and the bit at which the bitmap starts."""
    width = 8 if chunk.type == _NUMBERS else 4
    return (
        0 if values is None else values.address + width * chunk.offset,
        0 if validity is None or not chunk.null_count else validity.address,
        chunk.offset,
    )
