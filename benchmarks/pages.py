"""The pages with 500 models, two years of days and 5,000 incidents: server time, weight, first paint.

The fleet is made by `pages_fleet`: summaries of the shape that the demo's have, for 500 models of one home that holds
signals and profiles of each. The service answers on the loopback address, as in use. Its time is by the clock, so it
wants an idle machine; the processor's stands beside it, which a busy one does not stretch. Paint is Chromium's own.
"""

from __future__ import annotations

import gzip
import http.client
import random
import re
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from benchmarks.pages_fleet import Fleet, make_fleet
from benchmarks.result import Bar, Result
from pitstop.service.app import create_app
from pitstop.service.settings import Settings
from pitstop.service.site.routes import site_routes
from pitstop.service.workspace import Workspace

MODELS, DAYS, INCIDENTS = 500, 730, 5_000
TRIES = 30
CHROMIUM = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)


def run(quick: bool, data: Path | None) -> Result:  # noqa: ARG001 - the frame's signature; the fleet is made here
    """Make the fleet, ask for every page of random models, then look at the pages with Chromium."""
    tries = 10 if quick else TRIES
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        fleet = make_fleet(Path(folder), models=MODELS, days=DAYS, incidents=INCIDENTS, signals=2 if quick else 10)
        made = time.perf_counter() - began
        with Workspace.open(fleet.workspace, create=False) as workspace, _served(workspace) as port:
            rows = [_asked(port, name, fleet, tries) for name in PAGES]
            painted = _painted(port, fleet, tries=3)
    for row in rows:
        row["first paint ms"] = painted.get(row["page"])
    rows.append({"page": "(making the fleet)", "s": made})
    slowest = max(row["median ms"] for row in rows if "median ms" in row)
    heaviest = max(row["weight kB"] for row in rows if "weight kB" in row)
    paints = [painted[name] for name in PAGES] if painted else []
    return Result(
        tuple(rows),
        (
            Bar(
                "pages.1a",
                slowest,
                150.0,
                text="milliseconds of the slowest page at the server, median",
            ),
            Bar("pages.1b", max(paints) if paints else None, 1_000.0, text="milliseconds to the first paint, median"),
            Bar("pages.1c", heaviest, 250.0, text="kilobytes of the heaviest page, compressed, assets and all"),
        ),
    )


_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
PAGES = {
    "today": "/",
    "today, the last page": "/?after=450",
    "incidents": "/incidents?state=all",
    "search": "/search?q=error",
    "model": "/models/{model}",
    "incidents of a model": "/models/{model}/incidents",
    "incident": "/models/{model}/incidents/{incident}",
    "releases": "/models/{model}/releases",
    "value": "/models/{model}/value",
    "evidence": "/models/{model}/evidence",
}


@contextmanager
def _served(workspace: Workspace) -> Iterator[int]:
    """Serve without the schedule: its ticks of 500 models would be what is measured."""

    def none(*_: Any, **__: Any) -> Any:
        raise NotImplementedError

    settings = Settings(port=0)
    server = uvicorn.Server(
        uvicorn.Config(create_app(workspace, settings, pages=site_routes(workspace, none)), port=0, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join()


def _asked(port: int, name: str, fleet: Fleet, tries: int) -> dict[str, Any]:
    chosen = random.Random(name)
    times, burnt, body, encoded = [], [], b"", 0
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for place in range(tries + 2):
        model = chosen.choice(fleet.models)
        path = PAGES[name].format(model=model, incident=chosen.choice(fleet.incidents[model]))
        began, spent = time.perf_counter(), time.process_time()
        connection.request("GET", path, headers={"accept-encoding": "gzip", "accept": "text/html"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            msg = f"{path} answers {answer.status}"
            raise AssertionError(msg)
        # The first two warm up templates and caches of the database.
        if place >= 2:
            times.append(1e3 * (time.perf_counter() - began))
            burnt.append(1e3 * (time.process_time() - spent))
        encoded = len(content)
        body = gzip.decompress(content) if answer.headers.get("content-encoding") == "gzip" else content
    weight = encoded
    for asset in set(re.findall(rb'(?:href|src)="(/static/[^"]+)"', body)):
        connection.request("GET", asset.decode(), headers={"accept-encoding": "gzip"})
        weight += len(connection.getresponse().read())
    connection.close()
    return {
        "page": name,
        "processor ms": statistics.median(burnt),
        "median ms": statistics.median(times),
        "slowest ms": max(times),
        "html kB": encoded / 1e3,
        "weight kB": weight / 1e3,
    }


def _painted(port: int, fleet: Fleet, tries: int) -> dict[str, float]:
    """Return the first contentful paint of each page, the median of some tries with an empty cache; {} without one."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a package of its own, absent on most machines
    except ImportError:
        return {}
    if CHROMIUM is None:
        return {}
    model = fleet.models[len(fleet.models) // 2]
    found = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, path in PAGES.items():
            address = path.format(model=model, incident=fleet.incidents[model][0])
            paints = []
            for _ in range(tries):
                context = browser.new_context()
                page = context.new_page()
                page.goto(f"http://127.0.0.1:{port}{address}")
                # A page may have loaded before it is painted.
                while (paint := page.evaluate(_FIRST_PAINT)) is None:
                    page.wait_for_timeout(20)
                paints.append(paint)
                context.close()
            found[name] = float(statistics.median(paints))
        browser.close()
    return found
