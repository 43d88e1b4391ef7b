"""The binding to the compiled counting kernels (`_kernels.c`), by ctypes.

The library knows nothing of Python, so one build serves every version of it, and ctypes releases the interpreter's lock
while it counts. Every kernel has a definition in numpy in `tests/statistics/test_kernels.py`, equal bit for bit.
docs/decisions/0001-kernels.md has the measurements.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics.arrays import Piece
from pitstop.statistics.base import Counts, Floats

LIBRARY = Path(__file__).with_name("_kernels" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so"))
SLOTS = 1024
_INT64, _INT32, _POINTER = ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p


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
    )


def _load(path: Path) -> ctypes.CDLL:
    """Return the library at `path` with the types of its functions. Raises `ImportError` saying how to mend it."""
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        msg = f"Pitstop's compiled kernels cannot be loaded ({error}); run: pip install --force-reinstall pitstop"
        raise ImportError(msg) from error
    library.pitstop_histogram.argtypes = [_POINTER, _POINTER, _INT64, _INT64, _POINTER, _POINTER, _POINTER]
    library.pitstop_histogram.restype = None
    library.pitstop_codes.argtypes = [_POINTER, _POINTER, _INT64, _INT64, _INT32, _POINTER]
    library.pitstop_codes.restype = _INT64
    library.pitstop_scores.argtypes = [_POINTER, _POINTER, _INT64, _INT32, _INT32, _POINTER]
    library.pitstop_scores.restype = _INT64
    return library


_library = _load(LIBRARY)


class PreparedBins:
    """Numeric bins as the kernel reads them, with the table that finds a value's cell in one step for most values.

    The table divides the range between the second and the last edge but one (a few extreme values would otherwise
    leave nearly all in one slot) and is exact all the same: see `struct bins`. `half_left` and `inverse` as in
    `NumericBins`.
    """

    def __init__(self, edges: Floats, half_left: Floats, inverse: Floats) -> None:
        self.cells = edges.size + 1
        low, high = (float(edges[1]), float(edges[-2])) if edges.size > 3 else (0.0, 0.0)
        with np.errstate(over="ignore"):
            scale = float(np.float64(SLOTS) / (np.float64(high) - np.float64(low))) if high > low else 0.0
        # A range that is infinite or vanishing as a float cannot be divided: one slot, and all edges are stepped over.
        usable = 0.0 < scale < float("inf")
        self.origin, self.scale, self.slots = (low, scale, SLOTS) if usable else (0.0, 0.0, 1)
        with np.errstate(over="ignore"):
            slot = np.clip((edges - self.origin) * self.scale, 0.0, self.slots - 1).astype(np.int64)
        self.table = np.searchsorted(slot, np.arange(self.slots), side="left").astype(np.uint16)
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
        )
        self.address = ctypes.addressof(self.struct)


def count_histogram(piece: Piece, prepared: PreparedBins, state: Counts) -> None:
    """Add float64 values to `state`: counts[cells], sums[cells], squares[cells], nulls, nonfinite, clipped."""
    packed = np.empty(prepared.cells, dtype=np.uint64)
    validity = None if piece.validity is None else piece.validity.ctypes.data
    _library.pitstop_histogram(
        piece.values.ctypes.data,
        validity,
        piece.offset,
        piece.values.size,
        prepared.address,
        state.ctypes.data,
        packed.ctypes.data,
    )


def count_codes(piece: Piece, size: int, counts: Counts) -> None:
    """Add int32 codes to `counts` (int64[size + 1], nulls last). Raises `StatisticError` outside 0..size-1."""
    validity = None if piece.validity is None else piece.validity.ctypes.data
    at = _library.pitstop_codes(
        piece.values.ctypes.data, validity, piece.offset, piece.values.size, size, counts.ctypes.data
    )
    if at >= 0:
        msg = f"row {at} has the code {int(piece.values[at])}; expected 0 to {size - 1}"
        raise StatisticError(msg)


def count_scores(
    scores: NDArray[np.float64], groups: NDArray[np.int32], group_count: int, steps: int, counts: Counts
) -> None:
    """Add rows to `counts` (int64[group_count * (steps + 2) + 1]).

    Each group has the score bins 0..`steps` (the bin of score s is s * `steps`, rounded half up), then its rows without
    a score (NaN); group -1 is counted in the last entry only. Raises `StatisticError` for a score outside [0, 1].
    """
    if scores.shape != groups.shape:
        msg = f"got {scores.size} scores for {groups.size} rows; expected one each"
        raise StatisticError(msg)
    at = _library.pitstop_scores(
        scores.ctypes.data, groups.ctypes.data, scores.size, group_count, steps, counts.ctypes.data
    )
    if at >= 0:
        msg = (
            f"row {at} has the score {float(scores[at])} in group {int(groups[at])}; expected a probability from 0 to 1"
        )
        raise StatisticError(msg)
