"""Bins, fitted once on a reference: what every later row is counted against.

Bins belong to the model and survive its releases, so that history stays comparable.
"""

from __future__ import annotations

import itertools
import math
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow.compute as pc

from pitstop.errors import StatisticError
from pitstop.records.identity import artifact_id
from pitstop.statistics.arrays import as_floats, as_strings
from pitstop.statistics.base import Floats
from pitstop.statistics.kernels import PreparedBins, PreparedWords
from pitstop.statistics.words import prepare_words

BINS = 20
TOP = 20
VOCABULARY = 10_000
# Positions within a cell narrower than this are not kept: its inverse would overflow.
_NARROWEST = 1e-290


@dataclass(frozen=True)
class NumericBins:
    """Cells of a number: 0 is below the first edge, i is [edge[i-1], edge[i]), the last is at or above the last edge.

    `edges` are finite and strictly increasing; there may be none (a column without one finite value), which
    makes one cell. The outer cells record positions over one reference range (`span`) beyond the edges.
    """

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse edges that do not divide the line."""
        if not all(math.isfinite(edge) for edge in self.edges):
            msg = f"bin edges must be finite, got {self.edges}"
            raise StatisticError(msg)
        if any(right <= left for left, right in itertools.pairwise(self.edges)):
            msg = f"bin edges must increase strictly, got {self.edges}"
            raise StatisticError(msg)

    @classmethod
    def fit(cls, values: Any, count: int = BINS) -> Self:
        """Return about `count` bins that hold equal shares of the finite reference `values`.

        At most 2 * `count` distinct values get a bin each. The last edge lies just above the largest value, so that
        the outer cells are empty on the reference (unless the largest value is the largest float there is). Nulls,
        NaN and infinities are left out. Edges are values that occurred, never averages of two, so huge values do not
        overflow.
        """
        if count < 1:
            msg = f"got {count} bins; expected at least 1"
            raise StatisticError(msg)
        finite = as_floats(values)
        finite = np.sort(finite[np.isfinite(finite)])
        if finite.size == 0:
            return cls(())
        distinct = np.unique(finite)
        if distinct.size > 2 * count:
            at = np.ceil(np.arange(count) * (finite.size / count)).astype(np.int64)
            inner = np.unique(finite[at])
        else:
            inner = distinct
        above = math.nextafter(float(finite[-1]), math.inf)
        # Adding 0.0 turns -0.0 into 0.0: equal bins must have equal ids.
        edges = [float(edge) + 0.0 for edge in inner]
        return cls((*edges, above) if math.isfinite(above) else tuple(dict.fromkeys((*edges, float(finite[-1])))))

    @property
    def cells(self) -> int:
        """Number of cells, outer ones included."""
        return len(self.edges) + 1

    @cached_property
    def id(self) -> str:
        """Digest of the edges, to their last bit."""
        return artifact_id("numericbins", [edge.hex() for edge in self.edges])

    @cached_property
    def prepared(self) -> PreparedBins:
        """The bins as the compiled kernel reads them."""
        return PreparedBins(np.array(self.edges, dtype=np.float64), self.half_left, self.inverse)

    def __reduce__(self) -> tuple[type[NumericBins], tuple[tuple[float, ...]]]:
        # `prepared` holds addresses, which mean nothing in another process.
        return type(self), (self.edges,)

    @cached_property
    def half_span(self) -> float:
        """Half the range of the reference; for a constant c, half of max(|c|, 1). Halved, so that it is finite."""
        if not self.edges:
            return 0.5
        low, high = self.edges[0], self.edges[-1]
        half = high / 2 - low / 2
        magnitude = max(abs(low), abs(high)) / 2
        return half if half > 1e-12 * magnitude and half > _NARROWEST else max(magnitude, 0.5)

    @cached_property
    def _halves(self) -> Floats:
        return np.array(self.edges, dtype=np.float64) / 2

    @cached_property
    def moments(self) -> Floats:
        """What makes counts, sums and sums of squares into the sums of x and x^2, float64[2, 3 cells].

        x is (value - first edge) / `span`, from -1 to 2; dividing halves keeps all of it finite.
        """
        if not self.edges:
            return _frozen(np.zeros((2, 3)))
        left = np.maximum((self.half_left - self.half_left[1]) / self.half_span, -1.0)
        width = self.half_width / self.half_span
        unit = 2.0**-16
        first = np.concatenate([left, width * unit, np.zeros_like(left)])
        return _frozen(np.stack([first, np.concatenate([left**2, 2 * left * width * unit, width**2 * unit])]))

    @cached_property
    def half_left(self) -> Floats:
        """Half of each cell's left end, float64[cells]; the first cell begins one span below the first edge."""
        if not self.edges:
            return _frozen(np.zeros(1))
        left = np.empty(self.cells)
        left[1:] = self._halves
        left[0] = max(float(left[1]) - self.half_span, -sys.float_info.max)
        return _frozen(left)

    @cached_property
    def half_width(self) -> Floats:
        """Half of each cell's width, float64[cells]; the outer cells are one span wide."""
        if not self.edges:
            return _frozen(np.zeros(1))
        width, halves = np.empty(self.cells), self._halves
        width[0] = width[-1] = self.half_span
        np.subtract(halves[1:], halves[:-1], out=width[1:-1])
        return _frozen(width)

    @cached_property
    def inverse(self) -> Floats:
        """2^16 divided by each cell's half width, float64[cells]; 0 where positions in the cell are not kept."""
        width = self.half_width
        wide = width >= _NARROWEST
        if wide.all():
            return _frozen(65536.0 / width)
        return _frozen(np.where(wide, 65536.0 / np.where(wide, width, 1.0), 0.0))

    def names(self) -> tuple[str, ...]:
        """Return a short text for each cell, such as `below 3`, `3`, `3 to 7`, `7 and above`."""
        if not self.edges:
            return ("any value",)
        texts = [f"{edge:.6g}" for edge in self.edges]
        inner = [left if left == right else f"{left} to {right}" for left, right in itertools.pairwise(texts)]
        return (f"below {texts[0]}", *inner, f"above {texts[-1]}")


