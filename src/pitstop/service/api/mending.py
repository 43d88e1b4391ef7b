"""Batches that could not be stored, through the API: looked at, mended, handed over again, discarded."""

from __future__ import annotations

from dataclasses import replace

from pitstop.errors import StoreError, UnknownNameError
from pitstop.service.api import shapes
from pitstop.service.api.operation import Call
from pitstop.service.api.paging import Part, part_by_number
from pitstop.service.ingest.inbox import Inbox
from pitstop.store.intake import Quarantined


def quarantine(call: Call) -> Part[shapes.QuarantinedShape]:
    """List the batches that wait for a person, the oldest first, without what was sent."""
    found = [item for item in _inbox(call).quarantined() if _seen(call, item)]
    part: Part[Quarantined] = part_by_number(call.query, found)
    return Part([_shape(replace(item, payload=b"")) for item in part.items], part.next)


def quarantined(call: Call) -> shapes.QuarantinedShape:
    """Return one batch with what was sent."""
    return _shape(_entry(call))


def mend(call: Call) -> shapes.QuarantinedShape:
    """Hand a batch over again, mended or as it was; it is closed once it is stored."""
    asked: shapes.Mending = call.body
    entry = _entry(call)
    payload = None if asked.payload is None else asked.payload.encode()
    _inbox(call).mend(entry.number, payload, asked.format, call.actor.name)
    return _shape(replace(entry, payload=b""))


def discard(call: Call) -> shapes.QuarantinedShape:
    """Close a batch without storing it."""
    entry = _entry(call)
    _inbox(call).discard(entry.number, call.actor.name)
    return _shape(replace(entry, payload=b""))


def _inbox(call: Call) -> Inbox:
    if call.service.inbox is None:
        msg = "no rows are taken in here, so there is no quarantine"
        raise StoreError(msg)
    return call.service.inbox


def _entry(call: Call) -> Quarantined:
    number = call.path["number"]
    msg = f"there is no batch {number[:40]!r} in the quarantine"
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise UnknownNameError(msg)
    if int(number) not in {item.number for item in _inbox(call).quarantined(closed=True) if _seen(call, item)}:
        raise UnknownNameError(msg)
    return _inbox(call).quarantined_batch(int(number))


def _seen(call: Call, item: Quarantined) -> bool:
    # A batch that belongs to no model is for those who see all of them.
    return call.actor.sees(item.model) if item.model else call.actor.models is None


def _shape(item: Quarantined) -> shapes.QuarantinedShape:
    try:
        text = item.payload.decode() or None
    except UnicodeDecodeError:
        text = None
    return shapes.QuarantinedShape(
        item.number,
        item.model,
        item.kind,
        item.format,
        item.batch_id,
        shapes.named(item.at),
        item.reason,
        item.state,  # type: ignore[arg-type] # one of the three, by the store's own rule
        text,
    )
