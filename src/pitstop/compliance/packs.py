"""Policy packs: obligations as data, each with the query that looks for its evidence."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from pitstop.compliance.queries import QUERIES
from pitstop.errors import PackError
from pitstop.records.calendar import Calendar

Gate = Literal["none", "release"]
Override = Literal["risk_officer", "approver", "nobody"]
BUILT_IN = (
    *("house_rules", "evidence_checklist", "eu_ai_act", "sr_26_2", "nist_ai_rmf_iso_42001"),
    *("nyc_ll144", "gdpr", "adverse_action"),
)


@dataclass(frozen=True)
class Item:
    """One obligation of a pack.

    `query` names what looks for the evidence. `limit` is its measure: the greatest number of windows, periods, days or
    journal entries, as the query says; queries that need none have none. `gate` says what an open obligation holds up:
    "release", or "none"; `override` who may let a release pass all the same. `reference` is where the source says it.
    `effective` is the first day on which it binds, where that is not the pack's.
    """

    id: str
    obligation: str
    query: str
    limit: int | None = None
    gate: Gate = "none"
    override: Override = "risk_officer"
    reference: str = ""
    effective: date | None = None

    @property
    def manual(self) -> bool:
        """Whether only a person can say that it is met: such an item is never counted as a pass."""
        return QUERIES[self.query].manual


@dataclass(frozen=True)
class Pack:
    """A dated set of obligations; `source` says where they come from, `notice` what they are not.

    `effective` is the first day on which they bind, `until` the first on which they no longer do; None: always.
    `text` is what was read, `digest` its SHA-256.
    """

    name: str
    title: str
    version: str
    dated: date
    source: str
    notice: str
    items: tuple[Item, ...]
    effective: date | None = None
    until: date | None = None
    text: str = ""
    digest: str = ""

    def binds(self, item: Item, instant: int, calendar: Calendar) -> bool:
        """Whether an item binds at an instant. Where instants are row numbers, dates say nothing: every item does."""
        if calendar.by_rows:
            return True
        day = datetime.fromtimestamp(instant / 1_000_000, tz=UTC).date()
        begins = item.effective or self.effective
        return (begins is None or day >= begins) and (self.until is None or day < self.until)

    def to_json(self) -> dict[str, Any]:
        """Return what a checklist says of its pack; the text is kept where the pack binds a model."""
        return {
            "name": self.name,
            "title": self.title,
            "version": self.version,
            "dated": self.dated.isoformat(),
            "source": self.source,
            "digest": self.digest,
            "items": [item.id for item in self.items],
        }


def built_in(name: str) -> Pack:
    """Return a pack of the package. Raises `PackError` naming those that there are."""
    if name not in BUILT_IN:
        near = difflib.get_close_matches(name, BUILT_IN, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        msg = f"no pack is called {name!r}{hint} built in: {', '.join(BUILT_IN)}. A path to a .toml file is a pack too"
        raise PackError(msg)
    text = resources.files("pitstop.compliance").joinpath("texts", f"{name}.toml").read_text(encoding="utf-8")
    return parse_pack(text, f"{name}.toml")


def load_packs(names: Sequence[str], base: Path) -> tuple[Pack, ...]:
    """Return packs by name or path (relative to `base`). Raises `PackError` where one is not usable or named twice."""
    packs = []
    for name in names:
        if not name.endswith(".toml"):
            packs.append(built_in(name))
            continue
        try:
            packs.append(parse_pack((base / name).read_text(encoding="utf-8"), name))
        except (OSError, UnicodeDecodeError) as error:
            msg = f"cannot read the pack {base / name}: {error}; name a .toml file, or a built-in pack"
            raise PackError(msg) from error
    called = [pack.name for pack in packs]
    twice = [name for name in called if called.count(name) > 1]
    if twice:
        msg = f"two packs are called {twice[0]!r}; give one another name, so that a record can tell them apart"
        raise PackError(msg)
    return tuple(packs)


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
    computed = {"text": text, "digest": hashlib.sha256(text.encode()).hexdigest()}
    made: Pack = _built(Pack, document | {"items": items}, source, computed)
    return made


def _item(entry: Mapping[str, Any], where: str) -> Item:
    item: Item = _built(Item, entry, where, {})
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


def _built(kind: type[Any], entry: Mapping[str, Any], where: str, computed: Mapping[str, Any]) -> Any:
    known = {item.name: item for item in fields(kind) if item.name not in _COMPUTED}
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
        if key in _CHOICES and value not in _CHOICES[key]:
            msg = f"{where}: {key} is {value!r}; expected one of {', '.join(_CHOICES[key])}"
            raise PackError(msg)
    lacking = [name for name, item in known.items() if item.default is MISSING and not entry.get(name)]
    if lacking:
        msg = f"{where} lacks {', '.join(lacking)}; every pack says all of it"
        raise PackError(msg)
    return kind(**entry, **computed)


_COMPUTED = ("text", "digest")
_CHOICES: Mapping[str, tuple[str, ...]] = {"gate": get_args(Gate), "override": get_args(Override)}
_EXPECTED: Mapping[str, type] = {"limit": int, "dated": date, "effective": date, "until": date, "items": tuple}
_WORDS: Mapping[type, str] = {int: "a whole number", date: "a date such as 2026-01-31", str: "a text", tuple: "a list"}
