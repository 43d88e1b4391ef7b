"""The resumable state of a loop as bytes: NumPy arrays and JSON values under names, in npz without pickle."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StoreError

State = Mapping[str, NDArray[Any] | Any]
# Names stand in the JSON part: a zip archive does not keep every text as a name.
_JSON = "json"


def encode_state(state: State) -> bytes:
    """Return `state` as bytes. Floats in JSON values keep all their bits; NaN and infinities are allowed.

    Raises `StoreError` for values that are neither arrays of plain numbers or text nor JSON.
    """
    arrays: dict[str, NDArray[Any]] = {}
    values: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            # Object arrays would need pickle, which can run code when it is read.
            if value.dtype.hasobject:
                msg = f"state {name!r} is an array of Python objects; store numbers, text or JSON"
                raise StoreError(msg)
            arrays[name] = value
        else:
            values[name] = value
    try:
        text = json.dumps([values, list(arrays)])
    except (TypeError, ValueError) as error:
        msg = f"state holds a value that is neither an array nor JSON ({error}); the names are {sorted(values)}"
        raise StoreError(msg) from error
    buffer = io.BytesIO()
    numbered = {f"array{number}": array for number, array in enumerate(arrays.values())}
    np.savez(buffer, allow_pickle=False, **{_JSON: np.frombuffer(text.encode(), dtype=np.uint8)}, **numbered)
    return buffer.getvalue()


def decode_state(data: bytes) -> dict[str, Any]:
    """Return the names and values of `encode_state`; raise `StoreError` if the bytes are damaged."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            values, names = json.loads(stored[_JSON].tobytes())
            return {**values, **{name: stored[f"array{number}"] for number, name in enumerate(names)}}
    except (ValueError, TypeError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        msg = f"the saved state cannot be read ({error}); delete the home and replay, or restore a backup"
        raise StoreError(msg) from error
