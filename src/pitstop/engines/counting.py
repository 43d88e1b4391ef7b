"""Counts rows of any windows, in any order, some columns at a time: the kernel's caller in every engine.

What is counted of one part of a table adds up with that of the others, on this machine or from another one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError, RecordError, SpecError, StatisticError
from pitstop.profile import Layout, Profile
from pitstop.records import columns as convert
from pitstop.records import row_words
from pitstop.records.instants import read_instants
from pitstop.records.spec import ModelSpec
from pitstop.statistics import stable_rows
from pitstop.statistics.base import Counts
from pitstop.statistics.cells import LEAVES
from pitstop.statistics.distinct import Distinct
from pitstop.statistics.many_columns import ManyColumns
from pitstop.statistics.packing import pack_counts, unpack_counts
from pitstop.statistics.scores import Scores
from pitstop.statistics.words import encoded

Ints = NDArray[np.int64]

# Different rows of a window up to which repeated rows are counted exactly; 2 MB for each window that is not finished.
WINDOW_LIMIT = 1 << 17
_LENGTHS = struct.Struct("<qq")


@dataclass(frozen=True)
class Counted:
    """What was counted of some rows of a window, as one vector: rows per leaf, outputs, features in layout's order.

    `rows` are the hashes that find repeated rows. Two of one layout add up.
    """

    layout: Layout
    vector: Counts
    rows: Distinct

    def merged(self, other: Self) -> Self:
        """Return that of both sets of rows. Raises `StatisticError` where the layouts differ."""
        if self.layout.id != other.layout.id:
            msg = f"counts of {self.layout.id} and {other.layout.id} do not add up; count both over one layout"
            raise StatisticError(msg)
        return type(self)(self.layout, self.vector + other.vector, self.rows.merged(other.rows))

    def finished(self) -> Profile:
        """Return the profile."""
        head = np.array([self.rows.rows, self.rows.repeats], dtype=np.int64)
        return Profile.of_vector(self.layout, np.concatenate([head, self.vector]))

    def pack(self) -> bytes:
        """Return it as bytes: the same bytes for the same counts on every machine."""
        vector, rows = pack_counts(self.vector), self.rows.pack()
        return _LENGTHS.pack(len(vector), len(rows)) + vector + rows

    @classmethod
    def unpack(cls, layout: Layout, data: bytes) -> Self:
        """Return what `pack` wrote. Raises `StatisticError` where it is damaged or of another layout."""
        first = _LENGTHS.size
        sizes = _LENGTHS.unpack(data[:first]) if len(data) >= first else (0, -1)
        if len(data) != first + sum(sizes):
            msg = f"got {len(data)} bytes that are no packed counts of a window; count the rows again"
            raise StatisticError(msg)
        end = first + sizes[0]
        return cls(layout, unpack_counts(data[first:end], vector_size(layout)), Distinct.unpack(data[end:]))


def vector_size(layout: Layout) -> int:
    """Return the length of the vector of `Counted`."""
    return layout.size - 2


def merge(total: dict[int, Counted], more: Mapping[int, Counted]) -> None:
    """Add counts by window to `total`, in place."""
    for window, counted in more.items():
        total[window] = total[window].merged(counted) if window in total else counted


@dataclass(frozen=True)
class Reading:
    """Which columns a pass reads, and how: the same for every part and engine."""

    spec: ModelSpec
    layout: Layout
    windows: tuple[int | None, int | None] = (None, None)

    @property
    def roles(self) -> list[str]:
        """Columns that are read first: the time, and what the model said."""
        named = self.spec.columns
        return list(dict.fromkeys(name for name in (named.time, named.score, named.prediction) if name))

    @property
    def features(self) -> list[str]:
        """Features in the layout's order."""
        return [name for name, _, _ in self.layout.statistics()]

    @cached_property
    def texts(self) -> list[str]:
        """Features that may come dictionary-encoded."""
        return [name for name, _ in self.layout.categorical]

    @cached_property
    def categorical(self) -> frozenset[str]:
        """Features that are categories."""
        return frozenset(self.spec.columns.categorical)

    def window_of(self, column: pa.ChunkedArray, first: int) -> Ints:
        """Return the window of each row; `first` is the ordinal of the first one. Raises `ColumnValueError`."""
        name = self.spec.columns.time
        times = read_instants(column, name)
        missing = np.flatnonzero(~times.valid)
        if missing.size:
            msg = (
                f"time column {name!r}, row {first + missing[0] + 1}: there is no time; every row needs one, so fill "
                "them in or remove these rows"
            )
            raise ColumnValueError(msg)
        calendar = self.spec.calendar
        if not calendar.by_rows:
            if times.kind == "integer":
                msg = (
                    f"time column {name!r} holds whole numbers, which have no {calendar.window}s; write window = 50 "
                    "and period = 30 (rows and windows) in [time], or convert it to dates"
                )
                raise ColumnValueError(msg)
            return calendar.window_of(times.values)
        if times.values.size and (np.diff(times.values) < 0).any():
            raise out_of_order(name)
        return calendar.window_of(np.arange(first, first + times.values.size, dtype=np.int64))

    def wanted(self, window: int) -> bool:
        """Whether a window is asked for."""
        start, stop = self.windows
        return (start is None or window >= start) and (stop is None or window < stop)


