"""What people said about incidents, and the state that it leaves an incident in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pitstop.store.home import ArtifactRecord

SAID = ("assignment", "snooze", "comment", "disposition")
"""Kinds of what people say about an incident; `item` in their content names it."""


@dataclass(frozen=True)
class Handled:
    """Who an incident is assigned to ("": nobody), whether it was closed and why, and how it was snoozed."""

    assigned: str
    closed: Mapping[str, Any] | None
    snoozed: Mapping[str, Any] | None

    def state(self, sizes: Sequence[tuple[str, float]], *, recovered: bool) -> str:
        """Return open, snoozed, recovered or closed. `sizes` are (monitor, absolute size) of all alarms."""
        if self.closed is not None:
            return "closed"
        if recovered:
            return "recovered"
        if self.snoozed is not None and not worse(self.snoozed, sizes):
            return "snoozed"
        return "open"


def handled(incident: str, said: Sequence[ArtifactRecord]) -> Handled:
    """Return how an incident stands after everything that was said, in the order in which it was said."""
    mine = [item for item in said if item.content["item"] == incident]
    newest = {item.kind: item.content for item in mine}
    assigned = newest.get("assignment", {}).get("to", "")
    return Handled(str(assigned), newest.get("disposition"), newest.get("snooze"))


def worse(snoozed: Mapping[str, Any], sizes: Sequence[tuple[str, float]]) -> bool:
    """Whether an alarm is larger than its monitor's largest was when it was snoozed, or comes from another monitor."""
    then: Mapping[str, float] = snoozed["sizes"]
    return any(size > then.get(monitor, 0.0) for monitor, size in sizes)
