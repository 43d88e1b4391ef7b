"""The journal's rows in the catalog: appended under one locked head, read back in order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.journal.entries import Entry
from pitstop.journal.merkle import CompactRange
from pitstop.store.migrations import TABLES

_JOURNAL = TABLES.tables["journal"]
_HEAD = TABLES.tables["journal_head"]
# The lock serialises writers on a server database; SQLite has one writer anyway and leaves it out.
_LOCKED_HEAD = sa.select(_HEAD.c.size, _HEAD.c.peaks).with_for_update()
_SET_HEAD = _HEAD.update().where(_HEAD.c.only == 0)
_ALL = sa.select(_JOURNAL).order_by(_JOURNAL.c.sequence)
_INSERT = _JOURNAL.insert()


@dataclass(frozen=True)
class Note:
    """An entry that has no place in the journal yet; fields as in `Entry`."""

    kind: str
    at: int | None
    model: str
    id: str
    caused_by: tuple[str, ...]
    digest: str


def read_head(connection: sa.Connection) -> CompactRange:
    """Return the head, locked until the transaction ends where the database can lock a row."""
    row = connection.execute(_LOCKED_HEAD).one_or_none()
    if row is None:
        msg = "the journal's head is missing from the catalog: restore the home from a backup"
        raise StoreError(msg)
    return CompactRange.from_bytes(row.size, row.peaks)


def append(connection: sa.Connection, notes: Sequence[Note]) -> CompactRange:
    """Append entries in order and return the new head."""
    head = read_head(connection)
    if not notes:
        return head
    entries = [
        Entry(number, note.kind, note.at, note.model, note.id, note.caused_by, note.digest)
        for number, note in enumerate(notes, start=head.size)
    ]
    leaves = [entry.leaf for entry in entries]
    rows = [
        {
            "sequence": entry.sequence,
            "kind": entry.kind,
            "at": entry.at,
            "model": entry.model,
            "id": entry.id,
            "caused_by": json.dumps(entry.caused_by),
            "digest": entry.digest,
            "leaf": leaf,
        }
        for entry, leaf in zip(entries, leaves, strict=True)
    ]
    connection.execute(_INSERT, rows)
    head = head.extended(leaves)
    connection.execute(_SET_HEAD, {"size": head.size, "peaks": head.to_bytes()})
    return head


def read_entries(connection: sa.Connection) -> tuple[tuple[Entry, ...], tuple[bytes, ...]]:
    """Return all entries in order of their sequence, and the leaf hash stored beside each."""
    entries = []
    leaves = []
    for row in connection.execute(_ALL):
        entries.append(
            Entry(row.sequence, row.kind, row.at, row.model, row.id, tuple(json.loads(row.caused_by)), row.digest)
        )
        leaves.append(bytes(row.leaf))
    return tuple(entries), tuple(leaves)
