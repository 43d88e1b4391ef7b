"""Finds out what there is to tell, writes down to whom, and sends it until it has arrived.

What is to be told is written in the same transaction as how far a home was looked through, so that nothing is told
twice or forgotten, whatever is killed. Sending may happen twice (the answer may be lost): the id of a message stays
the same, by which its receiver can tell.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from pitstop.errors import PitstopError
from pitstop.incidents import QUIET_WINDOWS
from pitstop.service.fleet import FLEET
from pitstop.service.looking import Looking
from pitstop.service.notify import webhook
from pitstop.service.notify.channels import Channel, Channels
from pitstop.service.notify.events import Event, events_of
from pitstop.service.workspace import Registered, Workspace
from pitstop.store.home import Home

TRIES = 10
DIGEST_MICROSECONDS = 86_400 * 1_000_000
_FIRST_PAUSE = 5 * 1_000_000
_LONGEST_PAUSE = 3_600 * 1_000_000
# A courier that dies while it sends has the message sent again after this long.
_LEASE = 60 * 1_000_000
_LOOK_SECONDS = 2.0
# Statements on pages grow a journal between jobs; every home is looked at once in so many looks.
_LOOKS_BETWEEN = 15
_APPRISE_SECONDS = 45
_LOG = logging.getLogger(__name__)
_DELIVERIES, _NOTICED = FLEET.tables["deliveries"], FLEET.tables["noticed"]


def notice(workspace: Workspace, model: str, at: int) -> tuple[Event, ...]:
    """Write down what is to be told of a model since it was looked through last; `at` is now in microseconds.

    A model that is looked through for the first time has no news: its past is nobody's alarm. What is not urgent is
    told with the digest of the day.
    """
    registered = workspace.model(model)
    with workspace.fleet.read() as connection:
        known = connection.execute(sa.select(_NOTICED).where(_NOTICED.c.model == model)).one_or_none()
    if not registered.home.exists():
        return ()
    with Home.open(registered.home, read_only=True) as home:
        artifacts, saved = home.artifacts(model=model), home.load_state(model)
    calendar = registered.spec.calendar
    standing: list[str] = []
    if saved is not None:
        window = calendar.window_at(saved.as_of)
        standing = [item["id"] for item in saved.values["incidents"] if window - item["last"] <= QUIET_WINDOWS]
    found: tuple[Event, ...] = ()
    if known is not None:
        closed = {item.content["item"] for item in artifacts if item.kind == "disposition"}
        recovered = [item for item in json.loads(known.standing) if item not in standing and item not in closed]
        until = calendar.name_instant(saved.as_of) if saved is not None else ""
        found = events_of(model, artifacts[known.artifacts :], recovered, until, calendar.name_instant)
    values = {"model": model, "artifacts": len(artifacts), "standing": json.dumps(standing)}
    channels = [item for item in Channels(workspace.fleet).all() if item.wants(model, registered.owner)]
    with workspace.fleet.write() as connection:
        again = connection.execute(sa.select(_NOTICED).where(_NOTICED.c.model == model)).one_or_none()
        if again != known:
            return ()  # another process was faster, and has written it all down
        connection.execute(_NOTICED.delete().where(_NOTICED.c.model == model))
        connection.execute(_NOTICED.insert(), values)
        for channel in channels:
            for event in found:
                _put(connection, channel, registered, event, at)
    return found


def _put(connection: sa.Connection, channel: Channel, model: Registered, event: Event, at: int) -> None:
    there = (_DELIVERIES.c.channel == channel.name) & (_DELIVERIES.c.event == event.id)
    if connection.execute(sa.select(_DELIVERIES.c.number).where(there)).first() is not None:
        return
    body = {"type": event.kind, "timestamp": event.at, "data": {**asdict(event), "owner": model.owner}}
    # What is not urgent becomes due at the end of the day, together.
    due = at if event.prompt else (at // DIGEST_MICROSECONDS + 1) * DIGEST_MICROSECONDS
    row = {"channel": channel.name, "event": event.id, "kind": event.kind, "model": model.name, "said": ""}
    fresh = {"body": json.dumps(body), "state": "waiting", "tries": 0, "due": due, "at": at, "ended": None}
    connection.execute(_DELIVERIES.insert(), row | fresh)


class Courier(Looking):
    """Sends what is due; its thread looks every few seconds. `allowed`: see `addresses.pinned`."""

    def __init__(
        self,
        workspace: Workspace,
        clock: Callable[[], int],
        *,
        allowed: frozenset[str] = frozenset(),
        seconds: float = _LOOK_SECONDS,
    ) -> None:
        super().__init__("courier", seconds)
        self._workspace = workspace
        self._channels = Channels(workspace.fleet)
        self._clock = clock
        self._allowed = allowed
        self._sizes: dict[str, int] = {}
        self._looks = 0

    def step(self) -> int:
        """Send what is due now; return how many messages were taken on."""
        channels = {channel.name: channel for channel in self._channels.all()}
        claimed, until = self._claim()
        digests: dict[str, list[sa.Row[Any]]] = {}
        for row in claimed:
            if row.channel not in channels:
                self._end([row], "the channel was removed", final=True)
            elif channels[row.channel].kind == "webhook" or json.loads(row.body)["type"].startswith("incident."):
                self._tell(channels[row.channel], [row], until)
            else:
                digests.setdefault(row.channel, []).append(row)
        for name, rows in digests.items():
            self._tell(channels[name], rows, until)
        return len(claimed)

    def _claim(self) -> tuple[list[sa.Row[Any]], int]:
        """Take messages on; return them, and until when no other courier does."""
        at = self._clock()
        due = (_DELIVERIES.c.state == "waiting") & (_DELIVERIES.c.due <= at)
        with self._workspace.fleet.write() as connection:
            query = sa.select(_DELIVERIES).where(due).order_by(_DELIVERIES.c.number).limit(100)
            rows = list(connection.execute(query))
            mine = _DELIVERIES.c.number.in_([row.number for row in rows])
            connection.execute(_DELIVERIES.update().where(mine).values(due=at + _LEASE, tries=_DELIVERIES.c.tries + 1))
        return rows, at + _LEASE

    def _tell(self, channel: Channel, rows: list[sa.Row[Any]], until: int) -> None:
        """Send messages that were taken on, unless those before them took so long that another courier has them."""
        mine = _DELIVERIES.c.number.in_([row.number for row in rows])
        held = (_DELIVERIES.c.state == "waiting") & (_DELIVERIES.c.due == until)
        with self._workspace.fleet.write() as connection:
            change = _DELIVERIES.update().where(mine & held).values(due=self._clock() + _LEASE)
            if connection.execute(change).rowcount != len(rows):
                return
        self._end(rows, self._send(channel, rows))

    def _send(self, channel: Channel, rows: list[sa.Row[Any]]) -> str:
        if channel.kind == "webhook":
            (row,) = rows
            seconds = self._clock() // 1_000_000
            return webhook.send(
                channel.target, channel.secret, row.event, row.body.encode(), seconds, allowed=self._allowed
            )
        told = [json.loads(row.body)["data"] for row in rows]
        lines = [f"{item['at']} {item['sentence']}" for item in told]
        names = ", ".join(dict.fromkeys(f"{item['model']}: {item['kind'].replace('.', ' ')}" for item in told))
        message = {"target": channel.target, "title": f"Pitstop, {names}"[:200], "body": "\n".join(lines)}
        argv = [sys.executable, "-m", "pitstop.service.notify.apprise_child"]
        asked = json.dumps({**message, "allowed": sorted(self._allowed)})
        try:
            done = subprocess.run(
                argv, input=asked, capture_output=True, text=True, timeout=_APPRISE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"took longer than {_APPRISE_SECONDS} s"
        return "" if done.returncode == 0 else (done.stdout or done.stderr)[-500:].strip()

    def _end(self, rows: list[sa.Row[Any]], said: str, *, final: bool = False) -> None:
        at = self._clock()
        with self._workspace.fleet.write() as connection:
            for row in rows:
                over = final or row.tries + 1 >= TRIES
                pause = min(_FIRST_PAUSE * 4**row.tries, _LONGEST_PAUSE)
                values: dict[str, Any] = {"state": "failed" if over else "waiting", "said": said, "due": at + pause}
                values["ended"] = at if over else None
                if not said:
                    values = {"state": "sent", "said": "", "ended": at}
                connection.execute(_DELIVERIES.update().where(_DELIVERIES.c.number == row.number).values(**values))

    def look(self) -> None:
        """Send what is due; from time to time look first what there is to tell."""
        self._looks += 1
        if self._looks % _LOOKS_BETWEEN == 1:
            self.gather()
        self.step()

    def gather(self) -> None:
        """Write down what is to be told of every model whose journal has grown, whoever made it grow.

        A home that cannot be read keeps nobody from being told of the others.
        """
        for model in self._workspace.models():
            if not model.home.exists():
                continue
            try:
                with Home.open(model.home, read_only=True) as home:
                    size = home.journal_head().size
                if self._sizes.get(model.name) != size:
                    notice(self._workspace, model.name, self._clock())
                    self._sizes[model.name] = size
            except PitstopError as error:
                _LOG.warning("%s could not be looked through for what there is to tell: %s", model.name, error)
