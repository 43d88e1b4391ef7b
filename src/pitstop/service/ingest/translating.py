"""Turns what other systems emit into batches of the model's own columns, before anything is acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from pitstop.errors import UnknownNameError
from pitstop.records.spec import ModelSpec
from pitstop.service.ingest.batch import Batch, Kind, Receipt
from pitstop.service.ingest.cloud_events import batch_of, read_event
from pitstop.service.ingest.inbox import Inbox, wall_clock
from pitstop.service.ingest.sagemaker import SAGEMAKER, capture_rows, truth_rows

# Payloads beyond this are read beside the event loop, not in it.
_LARGE = 1 << 15
_MEDIA = SAGEMAKER.encode()


def translates(kind: str, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request has to be translated: it is an event, or its content type is `SAGEMAKER`."""
    return kind == "events" or headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == _MEDIA


async def translation(
    inbox: Inbox, model: str, kind: Kind, headers: Mapping[bytes, bytes], payload: bytes, *, name: str, by: str
) -> Receipt:
    """Accept a request of another system. Raises `RecordError`, `SpecError`, and as `Inbox.accept` does."""
    spec = inbox.specs(model)
    if spec is None:
        msg = f"no model {model!r} is registered here; register it, or check the name"
        raise UnknownNameError(msg)
    if kind == "events":

        def made() -> tuple[Batch, int]:
            return batch_of(spec, model, read_event(headers, payload, inbox.limits), wall_clock(), by, inbox.limits)
    else:

        def made() -> tuple[Batch, int]:
            return sagemaker_batch(spec, model, kind, payload, name=name, by=by)

    batch, rows = await asyncio.to_thread(made) if len(payload) > _LARGE else made()
    await inbox.accept(batch)
    return Receipt(rows)


def sagemaker_batch(
    spec: ModelSpec, model: str, kind: Kind, payload: bytes, *, name: str = "", by: str = ""
) -> tuple[Batch, int]:
    """Return SageMaker's lines as a batch of predictions (data capture) or labels (ground truth), and its rows.

    Raises `RecordError` and `SpecError`.
    """
    rows = capture_rows(spec, payload) if kind == "predictions" else truth_rows(spec, payload, wall_clock())
    return Batch(model, kind, "json", json.dumps(rows).encode(), name, by), len(rows)
