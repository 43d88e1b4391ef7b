"""The hand-written pass (`speed_pass.c`) that ours is measured against, compiled when it is needed."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.environments import PeerError
from benchmarks.speed_workload import days_of
from pitstop.profile import Layout
from pitstop.statistics.arrays import piece

_POINTER, _INT64, _INT32, _DOUBLE = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_double
SOURCE = Path(__file__).with_name("speed_pass.c")


class Yardstick:
    """Counts of each column by day and nothing else, in C, over the same bins."""

    def __init__(self, layout: Layout, table: pa.Table, folder: Path) -> None:
        self._library = ctypes.CDLL(str(_compiled(folder)))
        self._library.plain_numbers.argtypes = [
            *(_POINTER, _POINTER, _INT64, _POINTER, _POINTER),
            *(_DOUBLE, _DOUBLE, _INT32, _INT32, _POINTER),
        ]
        self._library.plain_codes.argtypes = [_POINTER, _POINTER, _INT64, _INT32, _POINTER]
        self._layout, self._table = layout, table

    def count(self, threads: int) -> list[NDArray[np.int64]]:
        """Return the counts of every column, int64[days, cells], counted by this many threads."""
        days = days_of(self._table)
        work = [
            *(partial(self._numbers, name, bins.prepared, days) for name, bins in self._layout.numeric),
            *(partial(self._codes, name, days) for name, _ in self._layout.categorical),
        ]
        if threads == 1:
            return [column() for column in work]
        with ThreadPoolExecutor(threads) as pool:
            return [future.result() for future in [pool.submit(column) for column in work]]

    def _numbers(self, name: str, bins: Any, days: NDArray[np.int32]) -> NDArray[np.int64]:
        values = piece(self._table[name].chunk(0), np.float64).values
        counts = np.zeros((int(days[-1]) + 1, bins.cells + 1), dtype=np.int64)
        self._library.plain_numbers(
            *(values.ctypes.data, days.ctypes.data, values.size, bins.edges.ctypes.data, bins.table.ctypes.data),
            *(bins.origin, bins.scale, bins.slots, bins.cells, counts.ctypes.data),
        )
        return counts

    def _codes(self, name: str, days: NDArray[np.int32]) -> NDArray[np.int64]:
        column = self._table[name].chunk(0)
        codes = piece(column.indices, np.int32).values
        counts = np.zeros((int(days[-1]) + 1, len(column.dictionary)), dtype=np.int64)
        self._library.plain_codes(
            *(codes.ctypes.data, days.ctypes.data, codes.size, len(column.dictionary), counts.ctypes.data)
        )
        return counts


def _compiled(folder: Path) -> Path:
    """Compile the pass with the flags of Pitstop's own kernels. Raises `PeerError` where there is no compiler."""
    found = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    compiler = [found] if found else [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
    library = folder / "speed_pass.so"
    command = [*compiler, "-std=c99", "-O3", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"the hand-written pass cannot be compiled: {done.stderr[-500:]}"
        raise PeerError(msg)
    return library
