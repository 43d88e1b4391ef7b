"""Rows: a table of records, checked against its specification and brought into the one form that everything else reads.

Role columns begin with "@", so that they never meet a feature's name:

- `@id` string, unique; the ordinal as text where the specification names no id;
- `@subject` string or null: whom the row is about, where the specification names a column of subjects;
- `@at` int64, the instant of the prediction (microseconds, or the row's ordinal with row-count windows);
- `@label` string (classes) or float64 (regression), null where it is not known;
- `@label_at` int64, the instant at which the label is known; null where there is no label;
- `@prediction` string or float64, `@score` float64 in [0, 1];
- `@propensity` float64 in [0, 1], the chance that the label is revealed, where the specification names one;
- features, amounts, segments and protected columns under their own names: float64, or dictionary<int32, string>.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError, DuplicateIdError, EmptyTableError, MissingColumnError
from pitstop.records import columns as convert
from pitstop.records.calendar import DAY, Ints
from pitstop.records.instants import Instants, read_instants
from pitstop.records.measures import derived
from pitstop.records.sources import missing_column_message, source_notes
from pitstop.records.spec import ModelSpec

ROLES = ("@id", "@at", "@label", "@label_at", "@prediction", "@score")


@dataclass(frozen=True)
class Rows:
    """A normalised table in order of time (rows of one instant keep the order in which they came).

    `duplicates` counts rows that repeat an earlier row in every column of the specification; `notes` are sentences on
    what was odd but allowed.
    """

    table: pa.Table
    duplicates: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def at(self) -> Ints:
        """Instants of the predictions, int64, ascending."""
        return np.asarray(self.table["@at"].to_numpy(), dtype=np.int64)


def normalise(
    spec: ModelSpec, table: pa.Table, *, first_ordinal: int = 0, labelled: bool = True, unique: bool = True
) -> Rows:
    """Return `table` as `Rows`: validated, converted and sorted stably by time.

    `first_ordinal` is the ordinal of the first row (row-count windows, and ids where the specification names none).
    With `labelled` false the label columns are neither needed nor read (predictions whose labels come later). With
    `unique` false rows are not compared with each other: repeated ids stay, and `duplicates` is 0.

    A label without a label time is known at the last instant of its window plus `label_delay` windows, so it counts
    from the next window on. A label time that is only a date, beside finer prediction times, means the end of that day.
    With row-count windows a label time becomes the ordinal of the last row that is not later than it.

    Raises `EmptyTableError` (no rows), `MissingColumnError`, `ColumnValueError` (with the column, the first bad row
    counted from 1 in the order given, and the way out) and `DuplicateIdError`.
    """
    _refuse_shape(spec, table)
    times = _times(spec, table)
    # Sorted first by time alone: labels and ordinals refer to this order.
    order = np.argsort(times.values, kind="stable")
    keys = times.values[order]
    count = len(keys)
    at = np.arange(first_ordinal, first_ordinal + count, dtype=np.int64) if spec.calendar.by_rows else keys
    content: dict[str, pa.Array] = {}
    notes = list(source_notes(table))
    if labelled and spec.columns.label is not None:
        label = label_classes(spec, table, spec.columns.label)
        content["@label"] = label.take(pa.array(order))
        moments = None
        if spec.columns.label_time is not None:
            moments = _label_times(spec.columns.label_time, table, label, times)[order]
        content["@label_at"] = _label_at(spec, content["@label"], keys, moments, first_ordinal)
        notes += _label_notes(content["@label"], label)
    if spec.columns.subject is not None:
        whom = convert.texts(_column(table, spec.columns.subject, "[columns] subject"), spec.columns.subject)
        content["@subject"] = whom.take(pa.array(order))
    content |= {name: array.take(pa.array(order)) for name, array in _outputs(spec, table).items()}
    content |= {name: array.take(pa.array(order)) for name, array in _features(spec, table).items()}
    hashes = convert.row_hashes([keys, *content.values()]) if unique else np.arange(count, dtype=np.uint64)
    duplicates = count - len(np.unique(hashes)) if unique else 0
    keep = np.ones(count, dtype=bool)
    if spec.columns.id is None:
        ids = pa.array(np.arange(first_ordinal, first_ordinal + count)).cast(pa.string())
    else:
        ids = _ids(table, spec.columns.id).take(pa.array(order))
        keep = _first_of_each_id(ids, hashes, order, spec.columns.id) if unique else keep
        if not keep.all():
            notes.append(
                f"{int((~keep).sum())} rows repeat an earlier row with the same {spec.columns.id!r} and were left out"
            )
    if duplicates > 0.01 * count:
        notes.append(f"{duplicates} of {count} rows repeat an earlier row in every column that is used")
    if not keep.all() and spec.calendar.by_rows:
        msg = (
            f"id column {spec.columns.id!r} repeats whole rows ({int((~keep).sum())} of {count}); with row-count "
            "windows "
            "remove the repeated rows first, because they would shift the windows of all later rows"
        )
        raise DuplicateIdError(msg)
    whole = pa.table({"@id": ids, "@at": pa.array(at), **content})
    return Rows(whole if keep.all() else whole.filter(pa.array(keep)).combine_chunks(), duplicates, tuple(notes))


def _refuse_shape(spec: ModelSpec, table: pa.Table) -> None:
    if table.num_rows == 0:
        msg = f"the table has no rows (its columns: {', '.join(table.column_names[:20])}); give at least one"
        raise EmptyTableError(msg)
    named = spec.columns
    used = (*named.features, *spec.amounts, *named.segments, *named.protected)
    reserved = [name for name in used if name.startswith("@")]
    if reserved:
        msg = f"column {reserved[0]!r}: names that begin with @ are kept for Pitstop's own columns; rename it"
        raise ColumnValueError(msg)


def _column(table: pa.Table, name: str, role: str) -> pa.ChunkedArray:
    found = table.schema.get_all_field_indices(name)
    if not found:
        raise MissingColumnError(missing_column_message(name, table.column_names, role))
    if len(found) > 1:
        msg = f"two columns are called {name!r} ({role}); rename one of them"
        raise ColumnValueError(msg)
    return table.column(found[0])


def _times(spec: ModelSpec, table: pa.Table) -> Instants:
    name = spec.columns.time
    times = read_instants(_column(table, name, "[columns] time"), name)
    missing = np.flatnonzero(~times.valid)
    if len(missing):
        msg = (
            f"time column {name!r}, row {missing[0] + 1}: there is no time ({len(missing)} of {table.num_rows} rows "
            "lack it); "
            "every row needs one, so fill them in or remove these rows"
        )
        raise ColumnValueError(msg)
    if times.kind == "integer" and not spec.calendar.by_rows:
        msg = (
            f"time column {name!r} holds whole numbers (row 1: {times.values[0]}), which have no {spec.time.window}s; "
            "write "
            "window = 50 and period = 30 (rows and windows) in [time], or convert it to dates"
        )
        raise ColumnValueError(msg)
    return times


def label_classes(spec: ModelSpec, table: pa.Table, name: str) -> pa.Array:
    """Return the label column: classes as text, a regression's as float64. Raises as `normalise` does."""
    column = _column(table, name, "[columns] label")
    if spec.model.task == "regression":
        return convert.finite_numbers(column, name, nan_is_missing=True)
    label = convert.classes(column, name)
    if spec.model.task == "binary":
        _refuse_not_binary(spec, label, name)
    return label


