"""What a backtest's page and terminal summary show, as finished numbers. Money is in the story's currency."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PolicyRow:
    """One policy: cost with an interval, excess over hindsight as a share, regret and saving with an interval."""

    policy: str
    cost: float
    low: float
    high: float
    retrains: int
    excess: float | None
    regret: float
    saving: float
    saving_low: float
    saving_high: float
    worst: str
    worst_cost: float


@dataclass(frozen=True)
class RecipeRow:
    """One way to choose the recipe: what a fresh model loses a period, and what policies cost with it."""

    recipe: str
    fresh_loss: float
    incumbent_cost: float
    best_policy: str
    best_cost: float
    cadence: str
    cadence_cost: float
    hindsight_cost: float


@dataclass(frozen=True)
class CadenceRow:
    """A fixed cadence: from `stops_paying` a release on, never to retrain is cheaper; `cheapest` among cadences.

    `cheapest` is the range of prices in which it beats all other cadences (an open end is None), None where it never
    does.
    """

    policy: str
    retrains: int
    loss: float
    stops_paying: float | None
    cheapest: tuple[float | None, float | None] | None


@dataclass(frozen=True)
class CountPoint:
    """A schedule as a point: its number of retrains and its cost."""

    name: str
    retrains: int
    cost: float


@dataclass(frozen=True)
class AgeGap:
    """What models of an age lost more than fresh ones, per period of the usual size: measured, and by the curve."""

    age: int
    measured: float
    curve: float


@dataclass(frozen=True)
class StalenessLine:
    """The gaps of one recipe's models by age."""

    recipe: str
    gaps: tuple[AgeGap, ...]


@dataclass(frozen=True)
class BacktestStory:
    """Everything that is shown; `policies` from cheapest to dearest, all on the incumbent's recipe."""

    model: str
    currency: str
    span: tuple[str, str]
    periods: int
    history: int
    price: float
    lag: int
    incumbent: str
    own_recipe: str
    headline: str
    reason: str
    policies: tuple[PolicyRow, ...]
    recipes: tuple[RecipeRow, ...]
    cadences: tuple[CadenceRow, ...]
    hindsight_cost: float
    hindsight_retrains: int
    frontier: tuple[CountPoint, ...]
    staleness: tuple[StalenessLine, ...]
    notes: tuple[str, ...]
