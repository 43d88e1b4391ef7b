"""One shadow for each recipe: they share the error probability, the first that is proven goes on, the others end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import RecipeError, SpecError, UnknownNameError
from pitstop.integrations.serving import carry_out
from pitstop.loop.fitting import FURTHER
from pitstop.loop.orders import Order
from pitstop.records.spec import CanarySection, ModelSpec
from pitstop.replays.ordering import opened_loop
from pitstop.replays.standing import standing_of
from pitstop.service.site.gather import releases as page
from pitstop.store.home import Home
from pitstop.strategy.matrix import LossMatrix

Maker = Callable[..., pa.Table]
DAY = 86_400_000_000
FIRST = 19723
RECIPES = ("all", "last_1", "last_2")
END = "2025-01-01"


def day(number: int) -> str:
    from tests.replays.conftest import FIRST_DAY  # noqa: PLC0415 - the histories' own first day

    return (FIRST_DAY + timedelta(days=number)).date().isoformat()


@pytest.fixture(scope="module")
def several(spec: ModelSpec) -> ModelSpec:
    policy = replace(spec.policy, recipe=RECIPES[0], challengers=RECIPES[1:], name="every_6_periods")
    return replace(spec, policy=policy)


@pytest.fixture(scope="module")
def turned(history: Maker) -> pa.Table:
    """The relation turns on day 42: all history learns it slowly, the newest period at once.

    Shadows that begin on day 47 stay for more than a period, because data are broken from that day on.
    """
    return history(days=62, turns=(42,))


@pytest.fixture(scope="module")
def fought(workshop: Any, several: ModelSpec, turned: pa.Table) -> Any:
    workshop.run(turned, several, "several", END)
    return workshop.artifacts("several")


def entries(artifacts: Any) -> list[tuple[int, int, str, str]]:
    """Return (day, version, stage, reason) of every release."""
    return [
        (at // DAY - FIRST, item["version"], item["stage"], item["reason"])
        for _, kind, at, item in artifacts
        if kind == "release"
    ]


def recipes_of(artifacts: Any) -> dict[int, str]:
    """Return the recipe of each version."""
    by = {item["id"]: item["recipe"]["name"] for _, kind, _, item in artifacts if kind == "challenger"}
    return {item["version"]: by[item["model"]] for _, kind, _, item in artifacts if kind == "release"}


def contest(artifacts: Any) -> tuple[int, list[int]]:
    """Return the last day on which three shadows begin together, and their versions."""
    shadows: dict[int, list[int]] = {}
    for at, version, stage, _ in entries(artifacts):
        if stage == "shadow":
            shadows.setdefault(at, []).append(version)
    return max((at, versions) for at, versions in shadows.items() if len(versions) == len(RECIPES))


def test_each_recipe_has_a_shadow_and_the_first_proven_goes_on(fought: Any) -> None:
    at, versions = contest(fought)
    recipes = recipes_of(fought)
    assert tuple(recipes[version] for version in versions) == RECIPES
    reasons = {version: reason for _, version, stage, reason in entries(fought) if stage == "shadow"}
    assert "one of 3 that begin together and share the error probability" in reasons[versions[0]]
    # Of a contest at most one becomes the champion; the others are retired with it, or were before.
    won = 0
    contests = [at for at, version, stage, _ in entries(fought) if stage == "shadow" and recipes[version] == "all"]
    for begun in contests:
        mine = [version for day_, version, stage, _ in entries(fought) if stage == "shadow" and day_ == begun]
        ends = {version: [item for item in entries(fought) if item[1] == version][1:] for version in mine}
        champions = [version for version in mine if any(stage == "champion" for _, _, stage, _ in ends[version])]
        assert len(champions) <= 1
        for winner in champions:
            won += 1
            when = next(day_ for day_, _, stage, _ in ends[winner] if stage == "champion")
            for version in mine:
                if version != winner:
                    day_, _, stage, reason = ends[version][0]
                    assert (stage, day_ <= when) == ("retired", True)
                    assert day_ < when or f"the challenger by {recipes[winner]} goes before it" in reason
    assert won
    assert any(recipes[version] != "all" for _, version, stage, _ in entries(fought) if stage == "champion")
    # By then a period had closed, so its row of the loss matrix is counted again.
    assert max(day_ for day_, _, stage, _ in entries(fought) if stage == "champion") > at + 5


def test_each_is_proven_at_its_share_of_the_error_probability(several: ModelSpec, fought: Any) -> None:
    proofs = [item for _, kind, _, item in fought if kind == "comparison" and "among" in item]
    assert any(item["verdict"] == "better" for item in proofs)
    for item in proofs:
        assert item["among"] == len(RECIPES)
        if item["verdict"] == "better":
            assert item["evidence"] >= np.log(len(RECIPES) / several.policy.alpha) - 0.7
    # A comparison that is one of a kind, the way back say, has all of it.
    assert all("among" not in item or item["among"] == 3 for _, kind, _, item in fought if kind == "comparison")


def test_running_in_steps_is_the_same(workshop: Any, several: ModelSpec, turned: pa.Table, fought: Any) -> None:
    at, _ = contest(fought)
    for step in (day(at - 1), day(at), day(at + 1), day(at + 7), day(at + 8), END):
        workshop.run(turned, several, "several-in-steps", step)
    assert workshop.artifacts("several-in-steps") == fought


def test_the_list_shows_which_is_where(workshop: Any, several: ModelSpec, turned: pa.Table, fought: Any) -> None:
    at, versions = contest(fought)
    workshop.run(turned, several, "several-seen", day(at + 3))
    standing = standing_of(workshop.folder / "several-seen", "small")
    shadows = [item for item in standing.tests if item.kind == "shadow"]
    assert [item.version for item in shadows] == [f"v{version}" for version in versions]
    assert [item.recipe for item in shadows] == list(RECIPES)
    for item in shadows:
        assert f"{item.version} ({item.recipe}) scores in shadow" in item.sentence
    with Home.open(workshop.folder / "several-seen", read_only=True) as home:
        saved = home.load_state("small")
    assert saved is not None
    levels = [duel["test"]["alpha"] for duel in saved.values["upkeep"]["duels"] if duel["kind"] == "shadow"]
    assert levels == pytest.approx([several.policy.alpha / 3] * 3)
    # A person may take any of them; the others end with it.
    order = Order("release", "Ada", "to see", version=versions[2])
    done = carry_out(workshop.folder / "several-seen", order, spec=several, base=workshop.folder)
    assert done.champion == f"v{versions[2]}"
    after = standing_of(workshop.folder / "several-seen", "small")
    assert [item.kind for item in after.tests] == ["rollback"]
    ended = {version: stage for _, version, stage, _ in entries(workshop.artifacts("several-seen"))}
    assert [ended[version] for version in versions[:2]] == ["retired", "retired"]


def test_a_candidate_that_takes_a_place_is_what_its_row_of_the_matrix_says(
    workshop: Any, several: ModelSpec, fought: Any
) -> None:
    """Every cell is what its candidate loses when it is asked now, the one that changed seats included."""
    del fought
    with Home.open(workshop.folder / "several", read_only=True) as home:
        saved = home.load_state("small")
    assert saved is not None
    state = saved.values["upkeep"]
    matrix = LossMatrix.from_state(state["matrix"])
    seats = {int(number): item for number, item in state["candidates"].items()}
    moved = [number for number, item in seats.items() if number < FURTHER and item["recipe"]["name"] != "all"]
    assert moved
    assert state["champion"] < FURTHER
    for number in moved:
        assert np.isfinite(matrix.losses[number, number : matrix.periods]).all()
    from contextlib import ExitStack  # noqa: PLC0415 - only here

    with ExitStack() as stack:
        _, loop = opened_loop(stack, workshop.folder / "several", several, workshop.folder)
        upkeep = loop.upkeep
        for column in range(moved[0], matrix.periods):
            start = upkeep.calendar.period_start(upkeep.first_period + column)
            late = upkeep._labelled_between(start, upkeep.calendar.period_start(upkeep.first_period + column + 1))
            _, by_row = upkeep._lost_by(start, start, late, [])
            for number, lost in by_row.items():
                assert matrix.losses[number, column] == pytest.approx(lost.sum(), abs=1e-9)


@pytest.mark.slow
def test_a_winner_goes_through_its_canary(workshop: Any, several: ModelSpec, turned: pa.Table) -> None:
    canary = replace(several, canary=CanarySection(share=0.4, windows=4, least_rows=30))
    workshop.run(turned, canary, "several-canary")
    found, recipes = entries(workshop.artifacts("several-canary")), recipes_of(workshop.artifacts("several-canary"))
    tried = [version for _, version, stage, _ in found if stage == "canary"]
    assert tried
    assert any(recipes[version] != "all" for version in tried)
    passed = [version for version in tried if any(item[1] == version and item[2] == "champion" for item in found)]
    assert passed


@pytest.mark.slow
def test_a_recipe_that_fails_or_has_no_rows_takes_no_part(
    workshop: Any, several: ModelSpec, turned: pa.Table, fought: Any
) -> None:
    at, _ = contest(fought)
    fits = [item for _, kind, _, item in fought if kind == "challenger"]
    (rows,) = {item["rows"] for item in fits if item["recipe"]["name"] == "last_2" and item["at"] // DAY - FIRST == at}
    failing = workshop.crashing(several, range(rows, rows + 1))
    workshop.run(turned, failing, "several-failing", day(at + 2))
    standing = standing_of(workshop.folder / "several-failing", "small")
    assert [item.recipe for item in standing.tests if item.kind == "shadow"] == ["all", "last_1"]
    made = workshop.artifacts("several-failing")
    assert sum(kind == "failure" for _, kind, _, _ in made) == 1


def test_what_cannot_be_asked_is_refused(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    with pytest.raises(SpecError, match="name each recipe once"):
        replace(spec, policy=replace(spec.policy, challengers=("last_2", "last_3")))
    for recipe, error in (("last_x", UnknownNameError), ("all+warm", RecipeError)):
        asked = replace(spec, policy=replace(spec.policy, challengers=(recipe,)))
        with pytest.raises(error):
            workshop.run(history(), asked, f"refused-{recipe}", day(20))


def test_the_page_tells_them_apart(workshop: Any, several: ModelSpec, turned: pa.Table, fought: Any) -> None:
    at, versions = contest(fought)
    workshop.run(turned, several, "several-page", day(at + 1))
    with Home.open(workshop.folder / "several-page", read_only=True) as home:
        saved = home.load_state("small")
    assert saved is not None
    names = {item["model"]: f"v{item['version']}" for item in saved.values["upkeep"]["releases"]}
    told = [item for item in page.tests_of(several, names, saved.values["upkeep"]) if item["kind"] == "shadow"]
    assert [(item["version"], item["recipe"]) for item in told] == [
        (f"v{version}", recipe) for version, recipe in zip(versions, RECIPES, strict=True)
    ]
