"""Signs the journal's head with the home's key, and gives proofs of single entries."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from pitstop.errors import JournalError
from pitstop.journal.checkpoints import Checkpoint, open_checkpoint, origin_of, sign, verifier_key
from pitstop.journal.entries import Entry
from pitstop.journal.proofs import Proof
from pitstop.store import log
from pitstop.store.base import Catalog
from pitstop.store.disk import disk_errors
from pitstop.store.keys import signing_key
from pitstop.store.migrations import TABLES

_CHECKPOINTS = TABLES.tables["checkpoints"]
_KEPT = sa.select(_CHECKPOINTS).order_by(_CHECKPOINTS.c.size)


class Notary:
    """Keeps the signing key in the folder `keys` (made when it is first needed, mode 0600)."""

    def __init__(self, keys: Path, catalog: Catalog) -> None:
        self._keys = keys
        self._catalog = catalog

    def sign(self) -> None:
        """Add a signed checkpoint of the head, unless the last one is of this size already."""
        with self._catalog.read() as connection:
            head = log.read_head(connection)
            last = connection.execute(_KEPT.order_by(None).order_by(_CHECKPOINTS.c.size.desc()).limit(1)).one_or_none()
        if head.size == (last.size if last else 0):
            return
        with self._catalog.write() as connection, disk_errors("write to the catalog", self._keys.parent):
            # Not before it may be written: a home that was opened to be read is left as it is.
            key = signing_key(self._keys)
            public = key.public_key()
            origin = origin_of(public)
            note = sign(Checkpoint(origin, head.size, head.root), key, last.note if last else "")
            row = {"size": head.size, "note": note, "verifier": verifier_key(origin, public)}
            connection.execute(_CHECKPOINTS.insert(), [row])
            log.set_signed(connection, head.size)

    def notes(self) -> tuple[tuple[str, str], ...]:
        """Return all signed notes with the key that verifies each, by size."""
        with self._catalog.read() as connection:
            return tuple((row.note, row.verifier) for row in connection.execute(_KEPT))

    def prove(self, sequence: int) -> tuple[Entry, Proof]:
        """Return an entry, and the proof that it is in the journal whose newest checkpoint is signed.

        Raises `JournalError` where there is no such entry, or none is signed that covers it.
        """
        with self._catalog.read() as connection:
            rows = connection.execute(_KEPT).all()
            covering = [row for row in rows if row.size > sequence]
            if not covering:
                msg = f"no signed checkpoint covers entry {sequence} yet; `pitstop journal sign` makes one"
                raise JournalError(msg)
            newest = covering[-1]
            entry = log.read_entry(connection, sequence)
            hashes = log.tiles(connection, newest.size).inclusion_proof(sequence)
        proof = Proof(sequence, hashes, newest.note)
        proof.require(entry.to_bytes(), newest.verifier)
        return entry, proof

    def prove_consistency(self, old: Checkpoint) -> tuple[bytes, ...]:
        """Return the proof that the newest checkpoint extends an older one. Raises `JournalError` where none is signed.

        `verify_consistency` says whether it does.
        """
        with self._catalog.read() as connection:
            rows = connection.execute(_KEPT).all()
            if not rows:
                msg = "no checkpoint is signed yet; `pitstop journal sign` makes one"
                raise JournalError(msg)
            newest = open_checkpoint(rows[-1].note, rows[-1].verifier)
            return log.tiles(connection, newest.size).consistency_proof(old.size)
