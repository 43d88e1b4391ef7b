"""What the routes of all pages share: the site of a workspace, who sees which model, and the heads of model pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pitstop.errors import StoreBusyError, UnknownNameError
from pitstop.report import formats
from pitstop.report.sparkline import sparkline
from pitstop.service.auth.actor import Actor, actor_of
from pitstop.service.jobs.board import ENDED, Board, Job
from pitstop.service.site import summaries
from pitstop.service.site.figures import METRIC_NAMES
from pitstop.service.site.rendering import page
from pitstop.service.workspace import Registered, Workspace
from pitstop.store.home import Home

TABS = (
    ("", "Model"),
    ("/incidents", "Incidents"),
    ("/releases", "Releases"),
    ("/value", "Value"),
    ("/evidence", "Evidence"),
)
WRITERS = ("data_scientist", "operator", "approver")


# A tick holds a home for a window at a time; a person does not wait for longer than this.
PATIENCE_SECONDS = 5.0


class Submit(Protocol):
    """Takes a job (see `jobs.queue.Jobs.submit`)."""

    def __call__(self, kind: str, model: str, arguments: Mapping[str, Any], *, by: str) -> Job:
        """Take a job durably and return it."""


@dataclass(frozen=True)
class Site:
    """The pages of one workspace; `submit` takes the jobs that orders become."""

    workspace: Workspace
    submit: Submit

    @contextmanager
    def writing(self, model: str) -> Iterator[Home]:
        """Open a model's home for writing, waiting a little where a tick has it. Raises `StoreBusyError`."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                home = Home.open(self.registered(model).home, create=False)
            except StoreBusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
            else:
                break
        with home:
            yield home

    def job(self, name: str, card: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return how a job of a model stands; None for one that is not there, or is another model's.

        One that is done has ended for the pages when what it brought about was gathered.
        """
        with suppress(UnknownNameError):
            found = Board(self.workspace.fleet).job(name)
            if found.model != card["model"]:
                return None
            outcome = found.outcome or {}
            ended = found.state in ENDED
            if found.state == "done":
                with Home.open(self.registered(found.model).home, read_only=True) as home:
                    ended = home.journal_head().size == card["journal"]
            said = outcome.get("message") or outcome.get("failure") or outcome.get("open") or ""
            if found.state == "done" and not said and "champion" in outcome:
                shadow = next((f"v{item[0]}" for item in outcome["stages"] if item[1] == "shadow"), "")
                serves = f"{outcome['champion']} serves"
                said = f"{shadow} scores in shadow beside {outcome['champion']}" if shadow else serves
            action = found.arguments.get("action", found.kind)
            return {
                "id": name,
                "action": action,
                "state": found.state,
                "ended": ended,
                "said": said,
                "note": found.note,
            }
        return None

    def document(self, model: str, name: str) -> dict[str, Any]:
        """Return a document; 404 where it is not there."""
        with self.workspace.fleet.read() as connection:
            found = summaries.document(connection, model, name)
        if found is None:
            raise HTTPException(404, f"nothing is kept under this address for {model!r}")
        return found

    def card(self, model: str) -> dict[str, Any] | None:
        """Return the card of a registered model, None before anything was gathered of it; 404 for any other name."""
        with self.workspace.fleet.read() as connection:
            found = summaries.card(connection, model)
        if found is None and model not in {item.name for item in self.workspace.models()}:
            raise HTTPException(404, f"no model {model[:100]!r} is registered here")
        return found

    def registered(self, model: str) -> Registered:
        """Return where a model is kept."""
        return self.workspace.model(model)

    def show(
        self, request: Request, template: str, tab: str, build: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> HTMLResponse:
        """Return a page of one model; `build` makes its own context from the model's card."""
        model = request.path_params["model"]
        card = self.card(model)
        if card is None:
            registered = self.registered(model)
            return page(request, "waiting.html", model=model, registered=registered, tabs=TABS, tab=tab, card=None)
        said = request.query_params.get("said", "")[:300]
        name = request.query_params.get("job", "")
        job = self.job(name, card) if name else None
        context = {"model": model, "card": card, "tabs": TABS, "tab": tab, "said": said, "job": job, **build(card)}
        return page(request, template, **context)


def actor(request: Request) -> Actor:
    """Return who asks."""
    return actor_of(request.scope)


def may(request: Request, *roles: str) -> bool:
    """Return whether whoever asks has one of some roles: pages leave out what they may not do."""
    return actor(request).may(frozenset(roles))


def metric_line(card: Mapping[str, Any]) -> Any:
    """Return the small picture of a model's performance by period."""
    name = METRIC_NAMES[card["metric"]]
    now = card["realised"]
    sentence = f"{name} by {card['period']}"
    if now:
        sentence += f", {formats.metric(now['value'])} in {now['period']}"
    return sparkline(card["line"], sentence)


def value_line(card: Mapping[str, Any]) -> Any:
    """Return the small picture of a model's net value by period."""
    last = card["values"][-1] if card["values"] else None
    sentence = f"net value by {card['period']}"
    if last is not None:
        sentence += f", {formats.money(last)} {card['currency']} in the last"
    return sparkline(card["values"], sentence, zero=True)
