"""What a monitor is: baseline + profiles of one window -> signals to show, and indicator counts to test.

Monitors are stateless and never see rows, so any window of the past can be looked at again. The alarm engine
(`pitstop.detection`) owns the memory between windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline
from pitstop.detection.streams import Stream
from pitstop.profile import OutcomeProfile, Profile
from pitstop.statistics.cells import Cells

Ints = NDArray[np.int64]

# Shares of the alarm budget by family. The error is what an owner loses money by; features share by importance.
# Later families are on top: shares are divided by their sum. `fairness` counts only where a column is protected.
BUDGET_SHARES = {
    "error": 0.25,
    "score": 0.15,
    "drift": 0.40,
    "quality": 0.15,
    "volume": 0.05,
    "breaks": 0.10,
    "fairness": 0.10,
}


@dataclass(frozen=True)
class WindowCounts:
    """All that was counted in one window: rows predicted in it, rows whose label arrived in it, cohorts of fixed age.

    `cohorts` holds for each age of the baseline how many of the rows predicted that many windows ago, and labelled
    since, the model got wrong (for a regression one count for each error edge), and how many are labelled. `cells`
    counts the errors of the cohort of middle age by leaf, to explain incidents with. `novel` replaces the counts of
    some quality streams in windows that the bins themselves were fitted on (leave one window out). `groups` holds k and
    n of each group of people by stream (`pitstop.monitors.groups`).
    """

    window: int
    profile: Profile
    outcomes: OutcomeProfile
    cohorts: tuple[tuple[tuple[int, ...], int], ...] = ()
    cells: Cells | None = None
    novel: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, tuple[Ints, Ints]] = field(default_factory=dict)


@dataclass(frozen=True)
class Signal:
    """A number to show; `column` is empty for the whole model, `low`..`high` its 95% interval where it has one."""

    name: str
    column: str
    value: float
    low: float | None = None
    high: float | None = None


class Monitor(Protocol):
    """A family of streams over one kind of count."""

    @property
    def name(self) -> str:
        """The name of the family."""

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """Return the streams that it tests for a model with this baseline; their weights sum to its budget share."""

    def counts(self, stream: Stream, window: WindowCounts) -> tuple[Ints, Ints]:
        """Return (k, n) for each indicator of one of its streams: k of n rows have the indicator."""

    def signals(self, baseline: Baseline, window: WindowCounts) -> tuple[Signal, ...]:
        """Return the numbers to show for one window; a number that does not exist there is left out."""


def evenly(share: float, names: tuple[str, ...]) -> dict[str, float]:
    """Share a family's budget equally over names."""
    return {name: share / len(names) for name in names} if names else {}


def constant(values: list[int], n: int) -> tuple[Ints, Ints]:
    """Return counts `values` of the same n."""
    size = len(values)
    both = np.array([*values, *[n] * size], dtype=np.int64)  # one array costs half of two
    return both[:size], both[size:]
