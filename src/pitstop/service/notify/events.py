"""What happened to a model that somebody may want to be told: a pure function of what its home has gained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pitstop.store.home import ArtifactRecord

# Told at once; everything else waits for the digest.
URGENT = ("incident.opened", "incident.recovered", "incident.closed", "incident.snoozed", "incident.assigned")
PROMPT = (*URGENT, "release.champion", "release.held_up")
_HANDLED = {"assignment": "incident.assigned", "snooze": "incident.snoozed", "disposition": "incident.closed"}
_STAGES = {"champion": "release.champion"}


@dataclass(frozen=True)
class Event:
    """Something that happened: `id` is the same however often it is found, `sentence` says it in words."""

    id: str
    kind: str
    model: str
    at: str
    sentence: str
    about: str

    @property
    def prompt(self) -> bool:
        """Whether it is told at once."""
        return self.kind in PROMPT


def events_of(
    model: str, gained: Sequence[ArtifactRecord], recovered: Sequence[str], at: str, name: Callable[[int], str]
) -> tuple[Event, ...]:
    """Return the events of artifacts that were `gained`, and of incidents that `recovered` by the instant `at`.

    `name` writes an instant of the model.
    """
    found = [made for item in gained if (made := _event(model, item, name)) is not None]
    found += [
        Event(f"incident.recovered:{item}:{at}", "incident.recovered", model, at, "The incident has recovered.", item)
        for item in recovered
    ]
    return tuple(found)


def _event(model: str, item: ArtifactRecord, name: Callable[[int], str]) -> Event | None:
    kind, about = _kind(item)
    if not kind:
        return None
    return Event(f"{kind}:{item.id}", kind, model, name(item.at), _sentence(item.content, kind), about)


def _kind(item: ArtifactRecord) -> tuple[str, str]:
    """Return what kind of event an artifact is, empty for none, and what it is about."""
    content = item.content
    if item.kind == "incident":
        return "incident.opened", item.id
    if item.kind in _HANDLED:
        return _HANDLED[item.kind], str(content["item"])
    if item.kind == "release":
        return _STAGES.get(content["stage"], f"release.{content['stage']}"), item.id
    if item.kind == "refusal":
        return "release.held_up", item.id
    return ("decision", item.id) if item.kind == "decision" else ("", "")


def _sentence(content: Mapping[str, Any], kind: str) -> str:
    cause = content.get("cause")
    said = cause.get("sentence") if isinstance(cause, Mapping) else None
    words = said or content.get("sentence") or content.get("reason") or content.get("text") or ""
    if kind.startswith("release.") and "version" in content:
        return f"v{content['version']} {str(content['stage']).replace('_', ' ')}: {words}"
    if kind == "incident.assigned":
        return f"Assigned to {content['to']}." if content["to"] else "Given back."
    return str(words) or kind
