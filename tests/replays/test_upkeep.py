"""What becomes of challengers: proven and released, promoted from shadow, retired, rolled back, or never born."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import TrainerCrashedError
from pitstop.records.spec import ModelSpec
from pitstop.replays.hindsight import look_back
from pitstop.replays.ordering import opened_loop
from pitstop.store.home import Home

Maker = Callable[..., pa.Table]


def with_policy(spec: ModelSpec, **changes: Any) -> ModelSpec:
    """Return the specification with other settings of its policy."""
    return replace(spec, policy=replace(spec.policy, **changes))


def stages(run: Any, *, first: bool = False) -> list[tuple[int, str, str]]:
    """Return (version, stage, day) of every release, without the first model's unless asked for."""
    found = [(item["version"], item["stage"], item["at"]) for item in run.document["releases"]]
    return found if first else found[1:]


def champions(run: Any) -> list[int]:
    """Return the versions that served, in order."""
    return [version for version, stage, _ in stages(run, first=True) if stage == "champion"]


def test_a_proven_recipe_is_released_and_every_release_names_its_causes(small: Any) -> None:
    released = [item for item in small.document["releases"] if item["stage"] == "champion"]
    assert len(released) == 2
    known = {item[0] for item in small.artifacts}
    kinds = {item[0]: item[1] for item in small.artifacts}
    causes = {kinds[name] for name in released[1]["caused_by"]}
    assert causes >= {"decision", "comparison", "challenger"}
    for item in small.document["releases"]:
        assert set(item["caused_by"]) <= known
    metric = [period["metric"] for period in small.document["periods"]]
    assert all(row["pitstop"] > row["never"] + 0.3 for row in metric[5:8])


