"""One champion at any time after the first, a way back to a good one, and a past that never changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pitstop.errors import ReleaseError
from pitstop.releases import Release, ReleaseTimeline


class Releases(RuleBasedStateMachine):
    """Against a stack of good versions: promoting pushes, rolling back pops, whatever else happens."""

    def __init__(self) -> None:
        super().__init__()
        self.timeline = ReleaseTimeline()
        self.now = 0
        self.models = 0
        self.good: list[str] = []
        self.waiting: dict[int, str] = {}
        self.served: dict[int, str] = {}

    def _model(self) -> str:
        self.models += 1
        return f"challenger-{self.models}"

    @rule(later=st.integers(1, 5))
    def time_passes(self, later: int) -> None:
        for instant in range(self.now, self.now + later):
            if self.good:
                self.served[instant] = self.good[-1]
        self.now += later

    @rule()
    def promote_a_new_model(self) -> None:
        model = self._model()
        self.timeline = self.timeline.promote(self.now, model, 10, ["comparison-1"], "better")
        self.good.append(model)

    @rule()
    def shadow(self) -> None:
        model = self._model()
        self.timeline = self.timeline.shadow(self.now, model, 10)
        self.waiting[self.timeline.releases[-1].version] = model

    @precondition(lambda self: bool(self.waiting))
    @rule(pick=st.randoms(use_true_random=False), what=st.sampled_from(["canary", "retire", "promote"]))
    def move_a_shadow(self, pick: object, what: str) -> None:
        version = pick.choice(sorted(self.waiting))  # type: ignore[attr-defined]  # a random.Random
        if what == "canary":
            if self.timeline.canary is not None:
                with pytest.raises(ReleaseError, match="is in canary"):
                    self.timeline.to_canary(self.now, version, 0.1)
            else:
                self.timeline = self.timeline.to_canary(self.now, version, 0.1)
            return
        model = self.waiting.pop(version)
        if what == "retire":
            self.timeline = self.timeline.retire(self.now, version)
            return
        self.timeline = self.timeline.promote(self.now, model, 10)
        assert self.timeline.champion is not None
        assert self.timeline.champion.version == version
        self.good.append(model)

    @precondition(lambda self: len(self.good) > 1)
    @rule()
    def roll_back(self) -> None:
        self.timeline = self.timeline.roll_back(self.now, ["comparison-2"], "worse")
        self.good.pop()

    @precondition(lambda self: len(self.good) <= 1)
    @rule()
    def there_is_nothing_to_roll_back_to(self) -> None:
        assert self.timeline.rollback_target is None
        with pytest.raises(ReleaseError, match="cannot roll back"):
            self.timeline.roll_back(self.now)

    @invariant()
    def one_champion_serves(self) -> None:
        champions = [known for known in self.timeline.versions.values() if known.stage == "champion"]
        assert len(champions) == min(1, len(self.good))
        if self.good:
            assert self.timeline.champion is not None
            assert champions[0] == self.timeline.champion == self.timeline.champion_at(self.now)
            assert self.timeline.champion.model == self.good[-1]

    @invariant()
    def the_past_never_changes(self) -> None:
        for instant, model in self.served.items():
            release = self.timeline.champion_at(instant)
            assert release is not None
            assert release.model == model

    @invariant()
    def ids_are_unique_and_survive_storage(self) -> None:
        releases = self.timeline.releases
        assert len({release.id for release in releases}) == len(releases)
        assert ReleaseTimeline(tuple(Release.from_json(known.to_json()) for known in releases)) == self.timeline


TestReleases = Releases.TestCase
TestReleases.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_before_the_first_release_nothing_serves() -> None:
    timeline = ReleaseTimeline().promote(10, "challenger-a", 5)
    assert timeline.champion_at(9) is None
    assert timeline.champion_at(10) == timeline.champion
    assert ReleaseTimeline().champion is None


def test_a_rolled_back_release_is_never_the_target() -> None:
    timeline = ReleaseTimeline()
    for at, model in enumerate(["a", "b", "c"]):
        timeline = timeline.promote(at, model, 5)
    timeline = timeline.roll_back(3).promote(4, "d", 5).roll_back(5)
    assert [release.model for release in timeline.releases if release.stage == "champion"] == [
        "a",
        "b",
        "c",
        "b",
        "d",
        "b",
    ]
    assert timeline.rollback_target is not None
    assert timeline.rollback_target.model == "a"


def test_a_rollback_names_the_release_it_goes_back_to() -> None:
    timeline = ReleaseTimeline().promote(0, "a", 5).promote(1, "b", 5)
    first = timeline.releases[0]
    back = timeline.roll_back(2, ["comparison-9"], "worse since Tuesday").champion
    assert back is not None
    assert back.caused_by == ("comparison-9", first.id)
    assert (back.version, back.reason) == (1, "worse since Tuesday")


def test_misuse_is_refused_and_changes_nothing() -> None:
    timeline = ReleaseTimeline().promote(5, "a", 5)
    with pytest.raises(ReleaseError, match="champion already"):
        timeline.promote(6, "a", 5)
    with pytest.raises(ReleaseError, match="only grows at its end"):
        timeline.promote(4, "b", 5)
    with pytest.raises(ReleaseError, match="version 1 is champion; expected"):
        timeline.to_canary(6, 1, 0.1)
    with pytest.raises(ReleaseError, match="version 9 is unknown"):
        timeline.retire(6, 9)
    assert len(timeline.releases) == 1


def test_an_id_is_of_its_content() -> None:
    one = ReleaseTimeline().promote(5, "a", 5, ["x"], "r").releases[0]
    assert one.id == ReleaseTimeline().promote(5, "a", 5, ["x"], "r").releases[0].id
    assert replace(one, id="").id != one.id
    assert one.id != ReleaseTimeline().promote(5, "a", 5, ["y"], "r").releases[0].id
