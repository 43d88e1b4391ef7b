"""Champion against challenger where the decision hides the outcome, by the logged chance that a label is revealed.

Row i has a chance p_i that its label is revealed, set by whoever decided and logged with it; R_i says whether it was.
D_i = loss of the champion - loss of the challenger is known where R_i = 1, or where both decide the same (then it is
0). With any guess d_i made before the label, d_i + (R_i / p_i) (D_i - d_i) has the mean of D_i (doubly robust: Robins,
Rotnitzky & Zhao 1994; Dudik, Langford & Li 2011). Weights above 1/LEAST_CHANCE are cut off. A cut weight leaves a bias
of (1 - p_i w_i)(d_i - E D_i), which is at most that of the worst label, so each row gives two ends: `low` is not above
D_i on average, `high` not below it. The paired test bets on "better" with the low ends and on "worse" with the high
ones, so both stay proofs about the rows as they are. The proof stands in `docs/explanation/selective-labels.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import ColumnValueError, OverlapError
from pitstop.retraining.comparison import PairedTest
from pitstop.retraining.outcome_model import OutcomeModel

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The least chance that counts in full: no revealed label stands for more than a hundred rows.
LEAST_CHANCE = 0.01
# With more of the rows on which two models differ out of reach, most of what is said would be the worst case.
MOST_OUT_OF_REACH = 0.1


@dataclass(frozen=True)
class Cohort:
    """Rows that were predicted together and have had time to get their labels, revealed or not, in their order.

    `differences` are champion's losses minus challenger's (NaN: not revealed); `chances` the logged chances of that, in
    [0, 1]; `bounds` at least |difference| whatever the label will be, 0 where both models decide the same; `features`
    what the guess is made of, shape (rows, width), known before any label. Raises `ColumnValueError` for a chance that
    is no probability, a label that had no chance, and a difference beyond its bound.
    """

    differences: Floats
    chances: Floats
    bounds: Floats
    features: Floats

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not len(self.differences) == len(self.chances) == len(self.bounds) == len(self.features):
            sizes = [len(self.differences), len(self.chances), len(self.bounds), len(self.features)]
            msg = f"got columns of {sizes} rows; expected one length"
            raise ColumnValueError(msg)
        _refuse(~((self.chances >= 0.0) & (self.chances <= 1.0)), self.chances, "expected a chance from 0 to 1")
        unexpected = self.revealed & (self.chances == 0.0)
        _refuse(unexpected, self.chances, "but its label was revealed; log the chance that it would be")
        beyond = self.revealed & (np.abs(self.differences) > self.bounds * (1 + 1e-9))
        _refuse(beyond, self.differences, "expected a difference within its bound")

    @property
    def revealed(self) -> Bools:
        """Which labels are known."""
        return np.asarray(~np.isnan(self.differences), dtype=np.bool_)

    @property
    def differing(self) -> Bools:
        """On which rows it matters what the label is."""
        return np.asarray(self.bounds > 0.0, dtype=np.bool_)


@dataclass(frozen=True)
class Ends:
    """For each row an end that is not above its difference on average, one that is not below it, and their bound.

    `bounds` holds for both whatever the label is, and whether it is revealed.
    """

    low: Floats
    high: Floats
    bounds: Floats

    @property
    def scale(self) -> float:
        """A bound for all rows, known before their labels; 0 for none."""
        return float(self.bounds.max(initial=0.0))


def doubly_robust(cohort: Cohort, expected: Floats) -> Ends:
    """Return both ends of each row's difference; `expected` are guesses that no label of the cohort went into.

    Guesses beyond a row's bound are taken for the bound. Rows whose chance is at least `LEAST_CHANCE` have equal ends.
    """
    guess = np.clip(expected, -cohort.bounds, cohort.bounds)
    weights = _weights(cohort.chances)
    cut = np.where(cohort.chances >= LEAST_CHANCE, 0.0, 1.0 - cohort.chances * weights)
    found = np.where(cohort.revealed, weights * (np.nan_to_num(cohort.differences) - guess), 0.0)
    low = guess + found - cut * (guess + cohort.bounds)
    high = guess + found + cut * (cohort.bounds - guess)
    hidden = np.abs(guess) * (1.0 - cut)
    shown = np.abs(guess) * np.abs(1.0 - cut - weights) + weights * cohort.bounds
    return Ends(low, high, np.maximum(hidden, shown) + cut * cohort.bounds)


def bet(test: PairedTest, model: OutcomeModel, cohort: Cohort) -> tuple[PairedTest, OutcomeModel]:
    """Return the test and the outcome model after a cohort: first the bets, by guesses of the past, then the lesson."""
    return test_on(test, ends_of(model, cohort)), learnt(model, cohort)


def ends_of(model: OutcomeModel, cohort: Cohort) -> Ends:
    """Return both ends of each row's difference by what the model has learnt before."""
    return doubly_robust(cohort, model.predicted(cohort.features) * cohort.bounds)


def test_on(test: PairedTest, ends: Ends) -> PairedTest:
    """Return the test after rows of which both ends are known, in their order."""
    return test.updated(ends.low, max(ends.scale, test.scale), upper=ends.high)


def learnt(model: OutcomeModel, cohort: Cohort) -> OutcomeModel:
    """Return the outcome model after the revealed labels of a cohort."""
    use = cohort.revealed & cohort.differing
    weights = _weights(cohort.chances[use])
    errors = (1.0 - cohort.chances[use]) * weights**2
    return model.updated(cohort.features[use], cohort.differences[use] / cohort.bounds[use], errors)


def check_overlap(chances: Floats, differing: Bools) -> None:
    """Raise `OverlapError` where two models cannot be compared by the logged chances.

    That is where more than a tenth of the rows on which they decide differently had a chance below `LEAST_CHANCE` to
    show their label. Rows on which they decide the same need no chance. Looks at no label.
    """
    rows = int(differing.sum())
    far = int((chances[differing] < LEAST_CHANCE).sum())
    if far > MOST_OUT_OF_REACH * rows:
        msg = (
            f"the models decide {rows:,} rows differently, and {far:,} of them had a chance below {LEAST_CHANCE:g} to "
            f"show their label (at most {MOST_OUT_OF_REACH:.0%} may), so nothing says which model is right there; "
            "decide some of those rows the other way at random and log the chance (see `plan_exploration`)"
        )
        raise OverlapError(msg)


def _weights(chances: Floats) -> Floats:
    return np.asarray(1.0 / np.maximum(chances, LEAST_CHANCE), dtype=np.float64)


def _refuse(bad: Bools, values: Floats, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        msg = f"row {row + 1}: got {values[row]:g}; {expected} ({int(bad.sum())} such rows)"
        raise ColumnValueError(msg)
