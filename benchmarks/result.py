"""What a benchmark gives back: its measurements, the bars that they have to reach, and the machine."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal


class MissingDataError(Exception):
    """A benchmark needs tables that are not here; the message names them. It is skipped, and says so."""


@dataclass(frozen=True)
class Bar:
    """One promise: `value` must lie on the right side of `bound`, both in the unit that `text` (or `name`) states.

    `name` is short (`speed.1a`: issue point and letter) and `text` says what it is. `value` is None where it was not
    measured; that keeps no promise.
    """

    name: str
    value: float | None
    bound: float
    side: Literal["at most", "at least"] = "at most"
    text: str = ""

    @property
    def holds(self) -> bool:
        """Whether the promise is kept. A value that is absent, or not a number, keeps none."""
        if self.value is None:
            return False
        return self.value <= self.bound if self.side == "at most" else self.value >= self.bound

    def to_json(self) -> dict[str, Any]:
        """Return the promise and whether it holds as plain JSON types; a value that is no finite number is null."""
        finite = self.value is not None and math.isfinite(self.value)
        return asdict(self) | {"value": self.value if finite else None, "holds": self.holds}


@dataclass(frozen=True)
class Result:
    """The measurements of one run: `rows` of one table (column to value), and its `bars`."""

    rows: tuple[Mapping[str, Any], ...]
    bars: tuple[Bar, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every bar holds."""
        return all(bar.holds for bar in self.bars)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON types, with the machine that it was measured on."""
        return {
            "rows": [dict(row) for row in self.rows],
            "bars": [bar.to_json() for bar in self.bars],
            "machine": machine(),
        }

    def save(self, path: Path) -> None:
        """Write the result to `path` as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return what makes figures of two machines comparable; nothing that names one."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
    }
