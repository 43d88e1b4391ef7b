"""`backtest`: what each retraining policy would have cost on a history, and whether another one is worth a change."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pitstop.backtests.bills import Setting
from pitstop.backtests.candidates import Progress, make_candidates
from pitstop.backtests.kept_files import KeptFiles
from pitstop.backtests.leaving_out import LeftOut
from pitstop.backtests.past import past_of
from pitstop.backtests.recipes import DEFAULT, check_recipe
from pitstop.backtests.result import BacktestResult, Judged, conclude
from pitstop.backtests.views import views_of
from pitstop.errors import SpecError
from pitstop.records.batches import normalise
from pitstop.records.sources import read_table
from pitstop.records.spec import ModelSpec
from pitstop.strategy.policies import POLICIES

# Share of the periods that policies may learn from before they are judged (strategy study).
HISTORY_SHARE = 0.3
LEAST_HISTORY = 2


def no_progress(name: str, done: int, total: int) -> None:
    """Tell nobody."""
    del name, done, total


@dataclass(frozen=True)
class BacktestPlan:
    """How a backtest is made.

    `recipes`: how candidates are trained (none: `all`, `last_6`, `last_2` and the specification's own). `incumbent`:
    the policy that is kept unless another one is clearly cheaper (default: the specification's). `lag`: periods from a
    decision to the day on which the model serves. `fit_every`: fit at every so many periods only and interpolate the
    rest. `history`: share of the periods that is not judged. `workers`: training processes at once (0: one a core).
    """

    recipes: tuple[str, ...] = ()
    incumbent: str = ""
    lag: int = 0
    fit_every: int = 1
    history: float = HISTORY_SHARE
    workers: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)

    def __post_init__(self) -> None:
        """Refuse what cannot be done, before any work."""
        for recipe in self.recipes:
            check_recipe(recipe)
        if self.lag < 0 or self.fit_every < 1 or not 0.0 <= self.history < 1.0 or self.workers < 0:
            msg = (
                f"got a lag of {self.lag}, a fit every {self.fit_every} periods, a history of {self.history:g} and "
                f"{self.workers} workers; expected a lag from 0, a fit every 1 or more, a share from 0 to below 1 and "
                "workers from 0 (one a core)"
            )
            raise SpecError(msg)


def backtest(
    history: Any,
    spec: ModelSpec,
    plan: BacktestPlan | None = None,
    *,
    cache: Path | None = None,
    base: Path | str = ".",
    progress: Progress = no_progress,
) -> BacktestResult:
    """Fit candidates over a history and say what each policy would have cost.

    `history` is a path or any object with `__arrow_c_stream__`. `cache` is a folder in which models and predictions are
    kept by digest: the next backtest computes only what is new. `base` is the folder from which a trainer's own files
    are named. Raises a `PitstopError` for input that cannot be used.
    """
    plan = plan or BacktestPlan()
    if not spec.trains:
        msg = 'a backtest fits candidates, but [trainer] name is "none" or no label is named; name both'
        raise SpecError(msg)
    incumbent = POLICIES.get(plan.incumbent or spec.policy.name)
    recipes = _recipes(plan.recipes, spec.policy.recipe)
    past = past_of(spec, normalise(spec, read_table(history)), plan.left_out)
    first = max(LEAST_HISTORY, math.ceil(past.periods * plan.history))
    if first >= past.periods:
        msg = (
            f"a history of {plan.history:g} takes {first} of the {past.periods} periods with a candidate, so none is "
            f"left to judge; expected a share of at most {math.floor(100 * (past.periods - 1) / past.periods) / 100}"
        )
        raise SpecError(msg)
    # The first judged period is given a candidate of its own, and so is every k-th from there, both ways.
    fitted = tuple(period for period in range(past.periods) if (period - first) % plan.fit_every == 0)
    candidates = make_candidates(
        past,
        recipes,
        fitted,
        KeptFiles(cache),
        base=Path(base),
        workers=plan.workers or _cores(),
        progress=progress,
        lag=plan.lag,
    )
    views = views_of(candidates, fitted, spec.costs.release)
    setting = Setting(first, plan.lag, spec.costs)
    judged = Judged(past, candidates, views, setting, incumbent, _own(recipes, spec.policy.recipe), plan.fit_every)
    return conclude(judged, tuple(POLICIES))


def with_trainer(spec: ModelSpec, name: str) -> ModelSpec:
    """Return the specification with another registered trainer."""
    return replace(spec, trainer=replace(spec.trainer, name=name, command=()))


def _recipes(asked: Sequence[str], own: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(asked or (check_recipe(own), *DEFAULT)))


def _own(recipes: tuple[str, ...], own: str) -> str:
    return own if own in recipes else recipes[0]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
