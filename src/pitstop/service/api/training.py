"""Trainings elsewhere, through the API: what was asked, the rows to train on, and what is brought of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pitstop.errors import RecordError, StatementError, StoreError, TrainingError
from pitstop.retraining.answers import check_predictions
from pitstop.service.api import acting, shapes
from pitstop.service.api.operation import Call
from pitstop.service.api.paging import Part, part_of
from pitstop.service.api.streamed import Streamed
from pitstop.service.elsewhere.sending import bring_in
from pitstop.service.elsewhere.trainings import Asked, Trainings
from pitstop.store.disk import disk_errors

ARROW = "application/vnd.apache.arrow.file"
FILE = "application/octet-stream"


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows: those to train on, with their labels (`@label`), or the held-out ones, without."""

    part: Literal["training", "held_out"]


class Brings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is brought of which training; `digest` is the SHA-256 of the body, hexadecimal."""

    training: Annotated[str, Meta(min_length=1, max_length=200)]
    what: Literal["model", "predictions"]
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


def trainings(call: Call) -> Part[shapes.TrainingShape]:
    """List what other systems were asked to train, the oldest first."""
    part: Part[Asked] = part_of(call.query, Trainings(call.service.workspace).all(call.model.name))
    return Part([_shape(item) for item in part.items], part.next)


def rows(call: Call) -> bytes:
    """Return the rows of a training as an Arrow file; they are gone when it ends."""
    known = Trainings(call.service.workspace)
    asked = known.training(call.path["id"], call.model.name)
    if asked.ended is not None:
        msg = f"{asked.id} has ended ({asked.state}), and its rows are kept no longer; order another one"
        raise StatementError(msg)
    with disk_errors("read the rows of a training", known.folder(asked.job)):
        return (known.folder(asked.job) / f"{call.query.part}.arrow").read_bytes()


def deliver(call: Call) -> shapes.JobShape:
    """Bring a model file, or predictions of the held-out rows (an Arrow file), of a training that waits for them.

    They are checked by a job, as strictly as those of a trainer here.
    """
    brought: Streamed = call.body
    asks: Brings = call.query
    known = Trainings(call.service.workspace)
    asked = known.training(asks.training, call.model.name)
    at = call.service.clock()
    if brought.digest != asks.digest:
        msg = f"the body has the digest {brought.digest}, and {asks.digest} was announced; send it again, whole"
        raise RecordError(msg)
    if asked.state != "asked" or at >= asked.deadline:
        state = "late" if asked.state == "asked" else asked.state
        msg = f"{asked.id} takes nothing in: it is {state}; see the list of trainings, or order another one"
        raise StatementError(msg)
    _check(call, asked, brought)
    with disk_errors("read what was brought", brought.path):
        known.put(asked.job, f"answer-{brought.digest}", brought.path.read_bytes())
    values = {"what": asks.what, "digest": brought.digest, "by": call.person, "login": call.actor.name}
    if not known.move(asked.id, "asked", "answered", **values):
        msg = f"{asked.id} was just answered or ended by somebody else; see the list of trainings"
        raise StatementError(msg)
    job = bring_in(call.service.jobs, known.training(asked.id, call.model.name))
    return acting.job_shape(call.service.jobs.board.job(job))


def _check(call: Call, asked: Asked, brought: Streamed) -> None:
    """Refuse at once what can be seen to be wrong without running anything."""
    spec = call.model.spec
    if brought.size == 0:
        msg = "the body is empty; send the model's file, or the predictions"
        raise RecordError(msg)
    if call.query.what == "model":
        if not spec.trainer.command:
            msg = (
                "no model file is taken in for a built-in trainer: its format is one that could run any program; name "
                "a [trainer] command that opens the files of the other system, or bring predictions"
            )
            raise StatementError(msg)
        if brought.size > spec.trainer.disk_mib << 20:
            msg = f"the model has {brought.size:,} bytes; [trainer] disk_mib allows {spec.trainer.disk_mib} MiB"
            raise RecordError(msg)
        return
    if not asked.facts["held_out"]:
        msg = "no row was held out, so there is nothing to predict; bring the model"
        raise StatementError(msg)
    if brought.digest == asked.predictions:
        msg = "these predictions were brought before; bring the model that made them"
        raise StatementError(msg)
    try:
        with disk_errors("read what was brought", brought.path):
            check_predictions(brought.path.read_bytes(), spec.model.task, int(asked.facts["held_out"]))
    except (TrainingError, StoreError) as error:
        raise RecordError(str(error)) from error


def _shape(item: Asked) -> shapes.TrainingShape:
    return shapes.TrainingShape(
        item.id,
        item.job,
        item.state,
        shapes.named(item.at),
        shapes.named(item.deadline),
        None if item.sent is None else shapes.named(item.sent),
        item.tries,
        item.said,
        dict(item.facts),
    )
