"""Counts of a category over reference cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from pitstop.statistics import distances
from pitstop.statistics.arrays import as_strings, chunks, piece
from pitstop.statistics.base import Counts, Floats, Tally
from pitstop.statistics.bins import CategoryBins
from pitstop.statistics.kernels import count_codes


@dataclass(frozen=True, eq=False)
class CategoryCounts(Tally[CategoryBins]):
    """Counts per category cell and nulls. Strings are looked up once per distinct value of a batch."""

    name: ClassVar[str] = "categories"

    @classmethod
    def parts(cls, bins: CategoryBins) -> dict[str, tuple[int, ...]]:
        """Return the shape of each part."""
        return {"counts": (bins.cells,), "nulls": ()}

    def updated(self, values: Any) -> Self:
        """Return it with a batch more: an Arrow array of strings or dictionary-encoded strings, chunked or not."""
        vector = self.vector.copy()
        for chunk in chunks(values):
            array = chunk if pa.types.is_dictionary(chunk.type) else as_strings(chunk).dictionary_encode()
            if array.indices.type != pa.int32():
                array = array.cast(pa.dictionary(pa.int32(), array.dictionary.type))
            self._count(array, vector)
        return type(self)(self.bins, vector)

    def _count(self, array: pa.DictionaryArray, vector: Counts) -> None:
        by_code = np.zeros(len(array.dictionary) + 1, dtype=np.int64)
        count_codes(piece(array.indices, np.int32), len(array.dictionary), by_code)
        # A small batch of a column with 100,000 categories looks up only those that it holds.
        used = np.flatnonzero(by_code[:-1])
        names = array.dictionary if used.size == len(array.dictionary) else array.dictionary.take(pa.array(used))
        # A dictionary may hold a null as one of its values; nulls are the last entry.
        cells = [-1 if name is None else self.bins.cell_of(name) for name in as_strings(names).to_pylist()]
        np.add.at(vector, np.array(cells, dtype=np.int64), by_code[used])
        vector[-1] += by_code[-1]

    @property
    def counts(self) -> Counts:
        """Values per cell, int64[cells]."""
        return self.vector[:-1]

    @property
    def n(self) -> int:
        """Number of values that are not null."""
        return int(self.counts.sum())

    @property
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
