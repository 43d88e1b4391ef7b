"""A proof that one entry is in a signed journal, in the C2SP format `tlog-proof`: it verifies without the journal.

Its lines are `c2sp.org/tlog-proof@v1`, `index 17`, the hashes of the audit path in base64, an empty line, and the
checkpoint as a signed note.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from pitstop.errors import JournalError
from pitstop.journal.checkpoints import Checkpoint, open_checkpoint
from pitstop.journal.merkle import HASH_BYTES, leaf_hash, verify_inclusion

_FIRST = "c2sp.org/tlog-proof@v1"
_INDEX = "index "


@dataclass(frozen=True)
class Proof:
    """The audit path of entry `index`, and the signed note of the checkpoint that it leads to."""

    index: int
    hashes: tuple[bytes, ...]
    note: str

    def to_text(self) -> str:
        """Return the proof as text."""
        path = "".join(f"{base64.b64encode(item).decode()}\n" for item in self.hashes)
        return f"{_FIRST}\n{_INDEX}{self.index}\n{path}\n{self.note}"

    @staticmethod
    def from_text(text: str) -> Proof:
        """Return the proof of a text; raise `JournalError` if it is none."""
        head, blank, note = text.partition("\n\n")
        lines = head.split("\n")
        try:
            number = lines[1].removeprefix(_INDEX)
            hashes = tuple(base64.b64decode(line, validate=True) for line in lines[2:])
            fits = lines[0] == _FIRST and lines[1].startswith(_INDEX) and number.isascii() and number.isdigit()
            if not fits or not blank or any(len(item) != HASH_BYTES for item in hashes):
                raise ValueError  # noqa: TRY301 - one message for everything that is not a proof
            return Proof(int(number), hashes, note)
        except (IndexError, ValueError, binascii.Error) as error:
            msg = f"expected a proof that begins with {_FIRST!r} and `index N`, got {text[:80]!r}"
            raise JournalError(msg) from error

    def require(self, entry: bytes, verifier: str) -> Checkpoint:
        """Return the checkpoint under which `entry` (its canonical JSON) is proven.

        Raises `JournalError` unless the key `verifier` signed it and the path leads from the entry to its root.
        """
        checkpoint = open_checkpoint(self.note, verifier)
        if not verify_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.hashes, checkpoint.root):
            msg = (
                f"the proof does not lead from entry {self.index} to the root of the {checkpoint.size:,} entries that "
                "are signed: the entry or the proof was changed"
            )
            raise JournalError(msg)
        return checkpoint
