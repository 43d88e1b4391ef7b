"""Ids of artifacts: a digest of what was knowable when the artifact was made, and of nothing else.

An id must be the same on every machine and in every run (DESIGN: no wall time, host, path or whole input
file), so floats are rounded to nine significant digits before they are digested: the last bits of a sum
may depend on the processor's instruction set, and an id must not.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

SIGNIFICANT_DIGITS = 9


def canonical(value: Any) -> Any:  # noqa: PLR0911 - one return for each JSON type reads best
    """Return `value` as plain JSON types with floats rounded to nine significant digits.

    Mappings are sorted by key when they are dumped; NaN and infinities become the strings "nan", "inf" and
    "-inf", because JSON has no word for them. Objects with `item()` (numpy scalars) are unwrapped.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        rounded = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [canonical(item) for item in value]
    if hasattr(value, "item"):
        return canonical(value.item())
    return str(value)


def canonical_json(value: Any) -> bytes:
    """Return the UTF-8 bytes of `value` as JSON with sorted keys and no spaces."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def artifact_id(kind: str, content: Any) -> str:
    """Return `kind` and the first 20 hex digits of the SHA-256 of the canonical JSON of `content`.

    >>> artifact_id("alarm", {"window": 3, "value": 0.1 + 0.2}) == artifact_id("alarm", {"value": 0.3, "window": 3})
    True
    """
    return f"{kind}-{hashlib.sha256(kind.encode() + b'|' + canonical_json(content)).hexdigest()[:20]}"
