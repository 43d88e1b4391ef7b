"""Parts of lists. A cursor says after which entry to go on; lists only grow at their ends, so none is seen twice."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from pitstop.errors import UnknownNameError
from pitstop.service.api.operation import Page

Item = TypeVar("Item")


class Part(msgspec.Struct, Generic[Item], frozen=True):
    """A part of a list; `next` is the cursor of the part after it, null at the end."""

    items: list[Item]
    next: str | None


def cursor_of(place: int) -> str:
    """Return the cursor of a place."""
    return base64.urlsafe_b64encode(f"after:{place}".encode()).decode().rstrip("=")


def place_of(page: Page) -> int:
    """Return the place that a cursor stands for; 0 without one. Raises `UnknownNameError` for one of nobody's."""
    if not page.cursor:
        return 0
    try:
        padded = page.cursor.encode() + b"=" * (-len(page.cursor) % 4)
        word, _, place = base64.b64decode(padded, b"-_", validate=True).decode().partition(":")
        if word == "after" and place.isdigit() and len(place) < 16:
            return int(place)
    except (binascii.Error, UnicodeError, ValueError):
        pass
    msg = f"got the cursor {page.cursor[:80]!r}; expected the `next` of an earlier part, unchanged"
    raise UnknownNameError(msg)


def part_of(page: Page, everything: Sequence[Any]) -> Part[Any]:
    """Return the part of a whole list that a page asks for."""
    first = place_of(page)
    last = first + page.limit
    return Part(list(everything[first:last]), cursor_of(last) if last < len(everything) else None)
