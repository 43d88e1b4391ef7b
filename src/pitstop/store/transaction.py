"""One transaction of the store: segments, profiles, artifacts, signals, files, state and their journal entries.

Everything is gathered first; files are written and synced under temporary names as they come. When the block ends,
files get their names, then the rows and the journal's head are written and committed together. A crash before the
commit leaves files that no row names, which the next opening sweeps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.records.identity import artifact_id
from pitstop.store import subjects
from pitstop.store.artifacts import artifact_key
from pitstop.store.base import Files, Staged
from pitstop.store.content import content_digest, exact_json, same_content
from pitstop.store.digest import rows_digest
from pitstop.store.disk import disk_errors
from pitstop.store.keys import subjects_key
from pitstop.store.log import Note, append
from pitstop.store.migrations import TABLES
from pitstop.store.segments import SegmentKind, SegmentRecord, encode_segment, segment_key
from pitstop.store.state import State, encode_state
from pitstop.store.subjects import Subject

_SEGMENTS, _PROFILES = TABLES.tables["segments"], TABLES.tables["profiles"]
_SIGNALS, _ARTIFACTS = TABLES.tables["signals"], TABLES.tables["artifacts"]
_FILES, _STATES = TABLES.tables["files"], TABLES.tables["states"]


def _where(table: sa.Table, names: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == sa.bindparam(f"key_{name}") for name in names]


# Built once: making a statement costs more than running it.
_BATCH_KEY = ("model", "kind", "window", "batch_id")
_FIND_SEGMENT = sa.select(_SEGMENTS.c.number).where(*_where(_SEGMENTS, _BATCH_KEY))
_FIND_ARTIFACT = sa.select(_ARTIFACTS).where(*_where(_ARTIFACTS, ("model", "id")))
_INSERT = {name: table.insert() for name, table in TABLES.tables.items()}
_DELETE = {
    table.name: table.delete().where(*_where(table, table.primary_key.columns.keys()))
    for table in (_PROFILES, _SIGNALS, _STATES)
}
_CHANGE_SEGMENT = _SEGMENTS.update().where(*_where(_SEGMENTS, ("model", "id")))
_DROP_SEGMENT = _SEGMENTS.delete().where(*_where(_SEGMENTS, ("model", "id")))
_KEYS_OF_WINDOW = sa.select(_SEGMENTS.c.key).where(*_where(_SEGMENTS, ("model", "kind", "window")))
_FIND_FILE = sa.select(_FILES.c.digest).where(*_where(_FILES, ("digest",)))


class SignalRow(NamedTuple):
    """One line of the narrow table: a signal of a window. `column` is None for the model as a whole.

    `value`, `low` and `high` are NaN where there is none.
    """

    name: str
    column: str | None
    value: float
    low: float
    high: float


class Transaction:
    """What is put here is committed together when the `with` block of `Home.transaction()` ends, or not at all.

    Reads through the home see it after that. Every method may raise `StoreError`; then leave the block.
    """

    def __init__(self, connection: sa.Connection, files: Files, where: Path) -> None:
        self._connection = connection
        self._files = files
        self._where = where
        self._over = False
        self._moves: list[tuple[Staged, str]] = []
        # Keys of files that no row names any more once this is committed; known when it is finished.
        self.obsolete: tuple[str, ...] = ()
        self._notes: list[Note] = []
        self._segments: dict[tuple[str, str, int, str], SegmentRecord] = {}
        self._artifacts: dict[tuple[str, str], dict[str, Any]] = {}
        self._profiles: dict[tuple[str, str, int], dict[str, Any] | None] = {}
        self._signals: dict[tuple[str, int, str, str], dict[str, Any]] = {}
        self._states: dict[str, dict[str, Any]] = {}
        self._new_files: dict[str, int] = {}
        self._rewritten: list[tuple[SegmentRecord, SegmentRecord]] = []
        self._statements: list[tuple[sa.Executable, list[dict[str, Any]]]] = []
        self._dropped: list[SegmentRecord] = []
        self._dropped_content: list[str] = []

    def add_segment(
        self, kind: SegmentKind, model: str, window: int, batch_id: str, table: pa.Table, *, at: int | None = None
    ) -> SegmentRecord | None:
        """Add the rows of one batch in one window, and journal their digest.

        Returns None, and does nothing, if this batch id was added to this model, kind and window before.
        """
        self._require_open()
        key = (model, kind, int(window), batch_id)
        if key in self._segments or self._found(_FIND_SEGMENT, dict(zip(_BATCH_KEY, key, strict=True))) is not None:
            return None
        if not batch_id or not table.num_columns:
            msg = f"a segment needs a batch id and columns, got {batch_id!r} and {table.num_columns} columns"
            raise StoreError(msg)
        digest = rows_digest(table)
        staged = self._files.stage(encode_segment(table))
        record = SegmentRecord(
            # The id must not depend on predictions, whose last bits differ between machines; the digest does.
            id=artifact_id("segment", {"model": model, "kind": kind, "window": int(window), "batch": batch_id}),
            kind=kind,
            model=model,
            window=int(window),
            batch_id=batch_id,
            digest=digest,
            rows=table.num_rows,
            bytes=staged.size,
            file_digest=staged.digest,
            key=segment_key(model, kind, int(window), staged.digest),
        )
        self._moves.append((staged, record.key))
        self._segments[key] = record
        self._notes.append(Note(kind, at, model, record.id, (), digest))
        return record

    def put_profile(self, model: str, kind: str, window: int, blob: bytes, profile_id: str) -> None:
        """Set the profile of a window; the caller has merged it with the one that was there."""
        self._require_open()
        row = {"model": model, "kind": kind, "window": int(window), "blob": bytes(blob), "profile_id": profile_id}
        self._profiles[model, kind, int(window)] = row

    def drop_profiles(self, model: str, kind: str, windows: Iterable[int]) -> None:
        """Forget the profiles of these windows; one that is not there is no error."""
        self._require_open()
        for window in windows:
            self._profiles[model, kind, int(window)] = None

    def put_artifact(
        self,
        artifact: Mapping[str, Any],
        kind: str,
        id: str,  # noqa: A002 - the noun of DESIGN
        at: int,
        caused_by: Sequence[str],
        model: str,
    ) -> bool:
        """Keep an artifact (JSON) and journal it; return False if it is there already, which is no error.

        An artifact never changes: raises `StoreError` if the id stands for another content, kind, instant or cause.
        """
        self._require_open()
        content = exact_json(artifact)
        row: dict[str, Any] = {"model": model, "id": id, "kind": kind, "at": int(at), "content": content}
        row["caused_by"] = exact_json(list(caused_by))
        old = self._artifacts.get((model, id)) or self._found(_FIND_ARTIFACT, {"model": model, "id": id})
        if old is not None:
            _require_same(old, row)
            return False
        self._artifacts[model, id] = row
        self._notes.append(Note(kind, int(at), model, id, tuple(caused_by), content_digest(content)))
        return True

    def subject(self, subject: str) -> Subject:
        """Return a person's key; it is made where there is none."""
        self._require_open()
        with disk_errors("write to the catalog", self._where):
            return subjects.ensure(self._connection, self._subjects_key, subject)

    def put_sealed(
        self,
        payload: Mapping[str, Any],
        kind: str,
        id: str,  # noqa: A002 - the noun of DESIGN
        at: int,
        caused_by: Sequence[str],
        model: str,
        subject: str,
    ) -> bool:
        """Keep an artifact with personal data, sealed under the key of the person whom it is about, and journal it.

        The journal commits to the ciphertext, so the content can be destroyed with the key. `id` must say nothing about
        the person. Returns False if the id is there already; `Home.unsealed` reads it.
        """
        self._require_open()
        if (model, id) in self._artifacts or self._found(_FIND_ARTIFACT, {"model": model, "id": id}) is not None:
            return False
        return self.put_artifact(self.subject(subject).seal(payload), kind, id, at, caused_by, model)

    def set_hold(self, subject: str, hold: str | None) -> None:
        """Keep a person's data from being erased (`hold`: the id of the record that says so), or no longer."""
        known = self.subject(subject)
        with disk_errors("write to the catalog", self._where):
            subjects.set_hold(self._connection, known, hold)

    def forget(self, subject: str) -> None:
        """Destroy a person's key, and with it everything that was sealed for them."""
        known = self.subject(subject)
        with disk_errors("write to the catalog", self._where):
            subjects.destroy(self._connection, known)

    def rewrite_segment(self, record: SegmentRecord, table: pa.Table) -> SegmentRecord:
        """Replace the rows of a committed segment; the caller records the new digest in an `erasure`.

        The old file is deleted once the transaction is committed.
        """
        self._require_open()
        staged = self._files.stage(encode_segment(table))
        changed = replace(
            record,
            digest=rows_digest(table),
            rows=table.num_rows,
            bytes=staged.size,
            file_digest=staged.digest,
            key=segment_key(record.model, record.kind, record.window, staged.digest),
        )
        self._moves.append((staged, changed.key))
        self._rewritten.append((record, changed))
        return changed

    def drop_segments(self, records: Sequence[SegmentRecord]) -> None:
        """Forget committed segments; the caller records where their rows went, or why they did."""
        self._require_open()
        self.execute(_DROP_SEGMENT, [{"key_model": record.model, "key_id": record.id} for record in records])
        self._dropped += records

    def put_content(self, key: str, source: bytes | Path) -> Staged:
        """Keep content under a key of the caller's, which a row that is written with `execute` has to name."""
        self._require_open()
        staged = self._files.stage(source)
        self._moves.append((staged, key))
        return staged

    def drop_content(self, key: str) -> None:
        """Delete content that `put_content` kept, once this is committed; the caller drops the row that names it."""
        self._require_open()
        self._dropped_content.append(key)

    @property
    def staging(self) -> Path:
        """A folder for files that are being made; a crash leaves nothing there for long."""
        with disk_errors("write", self._where):
            (self._where / "tmp").mkdir(exist_ok=True)
        return self._where / "tmp"

    def execute(self, statement: sa.Executable, rows: Sequence[dict[str, Any]]) -> None:
        """Run a statement for each of `rows` before the commit, in the order of these calls."""
        self._require_open()
        if rows:
            self._statements.append((statement, list(rows)))

    def select(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Return the rows of a query on what was committed before."""
        self._require_open()
        with disk_errors("read the catalog", self._where):
            return self._connection.execute(query).all()

    def put_signals(
        self, model: str, window: int, signals: Iterable[tuple[str, str | None, float, float, float]]
    ) -> None:
        """Set signals of a window: (name, column or None, value, low, high); the same name and column is replaced."""
        self._require_open()
        for name, column, value, low, high in signals:
            self._signals[model, int(window), name, column or ""] = {
                "model": model,
                "window": int(window),
                "name": name,
                "column_name": column or "",
                "value": _number(value),
                "low": _number(low),
                "high": _number(high),
            }

    def put_file(self, source: bytes | Path) -> str:
        """Keep content, or a copy of a file, and return its digest (hex SHA-256). The same content is kept once."""
        self._require_open()
        staged = self._files.stage(source)
        if staged.digest in self._new_files or self._found(_FIND_FILE, {"digest": staged.digest}) is not None:
            self._files.discard([staged])
            return staged.digest
        self._new_files[staged.digest] = staged.size
        self._moves.append((staged, artifact_key(staged.digest)))
        return staged.digest

    def save_state(self, model: str, as_of: int, state: State) -> None:
        """Keep the state from which a loop goes on: NumPy arrays and JSON values by name. The newest replaces all."""
        self._require_open()
        self._states[model] = {"model": model, "as_of": int(as_of), "blob": encode_state(state)}

    def _finish(self) -> None:
        """Publish files and write all rows; the caller commits."""
        self._require_open()
        self._over = True
        moves, self._moves = self._moves, []
        try:
            self._files.publish(moves)
        except BaseException:
            # Some may have moved already; the home sweeps them.
            self._moves = moves
            raise
        with disk_errors("write to the catalog", self._where):
            for statement, rows in self._statements:
                self._connection.execute(statement, rows)
            self._insert(_SEGMENTS, [vars(record) for record in self._segments.values()])
            for old, changed in self._rewritten:
                self._connection.execute(
                    _CHANGE_SEGMENT, {"key_id": old.id, "key_model": old.model, **_changes(changed)}
                )
            self._insert(_ARTIFACTS, self._artifacts.values())
            self._insert(_FILES, [{"digest": digest, "bytes": size} for digest, size in self._new_files.items()])
            self._replace(_PROFILES, [row for row in self._profiles.values() if row is not None])
            self._drop_profiles([key for key, row in self._profiles.items() if row is None])
            self._replace(_SIGNALS, self._signals.values())
            self._replace(_STATES, self._states.values())
            append(self._connection, self._notes)
            self.obsolete = (*self._unnamed(), *self._dropped_content)

    def _abandon(self) -> None:
        """Forget what was staged."""
        self._over = True
        self._files.discard([staged for staged, _ in self._moves])

    def _unnamed(self) -> list[str]:
        """Return the files of segments that are gone or changed, but for those that another segment's row names too.

        Files are called by what is in them: two batches of the same rows in one window share one.
        """
        gone = [*(old for old, _ in self._rewritten), *self._dropped]
        windows = dict.fromkeys((record.model, record.kind, record.window) for record in gone)
        named: set[str] = set()
        for window in windows:
            key = dict(zip(("key_model", "key_kind", "key_window"), window, strict=True))
            named.update(self._connection.execute(_KEYS_OF_WINDOW, key).scalars())
        return [record.key for record in gone if record.key not in named]

    @cached_property
    def _subjects_key(self) -> bytes:
        folder = self._where / "keys"
        return subjects.key_of(self._connection, folder) or subjects_key(folder)

    def _require_open(self) -> None:
        if self._over:
            msg = "this transaction has ended; open another with home.transaction()"
            raise StoreError(msg)

    def _found(self, statement: sa.Select[Any], key: Mapping[str, Any]) -> dict[str, Any] | None:
        with disk_errors("read the catalog", self._where):
            row = self._connection.execute(statement, {f"key_{name}": value for name, value in key.items()}).first()
        return None if row is None else dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it

    def _insert(self, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
        listed = list(rows)
        if listed:
            self._connection.execute(_INSERT[table.name], listed)

    def _drop_profiles(self, keys: Sequence[tuple[str, str, int]]) -> None:
        if keys:
            named = [dict(zip(("key_model", "key_kind", "key_window"), key, strict=True)) for key in keys]
            self._connection.execute(_DELETE[_PROFILES.name], named)

    def _replace(self, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
        # Delete and insert instead of a dialect's own upsert: the same statements on every database.
        listed = list(rows)
        if listed:
            key = table.primary_key.columns.keys()
            self._connection.execute(
                _DELETE[table.name], [{f"key_{name}": row[name] for name in key} for row in listed]
            )
            self._connection.execute(_INSERT[table.name], listed)


def _changes(record: SegmentRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("digest", "rows", "bytes", "file_digest", "key")}


def _number(value: float) -> float | None:
    # SQLite has no NaN; a null is read back as one.
    return None if value is None or math.isnan(value) else float(value)


def _require_same(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for name in ("kind", "at", "caused_by"):
        if old[name] != new[name]:
            msg = (
                f"artifact {new['id']!r} is kept with {name} = {old[name]!r}, got {new[name]!r}; "
                "an artifact never changes: make another with its own id"
            )
            raise StoreError(msg)
    if not same_content(old["content"], new["content"]):
        msg = (
            f"artifact {new['id']!r} is kept with other content ({old['content'][:120]}), got {new['content'][:120]}; "
            "an artifact never changes: make another with its own id"
        )
        raise StoreError(msg)
