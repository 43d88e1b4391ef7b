"""The leaf of each row of a tree, by what each column says about it: the binding of one kernel of `_kernels.c`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.statistics.arrays import Piece
from pitstop.statistics.base import Floats
from pitstop.statistics.kernels import Hashes, address, library

# Rows below which starting a thread costs more than it saves.
FEW_ROWS = 10_000
_TEST = np.dtype("u8, u8, u8, i8, u8, u8, u8, i8")  # `struct test`


@dataclass(frozen=True)
class LeafTest:
    """What one column says about the leaf of a row, as masks of the leaves that it may still reach (bit 0 leftmost).

    Numbers (`thresholds` given): reaching a threshold, which NaN never does, leaves the leaves of its mask. Codes: each
    code has its mask, and a null has `absent`.
    """

    column: Piece
    masks: Hashes
    thresholds: Floats | None = None
    absent: int = 2**64 - 1


def find_leaves(tests: Sequence[LeafTest], leaf: NDArray[np.int32], rows: int, threads: int = 1) -> NDArray[np.int32]:
    """Return the leaf of each of `rows` rows, int32: `leaf` (64 numbers) of the leftmost bit that all tests leave.

    `threads` share the rows.
    """
    found = np.empty(rows, dtype=np.int32)
    table = np.zeros(len(tests), dtype=_TEST)
    for place, test in enumerate(tests):
        values, codes = (test.column.values, None) if test.thresholds is not None else (None, test.column.values)
        table[place] = (
            address(values) or 0,
            address(codes) or 0,
            address(test.column.validity) or 0,
            test.column.offset,
            address(test.thresholds) or 0,
            test.masks.ctypes.data,
            test.absent,
            test.masks.size,
        )

    def some(start: int) -> None:
        library.pitstop_leaves(
            table.ctypes.data, len(tests), start, min(start + share, rows), leaf.ctypes.data, found.ctypes.data
        )

    share = max(-(-rows // threads), FEW_ROWS)
    starts = range(0, rows, share)
    if len(starts) <= 1:
        some(0)
        return found
    with ThreadPoolExecutor(len(starts), thread_name_prefix="leaves") as pool:
        list(pool.map(some, starts))
    return found
