"""The promise, shared: at most so many false alarms a month for a whole model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pitstop.errors import SpecError


@dataclass(frozen=True)
class Budget:
    """The expected number of false alarms a month that a model's streams may raise together.

    `per_month` is the promise N, above 0. `windows_per_month` is W (30 for days and for row-count windows, 720 for
    hours, 4 for weeks). `fast_share` in [0, 1) is the part of N that pays for the fast path, which pages in the
    first window of an upstream break; the rest pays for the e-detectors.
    """

    per_month: float
    windows_per_month: int
    fast_share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a budget that promises nothing."""
        if not (math.isfinite(self.per_month) and self.per_month > 0):
            msg = f"got {self.per_month!r} false alarms a month; expected a number above 0, for instance 1.0"
            raise SpecError(msg)
        if self.windows_per_month < 1:
            msg = f"got {self.windows_per_month!r} windows a month; expected at least 1"
            raise SpecError(msg)
        if not 0 <= self.fast_share < 1:
            msg = f"got {self.fast_share!r} as the fast path's share; expected a number in [0, 1), for instance 0.1"
            raise SpecError(msg)

    def thresholds(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Return c_k = W / (N_slow w_k) for each stream, N_slow = N (1 - fast_share), weights normalised to sum 1.

        An e-detector with threshold c_k raises at most T / c_k false alarms in T windows in expectation (budget
        theorem), hence N_slow w_k a month. At least 1, which a detector needs: a stream whose share of the budget
        is more than one alarm per window gets less than its share.
        """
        slow = self.per_month * (1 - self.fast_share)
        return {name: max(self.windows_per_month / (slow * share), 1.0) for name, share in _shares(weights).items()}

    def fast_levels(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Return for each stream the probability of a false fast alarm that one window may have: N_fast w_k / W."""
        fast = self.per_month * self.fast_share
        return {name: min(fast * share / self.windows_per_month, 1.0) for name, share in _shares(weights).items()}


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights divided by their sum."""
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            msg = (
                f"stream {name!r} has the weight {weight!r}; expected a finite number above 0, or leave the stream out"
            )
            raise SpecError(msg)
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
