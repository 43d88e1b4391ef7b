"""Incidents as their pages show them: what happened, why, what was done about it, and what that earned."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from pitstop.incidents import QUIET_WINDOWS, Alarm
from pitstop.monitors.performance import wilson
from pitstop.profile import Layout, Profile
from pitstop.records.calendar import DAY
from pitstop.records.spec import ModelSpec
from pitstop.replays.distributions import drawn_cells
from pitstop.report.surveyed import rise
from pitstop.report.wording import amount, arrow, capitalised, most_telling, phrase
from pitstop.service.site.gather.handled import SAID, Handled, handled
from pitstop.service.site.gather.served import ServedRows
from pitstop.service.site.summaries import IncidentLine
from pitstop.store.home import ArtifactRecord, Home
from pitstop.value.exposure import Worth, exposure
from pitstop.value.returns import gain_of

# Windows shown before the onset, and after the last alarm.
BEFORE, AFTER = 90, 75
PICTURED = 5
# What an incident leads to: everything that names it, or something that it led to, as its cause.
STEPS = ("decision", "comparison", "release", "refusal", "withdrawal", "order", "failure")
_WITHIN = re.compile(r"labels within (\d+) ")
_SIGNALS = {"volume": "rows", "score": "output_js_distance", "drift": "js_distance"}
# What counts out-of-range and unknown values keeps no signal of its own; the distance of the column shows it.
_ODD = dict.fromkeys(("range", "unseen", "far", "stuck"), "js_distance")
_FAULTS = {"nulls": "null_rate", "duplicates": "duplicate_rate", **_ODD, "stuck_output": "output_js_distance"}


@dataclass(frozen=True)
class Past:
    """What all incidents of a model are told with: its artifacts by kind, rows, worth by window, and returns by id."""

    spec: ModelSpec
    kept: Mapping[str, Sequence[ArtifactRecord]]
    rows: ServedRows
    worth: Worth
    returns: Mapping[str, Mapping[str, Any]]
    now: int


def incidents(home: Home, past: Past, state: Mapping[str, Any]) -> list[tuple[IncidentLine, dict[str, Any]]]:
    """Return each incident as a line of a list and as the document of its page, in the order of opening."""
    newest: dict[str, Mapping[str, Any]] = {}
    for record in (*past.kept.get("incident", ()), *past.kept.get("incident-growth", ())):
        newest[record.content["id"]] = record.content
    alarms = {record.id: alarm_of(record.content) for record in past.kept.get("alarm", ())}
    layout = Layout.from_document(state["layout"]) if state.get("layout") else None
    said = sorted((item for kind in SAID for item in past.kept.get(kind, ())), key=lambda item: item.at)
    found = []
    for name, content in newest.items():
        mine = [alarms[alarm] for alarm in content["alarms"]]
        stand = handled(name, said)
        found.append(_told(home, past, content, mine, stand, _pairs(layout, state, name, content)))
    return found


def alarm_of(content: Mapping[str, Any]) -> Alarm:
    """Return the alarm that was kept."""
    return Alarm(**{**content, "caused_by": tuple(content["caused_by"])})


def _told(
    home: Home,
    past: Past,
    content: Mapping[str, Any],
    alarms: Sequence[Alarm],
    stand: Handled,
    pairs: list[dict[str, Any]],
) -> tuple[IncidentLine, dict[str, Any]]:
    calendar, name = past.spec.calendar, content["id"]
    unit = calendar.window if isinstance(calendar.window, str) else "window"
    first = most_telling(alarms)[0]
    kind = "break" if first.kind == "quality" and first.fast else first.kind
    steps = led_to(name, past.kept)
    served = [step for step in steps if step.kind == "release" and step.content["stage"] == "champion"]
    fixed = min((step.at for step in served), default=None)
    sizes = [(alarm.monitor, abs(alarm.size)) for alarm in alarms]
    recovered = calendar.window_at(past.now) - content["last"] > QUIET_WINDOWS
    state = stand.state(sizes, recovered=recovered)
    cost = _cost(past, content, calendar.window_at(fixed) if fixed is not None else None)
    headline = capitalised(phrase(first, unit))
    cause = content["cause"]
    brief = {
        "at": content["at"],
        "noticed": calendar.name_instant(content["at"]),
        "since": calendar.name_window(content["since"]),
        "last": calendar.name_window(content["last"]),
        "headline": headline,
        "brief": arrow(first, unit),
        "alarms": len(alarms),
        "assigned": stand.assigned,
        "cost": cost,
        "lost": _lost(past, content, fixed),
        "size": abs(first.size) if first.kind in ("error", "quality") else 0.0,
        "fixed": next((f"v{step.content['version']}" for step in served if step.at == fixed), ""),
    }
    split = cause.get("split")
    volume_only = all(alarm.kind == "volume" for alarm in alarms)
    document = {
        **brief,
        "id": name,
        "kind": kind,
        "recovered": recovered,
        "sentence": cause["sentence"],
        "explanation": cause["sentence"].removeprefix(headline).removeprefix(".").strip(),
        "since_instant": calendar.window_start(content["since"]),
        "suspects": [] if volume_only else list(cause["suspects"]),
        "split": None if volume_only or split is None else {**split, **{k: cause[k] for k in ("x_share", "yx_share")}},
        "breaks": [dict(item) for item in cause.get("breaks", ())],
        "risen": [capitalised(rise(item, past.spec.model.task)) for item in cause.get("segments", ())],
        "pairs": [] if volume_only else pairs,
        "alarm_rows": [
            {
                "id": alarm.id,
                "at": alarm.at,
                "noticed": calendar.name_instant(alarm.at),
                "since": calendar.name_window(alarm.since),
                "monitor": alarm.monitor,
                "size": abs(alarm.size),
                "change": arrow(alarm, unit),
                "amount": amount(alarm),
            }
            for alarm in alarms
        ],
        "chart": _chart(home, past, content, first),
        "steps": [_step(past, step) for step in steps],
        "earned": [past.returns[step.id] for step in served if step.id in past.returns],
    }
    line = IncidentLine(
        model=past.spec.model.name,
        id=name,
        at=content["at"],
        state=state,
        kind=kind,
        exposed=cost["a_day"] if cost and state == "open" else 0.0,
        title=headline,
        content=brief,
    )
    return line, document


def led_to(incident: str, kept: Mapping[str, Sequence[ArtifactRecord]]) -> list[ArtifactRecord]:
    """Return the steps that followed from an incident: decisions that weighed it, what they caused, and so on.

    A decision weighs all open incidents, and what a retrain causes goes on for ever: the walk ends at the release that
    serves, so that an incident shows what it led to and not the rest of the model's life.
    """
    steps = sorted((item for kind in STEPS for item in kept.get(kind, ())), key=lambda item: item.at)
    reached, found = {incident}, []
    for item in steps:
        if not reached.intersection(item.caused_by):
            continue
        found.append(item)
        serves = item.kind == "release" and item.content["stage"] in ("champion", "retired", "rolled_back")
        kept_on = item.kind == "decision" and item.content["action"] == "keep"
        if not serves and not kept_on:
            reached.add(item.id)
    return found


_DECIDED = {"retrain": "Decided to retrain", "ask_for_labels": "Asked for labels"}


def _step(past: Past, item: ArtifactRecord) -> dict[str, Any]:
    content, calendar = item.content, past.spec.calendar
    titles = {
        "decision": _DECIDED.get(str(content.get("action")), "Decided to wait"),
        "comparison": f"Compared on {content.get('rows', 0):,} labelled rows: {content.get('verdict', '')}",
        "release": f"v{content.get('version', '')} {str(content.get('stage', '')).replace('_', ' ')}",
        "refusal": "Release held up",
        "withdrawal": "Release given up",
        "order": f"{content.get('by', '')} ordered: {content.get('action', '')}",
        "failure": "The fit failed",
    }
    text = content.get("reason") or content.get("sentence") or content.get("message") or ""
    return {
        "id": item.id,
        "kind": item.kind,
        "at": item.at,
        "when": calendar.name_instant(item.at),
        "title": titles[item.kind],
        "text": text,
        "act": item.kind in ("release", "order") or content.get("action") == "retrain",
        "serves": item.kind == "release" and content["stage"] == "champion",
    }


def _cost(past: Past, content: Mapping[str, Any], fixed: int | None) -> dict[str, Any] | None:
    """Return what the incident cost a day, from its onset until another model served (or its last alarm)."""
    end = min(window for window in (fixed, content["last"] + AFTER) if window is not None)
    calendar = past.spec.calendar
    length = 1.0 if calendar.by_rows else (calendar.window_start(1) - calendar.window_start(0)) / DAY
    known = {window: item for window, item in past.worth.items() if window < end}
    days = max(1.0, (end - content["since"]) * length)
    found = exposure(content["id"], content["since"], known, days=days, windows_a_day=1 / length)
    if found is None or found.a_day <= 0:
        return None
    low, high = float(found.low), float(found.high)
    total = float(found.a_day * Decimal(days))
    return {"a_day": float(found.a_day), "low": low, "high": high, "days": days, "total": total}


def _lost(past: Past, content: Mapping[str, Any], fixed: int | None) -> dict[str, Any] | None:
    """Return what the freshest candidate would have earned more, from the onset until another model served.

    Both are judged on the same labelled rows, which neither was trained on. None before a period is appraised.
    """
    calendar = past.spec.calendar
    end = content["last"] + 1 if fixed is None else calendar.window_at(fixed)
    blocks = [
        block
        for item in past.kept.get("appraisal", ())
        for block in item.content["fresh_over_served"]
        if content["since"] <= block[0] < end
    ]
    if not blocks:
        return None
    found = gain_of(blocks)
    ends = {side: None if value is None else float(value) for side, value in (("low", found.low), ("high", found.high))}
    return {"total": float(found.total), "rows": found.rows, **ends}


def _pairs(
    layout: Layout | None, state: Mapping[str, Any], name: str, content: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the suspects' distributions before and since, as shares of the same cells; [] where none were kept."""
    if layout is None or f"before.{name}" not in state:
        return []
    before, after = (Profile.unpack(layout, state[f"{side}.{name}"].tobytes()) for side in ("before", "after"))
    found = []
    for suspect in content["cause"]["suspects"][:PICTURED]:
        old, new = before.features[suspect["column"]], after.features[suspect["column"]]
        if old.counts.sum() == 0 or new.counts.sum() == 0:
            continue
        cells, starts = drawn_cells(old)
        sides = [(np.add.reduceat(side.counts, starts) / side.counts.sum()).tolist() for side in (old, new)]
        found.append({"column": suspect["column"], "cells": list(cells), "before": sides[0], "after": sides[1]})
    return found


