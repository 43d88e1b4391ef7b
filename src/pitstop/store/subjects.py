"""Keys of the people whom data are about: destroying a key destroys everything that was sealed under it.

The journal names a person by a pseudonym only: an HMAC under the person's own key, so that once the key is gone nobody,
not even the holder of the home's keys, can tell whom an entry is about. To find a person's key there is a lookup, an
HMAC under the home's key, which goes with it. Payloads are sealed with AES-256-GCM; the journal commits to the
ciphertext.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pitstop.errors import ErasedError, StoreError
from pitstop.store.content import exact_json
from pitstop.store.keys import SUBJECTS, subjects_key
from pitstop.store.migrations import TABLES

_SUBJECTS = TABLES.tables["subjects"]
_KEY_BYTES, _NONCE_BYTES = 32, 12


@dataclass(frozen=True)
class Subject:
    """A person with the key `secret`; `hold` is the id of the legal hold on their data, None where there is none."""

    lookup: str
    pseudonym: str
    secret: bytes
    hold: str | None

    def seal(self, payload: Mapping[str, Any]) -> dict[str, str]:
        """Return what is kept of a payload: for whom, and the ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(self.secret).encrypt(nonce, exact_json(payload).encode(), self.pseudonym.encode())
        return {"sealed_for": self.pseudonym, "sealed": base64.b64encode(sealed).decode()}

    def unseal(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return the payload of what `seal` gave. Raises `StoreError` where it was changed."""
        try:
            data = base64.b64decode(content["sealed"])
            text = AESGCM(self.secret).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], self.pseudonym.encode())
            found: dict[str, Any] = json.loads(text)
        except (InvalidTag, ValueError, KeyError) as error:
            msg = "what was sealed was changed or damaged; restore the home from a backup"
            raise StoreError(msg) from error
        return found


def lookup_of(key: bytes, subject: str) -> str:
    """Return under which name a person's key is kept; `key` is the home's."""
    return hmac.new(key, b"lookup\n" + subject.encode(), hashlib.sha256).hexdigest()


def key_of(connection: sa.Connection, folder: Path) -> bytes | None:
    """Return the home's key over those of subjects, None where there is none yet.

    Raises `StoreError` where it is missing though subjects have keys: another one would open none of them, and what is
    erased under it could come back with the old one.
    """
    if (folder / SUBJECTS).exists():
        return subjects_key(folder)
    if connection.execute(sa.select(_SUBJECTS.c.lookup).limit(1)).first() is not None:
        msg = f"{folder / SUBJECTS} is missing, and the keys of subjects are kept under it; restore it from a backup"
        raise StoreError(msg)
    return None


def find(connection: sa.Connection, key: bytes, subject: str) -> Subject | None:
    """Return a person's key, None where there is none (never made, or destroyed)."""
    lookup = lookup_of(key, subject)
    row = connection.execute(sa.select(_SUBJECTS).where(_SUBJECTS.c.lookup == lookup)).one_or_none()
    return None if row is None else _opened(row, key)


def find_sealed(connection: sa.Connection, key: bytes | None, content: Mapping[str, Any]) -> Subject:
    """Return the key of what was sealed; raise `ErasedError` where it was destroyed."""
    whom = str(content.get("sealed_for"))
    row = connection.execute(sa.select(_SUBJECTS).where(_SUBJECTS.c.pseudonym == whom)).one_or_none()
    if row is None or key is None:
        msg = f"the key of {whom} was destroyed on request: what was sealed for them is erased, only its record is left"
        raise ErasedError(msg)
    return _opened(row, key)


def ensure(connection: sa.Connection, key: bytes, subject: str) -> Subject:
    """Return a person's key; make it where there is none."""
    known = find(connection, key, subject)
    if known is not None:
        return known
    lookup, secret = lookup_of(key, subject), os.urandom(_KEY_BYTES)
    pseudonym = "subject-" + hmac.new(secret, b"pseudonym\n" + subject.encode(), hashlib.sha256).hexdigest()[:32]
    nonce = os.urandom(_NONCE_BYTES)
    wrapped = nonce + AESGCM(key).encrypt(nonce, secret, lookup.encode())
    row = {"lookup": lookup, "pseudonym": pseudonym, "wrapped": wrapped, "hold": None}
    connection.execute(_SUBJECTS.insert(), [row])
    return Subject(lookup, pseudonym, secret, None)


def set_hold(connection: sa.Connection, subject: Subject, hold: str | None) -> None:
    """Set or lift the legal hold on a person's data."""
    connection.execute(_SUBJECTS.update().where(_SUBJECTS.c.lookup == subject.lookup), {"hold": hold})


def destroy(connection: sa.Connection, subject: Subject) -> None:
    """Destroy a person's key. Deleted rows are overwritten where the database would leave them in its file."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    connection.execute(_SUBJECTS.delete().where(_SUBJECTS.c.lookup == subject.lookup))


def _opened(row: sa.Row[Any], key: bytes) -> Subject:
    wrapped = bytes(row.wrapped)
    try:
        secret = AESGCM(key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], row.lookup.encode())
    except InvalidTag as error:
        msg = "the keys of subjects do not fit the home's key; restore keys/subjects.key from a backup"
        raise StoreError(msg) from error
    return Subject(row.lookup, row.pseudonym, secret, row.hold)
