"""Copies of the journal that are due: which places there are, how far each has got, and what each lacks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from pitstop.errors import ExportError
from pitstop.journal.checkpoints import open_checkpoint
from pitstop.journal.exports import bundle
from pitstop.records.identity import artifact_id
from pitstop.store.base import Catalog
from pitstop.store.home_journal import HOUSE, HomeJournal
from pitstop.store.migrations import TABLES
from pitstop.store.places import deliver
from pitstop.store.transaction import Transaction

Opens = Callable[[], AbstractContextManager[Transaction]]
"""Opens a transaction of the home."""

_PLACES = TABLES.tables["export_places"]


@dataclass(frozen=True)
class Place:
    """A place with the first `size` entries, as of instant `at`; a new copy is due `every` microseconds after it."""

    place: str
    every: int
    size: int
    at: int


def places(catalog: Catalog) -> tuple[Place, ...]:
    """Return all places, by name."""
    with catalog.read() as connection:
        rows = connection.execute(sa.select(_PLACES).order_by(_PLACES.c.place))
        return tuple(Place(row.place, row.every, row.size, row.at) for row in rows)


def export(
    home: HomeJournal, transaction: Opens, catalog: Catalog, name: str, at: int, every: int | None = None
) -> int:
    """Bring a place up to date at instant `at`, and record that it was; return how many entries were added.

    `every` sets how often it is due from now on. An export whose only news would be the record of the last one is left
    out. Raises `ExportError` where the place cannot be written; it stays as it was and is due again.
    """
    place = _absolute(name)
    known = {item.place: item for item in places(catalog)}.get(place, Place(place, every or 0, 0, at))
    news = [entry for entry in home.entries(known.size) if entry.kind != "export"]
    if news:
        home.checkpoint()
        notes = home.notes()
        added = list(home.entries(known.size))
        made = bundle(added, notes, known.size)
        deliver(place, made)
        head = open_checkpoint(*notes[-1])
        content = {"place": place, "from": known.size, "size": made.size, "root": head.root.hex(), "at": at}
        with transaction() as store:
            store.put_artifact(content, "export", artifact_id("export", content), at, (), HOUSE)
    size = made.size if news else known.size
    row = {"place": place, "every": known.every if every is None else every, "size": size, "at": at}
    with catalog.write() as connection:
        connection.execute(_PLACES.delete().where(_PLACES.c.place == place))
        connection.execute(_PLACES.insert(), [row])
    return size - known.size


def _absolute(name: str) -> str:
    """Return a place whose folder means the same from wherever the next command is run."""
    kind = "git:" if name.startswith("git:") else ""
    return name if name.startswith("smtp://") else f"{kind}{Path(name.removeprefix(kind)).resolve()}"


def export_due(home: HomeJournal, transaction: Opens, catalog: Catalog, at: int) -> tuple[str, ...]:
    """Bring every place up to date that is due at instant `at`; return those.

    Raises `ExportError` for all that failed, after the others were brought up to date.
    """
    due = [item.place for item in places(catalog) if at - item.at >= item.every]
    failed: list[ExportError] = []
    for place in due:
        try:
            export(home, transaction, catalog, place, at)
        except ExportError as error:
            failed.append(error)
    if failed:
        raise ExportError("; ".join(str(error) for error in failed)) from failed[0]
    return tuple(due)
