"""CloudEvents of KServe's and Seldon's loggers: what each says, in the form in which the spool keeps it.

Types that end in `.inference.request`, `.inference.response` and `.feedback` are read; the attribute `requestid`
(Seldon) names the request, else `id` (KServe). Both loggers share it between a request and its response.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from pitstop.errors import ColumnValueError, EmptyTableError, SpecError, TooLargeError, UnreadableTableError
from pitstop.records.spec import ModelSpec
from pitstop.service.ingest.batch import LIMITS, Batch, Limits
from pitstop.service.ingest.bodies import Row, parse_json, request_rows, response_rows, truths
from pitstop.service.ingest.moments import read_moment, text_of

Half = Literal["request", "response"]
STRUCTURED = "application/cloudevents+json"
_TYPES: Mapping[str, str] = {
    ".inference.request": "request",
    ".inference.response": "response",
    ".feedback": "feedback",
}


@dataclass(frozen=True)
class Event:
    """One event: what it is (`request`, `response`, `feedback`), of which request, when it was made, its JSON body.

    `time` is RFC 3339 in UTC, empty where the event says none.
    """

    kind: str
    request: str
    time: str
    body: Any


def read_event(headers: Mapping[bytes, bytes], payload: bytes, limits: Limits = LIMITS) -> Event:
    """Return the event of an HTTP request in binary mode (`ce-` headers) or structured mode (`STRUCTURED`).

    Names of `headers` are in lower case. Raises `UnreadableTableError` for what is no such event, `ColumnValueError`
    for an attribute that cannot be, and `TooLargeError` for an id that is too long.
    """
    media = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if media == STRUCTURED:
        attributes = parse_json(payload, "the event")
        if type(attributes) is not dict:
            msg = f"the event is a JSON {type(attributes).__name__}; expected an object with specversion, id and type"
            raise UnreadableTableError(msg)
        body = _data(attributes)
    else:
        attributes = {
            name[3:].decode("latin-1"): unquote(value.decode("utf-8", errors="replace"), errors="replace")
            for name, value in headers.items()
            if name.startswith(b"ce-")
        }
        # KServe passes on what the caller said of its own body; it is JSON whatever that was.
        body = None
    kind = _kind(attributes.get("type"))
    request = attributes.get("requestid") or attributes.get("id")
    if type(request) is not str or not request.strip():
        msg = "the event has neither 'requestid' nor 'id'; requests and responses are paired by it"
        raise UnreadableTableError(msg)
    request = request.strip()
    if not request.isprintable():
        msg = f"the event's id {request[:60]!r} has characters that are not printable; ids are printable text"
        raise UnreadableTableError(msg)
    if len(request) > limits.id_length - len("response:"):
        msg = f"the event's id has {len(request)} characters; at most {limits.id_length - len('response:')} are taken"
        raise TooLargeError(msg)
    time = read_moment(attributes["time"], "the event's time") if attributes.get("time") else ""
    return Event(kind, request, time, parse_json(payload, "the event's data") if media != STRUCTURED else body)


def batch_of(
    spec: ModelSpec, model: str, event: Event, at: int, by: str = "", limits: Limits = LIMITS
) -> tuple[Batch, int]:
    """Return the batch that stands for an event (labels for feedback, else half of a prediction) and its rows.

    `at` is now in microseconds, for an event without a time. Raises `RecordError` for a body that is not of the model.
    """
    if event.kind == "feedback":
        labels = _labels(spec, event, at)
        _refuse_count(labels, limits)
        return Batch(model, "labels", "json", json.dumps(labels).encode(), by=by), len(labels)
    rows = request_rows(spec, event.body) if event.kind == "request" else response_rows(spec, event.body)
    _refuse_count(rows, limits)
    content = {"half": event.kind, "request": event.request, "time": event.time or text_of(at), "rows": rows}
    # The same half again, as after a retry, is the same batch.
    name = f"{event.kind}:{event.request}"
    return Batch(model, "events", "json", json.dumps(content).encode(), name, by), len(rows)


def paired_rows(spec: ModelSpec, request: Mapping[str, Any], response: Mapping[str, Any]) -> list[Row]:
    """Return the predictions of a request and its response as `batch_of` wrote them.

    Where they have different numbers of rows, what is there is paired and the others stand alone: the caller compares.
    """
    asked, said = request["rows"], response["rows"]
    named, rows = spec.columns, []
    count = max(len(asked), len(said))
    for place, name in enumerate(row_ids(request["request"], count)):
        row: Row = {named.time: request["time"]}
        if named.id is not None:
            row[named.id] = name
        if place < len(said):
            row |= said[place]
        rows.append(row | (asked[place] if place < len(asked) else {}))
    return rows


def row_ids(request: str, count: int) -> list[str]:
    """Return the ids of a request's rows: its own id for one row, `ID/0`, `ID/1` and so on for several."""
    return [request] if count == 1 else [f"{request}/{place}" for place in range(count)]


def label_rows_of(spec: ModelSpec, request: str, values: Sequence[Any], time: str) -> list[Row]:
    """Return labels for the rows of a request; raise `SpecError` where the specification has no id or label."""
    named = spec.columns
    if named.id is None or named.label is None:
        lacking = "id" if named.id is None else "label"
        msg = f"labels are joined by id, but [columns] names no {lacking}; add {lacking} = ..."
        raise SpecError(msg)
    at = {named.label_time: time} if named.label_time is not None else {}
    ids = row_ids(request, len(values))
    return [{named.id: name, named.label: value, **at} for name, value in zip(ids, values, strict=True)]


def _labels(spec: ModelSpec, event: Event, at: int) -> list[Row]:
    truth = event.body.get("truth") if type(event.body) is dict else None
    if truth is None:
        msg = "the feedback has no 'truth', and a reward alone is no label; send the true value"
        raise ColumnValueError(msg)
    return label_rows_of(spec, event.request, truths(truth), event.time or text_of(at))


def _refuse_count(rows: Sequence[Row], limits: Limits) -> None:
    if not rows:
        msg = "the event holds no row; send at least one"
        raise EmptyTableError(msg)
    if len(rows) > limits.rows:
        msg = f"the event has {len(rows):,} rows; at most {limits.rows:,} are taken at a time: send it in parts"
        raise TooLargeError(msg)


def _kind(stated: Any) -> str:
    for ending, kind in _TYPES.items():
        if type(stated) is str and stated.endswith(ending):
            return kind
    got = "no type" if stated is None else f"the type {str(stated)[:80]!r}"
    msg = f"got an event of {got}; known are types that end in {', '.join(_TYPES)}"
    raise UnreadableTableError(msg)


def _data(attributes: Mapping[str, Any]) -> Any:
    if "data_base64" in attributes:
        try:
            content = base64.b64decode(str(attributes["data_base64"]), validate=True)
        except (binascii.Error, ValueError) as error:
            msg = f"the event's data_base64 is not base64 ({error})"
            raise UnreadableTableError(msg) from error
        return parse_json(content, "the event's data")
    data = attributes.get("data")
    # Data whose type is no JSON is a string in structured mode, and a logger passes on what the caller said.
    return parse_json(data, "the event's data") if type(data) is str else data
