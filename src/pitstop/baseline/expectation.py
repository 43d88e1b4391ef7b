"""What a model's outcomes are expected to be, row by row, learnt from the reference and scored on it.

Classes: the calibrator, corrected by what the features say (`OutcomeModel`). Regression: direct loss estimation, that
is the absolute error, the squared error and the error itself, each by such a model. All of it is learnt on labelled
reference rows in order of time. Each estimate is then scored on pieces of the reference by fits that had not seen them:
by how much it misses beyond chance is its `spread`, the part of an interval that no formula knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pitstop.baseline.calibration import isotonic
from pitstop.baseline.outcome_model import BLOCKS, OutcomeModel, fit_outcome_model, thinned
from pitstop.baseline.tree import Codes
from pitstop.profile import Layout
from pitstop.statistics.expected import Estimate, cbpe
from pitstop.statistics.outcome_bins import STEPS, OutcomeBins
from pitstop.statistics.outcomes import Outcomes
from pitstop.statistics.scores import Scores

Floats = NDArray[np.float64]

# Pieces of the reference on which estimates are scored: enough for a variance, and of at least so many rows.
PIECES, FEWEST_IN_PIECE = 20, 100
LOSSES = ("absolute", "squared", "error")


@dataclass(frozen=True, eq=False)
class Said:
    """Rows and what a model says of them: their cell codes, scores (NaN without one) and predictions."""

    codes: Codes
    scores: Floats
    decided: NDArray[Any]

    def taken(self, rows: Any) -> Said:
        """Return some of the rows."""
        return Said(self.codes[rows], self.scores[rows], self.decided[rows])


@dataclass(frozen=True, eq=False)
class Expectation:
    """What the reference teaches about outcomes.

    `models` by what they tell ("outcome", or the three losses of a regression; one that tells nothing is absent);
    `means` and `residuals` are the mean of each loss of a regression and its variance around the model; `spreads` is
    the variance, by metric, of what estimates of a piece of the reference missed by, less what chance explains.
    """

    models: Mapping[str, OutcomeModel]
    means: Mapping[str, float]
    residuals: Mapping[str, float]
    spreads: Mapping[str, float]

    def curves(self, bins: OutcomeBins, calibrated: Floats, said: Said) -> tuple[Floats, Floats | None]:
        """Return the mean chance of rows by [predicted][score bin], float64[classes, 1001], and without each block.

        Cells without rows hold the calibrator's value; None stands for the blocks where no model was learnt.
        """
        model = self.models.get("outcome")
        if model is None:
            return np.repeat(calibrated[np.newaxis], bins.groups, axis=0), None
        found = [_curve(bins, calibrated, said, added) for added in model.differences(outcome_codes(bins, said))]
        return found[0], np.stack(found[1:])

    def losses(self, said: Said) -> dict[str, Estimate]:
        """Return the expected mae, rmse, bias (in the label's unit) and r2 of a regression; none without rows."""
        rows = len(said.decided)
        if not self.means or not rows:
            return {}
        mean = {name: self.means[name] + self._differences(name, said.codes) for name in LOSSES}
        return _loss_estimates(mean, self.residuals, said.decided.astype(np.float64))

    def chance_wrong(self, bins: OutcomeBins, calibrated: Floats, said: Said) -> Floats:
        """Return the chance of each row that its prediction is wrong; the calibrator's mean where it has no score."""
        place = _score_bins(said.scores)
        known = np.where(place >= 0, calibrated[place], float(calibrated.mean()))
        model = self.models.get("outcome")
        added = 0.0 if model is None else model.differences(outcome_codes(bins, said))[0]
        chance = np.clip(known + added, 0.0, 1.0)
        if bins.task == "multiclass":
            return 1.0 - chance
        positive = bins.groups_of(pa.array(said.decided, pa.string())) == 1
        return np.where(positive, 1.0 - chance, chance)

    def row_losses(self, name: str, said: Said) -> Floats:
        """Return one expected loss ("absolute", "squared", "error") of each row of a regression."""
        return np.asarray(self.means[name] + self._differences(name, said.codes)[0], dtype=np.float64)

    def _differences(self, name: str, codes: Codes) -> Floats:
        if name not in self.models:
            return np.zeros((1 + BLOCKS, len(codes)))
        return self.models[name].differences(codes)

    def to_state(self) -> dict[str, Any]:
        """Return it as arrays and JSON values."""
        state: dict[str, Any] = {
            f"model.{name}.{key}": value
            for name, model in self.models.items()
            for key, value in model.to_state().items()
        }
        numbers = {"means": self.means, "residuals": self.residuals, "spreads": self.spreads}
        return state | {"numbers": {name: dict(part) for name, part in numbers.items()}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return the expectation that `to_state` described."""
        parts: dict[str, dict[str, Any]] = {}
        for key, value in state.items():
            if key.startswith("model."):
                _, name, rest = key.split(".", 2)
                parts.setdefault(name, {})[rest] = value
        return cls({name: OutcomeModel.from_state(part) for name, part in parts.items()}, **state["numbers"])


def outcome_codes(bins: OutcomeBins, said: Said) -> Codes:
    """Return what a model of outcomes sees: cell codes, and for classes the score bin and the predicted class."""
    if bins.task == "regression":
        return said.codes
    guess = bins.groups_of(pa.array(said.decided, pa.string()))
    return np.column_stack([said.codes, _score_bins(said.scores), guess]).astype(np.int32)


def fit_expectation(layout: Layout, said: Said, labels: NDArray[Any]) -> Expectation | None:
    """Learn from labelled reference rows in order of time. None without rows or, for classes, without scores."""
    bins = layout.outcome_bins
    if bins.task == "regression":
        known = np.isfinite(said.decided.astype(np.float64)) & np.isfinite(labels.astype(np.float64))
    else:
        known = np.isfinite(said.scores) & (said.decided != None) & (labels != None)  # noqa: E711 - elementwise
    known_rows = np.flatnonzero(known)
    if not len(known_rows):
        return None
    chosen = known_rows[thinned(len(known_rows))]
    said, labels = said.taken(chosen), labels[chosen]
    # Small fits are slower on several threads than on one where other processes work too.
    with threadpool_limits(1):
        return _regression(said, labels) if bins.task == "regression" else _classes(bins, said, labels)


def _classes(bins: OutcomeBins, said: Said, labels: NDArray[Any]) -> Expectation:
    names = pa.array(labels, pa.string())
    guess, truth = bins.groups_of(pa.array(said.decided, pa.string())), bins.groups_of(names)
    outcome = (truth == 1 if bins.task == "binary" else (guess == truth) & (truth < len(bins.classes))).astype(float)
    place, block = _score_bins(said.scores), np.arange(len(outcome)) * BLOCKS // len(outcome)
    calibrated = isotonic(*_sides(place, outcome))
    fit = fit_outcome_model(outcome_codes(bins, said), outcome - calibrated[place])
    held_out = np.zeros(len(outcome)) if fit is None else fit.held_out
    confusion = np.zeros((bins.groups, bins.groups), dtype=np.int64)
    np.add.at(confusion, (guess, truth), 1)
    others = [isotonic(*_sides(place[block != part], outcome[block != part])) for part in range(BLOCKS)]

    def misses() -> Iterator[dict[str, tuple[float, float]]]:
        for rows in _pieces(len(outcome)):
            piece = said.taken(rows)
            curve = _curve(bins, others[int(block[rows[len(rows) // 2]])], piece, held_out[rows])
            decided = pa.array(piece.decided, pa.string())
            scores = Scores.empty(bins).updated(piece.scores, decided)
            realised = Outcomes.empty(bins).updated(piece.scores, decided, names.take(pa.array(rows))).metrics()
            found = cbpe(scores, curve, confusion=None if bins.task == "binary" else confusion)
            yield {name: (realised[name] - item.value, item.variance) for name, item in found.items()}

    models = {} if fit is None else {"outcome": fit.model}
    return Expectation(models, {}, {}, _spreads(misses))


def _regression(said: Said, labels: NDArray[Any]) -> Expectation:
    predicted, truth = said.decided.astype(np.float64), labels.astype(np.float64)
    error = predicted - truth
    losses = {"absolute": np.abs(error), "squared": error**2, "error": error}
    means = {name: float(values.mean()) for name, values in losses.items()}
    fits = {name: fit_outcome_model(said.codes, losses[name] - means[name]) for name in LOSSES}
    models = {name: fit.model for name, fit in fits.items() if fit is not None}
    held_out = {name: np.zeros(len(error)) if fit is None else fit.held_out for name, fit in fits.items()}
    residuals = {name: float(np.var(losses[name] - means[name] - held_out[name])) for name in LOSSES}

    def misses() -> Iterator[dict[str, tuple[float, float]]]:
        for rows in _pieces(len(error)):
            mean = {name: (means[name] + held_out[name][rows])[np.newaxis] for name in LOSSES}
            found = _loss_estimates(mean, residuals, predicted[rows])
            spread = float(np.var(truth[rows]))
            squared = float(losses["squared"][rows].mean())
            realised = {
                "mae": float(losses["absolute"][rows].mean()),
                "rmse": squared**0.5,
                "bias": float(error[rows].mean()),
                "r2": 1 - squared / spread if spread else np.nan,
            }
            yield {name: (realised[name] - item.value, item.variance) for name, item in found.items()}

    return Expectation(models, means, residuals, _spreads(misses))


def _loss_estimates(
    mean: Mapping[str, Floats], residuals: Mapping[str, float], predicted: Floats
) -> dict[str, Estimate]:
    """Return estimates from the expected losses of rows, float64[1 + blocks, rows] by name."""
    rows = len(predicted)

    def of(absolute: Floats, squared: Floats, error: Floats) -> dict[str, float]:
        square, bias = max(float(squared.mean()), 0.0), float(error.mean())
        # The label is the prediction less its error, so its variance follows from theirs.
        together = float(np.mean((predicted - predicted.mean()) * error))
        spread = float(np.var(predicted)) - 2 * together + square - bias**2
        return {
            "mae": max(float(absolute.mean()), 0.0),
            "rmse": square**0.5,
            "bias": bias,
            "r2": 1 - square / spread if spread > 0 else np.nan,
        }

    found = [of(*parts) for parts in zip(*(mean[name] for name in LOSSES), strict=True)]
    square = max(float(mean["squared"][0].mean()), 1e-300)
    scale = (1 - found[0]["r2"]) / square
    sampling = {
        "mae": residuals["absolute"] / rows,
        "rmse": residuals["squared"] / rows / (4 * square),
        "bias": residuals["error"] / rows,
        "r2": residuals["squared"] / rows * scale**2,
    }
    blocks = len(found) - 1
    return {
        name: Estimate(
            value,
            sampling[name],
            (blocks - 1) * float(np.var([part[name] for part in found[1:]])) if blocks > 1 else 0.0,
        )
        for name, value in found[0].items()
    }


def _curve(bins: OutcomeBins, calibrated: Floats, said: Said, added: Floats) -> Floats:
    guess, place = bins.groups_of(pa.array(said.decided, pa.string())), _score_bins(said.scores)
    known = (guess >= 0) & (place >= 0)
    cell = guess[known].astype(np.int64) * (STEPS + 1) + place[known]
    chance = np.clip(calibrated[place[known]] + added[known], 0.0, 1.0)
    rows = np.bincount(cell, minlength=bins.groups * (STEPS + 1))
    whole = np.bincount(cell, chance, minlength=rows.size)
    plain = np.tile(calibrated, bins.groups)
    mean = np.where(rows > 0, whole / np.maximum(rows, 1), plain)
    return np.clip(mean, 0.0, 1.0).reshape(bins.groups, STEPS + 1)


def _score_bins(scores: Floats) -> NDArray[np.int64]:
    """Return the score bin of each row (1000 times the score, rounded half up), -1 without a score."""
    return np.where(np.isfinite(scores), np.floor(np.nan_to_num(scores) * STEPS + 0.5), -1).astype(np.int64)


def _sides(place: NDArray[np.int64], outcome: Floats) -> tuple[Floats, Floats]:
    rows = np.bincount(place, minlength=STEPS + 1).astype(np.float64)
    positives = np.asarray(np.bincount(place, outcome, minlength=STEPS + 1), dtype=np.float64)
    return rows - positives, positives


def _pieces(rows: int) -> list[NDArray[np.int64]]:
    """Return consecutive rows, `PIECES` pieces or fewer, each within one block of time."""
    each = max(1, min(PIECES // BLOCKS, rows // BLOCKS // FEWEST_IN_PIECE))
    block = np.arange(rows) * BLOCKS // rows
    return [piece for part in range(BLOCKS) for piece in np.array_split(np.flatnonzero(block == part), each)]


def _spreads(misses: Callable[[], Iterator[dict[str, tuple[float, float]]]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for piece in misses():
        for name, (miss, variance) in piece.items():
            if np.isfinite(miss) and np.isfinite(variance):
                found.setdefault(name, []).append(miss**2 - variance)
    return {name: max(0.0, float(np.mean(values))) for name, values in found.items()}
