"""What a row's difference of losses is expected to be before its label: learnt from the revealed labels of the past.

A doubly robust comparison is right on average whatever this model says, as long as it was fitted without the rows it is
asked about; the better it is, the fewer labels are needed. So it is small: a ridge regression on a handful of numbers
that both models give for each row, from sums that add up over cohorts. Each row weighs as much as its error adds to the
variance of the comparison (Cao, Tsiatis & Davidian, Biometrika 2009, eq. 7): one that is revealed for sure, nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError

Floats = NDArray[np.float64]

# The ridge weighs as much as this many average rows, towards "no difference".
_PRIOR_ROWS = 20.0


@dataclass(frozen=True)
class OutcomeModel:
    """Sums of a weighted ridge regression on `width` numbers; `updated` returns the next one."""

    width: int
    rows: int = 0
    weight: float = 0.0
    information: tuple[float, ...] = ()
    moment: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Begin with no row."""
        if not self.information:
            object.__setattr__(self, "information", (0.0,) * self.width**2)
            object.__setattr__(self, "moment", (0.0,) * self.width)

    def predicted(self, features: Floats) -> Floats:
        """Return the expected difference of each row as a share of its bound, in [-1, 1]; 0 before the first label.

        `features` has shape (rows, width), all finite.
        """
        self._check(features)
        if not self.rows:
            return np.zeros(len(features))
        ridge = _PRIOR_ROWS * self.weight / self.rows
        information = np.array(self.information).reshape(self.width, self.width) + np.eye(self.width) * ridge
        return np.clip(features @ np.linalg.solve(information, np.array(self.moment)), -1.0, 1.0)

    def updated(self, features: Floats, shares: Floats, weights: Floats) -> Self:
        """Return the model after revealed rows: their differences as shares of their bounds, and their weights."""
        self._check(features)
        use = weights > 0.0
        seen, weighed = features[use], features[use] * weights[use][:, None]
        return type(self)(
            self.width,
            self.rows + int(use.sum()),
            self.weight + float(weights[use].sum()),
            tuple((np.array(self.information) + (weighed.T @ seen).ravel()).tolist()),
            tuple((np.array(self.moment) + weighed.T @ shares[use]).tolist()),
        )

    def to_state(self) -> dict[str, Any]:
        """Return the sums as plain JSON types."""
        return {
            "width": self.width,
            "rows": self.rows,
            "weight": self.weight,
            "information": list(self.information),
            "moment": list(self.moment),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the model that `to_state` described; it continues identically."""
        sums = (tuple(state["information"]), tuple(state["moment"]))
        return cls(state["width"], state["rows"], state["weight"], *sums)

    def _check(self, features: Floats) -> None:
        if features.ndim != 2 or features.shape[1] != self.width or not np.isfinite(features).all():
            msg = f"got numbers of shape {features.shape}; expected rows of {self.width} finite numbers"
            raise StatisticError(msg)
