"""Whether another policy or recipe is worth a change: only where it would surely have cost less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pitstop.backtests.bills import Bill
from pitstop.strategy.base import in_words
from pitstop.strategy.resampling import LEVEL, Saving


@dataclass(frozen=True)
class Recommendation:
    """What to do from now on: `change` says whether that differs from the incumbent.

    `saving` is what it would have saved against the incumbent, in currency over the judged periods.
    """

    policy: str
    recipe: str
    change: bool
    saving: Saving
    headline: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the recommendation as plain JSON types."""
        return {
            "policy": self.policy,
            "recipe": self.recipe,
            "change": self.change,
            "saving": self.saving.mean,
            "saving_interval": [self.saving.low, self.saving.high],
            "sure_saving": self.saving.sure,
            "headline": self.headline,
            "reason": self.reason,
        }


def recommend(bills: Sequence[Bill], savings: Sequence[Saving], incumbent: int) -> Recommendation:
    """Return the cheapest of those whose sure saving is above 0, else the incumbent.

    "Sure" allows for the choice among all of them: see `Saving`. Of equals the first is taken.
    """
    own = bills[incumbent]
    clear = [place for place, saving in enumerate(savings) if place != incumbent and saving.sure > 0]
    cheapest = min(range(len(bills)), key=lambda place: (bills[place].cost, place))
    if not clear:
        best, saving = bills[cheapest], savings[cheapest]
        reason = "No other policy or recipe would have cost less."
        if cheapest != incumbent:
            reason = (
                f"{best.policy} on {best.view} would have cost {in_words(saving.mean)} less, but with so many compared "
                f"that may be chance ({LEVEL:.0%} interval for it alone: {in_words(saving.low)} to "
                f"{in_words(saving.high)})."
            )
        headline = f"Keep {own.policy} on {own.view}: no saving is clear."
        return Recommendation(
            own.policy, own.view, change=False, saving=savings[incumbent], headline=headline, reason=reason
        )
    place = min(clear, key=lambda place: (bills[place].cost, place))
    best, saving = bills[place], savings[place]
    share = saving.mean / own.cost if own.cost > 0 else 0.0
    headline = (
        f"Change to {best.policy} on {best.view}: it would have cost {share:.1%} less than {own.policy} on {own.view}."
    )
    reason = (
        f"It saves {in_words(saving.mean)} ({LEVEL:.0%} interval {in_words(saving.low)} to {in_words(saving.high)}), "
        f"and at least {in_words(saving.sure)} after allowing for the choice among {len(bills)}."
    )
    return Recommendation(best.policy, best.view, change=True, saving=saving, headline=headline, reason=reason)
