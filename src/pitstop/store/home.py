"""A home: the folder in which one installation of Pitstop keeps everything.

home.lock         who is working here
catalog.sqlite    segments, profiles, signals, artifacts, states, the journal
segments/         rows, as Parquet: MODEL/WINDOW-KIND-DIGEST.parquet
joins/            where labels find their predictions, by hash of the id (see `pitstop.store.joins`)
artifacts/        models and other files, named by their SHA-256
keys/             the key that signs the journal, and the one that keeps the keys of subjects (mode 0600)
tmp/              files that are being written
home.toml         where the catalog, or segments and artifacts, are kept instead: see `store.location`
cache/            copies of artifacts that are kept elsewhere
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.store import artifacts, exporting, joins, subjects
from pitstop.store.base import Catalog, Files
from pitstop.store.disk import disk_errors
from pitstop.store.files import make_folder, sync_folder
from pitstop.store.home_journal import HOUSE, HomeJournal
from pitstop.store.location import CATALOG, FILE, Location, open_catalog, open_files, read_location
from pitstop.store.lock import HomeLock
from pitstop.store.migrations import TABLES
from pitstop.store.notary import Notary
from pitstop.store.segments import FOLDER, SegmentCache, SegmentKind, SegmentRecord, joined
from pitstop.store.state import decode_state
from pitstop.store.subjects import Subject
from pitstop.store.transaction import SignalRow, Transaction

LOCK = "home.lock"
OURS = frozenset(
    {
        *(CATALOG, f"{CATALOG}-wal", f"{CATALOG}-shm", LOCK, FILE, FOLDER, artifacts.FOLDER, joins.FOLDER),
        *("keys", "tmp", "cache"),
    }
)
DEFAULT_CACHE_BYTES = 128 << 20

_SEGMENTS, _PROFILES = TABLES.tables["segments"], TABLES.tables["profiles"]
_SIGNALS, _ARTIFACTS = TABLES.tables["signals"], TABLES.tables["artifacts"]
_RUNS = TABLES.tables["join_runs"]
_FILES, _STATES = TABLES.tables["files"], TABLES.tables["states"]


@dataclass(frozen=True)
class ArtifactRecord:
    """An artifact as it was kept; `content` is its JSON."""

    id: str
    kind: str
    model: str
    at: int
    caused_by: tuple[str, ...]
    content: Mapping[str, Any]


@dataclass(frozen=True)
class ProfileRecord:
    """The profile of a window, as bytes that `pitstop.profile` can read."""

    model: str
    kind: str
    window: int
    profile_id: str
    blob: bytes


@dataclass(frozen=True)
class SavedState:
    """The newest state of a loop; everything before `as_of` is in it."""

    as_of: int
    values: Mapping[str, Any]


class Home(HomeJournal):
    """An opened home; a context manager. One process may write in it at a time, others may read.

    Reads see committed transactions only, and give the same order every time. Not for use by several threads.
    """

    def __init__(self, path: Path, catalog: Catalog, files: Files, lock: HomeLock | None, cache_bytes: int) -> None:
        self.path = path
        self._catalog = catalog
        self._files = files
        self._lock = lock
        self._cache = SegmentCache(files.read, cache_bytes)
        self._notary = Notary(path / "keys", catalog)
        self._in_transaction = False
        self._unswept = False

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        create: bool = True,
        read_only: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> Self:
        """Open the home in the folder `path`; make it if it is not there, unless `create` is false.

        Raises `StoreBusyError` if another process writes in it, and `StoreError` if the folder holds something else,
        was made by a newer version, or cannot be read or written. `read_only` takes no lock and changes nothing.
        """
        folder = Path(path)
        place = read_location(folder)
        _require_home(folder, place, create=create and not read_only)
        if read_only:
            catalog = open_catalog(folder, place, read_only=True)
            return cls(folder, catalog, open_files(folder, place), None, cache_bytes)
        with disk_errors("make a home", folder):
            for changed in make_folder(folder):
                sync_folder(changed)
        lock = HomeLock(folder / LOCK)
        try:
            home = cls(folder, open_catalog(folder, place), open_files(folder, place), lock, cache_bytes)
            if lock.crashed:
                home._sweep()
        except BaseException:
            # Still marked as not released in order: the next opening sweeps.
            lock.release(orderly=False)
            raise
        return home

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Sign the journal's head if it has grown, and give the home back. Closing twice is no error."""
        lock, self._lock = self._lock, None
        try:
            if lock is not None and not self._unswept:
                self._notary.sign()
        finally:
            self._catalog.close()
            if lock is not None:
                lock.release(orderly=not self._unswept)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction: all that is put into it is committed when the block ends, or nothing if it raises."""
        if self._in_transaction:
            msg = "a transaction is open in this home already; end it before opening another"
            raise StoreError(msg)
        if self._unswept:
            self._sweep()
        self._in_transaction = True
        try:
            with self._catalog.write() as connection:
                transaction = Transaction(connection, self._files, self.path)
                try:
                    yield transaction
                    # From here to the commit, files may stand under their names without a row.
                    self._unswept = True
                    transaction._finish()  # noqa: SLF001 - only the home may end a transaction
                except BaseException:
                    self._unswept = True
                    transaction._abandon()  # noqa: SLF001 - as above
                    raise
            for key in transaction.obsolete:
                self._files.delete(key)
            self._unswept = False
        finally:
            self._in_transaction = False

    def segments(
        self, kind: SegmentKind, model: str, start: int | None = None, stop: int | None = None
    ) -> tuple[SegmentRecord, ...]:
        """Return the segments of windows `start` to before `stop`, by window, then in the order they were added."""
        names = [_SEGMENTS.c[name] for name in SegmentRecord.__dataclass_fields__]
        query = (
            sa.select(*names)
            .where(_SEGMENTS.c.model == model, _SEGMENTS.c.kind == kind, *_range(_SEGMENTS, start, stop))
            .order_by(_SEGMENTS.c.window, _SEGMENTS.c.number)
        )
        return tuple(SegmentRecord(**row) for row in self._mappings(query))

    def read_segments(
        self,
        kind: SegmentKind,
        model: str,
        start: int | None = None,
        stop: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return the rows of those segments, in their order; only `columns` if given.

        A column that some of them lack is null there; one that all lack is not in the table. Without any segment the
        table has no columns. Content that was changed or damaged is a `StoreError`.
        """
        return joined([self._cache.read(segment, columns) for segment in self.segments(kind, model, start, stop)])

    def read_segment(self, segment: SegmentRecord, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of one segment; only `columns`, as far as it has them, if given."""
        return self._cache.read(segment, columns)

    def profiles(
        self, model: str, kind: str, start: int | None = None, stop: int | None = None
    ) -> tuple[ProfileRecord, ...]:
        """Return the profiles of windows `start` to before `stop`, by window."""
        columns = (_PROFILES.c.model, _PROFILES.c.kind, _PROFILES.c.window, _PROFILES.c.profile_id, _PROFILES.c.blob)
        query = (
            sa.select(*columns)
            .where(_PROFILES.c.model == model, _PROFILES.c.kind == kind, *_range(_PROFILES, start, stop))
            .order_by(_PROFILES.c.window)
        )
        return tuple(ProfileRecord(**row) for row in self._mappings(query))

    def profile_ids(self, model: str, kind: str) -> tuple[tuple[int, str], ...]:
        """Return (window, profile id) of every profile of a kind, by window; the profiles are not read."""
        query = sa.select(_PROFILES.c.window, _PROFILES.c.profile_id)
        kept = query.where(_PROFILES.c.model == model, _PROFILES.c.kind == kind).order_by(_PROFILES.c.window)
        return tuple((row.window, row.profile_id) for row in self._rows(kept))

    def signals(
        self, model: str, start: int | None = None, stop: int | None = None, names: Sequence[str] | None = None
    ) -> tuple[tuple[int, SignalRow], ...]:
        """Return (window, signal) for windows `start` to before `stop`, by window, name and column."""
        query = sa.select(_SIGNALS).where(_SIGNALS.c.model == model, *_range(_SIGNALS, start, stop))
        if names is not None:
            query = query.where(_SIGNALS.c.name.in_(list(names)))
        query = query.order_by(_SIGNALS.c.window, _SIGNALS.c.name, _SIGNALS.c.column_name)
        return tuple(
            (
                row.window,
                SignalRow(row.name, row.column_name or None, _float(row.value), _float(row.low), _float(row.high)),
            )
            for row in self._rows(query)
        )

    def artifacts(
        self, kind: str | None = None, model: str | None = None, up_to: int | None = None
    ) -> tuple[ArtifactRecord, ...]:
        """Return artifacts, of one kind and model if given, in the order they were put.

        `up_to` leaves only what is known at that instant: those with an `at` strictly before it.
        """
        query = sa.select(_ARTIFACTS).order_by(_ARTIFACTS.c.number)
        if kind is not None:
            query = query.where(_ARTIFACTS.c.kind == kind)
        if model is not None:
            query = query.where(_ARTIFACTS.c.model == model)
        if up_to is not None:
            query = query.where(_ARTIFACTS.c.at < int(up_to))
        return tuple(_artifact(row) for row in self._rows(query))

    def artifact(self, model: str, id: str) -> ArtifactRecord:  # noqa: A002 - the noun of DESIGN
        """Return one artifact; raise `StoreError` if there is none of that id."""
        rows = self._rows(sa.select(_ARTIFACTS).where(_ARTIFACTS.c.model == model, _ARTIFACTS.c.id == id))
        if not rows:
            msg = f"no artifact {id!r} of model {model!r} is kept in {self.path}"
            raise StoreError(msg)
        return _artifact(rows[0])

    def models(self) -> tuple[str, ...]:
        """Return the names of all models that have segments, artifacts or a state, sorted."""
        tables = (_SEGMENTS, _ARTIFACTS, _STATES)
        names = {row.model for table in tables for row in self._rows(sa.select(table.c.model).distinct())}
        return tuple(sorted(names - {HOUSE}))

    def read_file(self, digest: str) -> bytes:
        """Return kept content; raise `StoreError` if it is missing or is not what its digest says."""
        return artifacts.read_verified(self._files, digest)

    def local_file(self, digest: str) -> Path:
        """Return the path of kept content for another process to read, after its digest was checked."""
        return artifacts.local_verified(self._files, digest)

    def load_state(self, model: str) -> SavedState | None:
        """Return the newest state of a model's loop, or None."""
        rows = self._rows(sa.select(_STATES.c.as_of, _STATES.c.blob).where(_STATES.c.model == model))
        return SavedState(rows[0].as_of, decode_state(rows[0].blob)) if rows else None

    def subject(self, subject: str) -> Subject | None:
        """Return a person's key, None where there is none."""
        with self._catalog.read() as connection:
            key = subjects.key_of(connection, self.path / "keys")
            return None if key is None else subjects.find(connection, key, subject)

    def sealed_for(self, pseudonym: str) -> int:
        """Return how many artifacts are sealed for a person."""
        query = sa.select(sa.func.count()).where(_ARTIFACTS.c.content.contains(f'"sealed_for":"{pseudonym}"'))
        return int(self._rows(query)[0][0])

    def unsealed(self, model: str, id: str) -> dict[str, Any]:  # noqa: A002 - the noun of DESIGN
        """Return the payload of an artifact that was sealed; raise `ErasedError` where its key was destroyed."""
        content = self.artifact(model, id).content
        with self._catalog.read() as connection:
            key = subjects.key_of(connection, self.path / "keys")
            return subjects.find_sealed(connection, key, content).unseal(content)

    def select(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Return the rows of a query on what is committed, for tables that the modules beside this one keep."""
        return self._rows(query)

    def content_path(self, key: str, digest: str) -> Path:
        """Return a local path of content that `Transaction.put_content` kept, and of which it gave this digest."""
        return self._files.local(key, digest)

    def scrub(self) -> None:
        """Take what was deleted out of the catalog's own log, which would keep it until it is next needed."""
        self._catalog.scrub()

    def export(self, place: str, at: int, *, every: int | None = None) -> int:
        """Copy the journal to a place outside this home, and go on doing so; return how many entries were added.

        See `store.places.deliver` for places; `every` is in microseconds (see `export_due`). Raises `ExportError`.
        """
        return exporting.export(self, self.transaction, self._catalog, place, at, every)

    def export_due(self, at: int) -> tuple[str, ...]:
        """Bring the places up to date that are due at instant `at`, and return them. Raises `ExportError`."""
        return exporting.export_due(self, self.transaction, self._catalog, at)

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._catalog.read() as connection:
            return connection.execute(query).all()

    def _mappings(self, query: sa.Select[Any]) -> Sequence[Mapping[str, Any]]:
        with self._catalog.read() as connection:
            return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]

    def _sweep(self) -> None:
        """Delete files that no committed row names. Only while the lock is held and no transaction is open."""
        self._files.clear_staged()
        known = {row.key for row in self._rows(sa.select(_SEGMENTS.c.key))}
        known |= {artifacts.artifact_key(row.digest) for row in self._rows(sa.select(_FILES.c.digest))}
        known |= {key for row in self._rows(sa.select(_RUNS.c.hash_key, _RUNS.c.value_key)) for key in row}
        for folder in (FOLDER, artifacts.FOLDER, joins.FOLDER):
            for key in self._files.keys(folder):
                if key not in known:
                    self._files.delete(key)
        self._unswept = False


def _require_home(folder: Path, place: Location, *, create: bool) -> None:
    """Refuse a folder that is not a home and must not become one."""
    with disk_errors("open a home", folder):
        present = {item.name for item in folder.iterdir()} if folder.is_dir() else set()
        if folder.exists() and not folder.is_dir():
            msg = f"{folder} is a file; a home is a folder: choose another path"
            raise StoreError(msg)
    if CATALOG in present or place.catalog:
        return
    # A crash while a home was being made leaves parts of it, which may be completed.
    strange = sorted(present - OURS)
    if strange:
        msg = f"{folder} is not a Pitstop home: it holds {strange[0]!r} and no {CATALOG}; choose an empty or new folder"
        raise StoreError(msg)
    if not create:
        msg = f"there is no Pitstop home in {folder}; check the path, or make one with a command that writes"
        raise StoreError(msg)


def _range(table: sa.Table, start: int | None, stop: int | None) -> list[sa.ColumnElement[bool]]:
    conditions = []
    if start is not None:
        conditions.append(table.c.window >= int(start))
    if stop is not None:
        conditions.append(table.c.window < int(stop))
    return conditions


def _artifact(row: sa.Row[Any]) -> ArtifactRecord:
    caused_by = tuple(json.loads(row.caused_by))
    return ArtifactRecord(row.id, row.kind, row.model, row.at, caused_by, json.loads(row.content))


def _float(value: float | None) -> float:
    return float("nan") if value is None else value
