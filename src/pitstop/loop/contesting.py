"""What happens to releases within a period: rows are served, labels come, and the running tests are acted on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.loop.canaries import by_canary
from pitstop.loop.cohorts import Selective
from pitstop.loop.duels import LEAST_WINDOWS, Duel, difference_bound, row_losses
from pitstop.loop.envelope import ProposedChange, outside
from pitstop.loop.kept import Kept
from pitstop.loop.models import Predictions
from pitstop.loop.releasing import SHADOW_PERIODS
from pitstop.loop.segmenting import bet_on_segments
from pitstop.records.routing import in_share
from pitstop.retraining.comparison import Comparison
from pitstop.retraining.segments import SegmentTests
from pitstop.strategy.base import Decision

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Change:
    """What a stage did: artifacts, and whether another model serves all rows from now on."""

    kept: tuple[Kept, ...]
    released: bool = False
    decisions: tuple[Decision, ...] = ()


def _by_saving(duel: Duel) -> tuple[bool, float]:
    """Sort what is proven before what is not, and by what it saves a row."""
    better = duel.test.verdict == "better"
    return not better, -duel.test.mean if better else 0.0


class Contesting(Selective):
    """Releases between two decisions: who serves which row, and what comes of each test."""

    def serve(self, rows: pa.Table, as_of: int, kept: list[Kept]) -> Predictions:
        """Return the predictions that new rows of a window are given: the champion's, for its share the canary's.

        A canary that gives no answer that can be used is stopped, and the champion serves its rows. Raises
        `TrainingError` where the champion gives none.
        """
        assert self.models is not None  # noqa: S101 - callers have looked; for the type checker
        found = self.models.predict(self.candidates[self.champion].id, rows)
        release, number = self.timeline.canary, self.canary_number
        if release is None or number is None or release.share is None:
            return found
        mine = in_share(rows["@id"].to_pylist(), release.share, release.id)
        if not mine.any():
            return found
        before = len(self.timeline.releases)
        heard = self._hear([number], rows.filter(pa.array(mine)), as_of, kept).get(number)
        kept += self._releases(before)
        if heard is None:
            return found
        scores, decided = found.scores.copy(), found.decided.copy()
        scores[mine], decided[mine] = heard.scores, heard.decided
        return Predictions(scores, decided)

    def by_canary(self, rows: Ints) -> NDArray[np.bool_]:
        """Return which logged rows a canary served."""
        return by_canary(self.log, self.timeline, rows)

    def compare(self, window: int, as_of: int, late: Ints, champion: Predictions) -> Change:
        """Update the running tests with the rows whose labels arrived in a window; act where one is decided.

        `champion` is what the champion says of them, also of those that a canary served.
        """
        if self.models is None:
            return Change(())
        before = len(self.timeline.releases)
        kept: list[Kept] = []
        released = self._fight(window, as_of, late, champion, kept) or self._ask_again(as_of, kept)
        return Change((*kept, *self._releases(before)), released=released)

    def _fight(self, window: int, as_of: int, late: Ints, champion: Predictions, kept: list[Kept]) -> bool:
        """Update the running tests; return whether another model serves all rows from now on."""
        if not self.duels or self.models is None:
            return False
        rows = self.log.features(late)
        now = self.calendar.period_at(self.calendar.window_start(window)) - self.first_period
        bet = partial(self._bet, as_of=as_of, late=late, rows=rows, champion=champion, kept=kept)
        # The way back comes first, and what was decided for one may have ended another.
        for number in [duel.other for duel in self.duels if duel.kind != "shadow"]:
            duel = self._running(number)
            if duel is None:
                continue
            if duel.kind == "canary":
                released = self._watch_canary(duel, now, as_of, late, champion, kept)
            else:
                released = bet(duel) and self._act(number, now, as_of, kept)
            if released:
                return True
        going = {duel.other for duel in self.duels if duel.kind == "shadow" and bet(duel)}
        # All that are proven are so at once, at their shares of the error probability: the one that saves most goes on.
        shadows = sorted((duel for duel in self.duels if duel.other in going), key=_by_saving)
        return any(self._act(duel.other, now, as_of, kept) for duel in shadows)

    def _running(self, number: int) -> Duel | None:
        return next((item for item in self.duels if item.other == number), None)

    def _bet(
        self, duel: Duel, *, as_of: int, late: Ints, rows: pa.Table, champion: Predictions, kept: list[Kept]
    ) -> bool:
        """Bet on the rows of a window in the test of a shadow, or of the model before; return whether it goes on."""
        test, segments = duel.test, duel.segments
        if self.spec.columns.propensity is not None:
            found = self._bet_on_cohort(duel, as_of, kept)
            if found is None:
                return False
            duel = found
        elif len(late):
            theirs = self._hear([duel.other], rows, as_of, kept).get(duel.other)
            if theirs is None:
                return False
            own = row_losses(self.spec, self.log, late, champion.decided)
            scale = difference_bound(self.spec, self.log, late, champion, theirs)
            test = test.updated(own - row_losses(self.spec, self.log, late, theirs.decided), scale)
            if segments is not None:
                segments = bet_on_segments(self.spec, self.log, segments, late, champion, theirs)
            duel = replace(duel, test=test, windows=duel.windows + 1, segments=segments)
        self._replace(duel)
        return True

    def _act(self, number: int, now: int, as_of: int, kept: list[Kept]) -> bool:
        """Act on the test of a shadow, or of the model before, where it is decided or over."""
        duel = self._running(number)
        if duel is None:
            return False
        other, test, segments = self.candidates[number], duel.test, duel.segments
        over = now - duel.opened >= SHADOW_PERIODS
        waits = test.verdict == "undecided" or (test.verdict == "better" and self._may_be_proven_yet(duel))
        if duel.windows < LEAST_WINDOWS or (waits and not over):
            return False
        proof = Comparison.of(
            test,
            at=as_of,
            champion=self.candidates[self.champion].id,
            challenger=other.id,
            caused_by=(self.timeline.releases[-1].id,),
            segments=segments.to_json() if segments is not None and segments.tests else None,
            among=duel.among,
        )
        kept.append(Kept("comparison", proof.id, as_of, proof.caused_by, proof.to_json()))
        if test.verdict == "better" and duel.kind == "rollback":
            why = f"proven worse on {proof.rows:,} rows; the model before it serves again"
            self._go_back(as_of, (proof.id,), why, kept)
            return True
        released = False
        if test.verdict == "better":
            why = f"proven in shadow on {proof.rows:,} rows"
            released = self._admit(duel.other, as_of, (proof.id,), why, kept)
        elif duel.kind == "shadow":
            self._retire_waiting(duel.other, as_of, (proof.id,), proof.sentence)
        self.duels = tuple(item for item in self.duels if item != duel)
        return released

    def _watch_canary(
        self, duel: Duel, now: int, as_of: int, late: Ints, champion: Predictions, kept: list[Kept]
    ) -> bool:
        """Bet on the rows that the canary served and whose labels came; stop it, or let it become the champion."""
        release = self.timeline.canary
        assert release is not None  # noqa: S101 - its test began with it, and ends with it; for the type checker
        mine = np.flatnonzero((self.log.at[late] >= release.at) & self.by_canary(late))
        test, section = duel.test, self.spec.canary
        if self.spec.columns.propensity is not None:
            found = self._bet_on_cohort(duel, as_of, kept, self.by_canary)
            if found is None:
                return False
            duel, test = found, found.test
        elif len(mine):
            served, log = late[mine], self.log
            own = Predictions(champion.scores[mine], champion.decided[mine])
            theirs = Predictions(log.served_score.values[served], log.served_class.values[served])
            gap = row_losses(self.spec, log, served, own.decided) - row_losses(self.spec, log, served, theirs.decided)
            test = test.updated(gap, difference_bound(self.spec, log, served, own, theirs))
            duel = replace(duel, test=test, windows=duel.windows + 1)
        if test.worse_by_now:
            # Also one that was no worse at first: only harm that began after that ends a canary that waits.
            test = replace(test, verdict="worse")
            duel = replace(duel, test=test)
        self._replace(duel)
        lasted = duel.windows >= section.windows and test.rows >= section.least_rows
        over = now - duel.opened >= SHADOW_PERIODS
        if self.held is not None and self.held.number == duel.other:
            # It may go on serving its share while it waits; only harm ends that.
            lasted = over = False
        if test.verdict != "worse" and not lasted and not over:
            return False
        proof = Comparison.of(
            test,
            at=as_of,
            champion=self.candidates[self.champion].id,
            challenger=self.candidates[duel.other].id,
            caused_by=(release.id,),
        )
        kept.append(Kept("comparison", proof.id, as_of, proof.caused_by, proof.to_json()))
        if test.verdict != "worse" and lasted:
            why = f"served {release.share:.0%} of the rows for {duel.windows} windows and is not proven worse on them"
            return self._admit(duel.other, as_of, (proof.id,), why, kept)
        why = f"stopped: it served {test.rows:,} labelled rows, too few to become the champion by now"
        if test.verdict == "worse":
            why = f"stopped: proven to lose more than the champion on {test.rows:,} rows that it served"
        self._withdraw(as_of, (proof.id,), why, kept)
        self._retire_waiting(duel.other, as_of, (proof.id,), why)
        self.duels = tuple(item for item in self.duels if item != duel)
        return False

    def _replace(self, duel: Duel) -> None:
        self.duels = tuple(duel if item.other == duel.other else item for item in self.duels)

    def _may_be_proven_yet(self, duel: Duel) -> bool:
        """Whether every segment has to be proven, none is found worse, and some are undecided."""
        segments = duel.segments
        if self.spec.limits.segments != "proven" or segments is None:
            return False
        return bool(segments.undecided) and not segments.worse

    def _segment_doubt(self, segments: SegmentTests | None) -> str:
        """Return what stands against a release by segment, "" where nothing does."""
        if segments is None:
            return ""
        worse, unproven = (tuple(item.name for item in found) for found in (segments.worse, segments.undecided))
        limits, change = self.spec.limits, ProposedChange("", 0, 0, 0.0, worse, unproven)
        return next((sentence for name, sentence in outside(limits, change) if name == "segments"), "")
