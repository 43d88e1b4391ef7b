"""What goes into a detector and what comes out of it: streams, their reference counts, findings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import BaselineError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Direction = Literal["up", "down"]
SPREAD = "spread"
"""The family of streams that measure a variance instead of counting rows (`pitstop.detection.spread`)."""


@dataclass(frozen=True)
class Stream:
    """One thing that is watched: some indicators, each a count k out of n in every window.

    `name` is unique in the model ("drift:lead_time"), `kind` its family ("drift", "error", "quality", "score",
    "volume"), `column` the feature that it is about. An indicator is a cell count ("x <= edge", "category = A",
    "null", "error"). `weight` is its share of the budget relative to other streams; `tolerance` in [0, 1) the change
    of a rate that is not worth an alarm. With `two_sided` false only rises count. `autocorrelated` divides the
    evidence by the autocorrelation that the reference shows: right for inputs, which wander slowly; slow for errors.
    `sudden` in [0, 1] is the rate that one window must reach to page by itself. `grid` says that the column has few
    values, each with a cell of its own, so that any other value is one never seen.
    """

    name: str
    kind: str
    column: str | None
    indicators: tuple[str, ...]
    weight: float = 1.0
    tolerance: float = 0.0
    two_sided: bool = True
    autocorrelated: bool = False
    sudden: float = 0.0
    grid: bool = False

    @property
    def family(self) -> str:
        """What is counted, whatever the column: the name up to its colon ("nulls" of "nulls:age")."""
        return self.name.partition(":")[0]

    def __post_init__(self) -> None:
        """Refuse a stream that cannot be watched."""
        if not self.indicators or len(set(self.indicators)) != len(self.indicators):
            msg = f"stream {self.name!r} has the indicators {self.indicators!r}; expected at least one, all different"
            raise BaselineError(msg)
        if not 0 <= self.tolerance < 1:
            msg = f"stream {self.name!r} has the tolerance {self.tolerance!r}; expected a number in [0, 1)"
            raise BaselineError(msg)
        if not 0 <= self.sudden <= 1:
            msg = f"stream {self.name!r} has the sudden rate {self.sudden!r}; expected a number in [0, 1]"
            raise BaselineError(msg)
        if not (math.isfinite(self.weight) and self.weight > 0):
            msg = f"stream {self.name!r} has the weight {self.weight!r}; expected a finite number above 0"
            raise BaselineError(msg)


@dataclass(frozen=True, eq=False)
class ReferenceCounts:
    """Counts of the healthy period, one row per window, oldest first.

    `k` and `n` are int64[m, indicators] with 0 <= k <= n (n = 0: nothing seen in that window), `phases` int64[m] the
    position of each window in its weekly cycle. m may be 0: then nothing can be compared and nothing alarms.
    """

    k: Ints
    n: Ints
    phases: Ints

    def __post_init__(self) -> None:
        """Refuse counts that are none."""
        if self.k.ndim != 2 or self.k.shape != self.n.shape or self.phases.shape != self.k.shape[:1]:
            msg = (
                f"reference counts have the shapes k {self.k.shape}, n {self.n.shape}, phases {self.phases.shape}; "
                "expected [m, indicators] twice and [m]"
            )
            raise BaselineError(msg)
        check_counts("the reference", self.k, self.n)


@dataclass(frozen=True)
class Finding:
    """An alarm of one stream.

    `window` is the window whose counts raised it, `since` the most likely first window of the change (maximum
    likelihood over the recent counts; never after `window`), `indicator` and `direction` the cell that carries most
    evidence. `observed` is its rate from `since` on, `expected` the reference's for the same phases (volume streams:
    rows per window), `low` and `high` a 95% interval of observed - expected. `evidence` is M / c (at least 1), or for
    the fast path its level divided by the p-value (at least 1). `fast` says which path. `count` of `size` rows of
    `window` alone had the indicator (both 0 for volume streams).
    """

    stream: Stream
    window: int
    indicator: str
    direction: Direction
    since: int
    observed: float
    expected: float
    low: float
    high: float
    evidence: float
    fast: bool
    count: int = 0
    size: int = 0


def check_counts(where: str, k: Ints, n: Ints) -> None:
    """Raise `BaselineError` unless 0 <= k <= n everywhere."""
    if bool(np.any((k < 0) | (k > n))):
        worst = tuple(int(i) for i in np.argwhere((k < 0) | (k > n))[0])
        msg = f"{where} counts {int(k[worst])} of {int(n[worst])} at position {worst}; expected 0 <= k <= n"
        raise BaselineError(msg)
