"""A fleet for the benchmark of pages: a walked piece of the demo, repeated under many names over two years of days."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pitstop.data import hotel_bookings_path, hotel_bookings_spec
from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.replays.replay import replay
from pitstop.service.fleet import FLEET
from pitstop.service.site import summaries
from pitstop.service.site.gather.gather import gather
from pitstop.service.site.gather.power import power
from pitstop.service.workspace import Workspace
from pitstop.store.catalog import SqliteCatalog
from pitstop.store.home import Home
from pitstop.store.migrations import TABLES

SEED_UNTIL = date(2016, 3, 5)
DAY = 86_400_000_000
BATCH = 20_000


@dataclass(frozen=True)
class Fleet:
    """What was made: the workspace, the names of the models, and the ids of the incidents of each."""

    workspace: Path
    models: tuple[str, ...]
    incidents: dict[str, tuple[str, ...]]


def make_fleet(folder: Path, *, models: int, days: int, incidents: int, signals: int) -> Fleet:
    """Make a workspace whose models have `days` daily profiles, `signals` signals a day, and 10 incidents or so each.

    The rows of the home are written past its journal, which no page of this benchmark reads.
    """
    spec = parse_spec(hotel_bookings_spec())
    seed, blob = _seed(folder / "seed", spec)
    names = tuple(f"{spec.model.name}-{place:03}" for place in range(models))
    each = incidents // models
    home = folder / "home"
    with Home.open(home):
        pass
    catalog = SqliteCatalog(home / "catalog.sqlite")
    try:
        _fill(catalog, names, days, signals, blob)
    finally:
        catalog.close()
    workspace = folder / "workspace"
    made = {}
    with Workspace.open(workspace) as opened:
        for start in range(0, models, 50):
            found = [
                _variant(seed, name, place + start, days, each) for place, name in enumerate(names[start : start + 50])
            ]
            made.update({item.model: tuple(line.id for line in item.incidents) for item in found})
            with opened.fleet.write() as connection:
                connection.execute(
                    FLEET.tables["models"].insert(), [_registered(spec, name.model, home) for name in found]
                )
                summaries.put(connection, *found)
    return Fleet(workspace, names, made)


def _seed(folder: Path, spec: ModelSpec) -> tuple[summaries.Summary, bytes]:
    """Return what the pages show of the demo's first half year, and the profile of one of its days."""
    rows = pq.read_table(hotel_bookings_path())
    replay(rows.filter(pc.less(rows["booked_on"], pa.scalar(SEED_UNTIL))), spec, home=folder)
    with Home.open(folder, read_only=True) as home:
        found = gather(home, spec.model.name)
        documents = {**found.documents, "power": power(home, spec.model.name)}
        return replace(found, documents=documents), home.profiles(spec.model.name, "predicted")[-1].blob


def _fill(catalog: SqliteCatalog, names: tuple[str, ...], days: int, signals: int, blob: bytes) -> None:
    first = 16_709
    profiles = (
        {"model": name, "kind": kind, "window": first + day, "profile_id": f"{name}-{day}", "blob": blob}
        for name in names
        for kind in ("predicted", "labelled")
        for day in range(days)
    )
    told = (
        {"model": name, "window": first + day, "name": f"signal_{number}", "column_name": "", "value": 0.1 * number}
        for name in names
        for day in range(days)
        for number in range(signals)
    )
    for table, rows in (("profiles", profiles), ("signals", told)):
        for part in _batches(rows):
            with catalog.write() as connection:
                connection.execute(TABLES.tables[table].insert(), part)


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while part := list(islice(rows, BATCH)):
        yield part


def _variant(seed: summaries.Summary, name: str, place: int, days: int, each: int) -> summaries.Summary:
    """Return the seed under another name, with `days` of days, as many periods, and `each` incidents."""
    model, value = dict(seed.documents["model"]), dict(seed.documents["value"])
    periods = [_later(model["periods"], number) for number in range(days // 30)]
    lines = [seed.incidents[number % len(seed.incidents)] for number in range(each)]
    ids = [f"incident-{place:04x}{number:016x}" for number in range(each)]
    told = [
        replace(line, model=name, id=own, state="open" if number < 2 else line.state, exposed=float(place % 97))
        for number, (line, own) in enumerate(zip(lines, ids, strict=True))
    ]
    model |= {
        "periods": periods,
        "days": {key: (values * (days // max(1, len(values)) + 1))[:days] for key, values in model["days"].items()},
        "features": [
            {**item, "line": (item["line"] * (104 // max(1, len(item["line"])) + 1))[:104]}
            for item in model["features"]
        ],
        "incidents": [
            {"id": line.id, "at": line.at, "kind": line.kind, "state": line.state, **line.content} for line in told
        ],
    }
    value |= {"periods": [_later(value["periods"], number) for number in range(days // 30)]}
    documents = {**{key: item for key, item in seed.documents.items() if not key.startswith("incident:")}}
    documents |= {"model": model, "value": value}
    for line, own in zip(lines, ids, strict=True):
        documents[f"incident:{own}"] = {**seed.documents[f"incident:{line.id}"], "id": own}
    exposed = {"a_day": float(place % 97), "low": 0.0, "high": 2.0 * (place % 97), "days": 14.0} if place % 97 else None
    card = {**seed.card, "model": name, "exposed": exposed, "open_incidents": min(2, each)}
    return summaries.Summary(name, seed.owner, card, told, documents)


def _later(periods: list[dict[str, Any]], number: int) -> dict[str, Any]:
    """Return the period that stands `number` places after the first, with the numbers of one of those there are."""
    first, like = periods[0], periods[number % len(periods)]
    period = first["period"] + number
    start = first["start"] + number * 30 * DAY
    name = f"{period // 12 + 1970}-{period % 12 + 1:02}"
    return {**like, "period": period, "name": name, "start": start, "end": start + 30 * DAY}


def _registered(spec: ModelSpec, name: str, home: Path) -> dict[str, Any]:
    row = {"name": name, "home": str(home), "spec": json.dumps(asdict(spec)), "base": str(home), "at": time.time_ns()}
    return row | {"start": "", "owner": "", "source": "", "labels": "", "every_seconds": 86_400}
