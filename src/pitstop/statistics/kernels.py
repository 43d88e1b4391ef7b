"""The binding to the compiled counting kernels (`_kernels.c`), by ctypes.

The library knows nothing of Python, so one build serves every version of it, and ctypes releases the interpreter's lock
while it counts. Every kernel has a definition in numpy in `tests/statistics/test_kernels.py`, equal bit for bit.
docs/decisions/0001-kernels.md has the measurements.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics.arrays import Piece, TextPiece
from pitstop.statistics.base import Counts, Floats

LIBRARY = Path(__file__).with_name("_kernels" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so"))
SLOTS = 1024
_EVERY_SLOT = np.arange(SLOTS)
Windows = NDArray[np.int32] | None
Hashes = NDArray[np.uint64]
# `struct word` of `_kernels.c`.
_WORD = np.dtype(
    {
        "names": ["bytes", "head", "tail", "length", "cell"],
        "formats": ["u8", "u8", "u8", "i4", "i4"],
        "offsets": [0, 8, 16, 24, 32],
        "itemsize": 40,
    }
)
_MET = np.dtype("u8, u8, u8, i4, i4")  # `struct met`
_INT64, _INT32, _POINTER = ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p

_BUFFER = (_POINTER, _INT64, _INT64)  # a bitmap of what is not null, the bit at which it starts, and a number of rows
_TEXTS = (_POINTER, _POINTER, _INT64, *_BUFFER)
_SIGNATURES = {
    "histogram": (None, (_POINTER, *_BUFFER, _POINTER, _POINTER, _INT64, _POINTER, _POINTER)),
    "codes": (_INT64, (_POINTER, *_BUFFER, _INT32, _POINTER, _POINTER, _INT64, _INT64, _POINTER)),
    "scores": (_INT64, (_POINTER, _POINTER, _INT64, _INT32, _INT32, _POINTER, _POINTER)),
    "leaves": (None, (_POINTER, _INT64, _INT64, _INT64, _POINTER, _POINTER)),
    "words": (None, (_POINTER, _POINTER, _INT64, _POINTER, _INT64, _POINTER, _INT64)),
    "cells": (None, (*_TEXTS, _POINTER, _INT64, _INT32, _INT32, _POINTER)),
    "texts": (None, (*_TEXTS, _POINTER, _INT64, _INT32, _POINTER, _INT64, _INT64, _POINTER)),
    "encode": (_INT64, (*_TEXTS, _POINTER, _INT64, _INT64, _POINTER, _POINTER)),
    "hash_texts": (None, (*_TEXTS, _POINTER)),
    "hash_numbers": (None, (_POINTER, _POINTER, _INT64, _POINTER, _INT64, _POINTER)),
    "hash_codes": (None, (_POINTER, _POINTER, _INT64, _POINTER, _INT64, _POINTER, _POINTER)),
    "stable_numbers": (None, (_POINTER, *_BUFFER, _POINTER)),
    "stable_codes": (None, (_POINTER, *_BUFFER, _POINTER, _INT64, _POINTER)),
    "stable_words": (None, (*_TEXTS, _POINTER)),
    "columns": (_INT64, (_POINTER, _INT64, _INT64, _POINTER, _INT64, *[_POINTER] * 4)),
    "use_wide": (None, (_INT32,)),
    "sift": (_INT64, (_POINTER, _POINTER, _INT64, _POINTER, _POINTER, _POINTER)),
    "repeats": (None, (_POINTER, _POINTER, _INT64, *[_POINTER] * 4)),
}


class _Bins(ctypes.Structure):
    """`struct bins` of `_kernels.c`."""

    _fields_ = (
        ("edges", _POINTER),
        ("table", _POINTER),
        ("half_left", _POINTER),
        ("inverse", _POINTER),
        ("origin", ctypes.c_double),
        ("scale", ctypes.c_double),
        ("slots", _INT32),
        ("cells", _INT32),
        ("crowded", _INT32),
    )


def _load(path: Path) -> ctypes.CDLL:
    """Return the library at `path` with the types of its functions. Raises `ImportError` saying how to mend it."""
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        msg = f"Pitstop's compiled kernels cannot be loaded ({error}); run: pip install --force-reinstall pitstop"
        raise ImportError(msg) from error
    for name, (result, arguments) in _SIGNATURES.items():
        try:
            function = getattr(library, f"pitstop_{name}")
        except AttributeError as error:
            msg = f"Pitstop's compiled kernels are older than its source ({name} is not there); run: pip install -e ."
            raise ImportError(msg) from error
        function.argtypes, function.restype = arguments, result
    return library


library = _load(LIBRARY)


def use_wide(*, use: bool) -> None:
    """Let kernels use vectors of 32 bytes where there are, as they do from the start; counts do not differ."""
    library.pitstop_use_wide(int(use))


class PreparedBins:
    """Numeric bins as the kernel reads them, with the table that finds a value's cell in one step for most values.

    The table divides the range between the second and the last edge but one (a few extreme values would otherwise
    leave nearly all in one slot) and is exact all the same: see `struct bins`. `half_left` and `inverse` as in
    `NumericBins`.
    """

    def __init__(self, edges: Floats, half_left: Floats, inverse: Floats) -> None:
        self.cells = edges.size + 1
        low, high = (float(edges[1]), float(edges[-2])) if edges.size > 3 else (0.0, 0.0)
        # The second edge and the last but one lie in the middle of a slot: the outermost have slots of their own.
        with np.errstate(over="ignore", invalid="ignore"):
            scale = float(np.float64(SLOTS - 3) / (np.float64(high) - np.float64(low))) if high > low else 0.0
            origin = float(np.float64(low) - np.float64(1.5) / np.float64(scale)) if scale > 0.0 else 0.0
        # A range that is infinite or vanishing as a float cannot be divided: one slot, and all edges are stepped over.
        usable = 0.0 < scale < float("inf") and abs(origin) < float("inf")
        self.origin, self.scale, self.slots = (origin, scale, SLOTS) if usable else (0.0, 0.0, 1)
        with np.errstate(over="ignore"):
            slot = np.clip((edges - self.origin) * self.scale, 0.0, self.slots - 1).astype(np.int64)
        self.table = np.searchsorted(slot, _EVERY_SLOT[: self.slots], side="left").astype(np.uint16)
        self.edges = np.append(edges, np.inf)
        self.half_left, self.inverse = half_left, inverse
        self.struct = _Bins(
            self.edges.ctypes.data,
            self.table.ctypes.data,
            self.half_left.ctypes.data,
            self.inverse.ctypes.data,
            self.origin,
            self.scale,
            self.slots,
            self.cells,
            int((slot[1:] == slot[:-1]).any()),
        )
        self.address = ctypes.addressof(self.struct)


def address(array: NDArray[Any] | None) -> int | None:
    """Return where an array's values lie, None for none."""
    return None if array is None else array.ctypes.data


