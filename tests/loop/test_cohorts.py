"""The test of a recipe on whole cohorts is of that recipe, and begins with what was known before its first row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from pitstop.loop.cohorts import Selective
from pitstop.loop.duels import Duel
from pitstop.loop.fitting import FURTHER
from pitstop.records.calendar import DAY, Calendar
from pitstop.records.spec import PolicySection
from pitstop.retraining.segments import SegmentTests


def test_segments_and_their_margin_are_set_before_the_first_row() -> None:
    """Its rows are days 20 to now; segments, which look at labels, are opened by what was known on day 20."""
    opened: list[int] = []
    seen: list[Duel] = []

    def open_segments(as_of: int) -> SegmentTests:
        opened.append(as_of)
        return SegmentTests.opened(0.05, 0.1, [("kind", "a")])

    def bet(duel: Duel, as_of: int, kept: list[Any]) -> None:
        del as_of, kept
        seen.append(duel)

    tests = SimpleNamespace(
        calendar=Calendar("day", 10),
        first_period=0,
        candidates={key: SimpleNamespace(at=key % FURTHER * 10 * DAY) for key in (0, 1, FURTHER + 1, 2, FURTHER + 2)},
        champion=0,
        recipe_until=20,
        recipe_test=None,
        recipe_segments=None,
        recipe_outcome=None,
        spec=SimpleNamespace(policy=PolicySection()),
        _open_segments=open_segments,
        _bet_on_cohort=bet,
    )
    Selective._bet_on_recipe(cast("Selective", tests), 30 * DAY, [])
    # The freshest candidate of the recipe itself: one of another recipe, as fresh, proves nothing of this one.
    assert [(duel.other, duel.until) for duel in seen] == [(2, 20)]
    assert opened == [20 * DAY]
