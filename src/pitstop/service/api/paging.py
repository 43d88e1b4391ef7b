"""Parts of lists. A cursor says after which entry to go on, so that none is seen twice or passed over.

Where a list only grows at its end that is a place. Where entries come and go in between it is the last one's name.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from pitstop.errors import UnknownNameError
from pitstop.service.api.operation import Page

Item = TypeVar("Item")
_PLACE, _NAME = "after", "name"


class Part(msgspec.Struct, Generic[Item], frozen=True):
    """A part of a list; `next` is the cursor of the part after it, null at the end."""

    items: list[Item]
    next: str | None


def cursor_of(place: int) -> str:
    """Return the cursor of a place."""
    return _cursor(_PLACE, str(place))


def place_of(page: Page) -> int:
    """Return the place that a cursor stands for; 0 without one. Raises `UnknownNameError` for one of nobody's."""
    place = _said(page, _PLACE) if page.cursor else "0"
    if not (place.isascii() and place.isdigit() and len(place) < 16):
        raise _strange(page)
    return int(place)


def _cursor(word: str, text: str) -> str:
    return base64.urlsafe_b64encode(f"{word}:{text}".encode()).decode().rstrip("=")


def _said(page: Page, wanted: str) -> str:
    try:
        padded = page.cursor.encode() + b"=" * (-len(page.cursor) % 4)
        word, _, text = base64.b64decode(padded, b"-_", validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise _strange(page) from error
    if word != wanted or not text:
        raise _strange(page)
    return text


def _strange(page: Page) -> UnknownNameError:
    msg = f"got the cursor {page.cursor[:80]!r}; expected the `next` of an earlier part, unchanged"
    return UnknownNameError(msg)


def part_of(page: Page, everything: Sequence[Any]) -> Part[Any]:
    """Return the part that a page asks for of a whole list that only grows at its end."""
    first = place_of(page)
    last = first + page.limit
    return Part(list(everything[first:last]), cursor_of(last) if last < len(everything) else None)


def part_by_name(page: Page, everything: Iterable[Any]) -> Part[Any]:
    """Return the part that a page asks for of entries with a `name` of their own each, by it."""
    after = _said(page, _NAME) if page.cursor else ""
    rest = sorted((item for item in everything if item.name > after), key=lambda item: item.name)
    more = len(rest) > page.limit
    return Part(rest[: page.limit], _cursor(_NAME, rest[page.limit - 1].name) if more else None)


def part_by_number(page: Page, everything: Iterable[Any]) -> Part[Any]:
    """Return the part that a page asks for of entries with a `number` above 0 of their own each, by it."""
    after = place_of(page)
    rest = sorted((item for item in everything if item.number > after), key=lambda item: item.number)
    return Part(rest[: page.limit], cursor_of(rest[page.limit - 1].number) if len(rest) > page.limit else None)
