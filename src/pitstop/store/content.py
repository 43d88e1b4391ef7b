"""An artifact's content as JSON text that keeps every bit of its numbers.

Ids are made from rounded numbers (`records.identity`), because the last bits differ between machines; what is kept is
exact, so that a past decision can be recomputed from what was read back.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pitstop.errors import StoreError
from pitstop.records.identity import canonical_json


def exact_json(value: Any) -> str:
    """Return `value` as JSON with sorted keys.

    NumPy scalars become numbers, `Decimal` text, NaN and infinities the strings "nan", "inf" and "-inf" (JSON has no
    word for them). Anything else that is not JSON raises `StoreError`.
    """
    return json.dumps(_plain(value, "content"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_digest(text: str) -> str:
    """Return the hex SHA-256 of a content's JSON text: what the journal commits to."""
    return hashlib.sha256(text.encode()).hexdigest()


def same_content(one: str, two: str) -> bool:
    """Return whether two JSON texts say the same up to the nine significant digits that ids are made from."""
    return one == two or canonical_json(json.loads(one)) == canonical_json(json.loads(two))


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Decimal):
        return str(value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # NumPy scalars and arrays
        return _plain(value.tolist(), where)
    msg = f"{where} is a {type(value).__name__}, expected JSON: numbers, text, booleans, lists, mappings or None"
    raise StoreError(msg)
