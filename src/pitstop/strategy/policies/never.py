"""Never retrain: the baseline that every other policy has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from pitstop.strategy.base import Alternative, Costs, Decision, History, conclude


@dataclass(frozen=True)
class Never:
    """Keeps the served model, whatever happens."""

    name: str = "never"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return "keep"."""
        price = costs.release + costs.fit
        return conclude(
            self.name,
            history,
            as_of,
            retrain=False,
            reason=f"The policy is never to retrain; the model is {history.age_text} old.",
            gain=0.0,
            price=price,
            alternatives=(Alternative("keep", 0.0), Alternative("retrain", price)),
        )
