"""The pages of one model: how it is, an incident, its releases, its value, its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from pitstop.records.calendar import Calendar
from pitstop.report import formats
from pitstop.report.sparkline import sparkline
from pitstop.service.auth.separation import MAY_ORDER
from pitstop.service.site import figures, incident_figures, summaries, value_figures
from pitstop.service.site.gather.handled import SAID
from pitstop.service.site.shown import WRITERS, Site, may
from pitstop.store.home import Home


def model_page(site: Site, request: Request) -> HTMLResponse:
    """Show how a model is: performance, value, features, segments, labels, power."""

    def build(card: Mapping[str, Any]) -> dict[str, Any]:
        model = card["model"]
        document, value = site.document(model, "model"), site.document(model, "value")
        metric = chosen_metric(request, document)
        first, last = chosen_range(request, document)
        names = [item["name"] for item in document["periods"]]
        within = [item for item in document["periods"] if first <= item["period"] <= last]
        start = within[0]["start"] if within else 0
        end = within[-1]["end"] if within else 0
        return {
            "metric": metric,
            "metrics": [(name, figures.METRIC_NAMES[name]) for name in document["metrics"]],
            "names": names,
            "first": within[0]["name"] if within else "",
            "last": within[-1]["name"] if within else "",
            "query": request.url.query,
            "charts": [
                figures.performance(document, metric, first, last),
                value_figures.value_periods(value, document["marks"], first, last),
            ],
            "marks": [
                {**mark, "number": number}
                for number, mark in enumerate(document["marks"], start=1)
                if first <= mark["period"] <= last
            ],
            "earned": {item["id"]: item for item in value["releases"]},
            "incidents": [
                {**item, "letter": figures.letter(place)}
                for place, item in enumerate(document["incidents"])
                if start <= item["at"] < end
            ],
            "features": [
                {
                    **item,
                    "spark": sparkline(
                        item["line"],
                        f"distance by week, now {formats.metric(item['distance'])}",
                        zero=True,
                        style="data",
                    ),
                }
                for item in document["features"]
            ],
            "segments": figures.segments(document),
            "maturity": figures.maturity(document, card["window"]),
            "power": site.document(model, "power"),
            "coverage": within[-1] if within else None,
        }

    return site.show(request, "model.html", "", build)


def incident_page(site: Site, request: Request) -> HTMLResponse:
    """Show one incident: what happened, why, what was done, what that earned, and what a person can do."""

    def build(card: Mapping[str, Any]) -> dict[str, Any]:
        model, name = card["model"], request.path_params["incident"]
        document = site.document(model, f"incident:{name}")
        marks = site.document(model, "model")["marks"]
        calendar = calendar_of(site, model)
        with Home.open(site.registered(model).home, read_only=True) as home:
            said = [item for kind in SAID for item in home.artifacts(kind, model) if item.content["item"] == name]
        steps = timeline(document, said, calendar)
        with site.workspace.fleet.read() as connection:
            line = summaries.incident(connection, model, name)
        return {
            "document": document,
            "state": line["state"] if line else "open",
            "assigned": line["assigned"] if line else "",
            "chart": incident_figures.trouble(document, marks, calendar.name_instant),
            "shares": incident_figures.shares(document),
            "sides": incident_figures.sides(document),
            "steps": steps,
            "can": may(request, *WRITERS),
            "can_order": may(request, *MAY_ORDER["retrain"]),
            "can_roll_back": may(request, *MAY_ORDER["rollback"]),
            "target": site.document(model, "releases")["target"],
            "trains": site.document(model, "releases")["trains"],
        }

    return site.show(request, "incident.html", "/incidents", build)


def releases_page(site: Site, request: Request) -> HTMLResponse:
    """Show what serves, what waits, what was decided and why, and let those who may act."""

    def build(card: Mapping[str, Any]) -> dict[str, Any]:
        document = site.document(card["model"], "releases")
        value = site.document(card["model"], "value")
        return {
            "document": document,
            "weighing": figures.weighing(document, site.document(card["model"], "model")["marks"]),
            "policies": figures.policies(document),
            "segments": figures.compared_segments(document),
            "earned": {item["id"]: item for item in value["releases"]},
            "can_order": may(request, *MAY_ORDER["retrain"]),
            "can_release": may(request, *MAY_ORDER["release"]),
            "can_retire": may(request, *MAY_ORDER["retire"]),
            "can_roll_back": may(request, *MAY_ORDER["rollback"]),
        }

    return site.show(request, "releases.html", "/releases", build)


def value_page(site: Site, request: Request) -> HTMLResponse:
    """Show the books: sums, estimated against realised, what retraining earned, the threshold."""

    def build(card: Mapping[str, Any]) -> dict[str, Any]:
        document = site.document(card["model"], "value")
        model = site.document(card["model"], "model")
        first, last = chosen_range(request, model)
        return {
            "document": document,
            "bridge": value_figures.bridge(document),
            "charts": [
                value_figures.value_periods(document, model["marks"], first, last),
                value_figures.gained(document, model["marks"]),
            ],
            "threshold": value_figures.threshold(document),
        }

    return site.show(request, "value.html", "/value", build)


def evidence_page(site: Site, request: Request) -> HTMLResponse:
    """Show what is on record: checklists, who did what, the journal."""

    def build(card: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "document": site.document(card["model"], "evidence"),
            "verified": request.query_params.get("verified", ""),
            "can": may(request, *WRITERS, "auditor"),
        }

    return site.show(request, "evidence.html", "/evidence", build)


def to_model(request: Request) -> RedirectResponse:
    """Lead an address with a slash at its end to the one without."""
    return RedirectResponse(f"/models/{request.path_params['model']}", 308)


def calendar_of(site: Site, model: str) -> Calendar:
    """Return how a model counts time."""
    time = site.registered(model).spec.time
    return Calendar(time.window, time.period)


def chosen_metric(request: Request, document: Mapping[str, Any]) -> str:
    """Return the metric in the address, the first of the task's where there is none or another one."""
    asked = request.query_params.get("metric", "")
    metrics: list[str] = document["metrics"]
    return asked if asked in metrics else metrics[0]


