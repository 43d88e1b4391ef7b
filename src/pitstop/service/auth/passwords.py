"""Passwords as they are kept: scrypt (RFC 7914) with the standard library, parameters beside the salt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import lru_cache

from pitstop.errors import AccessError

SHORTEST = 12
_LONGEST = 1_000
# OWASP's advice for scrypt: 2^15 blocks of 1 KiB, three times; 32 MiB and about a tenth of a second.
_N, _R, _P = 2**15, 8, 3
_MEMORY = 128 * _N * _R * 2


def hashed(password: str) -> str:
    """Return what is kept of a password. Raises `AccessError` where it is too short or too long."""
    if not SHORTEST <= len(password) <= _LONGEST:
        msg = f"got a password of {len(password)} characters; expected {SHORTEST} to {_LONGEST}"
        raise AccessError(msg)
    salt = secrets.token_bytes(16)
    return "$".join(("scrypt", str(_N), str(_R), str(_P), _text(salt), _text(_derived(password, salt, _N, _R, _P))))


def fits(password: str, kept: str) -> bool:
    """Return whether a password is the one that was kept; takes as long where nothing was."""
    _, n, r, p, salt, digest = (kept or _of_nobody()).split("$")
    if len(password) > _LONGEST:
        return False
    found = _derived(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(digest)) and bool(kept)


@lru_cache(maxsize=1)
def _of_nobody() -> str:
    return hashed(secrets.token_urlsafe(32))


def _derived(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
