"""Errors as the service answers them: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from pitstop.errors import (
    AccessError,
    IngestError,
    PitstopError,
    RecordError,
    ReleaseError,
    SpecError,
    StatementError,
    StoreBusyError,
    StoreUnavailableError,
    UnknownNameError,
)

MEDIA_TYPE = "application/problem+json"
# The nearest class of an error decides; what is not named is a conflict with the state of things.
_STATUS: dict[type[PitstopError], int] = {
    AccessError: 403,
    UnknownNameError: 404,
    SpecError: 422,
    RecordError: 422,
    StatementError: 409,
    ReleaseError: 409,
    StoreBusyError: 503,
    StoreUnavailableError: 503,
    IngestError: 503,
    PitstopError: 409,
}


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: object) -> Response:
    """Return the answer for one problem; `detail` is a sentence for whoever called."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return Response(json.dumps(content), status, headers, MEDIA_TYPE)


def status_of(error: PitstopError) -> int:
    """Return the HTTP status of a deliberate error."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def problem_of(error: PitstopError) -> Response:
    """Return the answer for a deliberate error."""
    status = status_of(error)
    return problem(status, str(error), {"Retry-After": "2"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None)
