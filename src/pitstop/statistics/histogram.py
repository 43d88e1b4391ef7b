"""Counts and exact sums of a number over reference bins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from pitstop.statistics import distances
from pitstop.statistics.arrays import float_pieces
from pitstop.statistics.base import Counts, Floats, Tally
from pitstop.statistics.bins import NumericBins
from pitstop.statistics.kernels import Windows, count_histogram

_UNIT = 2.0**-16
# Values of one cell are nearly equal where their positions spread by less than a hundredth of its width.
_ALIKE = 65536.0 / 100


@dataclass(frozen=True, eq=False)
class Histogram(Tally[NumericBins]):
    """Counts per cell, with the sum and the sum of squares of each value's position within its cell.

    A position q is the whole part of 2^16 x (value - left) / width of the cell, and its square is kept as q^2 >> 16:
    integers, so sums are exact in any order, and room for 2^47 rows. Null and NaN count as `nulls`, infinities as
    `nonfinite`; values more than one reference range outside the reference are counted in the outer cells at their
    far end, and as `clipped`.
    """

    name: ClassVar[str] = "histogram"

    @classmethod
    def parts(cls, bins: NumericBins) -> dict[str, tuple[int, ...]]:
        """Return the shape of each part."""
        cells = (bins.cells,)
        return {"counts": cells, "sums": cells, "squares": cells, "nulls": (), "nonfinite": (), "clipped": ()}

    @classmethod
    def size_for(cls, bins: NumericBins) -> int:
        """Return the length of the vector."""
        return 3 * bins.cells + 3

    @classmethod
    def count_into(cls, counts: Counts, bins: NumericBins, values: Any, windows: Windows = None) -> None:
        """Add a batch to `counts`, one vector or, with a window for each row, a matrix of one for each window."""
        start = 0
        for piece in float_pieces(values):
            here = None if windows is None else windows[start : start + piece.values.size]
            start += piece.values.size
            count_histogram(piece, bins.prepared, counts, here)

    def updated(self, values: Any) -> Self:
        """Return it with a batch more: an Arrow array of numbers, chunked or not, or a float64 array."""
        vector = self.vector.copy()
        self.count_into(vector, self.bins, values)
        return type(self)(self.bins, vector)

    @property
    def counts(self) -> Counts:
        """Finite values per cell, int64[cells]."""
        return self.vector[: self.bins.cells]

    @cached_property
    def n(self) -> int:
        """Number of finite values."""
        return int(self.counts.sum())

    @cached_property
    def nulls(self) -> int:
        """Number of nulls and NaN."""
        return int(self.vector[-3])

    @property
    def nonfinite(self) -> int:
        """Number of infinities."""
        return int(self.vector[-2])

    @property
    def clipped(self) -> int:
        """Number of values more than one reference range outside; mean and variance are biased where > 0."""
        return int(self.vector[-1])

    @property
    def rows(self) -> int:
        """Number of rows, missing and infinite ones included."""
        return self.n + self.nulls + self.nonfinite

    @property
    def outside(self) -> int:
        """Number of finite values outside the reference's range."""
        return int(self.counts[0] + self.counts[-1]) if self.bins.edges else 0

    @cached_property
    def between(self) -> int:
        """The least number of values above the left edge of an inner cell that the sums and squares allow.

        0 where a column has few values, each the edge of a cell, and holds no others. By Cauchy and Schwarz, k values
        have squared positions of at least (sum of positions)^2 / k together; squares are kept without their last 16
        bits. 0 without edges.
        """
        if not self.bins.edges:
            return 0
        cells = self.bins.cells
        total = float(self.vector[cells + 1 : 2 * cells - 1].sum())
        squares = float(self.vector[2 * cells + 1 : 3 * cells - 1].sum())
        least = (math.sqrt(squares**2 + 4 * total**2 / 65536.0) - squares) / 2
        return min(math.ceil(least * (1 - 1e-9)), int(self.counts[1:-1].sum()))

    @cached_property
    def alike(self) -> int:
        """Number of rows of the fullest inner cell whose values are nearly equal: about how often one value occurs.

        A cell's values are taken for equal where their standard deviation is below a hundredth of its width. All rows
        of a column that sticks count; of a column of few values, each with a cell of its own, those of the commonest.
        0 without edges.
        """
        if not self.bins.edges:
            return 0
        vector, cells = self.vector, self.bins.cells
        inner = (vector[cells * part + 1 : cells * (part + 1) - 1] for part in range(3))
        return int(nearly_equal(*inner).max(initial=0))

    @property
    def shares(self) -> Floats:
        """Share of the finite values in each cell, float64[cells]; NaN without values."""
        return distances.shares(self.counts)

    @cached_property
    def mean(self) -> float:
        """Mean of the finite values, to 2^-16 of a cell's width; NaN without values or edges."""
        if not self.n or not self.bins.edges:
            return float("nan")
        cells, vector = self.bins.cells, self.vector
        offsets = vector[cells : 2 * cells] * (_UNIT / self.n)
        # Halves, because the width of a cell may be larger than the largest float.
        return 2 * float((vector[:cells] / self.n * self.bins.half_left + offsets * self.bins.half_width).sum())

    @property
    def variance(self) -> float:
        """Variance of the finite values, divided by n; NaN without values or edges, inf where it overflows."""
        if not self.n or not self.bins.edges:
            return float("nan")
        with np.errstate(over="ignore", invalid="ignore"):
            left, width = 2 * (self.bins.half_left - self.mean / 2), 2 * self.bins.half_width
            cells, vector = self.bins.cells, self.vector
            counts = vector[:cells]
            first, second = vector[cells : 2 * cells] * _UNIT, vector[2 * cells : 3 * cells] * _UNIT
            each = np.where(counts > 0, counts * left**2 + 2 * left * width * first + width**2 * second, 0.0)
            total = float(each.sum())
        return max(0.0, total / self.n) if math.isfinite(total) else float("inf")

    @cached_property
    def relative_variance(self) -> float:
        """Variance in parts of the squared range of the reference, to about 2^-16 of a squared width; 0 without values.

        Values more than one range outside count as one range outside, so it is at most 9/4. Made by two products, as
        monitors ask for it in every window.
        """
        if not self.n or not self.bins.edges:
            return 0.0
        mean, square = (self.bins.moments @ self.vector[:-3]).tolist()
        return max(float(square / self.n - (mean / self.n) ** 2), 0.0)

    def psi(self, reference: Self) -> float:
        """Return the population stability index against `reference` (see `distances.psi`)."""
        self._refuse_stranger(reference)
        return distances.psi(reference.counts, self.counts)

    def jensen_shannon(self, reference: Self) -> float:
        """Return the Jensen-Shannon distance of the cells, 0 to 1."""
        self._refuse_stranger(reference)
        return distances.jensen_shannon(reference.counts, self.counts)

    def kolmogorov_smirnov(self, reference: Self) -> float:
        """Return a lower bound of the Kolmogorov-Smirnov distance, 0 to 1 (see `distances.kolmogorov_smirnov`)."""
        self._refuse_stranger(reference)
        return distances.kolmogorov_smirnov(reference.counts, self.counts)

    def wasserstein(self, reference: Self) -> float:
        """Return a lower bound of the Wasserstein-1 distance, in the column's unit.

        The sum over cells of |integral of F - G|: exact where the two distribution functions do not cross within a
        cell. The integral over a cell [l, r) with share p is (r - l) F(l) + the mean of (r - x) there, which the sums
        give.
        """
        self._refuse_stranger(reference)
        if not self.n or not reference.n or not self.bins.edges:
            return float("nan")
        half = np.zeros(self.bins.cells)
        for histogram, sign in ((self, 1.0), (reference, -1.0)):
            before = np.concatenate([[0.0], np.cumsum(histogram.shares)[:-1]])
            beyond = histogram.shares - histogram.part("sums") * (_UNIT / histogram.n)
            half += sign * self.bins.half_width * (before + beyond)
        return 2 * float(np.sum(np.abs(half)))


def nearly_equal(counts: Counts, sums: Counts, squares: Counts) -> Counts:
    """Return the rows of each cell whose values are nearly equal, 0 for the others (see `Histogram.alike`)."""
    filled = np.maximum(counts, 1)
    mean = sums / filled
    spread = squares * (65536.0 / filled) - mean * mean
    return np.where(spread <= _ALIKE**2, counts, 0)