@pytest.mark.slow
def test_a_better_shadow_is_promoted_while_labels_come(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    # No refit agrees so well that it needs no test of its own; a period leaves a shadow time to prove itself.
    strict = with_policy(spec, agreement=0.0, recipe="last_1")
    slow = replace(strict, time=replace(spec.time, period=10), replay=replace(spec.replay, start="2024-01-18"))
    run = workshop.replay(history(turns=(22,)), slow, "promoted")
    assert stages(run)[:3] == [
        (2, "shadow", "2024-02-07"),
        (1, "retired", "2024-02-14"),
        (2, "champion", "2024-02-14"),
    ]
    proofs = {item[0]: item[3] for item in run.of("comparison")}
    promotion = next(item for item in run.document["releases"] if (item["version"], item["stage"]) == (2, "champion"))
    (proof,) = [proofs[name] for name in promotion["caused_by"] if name in proofs]
    assert proof["verdict"] == "better"
    # The new champion has a baseline of its own from the day on which it serves.
    assert run.of("baseline")[1][2] == promotion_at(run, 2)


def promotion_at(run: Any, version: int) -> int:
    """Return the instant at which a version was released."""
    releases = [item for item in run.of("release") if item[3]["stage"] == "champion"]
    return int(next(at for _, _, at, content in releases if content["version"] == version))


@pytest.mark.slow
def test_a_worse_shadow_is_retired(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    # The relation turns and turns back: what was learnt in between is wrong.
    cheap = replace(spec, costs=replace(spec.costs, release=0.5))
    run = workshop.replay(history(turns=(24, 32)), cheap, "retired")
    assert champions(run) == [1]
    last = run.document["releases"][-1]
    assert last["stage"] == "retired"
    (proof,) = [item[3] for item in run.of("comparison") if item[0] in last["caused_by"]]
    assert proof["verdict"] == "worse"


def test_a_bad_release_is_rolled_back(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    # The relation turns back four days before the release: the labels that would tell have not come yet.
    run = workshop.replay(history(turns=(20, 33)), with_policy(spec, agreement=0.3), "rolled-back")
    first, bad, last = champions(run)
    assert first == last == 1 != bad
    assert [stage for version, stage, _ in stages(run) if version == bad] == ["champion", "rolled_back"]
    # Going back costs nothing: one release was paid for, and the first model is there for free.
    paid = [item[3] for item in run.of("transaction") if item[3]["kind"] == "release"]
    assert len(paid) == 1
    amounts = [line["amount"] for item in paid for line in item["postings"] if line["account"] == "release"]
    assert amounts == ["-6.0000"]
    metric = [period["metric"] for period in run.document["periods"]]
    assert metric[-1]["pitstop"] == metric[-1]["never"]


def test_a_trainer_that_fails_once_is_recorded_and_the_loop_goes_on(
    workshop: Any, small: Any, spec: ModelSpec, history: Maker
) -> None:
    sizes = [item[3]["rows"] for item in small.of("challenger")]
    third = sizes[2]
    assert sizes.count(third) == 1
    crashing = workshop.crashing(spec, range(third, third + 1))
    run = workshop.replay(history(), crashing, "crash-once")
    (failure,) = run.of("failure")
    assert failure[3]["error"] == "TrainerCrashedError"
    assert "no convergence" in failure[3]["message"]
    assert failure[3]["challenger"] in {item[0] for item in run.of("challenger")}
    # It is known when it is waited for, at the end of its period, and nobody else was touched.
    challenger = next(item for item in run.of("challenger") if item[0] == failure[3]["challenger"])
    assert failure[2] > challenger[2]
    assert len(run.of("challenger")) == len(small.of("challenger"))
    assert len(champions(run)) == 2
    serving = [item["at"] for item in run.document["releases"] if item["stage"] == "champion"]
    assert serving[0] == "2024-01-13"


@pytest.mark.slow
def test_a_trainer_that_fails_in_the_last_period_does_not_spoil_the_replay(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    crashing = workshop.crashing(with_policy(spec, recipe="all"), range(1_850, 100_000))
    run = workshop.replay(history(turns=()), crashing, "crash-last")
    assert champions(run) == [1]
    assert run.document["totals"]["pitstop"]["retrains"] == 0


def test_a_first_model_that_cannot_be_fitted_is_an_error_that_says_why(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    crashing = workshop.crashing(spec, range(1, 100_000))
    with pytest.raises(TrainerCrashedError, match="no convergence"):
        workshop.replay(history(), crashing, "crash-first")
    # Once the trainer is mended, the same home goes on.
    with Home.open(workshop.folder / "crash-first") as home:
        assert home.verify(rows=True).ok
        assert not [item for item in home.artifacts() if item.kind != "transaction"]


def test_a_release_at_the_very_end_of_a_history_is_paid_for(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    table = history(days=27, turns=())
    quiet = replace(spec, policy=replace(spec.policy, name="never"))
    # The next window opens a period that no row lies in.
    workshop.run(table, quiet, "at-the-end", "2024-01-28")
    with ExitStack() as stack:
        _, loop = opened_loop(stack, workshop.folder / "at-the-end", quiet, workshop.folder)
        assert loop.opens_period(loop.window)
        nothing = np.zeros(0, dtype=np.int64)
        before = look_back(loop, (nothing, nothing)).policies["pitstop"]
        newest = loop.upkeep.candidates[max(loop.upkeep.candidates)]
        end = loop.calendar.window_start(loop.window)
        loop.upkeep.timeline = loop.upkeep.timeline.promote(end, newest.id, newest.rows)
        after = look_back(loop, (nothing, nothing)).policies["pitstop"]
    assert (before.releases, after.releases) == (0, 1)
    assert after.cost == pytest.approx(before.cost + spec.costs.release)


def test_a_decision_counts_with_the_price_of_the_very_fit(workshop: Any, spec: ModelSpec, history: Maker) -> None:
    """The recipe looks back three periods: the labels before them cost nothing."""
    priced = replace(spec, policy=replace(spec.policy, name="every_2_periods"))
    run = workshop.replay(history(days=45), priced, "priced")
    paid = {at: 0.001 * content["rows"] for _, _, at, content in run.of("challenger")}
    costs = [(at, content["cost"]) for _, _, at, content in run.of("decision") if at in paid]
    assert len(costs) > 3
    for at, cost in costs:
        assert cost == pytest.approx(spec.costs.release + paid[at])
