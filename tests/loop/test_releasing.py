"""Whatever a gate says and whenever: the champion stays while a release is refused, and every refusal ends once."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pitstop.compliance.checklist import Line
from pitstop.compliance.facts import Answer
from pitstop.compliance.gate import Objection, Verdict
from pitstop.compliance.packs import Item
from pitstop.loop.envelope import ProposedChange
from pitstop.loop.kept import Kept
from pitstop.loop.releasing import SHADOW_PERIODS, Releasing
from pitstop.loop.rowlog import RowLog
from pitstop.records.calendar import DAY
from pitstop.records.spec import parse_spec
from pitstop.retraining.trainer import Challenger, parse_recipe, trainer_of

SPEC = parse_spec("""
[model]
name = "m"
task = "binary"
[columns]
time = "at"
label = "y"
features = ["x"]
[time]
window = "day"
period = 5
""")
OBJECTION = Objection("ours", Line(Item("reviewed", "It is reviewed.", "attestation", 1), Answer("fail", "nobody did")))


class Releases(RuleBasedStateMachine):
    """Candidates are proven, refused, asked for again and rolled back, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.day = 0
        self.number = 0
        self.admits = True
        self.asked: list[str] = []
        self.kept: list[Kept] = []
        self.releasing = Releasing(SPEC, RowLog(SPEC), None, 0, self)
        self.refused_since: int | None = None

    def judge(self, candidate: str, as_of: int, kept: Sequence[Kept], change: ProposedChange | None = None) -> Verdict:
        """Take the gate's place: admit or object, as the last rule said."""
        del as_of, kept, change
        self.asked.append(candidate)
        return Verdict() if self.admits else Verdict((OBJECTION,))

    @property
    def now(self) -> int:
        return self.day * DAY

    @initialize()
    def first_model(self) -> None:
        self._candidate()
        item = self.releasing.candidates[0]
        self.releasing.timeline = self.releasing.timeline.promote(self.now, item.id, 1, (item.id,), "the first")

    @rule(admits=st.booleans(), days=st.integers(1, 9))
    def windows_pass(self, admits: bool, days: int) -> None:
        self.admits = admits
        self.day += days
        before, held = self.releasing.champion, self.releasing.held
        changed = self.releasing._ask_again(self.now, self.kept)
        assert changed == (held is not None and self.releasing.champion == held.number)
        assert changed or self.releasing.champion == before
        if changed:
            assert admits
        if held is not None and self.now // DAY // 5 - held.since > SHADOW_PERIODS:
            assert self.releasing.held is None

    @rule(in_shadow=st.booleans())
    def a_candidate_is_proven(self, in_shadow: bool) -> None:
        number = self._candidate()
        before = self.releasing.champion
        self.releasing._make_way(self.now, (f"decision-{number}",), self.kept)
        if in_shadow:
            self.releasing._shadow(number, self.now, (), "not proven yet")
        released = self.releasing._admit(number, self.now, (f"proof-{number}",), "proven", self.kept)
        assert released == self.admits
        assert self.releasing.champion == (number if released else before)

    @precondition(lambda self: self.releasing.timeline.rollback_target is not None)
    @rule(admits=st.booleans())
    def the_champion_is_found_worse(self, admits: bool) -> None:
        self.admits = admits
        before, asked = self.releasing.champion, len(self.asked)
        self.releasing._go_back(self.now, ("proof-worse",), "proven worse", self.kept)
        assert self.releasing.champion != before
        # Going back is never held up: the gate is not even asked.
        assert len(self.asked) == asked
        assert self.releasing.held is None

    def _candidate(self) -> int:
        number, self.number = self.number, self.number + 1
        self.releasing.candidates[number] = Challenger.of(
            at=self.now,
            recipe=parse_recipe("all"),
            rows=number + 1,
            rows_digest=f"rows-{number}",
            trainer=trainer_of(SPEC.trainer),
            section=SPEC.trainer,
        )
        return number

    @invariant()
    def what_serves_is_what_the_timeline_says(self) -> None:
        if self.number:
            champion = self.releasing.timeline.champion
            assert champion is not None
            assert champion.model == self.releasing.candidates[self.releasing.champion].id

    @invariant()
    def every_refusal_ends_once_and_only_the_held_one_is_open(self) -> None:
        refusals = [item.id for item in self.kept if item.kind == "refusal"]
        causes = [item.caused_by for item in self.kept if item.kind == "withdrawal"]
        causes += [item.caused_by for item in self.releasing.timeline.releases if item.stage == "champion"]
        ends = [name for caused_by in causes for name in set(caused_by) & set(refusals)]
        assert len(ends) == len(set(ends))
        held = self.releasing.held
        assert set(refusals) - set(ends) == ({held.refusal} if held else set())
        if held is not None:
            assert held.number != self.releasing.champion
            assert held.number in self.releasing.candidates

    @invariant()
    def nothing_waits_in_shadow_but_what_is_held_or_tested(self) -> None:
        waiting = {item.model for item in self.releasing.timeline.versions.values() if item.stage == "shadow"}
        tested = {self.releasing.candidates[duel.other].id for duel in self.releasing.duels if duel.kind == "shadow"}
        held = self.releasing.held
        assert waiting <= tested | ({self.releasing.candidates[held.number].id} if held else set())


TestReleases = Releases.TestCase
TestReleases.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
