"""Rules as TensorFlow Data Validation makes them of a reference: a schema, and comparators of distributions.

Written after its documentation (schema inference and anomalies): each column's type; its presence, that is whether a
value may be missing; the domain of a text column of at most 100 values; and comparators with the thresholds that its
guide uses, L-infinity .01 for texts (drift) and Jensen-Shannon .1 for numbers. A share of the rows may be outside the
schema; it and the comparators' thresholds are tuned as the benchmark tunes rivals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.statistics.distances import jensen_shannon, largest_difference

DOMAIN = 100
LINFINITY, DIVERGENCE = 0.01, 0.1


@dataclass(frozen=True)
class Anomalies:
    """The largest violation of each rule: shares of rows outside the schema, and distances."""

    missing: float
    outside: float
    linfinity: float
    divergence: float
    wrong_type: bool

    @property
    def as_documented(self) -> bool:
        """Whether any rule is broken with the documented thresholds."""
        shares = self.missing > 0 or self.outside > 0
        return self.wrong_type or shares or self.linfinity > LINFINITY or self.divergence > DIVERGENCE

    @property
    def schema_only(self) -> bool:
        """Whether the schema is broken; comparators are off unless asked for."""
        return self.wrong_type or self.missing > 0 or self.outside > 0

    def beyond(self, others: list[Anomalies]) -> bool:
        """Whether any violation is larger than that of every good partition."""
        pairs = (
            (self.missing, [item.missing for item in others]),
            (self.outside, [item.outside for item in others]),
            (self.linfinity, [item.linfinity for item in others]),
            (self.divergence, [item.divergence for item in others]),
        )
        return self.wrong_type or any(value > max(known, default=0.0) for value, known in pairs)


def anomalies(reference: pa.Table, partition: pa.Table) -> Anomalies:
    """Return how far a partition breaks the schema of a reference."""
    missing = outside = linfinity = divergence = 0.0
    wrong = False
    for name in reference.column_names:
        before, after = reference.column(name), partition.column(name)
        wrong |= _kind(before.type) != _kind(after.type)
        if not before.null_count:
            missing = max(missing, after.null_count / max(len(after), 1))
        if _kind(before.type) == "text":
            known = pc.unique(before.drop_null())
            if len(known) <= DOMAIN:
                strange = pc.invert(pc.is_in(after.drop_null(), value_set=known))
                outside = max(outside, float(pc.sum(strange).as_py() or 0) / max(len(after), 1))
            linfinity = max(linfinity, largest_difference(*_words(before, after)))
        elif _kind(before.type) == _kind(after.type) == "number":
            counts = _numbers(before, after)
            divergence = max(divergence, jensen_shannon(*counts) ** 2 if counts[0].sum() and counts[1].sum() else 0.0)
    return Anomalies(missing, outside, linfinity, divergence, wrong)


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)


def _words(before: pa.ChunkedArray, after: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counted = []
    for side in (before, after):
        found = pc.value_counts(side.drop_null())
        counted.append(dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)))
    names = sorted({*counted[0], *counted[1]})
    first, second = (np.array([side.get(name, 0) for name in names], dtype=np.int64) for side in counted)
    return first, second


def _numbers(before: pa.ChunkedArray, after: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return counts over ten cells of equal width over both, as its standard histograms have."""
    sides = [side.cast(pa.float64()).to_numpy() for side in (before, after)]
    first, second = (side[np.isfinite(side)] for side in sides)
    if not first.size or not second.size:
        return np.zeros(10, np.int64), np.zeros(10, np.int64)
    edges = np.linspace(min(first.min(), second.min()), max(first.max(), second.max()), 11)
    return np.histogram(first, edges)[0].astype(np.int64), np.histogram(second, edges)[0].astype(np.int64)
