"""Copies a home to another place: a backup, the way back from one, or a move to PostgreSQL and object storage.

The copy is of one moment: the catalog is read in one snapshot, and its owner may go on writing. Files come first and
rows last, in one transaction, so the target holds everything or is still empty and can be tried again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.store import artifacts, joins, log, segments
from pitstop.store.artifacts import artifact_key
from pitstop.store.base import Catalog, Files, Staged
from pitstop.store.disk import disk_errors
from pitstop.store.files import sync_folder
from pitstop.store.home import OURS, Home
from pitstop.store.location import CATALOG, FILE, Location, open_catalog, open_files, read_location, write_location
from pitstop.store.lock import HomeLock
from pitstop.store.migrations import TABLES

_SEGMENTS, _FILES, _HEAD = (TABLES.tables[name] for name in ("segments", "files", "journal_head"))
_ARTIFACTS, _RUNS = TABLES.tables["artifacts"], TABLES.tables["join_runs"]
Report = Callable[[str, int, int], None]
"""Is told what is copied, how much of it is, and how much there is in all."""

_FOLDERS = (segments.FOLDER, artifacts.FOLDER, joins.FOLDER)
_FILES_AT_ONCE, _ROWS_AT_ONCE, _TRIES = 64, 2_000, 5


@dataclass(frozen=True)
class Copied:
    """What a copy holds: entries of the journal under `root` (hex), files, and rows of the catalog."""

    entries: int
    root: str
    files: int
    rows: int


@dataclass(frozen=True)
class Contents:
    """Where a home keeps its things, and how many there are; `bytes` are those of the segments."""

    catalog: str
    files: str
    models: tuple[str, ...]
    segments: int
    rows: int
    bytes: int
    artifacts: int
    entries: int


def make_home(folder: Path, location: Location) -> None:
    """Make an empty home that keeps its things at `location`.

    Raises `StoreError` where the folder holds something, or the places cannot be used.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder} is {'not empty' if folder.is_dir() else 'a file'}; choose a new folder for the home"
        raise StoreError(msg)
    # Opened first without the file: a URL that cannot be used leaves nothing behind.
    files = open_files(folder, location)
    if location.files and any(next(files.keys(part), None) for part in _FOLDERS):
        # Each home deletes what its own catalog does not name.
        msg = (
            f"{location.files} holds the files of a home already; choose another prefix, or, to work in that home from "
            "here, put its folder (home.toml and keys/) here"
        )
        raise StoreError(msg)
    write_location(folder, location)
    try:
        Home.open(folder).close()
    except StoreError:
        (folder / FILE).unlink(missing_ok=True)
        raise


def contents_of(folder: Path) -> Contents:
    """Return what is in a home. Raises `StoreError` where the folder is none."""
    place = read_location(folder)
    with Home.open(folder, read_only=True) as home:
        models = home.models()
    catalog = open_catalog(folder, place, read_only=True)
    try:
        with catalog.read() as connection:
            sums = (sa.func.count(), sa.func.sum(_SEGMENTS.c.rows), sa.func.sum(_SEGMENTS.c.bytes))
            segments, rows, size = connection.execute(sa.select(*sums).select_from(_SEGMENTS)).one()
            artifacts = connection.execute(sa.select(sa.func.count()).select_from(_ARTIFACTS)).scalar_one()
            entries = log.read_head(connection).size
    finally:
        catalog.close()
    return Contents(
        place.catalog or str(folder / CATALOG),
        place.files or str(folder),
        models,
        segments,
        int(rows or 0),
        int(size or 0),
        artifacts,
        entries,
    )


def copy_home(source: Path, target: Path, location: Location | None = None, progress: Report | None = None) -> Copied:
    """Copy the home in the folder `source` to the folder `target`, which keeps its things at `location`.

    The keys go with it. `progress` is told how many files of how many are there. The copy is verified against its own
    journal, rows included. Raises `StoreError` where the source cannot be read or was changed, or where the target
    holds something already.
    """
    with Home.open(source, read_only=True):
        pass  # refuses what is no home, with its own words
    where = location or Location()
    if target.exists() and read_location(target) not in {Location(), where}:
        msg = f"{target} keeps its things somewhere else already; choose a new folder"
        raise StoreError(msg)
    if target.resolve() == source.resolve():
        msg = f"{target} is the home itself; choose a new folder"
        raise StoreError(msg)
    if where.files and _place_of(where.files) == _place_of(read_location(source).files):
        # Each home deletes what its own catalog does not name.
        msg = f"{where.files} is where {source} keeps its own files; choose another prefix for the copy"
        raise StoreError(msg)
    write_location(target, where)
    lock = HomeLock(target / "home.lock")
    try:
        old = open_catalog(source, read_location(source), read_only=True)
        try:
            made = _copy(old, source, target, where, progress)
        finally:
            old.close()
    finally:
        lock.release(orderly=True)
    with Home.open(target, read_only=True) as kept:
        kept.verify(rows=True).require()
    return made


