"""Puts requests and responses of the same id together, inside the transaction that stores what comes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pitstop.records.spec import ModelSpec
from pitstop.service.ingest.cloud_events import paired_rows
from pitstop.store.spool import SpoolRecord
from pitstop.store.transaction import Transaction
from pitstop.store.waiting import Waiting, end_waiting, put_waiting, request_digest, waiting_of


def pair(
    store: Transaction, spec: ModelSpec, records: Sequence[SpoolRecord]
) -> tuple[list[SpoolRecord], list[tuple[SpoolRecord, str]]]:
    """Return the predictions that halves of a model make, as batches; and those that do not fit, with the reason.

    `records` are halves in the order in which they came, each new. What stays alone waits in the store. A pair stands
    where its second half lay in the spool.
    """
    model = str(records[0].meta["model"])
    halves = [(record, json.loads(record.payload)) for record in records]
    names = list(dict.fromkeys(request_digest(model, half["request"]) for _, half in halves))
    before = waiting_of(store, names)
    now = dict(before)
    ended: set[bytes] = set()
    made: list[SpoolRecord] = []
    odd: list[tuple[SpoolRecord, str]] = []
    for record, half in halves:
        name = request_digest(model, half["request"])
        other = now.pop(name, None)
        if other is None:
            now[name] = Waiting(model, name, record.at, bytes(record.payload))
            continue
        known = json.loads(other.payload)
        if known["half"] == half["half"]:
            # Only where the ids of batches were forgotten meanwhile: the first one stands.
            now[name] = other
            continue
        ended.add(name)
        request, response = (half, known) if half["half"] == "request" else (known, half)
        batch = _predictions(record, paired_rows(spec, request, response))
        asked, said = len(request["rows"]), len(response["rows"])
        if asked == said:
            made.append(batch)
        else:
            odd.append((batch, f"request {half['request']!r} has {asked} rows and its response {said}; mend the rows"))
    end_waiting(store, ended & set(before))
    put_waiting(store, [item for name, item in now.items() if name not in before or name in ended])
    return made, odd


def _predictions(record: SpoolRecord, rows: Sequence[Any]) -> SpoolRecord:
    meta = {key: value for key, value in record.meta.items() if key in ("model", "by")}
    found = {**meta, "kind": "predictions", "format": "json"}
    return SpoolRecord(record.file, record.start, record.end, record.at, found, json.dumps(rows).encode())
