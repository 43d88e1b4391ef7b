"""How many different rows there are, in bounded memory: exact up to a limit, then estimated with a stated error."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.statistics.base import Counts

LIMIT = 1 << 20
_HEADER = struct.Struct("<qqqq")


@dataclass(frozen=True, eq=False)
class Distinct:
    """The hashes of a set of rows, or those of them that begin with `level` zero bits, each with its number of rows.

    Adaptive sampling (Wegman 1984; Flajolet 1990): `level` is the least one at which at most `limit` hashes are left,
    so it depends on the rows and not on their order or on how they were cut, and two add up to that of both. All rows
    of one hash are kept or none, so repeated rows are seen in any sample. `hashes` uint64, increasing; `counts` int64;
    `rows`: all rows.
    """

    limit: int
    rows: int
    level: int
    hashes: NDArray[np.uint64]
    counts: Counts

    @classmethod
    def empty(cls, limit: int = LIMIT) -> Self:
        """Return that of no rows."""
        return cls(limit, 0, 0, np.zeros(0, np.uint64), np.zeros(0, np.int64))

    def updated(self, hashes: NDArray[np.uint64]) -> Self:
        """Return it with the rows of these hashes more (uniform over 64 bits, as `row_words.finished` makes them)."""
        found, counts = np.unique(_beginning(hashes, self.level), return_counts=True)
        return self._with(hashes.size, self.level, found, counts.astype(np.int64))

    def merged(self, other: Self) -> Self:
        """Return that of both sets of rows. Raises `StatisticError` where the limits differ."""
        if self.limit != other.limit:
            msg = f"samples of at most {self.limit} and {other.limit} hashes do not add up; use one limit"
            raise StatisticError(msg)
        return self._with(other.rows, other.level, other.hashes, other.counts)

    @property
    def exact(self) -> bool:
        """Whether every row was kept."""
        return self.level == 0

    @property
    def estimate(self) -> int:
        """Number of different rows; where not exact, with a standard error of at most 1.42 / sqrt(limit) of it."""
        return int(self.hashes.size) << self.level

    @property
    def repeats(self) -> int:
        """Number of rows that repeat an earlier one.

        Where not exact, the better of two estimates, by their standard errors: the repeats seen in the sample, scaled
        up (nothing repeated is then exactly 0), or all rows less the estimated different ones (good where a few rows
        make up a large share).
        """
        seen = int(self.counts.sum()) - int(self.hashes.size)
        if self.exact:
            return seen
        spread = (1 << self.level) * ((1 << self.level) - 1)
        error = (spread * float(np.sum((self.counts - 1.0) ** 2))) ** 0.5
        error_of_estimate = (spread * float(self.hashes.size)) ** 0.5
        # A row that makes up much of the table and is not in the sample shows in the rows that are missing there.
        gap = abs((int(self.counts.sum()) << self.level) - self.rows)
        if error <= error_of_estimate and gap <= 4.0 * (error + error_of_estimate):
            return min(self.rows, seen << self.level)
        return min(self.rows, max(seen, self.rows - self.estimate))

    def pack(self) -> bytes:
        """Return it as bytes."""
        head = _HEADER.pack(self.limit, self.rows, self.level, self.hashes.size)
        return head + self.hashes.astype("<u8").tobytes() + self.counts.astype("<i8").tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return what `pack` wrote. Raises `StatisticError` where the bytes are cut or longer."""
        size = -1
        if len(data) >= _HEADER.size:
            limit, rows, level, size = _HEADER.unpack(data[: _HEADER.size])
        if size < 0 or len(data) != _HEADER.size + 16 * size:
            msg = f"got {len(data)} bytes that are no packed sample of hashes; count the rows again"
            raise StatisticError(msg)
        hashes = np.frombuffer(data, "<u8", size, _HEADER.size).astype(np.uint64)
        counts = np.frombuffer(data, "<i8", size, _HEADER.size + 8 * size).astype(np.int64)
        return cls(limit, rows, level, hashes, counts)

    def _with(self, rows: int, level: int, hashes: NDArray[np.uint64], counts: Counts) -> Self:
        level = max(self.level, level)
        both = np.concatenate([self.hashes, hashes])
        kept = _starts(both, level)
        found, place = np.unique(both[kept], return_inverse=True)
        total = np.zeros(found.size, np.int64)
        np.add.at(total, place, np.concatenate([self.counts, counts])[kept])
        while found.size > self.limit:
            level += 1
            kept = _starts(found, level)
            found, total = found[kept], total[kept]
        return type(self)(self.limit, self.rows + rows, level, found, total)


def _beginning(hashes: NDArray[np.uint64], level: int) -> NDArray[np.uint64]:
    return hashes[_starts(hashes, level)] if level else hashes


def _starts(hashes: NDArray[np.uint64], level: int) -> NDArray[np.bool_]:
    """Return which hashes begin with `level` zero bits."""
    if level == 0:
        return np.ones(hashes.size, dtype=bool)
    return np.asarray((hashes >> np.uint64(64 - level)) == 0)


class DistinctRows:
    """Collects hashes and adds them up now and then, because adding a few to a million is slow."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._total = Distinct.empty(limit)
        self._waiting: list[NDArray[np.uint64]] = []
        self._rows = self._size = 0

    def add(self, hashes: NDArray[np.uint64]) -> None:
        """Take in rows."""
        kept = _beginning(hashes, self._total.level)
        self._waiting.append(kept)
        self._rows += hashes.size
        self._size += kept.size
        if self._size > self._total.limit:
            self._settle()

    @property
    def total(self) -> Distinct:
        """All rows so far."""
        self._settle()
        return self._total

    def _settle(self) -> None:
        if self._rows:
            hashes = np.concatenate(self._waiting)
            found, counts = np.unique(hashes, return_counts=True)
            piece = Distinct(self._total.limit, self._rows, self._total.level, found, counts.astype(np.int64))
            self._total = self._total.merged(piece)
            self._waiting, self._rows, self._size = [], 0, 0
