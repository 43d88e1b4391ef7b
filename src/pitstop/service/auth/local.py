"""One user on their own machine: whoever reaches the loopback address is `local`."""

from __future__ import annotations

from starlette.datastructures import Headers

from pitstop.service.auth.actor import LOCAL, Actor
from pitstop.service.auth.guard import Scope


class LocalUser:
    """The authenticator of a service that listens on the loopback address without a login."""

    def actor(self, scope: Scope, headers: Headers) -> Actor | None:
        """Return the local user."""
        del scope, headers
        return LOCAL
