"""Sends one signed webhook (Standard Webhooks) to an address that was checked, and follows nobody elsewhere."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from urllib.parse import urlsplit

import httpx2 as httpx

from pitstop.errors import AccessError
from pitstop.service.notify.addresses import Resolve, pinned, resolved

TIMEOUT_SECONDS, LONGEST_SECONDS = 10.0, 20.0
_ANSWER_BYTES = 4_096


def signature(secret: str, name: str, at: int, body: bytes) -> str:
    """Return the `webhook-signature` of a message: HMAC-SHA256 of `id.timestamp.body`; `at` in seconds."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{name}.{at}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def send(
    target: str,
    secret: str,
    name: str,
    body: bytes,
    at: int,
    *,
    allowed: frozenset[str] = frozenset(),
    resolve: Resolve = resolved,
    seconds: float = LONGEST_SECONDS,
) -> str:
    """Send a message and return an empty text, or what went wrong; `at` is now in seconds. Redirects are refused.

    The whole exchange takes at most `seconds`. Not for use within an event loop.
    """
    headers = {
        "content-type": "application/json",
        "user-agent": "pitstop",
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(secret, name, at, body),
    }
    try:
        parts = urlsplit(target)
        host, headers["host"] = parts.hostname or "", parts.netloc
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = pinned(host, port, allowed, resolve)
        shown = f"[{address}]" if ":" in address else address
        where = f"{parts.scheme}://{shown}:{port}{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        # An answer that comes a byte at a time passes every limit of a single read; others wait behind it.
        return asyncio.run(asyncio.wait_for(_posted(where, host, body, headers), seconds))
    except TimeoutError:
        return f"no whole answer within {seconds:g} seconds"
    except (httpx.HTTPError, AccessError, ValueError) as error:
        return f"{type(error).__name__}: {error}"[:500]


async def _posted(where: str, host: str, body: bytes, headers: dict[str, str]) -> str:
    async with (
        httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as http,
        # The certificate is checked against the name, although the address is what is connected to.
        http.stream("POST", where, content=body, headers=headers, extensions={"sni_hostname": host}) as answer,
    ):
        if 200 <= answer.status_code < 300:
            return ""
        said = b""
        async for part in answer.aiter_bytes(_ANSWER_BYTES):
            said = part[:200]
            break
        return f"answered {answer.status_code}: {said!r}"
