"""HTML and SVG as values: plain text is always escaped, only `Markup` is let through, so none can be forgotten."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping

# XML 1.0 has no way to write these, not even escaped; in a terminal they would be commands.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)

VOID = frozenset({"br", "col", "hr", "meta"})
"""HTML elements without an end tag."""

EMPTY_SVG = frozenset({"circle", "line", "path", "polygon", "polyline", "rect"})
"""SVG elements that are closed in place."""


Attributes = Mapping[str, str | float | None]


class Markup(str):
    """Text that may stand in HTML or SVG as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        """Tell template engines (MarkupSafe's protocol) that nothing in it is to be escaped again."""
        return self


def printable(text: str) -> str:
    """Return `text` with control characters, direction overrides and surrogates as U+FFFD; tab and newline stay."""
    return _UNPRINTABLE.sub("\ufffd", text)


def escaped(text: str) -> Markup:
    """Return `text` so that it reads as itself in HTML and SVG, in content and in attributes."""
    return text if isinstance(text, Markup) else Markup(html.escape(printable(text), quote=True))


def element(name: str, attributes: Attributes | None = None, *children: str) -> Markup:
    """Return one element. Attributes that are None are left out, numbers have at most two decimals."""
    written = "".join(
        f' {key}="{escaped(value) if isinstance(value, str) else coordinate(value)}"'
        for key, value in (attributes or {}).items()
        if value is not None
    )
    if name in VOID or (name in EMPTY_SVG and not children):
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{''.join(escaped(child) for child in children)}</{name}>")


def joined(parts: Iterable[str], separator: str = "") -> Markup:
    """Return the parts one after another, each escaped unless it is `Markup`."""
    return Markup(escaped(separator).join(escaped(part) for part in parts))


def coordinate(value: float) -> str:
    """Return a number for an attribute: at most two decimals, no trailing zeros, never `-0`."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
