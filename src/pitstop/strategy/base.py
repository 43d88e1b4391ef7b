"""The nouns of a retraining decision: what it costs, what is known, what was decided and why.

A policy is a pure function of the visible part of the loss matrix and of the costs. It sees no rows, no clock and no
label that has not arrived, so every past decision can be recomputed bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StrategyError
from pitstop.records.identity import artifact_id
from pitstop.strategy.matrix import LossMatrix

Action = Literal["keep", "retrain", "ask_for_labels"]

# How far a plan looks ahead where nobody says when the model is retired (strategy study, "unknown horizon").
UNKNOWN_HORIZON = 12


@dataclass(frozen=True)
class Costs:
    """Prices in currency: `release` of one stop (people, validation, risk, final fit), `fit` of one candidate fit."""

    release: float
    fit: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is not a price."""
        if not (0 <= self.release < float("inf") and 0 <= self.fit < float("inf")):
            msg = f"got costs of {self.release!r} per release and {self.fit!r} per fit; expected finite numbers from 0"
            raise StrategyError(msg)


@dataclass(frozen=True)
class Alternative:
    """One thing that could have been decided, and its expected cost in currency over the horizon."""

    action: str
    cost: float


@dataclass(frozen=True)
class Decision:
    """What a policy decided at the instant `at`, and the numbers behind it.

    `expected_gain` (currency, over the horizon) is what retraining saves against keeping, before its price; `cost` is
    that price. Between the ends of `interval` the gain lies with 90%, by the sampling error of what was seen; None
    where a policy cannot say. `recipe` names how the challenger is fitted and is None where nothing is. `reason` is
    one plain sentence.
    """

    id: str
    at: int
    action: Action
    recipe: str | None
    reason: str
    expected_gain: float
    cost: float
    policy: str
    alternatives: tuple[Alternative, ...] = ()
    caused_by: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class History:
    """What is known at the start of period `now`, when model `served` is in production.

    `matrix` holds columns before `now` only (anything later is cut off here, whoever calls). `releases` are the periods
    at whose start something was released, oldest first. `horizon` is the number of periods, from `now` on, that the
    model will still serve, or None where nobody knows. `recipe` is how candidates are fitted; `caused_by` are the ids
    of what led to this look (they enter the decision). `inputs[j]` are the mean inputs of the rows predicted in period
    `j`, each in units of its spread at the beginning, or None where nobody counts them; periods before `now` only.
    """

    matrix: LossMatrix
    served: int
    now: int
    releases: tuple[int, ...] = ()
    horizon: int | None = None
    recipe: str = "all"
    caused_by: tuple[str, ...] = field(default=())
    inputs: NDArray[np.float64] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Cut off what is not known yet."""
        if not 0 <= self.served <= self.now:
            msg = f"got model {self.served} serving in period {self.now}; expected a model from 0 to {self.now}"
            raise StrategyError(msg)
        if self.horizon is not None and self.horizon < 1:
            msg = f"got a horizon of {self.horizon} periods; expected at least 1, or None where it is unknown"
            raise StrategyError(msg)
        object.__setattr__(self, "matrix", self.matrix.visible(self.now))
        if self.inputs is not None:
            object.__setattr__(self, "inputs", self.inputs[: self.now])

    @property
    def age(self) -> int:
        """Number of periods since the served model was fitted."""
        return self.now - self.served

    @property
    def age_text(self) -> str:
        """The served model's age in words."""
        return "1 period" if self.age == 1 else f"{self.age} periods"

    @property
    def remaining(self) -> int:
        """Number of periods that a plan looks ahead."""
        return UNKNOWN_HORIZON if self.horizon is None else self.horizon

    def largest_saving(self) -> float:
        """Return what a perfect model could save over the horizon at most, in currency.

        It is infinite while no column is known. Otherwise it is the largest loss of any model in any visible column,
        per period of the usual size, for every period to come.
        """
        scaled = self.matrix.losses * self.matrix.scale()
        known = scaled[np.isfinite(scaled)]
        return float(known.max()) * self.remaining if known.size else float("inf")


def in_words(amount: float) -> str:
    """Return an amount of money for a sentence: whole from 100 on, else to the cent.

    >>> in_words(2823.12), in_words(-12.5)
    ('2,823', '-12.50')
    """
    return f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}"


class Policy(Protocol):
    """Decides when to retrain. Pure: equal arguments give equal decisions."""

    @property
    def name(self) -> str:
        """The name under which `pitstop.toml` asks for it."""

    def decide(self, history: History, costs: Costs, as_of: int) -> Decision:
        """Return the decision at the instant `as_of`, the start of period `history.now`."""


def conclude(
    policy: str,
    history: History,
    as_of: int,
    *,
    retrain: bool,
    reason: str,
    gain: float,
    price: float,
    alternatives: tuple[Alternative, ...] = (),
    interval: tuple[float, float] | None = None,
) -> Decision:
    """Return the decision with its id, which digests what was decided, when, by whom, on which numbers."""
    action: Action = "retrain" if retrain else "keep"
    recipe = history.recipe if retrain else None
    content = {
        "at": as_of,
        "action": action,
        "recipe": recipe,
        "served": history.served,
        "period": history.now,
        "expected_gain": gain,
        "cost": price,
        "policy": policy,
        "alternatives": {option.action: option.cost for option in alternatives},
        "caused_by": history.caused_by,
    }
    return Decision(
        id=artifact_id("decision", content),
        at=as_of,
        action=action,
        recipe=recipe,
        reason=reason,
        expected_gain=gain,
        cost=price,
        policy=policy,
        alternatives=alternatives,
        caused_by=history.caused_by,
        interval=interval,
    )
