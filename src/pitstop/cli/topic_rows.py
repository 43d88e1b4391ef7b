"""Hands messages of a topic over to a service or a workspace, and odd ones to its quarantine, each by its own name.

A value is rows in JSON (an object, an array, or an object a line; also in the envelopes of Kafka Connect and of a
schema registry), a table (Arrow, Parquet, CSV), or a CloudEvent of KServe's or Seldon's logger, in the binary or the
structured mode of CloudEvents' binding to Kafka.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, Self
from urllib.parse import quote

from pitstop.cli.places import is_address
from pitstop.cli.workspace_models import is_workspace, model_in
from pitstop.client.posting import Poster
from pitstop.errors import IngestError, OverloadedError, PitstopError, RecordError, SpecError, UnreadableTableError
from pitstop.integrations.topic_run import Message, Run
from pitstop.service.ingest.batch import LIMITS, Batch
from pitstop.service.ingest.bodies import parse_json
from pitstop.service.ingest.cloud_events import STRUCTURED, batch_of, read_event
from pitstop.service.ingest.formats import MEDIA_TYPES, count_rows
from pitstop.service.ingest.inbox import Inbox, wall_clock
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.ingest.topic_messages import MESSAGES_MEDIA, SET_ASIDE_MEDIA, message_line, set_aside

Kind = Literal["predictions", "labels"]
# Refusals that are about what was sent; the sender may as well stop for any other.
_ODD = frozenset({400, 413, 415, 422})
_MAGIC = ((b"PAR1", "application/vnd.apache.parquet"), (b"\xff\xff\xff\xff", "application/vnd.apache.arrow.stream"))
_JSON, _LINES = "application/json", "application/x-ndjson"
_PLAIN = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
# Of a message that nobody can read, so that it fits into a request.
_KEPT_BYTES = 16 << 20


class Door(Protocol):
    """Where batches of `model` go in.

    `put` raises `RecordError` or `SpecError` for an odd batch, `IngestError` where it has to wait.
    """

    model: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def put(self, kind: str, media: str, payload: bytes, name: str = "", more: Mapping[str, str] | None = None) -> None:
        """Make a batch durable."""


class ServiceDoor:
    """A service."""

    def __init__(self, address: str, model: str, key: str) -> None:
        if not model:
            msg = "a service needs to be told whose rows these are; add --model NAME"
            raise IngestError(msg)
        self.model = model
        self._poster = Poster(address, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._poster.close()

    def put(self, kind: str, media: str, payload: bytes, name: str = "", more: Mapping[str, str] | None = None) -> None:
        """Post a batch."""
        answer = self._poster.post(self.model, kind, payload, media, name, more or {})
        if answer.outcome == "taken":
            return
        if answer.status in _ODD:
            raise UnreadableTableError(answer.detail)
        raise OverloadedError(answer.detail, math.ceil(answer.wait))


class WorkspaceDoor:
    """A workspace on this machine; its worker stores what comes, now or when it runs next."""

    def __init__(self, workspace: Path, model: str) -> None:
        if not is_workspace(workspace):
            msg = (
                f"{workspace} is neither the address of a service nor a workspace; "
                f"`pitstop up --workspace {workspace}` makes one"
            )
            raise IngestError(msg)
        self.model = model_in(workspace, model)
        self._stack = ExitStack()
        self._specs = self._stack.enter_context(RegisteredSpecs(workspace))
        self._inbox = self._stack.enter_context(Inbox(workspace, self._specs))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def put(self, kind: str, media: str, payload: bytes, name: str = "", more: Mapping[str, str] | None = None) -> None:
        """Put a batch into the spool."""
        if kind == "events":
            headers = {key.encode(): value.encode() for key, value in (more or {}).items()}
            event = read_event(headers | {b"content-type": media.encode()}, payload)
            spec = self._specs(self.model)
            if spec is None:
                msg = f"no model {self.model!r} is registered here; register it, or check the name"
                raise IngestError(msg)
            self._inbox.accept_now(batch_of(spec, self.model, event, wall_clock())[0])
            return
        self._inbox.accept_now(Batch(self.model, kind, MEDIA_TYPES[media], payload, name))  # type: ignore[arg-type]


def open_door(target: str, model: str, key: str) -> Door:
    """Return the door of a service or a workspace; raise `IngestError` for what is neither."""
    return ServiceDoor(target, model, key) if is_address(target) else WorkspaceDoor(Path(target), model)


def hand_over_run(door: Door, kind: Kind, run: Run) -> int:
    """Make a run of messages durable; return how many rows it held. Raises `IngestError` where it has to wait.

    What cannot be read goes to the quarantine, named by its topic, partition and offset.
    """
    try:
        return _hand_over(door, kind, run)
    except IngestError:
        raise
    except PitstopError as error:
        # The catalog is away, say, or the model is not registered yet: somebody may mend that.
        raise IngestError(str(error)) from error


def _hand_over(door: Door, kind: Kind, run: Run) -> int:
    rows, lines = 0, []
    for message in run.messages:
        if message.value is None:
            continue  # a tombstone takes a key back, and rows have none
        try:
            event = _event(message)
            if event is not None:
                headers, content = event
                door.put("events", headers.pop("content-type"), content, more=headers)
                rows += 1
                continue
            media, content = _content(message)
            if media != _JSON:
                count = count_rows(MEDIA_TYPES[media], content)
                door.put(kind, media, content, f"{run.name}@{message.offset}")
                rows += count
                continue
            lines.append((message, content, count_rows("json", content)))
        except (RecordError, SpecError) as error:
            _set_aside(door, kind, run, message, str(error))
        except PitstopError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a message does to the code that reads it, the others must pass
            _set_aside(door, kind, run, message, f"reading it failed with {type(error).__name__}: {error}")
    if lines:
        rows += _put_lines(door, kind, run, lines)
    return rows


def _put_lines(door: Door, kind: Kind, run: Run, lines: list[tuple[Message, bytes, int]], part: str = "") -> int:
    """Hand rows in JSON over as one batch; halve what is refused until the odd message stands alone."""
    payload = b"".join(message_line(run.name_of(message), content) for message, content, _ in lines)
    try:
        if len(payload) > LIMITS.body_bytes:
            msg = f"the message has {len(payload):,} bytes; at most {LIMITS.body_bytes:,} are taken"
            raise UnreadableTableError(msg)
        door.put(kind, MESSAGES_MEDIA, payload, run.name + part)
        return sum(count for _, _, count in lines)
    except (RecordError, SpecError) as error:
        if len(lines) == 1:
            _set_aside(door, kind, run, lines[0][0], str(error))
            return 0
    middle = len(lines) // 2
    halves = ((lines[:middle], f"{part}a"), (lines[middle:], f"{part}b"))
    return sum(_put_lines(door, kind, run, half, f"{name}") for half, name in halves)


def _set_aside(door: Door, kind: Kind, run: Run, message: Message, why: str) -> None:
    content = message.value or b""
    where = f"topic {run.topic}, partition {run.partition}, offset {message.offset}"
    if len(content) > _KEPT_BYTES:
        where += f"; only the first {_KEPT_BYTES:,} of its {len(content):,} bytes are kept"
    form = MEDIA_TYPES.get(_media(message) or "", "json")
    payload = set_aside(run.name_of(message), f"{why} ({where})", form, content[:_KEPT_BYTES])
    door.put(kind, SET_ASIDE_MEDIA, payload, f"{run.name}!{message.offset}")


def _event(message: Message) -> tuple[dict[str, str], bytes] | None:
    """Return the headers and the body with which an event is posted, None for a message that is none.

    An event that says no time was made when its message was written.
    """
    media, content = _media(message), message.value or b""
    written = None if message.at is None else datetime.fromtimestamp(message.at / 1000, UTC).isoformat()
    if media == STRUCTURED:
        if written is not None:
            whole = parse_json(content, "the event")
            if type(whole) is dict and not whole.get("time"):
                content = json.dumps({**whole, "time": written}).encode()
        return {"content-type": STRUCTURED}, content
    found = {
        f"ce-{name[3:]}": value.decode("utf-8", errors="replace")
        for name, value in message.headers.items()
        if name.startswith("ce_")
    }
    if "ce-specversion" not in found and "ce-type" not in found:
        return None
    if not found.get("ce-time") and written is not None:
        found["ce-time"] = written
    # Headers of HTTP hold less than those of Kafka: the binding to HTTP escapes the rest.
    found = {name: quote(value, safe=_PLAIN) for name, value in found.items()}
    return {"content-type": media or _JSON, **found}, content


def _media(message: Message) -> str:
    stated = message.headers.get("content-type", b"").decode("latin-1")
    return stated.partition(";")[0].strip().lower()


def _content(message: Message) -> tuple[str, bytes]:
    """Return the media type of a message's rows, and the rows; raise `RecordError` for what is none."""
    content = message.value or b""
    media = _media(message)
    if media not in MEDIA_TYPES or media in (MESSAGES_MEDIA, SET_ASIDE_MEDIA):
        media = next((found for magic, found in _MAGIC if content.startswith(magic)), _JSON)
    if MEDIA_TYPES[media] == "ndjson":
        return _JSON, _array(content)
    if MEDIA_TYPES[media] != "json":
        return media, content
    if content[:1] == b"\0":
        # A registry's mark: a zero, and four bytes that name the schema.
        if content[5:].lstrip()[:1] not in (b"{", b"["):
            msg = "the message names a schema of a registry and is no JSON: Avro and Protobuf are not read; write JSON"
            raise UnreadableTableError(msg)
        content = content[5:]
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError):
        if b"\n" not in content.strip():
            msg = "the message is not JSON; write a row as an object"
            raise UnreadableTableError(msg) from None
        return _JSON, _array(content)
    if type(found) is dict and found.keys() == {"schema", "payload"}:
        return _JSON, json.dumps(found["payload"]).encode()
    plain = content.isascii() and b"\0" not in content
    return _JSON, content if plain else json.dumps(found).encode()  # JSON may come in UTF-16 as well


def _array(content: bytes) -> bytes:
    """Return lines of JSON as an array. Raises `UnreadableTableError`."""
    try:
        rows = [json.loads(line) for line in content.split(b"\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        msg = f"the message is neither JSON nor one JSON object a line ({error}); write a row as an object"
        raise UnreadableTableError(msg) from error
    return json.dumps(rows).encode()
