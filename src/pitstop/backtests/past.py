"""A history as a backtest reads it: labelled rows in time, its periods, the digests that results are kept by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.backtests.leaving_out import LeftOut
from pitstop.errors import EmptyTableError
from pitstop.records import columns as convert
from pitstop.records.batches import Rows
from pitstop.records.spec import ModelSpec
from pitstop.strategy.row_losses import RowTimes
from pitstop.value.function import losses

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Periods of labels before the first candidate, as in a replay.
LEAD = 3
# Fewer periods with a candidate than this leave nothing to learn from and to judge by.
LEAST_PERIODS = 6
# Stands for "no label": later than every instant.
NEVER = np.iinfo(np.int64).max
_VALUES_COUNTED = 10


@dataclass(frozen=True, eq=False)
class Past:
    """Rows in order of prediction. Period 0 is that of the first candidate; instants are those of the calendar.

    `at` and `label_at` (`NEVER` where there is no label) are instants, `labels` text or float64 (None or NaN without),
    `origin` the calendar's number of period 0, `periods` the number of periods with a candidate, `hashes` one digest
    of each row's features and `label_hashes` of its label, equal for equal content in any table.
    """

    spec: ModelSpec
    features: pa.Table
    at: Ints
    label_at: Ints
    labels: NDArray[Any]
    amounts: dict[str, Floats]
    origin: int
    periods: int
    left_out: LeftOut
    usable: NDArray[np.bool_]
    hashes: NDArray[np.uint64] = field(repr=False)
    label_hashes: NDArray[np.uint64] = field(repr=False)

    @property
    def labelled(self) -> Ints:
        """Which rows have a label."""
        return np.flatnonzero(self.label_at != NEVER)

    def start(self, period: int) -> int:
        """Return the first instant of a period, counted from the first candidate's."""
        return self.spec.calendar.period_start(self.origin + period)

    def name(self, period: int) -> str:
        """Return the name of a period, counted from the first candidate's."""
        return self.spec.calendar.name_period(self.origin + period)

    def predicted_in(self) -> Ints:
        """Return the period of each row's prediction, counted from the first candidate's (negative before it)."""
        return self.spec.calendar.period_of(self.at) - self.origin

    def times(self) -> RowTimes:
        """Return when the labelled rows were predicted and labelled; their blocks are the windows of prediction."""
        rows, calendar = self.labelled, self.spec.calendar
        arrived = calendar.period_of(self.label_at[rows]) - self.origin
        windows = calendar.window_of(self.at[rows])
        opening = calendar.window_at(self.start(0))
        first = int(calendar.period_of(self.label_at[rows]).min())
        return RowTimes(
            self.periods,
            self.predicted_in()[rows],
            arrived,
            np.maximum(windows - opening, 0),
            max(0, self.origin - first),
        )

    def losses(self, decided: NDArray[Any], rows: Ints) -> Floats:
        """Return the loss in currency of decisions on labelled rows (binary: booleans, "is it the positive class?")."""
        labels: NDArray[Any] = self.labels[rows]
        if self.spec.model.task == "binary":
            labels = labels == self.spec.decision.positive
        return losses(self.spec, decided, labels, {name: values[rows] for name, values in self.amounts.items()})

    def training_table(self, rows: Ints, weights: Floats | None) -> pa.Table:
        """Return rows to train on, with labels and, where given, weights."""
        kind = pa.float64() if self.spec.model.task == "regression" else pa.string()
        table = self.features.take(pa.array(rows)).append_column("@label", pa.array(self.labels[rows], type=kind))
        return table if weights is None else table.append_column("@weight", pa.array(weights))

    def digest(self, rows: Ints, *extra: NDArray[Any]) -> str:
        """Return the digest of rows by content, and of arrays that go with them (labels, weights)."""
        whole = hashlib.sha256(np.ascontiguousarray(self.hashes[rows]).tobytes())
        for array in extra:
            whole.update(np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()

    @cached_property
    def input_history(self) -> tuple[Ints, Floats]:
        """The periods with rows, ascending (negative before the first candidate), and the mean inputs of each.

        Shape (periods with rows, inputs), in units of the spread before the first candidate. A category counts as the
        shares of its ten values that were most frequent then; missing numbers are left out, and a period without any
        value of a column has the mean of the beginning (0).
        """
        of = self.predicted_in()
        numbers, places = np.unique(of, return_inverse=True)
        before = of < 0
        columns = [column for name in self.features.column_names for column in _numbers(self.features[name], before)]
        means = np.zeros((len(numbers), len(columns)))
        for place, values in enumerate(columns):
            known = np.isfinite(values)
            base = values[before & known]
            if not base.size or base.std() == 0.0:
                continue
            scaled = (values[known] - base.mean()) / base.std()
            counts = np.bincount(places[known], minlength=len(numbers))
            means[:, place] = np.bincount(places[known], weights=scaled, minlength=len(numbers)) / np.maximum(counts, 1)
        return numbers, means

    def mean_inputs(self) -> Floats:
        """Return the mean inputs by period from the first candidate's on, shape (periods, inputs); 0 without rows."""
        numbers, means = self.input_history
        found = np.zeros((self.periods, means.shape[1]))
        found[numbers[numbers >= 0]] = means[numbers >= 0]
        return found


def past_of(spec: ModelSpec, rows: Rows, left_out: LeftOut | None = None) -> Past:
    """Return a normalised history as a backtest reads it.

    The first candidate is fitted after three periods, or when labels are known, whichever is later. Raises
    `EmptyTableError` where fewer than six periods are left, and `MissingColumnError` for a feature to leave out that is
    none.
    """
    out = left_out or LeftOut()
    table, calendar = rows.table, spec.calendar
    if "@label" not in table.column_names or table["@label"].null_count == len(rows):
        msg = "the history has no labels, so nothing can be trained or judged; name label = ... in [columns]"
        raise EmptyTableError(msg)
    at = rows.at
    known = np.asarray(table["@label"].is_valid())
    label_at = np.full(len(at), NEVER, dtype=np.int64)
    label_at[known] = np.asarray(table["@label_at"].filter(pa.array(known)).to_numpy(), dtype=np.int64)
    opening = calendar.period_at(int(at[0]))
    # A history rarely begins where a period does; the broken first one is not counted.
    opening += int(calendar.period_start(opening) < calendar.window_start(calendar.window_at(int(at[0]))))
    earliest = calendar.period_at(int(label_at.min())) + 1
    origin = max(opening + LEAD, earliest)
    periods = calendar.period_at(int(at[-1])) - origin + 1
    if periods < LEAST_PERIODS:
        msg = (
            f"the history has {max(0, periods)} periods after the first {origin - opening}, which a first model needs; "
            f"a backtest needs {LEAST_PERIODS}: give more history, or a shorter period in [time]"
        )
        raise EmptyTableError(msg)
    kept = out.features_kept(spec.columns.features)
    features = table.select(kept)
    regression = spec.model.task == "regression"
    labels = np.array(table["@label"].to_pylist(), dtype=np.float64 if regression else object)
    text = table["@label"].combine_chunks()
    hashed = [text if regression else _word_hashes(text)]
    return Past(
        spec=spec,
        features=features,
        at=at,
        label_at=label_at,
        labels=labels,
        amounts={name: np.asarray(table[name].to_numpy(), dtype=np.float64) for name in spec.amounts},
        origin=origin,
        periods=periods,
        left_out=out,
        usable=known & out.keeps(calendar, at, table["@id"]),
        hashes=convert.row_hashes([_hashable(features[name]) for name in kept]),
        label_hashes=convert.row_hashes(hashed),
    )


def _hashable(column: pa.ChunkedArray) -> Any:
    whole = column.combine_chunks()
    return whole if convert.is_number(whole.type) else _word_hashes(whole)


def _word_hashes(column: Any) -> Ints:
    """Return one number for each text, equal for equal texts in any table: codes are not, they depend on the order."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    words = [
        int.from_bytes(hashlib.sha256(str(word).encode()).digest()[:8], "big", signed=True)
        for word in encoded.dictionary.to_pylist()
    ]
    table = np.array([*words, 0], dtype=np.int64)
    return np.asarray(table[np.asarray(pc.fill_null(encoded.indices, -1), dtype=np.int64)])


def _numbers(column: pa.ChunkedArray, before: NDArray[np.bool_]) -> list[Floats]:
    whole = column.combine_chunks()
    if convert.is_number(whole.type):
        return [np.asarray(whole.to_numpy(zero_copy_only=False), dtype=np.float64)]
    encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    codes = np.asarray(pc.fill_null(encoded.indices, -1), dtype=np.int64)
    counts = np.bincount(codes[before & (codes >= 0)], minlength=len(encoded.dictionary))
    frequent = np.argsort(-counts, kind="stable")[:_VALUES_COUNTED]
    return [np.asarray(codes == code, dtype=np.float64) for code in frequent if counts[code]]