def chosen_range(request: Request, document: Mapping[str, Any]) -> tuple[int, int]:
    """Return the first and the last period in the address, all of them where there are none."""
    numbers = {item["name"]: item["period"] for item in document["periods"]}
    if not numbers:
        return 0, 0
    ends = sorted(numbers.values())
    first = numbers.get(request.query_params.get("from", ""), ends[0])
    last = numbers.get(request.query_params.get("to", ""), ends[-1])
    return min(first, last), max(first, last)


def timeline(document: Mapping[str, Any], said: Any, calendar: Calendar) -> list[dict[str, Any]]:
    """Return every step of an incident in the order of time: alarms, what the loop did, what people said."""
    steps = [
        {
            "at": alarm["at"],
            "when": alarm["noticed"],
            "title": f"Alarm: {alarm['change']}",
            "text": f"{alarm['amount']}, since about {alarm['since']}",
            "kind": "alarm",
            "by": "",
            "act": False,
            "recorded": "",
        }
        for alarm in document["alarm_rows"]
    ]
    steps += [{**step, "by": "", "recorded": ""} for step in document["steps"]]
    titles = {
        "assignment": "assigned it to {to}",
        "snooze": "snoozed it until it gets worse",
        "comment": "wrote",
        "disposition": "closed it",
    }
    steps += [
        {
            "at": item.at,
            "when": calendar.name_instant(item.at),
            "title": titles[item.kind].format(to=item.content.get("to") or "nobody"),
            "text": item.content["text"],
            "kind": item.kind,
            "by": item.content["by"],
            "act": False,
            "recorded": (item.content.get("observed") or {}).get("recorded", ""),
        }
        for item in said
    ]
    return sorted(steps, key=lambda item: (item["at"], item["recorded"]))