def _place_of(url: str) -> tuple[str, str, str]:
    """Return where a bucket's URL leads, however it is written."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path.strip("/")


def _copy(old: Catalog, source: Path, target: Path, where: Location, progress: Report | None) -> Copied:
    files = open_files(source, read_location(source))
    new = open_catalog(target, where)
    try:
        with new.read() as connection:
            if log.read_head(connection).size or connection.execute(sa.select(_SEGMENTS.c.number).limit(1)).first():
                msg = f"{target} is a home with things in it; choose a new folder (and schema)"
                raise StoreError(msg)
        tries = _TRIES
        while True:
            tries -= 1
            with old.read() as connection:
                head = log.read_head(connection)
                try:
                    count = _copy_files(connection, files, open_files(target, where), progress)
                except StoreError as error:
                    # Whoever works in the home puts small files together and deletes them; then from its new state.
                    trouble = error
                else:
                    # Before the rows: a home with rows and without its keys could not be read, nor copied again.
                    _copy_rest(source, target)
                    with new.write() as writer, disk_errors("write to the catalog", target):
                        rows = sum(copy_table(connection, writer, table) for table in TABLES.sorted_tables)
                    return Copied(head.size, head.root.hex(), count, rows)
            with old.read() as connection:
                if log.read_head(connection).size == head.size or not tries:
                    raise trouble
    finally:
        new.close()


def _copy_files(connection: sa.Connection, source: Files, target: Files, progress: Report | None) -> int:
    """Copy every file that a row names, each checked against the digest that the catalog has of it."""
    named = [
        (row.key, row.file_digest) for row in connection.execute(sa.select(_SEGMENTS.c.key, _SEGMENTS.c.file_digest))
    ]
    named += [(artifact_key(digest), digest) for digest in connection.execute(sa.select(_FILES.c.digest)).scalars()]
    for row in connection.execute(sa.select(_RUNS)):
        named += [(row.hash_key, row.hash_digest), (row.value_key, row.value_digest)]
    # What a copy that was killed had staged.
    target.clear_staged()
    for first in range(0, len(named), _FILES_AT_ONCE):
        moves = [_staged(source, target, key, digest) for key, digest in named[first : first + _FILES_AT_ONCE]]
        target.publish(moves)
        if progress is not None:
            progress("files", first + len(moves), len(named))
    return len(named)


def _staged(source: Files, target: Files, key: str, digest: str) -> tuple[Staged, str]:
    content = source.read(key)
    if hashlib.sha256(content).hexdigest() != digest:
        msg = f"{key} was changed or damaged: its digest does not fit; restore it from a backup before copying the home"
        raise StoreError(msg)
    return target.stage(content), key


def copy_table(connection: sa.Connection, writer: sa.Connection, table: sa.Table) -> int:
    """Copy the rows of a table that is empty in the other catalog, numbers included; return how many there are."""
    names = [column.name for column in table.columns]
    if table is _HEAD:
        writer.execute(_HEAD.delete())
    order = list(table.primary_key.columns)
    count = 0
    for rows in _batches(connection, sa.select(*(table.c[name] for name in names)).order_by(*order)):
        writer.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])
        count += len(rows)
    number = table.autoincrement_column
    if count and number is not None and writer.dialect.name == "postgresql":
        # SQLite goes on from the greatest number by itself; a sequence does not see those that it did not give.
        greatest = sa.select(sa.func.max(number)).scalar_subquery()
        writer.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(table.name, number.name), greatest)))
    return count


def _batches(
    connection: sa.Connection, query: sa.Select[tuple[object, ...]]
) -> Iterator[list[sa.Row[tuple[object, ...]]]]:
    found = connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE))
    yield from (list(part) for part in found.partitions())


def _copy_rest(source: Path, target: Path) -> None:
    """Copy the keys, and what commands remember in the folder."""
    with disk_errors("copy the keys", target):
        if (source / "keys").is_dir():
            (target / "keys").mkdir(mode=0o700, exist_ok=True)
            for key in (source / "keys").iterdir():
                _copy_file(key, target / "keys" / key.name)
            sync_folder(target / "keys")
        for item in source.iterdir():
            if item.is_file() and item.name not in OURS:
                _copy_file(item, target / item.name)
        sync_folder(target)


def _copy_file(source: Path, target: Path) -> None:
    shutil.copy2(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
