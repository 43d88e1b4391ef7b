"""Documents as HTML pages that need nothing but each other: no network, no script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pitstop.compliance.documents.parts import Document, Grid, Statement
from pitstop.report.document import Section, document
from pitstop.report.markup import Markup, element, joined
from pitstop.report.tables import Column, table

RECORD, INDEX = "record", "index"
_FILE = re.compile(r"[a-z0-9-]+\.(html|pdf|json|jsonl)")
_SHOWN = 6
# Columns of sentences need room, and a date is not broken.
_STYLES = dict.fromkeys(
    (
        "obligation",
        "found",
        "what it asks",
        "what it says",
        "why",
        "reason",
        "estimate",
        "cause, as far as it is known",
    ),
    "words",
) | dict.fromkeys(("at", "from", "period"), "whole")
# An outline that is dashed, not only another colour: what a person said must never look like what was seen.
_ORIGINS = {
    "observed": ("observed", "color:var(--pitstop)"),
    "attested": ("attested", "color:var(--ink);border-style:dashed"),
    "open": ("open", "color:var(--alarm);border-width:2px"),
}
_STATUSES = {
    "pass": _ORIGINS["observed"][1],
    "attested": _ORIGINS["attested"][1],
    "fail": _ORIGINS["open"][1],
    "stale": "color:var(--never);border-style:dotted;border-width:2px",
    "not applicable": "color:var(--quiet);border-color:transparent",
}


def page(part: Document, foot: str) -> str:
    """Return a document as a page, with a link to the list of all."""
    head = [
        element("p", {"class": "eyebrow"}, element("b", None, "Pitstop"), " evidence pack"),
        element("h1", None, part.title),
        element("p", {"class": "lede"}, part.lede),
        _way_back() if part.name != INDEX else Markup(""),
    ]
    sections = [
        Section(f"part-{place}", chapter.title, tuple(_part(item) for item in chapter.parts))
        for place, chapter in enumerate(part.chapters, start=1)
    ]
    return document(part.title, head, sections, foot)


def record_page(records: Iterable[Mapping[str, Any]], foot: str) -> str:
    """Return the page of all cited entries: each with its number, its digest and its content."""
    parts, listed = [], list(records)
    known = {item["entry"]["id"] for item in listed}
    for item in listed:
        entry = item["entry"]
        facts = f"entry {entry['sequence']:,} · {entry['kind']} · SHA-256 {entry['digest']}"
        causes = [_link(cause) if cause in known else cause for cause in entry["caused_by"]]
        parts.append(
            element(
                "article",
                {"id": entry["id"]},
                element("h3", None, entry["id"]),
                element("p", {"class": "meta"}, facts),
                element("p", {"class": "meta"}, "caused by ", joined(causes, ", ")) if causes else "",
                element(
                    "details",
                    None,
                    element("summary", None, "Show what was recorded"),
                    element(
                        "pre",
                        {"style": "white-space:pre-wrap;font-size:.8125rem"},
                        json.dumps(json.loads(item["content"]), indent=1, ensure_ascii=False),
                    ),
                ),
            )
        )
    head = [
        element("p", {"class": "eyebrow"}, element("b", None, "Pitstop"), " evidence pack"),
        element("h1", None, "The record behind the statements"),
        element(
            "p",
            {"class": "lede"},
            "Every entry of the journal that a document of this pack cites. `pitstop evidence verify` checks each "
            "against the signed journal, on any machine.",
        ),
        _way_back(),
    ]
    return document("The record behind the statements", head, [Section("entries", "Entries", tuple(parts))], foot)


def _way_back() -> Markup:
    return element("p", {"class": "meta"}, element("a", {"href": f"{INDEX}.html"}, "All documents of this pack"))


def _part(part: Statement | Grid) -> Markup:
    if isinstance(part, Statement):
        return _statement(part)
    columns = [Column(name, numeric=False, style=_STYLES.get(name, "")) for name in part.heads]
    cited = any(part.ids)
    columns += [Column("evidence", numeric=False)] if cited else []
    rows = [
        (*(_cell(cell) for cell in cells), *([_links(ids)] if cited else []))
        for cells, ids in zip(part.rows, part.ids, strict=True)
    ]
    return table(part.caption, columns, rows)


def _cell(text: str) -> str:
    if _FILE.fullmatch(text):
        return element("a", {"href": text}, text)
    style = _STATUSES.get(text)
    return element("span", {"class": "badge", "style": style}, text) if style else text


def _statement(part: Statement) -> Markup:
    if part.origin == "note":
        return element("p", {"class": "note"}, part.text)
    name, style = _ORIGINS[part.origin]
    badge = element("span", {"class": "badge", "style": style}, name)
    links = element("p", {"class": "meta"}, _links(part.ids)) if part.ids else Markup("")
    body = element("div", None, element("p", {"style": "color:var(--ink)"}, part.text), links)
    return element("div", {"class": "finding"}, element("div", None, badge), body)


def _links(ids: Sequence[str]) -> Markup:
    shown = [_link(name) for name in ids[:_SHOWN]]
    rest = len(ids) - _SHOWN
    if rest > 0:
        more = joined((_link(name) for name in ids[_SHOWN:]), ", ")
        folded = element("details", None, element("summary", None, f"and {rest} more"), more)
        return joined([joined(shown, ", "), folded], " ")
    return joined(shown, ", ")


def _link(name: str) -> Markup:
    return element("a", {"href": f"{RECORD}.html#{name}"}, name)
