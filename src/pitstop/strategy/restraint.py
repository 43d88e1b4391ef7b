"""Limits on what a policy may do by itself: a time to cool down after a release, and a budget for a month.

A decision that limits hold back stays on record as what it was, with the numbers behind it, and says what held it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pitstop.records.identity import artifact_id
from pitstop.strategy.base import Decision, in_words


@dataclass(frozen=True)
class Restraint:
    """`cool_down` periods of rest after a release; `budget` for a month in currency, None where there is no bound."""

    cool_down: int = 0
    budget: float | None = None

    def why_not(self, since_release: int | None, spent: float, price: float) -> str:
        """Return why a stop is held back, "" where it is not.

        `since_release` is the number of periods since the last release (None: there was none), `spent` what releases
        and fits have cost within the month, `price` what the stop would cost, both in currency.
        """
        if since_release is not None and since_release <= self.cool_down and self.cool_down:
            ago = "1 period" if since_release == 1 else f"{since_release} periods"
            return f"the last release was {ago} ago, and {self.cool_down} are agreed to pass between releases"
        return self.over_budget(spent, price)

    def over_budget(self, spent: float, price: float) -> str:
        """Return why nothing more may be paid for in this month, "" where it may."""
        if self.budget is None or spent + price <= self.budget:
            return ""
        return (
            f"this month's releases and fits have cost {in_words(spent)}, and {in_words(price)} more would pass the "
            f"budget of {in_words(self.budget)}"
        )


def held_back(decision: Decision, why: str) -> Decision:
    """Return the decision as it stands once a limit forbids it: to keep, for a reason of its own."""
    if decision.action != "retrain" or not why:
        return decision
    reason = f"A stop would pay, and is held back: {why}. {decision.reason}"
    name = artifact_id("decision", {"held": decision.id, "why": why})
    return replace(decision, id=name, action="keep", recipe=None, reason=reason)
