"""The first page, the list of incidents, and the search."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from pitstop.report import formats
from pitstop.report.sparkline import interval_bar
from pitstop.service.site import summaries
from pitstop.service.site.figures import METRIC_NAMES
from pitstop.service.site.rendering import page
from pitstop.service.site.shown import Site, actor, metric_line, value_line

STATES = ("open", "snoozed", "recovered", "closed", "all")


def today(site: Site, request: Request) -> HTMLResponse:
    """Show the models by value exposed, what waits for a person, and what is new."""
    place = _place(request)
    who = actor(request)
    with site.workspace.fleet.read() as connection:
        totals = summaries.totals(connection, who.models)
        cards = summaries.cards(connection, place, of=who.models)
        waiting = summaries.asking(connection, "waiting", of=who.models)
        clocks = summaries.asking(connection, "clocks", of=who.models)
        changed = summaries.asking(connection, "changed", 8, of=who.models)
        lines = summaries.incidents(connection, of=who.models, state="open", number=12)
    known = {card["model"] for card in cards}
    most = max((card["exposed"]["high"] for card in cards if card["exposed"]), default=0.0)
    new: list[Any] = []
    if totals["models"] < summaries.SHOWN:
        new = [item for item in site.workspace.models() if item.name not in known and who.sees(item.name)]
    return page(
        request,
        "today.html",
        totals=totals,
        rows=[
            {
                **card,
                "metric_name": METRIC_NAMES[card["metric"]],
                "metric_line": metric_line(card),
                "value_line": value_line(card),
                "exposed_bar": _bar(card, most),
            }
            for card in cards
        ],
        new=new,
        waiting=waiting,
        clocks=clocks,
        changed=changed,
        lines=lines,
        place=place,
        step=summaries.SHOWN,
        worst=next((card for card in cards if card["worst"]), None) if totals["models"] == 1 else None,
        metric_names=METRIC_NAMES,
        workspace=str(site.workspace.path),
    )


def incident_list(site: Site, request: Request) -> HTMLResponse:
    """Show incidents of all models or of one, a screenful at a time."""
    model = request.path_params.get("model", "")
    state = request.query_params.get("state", "all" if model else "open")
    state = state if state in STATES else "open"
    place, who = _place(request), actor(request)
    with site.workspace.fleet.read() as connection:
        # The outermost layer has seen to it that a model which is named is theirs.
        of, asked = frozenset({model}) if model else who.models, "" if state == "all" else state
        lines = summaries.incidents(connection, of=of, state=asked, place=place)
        number = summaries.count_incidents(connection, of=of, state=asked)
    shared: dict[str, Any] = {"lines": lines, "number": number, "state": state, "states": STATES, "place": place}
    shared["step"] = summaries.SHOWN
    if not model:
        return page(request, "incidents.html", model="", card=None, **shared)
    return site.show(request, "incidents.html", "/incidents", lambda _: shared)


def search(site: Site, request: Request) -> HTMLResponse:
    """Show the models and incidents that a search finds; only the list itself, where htmx asks."""
    words, who = request.query_params.get("q", "")[:200], actor(request)
    with site.workspace.fleet.read() as connection:
        models, lines = summaries.found(connection, words, of=who.models)
    template = "found.html" if request.headers.get("hx-request") else "search.html"
    return page(request, template, words=words, models=models, lines=lines)


def _place(request: Request) -> int:
    text = request.query_params.get("after", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0


def _bar(card: dict[str, Any], most: float) -> Any:
    found = card["exposed"]
    if not found or most <= 0:
        return ""
    low, value, high = found["low"], found["a_day"], found["high"]
    sentence = f"{formats.money(value)} {card['currency']} a day, {formats.money(low)} to {formats.money(high)}"
    return interval_bar(low, value, high, most, sentence)
