"""One line of the journal: that something was recorded, never its content.

The content stays beside the journal (an artifact's JSON, a segment's rows) and the entry commits to it by its
SHA-256, so that content can be erased later without breaking the log.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from pitstop.errors import JournalError
from pitstop.journal.merkle import leaf_hash

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELDS = frozenset({"at", "caused_by", "digest", "id", "kind", "model", "sequence"})


@dataclass(frozen=True, slots=True)
class Entry:
    """What was recorded: `id` of `kind` in `model`, because of the ids `caused_by`, with the content's `digest`.

    `sequence` counts from 0 without gaps. `at` is the instant that the thing speaks for, or None where it has
    none (a batch of rows). `digest` is 64 lower-case hex digits of SHA-256.
    """

    sequence: int
    kind: str
    at: int | None
    model: str
    id: str
    caused_by: tuple[str, ...]
    digest: str

    def __post_init__(self) -> None:
        """Refuse what could not be read back as the same entry."""
        if self.sequence < 0 or not _DIGEST.fullmatch(self.digest):
            msg = (
                f"a journal entry needs a sequence >= 0 and 64 hex digits of SHA-256, "
                f"got {self.sequence!r} and {self.digest!r}"
            )
            raise JournalError(msg)

    def to_bytes(self) -> bytes:
        """Return the entry as canonical JSON (RFC 8785: all keys are ASCII and all numbers integers)."""
        fields = {
            "at": self.at,
            "caused_by": self.caused_by,
            "digest": self.digest,
            "id": self.id,
            "kind": self.kind,
            "model": self.model,
            "sequence": self.sequence,
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @staticmethod
    def from_bytes(data: bytes) -> Entry:
        """Return the entry of canonical JSON; raise `JournalError` if it is none."""
        try:
            fields: dict[str, Any] = json.loads(data)
            if not isinstance(fields, dict) or fields.keys() != _FIELDS:
                raise ValueError  # noqa: TRY301 - one message for everything that is not an entry
            fields["caused_by"] = tuple(fields["caused_by"])
            return Entry(**fields)
        except (ValueError, TypeError) as error:
            msg = f"expected a journal entry with {', '.join(sorted(_FIELDS))}, got {data[:80]!r}"
            raise JournalError(msg) from error

    @property
    def leaf(self) -> bytes:
        """The leaf hash of this entry in the Merkle tree."""
        return leaf_hash(self.to_bytes())
