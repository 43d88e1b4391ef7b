"""A model of which every promise was kept, as facts; the tests break one of them at a time."""

from __future__ import annotations

from typing import Any

import pytest

from pitstop.compliance.facts import Artifact, Facts
from pitstop.journal.verification import Verification
from pitstop.records.calendar import DAY, Calendar
from pitstop.releases import ReleaseTimeline

START, NOW = 100, 135
SPEC: dict[str, Any] = {
    "model": {"name": "m", "task": "binary"},
    "columns": {"features": ["amount"], "protected": ["sex"], "label": "y", "segments": []},
    "decision": {"positive": "1", "threshold": 0.5},
    "time": {"window": "day", "period": 10},
    "alarms": {"per_month": 1.0},
    "policy": {"name": "shadow_plan"},
}
RULES: dict[str, Any] = {"packs": [], "authors": ["Ada"], "approvers": ["Ben", "Ada"], "risk_officers": ["Cleo"]}
TRAINED: dict[str, Any] = {"rows": 10, "recipe": {"name": "all"}, "trainer": "t", "trainer_version": "1", "seed": 0}
AUDIT: dict[str, Any] = {
    "rate": "selection rate",
    "rows": 100,
    "selected": 40,
    "small_share": 0.02,
    "tables": [
        {
            "name": "sex",
            "unknown": 0,
            "groups": [
                {"name": "f", "rows": 50, "selected": 20, "rate": 0.4, "impact_ratio": 1.0, "small": False},
                {"name": "m", "rows": 50, "selected": 20, "rate": 0.4, "impact_ratio": 1.0, "small": False},
            ],
        }
    ],
}


def artifact(kind: str, name: str, day: int, causes: tuple[str, ...] = (), **content: Any) -> Artifact:
    return Artifact(name, kind, day * DAY, causes, content)


def proof(name: str, day: int, challenger: str, causes: tuple[str, ...] = ()) -> Artifact:
    content = {"challenger": challenger, "champion": "model-0", "verdict": "better", "rows": 9, "low": 0.1, "high": 0.2}
    return artifact("comparison", name, day, causes, **content)


def released() -> tuple[Artifact, ...]:
    """Return releases with baselines: the first, one proven in shadow, one by recipe; then back to the second."""
    line = ReleaseTimeline().promote(START * DAY, "model-0", 10, ("model-0",), "the first")
    line = line.promote(110 * DAY, "model-1", 20, ("proof-1", "approval-1"), "proven in shadow")
    line = line.promote(120 * DAY, "model-2", 30, ("decision-2", "proof-2", "model-2"), "recipe proven")
    line = line.roll_back(130 * DAY, ("proof-3",), "proven worse")
    found = []
    for release in line.releases:
        found.append(Artifact(release.id, "release", release.at, release.caused_by, release.to_json()))
        if release.stage == "champion":
            found.append(artifact("baseline", f"baseline-{release.id}", release.at // DAY, owner=release.id))
    return tuple(found)


@pytest.fixture
def good() -> Facts:
    """Return what is known of a model of which every promise was kept."""
    metric: dict[str, Any] = {"metric": "accuracy", "low": 0.8, "high": 0.9, "value": 0.85, "withdrawn": None}
    by: dict[str, Any] = {"by": "Ben", "text": "Looked at it."}
    artifacts = (
        artifact("spec", "spec-1", START, **SPEC),
        artifact("rules", "rules-1", START, **RULES),
        *(
            artifact("challenger", f"model-{n}", START + 10 * n, ("spec-1",), rows_digest="d", **TRAINED)
            for n in range(3)
        ),
        artifact("approval", "approval-1", 109, ("model-1",), challenger="model-1", **by),
        proof("proof-1", 110, "model-1"),
        # The tested model is another than the refit, which is a cause.
        proof("proof-2", 120, "model-1b", ("decision-2", "model-2")),
        proof("proof-3", 130, "model-1"),
        artifact("decision", "decision-2", 120, ("incident-1",), action="retrain", reason="It pays."),
        artifact("decision", "decision-3", 130, action="keep", reason="It does not pay."),
        artifact("estimate", "estimate-1", 130, period=12, metrics={"accuracy": metric}),
        artifact("alarm", "alarm-1", 112),
        artifact("alarm", "alarm-2", 113),
        artifact("incident", "incident-1", 112, alarms=["alarm-1"], cause={"sentence": "The inputs moved."}),
        artifact("incident-growth", "growth-1", 113, alarms=["alarm-1", "alarm-2"], cause={"sentence": "More."}),
        artifact("failure", "failure-1", 115, challenger="model-x"),
        artifact("fairness-audit", "audit-1", 125, **AUDIT),
        artifact("attestation", "attestation-1", 125, item="somebody-answers", role="owner", until=None, **by),
        artifact("serious-incident", "serious-1", 128, severity="serious", aware_at=127 * DAY, **by),
        artifact("freeze", "freeze-1", 128, ("serious-1",), incident="serious-1", windows=[120, 121], entries=40),
        artifact("incident-report", "report-1", 129, incident="serious-1", reported_at=129 * DAY, **by),
        *released(),
    )
    windows = tuple(range(90, NOW))
    return Facts(
        model="m",
        calendar=Calendar("day", 10),
        now=NOW * DAY,
        artifacts=artifacts,
        windows=windows,
        start=START,
        check=lambda: Verification(50, bytes(32), 50, ()),
        logged=lambda: windows,
    )
