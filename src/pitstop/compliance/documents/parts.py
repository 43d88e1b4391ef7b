"""What a document is made of, apart from how it looks: chapters of statements and tables, each with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pitstop.compliance.facts import Artifact, Facts

Origin = Literal["observed", "attested", "open", "note"]


@dataclass(frozen=True)
class Statement:
    """One sentence, the ids of the entries behind it, and its origin.

    `observed`: Pitstop saw it. `attested`: a person said so. `open`: asked for, and nobody has seen or said it. `note`:
    says what the document is, and needs no evidence.
    """

    text: str
    ids: tuple[str, ...] = ()
    origin: Origin = "observed"


@dataclass(frozen=True)
class Grid:
    """A table: a caption, heads, rows of texts, and for each row the ids behind it."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ids: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Chapter:
    """A part with a title."""

    title: str
    parts: tuple[Statement | Grid, ...]


@dataclass(frozen=True)
class Document:
    """A whole document; `name` is its file's, without ending."""

    name: str
    title: str
    lede: str
    chapters: tuple[Chapter, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids that are cited, each once, in order."""
        return tuple(dict.fromkeys(self._cited()))

    def _cited(self) -> Iterator[str]:
        for chapter in self.chapters:
            for part in chapter.parts:
                if isinstance(part, Statement):
                    yield from part.ids
                else:
                    yield from (name for row in part.ids for name in row)

    def to_json(self) -> dict[str, Any]:
        """Return the document as plain JSON types, as the PDF is made from it."""
        return {
            "title": self.title,
            "lede": self.lede,
            "chapters": [
                {"title": chapter.title, "parts": [_plain(part) for part in chapter.parts]} for chapter in self.chapters
            ],
        }


def _plain(part: Statement | Grid) -> dict[str, Any]:
    if isinstance(part, Statement):
        return {"kind": "statement", "text": part.text, "ids": list(part.ids), "origin": part.origin}
    heads, rows = list(part.heads), [list(row) for row in part.rows]
    if any(part.ids):
        heads.append("evidence")
        for row, behind in zip(rows, part.ids, strict=True):
            row.append(" ".join([*behind[:1], *([f"and {len(behind) - 1} more"] if len(behind) > 1 else [])]))
    return {"kind": "grid", "caption": part.caption, "heads": heads, "rows": rows}


def note(text: str) -> Statement:
    """Return a sentence that needs no evidence."""
    return Statement(text, (), "note")


def seen(text: str, *behind: Artifact | str) -> Statement:
    """Return what was observed."""
    return Statement(text, tuple(item if isinstance(item, str) else item.id for item in behind))


def said(facts: Facts, item: str, what: str) -> Statement:
    """Return what a person last attested of an item, or that nobody did."""
    found = [attested for attested in facts.of("attestation") if attested.content["item"] == item]
    if not found:
        return Statement(f"{what}: nobody has said so yet (item {item}).", (), "open")
    last = found[-1]
    words = f": {last.content['text']}" if last.content["text"] else ""
    return Statement(f"{what}, says {last.content['by']} at {facts.name(last.at)}{words}", (last.id,), "attested")


def grid(caption: str, heads: Iterable[str], rows: Iterable[tuple[tuple[str, ...], tuple[str, ...]]]) -> Grid:
    """Return a table of (cells, ids) rows."""
    listed = list(rows)
    return Grid(caption, tuple(heads), tuple(cells for cells, _ in listed), tuple(behind for _, behind in listed))
