"""What jobs do, in a process of their own: a tick of a model's loop, or an order that a person gave.

Both may be begun again after a crash at any point. A tick commits window by window and does nothing where nothing is
due. An order is kept together with the id of its job, in the transaction that carries it out: a job that finds it
there has nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pitstop.errors import UnknownNameError
from pitstop.integrations.serving import carry_out
from pitstop.integrations.serving import run as run_due
from pitstop.loop.orders import Order
from pitstop.replays.walk import Progress
from pitstop.service.auth.actor import LOCAL
from pitstop.service.auth.separation import require_may_release
from pitstop.service.elsewhere.asking import ask
from pitstop.service.elsewhere.taking import KIND, take
from pitstop.service.jobs.rows import rows_of
from pitstop.service.workspace import Registered, Workspace
from pitstop.store.home import Home

Work = Callable[[Workspace, Registered, str, Mapping[str, Any], Progress], dict[str, Any]]


def tick(
    workspace: Workspace, model: Registered, job: str, arguments: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """Take in every window that has closed, then bring the journal's copies up to date."""
    del job
    workspace.prepare(model)
    now = datetime.fromtimestamp(arguments["now"] / 1e6, UTC)
    source, labels = rows_of(workspace, model)
    done = run_due(
        model.home,
        spec=model.spec,
        source=source,
        labels=labels,
        start=model.start,
        as_of="" if model.spec.calendar.by_rows else now.isoformat(),
        base=model.base,
        progress=progress,
    )
    with Home.open(model.home, create=False) as kept:
        copied = kept.export_due(arguments["now"])
    return {**asdict(done), "copied": list(copied)}


def order(
    workspace: Workspace, model: Registered, job: str, arguments: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """Carry out what a person ordered, once; for what is trained elsewhere no process waits."""
    del progress
    if arguments["action"] == "retrain" and model.spec.elsewhere.url:
        return ask(workspace, model, job, arguments)
    with Home.open(model.home, read_only=True) as kept:
        given = [item for item in kept.artifacts("order", model.name) if item.content["observed"].get("job") == job]
        # Asked again here, because this is where every way to order a release ends.
        if not given and arguments["action"] == "release" and arguments["by"] != LOCAL.name:
            require_may_release(kept, model.name, arguments.get("version"), arguments["by"])
    if given:
        return {"order": given[0].id, "already": True}
    asked = Order(
        arguments["action"],
        arguments["by"],
        arguments["reason"],
        arguments.get("version"),
        arguments.get("recipe") or "",
        {"recorded": arguments["recorded"], "login": arguments["by"], "job": job},
    )
    done = carry_out(model.home, asked, spec=model.spec, base=model.base)
    return {**asdict(done), "carried_out": done.carried_out, "already": False}


WORK: dict[str, Work] = {"tick": tick, "order": order, KIND: take}


def work_of(kind: str) -> Work:
    """Return what a kind of job does. Raises `UnknownNameError`."""
    if kind not in WORK:
        msg = f"no kind of job is called {kind!r}; known: {', '.join(sorted(WORK))}"
        raise UnknownNameError(msg)
    return WORK[kind]
