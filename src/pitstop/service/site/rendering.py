"""From a page's numbers to HTML: the templates, their filters, and what a visitor prefers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pitstop.report import formats
from pitstop.report.markup import Markup, escaped, printable
from pitstop.report.style import PICTURE_RULES
from pitstop.report.tables import table
from pitstop.service.auth.actor import Actor, actor_of
from pitstop.version import __version__

THEMES = ("auto", "light", "dark")
CLOCKS = ("utc", "local")


@dataclass(frozen=True)
class Preferences:
    """What a visitor chose, kept in cookies: `theme` auto, light or dark; `clock` utc or local."""

    theme: str = "auto"
    clock: str = "utc"

    @classmethod
    def of(cls, request: Request) -> Preferences:
        """Read the cookies; anything else than a known word is the default."""
        theme, clock = request.cookies.get("theme", ""), request.cookies.get("clock", "")
        return cls(theme if theme in THEMES else "auto", clock if clock in CLOCKS else "utc")


@cache
def assets() -> Mapping[str, tuple[str, bytes]]:
    """Return the static files by the name in their address: media type and content. One style sheet is put together."""
    folder = resources.files("pitstop.service.site") / "static"
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "txt": "text/plain"}
    found = {}
    for place in (folder, folder / "vendor"):
        for item in place.iterdir():
            kind = kinds.get(item.name.rpartition(".")[2])
            if item.is_file() and kind:
                found[item.name] = (f"{kind}; charset=utf-8", item.read_bytes())
    kind, sheet = found["site.css"]
    found["site.css"] = (kind, sheet + PICTURE_RULES.encode())
    return found


@cache
def versioned(name: str) -> str:
    """Return the address of a static file, which changes with its content, so that browsers may keep it for ever."""
    digest = hashlib.sha256(assets()[name][1]).hexdigest()[:12]
    return f"/static/{digest}/{name}"


@cache
def environment() -> Environment:
    """Return the templates; everything is escaped unless it is `Markup`, and a name that is missing is an error."""
    found = Environment(
        loader=PackageLoader("pitstop.service.site"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "money": formats.money,
        "metric": formats.metric,
        "percent": formats.percent,
        "size": formats.size,
        "count": formats.count,
        "plural": formats.plural,
        "listed": formats.listed,
        "part": lambda text: quote(str(text), safe=""),
        "capital": lambda text: text[:1].upper() + text[1:],
        "stamp": stamp,
        "printable": printable,
    }
    found.globals |= {"asset": versioned, "data_table": _table, "version": __version__}
    return found


def stamp(text: str) -> Markup:
    """Return an instant in UTC as `<time>`, which a script can show in local time; a date stays a date."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return escaped(text)
    if len(text) == len("2016-01-01"):
        return Markup(f'<time datetime="{text}">{text}</time>')
    moment = moment.astimezone(UTC)
    shown = moment.strftime("%Y-%m-%d %H:%M")
    return Markup(f'<time datetime="{moment.isoformat()}" data-instant>{shown} UTC</time>')


def page(request: Request, name: str, /, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page. `crumbs`, `title` and the rest are the template's."""
    actor: Actor = actor_of(request.scope)
    text = (
        environment()
        .get_template(name)
        .render(
            actor=actor,
            prefers=Preferences.of(request),
            here=str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
            **context,
        )
    )
    return HTMLResponse(text, status)


def _table(chart: Any) -> Markup:
    return table(chart.title, chart.columns, chart.texts)
