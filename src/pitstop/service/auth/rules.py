"""What an address asks of whoever calls it. What says nothing may be read by every role and written by nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pitstop.service.auth.actor import READERS

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_MARK = "__pitstop_roles__"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def requires(*roles: str) -> Callable[[Endpoint], Endpoint]:
    """Let only actors with one of `roles` (and admins) call an endpoint."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, frozenset(roles))
        return endpoint

    return mark


def requires_by_method(roles: Mapping[str, frozenset[str]]) -> Callable[[Endpoint], Endpoint]:
    """As `requires`, for an endpoint that answers several methods."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _MARK, dict(roles))
        return endpoint

    return mark


def roles_for(endpoint: Any, method: str) -> frozenset[str]:
    """Return the roles that may call an endpoint."""
    asked: frozenset[str] | dict[str, frozenset[str]] | None = getattr(endpoint, _MARK, None)
    if isinstance(asked, dict):
        return asked.get("GET" if method == "HEAD" else method, frozenset())
    if asked is not None:
        return asked
    return READERS if method in SAFE else frozenset()
