"""Alarms, and the incidents that they belong to.

An alarm is one stream's finding; an incident is what a person looks at. Alarms are grouped by *onset*: two alarms
whose estimated starts lie within a week of each other are taken to have one cause, and so are those of one window that
`pitstop.detection.together` puts together. They are not grouped by a shared monitor, because linking by monitor joins
everything to one endless incident in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pitstop.detection.streams import Finding
from pitstop.detection.together import together
from pitstop.records.identity import artifact_id

# Onsets at most this many windows apart are one incident (two, where a window is a week).
ONSET_WINDOWS = 7
# After this many windows without an alarm of its own, an incident has recovered; a later alarm opens a new one.
QUIET_WINDOWS = 28
# A change that stays crosses its threshold again every few windows; it is told again after this many, once a week by
# days, soon enough for its incident to stay open.
REPEAT_WINDOWS = 7
# What comes back within so many windows after it recovered is the same trouble again, not another one.
REGRESSED_WINDOWS = 90

Condition = Literal["new", "ongoing", "escalating", "regressed", "recovered"]


@dataclass(frozen=True)
class Alarm:
    """One stream crossed its threshold at the end of `window`.

    `since` is the estimated first window of the change, `size` the observed minus the expected share of `indicator`,
    with the interval `low`..`high`; `evidence` is in units of the threshold. `fast` marks the one-window path for
    upstream breaks.
    """

    id: str
    at: int
    window: int
    monitor: str
    kind: str
    column: str | None
    indicator: str
    since: int
    observed: float
    expected: float
    size: float
    low: float
    high: float
    evidence: float
    fast: bool
    caused_by: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What was seen, in one clause."""
        subject = {"error": "the model's error", "volume": "the number of rows"}.get(self.kind, self.indicator)
        if self.kind == "volume":
            return f"{subject} went from {self.expected:.0f} to {self.observed:.0f} a window"
        where = f"{self.column}: " if self.column and self.column not in subject else ""
        return f"{where}{subject} went from {self.expected:.1%} to {self.observed:.1%}"


def alarm_from(finding: Finding, at: int, caused_by: tuple[str, ...]) -> Alarm:
    """Return the alarm of a finding. Its id digests what was seen, when, and against which baseline."""
    stream = finding.stream
    seen = {
        "monitor": stream.name,
        "window": finding.window,
        "indicator": finding.indicator,
        "since": finding.since,
        "observed": finding.observed,
        "caused_by": caused_by,
    }
    return Alarm(
        id=artifact_id("alarm", seen),
        at=at,
        window=finding.window,
        monitor=stream.name,
        kind=stream.kind,
        column=stream.column,
        indicator=finding.indicator,
        since=finding.since,
        observed=finding.observed,
        expected=finding.expected,
        size=finding.observed - finding.expected,
        low=finding.low,
        high=finding.high,
        evidence=finding.evidence,
        fast=finding.fast,
        caused_by=caused_by,
    )


def repeats(alarm: Alarm, earlier: Iterable[Alarm]) -> bool:
    """Whether the same was told lately: this monitor, against this baseline, in this direction, as urgently.

    Leaving such an alarm out keeps the promise, which bounds the number of alarms from above.
    """
    return any(
        alarm.window - told.window < REPEAT_WINDOWS
        and (told.monitor, told.caused_by) == (alarm.monitor, alarm.caused_by)
        and (told.size > 0) == (alarm.size > 0)
        and told.fast >= alarm.fast
        for told in earlier
    )


def told(
    findings: Iterable[Finding], at: int, caused_by: tuple[str, ...], earlier: Iterable[Alarm]
) -> tuple[tuple[Alarm, ...], ...]:
    """Return the alarms of one window in groups of one cause, without those that repeat an `earlier` one.

    Of a group, what broke in this window comes first: it says which incident the others go to. A drift that has had an
    incident for weeks would take a pipeline's break of today into it.
    """
    before = tuple(earlier)
    groups = [[alarm_from(finding, at, caused_by) for finding in group] for group in together(findings)]
    new = (tuple(alarm for alarm in group if not repeats(alarm, before)) for group in groups)
    return tuple(tuple(sorted(group, key=lambda alarm: not _broke(alarm))) for group in new if group)


def _broke(alarm: Alarm) -> bool:
    return alarm.fast and alarm.kind == "quality"


