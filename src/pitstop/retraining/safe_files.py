"""Models of scikit-learn in files that hold no code: skops, and a list of the types that may be in them.

A file is a zip archive of `model.skops`, which skops opens by itself, and `pitstop.json`, which says what the columns
of the matrix are. It is written and opened only where every type in it is one that skops knows to be harmless, or that
the specification's `[trainer] trusted` names. Runs in the sandbox only, like the program that uses it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pitstop.errors import TrainerRefusedError

_ABOUT, _MODEL = "pitstop.json", "model.skops"
# Archives hold times; a constant one keeps the bytes of a model a function of its rows.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def to_bytes(about: Mapping[str, Any], estimator: Any, trusted: Sequence[str]) -> bytes:
    """Return the file of an estimator, of the same bytes for the same estimator.

    Raises `TrainerRefusedError` naming the types that nobody has said to trust.
    """
    from skops.io import dumps  # noqa: PLC0415 - the extra `skops`

    model = _in_order(dumps(estimator))
    _require_trusted(model, trusted, "cannot be kept")
    return _archive({_ABOUT: json.dumps(about).encode(), _MODEL: model})


def from_bytes(content: bytes, trusted: Sequence[str]) -> tuple[dict[str, Any], Any]:
    """Return what `to_bytes` was given. Nothing in the file is run, not even to refuse it.

    Raises `TrainerRefusedError` for another file, a pickle say, and for one with types that nobody has said to trust.
    """
    from skops.io import loads  # noqa: PLC0415 - the extra `skops`

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            about, model = json.loads(archive.read(_ABOUT)), archive.read(_MODEL)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        msg = f"the model file is no archive of {_ABOUT} and {_MODEL} ({error}); [trainer] format asks for one"
        raise TrainerRefusedError(msg) from error
    _require_trusted(model, trusted, "is not opened")
    return about, loads(model, trusted=list(trusted))


def _require_trusted(model: bytes, trusted: Sequence[str], what: str) -> None:
    from skops.io import get_untrusted_types  # noqa: PLC0415 - the extra `skops`

    unknown = sorted(set(get_untrusted_types(data=model)) - set(trusted))
    if unknown:
        named = ", ".join(json.dumps(name) for name in (*trusted, *unknown))
        msg = (
            f"the model {what}: it holds types that [trainer] trusted does not name: {', '.join(unknown)}. Look at "
            f"what they are, and where you trust them write trusted = [{named}]"
        )
        raise TrainerRefusedError(msg)


def _in_order(content: bytes) -> bytes:
    """Return skops' archive with its numbers, which are addresses in memory, counted in order of appearance."""
    numbers: dict[Any, int] = {}
    files: dict[str, str] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
        _walk(schema, _renamed(numbers, files))
        parts = {new: archive.read(old) for old, new in files.items()}
    return _archive({**parts, "schema.json": json.dumps(schema).encode()})


def _renamed(numbers: dict[Any, int], files: dict[str, str]) -> Callable[[dict[str, Any]], None]:
    def rename(state: dict[str, Any]) -> None:
        if "__id__" in state:
            state["__id__"] = numbers.setdefault(state["__id__"], len(numbers) + 1)
        if isinstance(state.get("file"), str) and "__loader__" in state:
            old = state["file"]
            state["file"] = files.setdefault(old, f"{len(files) + 1}.{old.rpartition('.')[2]}")

    return rename


def _walk(state: Any, rename: Callable[[dict[str, Any]], None]) -> None:
    if isinstance(state, dict):
        rename(state)
        for value in state.values():
            _walk(value, rename)
    elif isinstance(state, list):
        for value in state:
            _walk(value, rename)


def _archive(parts: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _NO_TIME), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()
