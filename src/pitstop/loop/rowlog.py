"""The rows that the loop has seen, in columns that grow: what training, comparison and late labels read.

It holds nothing that the store does not: on restart it is rebuilt from the segments. A category gets its code when it
first appears, so codes never depend on rows that come later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError, DuplicateIdError
from pitstop.records.spec import ModelSpec

Ints = NDArray[np.int64]
NEVER = np.iinfo(np.int64).max
NO_ESTIMATE = np.iinfo(np.int64).min
_FIRST_CAPACITY = 1024


class Column:
    """A numpy array that grows by appending; `values` is a view of what is filled."""

    def __init__(self, dtype: Any, fill: Any) -> None:
        self._fill = fill
        self._array = np.full(_FIRST_CAPACITY, fill, dtype=dtype)
        self._size = 0

    @property
    def values(self) -> NDArray[Any]:
        """The filled part, writable."""
        return self._array[: self._size]

    def extend(self, values: NDArray[Any] | None, count: int) -> None:
        """Append `values`, or `count` times the fill value where there are none."""
        needed = self._size + count
        if needed > len(self._array):
            grown = np.full(max(needed, 2 * len(self._array)), self._fill, dtype=self._array.dtype)
            grown[: self._size] = self._array[: self._size]
            self._array = grown
        if values is not None:
            self._array[self._size : needed] = values
        self._size = needed


@dataclass(frozen=True)
class Join:
    """Labels with the ordinals of their rows: `first` are new, `changed` correct an earlier label, others repeat it."""

    rows: Ints
    values: NDArray[Any]
    known_at: Ints
    first: NDArray[np.bool_]
    changed: NDArray[np.bool_]

    @property
    def to_set(self) -> tuple[Ints, NDArray[Any], Ints]:
        """Rows, labels and instants of those that say something new."""
        use = self.first | self.changed
        return self.rows[use], self.values[use], self.known_at[use]


class RowLog:
    """Predicted rows by ordinal (0, 1, 2, ... in order of logging), with labels and scores as they come."""

    def __init__(self, spec: ModelSpec) -> None:
        columns = spec.columns
        extra = (*columns.segments, *columns.protected)
        self._spec = spec
        self._numeric = {name: Column(np.float64, np.nan) for name in dict.fromkeys((*spec.numeric, *spec.amounts))}
        self._codes = {
            name: Column(np.int32, -1)
            for name in dict.fromkeys((*columns.categorical, *extra))
            if name not in self._numeric
        }
        self._words: dict[str, dict[str, int]] = {name: {} for name in self._codes}
        self._regression = spec.model.task == "regression"
        text: Any = np.float64 if self._regression else object
        blank: Any = np.nan if self._regression else None
        self._at = Column(np.int64, 0)
        self._label_at = Column(np.int64, NEVER)
        self._first_label_at = Column(np.int64, NEVER)
        self._label = Column(text, blank)
        self._index: dict[str, int] = {}
        self._ids: list[str] = []
        # The logged chance that the row's label is revealed, where the specification names one.
        self.chance = Column(np.float64, np.nan)
        # Scores given when the row was predicted (served), and by the freshest model that had not seen its label.
        self.served_score = Column(np.float64, np.nan)
        self.served_class = Column(text, blank)
        self.fresh_score = Column(np.float64, np.nan)
        self.fresh_class = Column(text, blank)
        # What the model that serves now said of labelled rows; see `Loop` on releases.
        self.judged = Column(text, blank)
        self.leaf = Column(np.int64, 0)
        # Value in ticks as estimated when predicted (`NO_ESTIMATE` where not), and as realised by the label.
        self.estimate = Column(np.int64, NO_ESTIMATE)
        # Standard deviation in ticks of what a row will earn, as seen when it was predicted.
        self.spread = Column(np.int64, 0)
        self.earned = Column(np.int64, 0)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def at(self) -> Ints:
        """Instants of prediction."""
        return self._at.values

    @property
    def label_at(self) -> Ints:
        """Instants at which the labels that hold became known; `NEVER` where there is none."""
        return self._label_at.values

    @property
    def first_label_at(self) -> Ints:
        """Instants at which rows were first labelled, right or wrong; a correction does not change them.

        What judges models on labels that no model had seen goes by them, and what counts each row once.
        """
        return self._first_label_at.values

    @property
    def labels(self) -> NDArray[Any]:
        """Labels: text for classes, float64 for regression; None or NaN where not known."""
        return self._label.values

    @property
    def ids(self) -> Sequence[str]:
        """Row ids by ordinal."""
        return self._ids

    def append(
        self, table: pa.Table, scores: NDArray[np.float64] | None = None, predicted: NDArray[Any] | None = None
    ) -> Ints:
        """Append normalised rows and return their ordinals. Raises `DuplicateIdError` before anything is changed."""
        ids = table["@id"].to_pylist()
        if len(set(ids)) < len(ids) or any(name in self._index for name in ids):
            times = Counter(ids)
            again = next(name for name in ids if name in self._index or times[name] > 1)
            msg = f"id {again!r} was logged before; give each its own id, or send corrections as labels"
            raise DuplicateIdError(msg)
        first, count = len(self._ids), len(ids)
        for name, column in self._numeric.items():
            column.extend(_floats(table[name]), count)
        for name, column in self._codes.items():
            column.extend(self._encode(name, table[name]), count)
        self._at.extend(table["@at"].to_numpy(), count)
        self.chance.extend(_floats(table["@propensity"]) if "@propensity" in table.column_names else None, count)
        unset = (
            *(self._label_at, self._first_label_at, self._label, self.fresh_score, self.fresh_class),
            *(self.judged, self.leaf, self.estimate, self.spread, self.earned),
        )
        for grown in unset:
            grown.extend(None, count)
        self.served_score.extend(scores, count)
        self.served_class.extend(predicted, count)
        self._ids.extend(ids)
        self._index.update(zip(ids, range(first, first + count), strict=True))
        return np.arange(first, first + count, dtype=np.int64)

    def _encode(self, name: str, column: pa.ChunkedArray) -> NDArray[np.int32]:
        words = self._words[name]
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if not pa.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        codes = np.asarray(pc.fill_null(array.indices, -1)).astype(np.int64)
        known = array.dictionary.to_pylist()
        table = np.full(len(known) + 1, -1, dtype=np.int32)
        used, first = np.unique(codes[codes >= 0], return_index=True)
        # Codes are given in order of first appearance, whatever the order of the batch's dictionary.
        positions = np.flatnonzero(codes >= 0)
        for code in used[np.argsort(positions[first], kind="stable")]:
            table[code] = words.setdefault(known[code], len(words))
        return table[codes]

    def ordinals(self, ids: Sequence[str]) -> Ints:
        """Return the ordinals of ids; raise `ColumnValueError` naming the first id that was never predicted."""
        found = [self._index.get(name, -1) for name in ids]
        if -1 in found:
            stray = ids[found.index(-1)]
            msg = (
                f"a label came for id {stray!r} ({found.count(-1)} such ids), but no prediction has that id; "
                "log predictions before their labels, or check that the ids are the same on both sides"
            )
            raise ColumnValueError(msg)
        return np.array(found, dtype=np.int64)

    def join(self, labels: pa.Table) -> Join:
        """Find the rows of labels, and which of them are new and which differ from those that came before."""
        rows = self.ordinals(labels["@id"].to_pylist())
        values = np.array(labels["@label"].to_pylist(), dtype=self.labels.dtype)
        known_at = np.asarray(labels["@label_at"].to_numpy(), dtype=np.int64)
        chance = self.chance.values[rows]
        if (never := chance == 0.0).any():
            stray = labels["@id"][int(np.argmax(never))].as_py()
            msg = (
                f"a label came for id {stray!r}, whose chance to show one was logged as 0 ({int(never.sum())} such "
                "rows); log the chance with which a row is decided so that its label shows"
            )
            raise ColumnValueError(msg)
        first = self.label_at[rows] == NEVER
        return Join(rows, values, known_at, first, ~first & (self.labels[rows] != values))

    def set_labels(self, ordinals: Ints, labels: NDArray[Any], label_at: Ints) -> None:
        """Set (or correct) the labels of rows."""
        self._label.values[ordinals] = labels
        self._label_at.values[ordinals] = label_at
        first = self._first_label_at.values
        np.minimum.at(first, ordinals, np.where(first[ordinals] == NEVER, label_at, NEVER))

    def features(self, ordinals: Ints, *, label: bool = False, extra: bool = False) -> pa.Table:
        """Return the features of rows as a normalised table; `label` adds labels, `extra` amounts and segments."""
        names: Sequence[str] = self._spec.columns.features
        if extra:
            names = list(dict.fromkeys((*names, *self._numeric, *self._codes)))
        content = {name: self._arrow(name, ordinals) for name in names}
        if label:
            kind = pa.float64() if self._regression else pa.string()
            content["@label"] = pa.array(self.labels[ordinals], type=kind)
        return pa.table(content) if content else pa.table({})

    def values(self, name: str) -> NDArray[Any]:
        """Return a column of features: float64 (NaN: missing), or codes of categories (-1: missing)."""
        return self._numeric[name].values if name in self._numeric else self._codes[name].values

    def told(self, name: str, ordinals: Ints) -> tuple[list[str], Ints]:
        """Return the distinct values of a column in rows as text, and for each row the place of its own (-1: none)."""
        values = self.values(name)[ordinals]
        missing = np.isnan(values) if name in self._numeric else values < 0
        kinds, inverse = np.unique(values, return_inverse=True)
        places = np.where(missing, -1, inverse).astype(np.int64)
        if name in self._numeric:
            return [_number_text(float(kind)) for kind in kinds], places
        words = list(self._words[name])
        return [words[kind] if kind >= 0 else "" for kind in kinds], places

    def words(self, name: str) -> Sequence[str]:
        """Return the categories of a column in the order of their codes."""
        return list(self._words[name])

    def predicted_between(self, start: int, end: int) -> Ints:
        """Return the ordinals of the rows predicted from instant `start` to before `end`; rows are logged in order."""
        first, last = np.searchsorted(self.at, [start, end])
        return np.arange(first, last, dtype=np.int64)

    def as_kept(self, rows: pa.Table, batch: Ints) -> pa.Table:
        """Return logged rows as they are kept: as they came, without labels, with what was predicted and booked."""
        kind = pa.float64() if self._regression else pa.string()
        served = {
            "@score": pa.array(self.served_score.values[batch], from_pandas=True),
            "@prediction": pa.array(self.served_class.values[batch], type=kind, from_pandas=True),
            "@estimate": pa.array(self.estimate.values[batch]),
            "@spread": pa.array(self.spread.values[batch]),
        }
        table = rows.drop_columns([name for name in ("@label", "@label_at", *served) if name in rows.column_names])
        for name, column in served.items():
            table = table.append_column(name, column)
        return table

    def amounts(self, ordinals: Ints) -> dict[str, NDArray[np.float64]]:
        """Return the amount columns of the value function for rows."""
        return {name: self._numeric[name].values[ordinals] for name in self._spec.amounts}

    def _arrow(self, name: str, ordinals: Ints) -> pa.Array:
        if name in self._numeric:
            return pa.array(self._numeric[name].values[ordinals], from_pandas=True)
        codes = self._codes[name].values[ordinals]
        words = pa.array(list(self._words[name]), type=pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), words)


def given(decided: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows have a decision: a class, or a number."""
    if decided.dtype != object:
        return np.asarray(~np.isnan(decided), dtype=np.bool_)
    return np.asarray(decided != None, dtype=np.bool_)  # noqa: E711 - elementwise on an object array


def _number_text(value: float) -> str:
    """Return a number as text that reads back as the same: short where six digits tell it apart."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value).removesuffix(".0")


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(), dtype=np.float64)
