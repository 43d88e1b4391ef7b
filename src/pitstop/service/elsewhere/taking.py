"""The job that checks what another system brought, and makes it the challenger; or records why there is none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from pitstop.errors import PitstopError, StoreBusyError, StoreError, StoreUnavailableError, TrainerOutputError
from pitstop.loop.elsewhere import Delivery, digest_of_ids, keep_delivery
from pitstop.replays import elsewhere
from pitstop.replays.walk import Progress
from pitstop.retraining.answers import check_predictions
from pitstop.retraining.trainer import Challenger, Model
from pitstop.service.auth.credentials import now
from pitstop.service.elsewhere.trainings import ERASED, Asked, Trainings, TrainingState
from pitstop.service.jobs.board import Board, JobState
from pitstop.service.workspace import Registered, Workspace
from pitstop.store.disk import disk_errors
from pitstop.store.home import Home

KIND = "challenger"
_WHY = {
    "late": ("Late", "nothing usable was brought in time"),
    "cancelled": ("Cancelled", "the order was cancelled"),
}


def take(
    workspace: Workspace, model: Registered, job: str, arguments: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """Bring a training to its end, once: the order's job ends with it.

    Predictions end nothing while there is time: the model that made them may follow.
    """
    del progress
    trainings, board = Trainings(workspace), Board(workspace.fleet)
    asked = trainings.training(arguments["training"], model.name)
    if asked.state in _WHY:
        return _given_up(trainings, board, model, asked)
    if asked.state != "answered":
        return {"training": asked.id, "state": asked.state, "already": True}
    try:
        found = _known(model, job) or asdict(_taken(trainings, model, asked, job))
    except (StoreBusyError, StoreUnavailableError):
        raise  # tried again
    except PitstopError as error:
        elsewhere.give_up(model.home, model.name, asked.id, error=type(error).__name__, message=str(error))
        ended = {"error": type(error).__name__, "message": str(error), "training": asked.id}
        _end(trainings, board, asked, "failed", "failed", ended)
        raise
    found["training"] = asked.id
    if asked.what == "predictions":
        trainings.move(asked.id, "answered", "asked", predictions=asked.digest, said=found.get("said", ""))
        board.waiting(
            asked.job, f"predictions were brought ({found.get('said') or 'not compared'}); the model may follow"
        )
        return found
    _end(trainings, board, asked, "taken", "done", found)
    return found


def _taken(trainings: Trainings, model: Registered, asked: Asked, job: str) -> elsewhere.Brought:
    folder = trainings.folder(asked.job)
    content = _read(folder / f"answer-{asked.digest}", asked.digest)
    with disk_errors("read the held-out rows", folder):
        held_out = _ids((folder / "held_out.arrow").read_bytes())
    with Home.open(model.home, read_only=True) as kept:
        record = next(item for item in kept.artifacts("training", model.name) if item.id == asked.id)
    if digest_of_ids(held_out) != record.content["held_out_digest"]:
        msg = f"the held-out rows of {asked.id} are not those that were chosen; order the training again"
        raise StoreError(msg)
    task, rows = model.spec.model.task, len(held_out)
    before = _read(folder / f"answer-{asked.predictions}", asked.predictions) if asked.predictions else None

    def delivered(at: int) -> Delivery:
        observed = {"login": asked.login, "job": job}
        return Delivery(
            keep_delivery(asked.id, at, by=asked.by, what=asked.what, digest=asked.digest, observed=observed),
            Challenger.from_json(record.content["challenger"]),
            tuple(held_out),
            Model(content, int(record.content["challenger"]["rows"])) if asked.what == "model" else None,
            check_predictions(content, task, rows) if asked.what == "predictions" else None,
            None if before is None or asked.what == "predictions" else check_predictions(before, task, rows),
        )

    return elsewhere.take(model.home, delivered, spec=model.spec, base=model.base)


def _known(model: Registered, job: str) -> dict[str, Any]:
    """Return what a try of this job recorded before it died; empty where none did."""
    with Home.open(model.home, read_only=True) as kept:
        for item in kept.artifacts("delivery", model.name):
            if item.content["observed"].get("job") == job:
                return {"delivery": item.id, "already": True}
    return {}


def _given_up(trainings: Trainings, board: Board, model: Registered, asked: Asked) -> dict[str, Any]:
    error, message = _WHY[asked.state]
    cancelled = asked.state == "cancelled"
    if cancelled and asked.said == ERASED:
        error, message = "Erased", ERASED
    if asked.sent is None and not cancelled:
        message += f"; the request itself was never taken ({asked.said or 'no try has ended'})"
    state: JobState = "cancelled" if cancelled else "failed"
    if asked.predictions and not cancelled:
        # What was promised came; a model need not follow.
        state, record = "done", ""
    else:
        record = elsewhere.give_up(model.home, model.name, asked.id, error=error, message=message)
    found = {"error": error, "message": message, "training": asked.id, "record": record}
    board.ended(asked.job, state, found, now())
    trainings.clear(asked.job)
    trainings.set(asked.id, ended=now())
    return found


def _end(
    trainings: Trainings, board: Board, asked: Asked, state: TrainingState, ended: JobState, found: Mapping[str, Any]
) -> None:
    # The order's job first: a crash in between is made up by the next try, which finds the training still answered.
    board.ended(asked.job, ended, found, now())
    trainings.clear(asked.job)
    trainings.move(asked.id, "answered", state, said=str(found.get("message", "")), ended=now())


def _read(path: Path, digest: str) -> bytes:
    with disk_errors("read what was brought", path.parent):
        content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        msg = f"what was brought has changed on the disk; it had the digest {digest}"
        raise TrainerOutputError(msg)
    return content


def _ids(content: bytes) -> list[str]:
    names: list[str] = pa.ipc.open_file(pa.BufferReader(content)).read_all()["@id"].to_pylist()
    return names
