"""Channels and deliveries through the API."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from pitstop.errors import AccessError, UnknownNameError
from pitstop.service.api import accounts, shapes
from pitstop.service.api.operation import Call
from pitstop.service.api.paging import Part, cursor_of, part_by_name, place_of
from pitstop.service.fleet import FLEET
from pitstop.service.notify.channels import Channel, Channels

_DELIVERIES = FLEET.tables["deliveries"]


def channels(call: Call) -> Part[accounts.ChannelShape]:
    """List where messages go."""
    seen = [item for item in Channels(call.service.workspace.fleet).all() if _theirs(call, item.models)]
    part: Part[Channel] = part_by_name(call.query, seen)
    return Part([_shape(item) for item in part.items], part.next)


def make_channel(call: Call) -> accounts.MadeChannel:
    """Add where messages go: a signed webhook, or an address that Apprise knows."""
    asked: accounts.NewChannel = call.body
    if not _theirs(call, None if asked.models is None else frozenset(asked.models)):
        msg = f"{call.actor.name} sees {', '.join(sorted(call.actor.models or ()))}: name those of them to be told of"
        raise AccessError(msg)
    made = Channels(call.service.workspace.fleet).add(
        asked.name, asked.kind, asked.target, asked.models, asked.owner, by=call.actor.name, at=call.service.clock()
    )
    return accounts.MadeChannel(_shape(made), made.secret)


def remove_channel(call: Call) -> None:
    """Remove where messages go; what waits for it is not sent."""
    channels, name = Channels(call.service.workspace.fleet), call.path["name"]
    if any(item.name == name and not _theirs(call, item.models) for item in channels.all()):
        msg = f"there is no channel {name[:100]!r}"
        raise UnknownNameError(msg)
    channels.remove(name)


def deliveries(call: Call) -> Part[accounts.DeliveryShape]:
    """List messages with how far they came, the newest first."""
    query = sa.select(_DELIVERIES).order_by(_DELIVERIES.c.number.desc()).limit(call.query.limit)
    before = place_of(call.query)
    if before:
        query = query.where(_DELIVERIES.c.number < before)
    if call.actor.models is not None:
        query = query.where(_DELIVERIES.c.model.in_(sorted(call.actor.models)))
    with call.service.workspace.fleet.read() as connection:
        rows = connection.execute(query).all()
    more = len(rows) == call.query.limit and rows[-1].number > 1
    return Part([_delivery(row) for row in rows], cursor_of(rows[-1].number) if more else None)


def _theirs(call: Call, models: frozenset[str] | None) -> bool:
    """Return whether a channel of these models (None: all) tells whoever asks of nothing but what they may see."""
    own = call.actor.models
    return own is None or (models is not None and models <= own)


def _shape(item: Channel) -> accounts.ChannelShape:
    models = None if item.models is None else sorted(item.models)
    return accounts.ChannelShape(item.name, item.kind, item.shown, models, item.owner, item.by, shapes.named(item.at))


def _delivery(row: sa.Row[Any]) -> accounts.DeliveryShape:
    ended = None if row.ended is None else shapes.named(row.ended)
    at = shapes.named(row.at)
    return accounts.DeliveryShape(
        row.channel, row.event, row.kind, row.model, row.state, row.tries, row.said, at, ended
    )