@dataclass(frozen=True)
class Incident:
    """Alarms with one onset. The opening alarm gives it its id; later alarms and causes are later artifacts.

    `since` is the earliest onset among the alarms of its first week, `last` the window of its newest alarm.
    """

    id: str
    at: int
    opened: int
    since: int
    last: int
    onset: int
    alarms: tuple[str, ...]
    monitors: tuple[str, ...]
    caused_by: tuple[str, ...]

    def is_open(self, window: int) -> bool:
        """Whether it had an alarm in the last `QUIET_WINDOWS` windows."""
        return window - self.last <= QUIET_WINDOWS

    def takes(self, alarm: Alarm) -> bool:
        """Whether an alarm belongs here: same onset, or the same stream alarming again while the incident is open."""
        if not self.is_open(alarm.window):
            return False
        again = alarm.monitor in self.monitors and alarm.since <= self.last + ONSET_WINDOWS
        return again or abs(alarm.since - self.onset) <= ONSET_WINDOWS


def grouped(
    incidents: Iterable[Incident], alarm: Alarm, beside: str = ""
) -> tuple[tuple[Incident, ...], Incident, bool]:
    """Add an alarm to the incident that takes it (the one with the nearest onset), or open a new one.

    `beside` is the id of the incident that another alarm of the same window and cause has gone to
    (`pitstop.detection.together`); this one goes there, too. Returns all incidents in order of opening, the one that
    took the alarm, and whether it is new.
    """
    known = tuple(incidents)
    takers = [incident for incident in known if incident.id == beside]
    takers = takers or [incident for incident in known if incident.takes(alarm)]
    if not takers:
        opened = Incident(
            id=artifact_id("incident", {"opened_by": alarm.id}),
            at=alarm.at,
            opened=alarm.window,
            since=alarm.since,
            last=alarm.window,
            onset=alarm.since,
            alarms=(alarm.id,),
            monitors=(alarm.monitor,),
            caused_by=(alarm.id,),
        )
        return (*known, opened), opened, True
    nearest = min(takers, key=lambda incident: (abs(incident.onset - alarm.since), incident.opened))
    # What began long before, and came only because it is about the same column, does not date it.
    dates = alarm.window - nearest.opened <= ONSET_WINDOWS and nearest.onset - alarm.since <= ONSET_WINDOWS
    grown = replace(
        nearest,
        last=max(nearest.last, alarm.window),
        since=min(nearest.since, alarm.since) if dates else nearest.since,
        alarms=(*nearest.alarms, alarm.id),
        monitors=tuple(dict.fromkeys((*nearest.monitors, alarm.monitor))),
    )
    return tuple(grown if incident.id == grown.id else incident for incident in known), grown, False


def condition(incident: Incident, alarms: Mapping[str, Alarm], incidents: Iterable[Incident], window: int) -> Condition:
    """Return how an incident stands at the end of `window`; the first that applies of what follows.

    recovered: no alarm for `QUIET_WINDOWS`. escalating: the newest alarm of a monitor is surely larger than its first
    was when it was told (its 95% interval lies beyond that size, same indicator, direction and baseline). regressed: a
    monitor alarms in the same direction as in an earlier incident that had recovered, at most `REGRESSED_WINDOWS`
    after that one's last alarm. new: opened within `REPEAT_WINDOWS`. Else ongoing. `alarms` by id, of all `incidents`.
    """
    if not incident.is_open(window):
        return "recovered"
    own = [alarms[name] for name in incident.alarms]
    if any(_grown(alarm, own) for alarm in own):
        return "escalating"
    told = {(alarm.monitor, alarm.size > 0) for alarm in own}
    for other in incidents:
        quiet = incident.opened - other.last
        if other.id != incident.id and QUIET_WINDOWS < quiet <= REGRESSED_WINDOWS:
            before = {(alarms[name].monitor, alarms[name].size > 0) for name in other.alarms}
            if told & before:
                return "regressed"
    return "new" if window - incident.opened <= REPEAT_WINDOWS else "ongoing"


def _grown(newest: Alarm, alarms: Iterable[Alarm]) -> bool:
    """Whether an alarm is the newest of its monitor, and surely larger than the first of the same change."""
    of_monitor = [alarm for alarm in alarms if alarm.monitor == newest.monitor]
    same = [
        alarm
        for alarm in of_monitor
        if (alarm.indicator, alarm.caused_by, alarm.size > 0) == (newest.indicator, newest.caused_by, newest.size > 0)
    ]
    first = min(same, key=lambda alarm: alarm.window)
    least = newest.low if newest.size > 0 else -newest.high
    return newest.window == max(alarm.window for alarm in of_monitor) and least > abs(first.size)
