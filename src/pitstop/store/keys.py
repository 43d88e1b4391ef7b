"""The keys of a home, each in a file of its own with mode 0600, made when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pitstop.errors import StoreError
from pitstop.store.disk import disk_errors
from pitstop.store.files import sync_folder

SIGNING = "journal.pem"
SUBJECTS = "subjects.key"
_SECRET_BYTES = 32


def signing_key(folder: Path) -> Ed25519PrivateKey:
    """Return the key that signs the journal. Raises `StoreError` where the file is no such key."""
    path = folder / SIGNING
    data = _kept(path, _new_signing_key)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except ValueError as error:
        msg = f"{path} is not a key; restore it from a backup, or remove it to go on with a new key"
        raise StoreError(msg) from error
    if not isinstance(key, Ed25519PrivateKey):
        msg = f"{path} is a {type(key).__name__}, expected an Ed25519 key; restore it from a backup"
        raise StoreError(msg)
    return key


def subjects_key(folder: Path) -> bytes:
    """Return the 32 bytes under which the keys of subjects are kept. Raises `StoreError` where the file is damaged."""
    path = folder / SUBJECTS
    data = _kept(path, lambda: os.urandom(_SECRET_BYTES))
    if len(data) != _SECRET_BYTES:
        msg = f"{path} has {len(data)} bytes, expected {_SECRET_BYTES}; restore it from a backup"
        raise StoreError(msg)
    return data


def _new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return what the file holds; make it first, whole or not at all, where it is not there."""
    with disk_errors("keep a key", path.parent):
        if not path.exists():
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                sync_folder(path.parent.parent)
            fresh = path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            sync_folder(path.parent)
        return path.read_bytes()
