"""Comparison where the decision hides the outcome: whole cohorts, revealed or not, by the logged chances.

Taken as labels arrive, a cohort would begin with its revealed rows and be no fair game. So a window's rows enter a test
together, in their order, once 95 of 100 labels have come by their age; a row whose label has not come by then counts as
not revealed. Only rows that were predicted after both models were fitted enter: neither has seen a label of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.maturity import maturity_age
from pitstop.errors import OverlapError, TrainingError
from pitstop.loop.duels import Duel, row_losses
from pitstop.loop.fitting import FURTHER
from pitstop.loop.kept import Kept
from pitstop.loop.models import Predictions
from pitstop.loop.releasing import Releasing
from pitstop.loop.rowlog import RowLog
from pitstop.loop.segmenting import bet_on_segments
from pitstop.records.calendar import Calendar
from pitstop.records.spec import ModelSpec
from pitstop.retraining.comparison import LEAST_BOUND, PairedTest
from pitstop.retraining.outcome_model import OutcomeModel
from pitstop.retraining.propensities import LEAST_CHANCE, Cohort, check_overlap, ends_of, learnt, test_on
from pitstop.value.function import TICKS, largest_losses

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# What the guess of a row's difference is made of: one, whether either model acts, and both scores.
_WIDTH = 5


class Selective(Releasing):
    """Tests of releases whose labels the decision hides."""

    # The first window that the recipe's test has not seen, and the outcome model that goes with it.
    recipe_until: int = 0
    recipe_outcome: OutcomeModel | None = None

    def _bet_on_cohort(
        self, duel: Duel, as_of: int, kept: list[Kept], only: Callable[[Ints], Bools] | None = None
    ) -> Duel | None:
        """Return the test after the windows that are mature by now; None where a model cannot be asked.

        `only` says which rows count (a canary is judged by those that it served).
        """
        both = [self.champion, duel.other]
        born = max(self.candidates[number].at for number in both)
        before = mature_before(self.log, self.calendar, as_of)
        since = max(duel.until, self.calendar.window_at(born))
        if since >= before:
            return duel
        rows = self.log.predicted_between(self.calendar.window_start(since), self.calendar.window_start(before))
        rows = rows[self.log.at[rows] >= born]
        rows = rows[only(rows)] if only is not None else rows
        if not len(rows):
            return replace(duel, until=before)
        heard = self._hear(both, self.log.features(rows), as_of, kept)
        if duel.other not in heard:
            return None
        own, theirs = heard[self.champion], heard[duel.other]
        cohort = cohort_of(self.spec, self.log, rows, own, theirs, as_of)
        model = duel.outcome or OutcomeModel(_WIDTH)
        ends, segments = ends_of(model, cohort), duel.segments
        if segments is not None:
            segments = bet_on_segments(self.spec, self.log, segments, rows, own, theirs, ends)
        return replace(
            duel,
            test=test_on(duel.test, ends),
            windows=duel.windows + before - since,
            segments=segments,
            until=before,
            outcome=learnt(model, cohort),
        )

    def _bet_on_recipe(self, as_of: int, kept: list[Kept]) -> None:
        """Bet on the windows that are mature by now in the test of the recipe: the champion against fresher models.

        Rows of each look are judged by the freshest candidate that was fitted before them.
        """
        now = self.calendar.period_at(as_of) - self.first_period
        since = max(self.recipe_until, self.calendar.window_at(self.candidates[self.champion].at))
        # Those of further recipes have tests of their own.
        own = {key: item for key, item in self.candidates.items() if key < FURTHER}
        older = [key for key, item in own.items() if self.calendar.window_at(item.at) <= since]
        fresh = max(older, default=self.champion)
        if fresh <= self.champion:
            # Rows that no fresher model predates say nothing about the recipe; later ones will.
            first = min((item.at for key, item in own.items() if key > self.champion), default=as_of)
            self.recipe_until = max(self.recipe_until, self.calendar.window_at(first))
            return
        test = self.recipe_test or PairedTest(self.spec.policy.alpha, LEAST_BOUND)
        # By what was known before the first of the rows that are looked at now.
        segments = self.recipe_segments or self._open_segments(self.calendar.window_start(since))
        duel = Duel("shadow", fresh, now, test, 0, segments, since, self.recipe_outcome)
        found = self._bet_on_cohort(duel, as_of, kept)
        if found is None or found.outcome is None:
            return
        self.recipe_test, self.recipe_segments = found.test, found.segments
        self.recipe_until, self.recipe_outcome = found.until, found.outcome

    def _out_of_reach(self, as_of: int) -> str:
        """Return why the champion cannot be compared with the newest candidate on the last period's rows, or ""."""
        newest = max((key for key in self.candidates if key < FURTHER), default=self.champion)
        period = self.calendar.period_at(as_of)
        rows = self.log.predicted_between(self.calendar.period_start(period - 1), as_of)
        if self.models is None or newest == self.champion or not len(rows):
            return ""
        table = self.log.features(rows)
        try:
            own, theirs = (self.models.predict(self.candidates[key].id, table) for key in (self.champion, newest))
        except TrainingError:
            return ""
        try:
            check_overlap(self.log.chance.values[rows], own.decided != theirs.decided)
        except OverlapError as error:
            return f"labels depend on the decision: {error}"
        return ""