def out_of_order(name: str) -> RecordError:
    """Return the error of rows that are not in order of time, where windows are numbers of rows."""
    msg = f"time column {name!r}: the source is not in order of time, which row-count windows need; sort it"
    return RecordError(msg)


class RowCounter:
    """Counts the rows of one part: first their roles, then their features, some columns at a time.

    `begin` takes the role columns of all rows; `add` takes feature columns of the rows from `at` on, each column once
    for each row, columns in the layout's order; `counted` gives the result.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._numbers: list[int] = []
        self._places = np.zeros(0, np.int32)
        self._state = row_words.start(0)
        self._matrix = np.zeros((0, 0), np.int64)
        before = LEAVES + Scores.size_for(reading.layout.outcome_bins)
        self._columns = {
            name: (kind, bins, before + first, before + last)
            for name, (kind, bins, first, last) in reading.layout.places.items()
        }
        self._left = set(self._columns)

    def begin(self, roles: pa.Table, first: int = 0) -> bool:
        """Take the role columns; return whether any row is in a window that is asked for."""
        spec, layout = self._reading.spec, self._reading.layout
        windows = self._reading.window_of(roles.column(spec.columns.time), first)
        numbers, inverse = np.unique(windows, return_inverse=True)
        wanted = np.array([self._reading.wanted(int(number)) for number in numbers], dtype=bool)
        self._numbers = [int(number) for number in numbers[wanted]]
        # -1 for a row of another window.
        dense = np.where(wanted, np.cumsum(wanted) - 1, -1).astype(np.int32)
        self._places = dense[inverse] if windows.size else np.zeros(0, np.int32)
        self._state = row_words.start(windows.size)
        self._matrix = np.zeros((len(self._numbers), vector_size(layout)), np.int64)
        scores, predicted = outputs(spec, roles)
        kept, places = self._wanted(pa.table({"p": predicted, **({} if scores is None else {"s": scores})}))
        given = kept.column("s") if "s" in kept.column_names and spec.model.task != "regression" else None
        counts = np.zeros((len(self._numbers), Scores.size_for(layout.outcome_bins)), np.int64)
        Scores.count_into(counts, layout.outcome_bins, given, kept.column("p"), places)
        self._matrix[:, LEAVES : LEAVES + counts.shape[1]] = counts
        self._matrix[:, 0] = np.bincount(places, minlength=len(self._numbers))
        return bool(self._numbers)

    def add(self, table: pa.Table, at: int = 0) -> None:
        """Count feature columns of the rows `at`, `at` + 1, ..."""
        end = at + table.num_rows
        state, places = self._state[at:end], self._places[at:end]
        many = ManyColumns(self._matrix, places, state)
        for name, column in zip(table.schema.names, table.columns, strict=True):
            kind, bins, first, last = self._columns[name]
            if not many.add(column, bins, first):
                many.count()  # hashes depend on the order of the columns
                values = feature(column, name, categorical=name in self._reading.categorical)
                kind.count_into(self._matrix[:, first:last], bins, values, places)
                stable_rows.fold(state, values)
            self._left.discard(name)
        many.count()

    def counted(self) -> dict[int, Counted]:
        """Return the counts by window. Raises `StatisticError` where a feature was not given."""
        if self._left:
            msg = f"the feature {min(self._left)!r} was not counted; give every feature of the layout"
            raise StatisticError(msg)
        hashes = row_words.finished(self._state)
        order = np.argsort(self._places, kind="stable")
        ends = np.searchsorted(self._places[order], np.arange(len(self._numbers) + 1))
        return {
            window: Counted(
                self._reading.layout,
                self._matrix[at],
                Distinct.empty(WINDOW_LIMIT).updated(hashes[order[ends[at] : ends[at + 1]]]),
            )
            for at, window in enumerate(self._numbers)
        }

    def _wanted(self, table: pa.Table) -> tuple[pa.Table, NDArray[np.int32]]:
        """Return the rows of windows that are asked for, with the place of each one's window."""
        kept = self._places >= 0
        if kept.all():
            return table, self._places
        return table.filter(pa.array(kept)), self._places[kept]


