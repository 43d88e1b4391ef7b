"""What may be done with a candidate: put in shadow, asked, admitted, promoted, held up, withdrawn, given up, undone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pitstop.errors import TrainingError
from pitstop.loop.duels import Duel, disagreement_on
from pitstop.loop.envelope import ProposedChange
from pitstop.loop.fitting import FURTHER, Fitting
from pitstop.loop.gatekeeping import Gate, Held, keep_refusal, keep_withdrawal
from pitstop.loop.kept import Kept, keep_failure
from pitstop.loop.models import Models, Predictions
from pitstop.loop.rowlog import RowLog
from pitstop.loop.segmenting import open_segments, recent_loss
from pitstop.records.spec import ModelSpec
from pitstop.releases import Release, ReleaseTimeline
from pitstop.retraining.comparison import LEAST_BOUND, PairedTest
from pitstop.retraining.segments import SegmentTests
from pitstop.retraining.sharing import share_of

# A shadow that proves nothing in this many periods is given up, as is a release that is held up: the next is newer.
SHADOW_PERIODS = 3


class Releasing(Fitting):
    """The timeline of releases, the running tests, and every step that changes one of them."""

    def __init__(
        self, spec: ModelSpec, log: RowLog, models: Models | None, first_period: int, gate: Gate | None
    ) -> None:
        super().__init__(spec, log, models, first_period)
        self.gate = gate
        self.held: Held | None = None
        self.timeline = ReleaseTimeline()
        self.champion = 0
        self.released_at: tuple[int, ...] = ()
        self.recipe_test: PairedTest | None = None
        self.recipe_segments: SegmentTests | None = None
        self.duels: tuple[Duel, ...] = ()
        # From which column on losses of a candidate are those of the one whose place it took.
        self.reseated: int | None = None

    @property
    def canary_number(self) -> int | None:
        """The candidate that serves a share of the rows; None where there is none."""
        return next((duel.other for duel in self.duels if duel.kind == "canary"), None)

    def _hear(self, numbers: Sequence[int], rows: pa.Table, as_of: int, kept: list[Kept]) -> dict[int, Predictions]:
        """Return what candidates say of rows. One whose answer cannot be used is given up.

        Raises `TrainingError` where it is the champion's: then nobody serves, and that must not go unnoticed.
        """
        assert self.models is not None  # noqa: S101 - callers have looked; for the type checker
        found = {}
        for number in dict.fromkeys(numbers):
            try:
                found[number] = self.models.predict(self.candidates[number].id, rows)
            except TrainingError as error:
                if number == self.champion:
                    raise
                self._give_up(number, as_of, error, kept)
        return found

    def _give_up(self, number: int, as_of: int, error: TrainingError, kept: list[Kept]) -> None:
        """Record that a candidate's predictions cannot be used, and end its tests; it stays only if it has served."""
        item = self.candidates[number]
        if self.held is not None and self.held.number == number:
            self._withdraw(as_of, (item.id,), "its predictions cannot be used", kept)
        self._retire_waiting(number, as_of, (item.id,), "its predictions cannot be used")
        self.duels = tuple(duel for duel in self.duels if duel.other != number)
        served = {release.model for release in self.timeline.releases if release.stage == "champion"}
        kept.append(keep_failure(item, as_of, error, scoring=True))
        if item.id not in served:
            del self.candidates[number]

    def _shadow(self, number: int, as_of: int, caused_by: tuple[str, ...], why: str, among: int = 1) -> None:
        """Let a candidate score beside the champion, and start the test that would make it the champion.

        `among` is how many begin at once.
        """
        item, now = self.candidates[number], self.calendar.period_at(as_of) - self.first_period
        why += self._how_fitted(item)
        self.timeline = self.timeline.shadow(as_of, item.id, item.rows, (*caused_by, item.id), why)
        test = PairedTest(share_of(self.spec.policy.alpha, among), LEAST_BOUND)
        segments = self._open_segments(as_of, among)
        self.duels = (*self.duels, Duel("shadow", number, now, test, segments=segments, among=among))

    def _open_segments(self, as_of: int, among: int = 1) -> SegmentTests:
        """Return the tests by segment of a comparison that begins at `as_of`, of one challenger among some."""
        return open_segments(self.spec, self.log, self._lately(as_of), as_of, among)

    def _lately(self, as_of: int) -> int:
        """Return since when rows are looked at to say which segments there are and what a row has lost lately."""
        return self.calendar.period_start(self.calendar.period_at(as_of) - SHADOW_PERIODS)

    def _begin_canary(self, number: int, as_of: int, caused_by: tuple[str, ...], why: str) -> None:
        """Let a candidate that was admitted serve a share of the rows, and start the test that would stop it."""
        item, section = self.candidates[number], self.spec.canary
        version = self._waiting_version(item.id)
        if version is None:
            self.timeline = self.timeline.shadow(as_of, item.id, item.rows, (*caused_by, item.id), why)
            version = self.timeline.releases[-1].version
        words = f"{why}; serves {section.share:.0%} of the rows for now"
        self.timeline = self.timeline.to_canary(as_of, version, section.share, (*caused_by, item.id), words)
        margin = section.margin * recent_loss(self.spec, self.log, self._lately(as_of), as_of)
        now = self.calendar.period_at(as_of) - self.first_period
        test = PairedTest(self.spec.policy.alpha, LEAST_BOUND, margin)
        others = (duel for duel in self.duels if duel.other != number or duel.kind == "rollback")
        self.duels = (*others, Duel("canary", number, now, test))

    def _waiting_version(self, model: str) -> int | None:
        found = (item for item in self.timeline.versions.values() if item.model == model)
        return next((item.version for item in found if item.stage in ("shadow", "canary")), None)

    def _make_way(self, as_of: int, caused_by: tuple[str, ...], kept: list[Kept]) -> None:
        """Retire what waits and withdraw a release that is held up: a newer challenger takes their place."""
        why = "a newer challenger takes its place"
        for duel in self.duels:
            if duel.kind != "rollback":
                self._retire_waiting(duel.other, as_of, caused_by, why)
        self.duels = tuple(duel for duel in self.duels if duel.kind == "rollback")
        self._withdraw(as_of, caused_by, why, kept)

    def _admit(self, number: int, as_of: int, caused_by: tuple[str, ...], why: str, kept: list[Kept]) -> bool:
        """Let a candidate serve, unless a pack that binds, or a limit, objects: then hold it, with one record.

        Returns whether it is the champion now: where the specification asks for a canary, it serves a share first. What
        scores in shadow beside it is retired: it was compared with a champion that is about to go.
        """
        why_not = f"the challenger by {self.candidates[number].recipe.name} goes before it"
        for duel in self.duels:
            if duel.kind == "shadow" and duel.other != number:
                self._retire_waiting(duel.other, as_of, caused_by, why_not)
        if self.gate is None:
            return self._serve_more(number, as_of, caused_by, why)
        candidate = self.candidates[number]
        change = self._change(number, as_of, kept)
        if number not in self.candidates:
            return False
        verdict = self.gate.judge(candidate.id, as_of, (*kept, *self._releases(0)), change)
        if verdict.admitted:
            return self._serve_more(number, as_of, (*caused_by, *verdict.causes), why + verdict.words)
        refusal = keep_refusal(candidate.id, as_of, (*caused_by, candidate.id), verdict)
        kept.append(refusal)
        now = self.calendar.period_at(as_of) - self.first_period
        self.held = Held(number, now, refusal.id, caused_by, why, verdict.sentence, change)
        return False

    def _serve_more(self, number: int, as_of: int, caused_by: tuple[str, ...], why: str) -> bool:
        """Let an admitted candidate take its next step: into canary where one is asked for, else to champion."""
        entered = self._entered_canary(number)
        if self.spec.canary.share and entered is None:
            self._begin_canary(number, as_of, caused_by, why)
            return False
        if entered is not None:
            caused_by = tuple(dict.fromkeys((*entered.caused_by, entered.id, *caused_by)))
        self._promote(number, as_of, caused_by, why)
        return True

    def _entered_canary(self, number: int) -> Release | None:
        """Return the entry by which a candidate began to serve the share that it serves now."""
        found = self.timeline.canary
        return found if found is not None and found.model == self.candidates[number].id else None

    def _change(self, number: int, as_of: int, kept: list[Kept]) -> ProposedChange:
        """Return what the release of a candidate would change, and for which segments it is worse."""
        limits = self.spec.limits
        candidate, champion = self.candidates[number], self.candidates[self.champion]
        changed = 0.0
        if limits.most_changed < 1.0:
            changed = 1.0 - self._agreement(number, self.champion, as_of, kept)
        segments = next((duel.segments for duel in self.duels if duel.other == number and duel.segments), None)
        worse = tuple(item.name for item in segments.worse) if segments else ()
        unproven = tuple(item.name for item in segments.undecided) if segments else ()
        if segments is None and self.held is not None and self.held.number == number and self.held.change:
            worse, unproven = self.held.change.worse, self.held.change.unproven
        return ProposedChange(candidate.recipe.name, candidate.rows, champion.rows, changed, worse, unproven)

    def _agreement(self, one: int, other: int, as_of: int, kept: list[Kept]) -> float:
        """Return the share of the rows labelled in the last period on which two candidates decide alike.

        0 where one of them gives no answer that can be used; it is then forgotten.
        """
        start = self.calendar.period_start(self.calendar.period_at(as_of) - 1)
        rows = np.flatnonzero((self.log.first_label_at >= start) & (self.log.first_label_at < as_of))
        heard = self._hear([one, other], self.log.features(rows), as_of, kept)
        if len(heard) < 2:
            return 0.0
        return 1.0 - disagreement_on(self.spec, self.log, rows, heard[one], heard[other])

    def _ask_again(self, as_of: int, kept: list[Kept]) -> bool:
        """Promote the candidate that is held up where nothing stands in its way any more; give it up in the end."""
        held = self.held
        if held is None:
            return False
        now = self.calendar.period_at(as_of) - self.first_period
        if now - held.since > SHADOW_PERIODS:
            self._withdraw(as_of, (), f"held up for more than {SHADOW_PERIODS} periods", kept)
            return False
        words, causes = "", (*held.caused_by, held.refusal)
        if self.gate is not None:
            model = self.candidates[held.number].id
            verdict = self.gate.judge(model, as_of, (*kept, *self._releases(0)), held.change)
            if not verdict.admitted:
                return False
            words, causes = verdict.words, (*causes, *verdict.causes)
        self.held = None
        return self._serve_more(held.number, as_of, causes, held.why + words)

    def _withdraw(self, as_of: int, caused_by: tuple[str, ...], why: str, kept: list[Kept]) -> None:
        """Give up the release that is held up, if there is one, with a record of why."""
        held, self.held = self.held, None
        if held is None:
            return
        model = self.candidates[held.number].id
        kept.append(keep_withdrawal(model, as_of, (held.refusal, *caused_by), why))
        self._retire_waiting(held.number, as_of, (held.refusal, *caused_by), why)

    def _seated(self, number: int) -> int:
        """Return the number of a candidate that takes over: one of a further recipe takes the place of its period."""
        seat = number % FURTHER
        if seat != number:
            self.candidates[seat] = self.candidates.pop(number)
            self.reseated = seat if self.reseated is None else min(seat, self.reseated)
        return seat

    def _promote(self, number: int, as_of: int, caused_by: tuple[str, ...], why: str) -> None:
        """Make a candidate the champion and arm the test that would bring the old one back."""
        number = self._seated(number)
        candidate = self.candidates[number]
        why += self._how_fitted(candidate)
        self.timeline = self.timeline.promote(as_of, candidate.id, candidate.rows, (*caused_by, candidate.id), why)
        now = self.calendar.period_at(as_of) - self.first_period
        self.duels = (Duel("rollback", self.champion, now, PairedTest(self.spec.policy.alpha, LEAST_BOUND)),)
        self.champion = number
        self.released_at = (*self.released_at, now)
        self.recipe_test = self.recipe_segments = None

    def _go_back(self, as_of: int, caused_by: tuple[str, ...], why: str, kept: list[Kept]) -> None:
        """Roll the champion back. Never held up: it makes the harm smaller.

        What was proven, or was being proven, against the champion is so no more. Raises `ReleaseError` where there is
        no good version to go to.
        """
        timeline = self.timeline.roll_back(as_of, caused_by, why)
        gone = "the champion that it was compared with was rolled back"
        self._withdraw(as_of, caused_by, gone, kept)
        for duel in self.duels:
            if duel.kind != "rollback":
                self._retire_waiting(duel.other, as_of, caused_by, gone)
        self.timeline = self.timeline.roll_back(as_of, caused_by, why)
        back = timeline.champion
        numbers = {candidate.id: number for number, candidate in self.candidates.items()}
        self.champion = numbers[back.model] if back else self.champion
        self.duels = ()
        self.recipe_test = self.recipe_segments = None

    def _retire_waiting(self, number: int, as_of: int, caused_by: tuple[str, ...], why: str) -> None:
        """End a candidate's shadow or canary, and the test that came with it."""
        self.duels = tuple(duel for duel in self.duels if duel.other != number or duel.kind == "rollback")
        model = self.candidates[number].id
        for version, release in self.timeline.versions.items():
            if release.model == model and release.stage in ("shadow", "canary"):
                self.timeline = self.timeline.retire(as_of, version, caused_by, why)

    def _releases(self, before: int) -> tuple[Kept, ...]:
        return tuple(
            Kept("release", release.id, release.at, release.caused_by, release.to_json())
            for release in self.timeline.releases[before:]
        )
