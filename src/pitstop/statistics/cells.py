"""Counts and losses per leaf of a release's loss tree (methods: cell decomposition)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.records.identity import artifact_id
from pitstop.statistics.arrays import Piece, as_floats
from pitstop.statistics.base import Counts, Floats, Tally
from pitstop.statistics.kernels import Windows, count_codes

LEAVES = 64
TICKS = 10_000
# Losses are split into two halves of 20 bits, so that exact sums of squares fit int64 for millions of rows a leaf.
_HALF = 20
_LARGEST = 2 ** (2 * _HALF) - 1


@dataclass(frozen=True)
class LeafBins:
    """The leaves of a loss tree, numbered from 0."""

    leaves: int = LEAVES

    @property
    def id(self) -> str:
        """Digest of the number of leaves."""
        return artifact_id("leafbins", self.leaves)


@dataclass(frozen=True, eq=False)
class Cells(Tally[LeafBins]):
    """Rows, labelled rows, and exact sums of loss and squared loss per leaf.

    A loss is counted in ticks of 1/10,000 of the currency (rounded half to even) up to 2^40 ticks; larger ones count
    as that, and as `clipped`. Squares are kept in three sums, of high half squared, high x low and low squared.
    """

    name: ClassVar[str] = "cells"

    @classmethod
    def parts(cls, bins: LeafBins) -> dict[str, tuple[int, ...]]:
        """Return the shape of each part."""
        per_leaf = ("rows", "labelled", "loss", "high", "mixed", "low")
        return {**dict.fromkeys(per_leaf, (bins.leaves,)), "clipped": ()}

    def updated(self, leaves: Any, losses: Any = None) -> Self:
        """Return it with a batch more: each row's leaf and loss (>= 0, in currency; NaN or null where no label came).

        Raises `StatisticError` for a leaf that does not exist and for a negative or infinite loss.
        """
        at = leaf_array(leaves, self.bins)
        vector = self.vector.copy()
        size = self.bins.leaves
        values = np.full(at.size, np.nan) if losses is None else as_floats(losses)
        if values.shape != at.shape:
            msg = f"got {values.size} losses for {at.size} rows; expected one each"
            raise StatisticError(msg)
        labelled = ~np.isnan(values)
        ticks = np.rint(values[labelled] * TICKS)
        if ticks.size and (ticks.min() < 0 or not np.isfinite(ticks).all()):
            wrong = np.flatnonzero(labelled)[(ticks < 0) | ~np.isfinite(ticks)][0]
            msg = f"row {wrong} has the loss {values[wrong]}; a loss is finite and never below 0"
            raise StatisticError(msg)
        whole = np.minimum(ticks, _LARGEST).astype(np.int64)
        high, low = whole >> _HALF, whole & (2**_HALF - 1)
        where = at[labelled]
        vector[:size] += np.bincount(at, minlength=size)
        columns = (np.ones_like(whole), whole, high * high, high * low, low * low)
        for index, column in enumerate(columns, start=1):
            np.add.at(vector, index * size + where, column)
        vector[-1] += int((ticks > _LARGEST).sum())
        return type(self)(self.bins, vector)

    @property
    def rows(self) -> Counts:
        """Rows per leaf, int64[leaves]."""
        return self.part("rows")

    @property
    def labelled(self) -> Counts:
        """Rows with a loss per leaf, int64[leaves]."""
        return self.part("labelled")

    @property
    def loss(self) -> Floats:
        """Total loss per leaf in currency, float64[leaves]."""
        return self.part("loss") / TICKS

    @property
    def loss_squared(self) -> Floats:
        """Sum of squared losses per leaf in squared currency, float64[leaves]."""
        return np.asarray(self._ticks_squared() / TICKS**2, dtype=np.float64)

    @property
    def mean_loss(self) -> Floats:
        """Mean loss per leaf; NaN for a leaf without labelled rows."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.loss / self.labelled)

    @property
    def variance(self) -> Floats:
        """Unbiased variance of the loss within each leaf; NaN for fewer than two labelled rows."""
        # Whole numbers of any size: n * sum of squares - square of the sum would cancel as floats.
        n = self.labelled.astype(object)
        spread = n * self._ticks_squared() - self.part("loss").astype(object) ** 2
        pairs = np.maximum(n * (n - 1), 1) * TICKS**2
        return np.where(self.labelled > 1, (spread / pairs).astype(np.float64), np.nan)

    def _ticks_squared(self) -> NDArray[np.object_]:
        state = {name: self.part(name).astype(object) for name in ("high", "mixed", "low")}
        total: NDArray[np.object_] = state["high"] * 2 ** (2 * _HALF) + state["mixed"] * 2 ** (_HALF + 1) + state["low"]
        return total

    @property
    def total_loss(self) -> float:
        """Loss of all leaves in currency."""
        return float(int(self.part("loss").sum()) / TICKS)


def leaf_array(leaves: Any, bins: LeafBins) -> NDArray[np.int32]:
    """Return leaf numbers as int32. Raises `StatisticError` for a leaf that does not exist."""
    at = _whole(leaves, bins)
    count_codes(Piece(at, None, 0), bins.leaves, np.zeros(bins.leaves + 1, dtype=np.int64))
    return at


def count_leaves(counts: Counts, leaves: Any, bins: LeafBins, windows: Windows = None) -> None:
    """Add rows to `counts` (int64[..., leaves + 1], the last entry unused). `windows` as in `kernels.count_histogram`.

    Raises `StatisticError` for a leaf that does not exist.
    """
    count_codes(Piece(_whole(leaves, bins), None, 0), bins.leaves, counts, windows=windows)


def _whole(leaves: Any, bins: LeafBins) -> NDArray[np.int32]:
    given = np.asarray(leaves)
    if given.dtype.kind not in "iu" and given.size:
        msg = f"got leaves of type {given.dtype}; expected whole numbers from 0 to {bins.leaves - 1}"
        raise StatisticError(msg)
    return np.ascontiguousarray(given, dtype=np.int32)
