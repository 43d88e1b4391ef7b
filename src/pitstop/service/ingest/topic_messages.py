"""Messages of a topic as one batch, in which each keeps its name: an odd one is set aside alone, by that name.

Format `messages`: on each line an object with `id` (the message's name) and `rows` (an object, or an array of them).
Format `set-aside`: one object with `id`, `reason`, `format` (what the content was taken for) and `base64` (the
content): a message that nobody could read, for the quarantine.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

from pitstop.errors import UnreadableTableError
from pitstop.store.spool import SpoolRecord

MESSAGES, SET_ASIDE = "messages", "set-aside"
MESSAGES_MEDIA = "application/vnd.pitstop.messages+x-ndjson"
SET_ASIDE_MEDIA = "application/vnd.pitstop.set-aside+json"
# The longest name of a message, and how much of a reason is kept, in characters.
_NAME, _REASON = 400, 1000


def message_line(name: str, rows: bytes) -> bytes:
    """Return the line of a message; `rows` is valid JSON: an object, or an array of objects."""
    # Within JSON a line feed is white space; in a string it is written as \n.
    return b'{"id":%s,"rows":%s}\n' % (json.dumps(name).encode(), rows.replace(b"\n", b" ").replace(b"\r", b" "))


def rows_of_lines(payload: bytes) -> list[Any]:
    """Return the rows of format `messages`, in order. Raises `UnreadableTableError`, and `ValueError` for no JSON."""
    found: list[Any] = []
    for _, rows in _lines(payload):
        found += rows
    return found


def split(record: SpoolRecord) -> list[SpoolRecord]:
    """Return each message of a record of format `messages` as a record of its own, of its name, in JSON."""
    return [
        _standing_for(record, name, "json", json.dumps(rows).encode()) for name, rows in _lines(bytes(record.payload))
    ]


def set_aside(name: str, reason: str, form: str, content: bytes) -> bytes:
    """Return the payload of format `set-aside`."""
    what = {"id": name, "reason": reason, "format": form, "base64": base64.b64encode(content).decode()}
    return json.dumps(what).encode()


def read_set_aside(payload: bytes) -> tuple[str, str, str, bytes]:
    """Return name, reason, format and content; raise `UnreadableTableError` for what does not say them."""
    try:
        found = json.loads(payload)
        name, reason, form = (found[key] for key in ("id", "reason", "format"))
        content = base64.b64decode(found["base64"], validate=True)
        known = _is_name(name) and _is_name(form) and type(reason) is str
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as error:
        msg = "the body does not say what is set aside; expected an object with id, reason, format and base64"
        raise UnreadableTableError(msg) from error
    if not known:
        msg = f"id and format of what is set aside are printable text of at most {_NAME} characters, its reason is text"
        raise UnreadableTableError(msg)
    return name, "".join(sign if sign.isprintable() else " " for sign in reason[:_REASON]), form, content


def without_set_aside(records: Iterable[SpoolRecord], refused: list[tuple[SpoolRecord, str]]) -> list[SpoolRecord]:
    """Return the records that hold rows; those of format `set-aside` go to `refused`, as what they were sent for."""
    rest = []
    for record in records:
        if record.meta["format"] == SET_ASIDE:
            name, reason, form, content = read_set_aside(bytes(record.payload))
            refused.append((_standing_for(record, name, form, content), reason))
        else:
            rest.append(record)
    return rest


def _lines(payload: bytes) -> Iterable[tuple[str, list[Any]]]:
    for place, line in enumerate(payload.split(b"\n"), start=1):
        if not line.strip():
            continue
        found = json.loads(line)
        if type(found) is not dict or not _is_name(found.get("id")) or type(found.get("rows")) not in (dict, list):
            msg = f"line {place} is no message; expected an object with an id (at most {_NAME} characters) and rows"
            raise UnreadableTableError(msg)
        rows = found["rows"]
        yield found["id"], rows if type(rows) is list else [rows]


def _is_name(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= _NAME and value.isprintable()


def _standing_for(record: SpoolRecord, name: str, form: str, payload: bytes) -> SpoolRecord:
    meta = {key: value for key, value in record.meta.items() if key in ("model", "kind", "by")}
    return SpoolRecord(record.file, record.start, record.end, record.at, {**meta, "format": form, "id": name}, payload)