def mature_before(log: RowLog, calendar: Calendar, as_of: int) -> int:
    """Return the window before which all rows are old enough that 95 of 100 labels have come by their age.

    Known from the rows whose label is sure to come, where there are any: others may wait for ever.
    """
    rows = np.flatnonzero(log.chance.values == 1.0)
    rows = rows if (log.label_at[rows] < as_of).any() else np.arange(len(log))
    window, known, predicted = calendar.window_at(as_of), log.label_at[rows] < as_of, calendar.window_of(log.at[rows])
    lags = calendar.window_of(log.label_at[rows][known]) - predicted[known]
    return window - (maturity_age(lags, window - predicted[~known]) or 0)


def cohort_of(spec: ModelSpec, log: RowLog, rows: Ints, one: Predictions, two: Predictions, as_of: int) -> Cohort:
    """Return rows as a cohort by the labels known at `as_of`: `one` is the champion, `two` the challenger."""
    shown = log.label_at[rows] < as_of
    differences = np.full(len(rows), np.nan)
    known = rows[shown]
    differences[shown] = row_losses(spec, log, known, one.decided[shown]) - row_losses(
        spec, log, known, two.decided[shown]
    )
    return Cohort(differences, log.chance.values[rows], _bounds(spec, log, rows, one, two), _features(spec, one, two))


def as_all_rows(losses: Floats, chances: Floats) -> Floats:
    """Return losses of revealed rows, each weighed by how many it stands for, as if as many average rows were revealed.

    Weights above 1/LEAST_CHANCE are cut off, so these are for judging staleness, not for proofs.
    """
    weights = 1.0 / np.maximum(chances, LEAST_CHANCE)
    return np.asarray(losses * weights / weights.mean(), dtype=np.float64) if len(losses) else losses


def _bounds(spec: ModelSpec, log: RowLog, rows: Ints, one: Predictions, two: Predictions) -> Floats:
    if spec.model.task != "regression":
        largest = largest_losses(spec, len(rows), log.amounts(rows))
        return np.where(one.decided != two.decided, largest, 0.0)
    apart = np.abs(one.decided - two.decided).astype(np.float64)
    # Each of the two losses may be rounded by half a tick.
    return np.where(apart > 0.0, largest_losses(spec, len(rows), log.amounts(rows), 1.0) * apart + 1.0 / TICKS, 0.0)


def _features(spec: ModelSpec, one: Predictions, two: Predictions) -> Floats:
    def acts(said: Predictions) -> NDArray[Any]:
        if spec.model.task == "binary":
            return np.asarray(said.decided == spec.decision.positive, dtype=np.float64)
        return np.zeros(len(said.decided))

    columns = (np.ones(len(one.decided)), acts(one), acts(two), np.nan_to_num(one.scores), np.nan_to_num(two.scores))
    return np.column_stack(columns).astype(np.float64)
