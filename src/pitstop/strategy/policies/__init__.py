"""The built-in retraining policies, and the registry that finds them and installed ones by name."""

from __future__ import annotations

from pitstop.registry import Registry
from pitstop.strategy.base import Policy
from pitstop.strategy.policies.budgeted import Budgeted
from pitstop.strategy.policies.cadence import Cadence
from pitstop.strategy.policies.cara_cumulative import CaraCumulative
from pitstop.strategy.policies.cara_threshold import CaraThreshold
from pitstop.strategy.policies.debt import Debt
from pitstop.strategy.policies.drift_triggered import DriftTriggered
from pitstop.strategy.policies.error_cusum import ErrorCusum
from pitstop.strategy.policies.every_rows import EveryRows
from pitstop.strategy.policies.forecast import Forecast
from pitstop.strategy.policies.forecast_plan import ForecastPlan
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
    *(Budgeted(retrains) for retrains in (1, 3, 6)),
    ForecastPlan(),
    Forecast(),
    Debt(),
    CaraCumulative(),
    CaraThreshold(),
    ErrorCusum(),
    DriftTriggered(),
    Never(),
    *(EveryRows(rows) for rows in (1_000, 10_000, 100_000)),
    *(Cadence(every) for every in (1, 2, 3, 4, 6, 12)),
)
POLICIES: Registry[Policy] = Registry("policy", "pitstop.policies", BUILT_IN)

_WITHOUT_CANDIDATES = (Debt, DriftTriggered, Never, EveryRows, Cadence)


def needs_candidates(policy: Policy) -> bool:
    """Return whether a policy learns from candidates that are not released, so that their fits are part of its bill."""
    return not isinstance(policy, _WITHOUT_CANDIDATES)
