"""What an address asks of whoever calls it. What says nothing may be read by every role and written by nobody."""

from __future__ import annotations

from collections.abc import Callable
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


def roles_for(endpoint: Any, method: str) -> frozenset[str]:
    """Return the roles that may call an endpoint."""
    asked: frozenset[str] | None = getattr(endpoint, _MARK, None)
    if asked is not None:
        return asked
    return READERS if method in SAFE else frozenset()
