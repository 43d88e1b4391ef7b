"""The tables that pages read: a card for each model, a line for each incident, and a document for each page.

They hold nothing that is not in the homes: all of it can be written again at any time. A page reads one row by its key,
or a screenful by an index, however many models and incidents there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pitstop.service.words import Words

Models = frozenset[str] | None
"""Names of models, or None for all of them."""
SHOWN = 50
"""Rows on one screenful of a list."""
FORMAT = 2
"""Raised when what pages ask of a document changes: what an earlier version gathered is then as if it were not there,
and is gathered again when the service starts."""


def declare(tables: sa.MetaData) -> None:
    """Add the three tables."""
    text, big = Words, sa.BigInteger
    sa.Table(
        "page_cards",
        tables,
        sa.Column("model", text, primary_key=True),
        sa.Column("owner", text, nullable=False),
        sa.Column("exposed", sa.Double, nullable=False),
        sa.Column("open_incidents", sa.Integer, nullable=False),
        sa.Column("waiting", sa.Integer, nullable=False),
        sa.Column("clocks", sa.Integer, nullable=False),
        sa.Column("changed", sa.Integer, nullable=False),
        sa.Column("content", text, nullable=False),
        sa.Index("page_cards_by_exposed", "exposed", "model"),
    )
    sa.Table(
        "page_incidents",
        tables,
        sa.Column("model", text, primary_key=True),
        sa.Column("id", text, primary_key=True),
        sa.Column("at", big, nullable=False),
        sa.Column("state", text, nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("exposed", sa.Double, nullable=False),
        sa.Column("title", text, nullable=False),
        sa.Column("content", text, nullable=False),
        sa.Index("page_incidents_by_state", "state", "exposed", "at"),
        sa.Index("page_incidents_by_time", "at"),
    )
    sa.Table(
        "page_documents",
        tables,
        sa.Column("model", text, primary_key=True),
        sa.Column("name", text, primary_key=True),
        sa.Column("content", text, nullable=False),
    )


PAGE_TABLES = ("page_cards", "page_incidents", "page_documents")
_TABLES = sa.MetaData()
declare(_TABLES)
_CARDS, _INCIDENTS, _DOCUMENTS = (_TABLES.tables[name] for name in PAGE_TABLES)


@dataclass(frozen=True)
class IncidentLine:
    """An incident in a list. `state` is open, snoozed, recovered or closed; `exposed` in currency a day."""

    model: str
    id: str
    at: int
    state: str
    kind: str
    exposed: float
    title: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Summary:
    """What is kept for the pages of one model: its `card` (plain JSON), its incidents, its documents by name."""

    model: str
    owner: str
    card: Mapping[str, Any]
    incidents: Sequence[IncidentLine]
    documents: Mapping[str, Mapping[str, Any]]


def put(connection: sa.Connection, *summaries: Summary) -> None:
    """Replace everything that is kept for some models, inside the caller's transaction."""
    for table in (_CARDS, _INCIDENTS, _DOCUMENTS):
        names = [{"name": item.model} for item in summaries]
        connection.execute(table.delete().where(table.c.model == sa.bindparam("name")), names)
    cards, incidents, documents = [], [], []
    for item in summaries:
        card = item.card
        cards.append(
            {
                "model": item.model,
                "owner": item.owner,
                "exposed": card["exposed"]["a_day"] if card["exposed"] else 0.0,
                "open_incidents": card["open_incidents"],
                "waiting": 1 if card["held"] else 0,
                "clocks": len(card["clocks"]),
                "changed": len(card["changed"]),
                "content": json.dumps({**card, "format": FORMAT}, separators=(",", ":")),
            }
        )
        incidents += [
            {**line.__dict__, "content": json.dumps(line.content, separators=(",", ":"))} for line in item.incidents
        ]
        documents += [
            {"model": item.model, "name": name, "content": json.dumps(content, separators=(",", ":"))}
            for name, content in item.documents.items()
        ]
    for table, rows in ((_CARDS, cards), (_INCIDENTS, incidents), (_DOCUMENTS, documents)):
        if rows:
            connection.execute(table.insert(), rows)


def put_document(connection: sa.Connection, model: str, name: str, content: Mapping[str, Any]) -> None:
    """Replace one document of a model."""
    mine = (_DOCUMENTS.c.model == model, _DOCUMENTS.c.name == name)
    connection.execute(_DOCUMENTS.delete().where(*mine))
    row = {"model": model, "name": name, "content": json.dumps(content, separators=(",", ":"))}
    connection.execute(_DOCUMENTS.insert(), row)


def restate(
    connection: sa.Connection, model: str, incident: str, state: str, changed: Mapping[str, Any], journal: int
) -> None:
    """Give an incident another state, and its line what `changed`, without gathering the model again.

    `journal` is the size of the home's journal, up to which the pages then are in step.
    """
    mine = (_INCIDENTS.c.model == model, _INCIDENTS.c.id == incident)
    row = connection.execute(sa.select(_INCIDENTS).where(*mine)).one()
    content = json.dumps({**json.loads(row.content), **changed}, separators=(",", ":"))
    connection.execute(_INCIDENTS.update().where(*mine).values(state=state, content=content))
    delta = (state == "open") - (row.state == "open")
    found = card(connection, model) or {}
    now = {**found, "open_incidents": found.get("open_incidents", 0) + delta, "journal": journal}
    values = {"content": json.dumps(now, separators=(",", ":")), "open_incidents": now["open_incidents"]}
    connection.execute(_CARDS.update().where(_CARDS.c.model == model).values(**values))


