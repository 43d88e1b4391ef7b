"""What people do about an incident: assign it, snooze it until it gets worse, write about it, close it with a reason.

Each is a statement like those of `statements`: dated at the end of the last window that was taken in, and kept in the
journal under the name of who made it. Nothing here changes what the loop does.
"""

from __future__ import annotations

from collections.abc import Mapping

from pitstop.compliance.facts import Artifact, Facts
from pitstop.compliance.statements import Observed, attest
from pitstop.errors import StatementError
from pitstop.records.identity import artifact_id

VERDICTS = ("real change", "broken data", "known and planned", "false alarm")
"""What an incident turned out to be, when it is closed."""


def assign(facts: Facts, incident: str, *, to: str, by: str, text: str = "", observed: Observed) -> Artifact:
    """Return the statement that `to` looks after an incident; an empty `to` gives it back."""
    content = {"item": incident, "to": to.strip(), "by": by, "text": text.strip()}
    return _said(facts, "assignment", incident, content, observed)


def snooze(facts: Facts, incident: str, *, by: str, text: str, observed: Observed) -> Artifact:
    """Return the statement that an incident can wait until it gets worse.

    It ends by itself: with an alarm larger than any of its monitor so far, or with one of another monitor. Raises
    `StatementError` without a reason.
    """
    _reason(text, "snoozed")
    grown = [item for item in facts.of("incident", "incident-growth") if item.content["id"] == incident]
    named = grown[-1].content["alarms"] if grown else ()
    sizes: dict[str, float] = {}
    for name in named:
        alarm = facts.by_id[name].content
        sizes[alarm["monitor"]] = max(sizes.get(alarm["monitor"], 0.0), abs(alarm["size"]))
    content = {"item": incident, "by": by, "text": text.strip(), "sizes": sizes}
    return _said(facts, "snooze", incident, content, observed)


def comment(facts: Facts, incident: str, *, by: str, text: str, observed: Observed) -> Artifact:
    """Return what somebody wrote about an incident. Raises `StatementError` where it is nothing."""
    if not text.strip():
        msg = "there is nothing in this comment; write something"
        raise StatementError(msg)
    content = {"item": incident, "by": by, "text": text.strip()}
    return _said(facts, "comment", incident, content, observed)


def close(facts: Facts, incident: str, *, verdict: str, by: str, text: str, observed: Observed) -> Artifact:
    """Return the statement what became of an incident; it is a `disposition`, which policy packs ask for.

    Raises `StatementError` for an unknown verdict, without a reason, and for an incident that was closed before.
    """
    if verdict not in VERDICTS:
        msg = f"got the verdict {verdict!r}; expected one of {', '.join(VERDICTS)}"
        raise StatementError(msg)
    _reason(text, "closed")
    _known(facts, incident)
    if any(item.content["item"] == incident for item in facts.of("disposition")):
        msg = f"{incident} was closed already"
        raise StatementError(msg)
    return attest(facts, (), incident, by=by, text=f"{verdict}: {text.strip()}", observed=observed)


def _said(facts: Facts, kind: str, incident: str, content: Mapping[str, object], observed: Observed) -> Artifact:
    _known(facts, incident)
    if not str(content["by"]).strip():
        msg = "a statement needs the name of the person who makes it"
        raise StatementError(msg)
    # Saying the same again is another statement.
    name = artifact_id(kind, {**content, "at": facts.now, "number": len(facts.of(kind))})
    return Artifact(name, kind, facts.now, (incident,), {**content, "observed": dict(observed)})


def _known(facts: Facts, incident: str) -> None:
    if incident not in {item.id for item in facts.of("incident")}:
        msg = f"no incident {incident!r} of {facts.model} is on record"
        raise StatementError(msg)


def _reason(text: str, what: str) -> None:
    if not text.strip():
        msg = f"an incident is {what} with a reason, for the journal; write one"
        raise StatementError(msg)
