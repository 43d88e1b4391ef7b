"""Every chart as CSV and SVG, the rows of an incident to have labelled, and the static files."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pitstop.report.pictured import Pictured
from pitstop.service.site import figures, incident_figures, value_figures
from pitstop.service.site.gather.served import served_ids
from pitstop.service.site.model_pages import calendar_of, chosen_metric, chosen_range
from pitstop.service.site.rendering import assets
from pitstop.service.site.shown import Site
from pitstop.store.home import Home

TO_LABEL = 200
# The address of a static file changes with its content.
KEPT = {"cache-control": "public, max-age=31536000, immutable"}


def chart(site: Site, request: Request) -> Response:
    """Return a chart by its name as a file: `.csv` or `.svg`; the query is that of the page."""
    name, _, kind = request.path_params["name"].rpartition(".")
    model = request.path_params["model"]
    site.card(model)
    found = next((item for item in charts(site, request, model, name) if item is not None and item.name == name), None)
    if found is None or kind not in ("csv", "svg"):
        raise HTTPException(404, f"no chart {name[:100]!r} of {model!r}; the page that shows it links to its files")
    text, media = (found.csv(), "text/csv") if kind == "csv" else (found.svg(), "image/svg+xml")
    headers = {"content-disposition": attached(f"{model}-{name}.{kind}")}
    return Response(text, media_type=f"{media}; charset=utf-8", headers=headers)


def attached(name: str) -> str:
    r"""Return the header of an answer that is a file (RFC 6266): its name, and one in plain letters for old programs.

    >>> attached("hours.csv")
    'attachment; filename="hours.csv"'
    >>> attached("hours/día.csv")
    'attachment; filename="hours_d_a.csv"; filename*=UTF-8\'\'hours_d%C3%ADa.csv'
    """
    named = name.replace("/", "_")
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", named)
    more = "" if plain == named else f"; filename*=UTF-8''{quote(named, safe='')}"
    return f'attachment; filename="{plain}"{more}'


def charts(site: Site, request: Request, model: str, name: str) -> Iterator[Pictured | None]:
    """Iterate over the charts that a name may be one of; only the documents that they need are read."""
    if name.startswith(("incident-", "suspects-", "column-")):
        document = site.document(model, "incident:incident-" + name.rpartition("incident-")[2])
        marks = site.document(model, "model")["marks"]
        yield incident_figures.trouble(document, marks, calendar_of(site, model).name_instant)
        yield incident_figures.shares(document)
        yield from incident_figures.sides(document)
        return
    if name in ("weighing", "policies", "compared-segments"):
        document = site.document(model, "releases")
        yield figures.weighing(document, site.document(model, "model")["marks"])
        yield figures.policies(document)
        yield figures.compared_segments(document)
        return
    document = site.document(model, "model")
    if name.startswith("performance-"):
        metric = name.removeprefix("performance-")
        if metric in document["metrics"]:
            yield figures.performance(document, metric, *chosen_range(request, document))
        return
    yield figures.segments(document)
    yield figures.maturity(document, str(calendar_of(site, model).window))
    value = site.document(model, "value")
    yield value_figures.value_periods(value, document["marks"], *chosen_range(request, document))
    yield value_figures.bridge(value)
    yield value_figures.gained(value, document["marks"])
    yield value_figures.threshold(value)


def days(site: Site, request: Request) -> Response:
    """Return the daily series behind the zoom as JSON."""
    model = request.path_params["model"]
    site.card(model)
    document = site.document(model, "model")
    return JSONResponse(
        {
            **document["days"],
            "metric": chosen_metric(request, document),
            "by_rows": calendar_of(site, model).by_rows,
            "marks": [{"at": mark["at"], "version": mark["version"]} for mark in document["marks"]],
            "periods": [{"name": item["name"], "start": item["start"]} for item in document["periods"]],
        }
    )


def to_label(site: Site, request: Request) -> Response:
    """Return rows of an incident whose label is awaited, drawn by chance, so that their labels stand for all of them.

    The draw is seeded with the incident's id: asking again gives the same rows.
    """
    model, name = request.path_params["model"], request.path_params["incident"]
    document = site.document(model, f"incident:{name}")
    registered = site.registered(model)
    with Home.open(registered.home, read_only=True) as home:
        ids, at, score, decided = served_ids(home, registered.spec, document["since_instant"])
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    chosen: Any = np.sort(np.random.default_rng(seed).permutation(len(ids))[:TO_LABEL])
    calendar = calendar_of(site, model)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "predicted_at", "score", "prediction", "label"])
    writer.writerows(
        [ids[row], calendar.name_instant(int(at[row])), f"{score[row]:.6g}", decided[row], ""] for row in chosen
    )
    headers = {"content-disposition": f'attachment; filename="{model}-{name}-to-label.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def static(request: Request) -> Response:
    """Return a static file; its address holds the beginning of its digest."""
    found = assets().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404, "no such file")
    kind, content = found
    if hashlib.sha256(content).hexdigest()[:12] != request.path_params["digest"]:
        raise HTTPException(404, "this file has changed since; load the page again")
    return Response(content, media_type=kind, headers=KEPT)
