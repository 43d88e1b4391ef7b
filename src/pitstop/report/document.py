"""The parts that every HTML report is made of: the document, its sections, and figures with a table behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pitstop.report.charts import sample
from pitstop.report.markup import Markup, element, joined
from pitstop.report.style import PAGE_CSS
from pitstop.version import __version__


@dataclass(frozen=True)
class Section:
    """A part of a report that the list of contents leads to."""

    anchor: str
    title: str
    parts: tuple[str, ...]


def document(title: str, head: Sequence[str], sections: Sequence[Section], foot: str) -> str:
    """Return a whole page that needs nothing but itself: no network, no script, one inline style sheet.

    `title` is the name of the window; `head` stands above the list of contents.
    """
    # The policy is a second lock: even if a text got in as markup, a browser would neither run nor load it.
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    contents = (element("li", None, element("a", {"href": f"#{part.anchor}"}, part.title)) for part in sections)
    body = element(
        "body",
        None,
        element("a", {"class": "skip", "href": "#content"}, "Skip to the report"),
        element("header", None, *head, element("nav", {"aria-label": "Contents"}, element("ul", None, *contents))),
        element("main", {"id": "content"}, *(_section(part) for part in sections)),
        element(
            "footer", None, element("div", None, *([foot, " "] if foot else []), f"Made by Pitstop {__version__}.")
        ),
    )
    meta = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        element("title", None, title),
        element("style", None, Markup(PAGE_CSS)),
    )
    return "<!doctype html>\n" + element("html", {"lang": "en"}, meta, body) + "\n"


def figure(caption: str, legend: str, drawings: Sequence[str], behind: str = "") -> Markup:
    """Return drawings (one per width, or one for all) under a caption, with their numbers behind a fold."""
    fold = element("details", {"class": "data"}, element("summary", None, "Show the numbers"), behind) if behind else ""
    return element("figure", None, element("figcaption", None, caption), legend, *drawings, fold)


def line_legend(lines: Sequence[tuple[str, str]], *, backup: bool) -> Markup:
    """Return the names of lines, given as (policy, name). `backup`: only for drawings without room for them."""
    items = (element("li", None, sample(policy), name) for policy, name in lines)
    return element("ul", {"class": "legend backup" if backup else "legend"}, *items)


def swatch_legend(items: Sequence[tuple[str, str]]) -> Markup:
    """Return the names of filled things, given as (style of the swatch, name)."""
    parts = (
        element("li", None, element("span", {"class": f"swatch {style}", "aria-hidden": "true"}), name)
        for style, name in items
    )
    return element("ul", {"class": "legend"}, *parts)


def _section(part: Section) -> Markup:
    heading = f"{part.anchor}-title"
    return element(
        "section",
        {"id": part.anchor, "aria-labelledby": heading},
        element("h2", {"id": heading}, part.title),
        joined(part.parts),
    )
