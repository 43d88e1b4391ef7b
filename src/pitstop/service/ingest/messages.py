"""Whether an Arrow IPC message is compressed: read from its flatbuffer, before anything of it is unpacked.

https://arrow.apache.org/docs/format/Columnar.html, Message.fbs: a message has a header, which is a record batch (its
fourth field names a compression) or a dictionary batch (its second field is a record batch).
"""

from __future__ import annotations

import struct

_DICTIONARY, _BATCH = 2, 3


def is_compressed(metadata: bytes) -> bool:
    """Return whether a message names a compression. Raises `ValueError` for what is no message."""
    try:
        message = struct.unpack_from("<I", metadata, 0)[0]
        kind = _field(metadata, message, 1)
        header = _field(metadata, message, 2)
        if kind is None or header is None:
            return False
        number, batch = metadata[kind], _follow(metadata, header)
        if number == _DICTIONARY:
            data = _field(metadata, batch, 1)
            if data is None:
                return False
            batch = _follow(metadata, data)
        elif number != _BATCH:
            return False
        return _field(metadata, batch, 3) is not None
    except (struct.error, IndexError) as error:
        msg = "an Arrow message cannot be read"
        raise ValueError(msg) from error


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return where a field of a table lies, None where it has its default."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    if vtable < 0:
        msg = "an Arrow message cannot be read"
        raise ValueError(msg)
    size = struct.unpack_from("<H", data, vtable)[0]
    place = 4 + 2 * number
    if place + 2 > size:
        return None
    offset = int(struct.unpack_from("<H", data, vtable + place)[0])
    return table + offset if offset else None


def _follow(data: bytes, place: int) -> int:
    return place + int(struct.unpack_from("<I", data, place)[0])
