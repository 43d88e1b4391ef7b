"""Counts of a category over reference cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

from pitstop.statistics import distances
from pitstop.statistics.base import Counts, Floats, Tally
from pitstop.statistics.bins import CategoryBins
from pitstop.statistics.kernels import Windows
from pitstop.statistics.words import count_words


@dataclass(frozen=True, eq=False)
class CategoryCounts(Tally[CategoryBins]):
    """Counts per category cell and nulls. Dictionaries are looked up once per distinct value of a batch."""

    name: ClassVar[str] = "categories"

    @classmethod
    def parts(cls, bins: CategoryBins) -> dict[str, tuple[int, ...]]:
        """Return the shape of each part."""
        return {"counts": (bins.cells,), "nulls": ()}

    @classmethod
    def size_for(cls, bins: CategoryBins) -> int:
        """Return the length of the vector."""
        return bins.cells + 1

    @classmethod
    def count_into(cls, counts: Counts, bins: CategoryBins, values: Any, windows: Windows = None) -> None:
        """Add a batch to `counts`, one vector or, with a window for each row, a matrix of one for each window."""
        count_words(values, bins.prepared, counts, windows)

    def updated(self, values: Any) -> Self:
        """Return it with a batch more: an Arrow array of strings or dictionary-encoded strings, chunked or not."""
        vector = self.vector.copy()
        self.count_into(vector, self.bins, values)
        return type(self)(self.bins, vector)

    @property
    def counts(self) -> Counts:
        """Values per cell, int64[cells]."""
        return self.vector[:-1]

    @cached_property
    def n(self) -> int:
        """Number of values that are not null."""
        return int(self.counts.sum())

    @cached_property
    def nulls(self) -> int:
        """Number of nulls."""
        return int(self.vector[-1])

    @property
    def rows(self) -> int:
        """Number of rows, nulls included."""
        return self.n + self.nulls

    @property
    def unseen(self) -> int:
        """Number of values that the reference does not have; always 0 for an open vocabulary."""
        return int(self.counts[-1])

    @property
    def shares(self) -> Floats:
        """Share of the values in each cell, float64[cells]; NaN without values."""
        return distances.shares(self.counts)

    def psi(self, reference: Self) -> float:
        """Return the population stability index against `reference` (see `distances.psi`)."""
        self._refuse_stranger(reference)
        return distances.psi(reference.counts, self.counts)

    def jensen_shannon(self, reference: Self) -> float:
        """Return the Jensen-Shannon distance of the cells, 0 to 1."""
        self._refuse_stranger(reference)
        return distances.jensen_shannon(reference.counts, self.counts)

    def largest_difference(self, reference: Self) -> float:
        """Return the largest difference of a cell's share, 0 to 1."""
        self._refuse_stranger(reference)
        return distances.largest_difference(reference.counts, self.counts)
