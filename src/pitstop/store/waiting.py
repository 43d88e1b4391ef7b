"""Halves of predictions that wait for the other half: requests without a response, responses without a request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from pitstop.store.home import Home
from pitstop.store.intake import batch_digest
from pitstop.store.migrations import TABLES
from pitstop.store.transaction import Transaction

_WAITING = TABLES.tables["waiting"]
_ASKED = 500


@dataclass(frozen=True)
class Waiting:
    """A half that waits under the name `digest`; `at` is when it was accepted, `payload` its JSON."""

    model: str
    digest: bytes
    at: int
    payload: bytes = field(repr=False)


def request_digest(model: str, request: str) -> bytes:
    """Return under which name a request of a model waits."""
    return batch_digest(model, "request", request)


def waiting_of(store: Transaction, digests: Sequence[bytes]) -> dict[bytes, Waiting]:
    """Return the halves that wait under these names."""
    found = {}
    for place in range(0, len(digests), _ASKED):
        asked = digests[place : place + _ASKED]
        for row in store.select(sa.select(_WAITING).where(_WAITING.c.digest.in_(asked))):
            found[bytes(row.digest)] = Waiting(row.model, bytes(row.digest), row.at, bytes(row.payload))
    return found


def put_waiting(store: Transaction, items: Sequence[Waiting]) -> None:
    """Keep halves until the other one comes; none waits under the same name already."""
    store.execute(
        _WAITING.insert(),
        [{"digest": item.digest, "model": item.model, "at": item.at, "payload": item.payload} for item in items],
    )


def end_waiting(store: Transaction, digests: Iterable[bytes]) -> None:
    """Take out halves that are paired."""
    store.execute(_WAITING.delete().where(_WAITING.c.digest == sa.bindparam("key")), [{"key": key} for key in digests])


def count_waiting(home: Home) -> Mapping[str, int]:
    """Return how many halves of each model wait."""
    query = sa.select(_WAITING.c.model, sa.func.count().label("halves")).group_by(_WAITING.c.model)
    return {row.model: int(row.halves) for row in home.select(query.order_by(_WAITING.c.model))}


def retain_waiting(store: Transaction, model: str, before: int) -> None:
    """Drop what was accepted before an instant and waits in vain."""
    old = _WAITING.delete().where(_WAITING.c.model == sa.bindparam("whose"), _WAITING.c.at < sa.bindparam("before"))
    store.execute(old, [{"whose": model, "before": before}])


def erase_waiting(store: Transaction, subject: str) -> None:
    """Drop the halves of a person: a value of a row, the request, or the id that one of its rows will have."""
    rows = store.select(sa.select(_WAITING.c.digest, _WAITING.c.payload))
    end_waiting(store, [bytes(row.digest) for row in rows if _names(json.loads(bytes(row.payload)), subject)])


def _names(half: Mapping[str, Any], subject: str) -> bool:
    request, rows = half["request"], half["rows"]
    if subject == request or subject in {f"{request}/{place}" for place in range(len(rows))}:
        return True
    return any(str(value) == subject for row in rows for value in row.values() if value is not None)