def document(connection: sa.Connection, model: str, name: str) -> dict[str, Any] | None:
    """Return a document of a model, None where there is none."""
    query = sa.select(_DOCUMENTS.c.content).where(_DOCUMENTS.c.model == model, _DOCUMENTS.c.name == name)
    found = connection.execute(query).scalar()
    return None if found is None else dict(json.loads(found))


def card(connection: sa.Connection, model: str) -> dict[str, Any] | None:
    """Return the card of a model, None where nothing was gathered of it yet."""
    rows = connection.execute(sa.select(_CARDS.c.content).where(_CARDS.c.model == model)).scalars()
    return next(iter(_current(rows)), None)


def cards(connection: sa.Connection, place: int = 0, number: int = SHOWN, *, of: Models = None) -> list[dict[str, Any]]:
    """Return `number` models from `place` on, those first that lose most a day, then by name; only models `of`."""
    query = sa.select(_CARDS.c.content).where(_within(_CARDS, of)).order_by(_CARDS.c.exposed.desc(), _CARDS.c.model)
    return _current(connection.execute(query.offset(place).limit(number)).scalars())


def asking(connection: sa.Connection, what: str, number: int = SHOWN, *, of: Models = None) -> list[dict[str, Any]]:
    """Return the cards of models `of` with something of `what`: waiting, clocks or changed; the most first."""
    column = _CARDS.c[what]
    query = sa.select(_CARDS.c.content).where(column > 0, _within(_CARDS, of)).order_by(column.desc(), _CARDS.c.model)
    return _current(connection.execute(query.limit(number)).scalars())


def totals(connection: sa.Connection, of: Models = None) -> dict[str, int]:
    """Return how many of the models `of` there are, and how much of everything waits."""
    sums = [sa.func.coalesce(sa.func.sum(_CARDS.c[name]), 0) for name in ("open_incidents", "waiting", "clocks")]
    query = sa.select(sa.func.count(), *sums).select_from(_CARDS).where(_within(_CARDS, of))
    models, incidents, waiting, clocks = connection.execute(query).one()
    return {"models": int(models), "open": int(incidents), "waiting": int(waiting), "clocks": int(clocks)}


def incidents(
    connection: sa.Connection, *, of: Models = None, state: str = "", place: int = 0, number: int = SHOWN
) -> list[dict[str, Any]]:
    """Return incidents of models `of`, the costliest and newest first where they are open, else the newest first."""
    query = sa.select(_INCIDENTS).where(_within(_INCIDENTS, of))
    if state:
        query = query.where(_INCIDENTS.c.state == state)
    if state == "open":
        query = query.order_by(_INCIDENTS.c.exposed.desc(), _INCIDENTS.c.at.desc(), _INCIDENTS.c.id)
    else:
        query = query.order_by(_INCIDENTS.c.at.desc(), _INCIDENTS.c.id)
    return [_line(row) for row in connection.execute(query.offset(place).limit(number))]


def incident(connection: sa.Connection, model: str, name: str) -> dict[str, Any] | None:
    """Return the line of one incident, None where there is none."""
    query = sa.select(_INCIDENTS).where(_INCIDENTS.c.model == model, _INCIDENTS.c.id == name)
    row = connection.execute(query).one_or_none()
    return None if row is None else _line(row)


def count_incidents(connection: sa.Connection, *, of: Models = None, state: str = "") -> int:
    """Return how many incidents of models `of` there are."""
    query = sa.select(sa.func.count()).select_from(_INCIDENTS).where(_within(_INCIDENTS, of))
    if state:
        query = query.where(_INCIDENTS.c.state == state)
    return int(connection.execute(query).scalar_one())


def found(
    connection: sa.Connection, words: str, number: int = 20, *, of: Models = None
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return those models `of`, and incidents, whose name, title or id holds `words`, whatever their case."""
    plain = words.strip().lower()
    if not plain:
        return [], []
    named = sa.select(_CARDS.c.model).where(sa.func.lower(_CARDS.c.model).contains(plain, autoescape=True))
    named = named.where(_within(_CARDS, of)).order_by(_CARDS.c.model).limit(number)
    models = list(connection.execute(named).scalars())
    titled = sa.select(_INCIDENTS).where(
        sa.func.lower(_INCIDENTS.c.title).contains(plain, autoescape=True)
        | _INCIDENTS.c.id.contains(plain, autoescape=True)
    )
    titled = titled.where(_within(_INCIDENTS, of)).order_by(_INCIDENTS.c.at.desc()).limit(number)
    lines = connection.execute(titled)
    return models, [_line(row) for row in lines]


def _within(table: sa.Table, of: Models) -> sa.ColumnElement[bool]:
    return sa.true() if of is None else table.c.model.in_(sorted(of))


def _current(rows: Iterable[str]) -> list[dict[str, Any]]:
    found = [json.loads(row) for row in rows]
    return [item for item in found if item.get("format") == FORMAT]


def _line(row: sa.Row[Any]) -> dict[str, Any]:
    return {**json.loads(row.content), "model": row.model, "id": row.id, "state": row.state, "kind": row.kind}
