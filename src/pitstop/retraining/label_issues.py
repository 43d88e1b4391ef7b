"""Which labels look wrong: confident learning on probabilities that no row had a part in itself.

The rows of a fit are split by windows into folds; the trainer is fitted on all folds but one and asked about that one.
From these probabilities cleanlab finds the rows whose label the models would not have given (Northcutt, Jiang and
Chuang, "Confident Learning", JAIR 2021). Nothing but the rows of the fit is looked at, so nothing of what came later.

An ambiguous row and a wrong label look alike. So a label is left out only where the models gave it at most one chance
in five, and of each class at most a stated share, the least likely first; a rare class cannot be emptied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from threading import Lock
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import RecipeError
from pitstop.retraining.recipes import FOLDS
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import TrainingRequest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A label that the models gave a better chance than this stays, whatever else speaks against it. With probabilities that
# are right a set of two classes without any wrong label then loses at most this share, and far less unless every row is
# a toss of such a coin.
MOST_CHANCE = 0.2
# A class with fewer rows is not looked at: models that saw so few of them know nothing.
LEAST_ROWS = 10 * FOLDS
# cleanlab keeps what it works on in variables of its module, and a backtest has several threads.
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True)
class Screened:
    """What looking for wrong labels left out of a fit.

    `rows` were looked at, `left_out` by class are those that the fit goes without; `found` is how many looked wrong,
    with those that stayed because of the stated share of `most` percent. `why` says what they were left out for.
    """

    rows: int
    found: int
    most: int
    left_out: Mapping[str, int]
    why: str

    @property
    def total(self) -> int:
        """How many rows the fit goes without."""
        return sum(self.left_out.values())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return what `to_json` described."""
        return cls(**content)


def require_cleanlab() -> None:
    """Raise `RecipeError` where the package that finds wrong labels is not installed."""
    if find_spec("cleanlab") is None:
        msg = "a recipe with +clean needs cleanlab, which is not installed: pip install 'pitstop[labels]'"
        raise RecipeError(msg)


def screen(
    session: Session, request: TrainingRequest, rows: pa.Table, windows: Ints, most: int
) -> tuple[NDArray[np.bool_], Screened]:
    """Return which rows to keep, and a record of what is left out: at most `most` percent of each class.

    `rows` are those of a fit, with labels; `windows` is the window of each row's prediction. Raises `RecipeError` for a
    regression or without cleanlab, and a `TrainingError` where the trainer cannot be fitted on two thirds of the rows.
    """
    require_cleanlab()
    labels = np.asarray(rows[request.label].cast(pa.string()).to_pylist(), dtype=np.str_)
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    looked = np.flatnonzero(counts >= LEAST_ROWS)
    kept = np.ones(len(labels), dtype=np.bool_)
    if len(looked) < 2:
        why = f"nothing was looked for: fewer than two classes have {LEAST_ROWS} rows"
        return kept, Screened(len(labels), 0, most, {}, why)
    classes = tuple(str(name) for name in names[looked])
    mine = np.flatnonzero(np.isin(codes, looked))
    given = np.searchsorted(looked, codes[mine])
    chances = _chances(session, request, rows, windows, classes)[mine]
    wrong, chance = label_issues(given, chances)
    left_out = {}
    for code, name in enumerate(classes):
        own = np.flatnonzero(wrong & (given == code))
        worst = own[np.argsort(chance[own], kind="stable")][: int(counts[looked[code]]) * most // 100]
        kept[mine[worst]] = False
        if len(worst):
            left_out[name] = len(worst)
    why = f"models of other rows gave their label at most a chance of {MOST_CHANCE:.0%}, and another class theirs"
    return kept, Screened(len(labels), int(wrong.sum()), most, left_out, why)


def label_issues(given: Ints, chances: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Return which labels look wrong, and the chance that each label was given.

    `given` are codes of classes from 0, each at least once; `chances` are out-of-sample probabilities of the classes,
    shape (rows, classes).
    """
    from cleanlab.filter import find_label_issues  # noqa: PLC0415 - the extra `labels`
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415

    with _ONE_AT_A_TIME:
        # One process: forks of a program with threads are not safe.
        found = np.asarray(find_label_issues(given, chances, filter_by="both", n_jobs=1), dtype=np.bool_)
    chance = np.asarray(get_label_quality_scores(given, chances, method="self_confidence"), dtype=np.float64)
    return found & (chance <= MOST_CHANCE), chance


def folds_of(windows: Ints) -> Ints:
    """Return the fold of each row: rows of a window have effects in common and stay together where windows suffice."""
    distinct, places = np.unique(windows, return_inverse=True)
    if len(distinct) < 2 * FOLDS:
        return np.arange(len(windows), dtype=np.int64) % FOLDS
    # Mixed, as hours and weekdays come round in step; by the number of windows alone, so that a fit can be repeated.
    mixed = np.random.default_rng(len(distinct)).permutation(len(distinct))
    return np.asarray(mixed[places] % FOLDS, dtype=np.int64)


def _chances(
    session: Session, request: TrainingRequest, rows: pa.Table, windows: Ints, classes: tuple[str, ...]
) -> Floats:
    """Return the probability of each class for each row, by models fitted on the other folds.

    A trainer of several classes tells the chance of the one that it would give; the others share the rest alike.
    """
    fold = folds_of(windows)
    chances = np.full((rows.num_rows, len(classes)), np.nan)
    for part in range(FOLDS):
        held = np.flatnonzero(fold == part)
        model = session.train(request, rows.filter(pa.array(fold != part)))
        answer = session.predict(model, request, rows.take(pa.array(held)))
        score = np.asarray(answer["score"].to_numpy(), dtype=np.float64)
        if request.task == "binary":
            positive = classes.index(request.positive)
            chances[held, positive], chances[held, 1 - positive] = score, 1.0 - score
            continue
        said = np.asarray(answer["prediction"].to_pylist(), dtype=np.str_)
        others = (1.0 - score) / max(len(classes) - 1, 1)
        chances[held] = np.where(said[:, None] == np.array(classes)[None, :], score[:, None], others[:, None])
    total = chances.sum(axis=1, keepdims=True)
    return np.asarray(chances / np.where(total > 0.0, total, 1.0), dtype=np.float64)
