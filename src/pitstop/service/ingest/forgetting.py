"""Takes rows out of the store of received rows: a person's on request, old ones by retention; on record, counts right.

An erasure rewrites the segments that hold the person's rows and labels, takes what was counted of them out of the
profiles, and removes their join records. Retention drops whole segments; profiles stay, because counts name nobody.
Both are one transaction, and the journal goes on verifying.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pitstop.errors import RecordError
from pitstop.records.columns import texts
from pitstop.records.identity import artifact_id
from pitstop.records.spec import ModelSpec
from pitstop.service.ingest.formats import json_rows, read_batch
from pitstop.service.ingest.reading import JSON
from pitstop.service.ingest.receiving import Receiving
from pitstop.store.home import Home
from pitstop.store.home_journal import HOUSE
from pitstop.store.intake import write_intake
from pitstop.store.location import CATALOG, read_location
from pitstop.store.segments import SegmentRecord
from pitstop.store.transaction import Transaction


@dataclass(frozen=True)
class Removed:
    """How many rows and labels were taken out, of how many models."""

    rows: int = 0
    labels: int = 0
    models: int = 0


def erase(
    store: Transaction, home: Home, specs: Sequence[ModelSpec], subject: str, because: str, at: int, by: str = ""
) -> Removed:
    """Erase a person from the received rows of all these models; `because`, and `by` whose order, are kept in the open.

    `subject` is a value of the column that `[columns] subject` names, else of `id`; rows of a model with neither name
    nobody. The caller has seen to holds.
    """
    pseudonym = store.subject(subject).pseudonym
    total = Removed()
    for spec in specs:
        done = _erase_from(store, home, spec, subject, {"subject": pseudonym, "because": because, "by": by, "at": at})
        if done.models:
            total = Removed(total.rows + done.rows, total.labels + done.labels, total.models + 1)
    content = {"subject": pseudonym, "because": because, "by": by, "at": at, "segments": [], "rows": total.rows}
    store.put_artifact(content, "erasure", artifact_id("erasure", content), at, (), HOUSE)
    store.forget(subject)
    return total


def refuse(store: Transaction, subject: str, because: str, hold: str, at: int, by: str = "") -> None:
    """Put on record that nothing was erased, because of a legal hold."""
    sentence = f"nothing was erased: the legal hold {hold} outranks it"
    content = {"subject": store.subject(subject).pseudonym, "because": because, "outcome": sentence, "by": by, "at": at}
    refused = {**content, "segments": []}
    store.put_artifact(refused, "erasure", artifact_id("erasure", refused), at, (), HOUSE)


def hold_in(folders: Iterable[Path], subject: str) -> str | None:
    """Return the legal hold on a person's data in any of these homes; None where there is none.

    A folder that is no home, or none yet, holds nothing.
    """
    for folder in sorted(folders):
        if not (folder / CATALOG).is_file() and not (folder.is_dir() and read_location(folder).catalog):
            continue
        with Home.open(folder, read_only=True) as home:
            found = home.subject(subject)
        if found is not None and found.hold is not None:
            return found.hold
    return None


def names(spec: ModelSpec | None, subject: str, kind: str, payload: bytes) -> bool:
    """Return whether a batch names a person: a value of the column that says so is `subject`.

    Where the batch has no such column, or the model is not registered any more, it is enough that any column has the
    value; of what cannot be read as its format `kind`, that the name stands in it.
    """
    whom = None if spec is None else spec.columns.subject or spec.columns.id
    own = (whom, spec.columns.id) if spec is not None else ()
    try:
        if kind in JSON:
            # By rows: what waits there is often no table, because a column mixes types.
            return _rows_name(json_rows(kind, payload), subject, whom, own)
        table = read_batch(kind, payload)
        if whom in table.column_names:
            table = table.select([name for name in dict.fromkeys(own) if name in table.column_names])
        columns = [_texts(column) for column in table.columns if not pa.types.is_nested(column.type)]
    except (RecordError, pa.ArrowException):
        return _stands_in(payload, subject)
    if len(columns) < table.num_columns and _stands_in(payload, subject):
        return True
    return any(bool(pc.any(pc.equal(column, subject)).as_py()) for column in columns)


def _rows_name(rows: Sequence[Mapping[str, Any]], subject: str, whom: str | None, own: Sequence[str | None]) -> bool:
    chosen = set(own) if any(whom in row for row in rows) else None
    waiting = [value for row in rows for name, value in row.items() if chosen is None or name in chosen]
    while waiting:
        value = waiting.pop()
        if type(value) is dict:
            waiting += value.values()
        elif type(value) is list:
            waiting += value
        elif subject == value or subject in _names_of(value):
            return True
    return False


def _names_of(value: Any) -> tuple[str, ...]:
    """Return what a number or a truth value may be called in the store."""
    if type(value) is bool:
        return ("true" if value else "false",)
    if type(value) is float and value.is_integer():
        return str(value), str(int(value))
    return (str(value),) if type(value) in (int, float) else ()


def _stands_in(payload: bytes, subject: str) -> bool:
    """Return whether a name stands in bytes, as it is or as JSON writes it in ASCII."""
    return subject.encode() in payload or json.dumps(subject)[1:-1].encode() in payload


def _texts(column: pa.ChunkedArray) -> pa.Array:
    """Return values as the store would name them."""
    return texts(column, "") if not pa.types.is_null(column.type) else pa.nulls(len(column), pa.string())


def retain(store: Transaction, home: Home, spec: ModelSpec, before: int, at: int, by: str = "") -> Removed:
    """Drop the rows of windows that end before an instant, and the labels that came before it.

    Rows of those windows that are sent again are left out from then on.
    """
    model, window = spec.model.name, spec.calendar.window_at(before)
    rows, labels = home.segments("predictions", model, None, window), home.segments("labels", model, None, window)
    dropped = (*rows, *labels)
    if not dropped:
        return Removed()
    store.drop_segments(dropped)
    members = [{"id": segment.id, "before": segment.digest, "after": ""} for segment in dropped]
    content: dict[str, Any] = {"before": before, "window": window, "by": by, "segments": members}
    store.put_artifact(content, "retention", artifact_id("retention", {"model": model, **content}), at, (), model)
    receiving = Receiving(store, home, spec, lambda _: None)
    receiving.intake = replace(receiving.intake, kept_from=max(window, receiving.intake.kept_from or window))
    write_intake(store, model, receiving.intake)
    receiving.predictions.drop_before(spec.calendar.window_start(window))
    if spec.columns.label_time is not None:
        receiving.labels.drop_before(spec.calendar.window_start(window))
    return Removed(sum(item.rows for item in rows), sum(item.rows for item in labels), 1)


def _erase_from(store: Transaction, home: Home, spec: ModelSpec, subject: str, facts: dict[str, Any]) -> Removed:
    model = spec.model.name
    if spec.columns.subject is None and spec.columns.id is None:
        return Removed()  # its rows are numbered, and a number is nobody's name
    changed: list[dict[str, Any]] = []
    gone: list[pa.Table] = []
    for segment in home.segments("predictions", model):
        table = home.read_segment(segment)
        whom = table["@subject"] if "@subject" in table.column_names else table["@id"]
        hit = pc.fill_null(pc.equal(whom, subject), False)  # noqa: FBT003 - Arrow's name for it
        if pc.any(hit).as_py():
            gone.append(table.filter(hit))
            changed.append(_rewritten(store, segment, table, hit))
    # Where a person is an id, labels name them too: those whose prediction never came, or went by retention.
    named = [subject] if spec.columns.subject is None else []
    ids = pa.concat_arrays([*(chunk for table in gone for chunk in table["@id"].chunks), pa.array(named, pa.string())])
    labels = 0
    for segment in home.segments("labels", model):
        table = home.read_segment(segment)
        hit = pc.is_in(table["@id"], value_set=ids)
        if pc.any(hit).as_py():
            labels += int(pc.sum(hit).as_py())
            changed.append(_rewritten(store, segment, table, hit))
    if not changed:
        return Removed()
    receiving = Receiving(store, home, spec, lambda _: None)
    for table in gone:
        receiving.uncount(table)
    receiving.forget(ids, gone)
    receiving.finish(receiving.intake.classes)
    rows = sum(table.num_rows for table in gone)
    content = {
        **facts,
        "segments": changed,
        "rows": rows,
        "labels": labels,
        "stays": "models that were trained before; the model's own home is erased by `pitstop erase --home`",
    }
    store.put_artifact(content, "erasure", artifact_id("erasure", content), facts["at"], (), model)
    return Removed(rows, labels, 1)


def _rewritten(store: Transaction, segment: SegmentRecord, table: pa.Table, hit: Any) -> dict[str, Any]:
    after = store.rewrite_segment(segment, table.filter(pc.invert(hit)).combine_chunks())
    count = int(np.asarray(hit.to_numpy()).sum())
    return {"id": segment.id, "before": segment.digest, "after": after.digest, "rows": count}
