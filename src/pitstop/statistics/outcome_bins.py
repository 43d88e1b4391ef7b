"""Cells of a model's output and of its outcomes: score bins, classes, and the grid of a regression's errors."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.records.identity import artifact_id
from pitstop.records.spec import Task
from pitstop.statistics.base import Floats
from pitstop.statistics.bins import NumericBins
from pitstop.statistics.kernels import PreparedWords
from pitstop.statistics.words import cells_of, prepare_words

# Score bins 0..1000: the bin of a score is 1000 times it, rounded half up (statistics.md, "CBPE": 20 bins are too few).
STEPS = 1000
MAX_CLASSES = 50
# Errors are counted in units of 2^-16 of the labels' range, up to 16 ranges.
_ERROR_BITS = 16
LARGEST_ERROR = 2**20


@dataclass(frozen=True)
class OutcomeBins:
    """What scores, predictions and outcomes of one model are counted against.

    `classes`: for a binary task (negative, positive), where every label but the positive counts as negative; for
    multiclass at most 50, and a further cell takes the rest. `prediction` (regression): bins of the reference labels.
    `error_edges` (regression): increasing absolute errors, of which the counts above are kept.
    """

    task: Task
    classes: tuple[str, ...] = ()
    prediction: NumericBins | None = None
    error_edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what does not fit the task."""
        edges = self.error_edges
        if self.task == "regression":
            if self.prediction is None or self.classes:
                msg = (
                    f"a regression has bins of its prediction and no classes, got {self.prediction} and {self.classes}"
                )
                raise StatisticError(msg)
            if any(b <= a for a, b in itertools.pairwise(edges)) or not all(math.isfinite(e) for e in edges):
                msg = f"error edges must be finite and increase, got {edges}"
                raise StatisticError(msg)
        elif self.task == "binary" and len(self.classes) != 2:
            msg = f"a binary task has two classes (negative, positive), got {self.classes}"
            raise StatisticError(msg)
        elif not 1 <= len(self.classes) <= MAX_CLASSES or len(set(self.classes)) != len(self.classes):
            msg = f"expected 1 to {MAX_CLASSES} different classes, got {self.classes}"
            raise StatisticError(msg)

    @cached_property
    def id(self) -> str:
        """Digest of the task, the classes and all edges, to their last bit."""
        prediction = self.prediction.id if self.prediction else None
        edges = [edge.hex() for edge in self.error_edges]
        return artifact_id("outcomebins", [self.task, self.classes, prediction, edges])

    @property
    def groups(self) -> int:
        """Number of class cells: 2 for a binary task, one more than the classes for multiclass, 0 for a regression."""
        return {"binary": 2, "multiclass": len(self.classes) + 1, "regression": 0}[self.task]

    def group_names(self) -> tuple[str, ...]:
        """Return the names of the class cells."""
        return (*self.classes, "other") if self.task == "multiclass" else self.classes

    @property
    def origin(self) -> float:
        """The value of the reference labels from which label sums are counted (regression)."""
        edges = self._labels.edges
        return edges[len(edges) // 2] if edges else 0.0

    @property
    def unit(self) -> float:
        """The unit of error and label sums (regression): a power of two, about 2^-16 of the labels' range."""
        return math.ldexp(1.0, math.frexp(self._labels.half_span)[1] + 1 - _ERROR_BITS)

    @property
    def _labels(self) -> NumericBins:
        if self.prediction is None:
            msg = f"a {self.task} model has no numeric prediction"
            raise StatisticError(msg)
        return self.prediction

    def groups_of(self, values: Any) -> NDArray[np.int32]:
        """Return the class cell of each value, int32; -1 for nulls.

        Values are texts (or whole numbers, compared as text); for a binary task booleans mean "is positive". Raises
        `StatisticError` for fractional numbers.
        """
        column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(np.asarray(values))
        if pa.types.is_floating(column.type):
            msg = "got classes as floating-point numbers; pass them as text, whole floats without their fraction"
            raise StatisticError(msg)
        if self.task == "binary" and pa.types.is_boolean(column.type):
            found = pc.fill_null(column.cast(pa.int32()), -1)
            return _plain(found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found)
        return cells_of(column, self._prepared)

    @cached_property
    def _prepared(self) -> PreparedWords:
        """Classes by their text: for a binary task the positive one and all others."""
        if self.task == "binary":
            return prepare_words({self.classes[1]: 1}, 0)
        return prepare_words({name: cell for cell, name in enumerate(self.classes)}, len(self.classes))

    def __reduce__(self) -> tuple[type[OutcomeBins], tuple[Any, ...]]:
        # `_prepared` holds addresses, which mean nothing in another process.
        return type(self), (self.task, self.classes, self.prediction, self.error_edges)


def score_values() -> Floats:
    """Return the score that each of the 1001 bins stands for."""
    return np.arange(STEPS + 1) / STEPS


def _plain(array: pa.Array) -> NDArray[np.int32]:
    return np.ascontiguousarray(array.to_numpy(zero_copy_only=False), dtype=np.int32)
