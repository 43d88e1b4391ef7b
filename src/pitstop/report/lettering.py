"""How wide a text will be, without a font: an upper guess, so that labels placed by it do not touch."""

from __future__ import annotations

import unicodedata

_SLIM = frozenset("iljtfrI.,:;|!'`()[]{} /\\-")
_BROAD = frozenset("mwMW@%+=<>~→…—")


BOLD = 1.15
"""How much wider bold letters are; multiply the size by it."""


def text_width(text: str, size: float) -> float:
    """Return the width of `text` in the unit of `size` (the font size), rounded up over the common system fonts."""
    return size * sum(_advance(character) for character in text)


def fitted(text: str, width: float, size: float) -> str:
    """Return `text`, cut with an ellipsis where it would be wider than `width`. At least one character stays."""
    if text_width(text, size) <= width:
        return text
    kept = text
    while len(kept) > 1 and text_width(kept + "…", size) > width:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def _advance(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in {"W", "F"}:
        return 1.15
    if character in _SLIM:
        return 0.4
    if character in _BROAD:
        return 0.98
    return 0.72 if character.isupper() else 0.62
