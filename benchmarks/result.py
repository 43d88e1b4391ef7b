"""What a benchmark gives back: its measurements, the bars that they have to reach, and the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


class MissingDataError(Exception):
    """A benchmark needs tables that are not here; the message names them. It is skipped, and says so."""


@dataclass(frozen=True)
class Bar:
    """One promise: `value` must lie on the right side of `bound` (both in the unit that `name` states)."""

    name: str
    value: float
    bound: float
    side: Literal["at most", "at least"] = "at most"

    @property
    def holds(self) -> bool:
        """Whether the promise is kept. A value that is not a number keeps none."""
        return self.value <= self.bound if self.side == "at most" else self.value >= self.bound


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
            "bars": [asdict(bar) | {"holds": bar.holds} for bar in self.bars],
            "machine": machine(),
        }


def machine() -> dict[str, Any]:
    """Return what makes figures of two machines comparable; nothing that names one."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
    }
