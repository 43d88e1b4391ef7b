"""Retrain every k periods, by the calendar."""

from __future__ import annotations

from dataclasses import dataclass

from pitstop.errors import SpecError
from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude


@dataclass(frozen=True)
class Cadence:
    """Retrains as soon as the served model is `every` periods old.

    It weighs nothing, with one exception: where even a perfect model could not earn the price back within the horizon,
    it keeps.
    """

    every: int

    def __post_init__(self) -> None:
        """Refuse a cadence without a length."""
        if self.every < 1:
            msg = f"got a cadence of {self.every} periods; expected at least 1"
            raise SpecError(msg)

    @property
    def name(self) -> str:
        """`every_period`, or `every_4_periods`."""
        return "every_period" if self.every == 1 else f"every_{self.every}_periods"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where the model has reached its age."""
        price = costs.release + costs.fit
        due = history.age >= self.every
        most = history.largest_saving()
        retrain = due and price <= most
        if due and not retrain:
            after = "1 period" if self.every == 1 else f"{self.every} periods"
            reason = (
                f"Due after {after}, but a retrain costs {price:,.2f} and even a perfect model could save "
                f"only {most:,.2f} within {history.remaining} periods."
            )
        else:
            reason = (
                f"The model is {history.age_text} old and the cadence is {self.every}: {'due' if due else 'not due'}."
            )
        return conclude(
            self.name,
            history,
            as_of,
            retrain=retrain,
            reason=reason,
            gain=0.0,
            price=price,
            alternatives=(Alternative("keep", 0.0), Alternative("retrain", price)),
        )
