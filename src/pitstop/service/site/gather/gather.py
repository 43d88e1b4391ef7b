"""Everything that pages show of one model, gathered from its home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pitstop.loop.accounts import Accounts, accounts_of
from pitstop.loop.recalling import facts_of
from pitstop.records.calendar import DAY, Calendar
from pitstop.records.spec import ModelSpec
from pitstop.service.site.gather import performance
from pitstop.service.site.gather.books import books
from pitstop.service.site.gather.evidence import clocks, evidence
from pitstop.service.site.gather.hindsight import policies
from pitstop.service.site.gather.incidents import Past, incidents
from pitstop.service.site.gather.power import no_power
from pitstop.service.site.gather.releases import releases, timeline_of
from pitstop.service.site.gather.served import served_rows
from pitstop.service.site.summaries import IncidentLine, Summary
from pitstop.store.home import Home
from pitstop.value.exposure import worth_by_window

# Days within which a change is "new" on the first page, at the end of what was taken in.
NEW = 1
KINDS = (
    *("spec", "baseline", "estimate", "alarm", "incident", "incident-growth", "decision", "comparison", "release"),
    *("refusal", "withdrawal", "order", "failure", "appraisal", "approval", "override"),
    *("assignment", "snooze", "comment", "disposition"),
)


def gather(home: Home, model: str, owner: str = "") -> Summary:
    """Return what pages show of a model; what it could not have seen is simulated apart (see `power`).

    Raises `UnknownNameError` for a model that the home does not know, and `StoreError` before its first model.
    """
    accounts = accounts_of(home, model)
    spec, facts = accounts.spec, facts_of(home, model)
    kept = {kind: home.artifacts(kind, model) for kind in KINDS}
    saved = home.load_state(model)
    state: Mapping[str, Any] = saved.values if saved else {}
    champions = [item for item in timeline_of(kept).releases if item.stage == "champion"]
    start = champions[0].at if champions else spec.calendar.window_start(facts.start or 0)
    rows = served_rows(home, spec, start)
    value = books(accounts, kept["appraisal"])
    past = Past(
        spec=spec,
        kept=kept,
        rows=rows,
        worth=worth_by_window(accounts.ledger.transactions),
        returns={item["id"]: item for item in value["releases"]},
        now=facts.now,
    )
    told = incidents(home, past, state)
    periods = performance.by_period(spec, rows, kept["estimate"])
    upkeep = {**releases(spec, kept, state), "policies": policies(spec, state)}
    signals = home.signals(model, spec.calendar.window_at(start), None, ["js_distance"])
    baseline = kept["baseline"][-1] if kept["baseline"] else None
    importance = baseline.content["importance"] if baseline else {}
    documents: dict[str, Mapping[str, Any]] = {
        "model": {
            "periods": periods,
            "metrics": list(performance.METRICS[spec.model.task]),
            "segments": performance.worst_segments(spec, rows),
            "maturity": performance.label_maturity(rows),
            "features": performance.features(
                [(window, item.column or "", item.value) for window, item in signals],
                importance,
                spec.calendar.windows_per_month,
            ),
            "marks": _marks(spec, upkeep),
            "incidents": [
                {"id": line.id, "at": line.at, "kind": line.kind, "state": line.state, **line.content}
                for line, _ in told
            ],
            "days": days(home, model, spec, start),
        },
        "value": value,
        "releases": upkeep,
        "evidence": evidence(home, facts),
        "power": no_power(baseline.id if baseline else ""),
        **{f"incident:{line.id}": document for line, document in told},
    }
    lines = [line for line, _ in told]
    last = {
        item.content["id"]: spec.calendar.window_start(item.content["last"])
        for item in (*kept["incident"], *kept["incident-growth"])
    }
    card = _card(spec, accounts, facts.now, periods, upkeep, lines, last, value)
    card |= {"model": model, "owner": owner, "clocks": clocks(facts), "journal": home.journal_head().size}
    return Summary(model, owner, card, lines, documents)


def days(home: Home, model: str, spec: ModelSpec, start: int) -> dict[str, list[Any]]:
    """Return the daily series behind the zoom: by window of arrival, realised and estimated, rows and labels."""
    calendar = spec.calendar
    main = performance.METRICS[spec.model.task][0 if spec.model.task != "binary" else 1]
    names = [f"realised_{main}", f"estimated_{main}", "rows", "labels"]
    table: dict[int, dict[str, float]] = {}
    for window, item in home.signals(model, calendar.window_at(start), None, names):
        table.setdefault(window, {})[item.name] = item.value
    windows = sorted(table)[-740:]
    found: dict[str, list[Any]] = {"at": [calendar.window_start(window) for window in windows]}
    for name in names:
        values = [table[window].get(name) for window in windows]
        found[name] = [round(value, 4) if value is not None and value == value else None for value in values]  # noqa: PLR0124 - NaN
    return found


def _marks(spec: ModelSpec, upkeep: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every change of the champion after the first model, oldest first."""
    served = [item for item in reversed(upkeep["timeline"]) if item["stage"] == "champion"]
    seen: set[str] = {served[0]["version"]} if served else set()
    marks = []
    for item in served[1:]:
        back = item["version"] in seen
        seen.add(item["version"])
        keys = ("id", "at", "when", "version", "reason", "rows")
        marks.append({**{key: item[key] for key in keys}, "back": back, "period": spec.calendar.period_at(item["at"])})
    return marks