def _stride(counts: Counts) -> int:
    """Return how many entries lie between the windows of a matrix; of one vector it does not matter."""
    return counts.strides[0] // counts.itemsize


def count_histogram(piece: Piece, prepared: PreparedBins, state: Counts, windows: Windows = None) -> None:
    """Add float64 values to `state`: counts[cells], sums[cells], squares[cells], nulls, nonfinite, clipped.

    With `windows` (int32, one for each value, -1 for a value to leave out), `state` is a matrix with such a row for
    each window, or some columns of a wider one, and `windows` stays below its height: the caller has checked that.
    """
    packed = np.empty(2 * prepared.cells, dtype=np.uint64)
    library.pitstop_histogram(
        piece.values.ctypes.data,
        address(piece.validity),
        piece.offset,
        piece.values.size,
        address(windows),
        prepared.address,
        _stride(state),
        state.ctypes.data,
        packed.ctypes.data,
    )


def count_codes(
    piece: Piece, size: int, counts: Counts, cells: NDArray[np.int32] | None = None, windows: Windows = None
) -> None:
    """Add int32 codes to `counts` (int64[..., entries], nulls last). Raises `StatisticError` outside 0..size-1.

    A code counts in its own entry, or in `cells[code]` (int32[size]) where that is given. `windows` as in
    `count_histogram`.
    """
    at = library.pitstop_codes(
        piece.values.ctypes.data,
        address(piece.validity),
        piece.offset,
        piece.values.size,
        size,
        address(cells),
        address(windows),
        _stride(counts),
        counts.shape[-1] - 1,
        counts.ctypes.data,
    )
    if at >= 0:
        msg = f"row {at} has the code {int(piece.values[at])}; expected 0 to {size - 1}"
        raise StatisticError(msg)


def count_scores(
    scores: NDArray[np.float64],
    groups: NDArray[np.int32],
    group_count: int,
    steps: int,
    counts: Counts,
    windows: Windows = None,
) -> None:
    """Add rows to `counts` (int64[..., group_count * (steps + 2) + 1]).

    Each group has the score bins 0..`steps` (the bin of score s is s * `steps`, rounded half up), then its rows without
    a score (NaN); group -1 is counted in the last entry only. `windows` as in `count_histogram`. Raises
    `StatisticError` for a score outside [0, 1].
    """
    if scores.shape != groups.shape:
        msg = f"got {scores.size} scores for {groups.size} rows; expected one each"
        raise StatisticError(msg)
    at = library.pitstop_scores(
        scores.ctypes.data,
        groups.ctypes.data,
        scores.size,
        group_count,
        steps,
        address(windows),
        counts.ctypes.data,
    )
    if at >= 0:
        msg = (
            f"row {at} has the score {float(scores[at])} in group {int(groups[at])}; expected a probability from 0 to 1"
        )
        raise StatisticError(msg)