def _chart(home: Home, past: Past, content: Mapping[str, Any], alarm: Alarm) -> dict[str, Any]:
    """Return the series that the incident is about, around it: the error by week of prediction, else its signal."""
    spec, calendar = past.spec, past.spec.calendar
    start, stop = content["since"] - BEFORE, content["last"] + AFTER
    step = max(1, calendar.windows_per_month // 4)
    if alarm.kind == "error" and spec.model.task != "regression":
        late = _WITHIN.search(alarm.indicator)
        age = int(late[1]) if late else None
        points = _error_points(past, start, stop, step, age)
        within = f" (labels within {age} {calendar.window}s)" if age is not None else ""
        return {
            "title": f"Error of the model's decisions{within}",
            "unit": "share of decisions that were wrong",
            **points,
        }
    prefix = alarm.monitor.partition(":")[0]
    signal = _FAULTS.get(prefix) or _SIGNALS.get(alarm.kind, "realised_error")
    rows = [
        (window, item.value)
        for window, item in home.signals(spec.model.name, start, stop, [signal])
        if item.column in (alarm.column, None) and np.isfinite(item.value)
    ]
    groups: dict[int, list[float]] = {}
    for window, value in rows:
        groups.setdefault((window - start) // step, []).append(value)
    points = {
        "points": [
            [calendar.window_start(start + group * step), float(np.mean(values)), None, None]
            for group, values in sorted(groups.items())
        ]
    }
    title = signal.replace("_", " ").replace("js distance", "distance from the reference")
    where = f"{alarm.column}: " if alarm.column else ""
    unit = "rows" if signal == "rows" else "share of rows" if "rate" in signal else "Jensen-Shannon distance"
    return {"title": f"{where}{title}", "unit": f"{unit}, mean of a week" if step > 1 else unit, **points}


def _error_points(past: Past, start: int, stop: int, step: int, age: int | None) -> dict[str, Any]:
    rows, calendar = past.rows, past.spec.calendar
    inside = rows.known & (rows.window >= start) & (rows.window < stop)
    # The alarm compares cohorts of one age; with later labels the picture would show another error than the sentence.
    inside &= rows.lag <= (age if age is not None else rows.lag)
    group = (rows.window[inside] - start) // step
    wrong = rows.label[inside] != rows.decided[inside]
    points = []
    for number in sorted({int(value) for value in group}):
        mine = group == number
        n, bad = int(mine.sum()), int(wrong[mine].sum())
        low, high = wilson(bad, n)
        points.append([calendar.window_start(start + number * step), bad / n, low, high])
    return {"points": points}
