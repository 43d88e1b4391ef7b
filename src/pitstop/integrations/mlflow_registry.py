"""Reads an MLflow registry: which version an alias names, and the signature that its model was logged with.

Only JSON and the text of `MLmodel` are read. The model itself is never fetched: opening it would run it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from pitstop.errors import SpecError, TargetRefusedError
from pitstop.integrations.exchange import exchange, exchange_json, part

SECONDS = 60.0
CONFIRMED = "pitstop.confirmed"
"""The tag of a version that the alias was seen to name after Pitstop had published it."""

_PROXIED = "mlflow-artifacts:/"
_LOGGED = "models:/"
# A block of `MLmodel`: MLflow writes the signature as JSON in one quoted YAML text, folded at spaces.
_PART = r"^  {part}: '((?:[^']|'')*)'"
_CATEGORIES = frozenset({"string", "boolean"})
_NUMBERS = frozenset({"double", "float", "integer", "long", "int", "datetime"})


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a registered model. `tags` are its own; `source` is where its files are."""

    name: str
    version: str
    run: str
    source: str
    tags: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return what is recorded of it."""
        return {
            "registry": "mlflow",
            "name": self.name,
            "version": self.version,
            "run": self.run,
            "source": self.source,
        }


@dataclass(frozen=True)
class Signature:
    """The columns that a model takes: (name, whether it is a category), in its order."""

    inputs: tuple[tuple[str, bool], ...]


def aliased(address: str, name: str, alias: str) -> RegisteredVersion | None:
    """Return the version that an alias names, None where it names none. Raises `ReleaseTargetError`."""
    query = urlencode({"name": name, "alias": alias})
    what = _what(address)
    try:
        found = part(_ask(address, f"registered-models/alias?{query}"), "model_version", what=what)
    except TargetRefusedError as error:
        if error.status in (400, 404):
            return None
        raise
    known, version, source = (str(part(found, key, what=what)) for key in ("name", "version", "source"))
    tags = {str(tag["key"]): str(tag["value"]) for tag in found.get("tags", ())}
    return RegisteredVersion(known, version, str(found.get("run_id", "")), source, tags)


def signature_of(address: str, version: RegisteredVersion) -> Signature:
    """Return the signature of a version. Raises `SpecError` where it has none of named columns."""
    source = version.source
    if source.startswith(_LOGGED):
        logged = _ask(address, f"logged-models/{quote(source.removeprefix(_LOGGED), safe='')}")
        source = str(part(logged, "model", "info", "artifact_uri", what=_what(address)))
    what = f"{version.name} version {version.version} at {address}"
    if not source.startswith(_PROXIED):
        msg = f"{what} lies at {source!r}, which its server does not hand out; start it with --serve-artifacts"
        raise SpecError(msg)
    path = quote(source.removeprefix(_PROXIED).lstrip("/"))
    where = f"{address.rstrip('/')}/api/2.0/mlflow-artifacts/artifacts/{path}/MLmodel"
    text = exchange("GET", where, None, what=what, headers={}, seconds=SECONDS).decode("utf-8", "replace")
    return Signature(tuple(_column(item, what) for item in _columns(text, what)))


def _columns(text: str, what: str) -> list[Any]:
    _, _, block = text.partition("\nsignature:\n")
    found = re.search(_PART.format(part="inputs"), block, re.MULTILINE)
    try:
        columns = json.loads(re.sub(r"\s*\n\s*", " ", found[1]).replace("''", "'")) if found else None
    except ValueError:
        columns = None
    if not isinstance(columns, list) or not columns:
        msg = f"{what} was logged without a signature of its inputs; log it with signature=infer_signature(...)"
        raise SpecError(msg)
    return columns


def _column(item: Any, what: str) -> tuple[str, bool]:
    name, kind = item.get("name"), item.get("type")
    if not isinstance(name, str) or kind not in _CATEGORIES | _NUMBERS:
        msg = f"{what} takes {json.dumps(item)[:200]}; expected named columns of numbers, texts or booleans"
        raise SpecError(msg)
    return name, kind in _CATEGORIES


def _ask(address: str, path: str) -> dict[str, Any]:
    where = f"{address.rstrip('/')}/api/2.0/mlflow/{path}"
    return exchange_json("GET", where, None, what=_what(address), seconds=SECONDS)


def _what(address: str) -> str:
    return f"the MLflow registry at {address}"
