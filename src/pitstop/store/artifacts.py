"""Files named by their digest: models, baselines, whatever is too big for the catalog."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pitstop.errors import StoreError
from pitstop.store.base import Files
from pitstop.store.files import digest_of_file

FOLDER = "artifacts"


def artifact_key(digest: str) -> str:
    """Return the key of the content with the hex SHA-256 `digest`; two digits of it keep folders small."""
    return f"{FOLDER}/{digest[:2]}/{digest[2:]}"


def read_verified(files: Files, digest: str) -> bytes:
    """Return the content named `digest`; raise `StoreError` if it is missing or is not what its name says."""
    content = files.read(artifact_key(digest))
    _require(hashlib.sha256(content).hexdigest(), digest)
    return content


def local_verified(files: Files, digest: str) -> Path:
    """Return a local path of the content named `digest`, after its digest was checked."""
    path = files.local(artifact_key(digest), digest)
    _require(digest_of_file(path), digest)
    return path


def _require(got: str, expected: str) -> None:
    if got != expected:
        msg = (
            f"the file named {expected} holds content with the digest {got}: it was changed or damaged; "
            "restore it from a backup"
        )
        raise StoreError(msg)
