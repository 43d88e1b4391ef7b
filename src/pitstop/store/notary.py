"""Signs the journal's head with the home's key, and checks everything kept against the journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pitstop.errors import JournalError, StoreError
from pitstop.journal.checkpoints import Checkpoint, open_checkpoint, origin_of, sign, verifier_key
from pitstop.journal.entries import Entry
from pitstop.journal.verification import Fault, Verification, verify
from pitstop.store import log
from pitstop.store.base import Catalog, Files
from pitstop.store.content import content_digest
from pitstop.store.digest import rows_digest
from pitstop.store.disk import disk_errors
from pitstop.store.files import sync_folder
from pitstop.store.migrations import TABLES
from pitstop.store.segments import SegmentRecord

_CHECKPOINTS, _ARTIFACTS, _SEGMENTS = (TABLES.tables[name] for name in ("checkpoints", "artifacts", "segments"))
_LAST_SIZE = sa.select(sa.func.max(_CHECKPOINTS.c.size))
KEY = "journal.pem"


class Notary:
    """Keeps the signing key in the folder `keys` (made when it is first needed, mode 0600)."""

    def __init__(self, keys: Path, catalog: Catalog, files: Files) -> None:
        self._keys = keys
        self._catalog = catalog
        self._files = files

    def sign(self) -> None:
        """Add a signed checkpoint of the head, unless the last one is of this size already."""
        with self._catalog.read() as connection:
            head = log.read_head(connection)
            last = connection.execute(_LAST_SIZE).scalar_one()
        if head.size == (last or 0):
            return
        key = self._key()
        public = key.public_key()
        origin = origin_of(public)
        note = sign(Checkpoint(origin, head.size, head.root), key)
        row = {"size": head.size, "note": note, "verifier": verifier_key(origin, public)}
        with self._catalog.write() as connection, disk_errors("write to the catalog", self._keys.parent):
            connection.execute(_CHECKPOINTS.insert(), [row])

    def notes(self) -> tuple[str, ...]:
        """Return all signed notes, by size."""
        with self._catalog.read() as connection:
            return tuple(connection.execute(sa.select(_CHECKPOINTS.c.note).order_by(_CHECKPOINTS.c.size)).scalars())

    def verify(self, read: Callable[[SegmentRecord], pa.Table] | None) -> Verification:
        """Check the journal and what is kept; `read` gives the rows of a segment if they are to be checked too."""
        with self._catalog.read() as connection:
            entries, leaves = log.read_entries(connection)
            head = log.read_head(connection)
            kept = connection.execute(sa.select(_CHECKPOINTS).order_by(_CHECKPOINTS.c.size)).all()
            contents = connection.execute(sa.select(_ARTIFACTS).order_by(_ARTIFACTS.c.number)).all()
            segments = connection.execute(sa.select(_SEGMENTS).order_by(_SEGMENTS.c.number)).all()
        checkpoints = []
        faults: list[Fault] = []
        for row in kept:
            try:
                checkpoints.append(open_checkpoint(row.note, row.verifier))
            except JournalError as error:
                sentence = f"signature: the checkpoint of {row.size} entries is not to be believed: {error}"
                faults.append(Fault("signature", 0, max(row.size - 1, 0), sentence))
        found = verify(entries, checkpoints, leaves=leaves, head=Checkpoint("head", head.size, head.root))
        faults += _content_faults(entries, contents, segments)
        if read is not None:
            faults += _row_faults(entries, segments, read)
        return Verification(found.size, found.root, found.signed_size, (*found.faults, *faults))

    def _key(self) -> Ed25519PrivateKey:
        path = self._keys / KEY
        with disk_errors("keep the journal's key", self._keys):
            if not path.exists():
                self._make_key(path)
            data = path.read_bytes()
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except ValueError as error:
            msg = f"{path} is not a key; restore it from a backup, or remove it to go on with a new key"
            raise StoreError(msg) from error
        if not isinstance(key, Ed25519PrivateKey):
            msg = f"{path} is a {type(key).__name__}, expected an Ed25519 key; restore it from a backup"
            raise StoreError(msg)
        return key

    def _make_key(self, path: Path) -> None:
        self._keys.mkdir(mode=0o700, exist_ok=True)
        data = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(self._keys)


def _content_faults(entries: tuple[Entry, ...], contents: Any, segments: Any) -> Iterator[Fault]:
    """Compare what is kept with what the journal committed to."""
    kept = {(row.model, row.id): content_digest(row.content) for row in contents}
    kept |= {(row.model, row.id): row.digest for row in segments}
    recorded = {}
    for entry in entries:
        key = (entry.model, entry.id)
        recorded[key] = entry.sequence
        if key not in kept:
            yield _content(entry.sequence, f"{entry.id} is recorded in entry {entry.sequence}, but no longer kept")
        elif kept[key] != entry.digest:
            yield _content(entry.sequence, f"{entry.id} was changed after entry {entry.sequence} recorded it")
    for _, name in sorted(kept.keys() - recorded.keys()):
        yield _content(-1, f"{name} is kept, but no entry records it")


def _row_faults(
    entries: tuple[Entry, ...], segments: Any, read: Callable[[SegmentRecord], pa.Table]
) -> Iterator[Fault]:
    sequences = {(entry.model, entry.id): entry.sequence for entry in entries}
    for row in segments:
        values = {name: getattr(row, name) for name in SegmentRecord.__dataclass_fields__}
        number = sequences.get((row.model, row.id), -1)
        try:
            digest = rows_digest(read(SegmentRecord(**values)))
        except StoreError as error:
            yield _content(number, f"the rows of {row.id} cannot be read: {error}")
            continue
        if digest != row.digest:
            yield _content(number, f"the rows of {row.id} were changed: their digest does not fit")


def _content(sequence: int, what: str) -> Fault:
    return Fault("content", sequence, sequence, f"content: {what}")
