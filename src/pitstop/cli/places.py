"""Where a command works: a home's folder, or the address of a service, which does the same there."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pitstop.errors import AccessError, StoreBusyError, StoreError

if TYPE_CHECKING:
    from pitstop.journal.exports import Bundle

KEY = "PITSTOP_KEY"
Place = Annotated[
    str,
    typer.Option(
        "--home",
        "--server",
        envvar="PITSTOP_SERVER",
        help="The folder that keeps everything, or the address of a service (its key: PITSTOP_KEY).",
    ),
]
Signed = Annotated[str, typer.Option("--by", help="Who says it; a service knows it from the key.")]
_PAUSE_SECONDS = 0.5
# What an answer names is written to this machine: nothing but what a copy consists of.
_COPIED = re.compile(r"(entries|checkpoints|keys)/[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")
# Commands are run a few at a time there.
_PAUSES = (1.0, 2.0, 4.0, 8.0)
# What answers hold.
_PRINTED, _JOB = ("text", "errors", "exit"), ("id", "state", "note", "outcome")
_ENDED = ("done", "failed", "cancelled")


def is_address(place: str) -> bool:
    """Return whether a place is a service."""
    return place.startswith(("http://", "https://"))


def print_there(address: str, model: str, command: str, **options: Any) -> None:
    """Print what a command prints at a service, and end with its exit code where it is not 0."""
    given = {name: "true" if value is True else str(value) for name, value in options.items() if value}
    given["width"] = str(min(max(shutil.get_terminal_size().columns, 40), 400))
    path = f"/v1/models/{quoted(model)}/printed/{command}"
    for pause in _PAUSES:
        try:
            answer = ask(address, path, given, holds=_PRINTED)
            break
        except StoreBusyError:
            time.sleep(pause)
    else:
        answer = ask(address, path, given, holds=_PRINTED)
    sys.stdout.write(answer["text"])
    sys.stderr.write(answer["errors"])
    if answer["exit"]:
        raise typer.Exit(answer["exit"])


def order_there(address: str, model: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Give an order at a service, wait for its job, and return it as the API says it.

    A job that waits for a training elsewhere is not waited for. Raises `StoreError` where it failed or was cancelled.
    """
    job: dict[str, Any] = ask(address, f"/v1/models/{quoted(model)}/orders", content=order, holds=_JOB)
    while job["state"] not in (*_ENDED, "waiting"):
        time.sleep(_PAUSE_SECONDS)
        job = ask(address, f"/v1/jobs/{quoted(job['id'])}", holds=_JOB)
    if job["state"] in ("failed", "cancelled"):
        why = (job["outcome"] or {}).get("message") or job["note"] or "nobody said why"
        msg = f"the order's job {job['id']} {'was cancelled' if job['state'] == 'cancelled' else 'failed'}: {why}"
        raise StoreError(msg)
    return job


def say_there(address: str, model: str, path: str, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Record at a service what its caller says; return what was recorded."""
    answer = ask(address, f"/v1/models/{quoted(model)}/{path}", content=content, holds=("recorded",))
    recorded: list[dict[str, Any]] = answer["recorded"]
    return recorded


def copy_there(address: str, model: str, first: int) -> Bundle:
    """Return the part of a journal's copy that begins at entry `first`; empty at the end."""
    from pitstop.journal.exports import Bundle  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    answer = ask(address, f"/v1/models/{quoted(model)}/journal/copy", {"first": str(first)}, holds=("files", "size"))
    files = {name: text.encode() for name, text in answer["files"].items()}
    strange = [name for name in files if not _COPIED.match(name)]
    if strange:
        msg = f"{address} answers with a file called {strange[0][:100]!r}, which no copy of a journal has"
        raise StoreError(msg)
    return Bundle(files, int(answer["size"]), "")


def ask(
    address: str,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    content: Any = None,
    holds: tuple[str, ...],
) -> dict[str, Any]:
    """Return the JSON object that a service answers; it has the keys `holds`.

    Raises `AccessError` for 401 and 403, `StoreBusyError` for 503, and `StoreError` for anything else, a redirect to
    another origin included: the API key is for this one.
    """
    import http.client  # noqa: PLC0415 - slow to import, and `pitstop --help` must be fast
    import urllib.error  # noqa: PLC0415 - as above
    import urllib.parse  # noqa: PLC0415 - as above
    import urllib.request  # noqa: PLC0415 - as above

    class SameOrigin(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            there, here = (urllib.parse.urlsplit(url)[:2] for url in (newurl, req.full_url))
            if there != here:
                fp.close()
                said = f"{address} sends on to {newurl[:200]}, where no key of {address} goes; if it moved, name that"
                raise StoreError(said)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    where = address.rstrip("/") + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
    headers = {"Accept": "application/json"}
    if key := os.environ.get(KEY, ""):
        headers["Authorization"] = f"Bearer {key}"
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(where, body, headers, method="GET" if body is None else "POST")  # noqa: S310 - `is_address` has looked
    try:
        with urllib.request.build_opener(SameOrigin).open(request, timeout=180) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            said = str(json.load(error)["detail"])
        except (ValueError, KeyError, TypeError):
            said = error.reason
        if error.code == 401:
            said += f"; put an API key into {KEY}"
        msg = f"{address} answers {error.code}: {said}"
        kinds = {401: AccessError, 403: AccessError, 503: StoreBusyError}
        raise kinds.get(error.code, StoreError)(msg) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        msg = f"{address} does not answer as a service of Pitstop does: {getattr(error, 'reason', error)}"
        raise StoreError(msg) from error
    if not isinstance(found, dict) or not found.keys() >= set(holds):
        # Other services have addresses such as /v1/models as well.
        msg = f"{address} does not answer as a service of Pitstop does: expected {', '.join(holds)} in what it says"
        raise StoreError(msg)
    return found


def folder_of(place: str) -> Path:
    """Return a place that has to be a folder. Raises `StoreError` for a service."""
    if is_address(place):
        msg = f"this works in a home's folder only, and {place} is a service; run it on the service's own machine"
        raise StoreError(msg)
    return Path(place)


def named(model: str) -> str:
    """Return the model that is meant at a service. Raises `StoreError` where none is."""
    if not model:
        msg = "a service keeps a journal for each model; say whose with --model NAME"
        raise StoreError(msg)
    return model


def quoted(text: str) -> str:
    """Return a text as a part of an address's path."""
    from urllib.parse import quote  # noqa: PLC0415 - slow to import, and `pitstop --help` must be fast

    return quote(text, safe="")