def _refuse_not_binary(spec: ModelSpec, label: pa.Array, name: str) -> None:
    found = [value for value in label.unique().to_pylist() if value is not None]
    positive = spec.decision.positive
    if len(found) > 2:
        row = label.index(found[2]).as_py() + 1
        msg = (
            f"label column {name!r}, row {row}: got {found[2]!r} beside {found[0]!r} and {found[1]!r}; a binary label "
            "has two "
            'values. Correct the row, or set task = "multiclass" or "regression"'
        )
        raise ColumnValueError(msg)
    if len(found) == 2 and positive not in found:
        near = difflib.get_close_matches(positive.lower(), found, n=1)
        hint = f" (perhaps {near[0]!r})" if near else ""
        msg = (
            f"label column {name!r} holds {found[0]!r} and {found[1]!r}, but [decision] positive is {positive!r}; "
            f"set it to the one that the score is the probability of{hint}"
        )
        raise ColumnValueError(msg)


def _label_at(spec: ModelSpec, label: pa.Array, keys: Ints, moments: Ints | None, first_ordinal: int) -> pa.Array:
    """Return when each label is known. `keys` are the sorted times, `moments` the label times in the same order."""
    calendar = spec.calendar
    unknown = np.asarray(label.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    at = np.arange(first_ordinal, first_ordinal + len(keys), dtype=np.int64) if calendar.by_rows else keys
    if moments is None:
        windows, which = np.unique(calendar.window_of(at) + 1 + spec.time.label_delay, return_inverse=True)
        ends = np.array([calendar.window_start(int(window)) - 1 for window in windows], dtype=np.int64)
        return pa.array(ends[which], mask=unknown)
    if calendar.by_rows:
        # The last row not later than the label; a label later than every row is known only after the next, unseen one.
        ordinals = np.searchsorted(keys, moments, side="right") - 1
        ordinals[moments > keys[-1]] = len(keys)
        moments = np.maximum(first_ordinal + ordinals, at)
    return pa.array(moments, mask=unknown)


def _label_times(name: str, table: pa.Table, label: pa.Array, times: Instants) -> Ints:
    found = read_instants(_column(table, name, "[columns] label_time"), name)
    known = np.asarray(label.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    lacking = np.flatnonzero(known & ~found.valid)
    if len(lacking):
        msg = (
            f"label time column {name!r}, row {lacking[0] + 1}: the row has a label but no label time ({len(lacking)} "
            "such "
            "rows); fill in when it became known, or make the label null"
        )
        raise ColumnValueError(msg)
    if found.kind != times.kind and "integer" in (found.kind, times.kind):
        msg = (
            f"label time column {name!r} holds {found.kind} values but the time column {times.kind} values; use one "
            "kind for both"
        )
        raise ColumnValueError(msg)
    values = found.values
    if found.kind == "date" and times.kind == "moment":
        values = values + DAY - 1
    early = np.flatnonzero(known & (values < times.values))
    if len(early):
        msg = (
            f"label time column {name!r}, row {early[0] + 1}: the label is known before the prediction is made "
            f"({len(early)} such "
            "rows); check that [columns] time and label_time are not swapped, and correct these rows"
        )
        raise ColumnValueError(msg)
    return values


def _label_notes(label: pa.Array, original: pa.Array) -> list[str]:
    if label.null_count == len(label):
        return ["no row has a label yet"]
    return [f"{original.null_count} of {len(original)} rows have no label yet"] if original.null_count else []


def _outputs(spec: ModelSpec, table: pa.Table) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    if (name := spec.columns.prediction) is not None:
        column = _column(table, name, "[columns] prediction")
        regression = spec.model.task == "regression"
        found["@prediction"] = (
            convert.finite_numbers(column, name, nan_is_missing=False) if regression else convert.classes(column, name)
        )
    if (name := spec.columns.score) is not None:
        found["@score"] = convert.scores(_column(table, name, "[columns] score"), name)
    if (name := spec.columns.propensity) is not None:
        found["@propensity"] = convert.chances(_column(table, name, "[columns] propensity"), name)
    return found


def features_of(spec: ModelSpec, table: pa.Table) -> dict[str, pa.Array]:
    """Return the features of rows that are only to be predicted, as `normalise` makes them: in order, by name.

    Raises `MissingColumnError` and `ColumnValueError` as it does.
    """
    named = spec.columns
    found: dict[str, pa.Array] = {}
    made = derived(
        named.words_of_texts, named.embeddings, lambda name: _column(table, name, "[columns] texts or embeddings")
    )
    for name in named.features:
        if name in made:
            found[name] = made[name]
            continue
        column = _column(table, name, "[columns] features")
        found[name] = (
            convert.categories(column, name) if name in spec.columns.categorical else convert.numbers(column, name)
        )
    return found


def _features(spec: ModelSpec, table: pa.Table) -> dict[str, pa.Array]:
    found = features_of(spec, table)
    for name in spec.amounts:
        if name not in found:
            found[name] = convert.numbers(_column(table, name, "an amount of [value]"), name)
        elif name in spec.columns.categorical:
            msg = f"column {name!r} is an amount of [value] and named in [columns] categorical; an amount is a number"
            raise ColumnValueError(msg)
    for name in (*spec.columns.segments, *spec.columns.protected):
        if name not in found:
            found[name] = convert.categories(_column(table, name, "[columns] segments or protected"), name)
    return found


def _ids(table: pa.Table, name: str) -> pa.Array:
    ids = convert.texts(_column(table, name, "[columns] id"), name)
    if ids.null_count:
        row = int(np.flatnonzero(~np.asarray(ids.is_valid().to_numpy(zero_copy_only=False)))[0]) + 1
        msg = (
            f"id column {name!r}, row {row}: there is no id ({ids.null_count} rows lack it); fill it in, or name no "
            "id column"
        )
        raise ColumnValueError(msg)
    return ids


def _first_of_each_id(
    ids: pa.Array, hashes: NDArray[np.uint64], order: NDArray[np.int64], name: str
) -> NDArray[np.bool_]:
    """Return which rows to keep: the first of each id. The same id on rows that differ is an error."""
    codes = np.asarray(ids.dictionary_encode().indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    keep = np.zeros(len(codes), dtype=bool)
    # Codes count up in order of first appearance, so `first[code]` is where an id stands first.
    first = np.unique(codes, return_index=True)[1]
    keep[first] = True
    other = np.flatnonzero(hashes != hashes[first[codes]])
    if len(other):
        row, earlier = int(order[other[0]]) + 1, int(order[first[codes[other[0]]]]) + 1
        msg = (
            f"id column {name!r}: {ids[int(other[0])].as_py()!r} stands for two different rows ({min(row, earlier)} "
            f"and {max(row, earlier)}); "
            "an id names one prediction. Give each row its own, or name no id column"
        )
        raise DuplicateIdError(msg)
    return keep
