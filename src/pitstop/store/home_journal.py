"""What a home says of its journal: entries, signed heads, proofs, and whether all of it verifies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pitstop.journal.checkpoints import Checkpoint, SignedCheckpoint
from pitstop.journal.entries import Entry
from pitstop.journal.merkle import CompactRange
from pitstop.journal.proofs import Proof
from pitstop.journal.verification import Verification
from pitstop.store import log
from pitstop.store.base import Catalog
from pitstop.store.checking import check_home
from pitstop.store.notary import Notary
from pitstop.store.segments import SegmentCache

HOUSE = ""
"""The model of what concerns no model, but the home as a whole."""


class HomeJournal:
    """The journal of an opened home; `Home` is the rest of it."""

    _catalog: Catalog
    _cache: SegmentCache
    _notary: Notary

    def journal(self) -> tuple[Entry, ...]:
        """Return all journal entries, in order."""
        return tuple(self.entries())

    def entries(self, first: int = 0) -> Iterator[Entry]:
        """Iterate over the entries from number `first` on. Finish before anything else is asked of this home."""
        with self._catalog.read() as connection:
            yield from log.read_entries(connection, first)

    def entries_of(self, name: str) -> tuple[Entry, ...]:
        """Return the entries about the artifact or segment with the id `name`, in order."""
        with self._catalog.read() as connection:
            return log.find_entries(connection, name)

    def journal_head(self) -> CompactRange:
        """Return the journal's size and frontier; its `.root` is the Merkle root."""
        with self._catalog.read() as connection:
            return log.read_head(connection)

    def checkpoint(self) -> str | None:
        """Sign the journal's head and return the note (C2SP), or None for an empty journal."""
        self._notary.sign()
        notes = self.checkpoints()
        return notes[-1] if notes else None

    def checkpoints(self) -> tuple[str, ...]:
        """Return all signed notes, by size."""
        return tuple(note for note, _ in self._notary.notes())

    def notes(self) -> tuple[tuple[str, str], ...]:
        """Return all signed notes, by size, each with the key that verifies it."""
        return self._notary.notes()

    def prove(self, sequence: int) -> tuple[Entry, Proof]:
        """Return an entry with the proof that the newest signed checkpoint covers it.

        Reads O(log n) hashes. `Proof.require` checks it on any machine. Raises `JournalError` if no checkpoint does.
        """
        return self._notary.prove(sequence)

    def prove_consistency(self, old: Checkpoint) -> tuple[bytes, ...]:
        """Return the proof that the newest signed checkpoint extends the older one `old`."""
        return self._notary.prove_consistency(old)

    def verify(self, *, rows: bool = False, outside: Iterable[SignedCheckpoint] = ()) -> Verification:
        """Check the journal against its checkpoints, and what is kept against the journal.

        `rows` also reads every segment and recomputes the digest of its rows. `outside` are checkpoints that were kept
        elsewhere (see `journal.checkpoints.open_signed`): against them even the holder of the key cannot rewrite.
        """
        return check_home(self._catalog, self._cache.read if rows else None, outside)
