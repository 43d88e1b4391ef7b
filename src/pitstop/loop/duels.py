"""Running paired tests of the champion against another model, and the losses that they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pitstop.loop.models import Predictions
from pitstop.loop.rowlog import RowLog
from pitstop.records.spec import ModelSpec
from pitstop.retraining.comparison import LEAST_BOUND, PairedTest, disagreement
from pitstop.retraining.outcome_model import OutcomeModel
from pitstop.retraining.segments import SegmentTests
from pitstop.value.function import largest_losses, losses

Ints = NDArray[np.int64]
# Rows of one day have effects in common, which a test that takes rows as they come cannot see: no verdict before all
# days of a week have spoken. Waiting is free for the test's validity.
LEAST_WINDOWS = 7


@dataclass(frozen=True)
class Duel:
    """A paired test against model `other`, opened in period `opened`, on the labels of `windows` windows so far.

    `shadow`: a challenger that enters when it is better. `rollback`: the model before, which returns when it is.
    `canary`: one that serves a share of the rows, compared on those, and is stopped when it is worse. `segments` are
    the tests of a shadow by segment. Where the decision hides the outcome, rows enter by whole windows: those before
    `until` have, and `outcome` has learnt from them. `among` is how many shadows were opened together: they share the
    error probability.
    """

    kind: Literal["shadow", "rollback", "canary"]
    other: int
    opened: int
    test: PairedTest
    windows: int = 0
    segments: SegmentTests | None = None
    until: int = 0
    outcome: OutcomeModel | None = None
    among: int = 1

    def to_state(self) -> dict[str, Any]:
        """Return the duel as plain JSON types."""
        return {
            "kind": self.kind,
            "other": self.other,
            "opened": self.opened,
            "test": self.test.to_state(),
            "windows": self.windows,
            "segments": None if self.segments is None else self.segments.to_state(),
            **({"until": self.until} if self.until else {}),
            **({"outcome": self.outcome.to_state()} if self.outcome is not None else {}),
            **({"among": self.among} if self.among > 1 else {}),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the duel that `to_state` described."""
        test = PairedTest.from_state(state["test"])
        segments = state.get("segments")
        by_segment = None if segments is None else SegmentTests.from_state(segments)
        outcome = OutcomeModel.from_state(state["outcome"]) if state.get("outcome") else None
        return cls(
            *(state["kind"], state["other"], state["opened"], test, state["windows"]),
            *(by_segment, state.get("until", 0), outcome, state.get("among", 1)),
        )


def row_losses(spec: ModelSpec, log: RowLog, rows: Ints, decided: NDArray[Any]) -> NDArray[np.float64]:
    """Return the loss in currency of decisions on labelled rows."""
    return losses(spec, decided, log.labels[rows], log.amounts(rows))


def difference_bound(spec: ModelSpec, log: RowLog, rows: Ints, one: Predictions, two: Predictions) -> float:
    """Return a bound of the difference of two models' losses on rows that is known before their labels."""
    spread: float | None = None
    if spec.model.task == "regression":
        spread = float(np.abs(one.decided - two.decided).max()) if len(rows) else 0.0
    bounds = largest_losses(spec, len(rows), log.amounts(rows), spread)
    return max(float(bounds.max()) if len(bounds) else 0.0, LEAST_BOUND)


def disagreement_on(spec: ModelSpec, log: RowLog, rows: Ints, one: Predictions, two: Predictions) -> float:
    """Return on which share of rows two models decide differently.

    For a regression: predict numbers that lie further apart than the freshest model's mean absolute error there.
    """
    if spec.model.task != "regression" or not len(rows):
        return disagreement(one.decided, two.decided)
    error = np.abs(log.fresh_class.values[rows] - log.labels[rows]).mean()
    return float((np.abs(one.decided - two.decided) > max(error, LEAST_BOUND)).mean())
