"""What the API says and takes of people, keys, and where messages go."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pitstop.service.api.shapes import Word

RoleName = Literal["viewer", "data_scientist", "operator", "approver", "auditor", "admin"]
KeyRole = Literal["ingest", "trainer", "viewer", "data_scientist", "operator", "approver", "auditor", "admin"]


class Me(msgspec.Struct, frozen=True):
    """Who asks; `models` null is all of them."""

    name: str
    roles: list[str]
    models: list[str] | None
    via: str


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to make; `models` null is all that its maker sees. It expires after `days`."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern="^[A-Za-z0-9._-]+$")]
    roles: Annotated[list[KeyRole], Meta(min_length=1, max_length=8)]
    models: Annotated[list[Word], Meta(max_length=1_000)] | None = None
    days: Annotated[int, Meta(ge=1, le=366)] = 90


class KeyShape(msgspec.Struct, frozen=True):
    """What is known of a key; the key itself is not."""

    prefix: str
    name: str
    roles: list[str]
    models: list[str] | None
    made_by: str
    at: str
    expires: str
    revoked: str | None


class MadeKey(msgspec.Struct, frozen=True):
    """A new key: `text` is what to send as `Authorization: Bearer TEXT`, and is never shown again."""

    key: KeyShape
    text: str


class UserShape(msgspec.Struct, frozen=True):
    """Somebody who may log in."""

    name: str
    roles: list[str]
    active: bool
    at: str


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user to make, with a first password."""

    name: Annotated[str, Meta(min_length=1, max_length=128, pattern="^[A-Za-z0-9][A-Za-z0-9._@+-]*$")]
    password: Annotated[str, Meta(min_length=12, max_length=1_000)]
    roles: Annotated[list[RoleName], Meta(min_length=1, max_length=6)]


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a user; null is left as it is. Every change ends the user's sessions."""

    password: Annotated[str, Meta(min_length=12, max_length=1_000)] | None = None
    roles: Annotated[list[RoleName], Meta(min_length=1, max_length=6)] | None = None
    active: bool | None = None


class NewChannel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where messages are to go. `models` null is all, `owner` empty is anybody's."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern="^[A-Za-z0-9._-]+$")]
    kind: Literal["webhook", "apprise"]
    target: Annotated[str, Meta(min_length=1, max_length=2_000)]
    models: Annotated[list[Word], Meta(max_length=1_000)] | None = None
    owner: Annotated[str, Meta(max_length=200)] = ""


class ChannelShape(msgspec.Struct, frozen=True):
    """A channel; `target` without what would let somebody else send there."""

    name: str
    kind: str
    target: str
    models: list[str] | None
    owner: str
    by: str
    at: str


class MadeChannel(msgspec.Struct, frozen=True):
    """A new channel: `secret` signs its webhooks, and is never shown again; empty for other kinds."""

    channel: ChannelShape
    secret: str


class DeliveryShape(msgspec.Struct, frozen=True):
    """A message and how far it came; `said` is what went wrong last."""

    channel: str
    event: str
    kind: str
    model: str
    state: Literal["waiting", "sent", "failed"]
    tries: int
    said: str
    at: str
    ended: str | None
