"""One loss matrix for each way to choose the recipe: fixed to one, or chosen again at each period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pitstop.backtests.candidates import Candidates
from pitstop.strategy.choosing import Rule, cheapest_plan, chosen_by, lowest_fresh, tournament
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.row_losses import RowLosses, composed
from pitstop.strategy.switching import ChosenNow
from pitstop.strategy.thinning import ThinningError, curves, filled, filled_matrix, thinning_error

Floats = NDArray[np.float64]

RULES: Mapping[str, Rule] = {
    "cheapest_plan": cheapest_plan,
    "lowest_fresh": lowest_fresh,
    "tournament": tournament,
}


@dataclass(frozen=True, eq=False)
class View:
    """What policies decide on and are charged for under one way to choose the recipe.

    `seen` are columns by arrival, `charged` losses by period of prediction, shape (periods, periods), `blocks` by
    window of prediction, shape (periods, windows), `window_period` the period of each window. `fit_rows[i]` is the
    number of rows that the candidates of period `i` are trained on, all recipes together; `release_rows[i]` of the one
    that would be released. `recipe[i]` is that one's name. `chosen` is what decisions look at where recipes are chosen
    again at each period, None where they see `seen`: one recipe, or dates that were thinned.
    """

    name: str
    seen: LossMatrix
    charged: Floats
    blocks: Floats
    window_period: NDArray[np.int64]
    fit_rows: Floats
    release_rows: Floats
    recipe: tuple[str, ...]
    error: ThinningError | None
    chosen: ChosenNow | None = None


def views_of(candidates: Candidates, fitted: tuple[int, ...], release: float) -> tuple[View, ...]:
    """Return a view for each recipe and, where there are several, for each rule that chooses among them.

    `fitted` are the periods that have a candidate; the others' losses are interpolated by age. `release` is the price
    of a release in currency, which a choice may depend on.
    """
    names = list(candidates.by_recipe)
    losses = [candidates.by_recipe[name] for name in names]
    views = [
        _view(name, item, candidates, (name,) * item.times.periods, [name], fitted)
        for name, item in zip(names, losses, strict=True)
    ]
    if len(names) > 1:
        matrices = [view.seen for view in views]
        for rule_name, rule in RULES.items():
            chosen = chosen_by(rule, matrices, release)
            recipes, entered = tuple(names[place] for place in chosen), composed(losses, chosen)
            view = _view(rule_name, entered, candidates, recipes, names, fitted)
            whole = view.error is None
            views.append(replace(view, chosen=ChosenNow(losses, matrices, chosen, entered) if whole else None))
    return tuple(views)


def _view(
    name: str,
    losses: RowLosses,
    candidates: Candidates,
    recipes: tuple[str, ...],
    paid: list[str],
    fitted: tuple[int, ...],
) -> View:
    times = losses.times
    periods = times.periods
    predicted = times.predicted >= 0
    count = int(times.blocks.max(initial=-1)) + 1
    window_period = np.zeros(count, dtype=np.int64)
    window_period[times.blocks[predicted]] = times.predicted[predicted]
    # A window without a labelled row belongs to the period of the one before it.
    window_period = np.maximum.accumulate(window_period)
    seen, charged, blocks = losses.seen(), losses.charged(), losses.by_block()
    error = None
    if len(fitted) < periods:
        error = thinning_error(seen)
        known = curves(seen)
        rows = np.bincount(times.predicted[predicted], minlength=periods)
        window_rows = np.bincount(times.blocks[predicted], minlength=count)
        charged = filled(charged, np.arange(periods), rows, known)
        blocks = filled(blocks, window_period, window_rows, known)
        seen = filled_matrix(seen, known)
    fit_rows, release_rows = np.zeros(periods), np.zeros(periods)
    for period in range(periods):
        of = {recipe: _rows_at(candidates.trained_on[recipe], period) for recipe in paid}
        release_rows[period] = of[recipes[period]]
        fit_rows[period] = sum(of.values()) if period in fitted else 0.0
    return View(name, seen, charged, blocks, window_period, fit_rows, release_rows, recipes, error)


def _rows_at(rows: Mapping[int, int], period: int) -> float:
    """Return the rows of a fit; where it was not made, those of the nearest one that was."""
    nearest = min(rows, key=lambda fitted: (abs(fitted - period), fitted), default=None)
    return float(rows[nearest]) if nearest is not None else 0.0
