"""Turns a table of features into numbers for the built-in trainers, the same way at training and at scoring time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CATEGORIES_KEPT = 60


@dataclass(frozen=True)
class Encoding:
    """The features in order, and for each category column its kept values (None for numbers).

    A feature in `empty` had no value at all in training: nothing was learned of it, so it is 0 for every row.
    The `CATEGORIES_KEPT` most frequent values are kept (ties by name); all others, and those never seen, are one
    category "other".
    """

    features: tuple[str, ...]
    kept: tuple[tuple[str, ...] | None, ...]
    empty: frozenset[str]

    @classmethod
    def fit(cls, table: pa.Table, features: list[str], categorical: list[str]) -> Encoding:
        """Return the encoding learned from training rows."""
        kept = tuple(_most_frequent(table[name]) if name in categorical else None for name in features)
        empty = frozenset(
            name
            for name, values in zip(features, kept, strict=True)
            if not (values or (values is None and np.isfinite(_numbers(table[name])).any()))
        )
        return cls(tuple(features), kept, empty)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return {
            "features": list(self.features),
            "kept": [None if values is None else list(values) for values in self.kept],
            "empty": sorted(self.empty),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Encoding:
        """Return the encoding that `to_json` described."""
        kept = tuple(None if values is None else tuple(values) for values in content["kept"])
        return cls(tuple(content["features"]), kept, frozenset(content["empty"]))

    @property
    def categorical(self) -> NDArray[np.bool_]:
        """Which columns of the matrix are category codes."""
        return np.array([values is not None for values in self.kept], dtype=np.bool_)

    def matrix(self, table: pa.Table) -> Floats:
        """Return the features of rows, shape (rows, features): numbers, and codes from 0; the last code is "other".

        Missing values and infinities are NaN: an infinite number has no place in a histogram or a mean.
        """
        columns = np.zeros((table.num_rows, len(self.features)), dtype=np.float64, order="F")
        for index, (name, values) in enumerate(zip(self.features, self.kept, strict=True)):
            if name not in self.empty:
                columns[:, index] = _numbers(table[name]) if values is None else _codes(table[name], values)
        columns[~np.isfinite(columns)] = np.nan
        return columns


def _numbers(column: Any) -> Floats:
    filled = pc.fill_null(column.cast(pa.float64()), float("nan"))
    return np.asarray(filled, dtype=np.float64)


def _dictionary(column: Any) -> Any:
    combined = column.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        combined = pa.concat_arrays(combined.chunks) if combined.num_chunks else pa.array([], column.type)
    if not pa.types.is_dictionary(combined.type):
        combined = combined.cast(pa.string()).dictionary_encode()
    return combined


def _most_frequent(column: Any) -> tuple[str, ...]:
    encoded = _dictionary(column)
    indices = np.asarray(encoded.indices.drop_null(), dtype=np.int64)
    counts = np.bincount(indices, minlength=len(encoded.dictionary))
    values = [str(value) for value in encoded.dictionary.to_pylist()]
    seen = [(-int(count), value) for count, value in zip(counts, values, strict=True) if count]
    return tuple(value for _, value in sorted(seen)[:CATEGORIES_KEPT])


def _codes(column: Any, kept: tuple[str, ...]) -> Floats:
    encoded = _dictionary(column)
    if not len(encoded.dictionary):
        return np.full(len(encoded), np.nan)
    found = pc.index_in(encoded.dictionary.cast(pa.string()), value_set=pa.array(kept, pa.string()))
    codes = np.asarray(found.fill_null(len(kept)), dtype=np.float64)
    places = np.asarray(encoded.indices.fill_null(-1), dtype=np.int64)
    return np.where(places < 0, np.nan, codes[places])
