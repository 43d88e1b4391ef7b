"""Where messages go: a signed webhook, or any address that Apprise knows; of which models and which owners."""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import sqlalchemy as sa

from pitstop.errors import AccessError, UnknownNameError
from pitstop.service.fleet import FLEET, Fleet

ChannelKind = Literal["webhook", "apprise"]
# Services with a host of their own. A scheme that speaks to this machine (dbus, syslog) or sends what it likes where
# it likes (json, form) is not among them; a webhook of ours does the latter, signed and pinned.
APPRISE_SCHEMES = frozenset(
    {
        *("slack", "mailto", "mailtos", "msteams", "workflows", "pagerduty", "opsgenie", "discord", "tgram", "gchat"),
        *("webexteams", "mmost", "mmosts", "rocket", "rockets", "matrix", "matrixs", "ntfy", "ntfys", "gotify"),
        *("gotifys", "pover", "victorops", "signl4", "zulip", "twilio", "ses", "sns", "sendgrid", "mailgun"),
    }
)
_CHANNELS = FLEET.tables["channels"]
_SCHEME = re.compile(r"([a-z][a-z0-9]*)://")


@dataclass(frozen=True)
class Channel:
    """One address. `models` None is all; `owner` limits it to models of that owner, empty: of anybody."""

    name: str
    kind: ChannelKind
    target: str
    secret: str
    models: frozenset[str] | None
    owner: str
    by: str
    at: int

    @property
    def shown(self) -> str:
        """The target as it may be shown: without what would let somebody else send there."""
        parts = urlsplit(self.target)
        if self.kind == "apprise":
            # Where a webhook has its host, many of these have a key.
            return f"{parts.scheme}://…"
        return f"{parts.scheme}://{parts.hostname or '…'}/…"

    def wants(self, model: str, owner: str) -> bool:
        """Return whether messages about a model of that owner go here."""
        return (self.models is None or model in self.models) and self.owner in {"", owner}


class Channels:
    """The channels of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def all(self) -> tuple[Channel, ...]:
        """Return all channels, by name."""
        with self._fleet.read() as connection:
            return tuple(_channel(row) for row in connection.execute(sa.select(_CHANNELS).order_by(_CHANNELS.c.name)))

    def add(
        self, name: str, kind: ChannelKind, target: str, models: list[str] | None, owner: str, *, by: str, at: int
    ) -> Channel:
        """Add a channel, a webhook with a fresh signing secret. Raises `AccessError` for an address that may not be."""
        _require_usable(kind, target)
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}" if kind == "webhook" else ""
        row = {"name": name, "kind": kind, "target": target, "secret": secret, "owner": owner, "by": by, "at": at}
        with self._fleet.write() as connection:
            if connection.execute(sa.select(_CHANNELS.c.name).where(_CHANNELS.c.name == name)).first() is not None:
                msg = f"there is a channel {name!r} already"
                raise AccessError(msg)
            connection.execute(_CHANNELS.insert(), row | {"models": json.dumps(models)})
        return Channel(name, kind, target, secret, None if models is None else frozenset(models), owner, by, at)

    def remove(self, name: str) -> None:
        """Remove a channel; what waits for it is not sent. Raises `UnknownNameError`."""
        with self._fleet.write() as connection:
            if connection.execute(_CHANNELS.delete().where(_CHANNELS.c.name == name)).rowcount != 1:
                msg = f"there is no channel {name[:100]!r}"
                raise UnknownNameError(msg)


def _require_usable(kind: str, target: str) -> None:
    if not target.isprintable() or len(target) > 2_000:
        msg = "the target is not an address"
        raise AccessError(msg)
    if kind == "webhook":
        try:
            parts = urlsplit(target)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.fragment or port == 0:
            msg = f"got the webhook {target[:200]!r}; expected an address such as https://example.com/hook"
            raise AccessError(msg)
        return
    scheme = _SCHEME.match(target)
    if scheme is None or scheme[1] not in APPRISE_SCHEMES:
        msg = f"got {target[:20]!r}; expected an Apprise address of one of {', '.join(sorted(APPRISE_SCHEMES))}"
        raise AccessError(msg)


def _channel(row: sa.Row[Any]) -> Channel:
    models = json.loads(row.models)
    limited = None if models is None else frozenset(models)
    return Channel(row.name, row.kind, row.target, row.secret, limited, row.owner, row.by, row.at)
