"""The journal's rows in the catalog: appended under one locked head, read back in order, proven in logarithmic time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pitstop.errors import JournalError, StoreError
from pitstop.journal.entries import Entry
from pitstop.journal.merkle import CompactRange
from pitstop.journal.tiles import StoredLevels, Tiles
from pitstop.store.migrations import TABLES

_JOURNAL, _NODES = TABLES.tables["journal"], TABLES.tables["journal_nodes"]
_HEAD = TABLES.tables["journal_head"]
_READ_HEAD = sa.select(_HEAD.c.size, _HEAD.c.peaks)
# The lock serialises writers on a server database; SQLite has one writer anyway and leaves it out.
_LOCKED_HEAD = _READ_HEAD.with_for_update()
_SET_HEAD = _HEAD.update().where(_HEAD.c.only == 0)
_ALL = sa.select(_JOURNAL).order_by(_JOURNAL.c.sequence)
_INSERT, _INSERT_NODES = _JOURNAL.insert(), _NODES.insert()
_FROM: sa.BindParameter[int] = sa.bindparam("first")
_TO: sa.BindParameter[int] = sa.bindparam("last")
_LEAVES = (
    sa.select(_JOURNAL.c.leaf)
    .where(_JOURNAL.c.sequence >= _FROM, _JOURNAL.c.sequence < _TO)
    .order_by(_JOURNAL.c.sequence)
)
_HASHES = (
    sa.select(_NODES.c.hash)
    .where(_NODES.c.level == sa.bindparam("at_level"), _NODES.c.place >= _FROM, _NODES.c.place < _TO)
    .order_by(_NODES.c.place)
)
# Rows fetched at a time: enough to hide the cost of asking, few enough to hold.
FETCH = 10_000


@dataclass(frozen=True)
class Note:
    """An entry that has no place in the journal yet; fields as in `Entry`."""

    kind: str
    at: int | None
    model: str
    id: str
    caused_by: tuple[str, ...]
    digest: str


def read_head(connection: sa.Connection, *, lock: bool = False) -> CompactRange:
    """Return the head; with `lock` nobody else moves it until the transaction ends."""
    row = connection.execute(_LOCKED_HEAD if lock else _READ_HEAD).one_or_none()
    if row is None:
        msg = "the journal's head is missing from the catalog: restore the home from a backup"
        raise StoreError(msg)
    return CompactRange.from_bytes(row.size, row.peaks)


def read_signed(connection: sa.Connection) -> int:
    """Return the size of the newest checkpoint that the store says it signed, 0 for none."""
    return int(connection.execute(sa.select(_HEAD.c.signed)).scalar_one() or 0)


def set_signed(connection: sa.Connection, size: int) -> None:
    """Record that a checkpoint of `size` entries was signed."""
    connection.execute(_SET_HEAD, {"signed": size})


def append(connection: sa.Connection, notes: Sequence[Note]) -> CompactRange:
    """Append entries in order, with the hashes that later proofs read, and return the new head."""
    head = read_head(connection, lock=True)
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
    found = StoredLevels()
    head = head.extended(leaves, found.add)
    if found.rows:
        connection.execute(_INSERT_NODES, found.rows)
    connection.execute(_SET_HEAD, {"size": head.size, "peaks": head.to_bytes()})
    return head


def _entry_of(row: sa.Row[tuple[object, ...]]) -> Entry:
    """Return the entry of a row of the journal; raise `JournalError` if it cannot be one."""
    try:
        causes = tuple(json.loads(row.caused_by)) if row.caused_by != "[]" else ()
        return Entry(row.sequence, row.kind, row.at, row.model, row.id, causes, row.digest)
    except (ValueError, TypeError) as error:
        msg = f"entry {row.sequence} of the journal cannot be read: {error}"
        raise JournalError(msg) from error


def read_rows(connection: sa.Connection) -> Iterator[tuple[Any, ...]]:
    """Iterate over the columns of all entries, in order: sequence, kind, at, model, id, causes, digest, leaf hash."""
    yield from connection.execute(_ALL.execution_options(yield_per=FETCH))


def read_entries(connection: sa.Connection, first: int = 0) -> Iterator[Entry]:
    """Iterate over the entries from `first` on, in order of their sequence."""
    query = _ALL if not first else _ALL.where(_JOURNAL.c.sequence >= first)
    for row in connection.execute(query.execution_options(yield_per=FETCH)):
        yield _entry_of(row)


def find_entries(connection: sa.Connection, name: str) -> tuple[Entry, ...]:
    """Return the entries about the thing `name`, in order."""
    return tuple(_entry_of(row) for row in connection.execute(_ALL.where(_JOURNAL.c.id == name)))


def read_entry(connection: sa.Connection, sequence: int) -> Entry:
    """Return one entry; raise `JournalError` if there is none of that number."""
    row = connection.execute(_ALL.where(_JOURNAL.c.sequence == sequence)).one_or_none()
    if row is None:
        msg = f"the journal has no entry {sequence}"
        raise JournalError(msg)
    return _entry_of(row)


def tiles(connection: sa.Connection, size: int) -> Tiles:
    """Return the tree of the first `size` entries, which reads what a proof needs and no more."""

    def read(level: int, first: int, last: int) -> list[bytes]:
        if level:
            found = connection.execute(_HASHES, {"at_level": level, "first": first, "last": last})
        else:
            found = connection.execute(_LEAVES, {"first": first, "last": last})
        return [bytes(value) for value in found.scalars()]

    return Tiles(size, read)


def read_nodes(connection: sa.Connection) -> dict[tuple[int, int], bytes]:
    """Return every stored inner hash by (level, place)."""
    return {(row.level, row.place): bytes(row.hash) for row in connection.execute(sa.select(_NODES))}
