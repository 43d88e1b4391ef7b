"""Broken data: which rows no candidate may learn from, and when to mend a pipeline instead of retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from pitstop.diagnosis.breaks import SURE
from pitstop.diagnosis.breaks import Break as Fault
from pitstop.incidents import REPEAT_WINDOWS, Alarm, Incident
from pitstop.loop.kept import Kept
from pitstop.records.calendar import Calendar
from pitstop.records.identity import artifact_id

# What has been so for this many windows is not broken any more: it is how the data are now, and is to be learnt.
MOST_WINDOWS = 28


@dataclass(frozen=True)
class Break:
    """Rows predicted in windows `first` to `last` (included) came through a broken pipeline.

    `incident` is what saw it, `columns` are those that broke, `said` is the first alarm in words and how many columns
    broke with it, and `standing` says whether it still goes on. `way_out` is what mends it, "" where the alarm tells no
    more than that it broke.
    """

    incident: str
    columns: tuple[str, ...]
    first: int
    last: int
    said: str
    standing: bool
    way_out: str = ""

    def span(self, calendar: Calendar) -> tuple[int, int]:
        """Return the instants of prediction that are left out, half open."""
        return calendar.window_start(self.first), calendar.window_start(self.last + 1)

    def why_not(self, calendar: Calendar) -> str:
        """Return why nothing is to be retrained while it stands."""
        since = calendar.name_instant(calendar.window_start(self.first))
        told = f"data are broken since {since} ({self.said}); mend that upstream first"
        return f"{told}: {self.way_out}" if self.way_out else told

    def to_state(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return what `to_state` described."""
        return cls(**{**state, "columns": tuple(state["columns"])})


def breaks_of(incidents: Sequence[Incident], alarms: Mapping[str, Alarm], window: int) -> tuple[Break, ...]:
    """Return the breaks known at the opening of `window`.

    A break is an incident with a quality alarm that came within one window, as pipelines break; drift comes slower and
    is to be learnt. It goes on until a week has passed since the incident's last alarm, but for
    `MOST_WINDOWS` at most.
    """
    found = []
    for incident in incidents:
        fast = [alarms[name] for name in incident.alarms if alarms[name].fast and alarms[name].kind == "quality"]
        if not fast:
            continue
        first = min(alarm.since for alarm in fast)
        # An alarm that goes on is told again after a week; without one it is over, at a day that nobody saw.
        end = min(incident.last + REPEAT_WINDOWS, first + MOST_WINDOWS - 1)
        columns = tuple(dict.fromkeys(alarm.column for alarm in fast if alarm.column))
        more = len(columns) - 1
        said = fast[0].sentence + (
            f", and {more} more column{'s' if more > 1 else ''} broke with it" if more > 0 else ""
        )
        found.append(Break(incident.id, columns, first, min(end, window - 1), said, standing=window - 1 <= end))
    return tuple(found)


def faults_of(incidents: Sequence[Incident], found: Mapping[str, Sequence[Fault]], window: int) -> tuple[Break, ...]:
    """Return the breaks whose cause is known, at the opening of `window`: a fault of a pipeline was found for sure.

    `found` are the faults behind each incident, the most certain first. Such a break begins with its incident, however
    slowly that came, and ends as every break does.
    """
    breaks = []
    for incident in incidents:
        sure = [fault for fault in found.get(incident.id, ()) if fault.certainty >= SURE]
        if not sure:
            continue
        end = min(incident.last + REPEAT_WINDOWS, incident.since + MOST_WINDOWS - 1)
        columns = tuple(dict.fromkeys(fault.column for fault in sure if fault.column))
        breaks.append(
            Break(
                incident.id,
                columns,
                incident.since,
                min(end, window - 1),
                sure[0].sentence.rstrip("."),
                standing=window - 1 <= end,
                way_out=sure[0].way_out,
            )
        )
    return tuple(breaks)


def keep_quarantine(broken: Break, at: int, calendar: Calendar) -> Kept:
    """Return the one record of a break: from when on rows are left out of training, and why."""
    content = {
        "incident": broken.incident,
        "columns": list(broken.columns),
        "from": calendar.name_instant(calendar.window_start(broken.first)),
        "reason": broken.said,
        "most_windows": MOST_WINDOWS,
    }
    return Kept("quarantine", artifact_id("quarantine", {**content, "at": at}), at, (broken.incident,), content)
