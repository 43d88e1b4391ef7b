"""The vote: retrain where at least two of shadow plan, shadow debt and rolling period would (strategy study)."""

from __future__ import annotations

from dataclasses import dataclass

from pitstop.strategy.base import Costs, Decision, History, Policy, conclude
from pitstop.strategy.policies.rolling_period import RollingPeriod
from pitstop.strategy.policies.shadow_debt import ShadowDebt
from pitstop.strategy.policies.shadow_plan import ShadowPlan

_VOTERS: tuple[Policy, ...] = (ShadowPlan(), ShadowDebt(), RollingPeriod())


@dataclass(frozen=True)
class Vote:
    """Retrains by majority of three policies; the expected gain and the costs are those of the shadow plan."""

    name: str = "vote"

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return what at least two voters say."""
        ballots = [voter.decide(history, costs, as_of) for voter in _VOTERS]
        in_favour = [ballot for ballot in ballots if ballot.action == "retrain"]
        names = " and ".join(ballot.policy for ballot in in_favour) or "none"
        plan = ballots[0]
        return conclude(
            self.name,
            history,
            as_of,
            retrain=len(in_favour) >= 2,
            reason=f"{len(in_favour)} of 3 policies would retrain ({names}); shadow plan: {plan.reason}",
            gain=plan.expected_gain,
            price=plan.cost,
            alternatives=plan.alternatives,
        )
