"""What people say: each statement is checked against who may say it, and becomes an artifact of the journal.

A statement is dated at the end of the last window that was taken in, so it cannot be dated back; the loop knows it from
the next window on. `observed` (when and by which login it was typed) is kept with it, outside its id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pitstop.compliance.clocks import DAYS, FROZEN_BEFORE, serious_incidents
from pitstop.compliance.facts import Artifact, Facts
from pitstop.compliance.packs import Pack
from pitstop.errors import StatementError
from pitstop.records.identity import artifact_id

Observed = Mapping[str, str]
# Instants are microseconds; when something was typed is kept to the second.
_SECOND = 1_000_000


def attest(
    facts: Facts,
    packs: Sequence[Pack],
    item: str,
    *,
    by: str,
    role: str = "",
    text: str = "",
    until: int | None = None,
    automated: bool = False,
    observed: Observed | None = None,
) -> Artifact:
    """Return the statement that an item is met, or what became of an incident.

    `until` is the instant up to which it holds; `automated` says that what is attested runs by itself and is repeated.
    Raises `StatementError` where nobody signs, or where the item is not one that a person can attest.
    """
    _signed(by)
    own = [known.id for pack in packs for known in pack.items if known.query in _ATTESTABLE]
    known = {*own, *(found.id for found in facts.of("incident")), *_score_tests()}
    if item not in known:
        msg = (
            f"got the item {item!r}; expected one that a person attests ({', '.join(own) or 'these packs have none'}), "
            "a test of the ML Test Score such as data.1, or the id of an incident"
        )
        raise StatementError(msg)
    if until is not None and until <= facts.now:
        msg = f"the statement would hold until {facts.name(until)}, which is not after {facts.name(facts.now)}"
        raise StatementError(msg)
    content = {"item": item, "by": by.strip(), "role": role.strip(), "text": text.strip(), "until": until}
    about = item in {found.id for found in facts.of("incident")}
    kind, causes = ("disposition", (item,)) if about else ("attestation", ())
    return _statement(facts, kind, {**content, "automated": automated}, causes, observed)


_ATTESTABLE = ("attestation", "a_rollback_was_drilled")


def _score_tests() -> tuple[str, ...]:
    counts = {"data": 7, "model": 7, "infrastructure": 7, "monitoring": 7}
    return tuple(f"{section}.{number}" for section, count in counts.items() for number in range(1, count + 1))


def approve(
    facts: Facts, *, by: str, text: str = "", challenger: str = "", observed: Observed | None = None
) -> Artifact:
    """Return the approval of a model: the one whose release waits, unless another one is named.

    Raises `StatementError` where the person may not approve, made the model, or there is nothing to approve.
    """
    _signed(by)
    _allowed(facts, by, "approver", "approve a release")
    model = challenger or _waiting(facts)
    if model not in {item.id for item in facts.of("challenger")}:
        msg = f"no model {model!r} is known of {facts.model}; name the id of a challenger, or wait until one is held up"
        raise StatementError(msg)
    content = {"challenger": model, "by": by.strip(), "text": text.strip()}
    return _statement(facts, "approval", content, _because(facts, model), observed)


def override(facts: Facts, item: str, *, by: str, text: str, observed: Observed | None = None) -> Artifact:
    """Return the statement that the release that waits may pass although `item` is open.

    Raises `StatementError` where nothing waits for this item, the reason is missing, or the person may not say so.
    """
    _signed(by)
    refusal = facts.waiting
    held = [found for found in refusal.content["open"] if found["item"] == item] if refusal else []
    if refusal is None or not held:
        names = ", ".join(found["item"] for found in refusal.content["open"]) if refusal else ""
        msg = f"no release waits for {item!r}; " + (f"one waits for {names}" if names else "no release is held up")
        raise StatementError(msg)
    if held[0]["override"] == "nobody":
        msg = f"{item!r} may not be overridden by anybody: {held[0]['obligation']}"
        raise StatementError(msg)
    if not text.strip():
        msg = f"an override of {item!r} needs a reason; say it with --text"
        raise StatementError(msg)
    _allowed(facts, by, held[0]["override"], f"override {item!r}")
    model = refusal.content["challenger"]
    content = {
        "pack": held[0]["pack"],
        "item": item,
        "challenger": model,
        "by": by.strip(),
        "role": held[0]["override"],
        "text": text.strip(),
    }
    return _statement(facts, "override", content, (refusal.id,), observed)


def declare(
    facts: Facts, *, severity: str, aware_at: int, by: str, text: str, observed: Observed | None = None
) -> tuple[Artifact, Artifact]:
    """Return the declaration of a serious incident, which starts its clock, and the freeze of its evidence.

    The freeze names every window whose rows may not be deleted, the size and root of the journal, and what served.
    Raises `StatementError` for an unknown severity, an instant after the one in `observed`, or a calendar without days.
    """
    _signed(by)
    if severity not in DAYS:
        msg = f"got the severity {severity!r}; expected one of {', '.join(DAYS)}"
        raise StatementError(msg)
    if facts.calendar.by_rows:
        msg = f"{facts.model} counts rows and not days, so no clock can run; keep the incident's deadline elsewhere"
        raise StatementError(msg)
    if not text.strip():
        msg = "a serious incident needs a description; say with --text what happened, and to whom"
        raise StatementError(msg)
    _not_to_come(facts, aware_at, "became known", observed)
    content = {"severity": severity, "aware_at": aware_at, "by": by.strip(), "text": text.strip()}
    declared = _statement(facts, "serious-incident", content, (), observed)
    first = facts.calendar.window_at(aware_at) - FROZEN_BEFORE
    serving = facts.timeline.champion
    frozen = {
        "incident": declared.id,
        "windows": [window for window in facts.windows if window >= first],
        "entries": facts.journal.size,
        "root": facts.journal.root.hex(),
        "served": serving.id if serving else None,
    }
    name = artifact_id("freeze", {"incident": declared.id})
    return declared, Artifact(name, "freeze", facts.now, (declared.id,), frozen)


def report(
    facts: Facts,
    incident: str,
    *,
    reported_at: int,
    by: str,
    text: str,
    closes: bool = False,
    observed: Observed | None = None,
) -> Artifact:
    """Return the statement that a serious incident was reported, or, with `closes`, that it was put right.

    Raises `StatementError` where there is no such incident, it was reported (closed) before, or it is said to have been
    after the instant in `observed`.
    """
    _signed(by)
    known = {item.declared.id: item for item in serious_incidents(facts)}
    if incident not in known:
        msg = f"no serious incident {incident!r} of {facts.model}; known: {', '.join(known) or 'none'}"
        raise StatementError(msg)
    before = known[incident].closed if closes else known[incident].report
    if before is not None:
        msg = f"{incident} was {'closed' if closes else 'reported'} by {before.content['by']} already"
        raise StatementError(msg)
    if not text.strip():
        msg = "say with --text what was " + ("done to put it right" if closes else "reported, and to whom")
        raise StatementError(msg)
    _not_to_come(facts, reported_at, "was closed" if closes else "was reported", observed)
    kind = "incident-closing" if closes else "incident-report"
    content = {"incident": incident, "reported_at": reported_at, "by": by.strip(), "text": text.strip()}
    return _statement(facts, kind, content, (incident,), observed)


def _statement(
    facts: Facts, kind: str, content: Mapping[str, Any], caused_by: tuple[str, ...], observed: Observed | None
) -> Artifact:
    # Saying the same again in one window is another statement.
    number = len(facts.of(kind))
    name = artifact_id(kind, {**content, "at": facts.now, "number": number})
    return Artifact(name, kind, facts.now, caused_by, {**content, "observed": dict(observed or {})})


def _not_to_come(facts: Facts, instant: int, what: str, observed: Observed | None) -> None:
    """Refuse an instant later than the second in which it was typed: a clock would begin, or end, when it has not."""
    typed = (observed or {}).get("recorded")
    if typed and instant >= facts.calendar.parse_instant(typed) + _SECOND:
        msg = f"it {what} at {facts.name(instant)}, which is after now, {typed}; give a time that has passed"
        raise StatementError(msg)


def _signed(by: str) -> None:
    if not by.strip():
        msg = "a statement needs the name of the person who makes it; say it with --by"
        raise StatementError(msg)


def _allowed(facts: Facts, by: str, role: str, what: str) -> None:
    people = facts.people
    named = people.approvers if role == "approver" else people.risk_officers
    if not people.holds(by, role):
        msg = (
            f"{by} may not {what}: [rules] {role}s names {', '.join(named) or 'nobody'}; "
            "name them there, and run the loop once"
        )
        raise StatementError(msg)
    if people.is_author(by):
        msg = f"{by} is among the authors of {facts.model} and may not {what}; somebody else has to"
        raise StatementError(msg)


def _waiting(facts: Facts) -> str:
    refusal = facts.waiting
    if refusal is None:
        msg = f"no release of {facts.model} is held up; name the model to approve with --challenger"
        raise StatementError(msg)
    return str(refusal.content["challenger"])


def _because(facts: Facts, model: str) -> tuple[str, ...]:
    refusal = facts.waiting
    return (model, refusal.id) if refusal and refusal.content["challenger"] == model else (model,)
