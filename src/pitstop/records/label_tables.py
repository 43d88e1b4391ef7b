"""Labels that come as a table of their own: joined to predictions by id, late, repeated or corrected."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError, MissingColumnError, SpecError
from pitstop.records import columns as convert
from pitstop.records.batches import Rows, label_classes
from pitstop.records.calendar import DAY, Ints
from pitstop.records.instants import read_instants
from pitstop.records.sources import missing_column_message
from pitstop.records.spec import ModelSpec


def normalise_labels(spec: ModelSpec, predictions: pa.Table, rows: Rows, labels: pa.Table) -> pa.Table:
    """Return `labels` as (@id, @label, @label_at), in the order in which they became known.

    `predictions` is the table that `rows` was made from. `labels` has the columns that the specification names as id,
    label and, if it does, label time; a row without a label says nothing. When a label is known follows the rules of
    `normalise`, but never before its prediction was made: a label that is earlier waits for it. Of the labels of one
    row that become known in one window the last is kept (ties: the last in the table).

    Raises `SpecError` (no id or label column is named), `MissingColumnError`, and `ColumnValueError` with the column,
    the row counted from 1 and the way out, in particular for an id that no prediction has.
    """
    named = spec.columns
    if named.id is None or named.label is None:
        lacking = "id" if named.id is None else "label"
        msg = f"a table of labels is joined by id, but [columns] names no {lacking}; add {lacking} = ..."
        raise SpecError(msg)
    ids = convert.texts(_column(labels, named.id, "id"), named.id)
    values = label_classes(spec, labels, named.label)
    known = np.asarray(values.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    place = _places(rows, ids, known, named.id)
    made = np.where(place >= 0, rows.at[np.maximum(place, 0)], 0)
    if named.label_time is None:
        at = _after_delay(spec, made)
    else:
        at = _stated(spec, predictions, labels, known, named.label_time)
    return _in_order(spec, ids, values, known, place, np.maximum(at, made))


def labels_in_order(spec: ModelSpec, rows: Rows, labels: pa.Table, place: pa.Array) -> pa.Table:
    """Return kept labels (@id, @label, @label_at) of `rows` in the order in which they became known.

    `place` says where in `rows` the prediction of each label stands. A null `@label_at` follows the rule for labels
    without a label time. The rest is as `normalise_labels` does it.
    """
    where = np.asarray(place.to_numpy(zero_copy_only=False), dtype=np.int64)
    made = rows.at[where]
    stated = labels["@label_at"].combine_chunks()
    at = np.asarray(pc.fill_null(stated, 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    if stated.null_count:
        unknown = np.asarray(stated.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
        at = np.where(unknown, _after_delay(spec, made), at)
    known = np.ones(len(where), dtype=np.bool_)
    ids, values = labels["@id"].combine_chunks(), labels["@label"].combine_chunks()
    return _in_order(spec, ids, values, known, where, np.maximum(at, made))


def _in_order(
    spec: ModelSpec, ids: pa.Array, values: pa.Array, known: NDArray[np.bool_], place: Ints, at: Ints
) -> pa.Table:
    order = np.flatnonzero(known)[np.argsort(at[known], kind="stable")]
    order = order[_last_of_each(place[order], spec.calendar.window_of(at[order]))]
    chosen = pa.array(order)
    return pa.table({"@id": ids.take(chosen), "@label": values.take(chosen), "@label_at": pa.array(at[order])})


def _column(table: pa.Table, name: str, role: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise MissingColumnError(missing_column_message(name, table.column_names, f"[columns] {role}, of the labels"))
    return table.column(name)


def _places(rows: Rows, ids: pa.Array, known: NDArray[np.bool_], name: str) -> Ints:
    """Return where each label's prediction stands in `rows`; -1 only where there is no label."""
    found = pc.index_in(ids, value_set=rows.table["@id"].combine_chunks().cast(ids.type))
    place = np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
    place[np.asarray(ids.is_null().to_numpy(zero_copy_only=False), dtype=bool)] = -1
    stray = np.flatnonzero(known & (place < 0))
    if len(stray):
        row = int(stray[0])
        what = "has no id" if ids[row].as_py() is None else f"is of {ids[row].as_py()!r}, which no prediction has"
        msg = (
            f"id column {name!r} of the labels, row {row + 1}: this label {what} ({len(stray)} such labels); log the "
            "prediction first, or check that the ids are the same on both sides"
        )
        raise ColumnValueError(msg)
    return place


def _after_delay(spec: ModelSpec, made: Ints) -> Ints:
    """Without a label time: the last instant of the prediction's window, and of `label_delay` more."""
    windows, which = np.unique(spec.calendar.window_of(made) + 1 + spec.time.label_delay, return_inverse=True)
    ends = np.array([spec.calendar.window_start(int(window)) - 1 for window in windows], dtype=np.int64)
    return np.asarray(ends[which], dtype=np.int64)


def _stated(spec: ModelSpec, predictions: pa.Table, labels: pa.Table, known: NDArray[np.bool_], name: str) -> Ints:
    found = read_instants(_column(labels, name, "label_time"), name)
    lacking = np.flatnonzero(known & ~found.valid)
    if len(lacking):
        msg = (
            f"label time column {name!r}, row {lacking[0] + 1}: the row has a label but no label time ({len(lacking)} "
            "such rows); fill in when it became known, or make the label null"
        )
        raise ColumnValueError(msg)
    times = read_instants(predictions.column(spec.columns.time), spec.columns.time)
    if found.kind != times.kind and "integer" in (found.kind, times.kind):
        msg = (
            f"label time column {name!r} holds {found.kind} values but the time column {times.kind} values; use one "
            "kind for both"
        )
        raise ColumnValueError(msg)
    values = found.values
    if found.kind == "date" and times.kind == "moment":
        values = values + DAY - 1
    if not spec.calendar.by_rows:
        return values
    keys = np.sort(times.values)
    ordinals = np.searchsorted(keys, values, side="right") - 1
    # Later than every row: known only after the next one, which is not there yet.
    ordinals[values > keys[-1]] = len(keys)
    return np.asarray(ordinals, dtype=np.int64)


def _last_of_each(place: Ints, windows: Ints) -> NDArray[np.bool_]:
    """Return which labels are the last of their row in their window, for labels in order of time."""
    keep = np.zeros(len(place), dtype=bool)
    pairs = np.stack([place, windows], axis=1)[::-1]
    _, last = np.unique(pairs, axis=0, return_index=True)
    keep[len(place) - 1 - last] = True
    return keep