def _card(
    spec: ModelSpec,
    accounts: Accounts,
    now: int,
    periods: list[dict[str, Any]],
    upkeep: Mapping[str, Any],
    lines: list[IncidentLine],
    last: Mapping[str, int],
    value: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the card; `last` is the opening of the window of each incident's last alarm."""
    calendar = spec.calendar
    main = performance.METRICS[spec.model.task][0]
    line = [item["realised"].get(main) for item in periods]
    known = next((item for item in reversed(periods) if item["realised"].get(main) is not None), None)
    newest = periods[-1] if periods else None
    foreseen = newest["estimated"].get(main) if newest else None
    open_now = [item for item in lines if item.state == "open"]
    return {
        "task": spec.model.task,
        "as_of": now,
        "as_of_text": calendar.name_instant(now),
        "window": calendar.window if isinstance(calendar.window, str) else "window",
        "period": calendar.period if isinstance(calendar.period, str) else "period",
        "currency": spec.value.currency,
        "champion": upkeep["champion"],
        "metric": main,
        "line": line[-24:],
        "realised": None if known is None else {"value": known["realised"][main], "period": known["name"]},
        "estimated": None if foreseen is None or newest is None else {**foreseen, "period": newest["name"]},
        "exposed": _exposed(accounts, lines),
        "open_incidents": len(open_now),
        "incidents": [{"id": item.id, "title": item.title, "kind": item.kind} for item in open_now[-3:]],
        "worst": _worst(lines, last, periods, main, upkeep, value),
        "held": upkeep["held"]["sentence"] if upkeep["held"] else "",
        "waiting": [{"version": item["version"], "stage": item["stage"]} for item in upkeep["waiting"]],
        "net": value["net"],
        "upkeep": value["upkeep"],
        "values": [item["net"] for item in value["periods"]][-24:],
        "changed": _changed(calendar, now, upkeep, lines),
    }


def _exposed(accounts: Accounts, lines: list[IncidentLine]) -> dict[str, float] | None:
    """Return what is lost a day by the incident that costs most: incidents overlap, so they are not added up."""
    states = {line.id: line.state for line in lines}
    found = [item for item in accounts.exposed if states.get(item.incident) == "open"]
    if not found:
        return None
    most = max(found, key=lambda item: item.a_day)
    return {"a_day": float(most.a_day), "low": float(most.low), "high": float(most.high), "days": most.days}


def _worst(
    lines: list[IncidentLine],
    last: Mapping[str, int],
    periods: list[dict[str, Any]],
    main: str,
    upkeep: Mapping[str, Any],
    value: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Return what a newcomer wants to understand first: the rise of the error in the model's worst period.

    Where none stood in it, the largest so far. Of a period half the labels have to be known. With what was released for
    it, and what that has earned since.
    """
    told = [line for line in lines if line.kind == "error"]
    if not told:
        return None
    mature = [
        item for item in periods if item["realised"].get(main) is not None and item["labelled"] >= 0.5 * item["rows"]
    ]
    pick = max if main == "mae" else min
    lowest = pick(mature, key=lambda item: item["realised"][main]) if mature else None
    within = [line for line in told if lowest and line.at < lowest["end"] and last[line.id] >= lowest["start"]]
    most = max(within or told, key=lambda line: line.content["size"])
    fixed = most.content.get("fixed")
    served = {item["id"] for item in upkeep["timeline"] if item["stage"] == "champion" and item["version"] == fixed}
    earned = [item["gain"] for item in value["releases"] if item["id"] in served]
    return {
        "id": most.id,
        "title": most.title,
        "state": most.state,
        **most.content,
        "lowest": {"period": lowest["name"], "value": lowest["realised"][main]} if lowest and within else None,
        "earned": earned[0] if earned else None,
    }


def _changed(
    calendar: Calendar, now: int, upkeep: Mapping[str, Any], lines: list[IncidentLine]
) -> list[dict[str, Any]]:
    """Return what happened since yesterday, newest first: incidents, releases, decisions."""
    since = now - NEW * (DAY if not calendar.by_rows else calendar.window_start(1) - calendar.window_start(0))
    found = [{"at": line.at, "text": line.title, "where": f"incidents/{line.id}"} for line in lines if line.at >= since]
    found += [
        {"at": item["at"], "text": f"{item['version']} {item['stage']}: {item['reason']}", "where": "releases"}
        for item in upkeep["timeline"]
        if item["at"] >= since
    ]
    found += [
        {"at": item["at"], "text": item["reason"], "where": "releases"}
        for item in upkeep["decisions"]
        if item["at"] >= since
    ]
    return sorted(found, key=lambda item: -item["at"])
