"""Secrets that are handed out once and kept as digests only: `prefix_secret`.

The prefix names the row, so that a lookup is one key; the secret has 256 random bits, for which a plain SHA-256 is as
hard to reverse as any slow hash would make it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_PREFIX_LENGTH = 10
_LONGEST = 200


@dataclass(frozen=True)
class Secret:
    """What its holder gets, as `text`; what is kept: `prefix` and `digest`."""

    text: str
    prefix: str
    digest: str


def new_secret(kind: str) -> Secret:
    """Return a new secret; `kind` is a word that shows what it is for, such as `pitstop`."""
    prefix = kind + "".join(secrets.choice(_ALPHABET) for _ in range(_PREFIX_LENGTH))
    text = f"{prefix}_{secrets.token_urlsafe(32)}"
    return Secret(text, prefix, digest_of(text))


def digest_of(text: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(text.encode()).hexdigest()


def prefix_of(text: str) -> str | None:
    """Return the name of a secret's row; None for what cannot be a secret of ours."""
    prefix, mark, rest = text.partition("_")
    return prefix if mark and rest and len(text) < _LONGEST and text.isascii() else None


def matches(text: str, digest: str) -> bool:
    """Return whether a secret is the one whose digest is kept, in constant time."""
    return hmac.compare_digest(digest_of(text), digest)
