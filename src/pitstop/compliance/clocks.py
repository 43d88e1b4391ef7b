"""Clocks of serious incidents, and the freeze of their evidence.

Regulation (EU) 2024/1689, Article 73: a report is due not later than 15 days after one became aware of a serious
incident (paragraph 2), 10 days where a person died (paragraph 4), 2 days for a widespread infringement or a serious
disruption of critical infrastructure (paragraph 3). An initial report may be incomplete (paragraph 5). The days are
calendar days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pitstop.compliance.facts import Artifact, Facts
from pitstop.records.calendar import DAY

Severity = Literal["serious", "death", "widespread"]
DAYS: Mapping[Severity, int] = {"serious": 15, "death": 10, "widespread": 2}
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
# Windows before the incident became known whose rows a freeze protects as well.
FROZEN_BEFORE = 30


@dataclass(frozen=True)
class SeriousIncident:
    """A serious incident as a person declared it, with its first report, its end and the freeze of its evidence."""

    declared: Artifact
    report: Artifact | None
    closed: Artifact | None
    freeze: Artifact | None

    @property
    def aware_at(self) -> int:
        """When somebody became aware of it."""
        return int(self.declared.content["aware_at"])

    @property
    def due(self) -> int:
        """The instant by which it has to be reported."""
        return self.aware_at + DAYS[self.declared.content["severity"]] * DAY

    def overdue(self, now: int) -> bool:
        """Whether the report is, or was, late."""
        return (int(self.report.content["reported_at"]) if self.report else now) > self.due

    def sentence(self, facts: Facts) -> str:
        """Return how its clock stands, in one sentence."""
        name = f"{self.declared.content['severity']} incident known at {facts.name(self.aware_at)}"
        due = facts.name(self.due)
        if self.report is not None:
            at = facts.name(int(self.report.content["reported_at"]))
            late = ", too late" if self.overdue(facts.now) else ""
            return f"{name}: reported at {at}{late} (due {due})"
        left = (self.due - facts.now) / DAY
        return f"{name}: due {due}, " + (f"{left:.1f} days left" if left >= 0 else f"overdue by {-left:.1f} days")


def serious_incidents(facts: Facts) -> tuple[SeriousIncident, ...]:
    """Return all serious incidents that were declared, in order."""

    def first(kind: str, incident: str) -> Artifact | None:
        return next((item for item in facts.of(kind) if item.content["incident"] == incident), None)

    return tuple(
        SeriousIncident(
            item, first("incident-report", item.id), first("incident-closing", item.id), first("freeze", item.id)
        )
        for item in facts.of("serious-incident")
    )


def frozen_windows(facts: Facts) -> frozenset[int]:
    """Return the windows whose rows must be kept because a serious incident is open: a freeze outranks an erasure."""
    frozen = (item.freeze for item in serious_incidents(facts) if item.closed is None)
    return frozenset(window for item in frozen if item for window in item.content["windows"])
