"""Pitstop's estimates of the windows of a case, with the shipped defaults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.estimation_cases import Case, Part
from benchmarks.estimation_truth import METRICS
from pitstop.baseline.baseline import cell_codes
from pitstop.baseline.calibration import isotonic
from pitstop.baseline.expectation import Expectation, Said, fit_expectation
from pitstop.statistics.expected import Estimate, cbpe
from pitstop.statistics.outcomes import Outcomes
from pitstop.statistics.scores import Scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judge:
    """What is learnt of a case from its reference."""

    case: Case
    calibrated: Floats | None
    confusion: NDArray[np.int64] | None
    expectation: Expectation

    @classmethod
    def fit(cls, case: Case) -> Judge:
        """Learn from the labelled reference."""
        part, bins = case.reference, case.layout.outcome_bins
        expectation = fit_expectation(case.layout, said(case, part), part.labels)
        assert expectation is not None  # noqa: S101 - every case has labelled reference rows
        if case.task == "regression":
            return cls(case, None, None, expectation)
        words = pa.array(part.predicted, pa.string()), pa.array(part.labels, pa.string())
        counted = Outcomes.empty(bins).updated(part.scores, *words)
        calibrated = isotonic(*(side.astype(np.float64) for side in counted.by_score))
        return cls(case, calibrated, counted.confusion if case.task == "multiclass" else None, expectation)

    def estimates(self, part: Part, *, plain: bool = False) -> dict[str, Estimate]:
        """Return the estimates of the metrics that are scored; `plain`: by the calibrator alone (CBPE)."""
        bins = self.case.layout.outcome_bins
        rows = said(self.case, part)
        if self.calibrated is None:
            return {
                name: found for name, found in self.expectation.losses(rows).items() if name in METRICS["regression"]
            }
        scores = Scores.empty(bins).updated(part.scores, pa.array(part.predicted, pa.string()))
        curve, without = (self.calibrated, None) if plain else self.expectation.curves(bins, self.calibrated, rows)
        found = cbpe(scores, curve, without=without, confusion=self.confusion)
        return {name: found[name] for name in METRICS[self.case.task]}


def said(case: Case, part: Part) -> Said:
    """Return rows as the estimators see them."""
    return Said(cell_codes(case.layout, part.rows, part.scores, part.predicted), part.scores, part.predicted)
