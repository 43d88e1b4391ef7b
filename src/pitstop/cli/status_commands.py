"""`pitstop status`, `incidents` and `releases`: how models stand, what went wrong, and which version did what when."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pitstop.cli.places import Place, ask, folder_of, is_address, print_there

Model = Annotated[str, typer.Argument(help="The model's name, as in its specification.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def status(
    model: Annotated[str, typer.Argument(help="The model's name; without it, all models.")] = "",
    *,
    home: Place,
    as_json: AsJson = False,
) -> None:
    """Say how models stand: until when rows were taken in, who serves, and how many incidents are open."""
    if is_address(home):
        if model:
            print_there(home, model, "status", json=as_json)
            return
        found, cursor = [], ""
        while True:
            part = ask(home, "/v1/models", {"cursor": cursor} if cursor else None, holds=("items", "next"))
            found += [{key: item[key] for key in _STANDING} for item in part["items"]]
            cursor = part["next"] or ""
            if not cursor:
                break
    else:
        found = _standing(home, model)
    if as_json:
        print(json.dumps({"models": found}, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("model", "until", "serves", "open incidents"):
        table.add_column(name, justify="right" if name == "open incidents" else "left")
    for item in found:
        row = (item["name"], item["until"] or "-", item["champion"] or "-", str(item["open_incidents"]))
        table.add_row(*map(escape, row))
    Console(highlight=False).print(table)


def incidents(model: Model, *, home: Place, as_json: AsJson = False) -> None:
    """Print the incidents of a model, the oldest first, each as its newest alarm left it: since when, and its cause."""
    if is_address(home):
        print_there(home, model, "incidents", json=as_json)
        return
    found = _incidents(home, model)
    if as_json:
        print(json.dumps({"model": model, "incidents": found}, indent=2))
        return
    console = Console(highlight=False)
    for item in found:
        cause = item["content"].get("cause") or {}
        words = escape(str(cause.get("sentence") or ", ".join(item["content"]["monitors"])))
        stands = f"since {item['since']}, {item['condition']}"
        console.print(f"{item['at']}  {escape(item['id'])}  {stands}  {words}", soft_wrap=True)
    if not found:
        console.print(f"No incident of {escape(model)} is on record.")


def releases(model: Model, *, home: Place, as_json: AsJson = False) -> None:
    """Print every stage of every version, the oldest first."""
    if is_address(home):
        print_there(home, model, "releases", json=as_json)
        return
    found = _kept(home, model, "release")
    if as_json:
        print(json.dumps({"model": model, "releases": found}, indent=2))
        return
    console = Console(highlight=False)
    for item in found:
        content = item["content"]
        stage = str(content["stage"]).replace("_", " ")
        console.print(f"{item['at']}  v{content['version']} {stage}: {escape(content['reason'])}", soft_wrap=True)
    if not found:
        console.print(f"Nothing of {escape(model)} was released.")


_STANDING = ("name", "task", "until", "champion", "open_incidents")


def _standing(home: str, model: str) -> list[dict[str, Any]]:
    from pitstop.errors import UnknownNameError  # noqa: PLC0415 - with the rest, which is heavy
    from pitstop.incidents import QUIET_WINDOWS  # noqa: PLC0415 - as below
    from pitstop.records.spec import spec_of  # noqa: PLC0415 - as below
    from pitstop.releases import Release, ReleaseTimeline  # noqa: PLC0415 - as below
    from pitstop.store.home import Home  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    found = []
    with Home.open(folder_of(home), read_only=True) as kept:
        names = kept.models()
        if model and model not in names:
            msg = f"no model is called {model!r} in {home}; known: {', '.join(names) or 'none yet'}"
            raise UnknownNameError(msg)
        for name in [model] if model else names:
            saved, specs = kept.load_state(name), kept.artifacts("spec", name)
            if saved is None or not specs:
                continue
            spec = spec_of(specs[-1].content)
            stages = tuple(Release.from_json(dict(item.content)) for item in kept.artifacts("release", name))
            champion = ReleaseTimeline(stages).champion
            window = spec.calendar.window_at(saved.as_of)
            standing = sum(window - item["last"] <= QUIET_WINDOWS for item in saved.values["incidents"])
            values = (name, spec.model.task, spec.calendar.name_instant(saved.as_of))
            row = (*values, f"v{champion.version}" if champion else None, standing)
            found.append(dict(zip(_STANDING, row, strict=True)))
    return found


def _incidents(home: str, model: str) -> list[dict[str, Any]]:
    """Return the incidents as the API says them, the content as the newest alarm left it, and how they stand."""
    from pitstop.incidents import Alarm, Incident, condition  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.records.spec import spec_of  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    found = _kept(home, model, "incident")
    with Home.open(folder_of(home), read_only=True) as kept:
        calendar, saved = spec_of(kept.artifacts("spec", model)[-1].content).calendar, kept.load_state(model)
        grown = {item.content["id"]: dict(item.content) for item in kept.artifacts("incident-growth", model)}
        alarms = {
            item.id: Alarm(**{**item.content, "caused_by": tuple(item.content["caused_by"])})
            for item in kept.artifacts("alarm", model)
        }
    for item in found:
        item["content"] = grown.get(item["id"], item["content"])
    known = [Incident(**{name: value for name, value in item["content"].items() if name != "cause"}) for item in found]
    now = calendar.window_at(saved.as_of) if saved else max((one.last for one in known), default=0)
    for item, one in zip(found, known, strict=True):
        item["since"] = calendar.name_window(one.since)
        item["condition"] = condition(one, alarms, known, now)
    return found


def _kept(home: str, model: str, kind: str) -> list[dict[str, Any]]:
    """Return the artifacts of a kind as the API says them."""
    from pitstop.errors import UnknownNameError  # noqa: PLC0415 - with the rest, which is heavy
    from pitstop.records.spec import spec_of  # noqa: PLC0415 - as below
    from pitstop.store.home import Home  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    with Home.open(folder_of(home), read_only=True) as kept:
        specs = kept.artifacts("spec", model)
        if not specs:
            msg = f"no model {model!r} has begun in {home}; known: {', '.join(kept.models()) or 'none yet'}"
            raise UnknownNameError(msg)
        calendar = spec_of(specs[-1].content).calendar
        return [
            {
                "id": item.id,
                "kind": item.kind,
                "at": calendar.name_instant(item.at),
                "caused_by": list(item.caused_by),
                "content": dict(item.content),
            }
            for item in kept.artifacts(kind, model)
        ]
