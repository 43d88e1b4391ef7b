"""The candidates of a model: who is asked to fit them, on which rows, and what becomes of a fit that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pitstop.diagnosis.breaks import Break as Fault
from pitstop.errors import EmptyTableError, TrainingError
from pitstop.incidents import Alarm, Incident
from pitstop.loop.kept import Kept, keep_failure, keep_screening
from pitstop.loop.models import Models, Predictions
from pitstop.loop.quarantine import Break, breaks_of, faults_of, keep_quarantine
from pitstop.loop.rowlog import RowLog
from pitstop.records.identity import artifact_id
from pitstop.records.spec import ModelSpec
from pitstop.retraining.fits import MOST_STARTS, check_options
from pitstop.retraining.label_issues import Screened
from pitstop.retraining.trainer import Challenger, Recipe, Start, parse_recipe, trainer_of

Ints = NDArray[np.int64]

# Folds of the reference before the first release, so that its scores are out of sample.
FOLDS = 3
# Candidates of further recipes are numbered by their period, and this much higher for each: they are in no column of
# the loss matrix, which has one candidate a period, unless they take over.
FURTHER = 1_000_000


class Fitting:
    """The candidates of a model by the period of their fit (0 is the first model)."""

    def __init__(self, spec: ModelSpec, log: RowLog, models: Models | None, first_period: int) -> None:
        self.spec = spec
        self.calendar = spec.calendar
        self.log = log
        self.models = models
        self.first_period = first_period
        self.candidates: dict[int, Challenger] = {}
        self.digests: dict[str, str] = {}
        # Of failed fits too: what they cost counts against the budget all the same.
        self.fit_rows: dict[int, int] = {}
        self.fit_at: dict[int, int] = {}
        self.breaks: tuple[Break, ...] = ()
        self.faults: tuple[Break, ...] = ()
        # What was left out of the fits of candidates, and whether there is a record of it yet.
        self.screened: dict[str, Screened] = {}
        self.reported: set[str] = set()
        # No warm fit starts from a model of this instant or before: it was trained on rows that have been erased since.
        self.anew_since: int | None = None
        # When the last fit of a recipe failed.
        self.failed: dict[str, int] = {}
        if models is not None:
            for recipe in (spec.policy.recipe, *spec.policy.challengers):
                parse_recipe(recipe)
                check_options(recipe, spec)

    def require_labels(self, as_of: int) -> None:
        """Raise `EmptyTableError` where a first model is to be fitted and no label is known yet."""
        if self.models is not None and not len(self._training_rows(as_of)):
            msg = (
                f"no label is known before {self.calendar.name_instant(as_of)}, so no model can be fitted; "
                "set a later [replay] start, or name a label time that comes earlier"
            )
            raise EmptyTableError(msg)

    def _training_rows(self, as_of: int, recipe: str = "") -> Ints:
        """Return the rows of a recipe (empty: the policy's)."""
        chosen = self._recipe(recipe)
        return np.flatnonzero(chosen.mask(self.log.at, self.log.label_at, self.calendar, as_of))

    def _recipe(self, name: str = "") -> Recipe:
        """Return a recipe (empty: the policy's), without the rows of a broken pipeline."""
        spans = tuple(broken.span(self.calendar) for broken in self.breaks)
        return parse_recipe(name or self.spec.policy.recipe, spans)

    def quarantine(
        self,
        incidents: Sequence[Incident],
        alarms: Mapping[str, Alarm],
        found: Mapping[str, Sequence[Fault]],
        window: int,
    ) -> list[Kept]:
        """Take note of broken pipelines; return a record of each break whose rows are left out from now on.

        `found` are the faults behind each incident. Those that are sure hold back a retrain in any case.
        """
        self.faults = faults_of(incidents, found, window)
        if not self.spec.policy.quarantine:
            return []
        known = {broken.incident for broken in self.breaks}
        sudden = breaks_of(incidents, alarms, window)
        seen = {broken.incident for broken in sudden}
        self.breaks = (*sudden, *(fault for fault in self.faults if fault.incident not in seen))
        at = self.calendar.window_start(window)
        return [keep_quarantine(item, at, self.calendar) for item in self.breaks if item.incident not in known]

    def _ask(self, number: int, as_of: int, chain: str, recipe: str = "") -> Kept:
        """Have the candidate of a period fitted in the background, by a recipe (empty: the policy's)."""
        assert self.models is not None  # noqa: S101 - callers have looked; for the type checker
        rows = self._training_rows(as_of, recipe)
        self.candidates[number] = self._challenge(as_of, chain, len(rows), recipe)
        self._note_fit(number, len(rows) * self.candidates[number].recipe.options.passes, as_of)
        self._have_fitted(self.candidates[number], rows)
        return self._challenger(self.candidates[number])

    def _have_fitted(self, challenger: Challenger, rows: Ints) -> None:
        assert self.models is not None  # noqa: S101 - as above
        windows = self.calendar.window_of(self.log.at[rows])
        self.models.ask(challenger, self.log.features(rows, label=True), windows)

    def _note_fit(self, number: int, rows: int, at: int) -> None:
        """Remember what the fits of a period took, and when; one that failed stays, and so does one before another.

        Asked for again at the same instant it is the same fit, which is paid for once.
        """
        before = self.fit_rows.get(number, 0) if self.fit_at.get(number, at) != at else 0
        self.fit_rows[number], self.fit_at[number] = before + rows, at

    def _challenge(self, as_of: int, chain: str, rows: int, recipe: str = "") -> Challenger:
        return Challenger.of(
            at=as_of,
            recipe=self._recipe(recipe),
            rows=rows,
            rows_digest=artifact_id("rows", chain),
            trainer=trainer_of(self.spec.trainer),
            section=self.spec.trainer,
            caused_by=(self.spec.id,),
            start=self._start(as_of, self._recipe(recipe)),
        )

    def _start(self, as_of: int, recipe: Recipe) -> Start | None:
        """Return what a warm fit starts from: the newest model of its recipe. None where the fit is one of its own.

        That is so without such a model, after `MOST_STARTS` of them, after a fit that failed (it may have been refused
        because of the model that it started from), and after a person's rows were erased.
        """
        if not recipe.options.warm:
            return None
        trainer = trainer_of(self.spec.trainer)
        made = (trainer.name, trainer.version)
        before = [
            item
            for item in self.candidates.values()
            if item.at < as_of and item.recipe.name == recipe.name and item.id in self.digests
            if (item.trainer, item.trainer_version) == made
            if self.anew_since is None or item.at > self.anew_since
        ]
        newest = max(before, key=lambda item: item.at, default=None)
        if newest is None or self.failed.get(recipe.name, newest.at) > newest.at:
            return None
        number = newest.start.number + 1 if newest.start else 1
        return Start(newest.id, self.digests[newest.id], number) if number <= MOST_STARTS else None

    def _challenger(self, challenger: Challenger) -> Kept:
        return Kept("challenger", challenger.id, challenger.at, challenger.caused_by, challenger.to_json())

    def _cross_fit(self, as_of: int, chain: str) -> None:
        """Score every row before the first release by a model that was fitted on other windows."""
        assert self.models is not None  # noqa: S101 - begin() has looked; for the type checker
        recipe = parse_recipe("all")
        usable = recipe.mask(self.log.at, self.log.label_at, self.calendar, as_of)
        fold = self.calendar.window_of(self.log.at) % FOLDS
        names = []
        for part in range(FOLDS):
            rows = np.flatnonzero(usable & (fold != part))
            challenger = self._challenge(as_of, f"{chain}|fold {part}", len(rows))
            names.append(challenger.id)
            self.models.ask(challenger, self.log.features(rows, label=True))
        for part, name in enumerate(names):
            held_out = np.flatnonzero(fold == part)
            if len(held_out):
                self._set_fresh(held_out, self.models.predict(name, self.log.features(held_out)))

    def _score_logged(self) -> None:
        """Take the logged predictions as out of sample: Pitstop did not train this model."""
        everything = np.arange(len(self.log), dtype=np.int64)
        self.log.fresh_score.values[everything] = self.log.served_score.values
        self.log.fresh_class.values[everything] = self.log.served_class.values

    def _set_fresh(self, rows: Ints, found: Predictions) -> None:
        self.log.fresh_score.values[rows] = found.scores
        self.log.fresh_class.values[rows] = found.decided

    def _finish(self, number: int) -> None:
        assert self.models is not None  # noqa: S101 - as above
        candidate = self.candidates[number]
        self.digests[candidate.id] = self.models.model(candidate.id).digest
        screened = self.models.screened(candidate.id)
        if screened is not None:
            self.screened[candidate.id] = screened

    def _fail(self, number: int, as_of: int, error: TrainingError, kept: list[Kept]) -> None:
        """Record that a fit gave no model; there is no candidate then."""
        item = self.candidates.pop(number)
        self.failed[item.recipe.name] = item.at
        kept.append(keep_failure(item, as_of, error))

    def _report(self, as_of: int, kept: list[Kept]) -> None:
        """Record once what was left out of each fit that is over."""
        for item in self.candidates.values():
            if item.id in self.screened and item.id not in self.reported:
                self.reported.add(item.id)
                kept.append(keep_screening(item, as_of, self.screened[item.id]))

    def _how_fitted(self, item: Challenger) -> str:
        """Return what a recipe's options came to, in words that go on a sentence; "" without any."""
        found, words = self.screened.get(item.id), ""
        if found is not None:
            words = f"; {found.total:,} of {found.rows:,} labels looked wrong and were left out of its fit"
        if item.start is not None:
            words += f"; its fit started from an earlier model ({item.start.digest[:12]})"
        return words

    def wait(self) -> None:
        """Wait for fits that still run and keep those that end well: none may be asked for again on other labels."""
        if self.models is None:
            return
        self.models.wait()
        for number, item in self.candidates.items():
            if item.id not in self.digests and self.models.ended_well(item.id):
                self._finish(number)

    def _settle(self, as_of: int, kept: list[Kept]) -> None:
        """Wait for fits still running; a failed one leaves a record and no candidate."""
        for number in [number for number, item in self.candidates.items() if item.id not in self.digests]:
            try:
                self._finish(number)
            except TrainingError as error:
                self._fail(number, as_of, error, kept)
        self._report(as_of, kept)