@dataclass(frozen=True)
class CategoryBins:
    """Cells of a category: one for each of `values`, then `other` (known but not among them), then `unseen`.

    `known` is the sorted vocabulary of the reference, `values` included. Beyond 10,000 values it is not kept: the
    vocabulary is then `open`, `known` is empty, and every value outside `values` counts as `other`, none as unseen.
    """

    values: tuple[str, ...]
    known: tuple[str, ...] = ()
    open: bool = False

    def __post_init__(self) -> None:
        """Refuse a vocabulary that contradicts itself."""
        if len(set(self.values)) != len(self.values):
            msg = f"a category has two cells among {self.values}"
            raise StatisticError(msg)
        if not self.open and not set(self.values) <= set(self.known):
            stray = sorted(set(self.values) - set(self.known))
            msg = f"the categories {stray} are not in the vocabulary; add them to `known`"
            raise StatisticError(msg)

    @classmethod
    def fit(cls, values: Any, top: int = TOP, vocabulary: int = VOCABULARY) -> Self:
        """Return cells for the `top` most frequent reference values (ties by name). Nulls are left out."""
        counted = pc.value_counts(as_strings(values).drop_null())
        names = counted.field("values").to_pylist()
        order = sorted(
            zip(counted.field("counts").to_pylist(), names, strict=True), key=lambda item: (-item[0], item[1])
        )
        chosen = tuple(name for _, name in order[:top])
        if len(names) > vocabulary:
            return cls(chosen, (), open=True)
        return cls(chosen, tuple(sorted(names)))

    @property
    def cells(self) -> int:
        """Number of cells, `other` and `unseen` included."""
        return len(self.values) + 2

    @cached_property
    def id(self) -> str:
        """Digest of the categories and the vocabulary."""
        return artifact_id("categorybins", {"values": self.values, "known": self.known, "open": self.open})

    def names(self) -> tuple[str, ...]:
        """Return the categories, then `other` and `unseen`."""
        return (*self.values, "other", "unseen")

    def cell_of(self, value: str) -> int:
        """Return the cell of a value."""
        return self._cells.get(value, self.cell_of_others)

    @cached_property
    def prepared(self) -> PreparedWords:
        """The vocabulary as the compiled kernel looks it up."""
        return prepare_words(self._cells, self.cell_of_others)

    def __reduce__(self) -> tuple[type[CategoryBins], tuple[tuple[str, ...], tuple[str, ...], bool]]:
        # `prepared` holds addresses, which mean nothing in another process.
        return type(self), (self.values, self.known, self.open)

    @property
    def cell_of_others(self) -> int:
        """The cell of a value that is not in the vocabulary: `unseen`, or `other` where the vocabulary is open."""
        return self.cells - (2 if self.open else 1)

    @cached_property
    def _cells(self) -> dict[str, int]:
        cells = dict.fromkeys(self.known, len(self.values))
        return cells | {value: cell for cell, value in enumerate(self.values)}


def _frozen(array: Floats) -> Floats:
    array.flags.writeable = False
    return array
