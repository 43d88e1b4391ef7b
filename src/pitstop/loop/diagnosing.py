"""The cause of an incident: which monitors fired, what moved, and how much of the error comes from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any, Self

from pitstop.baseline.baseline import Baseline
from pitstop.diagnosis.attribution import Decomposition, Suspect, decompose, rank_features
from pitstop.diagnosis.breaks import SURE, Break
from pitstop.diagnosis.segments import Condition, Segment
from pitstop.incidents import Alarm, Incident
from pitstop.loop.reference import names_of
from pitstop.loop.surveying import segment_document
from pitstop.loop.tracing import Look
from pitstop.monitors.base import WindowCounts
from pitstop.monitors.drift import distance
from pitstop.profile import Profile
from pitstop.records.calendar import Calendar
from pitstop.report.surveyed import rise
from pitstop.report.wording import arrow, capitalised, most_telling, phrase
from pitstop.statistics.categories import CategoryCounts
from pitstop.statistics.cells import Cells, LeafBins
from pitstop.statistics.histogram import Histogram

# Windows that are looked at, from the onset on: enough rows to compare, few enough to be about this incident.
SPAN = 28
SUSPECTS = 5
# More rows than this that are missing, unknown or out of range make a column worth a look.
ODD_SHARE = 0.01


@dataclass(frozen=True)
class Cause:
    """Why an incident happened, as far as it is known: a sentence, and the numbers behind it.

    `breaks` are faults of the pipeline, the most certain first; with one of them a retrain is the wrong answer.
    `segments` are where the error rose most, the greatest excess first; () where no alarm is about the error, or no
    segment was confirmed on the newer rows.
    """

    sentence: str
    suspects: tuple[Suspect, ...]
    split: Decomposition | None
    before: Profile
    after: Profile
    breaks: tuple[Break, ...] = ()
    segments: tuple[Segment, ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any], before: Profile, after: Profile) -> Self:
        """Return the cause that `to_json` described."""
        split = content["split"]
        decomposition = Decomposition(**{**split, "leaves": tuple(split["leaves"])}) if split else None
        suspects = tuple(Suspect(**suspect) for suspect in content["suspects"])
        # Causes that were kept before faults were named have none.
        breaks = tuple(
            Break(**{name: item[name] for name in Break.__dataclass_fields__}) for item in content.get("breaks", ())
        )
        segments = tuple(_segment(item) for item in content.get("segments", ()))
        return cls(content["sentence"], suspects, decomposition, before, after, breaks, segments)

    def to_json(self) -> dict[str, Any]:
        """Return the cause without the profiles."""
        split = self.split
        return {
            "sentence": self.sentence,
            "suspects": [asdict(suspect) for suspect in self.suspects],
            "x_share": split.x_share if split else None,
            "yx_share": split.yx_share if split else None,
            "split": asdict(split) if split else None,
            "breaks": [{**asdict(item), "way_out": item.way_out} for item in self.breaks],
            "segments": [segment_document(item) for item in self.segments],
        }


def _segment(document: Mapping[str, Any]) -> Segment:
    """Return the segment that `segment_document` described."""
    conditions = tuple(Condition(**item) for item in document["conditions"])
    return Segment(
        conditions, **{name: document[name] for name in Segment.__dataclass_fields__ if name != "conditions"}
    )


def diagnose(
    incident: Incident,
    alarms: Mapping[str, Alarm],
    baseline: Baseline,
    recent: Sequence[WindowCounts],
    calendar: Calendar,
    look: Look | None = None,
) -> Cause:
    """Explain an incident from the windows since its onset (the last `SPAN` of them at most).

    `look` finds what only rows can tell: faults of the pipeline, and where the error rose.
    """
    end = recent[-1].window if recent else incident.opened
    first = max(incident.since, end - SPAN)
    windows = [window for window in recent if window.window >= first]
    after = reduce(Profile.merged, (window.profile for window in windows), Profile.empty(baseline.layout))
    # A cohort is counted some windows after its rows were predicted: only those predicted since the onset count here.
    age = baseline.ages[len(baseline.ages) // 2] if baseline.ages else 0
    found = {
        window.window - age: window.cells
        for window in recent
        if window.window - age >= first and window.cells is not None
    }
    cells = reduce(Cells.merged, found.values(), Cells.empty(LeafBins()))
    distances = {name: distance(statistic, after.features[name]) for name, statistic in baseline.features.items()}
    suspects = rank_features(baseline.importance, distances)[:SUSPECTS]
    split = decompose(baseline.cells, cells, _moved(baseline, [item for item in recent if item.window in found]))
    mine = [alarms[name] for name in incident.alarms]
    breaks: tuple[Break, ...] = ()
    kinds = {alarm.kind for alarm in mine}
    if look is not None and kinds != {"volume"}:
        noticed = [alarm.column for alarm in mine if alarm.column]
        moved = [*noticed, *_altered(baseline, after), *(suspect.column for suspect in suspects)]
        # What came within this very window is looked at alone first: the incident that it joined may be weeks old.
        now = [alarm.since for alarm in mine if alarm.fast and alarm.kind == "quality" and alarm.window == end]
        begun = max([first, *now])
        breaks = look.breaks(moved, (begun, end)) or (look.breaks(moved, (first, end)) if begun > first else ())
    segments = look.risen((incident.since, end)) if look is not None and "error" in kinds else ()
    sentence = _sentence(mine, suspects, split, baseline, calendar, breaks, segments)
    return Cause(sentence, suspects, split, baseline.profile, after, breaks, segments)


def _moved(baseline: Baseline, cohorts: Sequence[WindowCounts]) -> tuple[float, float]:
    """Return what inputs that moved within leaves do to the loss, in the windows in which cohorts were predicted."""
    # Leaves of windows before this model served were those of another tree.
    profiles = [item.profile for item in cohorts if item.window > baseline.windows[1]]
    if baseline.margins is None or not profiles:
        return 0.0, 0.0
    return baseline.margins.moved(reduce(Profile.merged, profiles))


def _altered(baseline: Baseline, after: Profile) -> list[str]:
    """Return the columns with more missing, unknown or outlying values than the reference."""
    found = []
    for name, statistic in after.features.items():
        before = baseline.features[name]
        if (
            statistic.rows
            and before.rows
            and _odd(statistic) / statistic.rows - _odd(before) / before.rows >= ODD_SHARE
        ):
            found.append(name)
    return found


def _odd(statistic: Histogram | CategoryCounts) -> int:
    return statistic.nulls + (statistic.outside if isinstance(statistic, Histogram) else statistic.unseen)


def _sentence(
    alarms: Sequence[Alarm],
    suspects: Sequence[Suspect],
    split: Decomposition | None,
    baseline: Baseline,
    calendar: Calendar,
    breaks: Sequence[Break] = (),
    segments: Sequence[Segment] = (),
) -> str:
    """Return what happened, how large and why, the most telling alarm first. When it began stands in the incident."""
    unit = calendar.window if isinstance(calendar.window, str) else "window"
    first, *others = most_telling(alarms)
    parts = [capitalised(phrase(first, unit)) + "."]
    if others:
        named = [arrow(alarm, unit) for alarm in others[:2]]
        more = [f"{len(others) - 2} more"] if len(others) > 2 else []
        parts.append(f"Also {_listed([*named, *more])}.")
    if breaks:
        parts += _mend(breaks)
    if breaks and breaks[0].certainty >= SURE:
        # What the labels say is left out: it is the fault that they show.
        return " ".join(parts)
    parts += _why(alarms, suspects, split, baseline, unit)
    parts += [f"It rose most where {rise(segment_document(item), baseline.layout.task)}." for item in segments[:1]]
    return " ".join(parts)


def _mend(breaks: Sequence[Break]) -> list[str]:
    """Return what broke and the way out."""
    first, *others = breaks
    sure = first.certainty >= SURE
    told = [f"{'The cause looks like a broken pipeline' if sure else 'It may be a fault'}. {first.sentence}"]
    if others:
        kinds = [f"{item.column} ({item.kind.replace('_', ' ')})" for item in others]
        told.append(f"{'Broken' if sure else 'Odd'} as well: {_listed(kinds)}.")
    return [*told, f"Do not retrain: {first.way_out}." if sure else f"Before a retrain, {first.way_out}."]


def _why(
    alarms: Sequence[Alarm],
    suspects: Sequence[Suspect],
    split: Decomposition | None,
    baseline: Baseline,
    unit: str,
) -> list[str]:
    """Return what is known of the cause and what it asks for, a sentence each."""
    kinds = {alarm.kind for alarm in alarms}
    fast = dict.fromkeys(alarm.column or "the rows" for alarm in alarms if alarm.fast and alarm.kind == "quality")
    parts = []
    if fast:
        columns = _listed(list(fast)[:3])
        parts.append(f"It came within one {unit}, as a broken pipeline does: check {columns} upstream first.")
    if kinds == {"volume"}:
        return [*parts, "A change of volume alone is no reason to retrain."]
    parts.append(_origin(split, baseline, noticed="error" in kinds))
    moved = [suspect.column for suspect in suspects if suspect.share >= 1 / (2 * SUSPECTS)][:3]
    if moved:
        parts.append(f"Inputs that moved most, by importance: {_listed(moved)}.")
    return parts


def _origin(split: Decomposition | None, baseline: Baseline, *, noticed: bool) -> str:
    """Return where a rise of the error comes from; `noticed` says that an alarm saw it."""
    if split is None:
        return f"Too few labels have come yet to {'tell why' if noticed else 'see what it does to the error'}."
    if split.x_share is None or split.yx_share is None or split.total <= 0:
        return "The labels do not yet tell why." if noticed else "The labels so far show no rise of the error."
    lead = "Mostly" if noticed else "The error rose with it; mostly"
    if split.yx_share < 0.5:
        return f"{lead} the inputs changed ({_part(split.x_share)}): more rows of kinds that the model finds hard."
    names = names_of(baseline.layout)
    where = [name for leaf in split.leaves[:1] for name in baseline.tree.path(leaf, (*names, "the score"))]
    inside = f", most where {_listed(where[:3])} set rows apart" if where else ""
    return (
        f"{lead} the relation of inputs to outcome changed ({_part(split.yx_share)}{inside}): "
        "the model has to learn it anew."
    )


def _part(share: float) -> str:
    return f"{min(share, 1.0):.0%} of the rise"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""
