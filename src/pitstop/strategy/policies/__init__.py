"""The built-in retraining policies, and the registry that finds them and installed ones by name."""

from __future__ import annotations

from pitstop.registry import Registry
from pitstop.strategy.base import Policy
from pitstop.strategy.policies.cadence import Cadence
from pitstop.strategy.policies.debt import Debt
from pitstop.strategy.policies.never import Never
from pitstop.strategy.policies.rolling_period import RollingPeriod
from pitstop.strategy.policies.shadow_debt import ShadowDebt
from pitstop.strategy.policies.shadow_plan import ShadowPlan
from pitstop.strategy.policies.vote import Vote

BUILT_IN: tuple[Policy, ...] = (
    ShadowPlan(),
    Vote(),
    ShadowDebt(),
    RollingPeriod(),
    Debt(),
    Never(),
    *(Cadence(every) for every in (1, 2, 3, 4, 6, 12)),
)
POLICIES: Registry[Policy] = Registry("policy", "pitstop.policies", BUILT_IN)
