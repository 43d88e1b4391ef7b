"""Recipes of a backtest: which rows a candidate is trained on, and with what weight.

`all`; `last_K`: labels that arrived in the last K periods; `decay_H`: all, each weighing half as much for every H
periods since its label arrived; `similar_K`: the K periods of prediction whose mean inputs lie nearest to those of the
newest complete one, and that one. Each may have the options of a recipe (`retraining.recipes`): `+warm`, `+clean_P`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.backtests.past import Past
from pitstop.errors import UnknownNameError
from pitstop.retraining.recipes import FORMS, options_of, parse_recipe

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DEFAULT = ("all", "last_6", "last_2")
_NUMBERED = re.compile(r"(decay|similar)_([1-9][0-9]{0,5})")
# Rows that weigh less than this say nothing and cost time.
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class TrainingRows:
    """Row numbers, ascending, and the weight of each, or None where all weigh the same."""

    rows: Ints
    weights: Floats | None = None


def training_rows(recipe: str, past: Past, period: int) -> TrainingRows:
    """Return what the candidate of a period is trained on: only rows whose label was known when it began.

    Labels that look wrong are among them: the fit finds them.

    Raises `UnknownNameError` for a recipe that is not known.
    """
    as_of = past.start(period)
    base = options_of(recipe).base
    found = _NUMBERED.fullmatch(base)
    if found is None:
        mask = parse_recipe(base).mask(past.at, past.label_at, past.spec.calendar, as_of)
        return TrainingRows(np.flatnonzero(mask & past.usable))
    known = np.flatnonzero((past.label_at < as_of) & past.usable)
    number = int(found[2])
    if found[1] == "similar":
        of = past.predicted_in()
        return TrainingRows(known[np.isin(of[known], _nearest(past.input_history, of, period, number))])
    age = past.origin + period - 1 - past.spec.calendar.period_of(past.label_at[known])
    weights = 0.5 ** (age / number)
    heavy = weights >= _LEAST_WEIGHT
    return TrainingRows(known[heavy], weights[heavy])


def check_recipe(recipe: str) -> str:
    """Return the name of a recipe that exists; raise `UnknownNameError` naming the forms for another."""
    if _NUMBERED.fullmatch(options_of(recipe).base) is None:
        try:
            parse_recipe(recipe)
        except UnknownNameError as error:
            msg = (
                f"no recipe is called {recipe!r}; known: all, last_K, decay_H, similar_K, for instance last_6. {FORMS}"
            )
            raise UnknownNameError(msg) from error
    return recipe


def _nearest(history: tuple[Ints, Floats], of: Ints, period: int, count: int) -> Ints:
    """Return the newest complete period before `period` and those nearest to it by the distance of mean inputs."""
    numbers, means = history
    before = numbers < period
    numbers, means = numbers[before], means[before]
    if not numbers.size:
        return np.unique(of[of < period])
    distance = np.abs(means - means[-1]).sum(axis=1)
    distance[-1] = -1.0
    return numbers[np.argsort(distance, kind="stable")[: count + 1]]
