"""Keeps the model good: fits candidates, closes columns of the loss matrix, decides, compares, releases, rolls back.

At the start of a period `t` the labels that arrived in period `t - 1` are complete. Every earlier candidate is scored
on them; the policy looks at the matrix; where a stop pays, the candidate of `t` enters: at once, where its recipe is
proven on rows that its predecessors had not seen, else in shadow until a paired test says so. Where policy packs bind
the model, a release that they object to is held up: the champion stays, and the gate is asked again each window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.maturity import MATURE, maturity_age
from pitstop.errors import TrainingError
from pitstop.loop.columns import Columns
from pitstop.loop.contesting import Change
from pitstop.loop.duels import Duel, difference_bound, row_losses
from pitstop.loop.fitting import FURTHER
from pitstop.loop.gatekeeping import Gate, Held
from pitstop.loop.kept import Kept, keep_decision
from pitstop.loop.models import Models
from pitstop.loop.quarantine import Break
from pitstop.loop.rowlog import RowLog, given
from pitstop.loop.segmenting import bet_on_segments
from pitstop.loop.selection import hidden_by_decision
from pitstop.records.spec import ModelSpec
from pitstop.releases import Release, ReleaseTimeline
from pitstop.retraining.comparison import Comparison, PairedTest
from pitstop.retraining.label_issues import Screened
from pitstop.retraining.outcome_model import OutcomeModel
from pitstop.retraining.recipes import options_of
from pitstop.retraining.segments import SegmentTests
from pitstop.retraining.trainer import Challenger
from pitstop.strategy.asking import Labels, asking
from pitstop.strategy.base import Costs, Decision, History
from pitstop.strategy.matrix import LossMatrix, gaps
from pitstop.strategy.policies import POLICIES
from pitstop.strategy.restraint import Restraint, held_back
from pitstop.strategy.staleness import RECENT

Ints = NDArray[np.int64]


def _serves(release: Release) -> bool:
    return release.stage == "champion"


class Upkeep(Columns):
    """What is decided about the candidates of a model, and which of them serves."""

    def __init__(
        self,
        spec: ModelSpec,
        log: RowLog,
        models: Models | None,
        first_period: int,
        lead: int,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(spec, log, models, first_period, gate)
        if models is not None:
            # Before anything is fitted, not at the first decision.
            POLICIES.get(spec.policy.name)
        self.matrix = LossMatrix.empty(lead)

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
        why = f"the first model, fitted on the {first.rows:,} labels known{self._how_fitted(first)}"
        self.timeline = self.timeline.promote(as_of, first.id, first.rows, (first.id,), why)
        kept = [self._challenger(first)]
        self._report(as_of, kept)
        return Change((*kept, *self._releases(0)), released=True)

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
        rows = len(self._training_rows(as_of)) if due else 0
        price = self.spec.costs.fit_per_row * rows * self._recipe().options.passes
        possible = rows > 0 and not self._restraint.over_budget(self._spent(as_of), price)
        # A person may have asked for one at this very instant.
        ordered = now in self.candidates
        if possible and not ordered:
            kept.append(self._ask(now, as_of, chain))
        if decision.action != "retrain" or not possible or ordered:
            return Change(tuple(kept), decisions=(decision,))
        return replace(self._enter(now, as_of, chain, decision, kept), decisions=(decision,))

    def _close_column(self, period: int, kept: list[Kept]) -> None:
        """Score all models on the rows labelled in `period`, and the freshest one on those predicted in it."""
        start, end = self.calendar.period_start(period), self.calendar.period_start(period + 1)
        late = self._labelled_between(start, end)
        if self.models is None:
            late = late[given(self.log.served_class.values[late])]
            served = row_losses(self.spec, self.log, late, self.log.served_class.values[late])
            self.matrix = self.matrix.with_column({0: served} if len(late) else {})
            return
        self._settle(end, kept)
        self._recount(end, kept)
        found, by_row = self._lost_by(start, end, late, kept)
        self.matrix = self.matrix.with_column(by_row if len(late) else {})
        if not found:
            return
        fresh = max(found)
        made = np.flatnonzero((self.log.at >= start) & (self.log.at < end))
        if len(made):
            heard = self._hear([fresh, self.champion], self.log.features(made), end, kept)
            self._set_fresh(made, heard.get(fresh, heard[self.champion]))
        self._set_fresh(late, found[fresh])
        if self.spec.columns.propensity is not None:
            self._bet_on_recipe(end, kept)
        elif fresh != self.champion and self.champion in found and len(late):
            gap = by_row[self.champion] - by_row[fresh]
            scale = difference_bound(self.spec, self.log, late, found[self.champion], found[fresh])
            test = self.recipe_test or PairedTest(self.spec.policy.alpha, scale)
            self.recipe_test = test.updated(gap, scale)
            segments = self.recipe_segments or self._open_segments(start)
            both = found[self.champion], found[fresh]
            self.recipe_segments = bet_on_segments(self.spec, self.log, segments, late, *both)

    def judge_so_far(self, window: int) -> tuple[Kept, ...]:
        """Have the freshest model judge the rows of the period that `window` follows, as its end does it in any case.

        A reference that is fitted before the period's column is closed would lack them. The model was fitted by the
        start of the period, so it has seen none of the labels.
        """
        if self.models is None:
            return ()
        kept: list[Kept] = []
        start = self.calendar.period_start(self.calendar.period_at(self.calendar.window_start(window - 1)))
        as_of = self.calendar.window_start(window)
        made = self.log.predicted_between(start, as_of)
        late = np.flatnonzero((self.log.first_label_at >= start) & (self.log.first_label_at < as_of))
        rows = np.union1d(made, late)
        self._settle(as_of, kept)
        for number in reversed(self._fitted_by(start)):
            heard = self._hear([number], self.log.features(rows), as_of, kept)
            if number in heard:
                self._set_fresh(rows, heard[number])
                break
        return tuple(kept)

    def _decide(self, now: int, as_of: int, caused_by: tuple[str, ...]) -> Decision:
        policy = POLICIES.get(self.spec.policy.name if self.models is not None else "debt")
        paid = len(self._training_rows(as_of)) * self._recipe().options.passes
        costs = Costs(self.spec.costs.release, self.spec.costs.fit_per_row * paid)
        history = History(
            matrix=self.matrix,
            served=self.champion,
            now=now,
            releases=self.released_at,
            recipe=self.spec.policy.recipe,
            caused_by=(*caused_by, *([self.timeline.champion.id] if self.timeline.champion else [])),
        )
        decision = self._restrained(policy.decide(history, costs, as_of), now, costs, as_of)
        return asking(decision, self._labels(now, as_of)) if self.spec.columns.label is not None else decision

    def _labels(self, now: int, as_of: int) -> Labels:
        """Return how many labels the newest comparisons rest on, and how many rows since the release lack theirs.

        Of a hundred rows that are mature five get their label by themselves yet.
        """
        first = max(0, now - RECENT, self.champion)
        compared = {gap.column for gap in gaps(self.matrix) if gap.model == self.champion and gap.column >= first}
        mature = self._mature(self.champion, as_of)
        overdue = int((self.log.label_at[mature] >= as_of).sum()) - (1.0 - MATURE) * len(mature)
        return Labels(
            seen=sum(int(self.matrix.rows[column]) for column in compared),
            overdue=max(0, int(overdue)),
            price=self.spec.costs.label_per_row,
            periods=now - self.champion,
        )

    def _mature(self, number: int, as_of: int) -> Ints:
        """Return the rows since the fit of a candidate whose label ought to have come: 95 of 100 come by their age."""
        log, calendar = self.log, self.calendar
        window, known, predicted = calendar.window_at(as_of), log.label_at < as_of, calendar.window_of(log.at)
        lags = calendar.window_of(log.label_at[known]) - predicted[known]
        wait = maturity_age(lags, window - predicted[~known])
        start = calendar.window_at(calendar.period_start(self.first_period + number))
        return np.flatnonzero((predicted >= start) & (predicted < window - (wait or 0)))

    def _hidden(self, as_of: int) -> str:
        """Return why labels are no sample to judge models by, "" where they are."""
        if self.spec.columns.label is None or self.spec.model.task == "regression":
            return ""
        if self.spec.columns.propensity is not None:
            return self._out_of_reach(as_of)
        mature = self._mature(0, as_of)
        return hidden_by_decision(self.log.served_class.values[mature], self.log.label_at[mature] < as_of)

    def _restrained(self, decision: Decision, now: int, costs: Costs, as_of: int) -> Decision:
        """Return the decision under `[limits]` (cool-down and budget), and under what forbids a retrain in any case."""
        if decision.action != "retrain":
            return decision
        limits = self._restraint
        since = now - self.released_at[-1] if self.released_at else None
        broken = [item.why_not(self.calendar) for item in (*self.faults, *self.breaks) if item.standing]
        canary = self.timeline.canary
        if canary is not None:
            broken.append(f"v{canary.version} serves a share of the rows, and becomes the champion or is stopped first")
        broken += [hidden] if (hidden := self._hidden(as_of)) else []
        why = limits.why_not(since, self._spent(as_of), costs.release + costs.fit)
        return held_back(decision, broken[0] if broken else why)

    @property
    def _restraint(self) -> Restraint:
        limits = self.spec.limits
        return Restraint(limits.cool_down, limits.budget_per_month if limits.budget_per_month >= 0 else None)

    def _spent(self, as_of: int) -> float:
        """Return what releases and fits have cost in the month before `as_of`, the given first model apart."""
        calendar = self.calendar
        since = calendar.window_start(calendar.window_at(as_of) - calendar.windows_per_month)
        fits = sum(rows for number, rows in self.fit_rows.items() if number and since <= self.fit_at[number] < as_of)
        first = {release.version: release.at for release in reversed(self.timeline.releases) if _serves(release)}
        releases = sum(since <= at < as_of for version, at in first.items() if version > 1)
        return releases * self.spec.costs.release + fits * self.spec.costs.fit_per_row

    def _enter(self, now: int, as_of: int, chain: str, decision: Decision, kept: list[Kept]) -> Change:
        """Release the candidate of this period where its recipe is proven, else put it in shadow."""
        assert self.models is not None  # noqa: S101 - open_period() has looked; for the type checker
        before = len(self.timeline.releases)
        try:
            self._finish(now)
        except TrainingError as error:
            self._fail(now, as_of, error, kept)
            return Change(tuple(kept))
        self._report(as_of, kept)
        candidate, champion = self.candidates[now], self.candidates[self.champion]
        self._make_way(as_of, (decision.id,), kept)
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
                segments=self.recipe_segments.to_json() if self.recipe_segments else None,
            )
            kept.append(Kept("comparison", proof.id, as_of, proof.caused_by, proof.to_json()))
            agreed = self._agreement(now, tested, as_of, kept)
            if now not in self.candidates:
                return Change((*kept, *self._releases(before)))
            doubt = self._segment_doubt(self.recipe_segments)
            if 1.0 - agreed > self.spec.policy.agreement:
                why = f"in shadow: its recipe is proven, but it decides only {agreed:.1%} of rows like the tested model"
            elif doubt:
                why = f"in shadow: its recipe is proven over all rows, but {doubt}"
            else:
                why = (
                    f"recipe proven on {test.rows:,} unseen rows; "
                    f"the refit decides {agreed:.1%} of rows like the tested model"
                )
                released = self._admit(now, as_of, (decision.id, proof.id), why, kept)
                return Change((*kept, *self._releases(before)), released=released)
        further = self.spec.policy.challengers
        among = 1 + len(further)
        if further:
            why += f"; one of {among} that begin together and share the error probability"
        self._shadow(now, as_of, (decision.id,), why, among)
        for place, recipe in enumerate(further, start=1):
            self._challenge_by(recipe, now + place * FURTHER, as_of, chain, (decision.id,), kept)
        return Change((*kept, *self._releases(before)))

    def _challenge_by(
        self, recipe: str, number: int, as_of: int, chain: str, caused_by: tuple[str, ...], kept: list[Kept]
    ) -> None:
        """Fit a challenger of a further recipe and put it in shadow; without rows, money or a model there is none."""
        rows = len(self._training_rows(as_of, recipe))
        price = self.spec.costs.fit_per_row * rows * options_of(recipe).passes
        # What was fitted at this very instant counts as well.
        if not rows or self._restraint.over_budget(self._spent(as_of + 1), price):
            return
        kept.append(self._ask(number, as_of, chain, recipe))
        try:
            self._finish(number)
        except TrainingError as error:
            self._fail(number, as_of, error, kept)
            return
        self._report(as_of, kept)
        why = f"in shadow beside the challenger by {self.spec.policy.recipe}, fitted by {recipe}"
        self._shadow(number, as_of, caused_by, why, 1 + len(self.spec.policy.challengers))

    # State.

    def to_state(self) -> dict[str, Any]:
        """Return everything but the rows, as plain JSON types."""
        return {
            "candidates": {str(number): item.to_json() for number, item in self.candidates.items()},
            "digests": dict(self.digests),
            "fit_rows": {str(number): rows for number, rows in self.fit_rows.items()},
            "fit_at": {str(number): at for number, at in self.fit_at.items()},
            "matrix": self.matrix.to_state(),
            "releases": [release.to_json() for release in self.timeline.releases],
            "champion": self.champion,
            "released_at": list(self.released_at),
            "recipe_test": None if self.recipe_test is None else self.recipe_test.to_state(),
            "recipe_segments": None if self.recipe_segments is None else self.recipe_segments.to_state(),
            "duels": [duel.to_state() for duel in self.duels],
            "recipe_until": self.recipe_until,
            "recipe_outcome": None if self.recipe_outcome is None else self.recipe_outcome.to_state(),
            "breaks": [item.to_state() for item in self.breaks],
            "screened": {name: found.to_json() for name, found in self.screened.items()},
            "reported": sorted(self.reported),
            "reseated": self.reseated,
            "anew_since": self.anew_since,
            "failed": dict(self.failed),
            "held": None if self.held is None else self.held.to_state(),
        }

    def restore(self, state: Mapping[str, Any], classes: tuple[str, ...]) -> None:
        """Take over a state that `to_state` returned; ask again for fits that were running."""
        self.candidates = {int(number): Challenger.from_json(item) for number, item in state["candidates"].items()}
        self.digests = dict(state["digests"])
        self.fit_rows = {int(number): rows for number, rows in state["fit_rows"].items()}
        # States that were kept before failed fits were counted have the instants of standing candidates only.
        known = {str(number): item.at for number, item in self.candidates.items()}
        self.fit_at = {int(number): at for number, at in state.get("fit_at", known).items()}
        self.fit_rows = {number: rows for number, rows in self.fit_rows.items() if number in self.fit_at}
        self.matrix = LossMatrix.from_state(state["matrix"])
        self.timeline = ReleaseTimeline(tuple(Release.from_json(item) for item in state["releases"]))
        self.champion = state["champion"]
        self.released_at = tuple(state["released_at"])
        test = state["recipe_test"]
        self.recipe_test = None if test is None else PairedTest.from_state(test)
        segments = state.get("recipe_segments")
        self.recipe_segments = None if segments is None else SegmentTests.from_state(segments)
        self.recipe_until = state.get("recipe_until", 0)
        outcome = state.get("recipe_outcome")
        self.recipe_outcome = None if outcome is None else OutcomeModel.from_state(outcome)
        self.duels = tuple(Duel.from_state(item) for item in state["duels"])
        self.breaks = tuple(Break.from_state(item) for item in state.get("breaks", ()))
        self.screened = {name: Screened.from_json(found) for name, found in state.get("screened", {}).items()}
        self.reported = set(state.get("reported", ()))
        self.reseated = state.get("reseated")
        self.anew_since = state.get("anew_since")
        self.failed = dict(state.get("failed", {}))
        self.held = Held.from_state(state["held"]) if state.get("held") else None
        if self.models is None:
            return
        self.models.know(classes, self.digests)
        for item in self.candidates.values():
            if item.id not in self.digests:
                rows = np.flatnonzero(item.recipe.mask(self.log.at, self.log.label_at, self.calendar, item.at))
                self._have_fitted(item, rows)
