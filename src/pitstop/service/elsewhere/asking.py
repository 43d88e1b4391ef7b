"""The job of an order whose model is trained elsewhere: chooses the rows, records the order, and leaves it to wait."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from pitstop.errors import PitstopError, SpecError, StoreError
from pitstop.loop.elsewhere import Training
from pitstop.loop.kept import Kept
from pitstop.loop.orders import Order
from pitstop.records.spec import ModelSpec
from pitstop.replays import elsewhere
from pitstop.retraining.trainer import Challenger, TrainingRequest
from pitstop.service.elsewhere.trainings import Trainings
from pitstop.service.workspace import Registered, Workspace
from pitstop.store.home import ArtifactRecord, Home

_HOUR = 3_600 * 1_000_000
_LEAST_SECRET = 24


def secret_of(spec: ModelSpec) -> str:
    """Return the secret that requests of a model are signed with. Raises `SpecError` where it is not usable."""
    name = spec.elsewhere.secret
    text = os.environ.get(name, "")
    try:
        usable = len(base64.b64decode(text.removeprefix("whsec_"), validate=True)) >= _LEAST_SECRET
    except (binascii.Error, ValueError):
        usable = False
    if not usable or not text.startswith("whsec_"):
        msg = (
            f"the variable {name} holds no signing secret, so the other system could not tell who asks; start the "
            f"service with one: whsec_ and {_LEAST_SECRET} random bytes or more in base64"
        )
        raise SpecError(msg)
    return text


def ask(workspace: Workspace, model: Registered, job: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Record the order and what is asked, once; the request itself is sent by `sending.Dispatch`."""
    trainings = Trainings(workspace)
    secret_of(model.spec)
    known = _recorded(model, job)
    if known is not None:
        # By a try that died before it could write down what is to be sent.
        return _written(trainings, model, job, arguments, Kept("training", known.id, known.at, (), known.content))
    waiting = trainings.all(model.name, open_only=True)
    if waiting:
        msg = f"{model.name} is being trained elsewhere already (job {waiting[0].job}); wait for it, or cancel that job"
        raise StoreError(msg)
    order = Order(
        "retrain",
        arguments["by"],
        arguments["reason"],
        None,
        arguments.get("recipe") or "",
        {"recorded": arguments["recorded"], "login": arguments["by"], "job": job},
    )

    def hand_over(found: Training) -> None:
        trainings.put(job, "training.arrow", _arrow(found.rows))
        trainings.put(job, "held_out.arrow", _arrow(found.held_out))

    try:
        found = elsewhere.ask(model.home, order, spec=model.spec, base=model.base, hand_over=hand_over)
    except PitstopError:
        # Copies of people's rows for which nobody waits would be found by no erasure.
        if _recorded(model, job) is None:
            trainings.clear(job)
        raise
    return _written(trainings, model, job, arguments, found.asked)


def _recorded(model: Registered, job: str) -> ArtifactRecord | None:
    """Return what was recorded of the training that the order of a job asks for; None where nothing was."""
    with Home.open(model.home, read_only=True) as kept:
        given = [item for item in kept.artifacts("order", model.name) if item.content["observed"].get("job") == job]
        asked = (item for item in kept.artifacts("training", model.name) if given and given[0].id in item.caused_by)
        return next(asked, None)


def _written(
    trainings: Trainings, model: Registered, job: str, arguments: Mapping[str, Any], asked: Kept
) -> dict[str, Any]:
    spec, challenger = model.spec, Challenger.from_json(asked.content["challenger"])
    request, calendar = TrainingRequest.of(spec), spec.calendar
    here = f"/v1/models/{model.name}"
    facts = {
        "training": asked.id,
        "model": model.name,
        "challenger": challenger.id,
        "task": request.task,
        "features": list(request.features),
        "categorical": list(request.categorical),
        "positive": request.positive,
        "seed": request.seed,
        "recipe": challenger.recipe.name,
        "as_of": calendar.name_instant(challenger.at),
        "rows": challenger.rows,
        "held_out": asked.content["held_out"],
        "ordered_by": arguments["by"],
        "reason": arguments["reason"],
        "training_rows": f"{here}/trainings/{asked.id}/rows?part=training",
        "held_out_rows": f"{here}/trainings/{asked.id}/rows?part=held_out",
        "bring_to": f"{here}/challengers?training={asked.id}",
    }
    # Not this process's clock: a try after a crash counts from the same instant.
    at = int(datetime.fromisoformat(arguments["recorded"]).timestamp() * 1e6)
    deadline = at + int(spec.elsewhere.hours * _HOUR)
    trainings.add(asked.id, model.name, job, facts, at, deadline)
    note = f"waits for a model that is trained elsewhere ({asked.id})"
    return {"training": asked.id, "waits_for": note}


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    made = table.unify_dictionaries().combine_chunks().replace_schema_metadata(None)
    with pa.ipc.new_file(sink, made.schema) as writer:
        writer.write_table(made)
    return bytes(sink.getvalue())