class PreparedWords:
    """A vocabulary as the kernel looks it up: each word's cell, and the cell of every other word."""

    def __init__(self, words: TextPiece, cells: NDArray[np.int32], unknown: int) -> None:
        self.unknown = unknown
        self.slots = 1 << (2 * cells.size).bit_length()
        self.table = np.zeros(self.slots, dtype=_WORD)
        self.table["length"] = -1
        self.address = self.table.ctypes.data
        self._words = words  # the table points into its bytes
        library.pitstop_words(*words.texts, cells.ctypes.data, cells.size, self.table.ctypes.data, self.slots)


def find_cells(piece: TextPiece, prepared: PreparedWords, absent: int) -> NDArray[np.int32]:
    """Return the cell of each text, int32; `absent` for a null."""
    cells = np.empty(piece.size, dtype=np.int32)
    library.pitstop_cells(
        *piece.texts,
        *piece.rows,
        prepared.table.ctypes.data,
        prepared.slots,
        prepared.unknown,
        absent,
        cells.ctypes.data,
    )
    return cells


def count_texts(piece: TextPiece, prepared: PreparedWords, counts: Counts, windows: Windows = None) -> None:
    """Add texts to `counts` (int64[..., cells + 1], nulls last). `windows` as in `count_histogram`."""
    library.pitstop_texts(
        *piece.texts,
        *piece.rows,
        prepared.table.ctypes.data,
        prepared.slots,
        prepared.unknown,
        address(windows),
        _stride(counts),
        counts.shape[-1] - 1,
        counts.ctypes.data,
    )


def encode_texts(piece: TextPiece, limit: int) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
    """Return each text's code (int32, 0 for a null) and the first row of each code; None beyond `limit` codes."""
    limit = min(limit, piece.size)
    slots = 1 << (2 * limit).bit_length()
    table = np.zeros(slots, dtype=_MET)
    table["f4"] = -1
    codes, firsts = np.empty(piece.size, dtype=np.int32), np.empty(limit, dtype=np.int32)
    words = library.pitstop_encode(
        *piece.texts, *piece.rows, table.ctypes.data, slots, limit, codes.ctypes.data, firsts.ctypes.data
    )
    return None if words < 0 else (codes, firsts[:words])


def hash_texts(piece: TextPiece) -> Hashes:
    """Return a hash of each text, uint64: equal texts have equal ones in every process. Nulls have the hash 1."""
    hashes = np.empty(piece.size, dtype=np.uint64)
    library.pitstop_hash_texts(*piece.texts, *piece.rows, hashes.ctypes.data)
    return hashes


def fold_numbers(piece: Piece, rows: NDArray[np.int32] | None, hashes: Hashes) -> None:
    """Fold float64 values into the hash of each row of `rows` (of all where it is None), in place."""
    library.pitstop_hash_numbers(
        piece.values.ctypes.data,
        address(piece.validity),
        piece.offset,
        address(rows),
        hashes.size,
        hashes.ctypes.data,
    )


def fold_codes(piece: Piece, by_code: Hashes, rows: NDArray[np.int32] | None, hashes: Hashes) -> None:
    """Fold the words of int32 codes, which have the hashes `by_code`, in like `fold_numbers`. Codes are in range."""
    library.pitstop_hash_codes(
        piece.values.ctypes.data,
        address(piece.validity),
        piece.offset,
        address(rows),
        hashes.size,
        by_code.ctypes.data,
        hashes.ctypes.data,
    )


def sift(hashes: Hashes, rows: NDArray[np.int32], windows: Windows, regions: Counts) -> int:
    """Move to the front of `rows` and `hashes` those whose hash may occur twice in its window; return how many.

    None that occurs twice is lost; some of the others stay as well, fewer where regions are large. `regions`
    (int64[windows + 1]): the first place of each window, at least one each, then the number of places.
    """
    seen = np.zeros(int(regions[-1]), dtype=np.uint8)
    return int(
        library.pitstop_sift(
            hashes.ctypes.data,
            rows.ctypes.data,
            hashes.size,
            address(windows),
            regions.ctypes.data,
            seen.ctypes.data,
        )
    )


def count_repeats(hashes: Hashes, rows: NDArray[np.int32], windows: Windows, regions: Counts, repeats: Counts) -> None:
    """Add to `repeats` (int64[windows]) the rows whose hash is that of an earlier one of the window.

    `rows`: the row of each hash. `regions` as in `sift`, with more places for a window than it has hashes.
    """
    seen = np.zeros(int(regions[-1]), dtype=np.uint64)
    library.pitstop_repeats(
        hashes.ctypes.data,
        rows.ctypes.data,
        hashes.size,
        address(windows),
        regions.ctypes.data,
        seen.ctypes.data,
        repeats.ctypes.data,
    )
