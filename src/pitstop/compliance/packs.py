"""Policy packs: obligations as data, each with the query that looks for its evidence."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import date
from importlib import resources
from typing import Any, Literal, get_args

from pitstop.compliance.evidence import QUERIES
from pitstop.errors import PackError

Gate = Literal["none", "release"]
BUILT_IN = ("house_rules",)


@dataclass(frozen=True)
class Item:
    """One obligation of a pack.

    `query` names what looks for the evidence. `limit` is its measure: the greatest number of windows, periods or
    journal entries, as the query says; queries that need none have none. `gate` says what an open obligation is meant
    to hold up: "release", or "none".
    """

    id: str
    obligation: str
    query: str
    limit: int | None = None
    gate: Gate = "none"


@dataclass(frozen=True)
class Pack:
    """A dated set of obligations; `source` says where they come from, `notice` what they are not."""

    name: str
    title: str
    dated: date
    source: str
    notice: str
    items: tuple[Item, ...]


def built_in(name: str) -> Pack:
    """Return a pack of the package. Raises `PackError` naming those that there are."""
    if name not in BUILT_IN:
        msg = f"no pack is called {name!r}; built in: {', '.join(BUILT_IN)}. A path to a .toml file is a pack as well"
        raise PackError(msg)
    text = resources.files("pitstop.compliance").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return parse_pack(text, f"{name}.toml")


def parse_pack(text: str, source: str) -> Pack:
    """Return the pack in `text` (TOML). Raises `PackError` with the key and the way out."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{source} is not valid TOML: {error}"
        raise PackError(msg) from error
    listed = document.pop("item", None)
    if not isinstance(listed, list) or not listed or not all(isinstance(entry, dict) for entry in listed):
        msg = f"{source} has no obligations; write one [[item]] for each"
        raise PackError(msg)
    items = tuple(_item(entry, f"{source}, item {place}") for place, entry in enumerate(listed, start=1))
    names = [item.id for item in items]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        msg = f"{source}: two items have the id {twice[0]!r}; an id names one obligation"
        raise PackError(msg)
    made: Pack = _built(Pack, document | {"items": items}, source)
    return made


def _item(entry: Mapping[str, Any], where: str) -> Item:
    item: Item = _built(Item, entry, where)
    if item.query not in QUERIES:
        near = difflib.get_close_matches(item.query, QUERIES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        msg = f"{where}: no query is called {item.query!r}{hint} Known: {', '.join(QUERIES)}"
        raise PackError(msg)
    query = QUERIES[item.query]
    if query.measure and (item.limit is None or item.limit < 0):
        msg = f"{where}: {item.query!r} needs a limit of 0 or more, in {query.measure}; got {item.limit!r}"
        raise PackError(msg)
    if not query.measure and item.limit is not None:
        msg = f"{where}: {item.query!r} has no limit, got limit = {item.limit}; leave it out"
        raise PackError(msg)
    return item


def _built(kind: type[Any], entry: Mapping[str, Any], where: str) -> Any:
    known = {item.name: item for item in fields(kind)}
    for key, value in entry.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            msg = f"{where}: unknown key {key!r}{hint} Known: {', '.join(known)}"
            raise PackError(msg)
        wanted = _EXPECTED.get(key, str)
        if type(value) is not wanted:
            msg = f"{where}: {key} is {value!r}; expected {_WORDS[wanted]}"
            raise PackError(msg)
        if key == "gate" and value not in get_args(Gate):
            msg = f"{where}: gate is {value!r}; expected one of {', '.join(get_args(Gate))}"
            raise PackError(msg)
    lacking = [name for name, item in known.items() if item.default is MISSING and not entry.get(name)]
    if lacking:
        msg = f"{where} lacks {', '.join(lacking)}; every pack says all of it"
        raise PackError(msg)
    return kind(**entry)


_EXPECTED: Mapping[str, type] = {"limit": int, "dated": date, "items": tuple}
_WORDS: Mapping[type, str] = {int: "a whole number", date: "a date such as 2026-01-31", str: "a text", tuple: "a list"}
