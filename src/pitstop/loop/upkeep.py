"""Keeps the model good: fits candidates, closes columns of the loss matrix, decides, compares, releases, rolls back.

At the start of a period `t` the labels that arrived in period `t - 1` are complete. Every earlier candidate is scored
on them; the policy looks at the matrix; where a stop pays, the candidate of `t` enters: at once, where its recipe is
proven on rows that its predecessors had not seen, else in shadow until a paired test says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import EmptyTableError, TrainingError
from pitstop.loop.duels import LEAST_BOUND, Duel, difference_bound, disagreement_on, row_losses
from pitstop.loop.kept import Kept, keep_decision
from pitstop.loop.models import Models, Predictions
from pitstop.loop.rowlog import RowLog
from pitstop.records.identity import artifact_id
from pitstop.records.spec import ModelSpec
from pitstop.releases import Release, ReleaseTimeline
from pitstop.retraining.comparison import Comparison, PairedTest
from pitstop.retraining.trainer import Challenger, parse_recipe, trainer_of
from pitstop.strategy.base import Costs, Decision, History
from pitstop.strategy.matrix import LossMatrix
from pitstop.strategy.policies import POLICIES

Ints = NDArray[np.int64]

# A shadow that proves nothing in this many periods is given up; the next candidate is newer.
SHADOW_PERIODS = 3
# Rows of one day have effects in common, which a test that takes rows as they come cannot see: no verdict before all
# days of a week have spoken. Waiting is free for the test's validity.
LEAST_WINDOWS = 7
# Folds of the reference before the first release, so that its scores are out of sample.
FOLDS = 3


@dataclass(frozen=True)
class Change:
    """What a stage did: artifacts, and whether another model serves from now on."""

    kept: tuple[Kept, ...]
    released: bool = False
    decisions: tuple[Decision, ...] = ()


class Upkeep:
    """The candidates of a model by the period of their fit (0 is the first model), and what was decided about them."""

    def __init__(self, spec: ModelSpec, log: RowLog, models: Models | None, first_period: int, lead: int) -> None:
        self.spec = spec
        self.calendar = spec.calendar
        self.log = log
        self.models = models
        self.first_period = first_period
        self.candidates: dict[int, Challenger] = {}
        self.digests: dict[str, str] = {}
        self.matrix = LossMatrix.empty(lead)
        self.timeline = ReleaseTimeline()
        self.champion = 0
        self.released_at: tuple[int, ...] = ()
        self.recipe_test: PairedTest | None = None
        self.duels: tuple[Duel, ...] = ()
        self.fit_rows: dict[int, int] = {}

    # The first model.

    def begin(self, as_of: int, chain: str, classes: tuple[str, ...]) -> Change:
        """Fit and release the first model on the labels known at `as_of`; score the rows before it out of sample."""
        if self.models is None:
            self._score_logged()
            return Change(())
        self.models.know(classes, {})
        self._ask(0, as_of, chain)
        self._cross_fit(as_of, chain)
        first = self.candidates[0]
        self._finish(0)
        why = f"the first model, fitted on the {first.rows:,} labels known"
        self.timeline = self.timeline.promote(as_of, first.id, first.rows, (first.id,), why)
        return Change((self._challenger(first), *self._releases(0)), released=True)

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

    def require_labels(self, as_of: int) -> None:
        """Raise `EmptyTableError` where a first model is to be fitted and no label is known yet."""
        if self.models is not None and not len(self._training_rows(as_of)):
            msg = (
                f"no label is known before {self.calendar.name_instant(as_of)}, so no model can be fitted; "
                "set a later [replay] start, or name a label time that comes earlier"
            )
            raise EmptyTableError(msg)

    # A new period.

    def open_period(self, period: int, as_of: int, chain: str, caused_by: tuple[str, ...]) -> Change:
        """Close the column of the period before, decide, and ask for the candidate of this one."""
        now = period - self.first_period
        kept: list[Kept] = []
        self._close_column(period - 1, kept)
        decision = self._decide(now, as_of, caused_by)
        kept.append(keep_decision(decision))
        if self.models is None:
            return Change(tuple(kept), decisions=(decision,))
        # A candidate is fitted on its grid, and whenever one is to be released.
        due = now % self.spec.policy.fit_every == 0 or decision.action == "retrain"
        # A recipe that looks back a few periods finds nothing where no label came for as long.
        possible = due and len(self._training_rows(as_of)) > 0
        if possible:
            kept.append(self._ask(now, as_of, chain))
        if decision.action != "retrain" or not possible:
            return Change(tuple(kept), decisions=(decision,))
        return replace(self._enter(now, as_of, decision, kept), decisions=(decision,))

    def _close_column(self, period: int, kept: list[Kept]) -> None:
        """Score all models on the rows labelled in `period`, and the freshest one on those predicted in it."""
        column = period - self.first_period
        start, end = self.calendar.period_start(period), self.calendar.period_start(period + 1)
        late = np.flatnonzero((self.log.label_at >= start) & (self.log.label_at < end))
        # In the order of arrival: the tests bet on one row after the other.
        late = late[np.argsort(self.log.label_at[late], kind="stable")]
        if self.models is None:
            served = row_losses(self.spec, self.log, late, self.log.served_class.values[late])
            self.matrix = self.matrix.with_column({0: served} if len(late) else {})
            return
        self._settle(self.calendar.period_start(period + 1), kept)
        known = sorted(number for number in self.candidates if number <= column)
        rows = self.log.features(late)
        found = {number: self.models.predict(self.candidates[number].id, rows) for number in known}
        by_row = {number: row_losses(self.spec, self.log, late, said.decided) for number, said in found.items()}
        self.matrix = self.matrix.with_column(by_row if len(late) else {})
        fresh = known[-1]
        made = np.flatnonzero((self.log.at >= start) & (self.log.at < end))
        if len(made):
            self._set_fresh(made, self.models.predict(self.candidates[fresh].id, self.log.features(made)))
        self._set_fresh(late, found[fresh])
        if fresh != self.champion and len(late):
            gap = by_row[self.champion] - by_row[fresh]
            scale = difference_bound(self.spec, self.log, late, found[self.champion], found[fresh])
            test = self.recipe_test or PairedTest(self.spec.policy.alpha, scale)
            self.recipe_test = test.updated(gap, scale)

    def _decide(self, now: int, as_of: int, caused_by: tuple[str, ...]) -> Decision:
        policy = POLICIES.get(self.spec.policy.name if self.models is not None else "debt")
        rows = len(np.flatnonzero(self.log.label_at < as_of))
        costs = Costs(self.spec.costs.release, self.spec.costs.fit_per_row * rows)
        history = History(
            matrix=self.matrix,
            served=self.champion,
            now=now,
            releases=self.released_at,
            recipe=self.spec.policy.recipe,
            caused_by=(*caused_by, *([self.timeline.champion.id] if self.timeline.champion else [])),
        )
        return policy.decide(history, costs, as_of)

    def _enter(self, now: int, as_of: int, decision: Decision, kept: list[Kept]) -> Change:
        """Release the candidate of this period where its recipe is proven, else put it in shadow."""
        assert self.models is not None  # noqa: S101 - open_period() has looked; for the type checker
        before = len(self.timeline.releases)
        try:
            self._finish(now)
        except TrainingError as error:
            kept.append(self._failure(now, as_of, error))
            return Change(tuple(kept))
        candidate, champion = self.candidates[now], self.candidates[self.champion]
        for duel in self.duels:
            if duel.kind == "shadow":
                self._retire_shadow(duel, as_of, (decision.id,), "a newer challenger takes its place")
        self.duels = tuple(duel for duel in self.duels if duel.kind != "shadow")
        test = self.recipe_test
        tested = max((number for number in self.candidates if number < now), default=self.champion)
        why = "in shadow: not yet proven better than the champion on rows that neither was trained on"
        if test is not None and test.verdict == "better" and tested != self.champion:
            proof = Comparison.of(
                test,
                at=as_of,
                champion=champion.id,
                challenger=self.candidates[tested].id,
                caused_by=(decision.id, candidate.id),
            )
            kept.append(Kept("comparison", proof.id, as_of, proof.caused_by, proof.to_json()))
            agreed = 1.0 - self._disagreement(now, tested, as_of)
            if 1.0 - agreed <= self.spec.policy.agreement:
                why = (
                    f"recipe proven on {test.rows:,} unseen rows; "
                    f"the refit decides {agreed:.1%} of rows like the tested model"
                )
                self._promote(now, as_of, (decision.id, proof.id), why)
                return Change((*kept, *self._releases(before)), released=True)
            why = f"in shadow: its recipe is proven, but it decides only {agreed:.1%} of rows like the tested model"
        self.timeline = self.timeline.shadow(as_of, candidate.id, candidate.rows, (decision.id, candidate.id), why)
        start = PairedTest(self.spec.policy.alpha, LEAST_BOUND)
        self.duels = (*self.duels, Duel("shadow", now, now, start))
        return Change((*kept, *self._releases(before)))

    def _disagreement(self, refit: int, tested: int, as_of: int) -> float:
        """Return how differently two candidates decide on the rows labelled in the last period."""
        assert self.models is not None  # noqa: S101 - as above
        start = self.calendar.period_start(self.calendar.period_at(as_of) - 1)
        rows = np.flatnonzero((self.log.label_at >= start) & (self.log.label_at < as_of))
        table = self.log.features(rows)
        one, two = (self.models.predict(self.candidates[number].id, table) for number in (refit, tested))
        return disagreement_on(self.spec, self.log, rows, one, two)

    def _promote(self, number: int, as_of: int, caused_by: tuple[str, ...], why: str) -> None:
        """Make a candidate the champion and arm the test that would bring the old one back."""
        candidate = self.candidates[number]
        self.timeline = self.timeline.promote(as_of, candidate.id, candidate.rows, (*caused_by, candidate.id), why)
        now = self.calendar.period_at(as_of) - self.first_period
        self.duels = (Duel("rollback", self.champion, now, PairedTest(self.spec.policy.alpha, LEAST_BOUND)),)
        self.champion = number
        self.released_at = (*self.released_at, now)
        self.recipe_test = None

    # Labels that arrive within a period.

    def compare(self, window: int, as_of: int, late: Ints, champion: Predictions) -> Change:
        """Update the running tests with the rows whose labels arrived in a window; act where one is decided."""
        if not self.duels or self.models is None:
            return Change(())
        before, released = len(self.timeline.releases), False
        kept: list[Kept] = []
        rows = self.log.features(late)
        standing = []
        now = self.calendar.period_at(self.calendar.window_start(window)) - self.first_period
        served = self.candidates[self.champion].id
        own = row_losses(self.spec, self.log, late, champion.decided)
        for duel in self.duels:
            other = self.candidates[duel.other]
            test = duel.test
            if len(late):
                theirs = self.models.predict(other.id, rows)
                scale = difference_bound(self.spec, self.log, late, champion, theirs)
                test = test.updated(own - row_losses(self.spec, self.log, late, theirs.decided), scale)
            fought = duel.windows + int(len(late) > 0)
            over = now - duel.opened >= SHADOW_PERIODS
            if fought < LEAST_WINDOWS or (test.verdict == "undecided" and not over):
                standing.append(replace(duel, test=test, windows=fought))
                continue
            proof = Comparison.of(
                test, at=as_of, champion=served, challenger=other.id, caused_by=(self.timeline.releases[-1].id,)
            )
            kept.append(Kept("comparison", proof.id, as_of, proof.caused_by, proof.to_json()))
            if test.verdict == "better" and not released:
                self._act(duel, as_of, proof)
                released = True
            elif duel.kind == "shadow":
                self._retire_shadow(duel, as_of, (proof.id,), proof.sentence)
        if not released:
            self.duels = tuple(standing)
        return Change((*kept, *self._releases(before)), released=released)

    def _act(self, duel: Duel, as_of: int, proof: Comparison) -> None:
        if duel.kind == "shadow":
            self._promote(duel.other, as_of, (proof.id,), f"proven in shadow on {proof.rows:,} rows")
            return
        why = f"proven worse on {proof.rows:,} rows; the model before it serves again"
        self.timeline = self.timeline.roll_back(as_of, (proof.id,), why)
        back = self.timeline.champion
        numbers = {candidate.id: number for number, candidate in self.candidates.items()}
        self.champion = numbers[back.model] if back else self.champion
        self.duels = ()
        self.recipe_test = None

    def _retire_shadow(self, duel: Duel, as_of: int, caused_by: tuple[str, ...], why: str) -> None:
        model = self.candidates[duel.other].id
        for version, release in self.timeline.versions.items():
            if release.model == model and release.stage == "shadow":
                self.timeline = self.timeline.retire(as_of, version, caused_by, why)

    # Pieces.

    def _training_rows(self, as_of: int) -> Ints:
        recipe = parse_recipe(self.spec.policy.recipe)
        return np.flatnonzero(recipe.mask(self.log.at, self.log.label_at, self.calendar, as_of))

    def _ask(self, number: int, as_of: int, chain: str) -> Kept:
        """Have the candidate of a period fitted in the background."""
        assert self.models is not None  # noqa: S101 - callers have looked; for the type checker
        rows = self._training_rows(as_of)
        self.candidates[number] = self._challenge(as_of, chain, len(rows))
        self.fit_rows[number] = len(rows)
        self.models.ask(self.candidates[number], self.log.features(rows, label=True))
        return self._challenger(self.candidates[number])

    def _challenge(self, as_of: int, chain: str, rows: int) -> Challenger:
        return Challenger.of(
            at=as_of,
            recipe=parse_recipe(self.spec.policy.recipe),
            rows=rows,
            rows_digest=artifact_id("rows", chain),
            trainer=trainer_of(self.spec.trainer),
            section=self.spec.trainer,
            caused_by=(self.spec.id,),
        )

    def _finish(self, number: int) -> None:
        assert self.models is not None  # noqa: S101 - as above
        candidate = self.candidates[number]
        self.digests[candidate.id] = self.models.model(candidate.id).digest

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
                kept.append(self._failure(number, as_of, error))

    def _failure(self, number: int, as_of: int, error: TrainingError) -> Kept:
        """Forget a candidate whose fit failed, and say why. The champion is untouched."""
        failed = self.candidates.pop(number)
        content = {"challenger": failed.id, "error": type(error).__name__, "message": str(error)}
        # Text of a crash may hold paths and addresses: the id digests only what failed and when.
        name = artifact_id("failure", {"challenger": failed.id})
        return Kept("failure", name, as_of, (failed.id,), content)

    def _challenger(self, challenger: Challenger) -> Kept:
        return Kept("challenger", challenger.id, challenger.at, challenger.caused_by, challenger.to_json())

    def _releases(self, before: int) -> tuple[Kept, ...]:
        return tuple(
            Kept("release", release.id, release.at, release.caused_by, release.to_json())
            for release in self.timeline.releases[before:]
        )

    # State.

    def to_state(self) -> dict[str, Any]:
        """Return everything but the rows, as plain JSON types."""
        return {
            "candidates": {str(number): item.to_json() for number, item in self.candidates.items()},
            "digests": dict(self.digests),
            "fit_rows": {str(number): rows for number, rows in self.fit_rows.items()},
            "matrix": self.matrix.to_state(),
            "releases": [release.to_json() for release in self.timeline.releases],
            "champion": self.champion,
            "released_at": list(self.released_at),
            "recipe_test": None if self.recipe_test is None else self.recipe_test.to_state(),
            "duels": [duel.to_state() for duel in self.duels],
        }

    def restore(self, state: Mapping[str, Any], classes: tuple[str, ...]) -> None:
        """Take over a state that `to_state` returned; ask again for fits that were running."""
        self.candidates = {int(number): Challenger.from_json(item) for number, item in state["candidates"].items()}
        self.digests = dict(state["digests"])
        self.fit_rows = {int(number): rows for number, rows in state["fit_rows"].items()}
        self.matrix = LossMatrix.from_state(state["matrix"])
        self.timeline = ReleaseTimeline(tuple(Release.from_json(item) for item in state["releases"]))
        self.champion = state["champion"]
        self.released_at = tuple(state["released_at"])
        test = state["recipe_test"]
        self.recipe_test = None if test is None else PairedTest.from_state(test)
        self.duels = tuple(Duel.from_state(item) for item in state["duels"])
        if self.models is None:
            return
        self.models.know(classes, self.digests)
        for item in self.candidates.values():
            if item.id not in self.digests:
                rows = np.flatnonzero(item.recipe.mask(self.log.at, self.log.label_at, self.calendar, item.at))
                self.models.ask(item, self.log.features(rows, label=True))
