"""What a stage of the loop leaves behind: an artifact as the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pitstop.errors import TrainingError
from pitstop.incidents import Alarm, Incident
from pitstop.records.identity import artifact_id
from pitstop.retraining.label_issues import Screened
from pitstop.retraining.trainer import Challenger
from pitstop.strategy.base import Decision
from pitstop.value.ledger import Transaction


@dataclass(frozen=True)
class Kept:
    """An artifact with its kind, what caused it, and its content as plain JSON."""

    kind: str
    id: str
    at: int
    caused_by: tuple[str, ...]
    content: Mapping[str, Any]


def keep_alarm(alarm: Alarm) -> Kept:
    """Return the artifact of an alarm."""
    return Kept("alarm", alarm.id, alarm.at, alarm.caused_by, asdict(alarm))


def keep_incident(incident: Incident, cause: Mapping[str, Any]) -> Kept:
    """Return the artifact of an incident as it was opened, with the cause as far as it was known then."""
    return Kept("incident", incident.id, incident.at, incident.caused_by, {**asdict(incident), "cause": cause})


def keep_decision(decision: Decision) -> Kept:
    """Return the artifact of a decision."""
    return Kept("decision", decision.id, decision.at, decision.caused_by, asdict(decision))


def keep_failure(challenger: Challenger, at: int, error: TrainingError, *, scoring: bool = False) -> Kept:
    """Return the artifact of a challenger whose fit failed, or, `scoring`, whose predictions cannot be used."""
    content = {"challenger": challenger.id, "error": type(error).__name__, "message": str(error)}
    # Text of a crash may hold paths and addresses: the id digests only what failed and when.
    what = {"challenger": challenger.id, **({"scored": at} if scoring else {})}
    return Kept("failure", artifact_id("failure", what), at, (challenger.id,), content)


def keep_screening(challenger: Challenger, at: int, screened: Screened) -> Kept:
    """Return the artifact of the labels that were left out of a challenger's fit."""
    # Which ones they are hangs on float noise of models, as a model's digest does: the id says only whose they are.
    name = artifact_id("screening", {"challenger": challenger.id})
    return Kept("screening", name, at, (challenger.id,), {"challenger": challenger.id, **screened.to_json()})


def keep_growth(incident: Incident, at: int, window: int, cause: Mapping[str, Any]) -> Kept:
    """Return the artifact that says how an incident stands after a later alarm."""
    name = artifact_id("incident-growth", {"incident": incident.id, "window": window, "alarms": incident.alarms})
    content = {**asdict(incident), "cause": cause}
    return Kept("incident-growth", name, at, (incident.id, *incident.alarms[-1:]), content)


def keep_transaction(transaction: Transaction) -> Kept:
    """Return the artifact of a ledger transaction; amounts as text, exact."""
    # By hand: `asdict` copies deeply, and a window has hundreds of lines.
    lines = [
        {
            "id": line.id,
            "at": line.at,
            "window": line.window,
            "account": line.account,
            "amount": str(line.amount),
            "currency": line.currency,
            "rows": line.rows,
            "caused_by": line.caused_by,
            **({"variance": str(line.variance), "doubt": str(line.doubt)} if line.variance or line.doubt else {}),
            "valued_by": line.valued_by,
        }
        for line in transaction.postings
    ]
    first = transaction.postings[0]
    content = {"id": transaction.id, "kind": transaction.kind, "currency": transaction.currency, "postings": lines}
    return Kept("transaction", transaction.id, first.at, first.caused_by, content)
