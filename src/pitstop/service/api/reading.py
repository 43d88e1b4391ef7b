"""What the API reads of a model's home; it is opened for each call, and only read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import msgspec

from pitstop.compliance.checklist import Checklist
from pitstop.compliance.clocks import serious_incidents
from pitstop.compliance.score import score
from pitstop.errors import StoreError, UnknownNameError
from pitstop.journal.entries import Entry
from pitstop.loop.accounts import accounts_of
from pitstop.loop.auditing import asked_packs
from pitstop.loop.auditing import served as served_at
from pitstop.loop.recalling import facts_of
from pitstop.records.calendar import Calendar
from pitstop.releases import Release, ReleaseTimeline
from pitstop.replays.standing import standing_of
from pitstop.service.api import shapes
from pitstop.service.api.operation import Call, Page
from pitstop.service.api.paging import Part, cursor_of, part_by_name, part_of, place_of
from pitstop.service.standing import open_incidents
from pitstop.service.workspace import Registered
from pitstop.store.home import ArtifactRecord, Home


class AsOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was known at an instant of the model (ISO, or a row number); empty for now."""

    as_of: shapes.Instant = ""


class At(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An instant of the model (ISO, UTC unless it says otherwise; or a row number)."""

    at: shapes.Instant


class OfKind(Page, frozen=True, forbid_unknown_fields=True):
    """A part of a list, of one kind only if that is given."""

    kind: str = ""


class Signals(Page, frozen=True, forbid_unknown_fields=True):
    """A part of the signals, of one name only if that is given."""

    name: str = ""


@contextmanager
def opened(model: Registered) -> Iterator[Home]:
    """Open a model's home for reading. Raises `StoreError` before its first rows were taken in."""
    if not model.home.exists():
        msg = f"nothing of {model.name} has been taken in yet; send rows, and wait for its next tick"
        raise StoreError(msg)
    with Home.open(model.home, read_only=True) as home:
        yield home


def models(call: Call) -> Part[shapes.Model]:
    """List the models that the caller sees."""
    seen = [item for item in call.service.workspace.models() if call.actor.sees(item.name)]
    part: Part[Registered] = part_by_name(call.query, seen)
    return Part([described(item) for item in part.items], part.next)


def model(call: Call) -> shapes.Model:
    """Describe one model."""
    return described(call.model)


def described(item: Registered) -> shapes.Model:
    """Return what is said of a model."""
    until, champion, incidents = None, None, 0
    if item.home.exists():
        with Home.open(item.home, read_only=True) as home:
            saved = home.load_state(item.name)
            if saved is not None:
                calendar = item.spec.calendar
                until = calendar.name_instant(saved.as_of)
                incidents = open_incidents(home, item.name, saved, calendar.window_at(saved.as_of))
                champion = _champion(saved.values)
    return shapes.Model(item.name, item.spec.model.task, item.owner, item.every_seconds, until, champion, incidents)


def _champion(state: Any) -> str | None:
    releases = state["upkeep"]["releases"] if state.get("upkeep") else []
    champion = ReleaseTimeline(tuple(Release.from_json(item) for item in releases)).champion
    return f"v{champion.version}" if champion else None


def artifact_shape(item: ArtifactRecord, calendar: Calendar) -> shapes.Artifact:
    """Return an artifact as the API says it."""
    return shapes.Artifact(item.id, item.kind, calendar.name_instant(item.at), list(item.caused_by), dict(item.content))


def artifacts(call: Call) -> Part[shapes.Artifact]:
    """List what the loop found, decided and did, the oldest first."""
    return _artifacts(call, call.query.kind or None)


def of_kind(kind: str) -> Any:
    """Return what lists artifacts of one kind."""
    return lambda call: _artifacts(call, kind)


def _artifacts(call: Call, kind: str | None) -> Part[shapes.Artifact]:
    grown: dict[str, Any] = {}
    with opened(call.model) as home:
        part: Part[ArtifactRecord] = part_of(call.query, home.artifacts(kind, call.path["model"]))
        if kind == "incident":
            grown = {item.content["id"]: item.content for item in home.artifacts("incident-growth", call.path["model"])}
    calendar = call.model.spec.calendar
    items = [replace(item, content=grown.get(item.id, item.content)) for item in part.items]
    return Part([artifact_shape(item, calendar) for item in items], part.next)


def artifact(call: Call) -> shapes.Artifact:
    """Return one artifact."""
    with opened(call.model) as home:
        found = [item for item in home.artifacts(model=call.path["model"]) if item.id == call.path["id"]]
    if not found:
        msg = f"there is no {call.path['id'][:200]!r} of {call.path['model']}"
        raise UnknownNameError(msg)
    return artifact_shape(found[0], call.model.spec.calendar)


def challengers(call: Call) -> shapes.Standing:
    """Say who serves, what scores beside it, and how far each comparison has come."""
    with opened(call.model):
        found = standing_of(call.model.home, call.path["model"])
    tests = [
        shapes.Test(
            item.version,
            item.kind,
            item.verdict,
            item.rows,
            item.gain,
            _finite(item.low),
            _finite(item.high),
            item.needed,
            item.sentence,
            None if item.segments is None else msgspec.convert(item.segments, shapes.Segments),
            None if item.canary is None else shapes.Canary(**asdict(item.canary)),
        )
        for item in found.tests
    ]
    return shapes.Standing(found.model, found.champion, found.since, found.reason, tests, found.held)


def signals(call: Call) -> Part[shapes.Signal]:
    """List the monitors' values by window, the oldest first."""
    names = [call.query.name] if call.query.name else None
    with opened(call.model) as home:
        part: Part[Any] = part_of(call.query, home.signals(call.path["model"], names=names))
    calendar = call.model.spec.calendar
    items = [
        shapes.Signal(
            calendar.name_instant(calendar.window_start(window)),
            row.name,
            row.column,
            _finite(row.value),
            _finite(row.low),
            _finite(row.high),
        )
        for window, row in part.items
    ]
    return Part(items, part.next)


def ledger(call: Call) -> dict[str, Any]:
    """Return the books: what is known and estimated, by account and by period, and what each release earned."""
    calendar = call.model.spec.calendar
    instant = calendar.parse_instant(call.query.as_of) if call.query.as_of else None
    with opened(call.model) as home:
        found = accounts_of(home, call.path["model"], instant, days_to_fix=None)
    return {
        "model": found.model,
        "as_of": calendar.name_instant(found.as_of),
        "currency": found.spec.value.currency,
        "accounts": {name: str(amount) for name, amount in found.accounts.items()},
        "net": str(found.net),
        "estimated_deviation": str(found.deviation),
        "periods": [
            {
                "period": calendar.name_period(item.period),
                "realised": str(item.realised),
                "estimated": str(item.estimated),
                "net": str(item.net),
                "coverage": item.coverage,
            }
            for item in found.periods
        ],
        "releases": [
            {
                "id": release.id,
                "version": release.version,
                "at": calendar.name_instant(release.at),
                "gain": str(earned.gain.total),
                "cost": str(earned.cost),
                "verdict": earned.verdict,
            }
            for release, earned in found.releases
        ],
        "exposed": [
            {"incident": item.incident, "a_day": str(item.a_day), "total": str(item.total)} for item in found.exposed
        ],
    }


def served(call: Call) -> dict[str, Any]:
    """Say what was in production at an instant, why, and who approved it."""
    call.model.spec.calendar.parse_instant(call.query.at)
    with opened(call.model):
        return served_at(call.model.home, call.path["model"], call.query.at).to_json()


def evidence(call: Call) -> dict[str, Any]:
    """Return what packs ask of the model, and what of it is on record; with the ML Test Score."""
    with opened(call.model) as home:
        facts = facts_of(home, call.path["model"], call.query.as_of)
        packs = asked_packs(facts, (), default=("house_rules",))
        return {"packs": [Checklist.of(item, facts).to_json() for item in packs], "score": score(facts).to_json()}


def declarations(call: Call) -> list[dict[str, Any]]:
    """List the serious incidents with how their clocks stand now."""
    with opened(call.model) as home:
        facts = facts_of(home, call.path["model"])
    if not facts.calendar.by_rows:
        facts = replace(facts, now=facts.calendar.parse_instant(shapes.named(call.service.clock())))
    return [
        {
            "id": item.declared.id,
            "due": facts.name(item.due),
            "overdue": item.overdue(facts.now),
            "closed": bool(item.closed),
            "sentence": item.sentence(facts),
        }
        for item in serious_incidents(facts)
    ]


def journal(call: Call) -> Part[shapes.JournalEntry]:
    """List the entries of the journal, the oldest first."""
    first = place_of(call.query)
    with opened(call.model) as home:
        size = home.journal_head().size
        found: list[Entry] = []
        for entry in home.entries(first):
            if len(found) == call.query.limit:
                break
            found.append(entry)
    items = [
        shapes.JournalEntry(entry.sequence, entry.kind, entry.model, entry.id, list(entry.caused_by), entry.digest)
        for entry in found
    ]
    last = first + len(items)
    return Part(items, cursor_of(last) if last < size else None)


def verification(call: Call) -> shapes.Verified:
    """Check the journal against its signed heads, and what is kept against the journal."""
    with opened(call.model) as home:
        found = home.verify()
    faults = [fault.sentence for fault in found.faults]
    return shapes.Verified(found.ok, found.size, found.root.hex(), found.signed_size, faults)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
