"""A batch of labels as it came, brought into the form in which labels are kept, before any prediction is looked at."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pitstop.errors import ColumnValueError, EmptyTableError, MissingColumnError, SpecError
from pitstop.records import columns as convert
from pitstop.records.batches import label_classes
from pitstop.records.calendar import DAY
from pitstop.records.instants import read_instants
from pitstop.records.sources import missing_column_message
from pitstop.records.spec import ModelSpec


def label_rows(spec: ModelSpec, table: pa.Table, *, moments: bool) -> pa.Table:
    """Return (@id, @label, @label_at, @at) of the rows that say something, in the order in which they came.

    `@label_at` is null where the specification names no label time, and with row-count windows: the label is then known
    when it came. `moments`: predictions have a time of day, so a label time that is only a date means the end of that
    day. `@at` is the time of the prediction where the sender gave it, else null.

    Raises `SpecError` where the specification names no id or no label, `MissingColumnError`, `EmptyTableError` where no
    row has a label, and `ColumnValueError`.
    """
    named = spec.columns
    if named.id is None or named.label is None:
        lacking = "id" if named.id is None else "label"
        msg = f"labels are joined by id, but [columns] names no {lacking}; add {lacking} = ..."
        raise SpecError(msg)
    ids = convert.texts(_column(table, named.id, "id"), named.id)
    labels = label_classes(spec, table, named.label)
    known = np.asarray(labels.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    if not known.any():
        msg = f"no row has a label in {named.label!r}; send rows with one"
        raise EmptyTableError(msg)
    nameless = np.flatnonzero(known & ~np.asarray(ids.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_))
    if len(nameless):
        msg = f"id column {named.id!r} of the labels, row {nameless[0] + 1}: this label has no id; fill it in"
        raise ColumnValueError(msg)
    nothing = pa.nulls(table.num_rows, pa.int64())
    found = {"@id": ids, "@label": labels, "@label_at": nothing, "@at": nothing}
    if not spec.calendar.by_rows:
        if named.label_time is not None:
            found["@label_at"] = _instants(table, named.label_time, known, end_of_day=moments)
        if named.time in table.column_names:
            found["@at"] = _instants(table, named.time, None, end_of_day=False)
    whole = pa.table(found)
    return whole if known.all() else whole.filter(pa.array(known)).combine_chunks()


def _column(table: pa.Table, name: str, role: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise MissingColumnError(missing_column_message(name, table.column_names, f"[columns] {role}, of the labels"))
    return table.column(name)


def _instants(table: pa.Table, name: str, needed: np.ndarray | None, *, end_of_day: bool) -> pa.Array:
    found = read_instants(_column(table, name, "time"), name)
    if found.kind == "integer":
        msg = f"time column {name!r} of the labels holds whole numbers; send dates or times, as for the predictions"
        raise ColumnValueError(msg)
    lacking = np.flatnonzero(needed & ~found.valid) if needed is not None else np.zeros(0, np.int64)
    if len(lacking):
        msg = (
            f"label time column {name!r}, row {lacking[0] + 1}: the row has a label but no label time; fill in when "
            "it became known, or leave the row out"
        )
        raise ColumnValueError(msg)
    values = found.values + DAY - 1 if end_of_day and found.kind == "date" else found.values
    return pa.array(values, mask=~found.valid)
