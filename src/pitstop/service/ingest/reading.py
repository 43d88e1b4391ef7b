"""Reads batches together where they fit together, and finds the odd one where they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from pitstop.errors import ColumnValueError, RecordError, SpecError, StatisticError
from pitstop.records.spec import ModelSpec
from pitstop.service.ingest.formats import json_rows, read_batch, table_of_rows
from pitstop.service.ingest.topic_messages import MESSAGES, split
from pitstop.store.spool import SpoolRecord

JSON = ("json", "ndjson", MESSAGES)
# What the content of a batch may bring forth; everything else is a fault of ours or of the disk.
_CONTENT = (RecordError, SpecError, StatisticError, pa.ArrowException, ArithmeticError, ValueError, TypeError)


def refuse_third_class(spec: ModelSpec, classes: set[str], labels: pa.Table, replaced: Callable[[str], bool]) -> None:
    """Hold the labels of a binary task to two values over all batches; `classes` becomes what there is with `labels`.

    A class of earlier labels makes room for another one where `replaced(class)`: no row has it any more. Else a first
    label that was mistyped would refuse all that are right for ever.
    """
    if spec.model.task != "binary":
        return
    found = set(labels["@label"].unique().to_pylist())
    others = (classes | found) - {spec.decision.positive}
    earlier = others - found
    if len(others) == 2 and len(earlier) == 1 and replaced(*earlier):
        classes -= earlier
    elif len(others) > 1:
        wrong = ", ".join(repr(name) for name in sorted(earlier))
        way_out = f". If {wrong} was wrong, send the right label of every row that has it, with this batch or before"
        before = ", ".join(repr(name) for name in sorted(classes)) or "none"
        msg = (
            f"label column {spec.columns.label!r} holds {', '.join(repr(name) for name in sorted(found))}, and earlier "
            f"labels were {before}; a binary label has two values, one of them {spec.decision.positive!r}"
            f"{way_out if earlier else ''}"
        )
        raise ColumnValueError(msg)
    classes |= found


def pieces(
    records: Sequence[SpoolRecord],
    convert: Callable[[pa.Table], pa.Table],
    refused: list[tuple[SpoolRecord, str]],
) -> Iterator[pa.Table]:
    """Read batches together where they fit together, and halve a group that does not until the odd one stands alone.

    A batch of messages is a group of them.
    """
    if not records:
        return
    try:
        yield convert(_table(records))
    except _CONTENT as error:
        if len(records) == 1 and records[0].meta["format"] == MESSAGES:
            yield from pieces(split(records[0]), convert, refused)
            return
        if len(records) == 1:
            refused.append((records[0], str(error)))
            return
        middle = len(records) // 2
        yield from pieces(records[:middle], convert, refused)
        yield from pieces(records[middle:], convert, refused)


def _table(records: Sequence[SpoolRecord]) -> pa.Table:
    """Return the rows of batches as one table, in the order in which they came."""
    tables: list[pa.Table] = []
    rows: list[dict[str, Any]] = []
    for record in records:
        kind = record.meta["format"]
        if kind in JSON:
            rows += json_rows(kind, record.payload)
            continue
        if rows:
            tables.append(table_of_rows(rows))
            rows = []
        tables.append(read_batch(kind, record.payload))
    if rows:
        tables.append(table_of_rows(rows))
    if len(tables) == 1:
        return tables[0]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        msg = f"the batches of a group have other types: {error}"
        raise ColumnValueError(msg) from error
