"""How wide a CSV file is, by its header: before a reader makes room for each of its columns."""

from __future__ import annotations

import re

_DELIMITERS = (b",", b";", b"\t", b"|")
_SIGNS = re.compile(rb'[",;\t|\r\n]')


def header_columns(payload: bytes, most: int) -> int:
    """Return how many columns the header has at least, whatever the delimiter; above `most` where there are more.

    It is looked at no further than decides that.
    """
    counts = dict.fromkeys(_DELIMITERS, 0)
    if payload.startswith((b"\xff\xfe", b"\xfe\xff")):
        payload = payload.decode("utf-16", errors="replace").encode(errors="replace")
    payload = payload.removeprefix(b"\xef\xbb\xbf")
    quoted, line, field, closed = False, 0, 0, -2
    for looked, match in enumerate(_SIGNS.finditer(payload)):
        sign, at = match[0], match.start()
        if looked > 16 * most:
            return looked
        if sign == b'"':
            if quoted:
                quoted, closed = False, at
            else:
                # A quote opens where a field begins, and goes on where it is doubled.
                quoted = at in (field, closed + 1)
            continue
        field = at + 1
        if quoted:
            continue
        if sign in counts:
            counts[sign] += 1
            if counts[sign] >= most:
                break
        elif at > line:
            break
        else:
            line = at + 1  # an empty line is passed over
    return max(counts.values()) + 1
