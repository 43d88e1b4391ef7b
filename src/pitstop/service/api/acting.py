"""What people order and say through the API: the same functions as the commands, signed with the caller's name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pitstop.compliance import handling, statements
from pitstop.compliance.facts import Artifact, Facts
from pitstop.compliance.packs import BUILT_IN
from pitstop.errors import AccessError, SpecError, StoreBusyError, StoreError, UnknownNameError
from pitstop.loop.auditing import asked_packs
from pitstop.loop.recalling import facts_of
from pitstop.records.spec import parse_spec
from pitstop.service.api import reading, shapes
from pitstop.service.api.operation import Call
from pitstop.service.api.paging import Part, cursor_of, place_of
from pitstop.service.auth.separation import MAY_ORDER, require_may_release, require_not_author
from pitstop.service.jobs.board import Job
from pitstop.service.workspace import Registered
from pitstop.store.home import Home

ORDERING = frozenset().union(*MAY_ORDER.values())
# A tick holds a home for a window at a time; a person does not wait for longer than this.
_PATIENCE_SECONDS = 5.0


@contextmanager
def _writing(model: Registered) -> Iterator[Home]:
    """Open a home for writing, waiting a little where a tick has it. Raises `StoreBusyError`."""
    with reading.opened(model):
        pass  # a home is made by its first tick, and not by a statement
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            home = Home.open(model.home, create=False)
        except StoreBusyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            break
    with home:
        yield home


def observed(call: Call) -> dict[str, str]:
    """Return when something was said and with which credentials: kept beside it, and no part of its id."""
    at = shapes.named(call.service.clock())
    return {"recorded": at, "login": call.actor.name, "via": call.actor.via}


def register(call: Call) -> shapes.Model:
    """Register a model. What would run a program or name a path of this machine is for its own command line."""
    asked: shapes.NewModel = call.body
    spec = parse_spec(asked.spec, "the specification")
    paths = [pack for pack in spec.rules.packs if pack not in BUILT_IN]
    given = {
        "[trainer] command": spec.trainer.command,
        "[serving]": (spec.serving.folder or spec.serving.command or spec.serving.kserve or spec.serving.targets),
        "[rules] packs with a path": paths,
    }
    for name, found in given.items():
        if found:
            msg = f"{name} runs programs or names paths of the server; register it there, with `pitstop up --spec`"
            raise SpecError(msg)
    if asked.start:
        spec.calendar.parse_instant(asked.start)
    made = call.service.workspace.register(
        asked.spec,
        at=call.service.clock(),
        start=asked.start,
        owner=asked.owner or call.person,
        every_seconds=asked.every_seconds,
    )
    return reading.described(made)


def order(call: Call) -> shapes.JobShape:
    """Give an order; it is carried out by a job. An author does not release their own model."""
    asked: shapes.NewOrder = call.body
    if not call.actor.may(MAY_ORDER[asked.action]):
        needed = ", ".join(sorted(MAY_ORDER[asked.action]))
        msg = f"{call.actor.name} may not order a {asked.action}; this needs: {needed}"
        raise AccessError(msg)
    with reading.opened(call.model) as home:
        if home.load_state(call.path["model"]) is None:
            msg = f"{call.path['model']} has not begun; wait for its first tick"
            raise StoreError(msg)
        if asked.action == "release" and call.actor.via != "local":
            require_may_release(home, call.path["model"], asked.version, call.person)
    arguments = {
        "action": asked.action,
        "by": call.person,
        "reason": asked.reason,
        "version": asked.version,
        "recipe": asked.recipe,
        "recorded": shapes.named(call.service.clock()),
    }
    return _submitted(call, "order", arguments)


def tick(call: Call) -> shapes.JobShape:
    """Take in what is due, now."""
    return _submitted(call, "tick", {"now": call.service.clock()})


def _submitted(call: Call, kind: str, arguments: dict[str, Any]) -> shapes.JobShape:
    model = call.model.name
    return job_shape(call.service.jobs.submit(kind, model, arguments, by=call.actor.name, at=call.service.clock()))


def job_shape(job: Job) -> shapes.JobShape:
    """Return a job as the API says it."""
    return shapes.JobShape(
        job.id,
        job.kind,
        job.model,
        job.by,
        shapes.named(job.at),
        job.state,
        job.tries,
        job.note,
        job.done,
        job.total,
        job.cancelled_by,
        None if job.ended is None else shapes.named(job.ended),
        None if job.outcome is None else dict(job.outcome),
    )


def jobs(call: Call) -> Part[shapes.JobShape]:
    """List the jobs of the models that the caller sees, the newest first."""
    before = place_of(call.query) or None
    found = call.service.jobs.board.jobs(models=call.actor.models, before=before, limit=call.query.limit)
    more = len(found) == call.query.limit and found[-1].number > 1
    return Part([job_shape(item) for item in found], cursor_of(found[-1].number) if more else None)


def job(call: Call) -> shapes.JobShape:
    """Return one job."""
    return job_shape(_seen(call))


def cancel(call: Call) -> shapes.JobShape:
    """Stop a job; what it has committed is kept."""
    return job_shape(call.service.jobs.cancel(_seen(call).id, call.actor.name))


def _seen(call: Call) -> Job:
    found = call.service.jobs.board.job(call.path["id"])
    if not call.actor.sees(found.model):
        # The same answer as for a job that never was.
        msg = f"there is no job {call.path['id'][:200]!r}"
        raise UnknownNameError(msg)
    return found


def approve(call: Call) -> shapes.Recorded:
    """Record that an approver allows a release; whoever made the model may not."""
    asked: shapes.Approval = call.body

    def say(home: Home, facts: Facts) -> Iterable[Artifact]:
        made = statements.approve(
            facts, by=call.person, text=asked.text, challenger=asked.challenger, observed=observed(call)
        )
        if call.actor.via != "local":
            require_not_author(home, facts.model, made.content["challenger"], call.person)
        return [made]

    return _recorded(call, say)


def override(call: Call) -> shapes.Recorded:
    """Record that the release that waits may pass although an item is open; whoever made the model may not."""
    asked: shapes.Override = call.body

    def say(home: Home, facts: Facts) -> Iterable[Artifact]:
        made = statements.override(facts, asked.item, by=call.person, text=asked.text, observed=observed(call))
        if call.actor.via != "local":
            require_not_author(home, facts.model, made.content["challenger"], call.person)
        return [made]

    return _recorded(call, say)


def attest(call: Call) -> shapes.Recorded:
    """Record that a person says what no query can see."""
    asked: shapes.Attestation = call.body

    def say(_: Home, facts: Facts) -> Iterable[Artifact]:
        packs = asked_packs(facts, (), default=("house_rules",))
        until = facts.calendar.parse_instant(asked.until) if asked.until else None
        words = {"by": call.person, "text": asked.text, "observed": observed(call)}
        return [statements.attest(facts, packs, asked.item, until=until, automated=asked.automated, **words)]  # type: ignore[arg-type]

    return _recorded(call, say)


def declare(call: Call) -> shapes.Recorded:
    """Declare a serious incident: its clock starts, and its evidence is frozen."""
    asked: shapes.Declaration = call.body

    def say(_: Home, facts: Facts) -> Iterable[Artifact]:
        aware = facts.calendar.parse_instant(asked.aware_at or shapes.named(call.service.clock()))
        return statements.declare(
            facts, severity=asked.severity, aware_at=aware, by=call.person, text=asked.text, observed=observed(call)
        )

    return _recorded(call, say)


def report(call: Call) -> shapes.Recorded:
    """Record that a serious incident was reported, or put right."""
    asked: shapes.Report = call.body

    def say(_: Home, facts: Facts) -> Iterable[Artifact]:
        at = facts.calendar.parse_instant(asked.at or shapes.named(call.service.clock()))
        words = {"by": call.person, "text": asked.text, "closes": asked.closes, "observed": observed(call)}
        return [statements.report(facts, call.path["id"], reported_at=at, **words)]  # type: ignore[arg-type]

    return _recorded(call, say)


def assign(call: Call) -> shapes.Recorded:
    """Record who looks after an incident."""
    asked: shapes.Assignment = call.body
    return _handled(call, lambda facts, words: handling.assign(facts, **words, to=asked.to, text=asked.text))


def snooze(call: Call) -> shapes.Recorded:
    """Record that an incident can wait until it gets worse."""
    asked: shapes.Said = call.body
    return _handled(call, lambda facts, words: handling.snooze(facts, **words, text=asked.text))


def comment(call: Call) -> shapes.Recorded:
    """Record what somebody says about an incident."""
    asked: shapes.Said = call.body
    return _handled(call, lambda facts, words: handling.comment(facts, **words, text=asked.text))


def close(call: Call) -> shapes.Recorded:
    """Record what became of an incident."""
    asked: shapes.Closing = call.body
    return _handled(call, lambda facts, words: handling.close(facts, **words, verdict=asked.verdict, text=asked.text))


def _handled(call: Call, say: Callable[[Facts, dict[str, Any]], Artifact]) -> shapes.Recorded:
    words = {"incident": call.path["id"], "by": call.person, "observed": observed(call)}
    return _recorded(call, lambda _, facts: [say(facts, words)])


def _recorded(call: Call, say: Callable[[Home, Facts], Iterable[Artifact]]) -> shapes.Recorded:
    """Put what `say` makes of the facts into the home, in one transaction."""
    name = call.model.name
    with _writing(call.model) as home:
        facts = facts_of(home, name)
        said = tuple(say(home, facts))
        with home.transaction() as store:
            for item in said:
                store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, name)
    call.service.changed(name)
    return shapes.Recorded(
        [
            shapes.Artifact(item.id, item.kind, facts.name(item.at), list(item.caused_by), dict(item.content))
            for item in said
        ]
    )
