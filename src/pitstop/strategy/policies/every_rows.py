"""Retrain every n labelled rows, whatever the calendar says."""

from __future__ import annotations

from dataclasses import dataclass

from pitstop.errors import SpecError
from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude


@dataclass(frozen=True)
class EveryRows:
    """Retrains as soon as `rows` labels have arrived since the served model was fitted.

    Like a cadence it weighs nothing, except that it keeps where even a perfect model could not earn the price back.
    """

    rows: int

    def __post_init__(self) -> None:
        """Refuse a number of rows that is none."""
        if self.rows < 1:
            msg = f"got a retrain every {self.rows} rows; expected at least 1"
            raise SpecError(msg)

    @property
    def name(self) -> str:
        """`every_10000_rows`."""
        return f"every_{self.rows}_rows"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "retrain" where enough labels have arrived."""
        price = costs.release + costs.fit
        arrived = int(history.matrix.rows[history.served :].sum())
        retrain = arrived >= self.rows and price <= history.largest_saving()
        reason = f"{arrived:,} labels arrived since the model was fitted; the rule retrains at {self.rows:,}."
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
