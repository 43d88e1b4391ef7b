"""A fit as its recipe asks for it: without labels that look wrong, and from the model before where it is to be warm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import RecipeError
from pitstop.records.spec import ModelSpec
from pitstop.retraining.label_issues import Screened, require_cleanlab, screen
from pitstop.retraining.recipes import Options, options_of
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import Model, TrainingRequest, WarmStarting, trainer_of

Ints = NDArray[np.int64]

# So many fits in a row start from one another; the next is a fit of its own. A booster grows with each, and what an
# early model took up of a past that is over is never quite lost.
MOST_STARTS = 10


@dataclass(frozen=True)
class Fit:
    """A model, and what was left out of its rows (None: nothing was looked for)."""

    model: Model
    screened: Screened | None = None


def fit(
    session: Session,
    request: TrainingRequest,
    rows: pa.Table,
    options: Options,
    windows: Ints,
    start: Model | None = None,
) -> Fit:
    """Return the fit of labelled rows; `windows` is the window of each row's prediction, `start` the model before.

    Raises as `screen` and `Session.train` do.
    """
    screened = None
    if options.clean:
        kept, screened = screen(session, request, rows, windows, options.clean)
        rows = rows.filter(pa.array(kept))
    return Fit(session.train(request, rows, start), screened)


def check_options(recipe: str, spec: ModelSpec) -> None:
    """Raise `RecipeError` where a recipe asks for what the trainer or the task of a specification cannot do."""
    options, section, task = options_of(recipe), spec.trainer, spec.model.task
    if options.clean:
        if task == "regression":
            msg = (
                f"the recipe {recipe!r} leaves out labels that look wrong, which the chance of each class tells; "
                f"a regression has none: use {recipe.partition('+clean')[0]!r}"
            )
            raise RecipeError(msg)
        require_cleanlab()
    if options.warm:
        trainer = trainer_of(section)
        why = "it does not say that it can"
        if isinstance(trainer, WarmStarting):
            why = trainer.why_no_start(section, task)
        if why:
            msg = (
                f"the recipe {recipe!r} starts fits from the model before, and the trainer {trainer.name!r} cannot: "
                f"{why}; use the recipe {recipe.replace('+warm', '')!r}, or a trainer that can (xgboost, lightgbm)"
            )
            raise RecipeError(msg)
