"""Builds a specification's sections from a document; says what is unknown, missing or of a wrong kind, and where."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pitstop.errors import SpecError


def given(content: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null: TOML has no word for it, and it stands for a default."""
    return {
        name: given(item) if isinstance(item, Mapping) else item for name, item in content.items() if item is not None
    }


def built(kind: type[Any], document: Mapping[str, Any], source: str, section: str) -> Any:
    """Return the dataclass `kind` filled from `document`. Raises `SpecError` naming `source`, section and key."""
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind)]
    for key in document:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            where = f"[{section}]" if section else "the top level"
            msg = f"{source}: unknown key {key!r} in {where}{hint} Known: {', '.join(known)}"
            raise SpecError(msg)
    values = {}
    for item in fields(kind):
        if item.name in document:
            where = f"{section}.{item.name}" if section else item.name
            values[item.name] = _convert(hints[item.name], document[item.name], source, where)
    try:
        return kind(**values)
    except TypeError as error:
        missing = [item.name for item in fields(kind) if item.name not in values and f"'{item.name}'" in str(error)]
        where = f"[{section}]" if section else "the top level"
        msg = f"{source}: {where} lacks {', '.join(missing) or error}; `pitstop init TABLE` writes a complete file"
        raise SpecError(msg) from error


def _convert(kind: Any, value: Any, source: str, where: str) -> Any:
    if hasattr(kind, "__dataclass_fields__"):
        # A section that may be written as one number says how it is read (an outcome's worth).
        of_number = getattr(kind, "of_number", None)
        if of_number and _is_finite(value):
            return of_number(float(value))
        if not isinstance(value, dict):
            msg = f"{source}: {where} is {value!r}; expected {'a finite number or ' if of_number else ''}a table"
            raise SpecError(msg)
        return built(kind, value, source, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            msg = f"{source}: {where} is {value!r}; expected a list of strings"
            raise SpecError(msg)
        return tuple(value)
    options = get_args(kind) if get_origin(kind) is UnionType or get_origin(kind) is not Literal else (kind,)
    for option in options or (kind,):
        if get_origin(option) is Literal and value in get_args(option):
            return value
        if option is float and _is_finite(value):
            return float(value)
        if option in (int, str, bool) and type(value) is option:
            return value
    msg = f"{source}: {where} is {value!r}; expected {_describe(kind)}"
    raise SpecError(msg)


def _is_finite(value: Any) -> bool:
    """Whether a value is a number that a double can hold. TOML knows nan and inf, and no setting means either."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _describe(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(repr(part) for part in get_args(kind))
    if get_args(kind):
        return " or ".join(_describe(part) for part in get_args(kind) if part is not type(None))
    return {float: "a finite number", int: "a whole number", str: "a text", bool: "true or false"}.get(kind, str(kind))
