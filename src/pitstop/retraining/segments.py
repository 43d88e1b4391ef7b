"""Is the challenger no worse in each segment? A paired test of its own for each, the error probability shared.

A model that is better on the whole can be worse for a part of the rows. Beside the test over all rows, each segment has
one of its own rows (`PairedTest` with a margin): of `n` segments each gets alpha / n, so that the probability that any
of them is called "no worse" wrongly is at most alpha, and likewise "worse", however often they are looked at
(Bonferroni; Ville 1939). Which segments there are is fixed before the first row. A row lies in its segments by its
features, so whether it is bet on is known before its label, and each test stays a fair game.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pitstop.retraining.comparison import LEAST_BOUND, PairedTest

Floats = NDArray[np.float64]
SegmentVerdict = Literal["no worse", "worse", "undecided"]


@dataclass(frozen=True)
class SegmentTest:
    """The test of the rows whose `column` is `value`. `verdict`, once reached, stays."""

    column: str
    value: str
    test: PairedTest
    verdict: SegmentVerdict = "undecided"

    def updated(self, differences: Floats, scale: float, upper: Floats | None = None) -> SegmentTest:
        """Return it after a batch of the segment's rows: champion's losses minus challenger's, bounded by `scale`.

        With `upper` both are ends, see `PairedTest.updated`.
        """
        test = self.test.updated(differences, scale, upper)
        return replace(self, test=test, verdict=self.verdict if self.verdict != "undecided" else _verdict(test))

    @property
    def name(self) -> str:
        """The segment in words."""
        return f"{self.column} = {self.value}"


def _verdict(test: PairedTest) -> SegmentVerdict:
    # Two models that never lost differently are not "better"; no worse they are.
    if test.verdict == "better" or test.log_evidence >= -math.log(test.alpha):
        return "no worse"
    return "worse" if test.worse_by_now else "undecided"


@dataclass(frozen=True)
class SegmentStanding:
    """How the challenger compares in one segment: mean saving in currency a row (None without rows), its interval.

    `needed` is about how many more rows a verdict takes: 0 with one, None where no end is in sight.
    """

    column: str
    value: str
    verdict: SegmentVerdict
    rows: int
    gain: float | None
    low: float | None
    high: float | None
    needed: int | None

    @property
    def name(self) -> str:
        """The segment in words."""
        return f"{self.column} = {self.value}"


@dataclass(frozen=True)
class SegmentTests:
    """The tests of all segments of one comparison.

    `alpha` is shared among them; `margin`, in currency a row, is how much worse is still accepted. `left_out` counts
    the segments that had too few rows to be compared.
    """

    alpha: float
    margin: float
    tests: tuple[SegmentTest, ...] = ()
    left_out: int = 0

    @classmethod
    def opened(cls, alpha: float, margin: float, segments: Sequence[tuple[str, str]], left_out: int = 0) -> Self:
        """Return tests of `segments` (column, value) before their first row."""
        share = alpha / max(len(segments), 1)
        tests = (SegmentTest(*segment, PairedTest(share, LEAST_BOUND, margin)) for segment in segments)
        return cls(alpha, margin, tuple(tests), left_out)

    @property
    def worse(self) -> tuple[SegmentTest, ...]:
        """The segments in which the challenger is proven worse by more than the margin."""
        return tuple(item for item in self.tests if item.verdict == "worse")

    @property
    def undecided(self) -> tuple[SegmentTest, ...]:
        """The segments in which nothing is proven yet."""
        return tuple(item for item in self.tests if item.verdict == "undecided")

    def standings(self) -> tuple[SegmentStanding, ...]:
        """Return how every segment stands, those first that are worst off."""
        found = [_standing(item) for item in self.tests]
        order = {"worse": 0, "undecided": 1, "no worse": 2}
        found.sort(key=lambda item: (order[item.verdict], 0.0 if item.gain is None else item.gain, item.name))
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return what the tests mean as plain JSON types, for the record of a comparison."""
        return {
            "alpha": self.alpha,
            "margin": self.margin,
            "left_out": self.left_out,
            "standings": [asdict(item) for item in self.standings()],
        }

    def to_state(self) -> dict[str, Any]:
        """Return the tests as plain JSON types."""
        tests = [
            {"column": item.column, "value": item.value, "verdict": item.verdict, "test": item.test.to_state()}
            for item in self.tests
        ]
        return {"alpha": self.alpha, "margin": self.margin, "left_out": self.left_out, "tests": tests}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the tests that `to_state` described; they continue identically."""
        tests = tuple(SegmentTest(**{**item, "test": PairedTest.from_state(item["test"])}) for item in state["tests"])
        return cls(state["alpha"], state["margin"], tests, state["left_out"])


def _standing(item: SegmentTest) -> SegmentStanding:
    test = item.test
    if not test.rows:
        return SegmentStanding(item.column, item.value, item.verdict, 0, None, None, None, None)
    low, high = test.interval
    needed = 0 if item.verdict != "undecided" else test.rows_needed()
    return SegmentStanding(item.column, item.value, item.verdict, test.rows, test.mean, low, high, needed)
