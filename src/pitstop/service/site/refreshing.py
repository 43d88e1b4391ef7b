"""Keeps what pages read in step with the homes: after each tick, after each order, and when the service starts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from pitstop.errors import PitstopError
from pitstop.service.jobs.board import Job
from pitstop.service.site import summaries
from pitstop.service.site.gather.gather import gather
from pitstop.service.site.gather.power import power
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home


def refresh(workspace: Workspace, model: str) -> None:
    """Gather everything that pages show of a model, and put it where they read it.

    What could not have been seen is simulated last, and only for another baseline: it takes as long as all the rest.
    Raises `UnknownNameError` for a model that is not registered, `StoreError` for one that has not begun.
    """
    registered = workspace.model(model)
    with workspace.fleet.read() as connection:
        before = summaries.document(connection, model, "power")
    with Home.open(registered.home, read_only=True) as home:
        found = gather(home, model, registered.owner)
        known = before is not None and before["baseline"] == found.documents["power"]["baseline"]
        kept = before if known and before is not None else found.documents["power"]
        with workspace.fleet.write() as connection:
            summaries.put(connection, replace(found, documents={**found.documents, "power": kept}))
        if not known or kept["pending"]:
            document = power(home, model)
            with workspace.fleet.write() as connection:
                summaries.put_document(connection, model, "power", document)


def refresh_after(workspace: Workspace, job: Job) -> None:
    """Gather a model after a job of it; one that has not begun has nothing to show."""
    with suppress(PitstopError):
        refresh(workspace, job.model)


def refresh_stale(workspace: Workspace) -> tuple[str, ...]:
    """Gather every model whose journal has grown since it was gathered last; return their names.

    A model that has not begun, or cannot be read, is left out: its page says what to do.
    """
    found = []
    for registered in workspace.models():
        with workspace.fleet.read() as connection:
            card = summaries.card(connection, registered.name)
        try:
            with Home.open(registered.home, read_only=True) as home:
                size = home.journal_head().size
            if card is None or card["journal"] != size:
                refresh(workspace, registered.name)
                found.append(registered.name)
        except PitstopError:
            continue
    return tuple(found)
