"""Forecast the next period's loss with and without a retrain, and compare (after UPF).

A linear model of the loss per period on the time of the fit, the age and the period of use is fitted to all visible
cells; retrain iff the pessimistic (95%) cost of retraining is below that of keeping, one period ahead. Source: Regol et
al., "When to retrain a machine learning model" (ICML 2025), as far as its public descriptions tell; they model error
rates by a Beta distribution, here losses have any unit and the errors of the forecast are taken for normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude
from pitstop.strategy.matrix import LossMatrix

_PESSIMISM = 1.645  # the 95% point of a normal distribution
_RIDGE = 1.0
_LEAST_CELLS = 6


@dataclass(frozen=True)
class LossForecast:
    """Loss of a model in a period of the usual size: `coefficients` of (1, age, ln(1 + age), period of use).

    `spread` is the standard deviation of the cells around it.
    """

    coefficients: tuple[float, ...]
    spread: float

    def at(self, model: int, period: int) -> float:
        """Return the forecast, at least 0."""
        return max(0.0, float(_features(np.array([model]), np.array([period]))[0] @ np.array(self.coefficients)))


@dataclass(frozen=True)
class Forecast:
    """Retrains where one period ahead, pessimistically, a fresh model and its price cost less than the old model."""

    name: str = "forecast"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the forecast of the next period is cheaper with it."""
        price = costs.release + costs.fit
        found = fit_forecast(history.matrix)
        keep, retrain = 0.0, 0.0
        if found is not None:
            # A cell that was never seen is less certain the further it lies from those that were: by its age.
            doubt = found.spread * _PESSIMISM
            keep = found.at(history.served, history.now) + doubt
            retrain = found.at(history.now, history.now) + doubt
        pays = price + retrain < keep and price <= history.largest_saving()
        reason = (
            f"The next period is forecast to cost at most {keep:,.2f} as it is, and "
            f"{price + retrain:,.2f} with a retrain."
        )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=pays,
            reason=reason,
            gain=keep - retrain,
            price=price,
            alternatives=(Alternative("keep", keep), Alternative("retrain", price + retrain)),
        )


def fit_forecast(matrix: LossMatrix) -> LossForecast | None:
    """Return the ridge regression on all known cells, or None where there are fewer than six."""
    scaled = matrix.losses * matrix.scale()
    models, periods = np.nonzero(np.isfinite(scaled))
    if models.size < _LEAST_CELLS:
        return None
    design, losses = _features(models, periods), scaled[models, periods]
    penalty = np.diag([0.0, *[_RIDGE] * (design.shape[1] - 1)])
    coefficients = np.linalg.solve(design.T @ design + penalty, design.T @ losses)
    spread = float((losses - design @ coefficients).std())
    return LossForecast(tuple(float(value) for value in coefficients), spread)


def _features(models: NDArray[np.int64], periods: NDArray[np.int64]) -> NDArray[np.float64]:
    age = (periods - models).astype(np.float64)
    return np.column_stack([np.ones(age.size), age / 10, np.log1p(age) / np.log(11), periods / 10])
