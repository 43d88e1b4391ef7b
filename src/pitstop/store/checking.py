"""Checks a home's journal against its checkpoints, and everything that is kept against the journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.journal.checkpoints import Checkpoint, SignedCheckpoint
from pitstop.journal.entries import Entry
from pitstop.journal.exports import signed_of
from pitstop.journal.merkle import leaf_hash
from pitstop.journal.tiles import LEVEL_HEIGHT, StoredLevels
from pitstop.journal.verification import Check, Fault, Verification, chain_faults
from pitstop.store import log
from pitstop.store.base import Catalog
from pitstop.store.content import content_digest
from pitstop.store.digest import rows_digest
from pitstop.store.migrations import TABLES
from pitstop.store.segments import SegmentRecord

_CHECKPOINTS, _ARTIFACTS, _SEGMENTS = (TABLES.tables[name] for name in ("checkpoints", "artifacts", "segments"))
_JOURNAL = TABLES.tables["journal"]
_KEPT = (_ARTIFACTS.c.number, _ARTIFACTS.c.model, _ARTIFACTS.c.id, _ARTIFACTS.c.content)
_IN_ORDER = sa.select(*_KEPT).order_by(_ARTIFACTS.c.number)
_BY_ID = sa.select(*_KEPT).where(_ARTIFACTS.c.model == sa.bindparam("m"), _ARTIFACTS.c.id == sa.bindparam("i"))
_ROWS_KINDS = frozenset({"predictions", "labels"})
# Records of what became of segments: rows taken out, put together with others, or no longer kept.
_REWRITES = frozenset({"erasure", "compaction", "retention"})


def check_home(
    catalog: Catalog,
    read: Callable[[SegmentRecord], pa.Table] | None,
    outside: Iterable[SignedCheckpoint] = (),
) -> Verification:
    """Check the journal and what is kept; `read` gives the rows of a segment if they are to be checked too.

    `outside` are checkpoints that were kept elsewhere, their signatures verified: they bind whoever can write here.
    """
    with catalog.read() as connection:
        head, newest = log.read_head(connection), log.read_signed(connection)
        kept = connection.execute(sa.select(_CHECKPOINTS).order_by(_CHECKPOINTS.c.size)).all()
        signed, faults = signed_of((row.note, row.verifier) for row in kept)
        faults += chain_faults(signed, newest)
        known = {item.note for item in signed}
        foreign = [item for item in outside if item.note not in known]
        faults += [_gone(item) for item in foreign if item.checkpoint.size <= head.size]
        contents = _Contents(connection)
        check = Check()
        for row in log.read_rows(connection):
            check.take(row[0], leaf_hash(_bytes_of(row)), row[7])
            contents.take(row)
        levels = StoredLevels()
        recorded = Checkpoint("head", head.size, head.root)
        found = check.finish([item.checkpoint for item in (*signed, *foreign)], recorded, levels.add)
        faults += _tree_faults(levels, log.read_nodes(connection))
        faults += contents.finish()
    if read is not None:
        faults += contents.row_faults(read, catalog)
    return Verification(found.size, found.root, found.signed_size, (*found.faults, *faults), contents.erased)


def _bytes_of(row: tuple[Any, ...]) -> bytes:
    try:
        return Entry.canonical(row[:7])
    except (ValueError, TypeError):
        return b"no entry any more"


def _gone(item: SignedCheckpoint) -> Fault:
    size = item.checkpoint.size
    sentence = f"deleted: the checkpoint of {size:,} entries is kept elsewhere, but not here"
    return Fault("deleted", 0, max(size - 1, 0), sentence)


def _tree_faults(levels: StoredLevels, stored: Mapping[tuple[int, int], bytes]) -> list[Fault]:
    """Compare the hashes that proofs are made from with the ones recomputed from the intact entries."""
    computed = {(row["level"], row["place"]): row["hash"] for row in levels.rows}
    wrong = sorted(key for key, root in computed.items() if stored.get(key) != root)
    faults = []
    for level, place in wrong:
        span = 1 << (LEVEL_HEIGHT * level)
        first = place * span
        sentence = f"tree: the stored hash of entries {first} to {first + span - 1} does not fit, proofs would fail"
        faults.append(Fault("tree", first, first + span - 1, sentence))
    return faults


class _Contents:
    """Compares what is kept with what the journal committed to, entry by entry."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        # Artifacts stand in the order of their entries, so one pass over both finds them without a search.
        self._artifacts = iter(connection.execute(_IN_ORDER.execution_options(yield_per=log.FETCH)))
        self._next: Any = next(self._artifacts, None)
        rows = connection.execute(sa.select(_SEGMENTS).order_by(_SEGMENTS.c.number)).all()
        self._segments = {(row.model, row.id): row for row in rows}
        # Digest of each segment that an entry recorded, as later erasures changed it.
        self._expected: dict[tuple[str, str], tuple[int, str]] = {}
        self._matched = 0
        self._faults: list[Fault] = []
        self._sealed = sealed_tags(connection)
        self.erased = 0

    def take(self, row: tuple[Any, ...]) -> None:
        """Take the columns of the next entry."""
        sequence, kind, _, model, name, _, digest, _ = row
        if kind in _ROWS_KINDS:
            self._expected[model, name] = (sequence, digest)
            return
        content = self._content(model, name)
        if content is None:
            self._say(sequence, f"{name} is recorded in entry {sequence}, but no longer kept")
            return
        self._matched += 1
        if content_digest(content) != digest:
            self._say(sequence, f"{name} was changed after entry {sequence} recorded it")
        elif kind in _REWRITES:
            self._erase(model, json.loads(content), erased=kind == "erasure")
        elif '"sealed_for":' in content and json.loads(content).get("sealed_for") not in self._sealed:
            self.erased += 1

    def _content(self, model: str, name: str) -> str | None:
        """Return the content that is kept under an id, None where there is none."""
        found = self._next
        if found is None or found[1] != model or found[2] != name:
            # Something was taken out, put in or moved: search, and go on behind what was found.
            found = self._connection.execute(_BY_ID, {"m": model, "i": name}).one_or_none()
        if found is None:
            return None
        while self._next is not None and self._next[0] <= found[0]:
            self._next = next(self._artifacts, None)
        return str(found[3])

    def finish(self) -> list[Fault]:
        """Return what was found, after all entries were taken."""
        connection = self._connection
        for key, (sequence, digest) in self._expected.items():
            row = self._segments.get(key)
            if row is None and digest:
                self._say(sequence, f"{key[1]} is recorded in entry {sequence}, but no longer kept")
            elif row is not None and row.digest != digest:
                self._say(sequence, f"{key[1]} was changed after entry {sequence} recorded it")
        strange = [key for key in self._segments if key not in self._expected]
        kept = connection.execute(sa.select(sa.func.count()).select_from(_ARTIFACTS)).scalar_one()
        if kept != self._matched:
            recorded = {(row.model, row.id) for row in connection.execute(sa.select(_JOURNAL.c.model, _JOURNAL.c.id))}
            names = connection.execute(sa.select(_ARTIFACTS.c.model, _ARTIFACTS.c.id))
            strange += [(row.model, row.id) for row in names if (row.model, row.id) not in recorded]
        for _, name in sorted(strange):
            self._say(-1, f"{name} is kept, but no entry records it")
        return self._faults

    def row_faults(self, read: Callable[[SegmentRecord], pa.Table], catalog: Catalog) -> list[Fault]:
        """Read every segment and compare its rows with their digest.

        One that was replaced since the journal was read is left to the next check: whoever writes in the home puts
        small files together, and deletes them.
        """
        before = len(self._faults)
        for key, row in self._segments.items():
            number, _ = self._expected.get(key, (-1, ""))
            values = {name: getattr(row, name) for name in SegmentRecord.__dataclass_fields__}
            try:
                digest = rows_digest(read(SegmentRecord(**values)))
            except StoreError as error:
                if not _is_kept(catalog, row):
                    continue
                self._say(number, f"the rows of {row.id} cannot be read: {error}")
                continue
            if digest != row.digest:
                self._say(number, f"the rows of {row.id} were changed: their digest does not fit")
        return self._faults[before:]

    def _erase(self, model: str, content: Mapping[str, Any], *, erased: bool) -> None:
        """Follow an erasure, compaction or retention on record: a segment has another digest from here on, or none."""
        for segment in content["segments"]:
            key = (model, segment["id"])
            sequence, digest = self._expected.get(key, (-1, ""))
            if digest == segment["before"]:
                self._expected[key] = (sequence, segment["after"])
                self.erased += int(erased)

    def _say(self, sequence: int, what: str) -> None:
        self._faults.append(Fault("content", sequence, sequence, f"content: {what}"))


def _is_kept(catalog: Catalog, row: sa.Row[Any]) -> bool:
    """Return whether a segment still is what a row of the catalog said."""
    same = (_SEGMENTS.c.model == row.model, _SEGMENTS.c.id == row.id, _SEGMENTS.c.key == row.key)
    with catalog.read() as connection:
        return connection.execute(sa.select(_SEGMENTS.c.number).where(*same)).first() is not None


def sealed_tags(connection: sa.Connection) -> frozenset[str]:
    """Return the pseudonyms of subjects whose key still exists."""
    subjects = TABLES.tables["subjects"]
    return frozenset(connection.execute(sa.select(subjects.c.pseudonym)).scalars())
