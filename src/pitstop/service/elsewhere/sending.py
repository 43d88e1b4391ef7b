"""Sends the requests for trainings until they are taken, and ends trainings whose time is over.

All of it stands in the catalog, so that it goes on after a crash in the next process. A request may arrive twice (the
answer to it may be lost): its `webhook-id` stays the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from pitstop.errors import PitstopError, SpecError, UnknownNameError
from pitstop.service.elsewhere.asking import secret_of
from pitstop.service.elsewhere.erased import Erasures
from pitstop.service.elsewhere.taking import KIND
from pitstop.service.elsewhere.trainings import ERASED, Asked, Trainings, TrainingState
from pitstop.service.jobs.asking import Asking
from pitstop.service.looking import Looking
from pitstop.service.notify import webhook
from pitstop.service.workspace import Workspace

EVENT = "training.asked"
_FIRST_PAUSE = 5 * 1_000_000
_LONGEST_PAUSE = 600 * 1_000_000
# A process that dies while it sends has the request sent again after this long.
_LEASE = 60 * 1_000_000
_LOOK_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class Dispatch(Looking):
    """Its thread looks every second. `server` is the address of this service, empty: not known.

    `allowed` are private hosts that may be asked; see `notify.addresses.pinned`.
    """

    def __init__(
        self,
        workspace: Workspace,
        jobs: Asking,
        clock: Callable[[], int],
        *,
        allowed: frozenset[str] = frozenset(),
        server: str = "",
        seconds: float = _LOOK_SECONDS,
    ) -> None:
        super().__init__("trainings", seconds)
        self._workspace = workspace
        self._trainings = Trainings(workspace)
        self._jobs = jobs
        self._clock = clock
        self._allowed = allowed
        self._server = server.rstrip("/")
        self._erasures = Erasures(self._trainings)

    def look(self) -> None:
        """Look at every training that has not ended, once; one that cannot be looked at holds up no other."""
        for asked in self._trainings.all(open_only=True):
            try:
                self._look_at(asked, self._clock())
            except PitstopError as error:
                _LOG.warning("the training %s of %s could not be looked at: %s", asked.id, asked.model, error)

    def _look_at(self, asked: Asked, at: int) -> None:
        if asked.state == "answered":
            self._answered(asked, at)
        elif asked.state in ("late", "cancelled"):
            self._end(asked)  # nothing where it was asked for already
        elif self._jobs.board.cancelled(asked.job):
            self._over(asked, "cancelled")
        elif at >= asked.deadline:
            self._over(asked, "late")
        elif self._erasures.touch(self._workspace.model(asked.model), asked):
            # These are copies of a person's rows: they go at once, and what is brought later is not taken.
            self._trainings.clear(asked.job)
            self._over(asked, "cancelled", said=ERASED)
        elif asked.sent is None and at >= asked.due and self._trainings.lease(asked.id, at, at + _LEASE):
            self._send(asked, at)

    def _answered(self, asked: Asked, at: int) -> None:
        """See to it that what was brought is checked: again, where a job of it ended without a word on it."""
        if not self._jobs.board.job(bring_in(self._jobs, asked)).ended:
            return
        if at >= asked.deadline:
            self._over(asked, "late")
        else:
            self._trainings.set(asked.id, tries=asked.tries + 1)

    def _send(self, asked: Asked, at: int) -> None:
        try:
            spec = self._workspace.model(asked.model).spec
            secret = secret_of(spec)
        except (SpecError, UnknownNameError) as error:
            said = str(error)
        else:
            data = {**asked.facts, "deadline": _named(asked.deadline), "server": self._server}
            body = {"type": EVENT, "timestamp": _named(asked.at), "data": data}
            words = json.dumps(body).encode()
            seconds = at // 1_000_000
            said = webhook.send(spec.elsewhere.url, secret, asked.id, words, seconds, allowed=self._allowed)
        pause = min(_FIRST_PAUSE * 2 ** min(asked.tries, 10), _LONGEST_PAUSE)
        now = self._clock()
        self._trainings.set(asked.id, said=said, due=now + pause, sent=None if said else now)
        if said:
            self._jobs.board.waiting(asked.job, f"the request was not taken and is sent again: {said}"[:500])
        else:
            self._jobs.board.waiting(asked.job, f"waits until {_named(asked.deadline)} for what is trained elsewhere")

    def _over(self, asked: Asked, state: TrainingState, **values: str) -> None:
        if self._trainings.move(asked.id, asked.state, state, **values):
            self._end(asked)

    def _end(self, asked: Asked) -> None:
        name = f"{KIND}-{asked.id}-end"
        if not self._jobs.board.known(name):
            self._jobs.submit(KIND, asked.model, {"training": asked.id}, by="elsewhere", name=name, at=self._clock())


def bring_in(jobs: Asking, asked: Asked) -> str:
    """Have what was brought checked by a job, the same one however often it is asked for; return its id."""
    name = f"{KIND}-{asked.id}-{asked.digest[:16]}-{asked.tries}"
    if not jobs.board.known(name):
        jobs.submit(KIND, asked.model, {"training": asked.id}, by=asked.login, name=name)
    return name


def _named(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1e6, UTC).isoformat()