def feature(column: pa.ChunkedArray, name: str, *, categorical: bool) -> pa.Array | pa.ChunkedArray:
    """Return a feature as the statistics count it: float64, or texts (dictionary-encoded where they came so).

    The value of a row depends on that row alone, so it does not matter how a table was cut.
    """
    if not categorical:
        return convert.numbers(column, name)
    if convert.is_text(column.type):
        # Its words are hashed and counted: once each, not once a row.
        return encoded(column) if isinstance(column, pa.ChunkedArray) else column
    return convert.texts(column, name)


def outputs(spec: ModelSpec, roles: pa.Table) -> tuple[Any, Any]:
    """Return (scores or None, predictions) of rows from their logged columns.

    A binary model without a logged class decides by its score and the threshold; where nothing is logged, predictions
    are missing. Raises `ColumnValueError` as `normalise` does.
    """
    named, task = spec.columns, spec.model.task
    scores = None if named.score is None else convert.scores(roles.column(named.score), named.score)
    if named.prediction is not None:
        column = roles.column(named.prediction)
        if task == "regression":
            return scores, convert.finite_numbers(column, named.prediction, nan_is_missing=False)
        return scores, convert.classes(column, named.prediction)
    if scores is not None and task == "binary":
        # Booleans mean "is positive" to the statistic.
        known = np.asarray(scores.to_numpy(zero_copy_only=False), dtype=np.float64)
        return scores, pa.array(known >= spec.decision.threshold, mask=np.isnan(known))
    return scores, pa.nulls(roles.num_rows, pa.float64() if task == "regression" else pa.string())


def require_columns(reading: Reading, names: Sequence[str]) -> None:
    """Raise `SpecError` where layout and specification name different features, `RecordError` for an unsafe name."""
    unknown = sorted(set(reading.features) ^ set(reading.spec.columns.features))
    if unknown:
        msg = f"the layout and the specification differ in the feature {unknown[0]!r}; fit the layout on this model"
        raise SpecError(msg)
    measured = [name for name in reading.spec.columns.measures if name not in names]
    if measured:
        msg = f"{measured[0]!r} is measured from a text or an embedding, which this engine does not read; use pieces_of"
        raise SpecError(msg)
    reserved = [name for name in names if name.startswith("@")]
    if reserved and set(reserved) & set(reading.features):
        msg = f"column {reserved[0]!r}: names that begin with @ are kept for Pitstop's own columns; rename it"
        raise RecordError(msg)
