"""One HTTP request of a release target: JSON there, JSON back, and every failure a `ReleaseTargetError`."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from pitstop.errors import ReleaseTargetError, TargetRefusedError

_SHOWN = 500
# What another server may answer where no file is asked for: more than any of ours needs, less than would hurt.
_MOST = 64 << 20


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A signed body must not follow whoever answers to another address."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def exchange(
    method: str,
    address: str,
    body: bytes | None,
    *,
    what: str,
    headers: Mapping[str, str],
    seconds: float,
    most: int = _MOST,
) -> bytes:
    """Return the body of a 2xx answer, cut off after `most` bytes. `what` begins the message of an error.

    Raises `TargetRefusedError` for another status, redirects included, and `ReleaseTargetError` without an answer.
    """
    request = urllib.request.Request(address, data=body, method=method, headers=dict(headers))  # noqa: S310 - the specification admits http and https only
    try:
        with _OPENER.open(request, timeout=seconds) as answer:
            found: bytes = answer.read(most)
            return found
    except urllib.error.HTTPError as error:
        said = _beginning(error)
        msg = f"{what}: {address} answered {error.code}: {said or 'nothing'}. Mend it and run again; the release stands"
        raise TargetRefusedError(msg, error.code, said) from error
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error) or type(error).__name__
        msg = f"{what}: {address} cannot be reached ({reason}). Check the address and run again; the release stands"
        raise ReleaseTargetError(msg) from error


def _beginning(answer: urllib.error.HTTPError) -> str:
    try:
        return answer.read(_SHOWN).decode("utf-8", "replace").strip()
    except (OSError, HTTPException):
        return ""  # it broke off; the status is enough


def exchange_json(
    method: str, address: str, content: Mapping[str, Any] | None, *, what: str, seconds: float
) -> dict[str, Any]:
    """Send JSON and return the JSON object answered; raises as `exchange` does, also where it is no object."""
    body = None if content is None else json.dumps(content).encode()
    answer = exchange(method, address, body, what=what, headers={"Content-Type": "application/json"}, seconds=seconds)
    return parsed(answer, what)


def part(content: Any, *names: str, what: str) -> Any:
    """Return what stands under `names`, each within the one before; raises `ReleaseTargetError` where it is not there.

    >>> part({"run": {"id": "r1"}}, "run", "id", what="the registry")
    'r1'
    """
    found = content
    for name in names:
        if not isinstance(found, dict) or name not in found:
            msg = f"{what}: its answer has no {'.'.join(names)}; it is another kind of server, check the address"
            raise ReleaseTargetError(msg)
        found = found[name]
    return found


def parsed(answer: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object; raises `ReleaseTargetError` where the answer is none."""
    try:
        found = json.loads(answer or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        msg = f"{what}: the answer is {answer[:80]!r}; expected a JSON object"
        raise ReleaseTargetError(msg)
    return found
