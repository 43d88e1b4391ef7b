"""The cause of an incident: which monitors fired, what moved, and how much of the error comes from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any, Self

from pitstop.baseline.baseline import Baseline
from pitstop.diagnosis.attribution import Decomposition, Suspect, decompose, rank_features
from pitstop.incidents import Alarm, Incident
from pitstop.loop.reference import names_of
from pitstop.monitors.base import WindowCounts
from pitstop.monitors.drift import distance
from pitstop.profile import OutcomeProfile, Profile
from pitstop.records.calendar import Calendar

# Windows that are looked at, from the onset on: enough rows to compare, few enough to be about this incident.
SPAN = 28
SUSPECTS = 5


@dataclass(frozen=True)
class Cause:
    """Why an incident happened, as far as it is known: a sentence, and the numbers behind it."""

    sentence: str
    suspects: tuple[Suspect, ...]
    split: Decomposition | None
    before: Profile
    after: Profile

    @classmethod
    def from_json(cls, content: Mapping[str, Any], before: Profile, after: Profile) -> Self:
        """Return the cause that `to_json` described."""
        split = content["split"]
        decomposition = Decomposition(**{**split, "leaves": tuple(split["leaves"])}) if split else None
        suspects = tuple(Suspect(**suspect) for suspect in content["suspects"])
        return cls(content["sentence"], suspects, decomposition, before, after)

    def to_json(self) -> dict[str, Any]:
        """Return the cause without the profiles."""
        split = self.split
        return {
            "sentence": self.sentence,
            "suspects": [asdict(suspect) for suspect in self.suspects],
            "x_share": split.x_share if split else None,
            "yx_share": split.yx_share if split else None,
            "split": asdict(split) if split else None,
        }


def diagnose(
    incident: Incident,
    alarms: Mapping[str, Alarm],
    baseline: Baseline,
    recent: Sequence[WindowCounts],
    calendar: Calendar,
) -> Cause:
    """Explain an incident from the windows since its onset (the last `SPAN` of them at most)."""
    end = recent[-1].window if recent else incident.opened
    first = max(incident.since, end - SPAN)
    windows = [window for window in recent if window.window >= first]
    after = reduce(Profile.merged, (window.profile for window in windows), Profile.empty(baseline.layout))
    outcomes = reduce(
        OutcomeProfile.merged, (window.outcomes for window in windows), OutcomeProfile.empty(baseline.layout)
    )
    distances = {name: distance(statistic, after.features[name]) for name, statistic in baseline.features.items()}
    suspects = rank_features(baseline.importance, distances)[:SUSPECTS]
    split = decompose(baseline.cells, outcomes.cells)
    mine = [alarms[name] for name in incident.alarms]
    sentence = _sentence(incident, mine, suspects, split, baseline, calendar)
    return Cause(sentence, suspects, split, baseline.profile, after)


def _sentence(
    incident: Incident,
    alarms: Sequence[Alarm],
    suspects: Sequence[Suspect],
    split: Decomposition | None,
    baseline: Baseline,
    calendar: Calendar,
) -> str:
    """Return what happened, since when, how large and why, most telling alarm first."""
    newest: dict[str, Alarm] = {alarm.monitor: alarm for alarm in alarms}
    order = {"error": 0, "quality": 1, "score": 2, "drift": 3, "volume": 4}
    shown = sorted(newest.values(), key=lambda alarm: (not alarm.fast, order.get(alarm.kind, 5), -abs(alarm.size)))
    if any(alarm.kind == "error" for alarm in shown):
        shown.sort(key=lambda alarm: alarm.kind != "error")
    parts = [f"Since {calendar.name_window(incident.since)}: " + "; ".join(alarm.sentence for alarm in shown[:3]) + "."]
    if len(shown) > 3:
        parts.append(f"{len(shown) - 3} more monitors moved with it.")
    parts.append(_why(alarms, suspects, split, baseline))
    return " ".join(part for part in parts if part)


def _why(alarms: Sequence[Alarm], suspects: Sequence[Suspect], split: Decomposition | None, baseline: Baseline) -> str:
    moved = [suspect.column for suspect in suspects if suspect.share >= 1 / (2 * SUSPECTS)][:3]
    features = f"The inputs that moved most, weighted by importance, are {_listed(moved)}." if moved else ""
    fast = [alarm for alarm in alarms if alarm.fast and alarm.kind == "quality"]
    if fast:
        columns = _listed(list(dict.fromkeys(alarm.column or "the rows themselves" for alarm in fast))[:3])
        return f"It came in one step, as a broken pipeline does: look at {columns} upstream before retraining."
    if split is None or split.x_share is None or split.yx_share is None or split.total <= 0:
        return f"The labels so far show no clear change of the error. {features}".strip()
    if split.yx_share >= 0.5:
        names = names_of(baseline.layout)
        where = [name for leaf in split.leaves[:1] for name in baseline.tree.path(leaf, (*names, "the score"))]
        inside = f", most where {_listed(where[:3])} set it apart" if where else ""
        return (
            f"Mostly the relation of inputs to outcome ({min(split.yx_share, 1.0):.0%} of the rise of the error){inside}: "
            f"the model has to learn it anew. {features}".strip()
        )
    return (
        f"Mostly the inputs ({min(split.x_share, 1.0):.0%} of the rise of the error): more rows of the kinds that the "
        f"model finds hard. {features}".strip()
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""
