"""Signed heads of the journal, in the C2SP formats `tlog-checkpoint` and `signed-note` with Ed25519.

    pitstop/4f1c...                          origin, which is also the name of the key
    1042                                     number of entries
    qlK1...=                                 root, base64
    previous 51f0...                         digest of the note that was signed before this one, none for the first

    — pitstop/4f1c... x08go...=              key id (4 bytes) and signature (64 bytes), base64

Whoever keeps one such note elsewhere can prove later that the first 1042 entries were not changed. The line `previous`
is an extension that the format allows: it is signed, so that a checkpoint cannot be taken out of the middle of others.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pitstop.errors import JournalError
from pitstop.journal.merkle import HASH_BYTES

_ED25519 = b"\x01"
_DASH = "\u2014 "
_KEY_ID_BYTES = 4
_PREVIOUS = "previous "


@dataclass(frozen=True)
class Checkpoint:
    """The journal `origin` had `size` entries with this `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed; ends with a newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @staticmethod
    def from_text(text: str) -> Checkpoint:
        """Return the checkpoint of a signed text; further lines are allowed by the format and ignored."""
        lines = text.split("\n")
        try:
            origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
            if not origin or not size.isascii() or not size.isdigit() or len(root) != HASH_BYTES:
                raise ValueError  # noqa: TRY301 - one message for everything that is not a checkpoint
            return Checkpoint(origin, int(size), root)
        except (IndexError, ValueError) as error:
            msg = f"expected a checkpoint (origin, size, base64 root, one a line), got {text[:80]!r}"
            raise JournalError(msg) from error


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint with the note that signs it; `previous` is the digest of the note before it, "" for none."""

    checkpoint: Checkpoint
    previous: str
    note: str


def note_digest(note: str) -> str:
    """Return the hex SHA-256 by which the next note names this one."""
    return hashlib.sha256(note.encode()).hexdigest()


def origin_of(key: Ed25519PublicKey) -> str:
    """Return the name of the journal that is signed with `key`: its fingerprint."""
    return f"pitstop/{hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]}"


def verifier_key(origin: str, key: Ed25519PublicKey) -> str:
    """Return the public key as a C2SP verifier key: name, key id and key, joined by `+`."""
    public = key.public_bytes_raw()
    return f"{origin}+{_key_id(origin, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def stated_key(text: str) -> str:
    """Return a verifier key as somebody typed it, without blanks around it. Raises `JournalError` where it is none."""
    key = text.strip()
    try:
        _parse_verifier(key)
    except JournalError as error:
        msg = f"got the key {key[:80]!r}; expected a verifier key as `pitstop journal verify` prints it, name+id+key"
        raise JournalError(msg) from error
    return key


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey, after: str = "") -> str:
    """Return the checkpoint as a signed note, which follows the note `after` ("": it is the first)."""
    text = checkpoint.text + (f"{_PREVIOUS}{note_digest(after)}\n" if after else "")
    signature = key.sign(text.encode())
    marked = _key_id(checkpoint.origin, key.public_key().public_bytes_raw()) + signature
    return f"{text}\n{_DASH}{checkpoint.origin} {base64.b64encode(marked).decode()}\n"


def open_note(note: str, verifier: str) -> str:
    """Return the text of a signed note; raise `JournalError` unless the key `verifier` signed it."""
    name, key_id, public = _parse_verifier(verifier)
    text, blank, signatures = note.rpartition("\n\n")
    text += "\n"
    if not blank:
        msg = "expected a signed note (a text, an empty line, signatures), found no empty line in it"
        raise JournalError(msg)
    for line in signatures.split("\n"):
        if not line.startswith(f"{_DASH}{name} "):
            continue
        marked = _decode(line.removeprefix(f"{_DASH}{name} "), lambda data: len(data) > _KEY_ID_BYTES)
        if marked[:_KEY_ID_BYTES] != key_id:
            continue
        try:
            public.verify(marked[_KEY_ID_BYTES:], text.encode())
        except InvalidSignature as error:
            msg = f"the signature of {name} does not fit the text: it was changed after it was signed"
            raise JournalError(msg) from error
        return text
    msg = f"the note is not signed by {name} (key id {key_id.hex()})"
    raise JournalError(msg)


def open_checkpoint(note: str, verifier: str) -> Checkpoint:
    """Return the checkpoint of a signed note; raise `JournalError` unless `verifier` signed it for its own origin."""
    return open_signed(note, verifier).checkpoint


def open_signed(note: str, verifier: str) -> SignedCheckpoint:
    """Return the checkpoint of a signed note with what it follows; raises as `open_checkpoint`."""
    text = open_note(note, verifier)
    checkpoint = Checkpoint.from_text(text)
    name = verifier.split("+", 1)[0]
    if checkpoint.origin != name:
        msg = f"the checkpoint is of {checkpoint.origin!r}, but the key is of {name!r}"
        raise JournalError(msg)
    said = [line.removeprefix(_PREVIOUS) for line in text.split("\n")[3:] if line.startswith(_PREVIOUS)]
    return SignedCheckpoint(checkpoint, said[0] if said else "", note)


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]


def _parse_verifier(verifier: str) -> tuple[str, bytes, Ed25519PublicKey]:
    name, key_id, encoded = [*verifier.split("+", 2), "", ""][:3]
    public = _decode(encoded, lambda data: len(data) == HASH_BYTES + 1 and data[:1] == _ED25519)[1:]
    if not name or _key_id(name, public).hex() != key_id:
        msg = f"expected a verifier key (name+key id+key), but the key id of {verifier[:80]!r} does not fit its key"
        raise JournalError(msg)
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(public)


def _decode(text: str, fits: Callable[[bytes], bool]) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        # Bad base64, or letters that no base64 has.
        data = b""
    if not fits(data):
        msg = f"expected base64 of an Ed25519 key or signature, got {text[:80]!r}"
        raise JournalError(msg)
    return data
