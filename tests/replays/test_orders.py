"""What people order: retrain, release, roll back, retire. Each is recorded, and the loop goes on from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import ReleaseError
from pitstop.integrations.serving import carry_out
from pitstop.loop.elsewhere import Delivery, keep_delivery
from pitstop.loop.orders import Order
from pitstop.loop.revisiting import revisit
from pitstop.records.spec import ModelSpec, RulesSection, ServingSection
from pitstop.replays.ordering import opened_loop
from pitstop.replays.standing import standing_of
from pitstop.retraining.trainer import Model
from pitstop.store.home import Home

DAY = 86_400_000_000
Maker = Callable[..., pa.Table]


@pytest.fixture
def quiet(spec: ModelSpec) -> ModelSpec:
    """Return a specification whose policy never acts by itself."""
    return replace(spec, policy=replace(spec.policy, name="never"))


def give(workshop: Any, spec: ModelSpec, name: str, action: Any, **options: Any) -> Any:
    """Carry an order out in a home."""
    order = Order(action, "Ada", "the relation turned round", **options)
    return carry_out(workshop.folder / name, order, spec=spec, base=workshop.folder)


def served(workshop: Any, name: str, model: str = "small") -> list[tuple[int, str]]:
    """Return (version, stage) of every release in a home, in order."""
    with Home.open(workshop.folder / name, read_only=True) as kept:
        return [(item.content["version"], item.content["stage"]) for item in kept.artifacts("release", model)]


def test_a_person_retrains_releases_and_goes_back_and_the_loop_goes_on(
    workshop: Any, quiet: ModelSpec, history: Maker
) -> None:
    table, folder = history(), workshop.folder / "served"
    watched = replace(quiet, serving=ServingSection(folder=str(folder)))
    assert workshop.run(table, watched, "orders", "2024-02-05") > 0
    asked = give(workshop, watched, "orders", "retrain")
    assert asked.carried_out
    assert [(number, stage) for number, stage, _ in asked.stages] == [(2, "shadow")]
    assert asked.champion == "v1"
    # Some days later its test has something to say, from labels that came since.
    workshop.run(table, watched, "orders", "2024-02-09")
    (test,) = standing_of(workshop.folder / "orders", "small").tests
    assert (test.version, test.kind) == ("v2", "shadow")
    assert test.rows > 0
    assert test.gain is not None
    assert test.low <= test.gain <= test.high
    done = give(workshop, watched, "orders", "release", version=2)
    assert done.champion == "v2"
    assert "released by Ada: the relation turned round" in done.stages[-1][2]
    published = json.loads((folder / "champion.json").read_text())
    assert published["digest"] == done.digest
    assert hashlib.sha256((folder / "models" / done.digest).read_bytes()).hexdigest() == done.digest
    back = give(workshop, watched, "orders", "rollback")
    assert back.champion == "v1"
    assert json.loads((folder / "champion.json").read_text())["digest"] == back.digest != done.digest
    # The loop goes on to the end, and everything is still one tree of causes.
    workshop.run(table, watched, "orders")
    with Home.open(workshop.folder / "orders", read_only=True) as kept:
        assert kept.verify(rows=True).ok
        found = {item.id: item for item in kept.artifacts()}
        orders = [item for item in found.values() if item.kind == "order"]
        assert [item.content["action"] for item in orders] == ["retrain", "release", "rollback"]
        assert all(set(item.caused_by) <= found.keys() for item in found.values())
        ordered = {item.id for item in orders}
        moved = [item for item in found.values() if item.kind == "release" and set(item.caused_by) & ordered]
    assert {(item.content["version"], item.content["stage"]) for item in moved} == {
        (2, "shadow"),
        (2, "champion"),
        (1, "retired"),
        (2, "rolled_back"),
        (1, "champion"),
    }
    # One release was paid for; the way back is free.
    paid = [item for item in workshop.artifacts("orders") if item[1] == "transaction" and item[3]["kind"] == "release"]
    assert len(paid) == 1


def test_a_model_fitted_within_a_period_is_not_scored_on_labels_that_it_has_seen(
    workshop: Any, quiet: ModelSpec, history: Maker
) -> None:
    table = history()
    workshop.run(table, quiet, "within", "2024-02-05")
    give(workshop, quiet, "within", "retrain", recipe="all")
    with Home.open(workshop.folder / "within", read_only=True) as kept:
        state = kept.load_state("small").values["upkeep"]  # type: ignore[union-attr]  # it was saved just now
    number = max(int(name) for name in state["candidates"])
    assert state["candidates"][str(number)]["recipe"]["name"] == "all"
    # The period had a candidate of its own: what the budget knows of is what was paid.
    lines = [line for item in workshop.artifacts("within") if item[1] == "transaction" for line in item[3]["postings"]]
    paid = sum(Decimal(line["amount"]) for line in lines if line["account"] == "fit")
    fitted = sum(rows for name, rows in state["fit_rows"].items() if name != "0")
    assert -paid == fitted * Decimal("0.001")
    workshop.run(table, quiet, "within", "2024-02-16")
    with Home.open(workshop.folder / "within", read_only=True) as kept:
        losses = kept.load_state("small").values["upkeep"]["matrix"]["losses"]  # type: ignore[union-attr]
    assert losses[number][number] is None
    assert losses[number][number + 1] is not None


@pytest.mark.parametrize("fitted", ["2024-02-01", "2024-02-05"], ids=["period's start", "within it"])
def test_a_release_within_a_period_has_a_reference_without_gaps(
    workshop: Any, quiet: ModelSpec, history: Maker, fitted: str
) -> None:
    """The rows of the period were judged by a model that had seen none of their labels, and count."""
    table, name = history(), f"between-{fitted}"
    workshop.run(table, quiet, name, fitted)
    give(workshop, quiet, name, "retrain")
    workshop.run(table, quiet, name, "2024-02-09")
    if (2, "champion") not in served(workshop, name):  # it may have been proven in shadow already
        give(workshop, quiet, name, "release")
    assert (2, "champion") in served(workshop, name)
    with Home.open(workshop.folder / name, read_only=True) as kept:
        found = revisit(kept)
        newest = kept.artifacts("baseline", "small")[-1].content
    first, last = found.baseline.windows
    assert [window.window for window in found.windows][-5:] == list(range(last - 4, last + 1))
    assert all(window.profile.rows for window in found.windows)
    assert found.same
    assert newest["rows"] == int(np.sum((found.log.at >= first * DAY) & (found.log.at < (last + 1) * DAY)))


def test_orders_of_a_home_and_of_its_copy_have_the_same_ids(workshop: Any, quiet: ModelSpec, history: Maker) -> None:
    for name in ("one", "two"):
        workshop.run(history(), quiet, name, "2024-02-05")
        give(workshop, quiet, name, "retrain", observed={"login": name})
        workshop.run(history(), quiet, name, "2024-02-09")
        give(workshop, quiet, name, "release")
        workshop.run(history(), quiet, name)
    ids = [[item[0] for item in workshop.artifacts(name)] for name in ("one", "two")]
    assert ids[0] == ids[1]


def test_a_shadow_is_retired_and_another_one_may_follow(workshop: Any, quiet: ModelSpec, history: Maker) -> None:
    workshop.run(history(), quiet, "retiring", "2024-02-05")
    give(workshop, quiet, "retiring", "retrain")
    with pytest.raises(ReleaseError, match=r"v2, fitted in this period, is in use as shadow"):
        give(workshop, quiet, "retiring", "retrain")
    give(workshop, quiet, "retiring", "retire", version=2)
    assert standing_of(workshop.folder / "retiring", "small").tests == ()
    give(workshop, quiet, "retiring", "retrain", recipe="all")
    assert served(workshop, "retiring") == [(1, "champion"), (2, "shadow"), (2, "retired"), (3, "shadow")]
    workshop.run(history(), quiet, "retiring")


@pytest.mark.parametrize(
    ("action", "options", "words"),
    [
        ("release", {}, "waiting: none"),
        ("release", {"version": 7}, "v7 is not in shadow"),
        ("retire", {"version": 1}, "waiting: none"),
        ("rollback", {}, "no earlier version than 1 was good"),
        ("retrain", {"recipe": "newest"}, "no recipe is called 'newest'"),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    workshop: Any, quiet: ModelSpec, history: Maker, action: str, options: dict[str, Any], words: str
) -> None:
    if not (workshop.folder / "refused").exists():
        workshop.run(history(), quiet, "refused", "2024-02-05")
    before = workshop.artifacts("refused")
    with pytest.raises(Exception, match=words) as caught:
        give(workshop, quiet, "refused", action, **options)
    assert type(caught.value).__module__ == "pitstop.errors"
    assert workshop.artifacts("refused") == before


def test_what_is_trained_elsewhere_does_not_end_a_canary(workshop: Any, quiet: ModelSpec, history: Maker) -> None:
    workshop.run(history(), quiet, "beside", "2024-02-05")
    give(workshop, quiet, "beside", "retrain")
    with ExitStack() as stack:
        _, loop = opened_loop(stack, workshop.folder / "beside", quiet, workshop.folder)
        upkeep, at = loop.upkeep, loop.calendar.window_start(loop.window)
        order = Order("retrain", "Ada", "another system trains")
        asked = upkeep.ask_elsewhere(order, at, loop.chain)
        record = keep_delivery(asked.asked.id, at, by="Ada", what="model", digest="d", observed={})
        brought = Delivery(record, asked.challenger, tuple(asked.held_out["@id"].to_pylist()), Model(b"m"))
        serving = upkeep.timeline = upkeep.timeline.to_canary(at, 2, 0.1)
        with pytest.raises(ReleaseError, match="v2 serves a share of the rows"):
            upkeep.take_elsewhere(brought, at)
        with pytest.raises(ReleaseError, match="v2 serves a share of the rows"):
            upkeep.ask_elsewhere(order, at, loop.chain)
        assert upkeep.timeline == serving
        assert len(upkeep.duels) == 1


def test_an_order_needs_a_name_and_a_reason() -> None:
    with pytest.raises(ReleaseError, match="needs a name and a reason"):
        Order("rollback", " ", "it is bad")
    with pytest.raises(ReleaseError, match="needs a name and a reason"):
        Order("rollback", "Ada", "")


def test_a_fit_that_fails_leaves_a_record_and_the_candidate_of_the_period(
    workshop: Any, quiet: ModelSpec, history: Maker
) -> None:
    workshop.run(history(), quiet, "failing", "2024-02-05")
    # Replacing the trainer's program between two runs is what happens to people.
    trainer = Path(workshop.folder / "trainer.py")
    text = trainer.read_text()
    try:
        trainer.write_text(text.replace("CRASH = range(0, 0)", "CRASH = range(1, 100000)"))
        done = give(workshop, quiet, "failing", "retrain", observed={"at": "noon"})
        with pytest.raises(ReleaseError, match=r"this order already.*; give another reason"):
            give(workshop, quiet, "failing", "retrain", observed={"at": "one"})
    finally:
        trainer.write_text(text)
    assert not done.carried_out
    assert "no convergence" in done.failure
    assert done.champion == "v1"
    assert served(workshop, "failing") == [(1, "champion")]
    workshop.run(history(), quiet, "failing")


def test_where_approvers_are_named_only_they_release_and_anybody_may_go_back(
    workshop: Any, quiet: ModelSpec, history: Maker
) -> None:
    bound = replace(quiet, rules=RulesSection(approvers=("Grace", "Ada"), authors=("Ada",)))
    workshop.run(history(), bound, "approvers", "2024-02-05")
    give(workshop, bound, "approvers", "retrain")
    with pytest.raises(ReleaseError, match="Ada is an author of it"):
        give(workshop, bound, "approvers", "release")
    order = Order("release", "Grace", "seen and found good", 2)
    done = carry_out(workshop.folder / "approvers", order, spec=bound, base=workshop.folder)
    assert done.champion == "v2"
    assert give(workshop, bound, "approvers", "rollback").champion == "v1"


GARBAGE = {
    "NaN": "found = found * np.nan",
    "another number of rows": "found = found[:-1]",
    "killed": "os.kill(os.getpid(), 9)",
    "another type": "task = 'regression'",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", GARBAGE)
def test_predictions_that_cannot_be_used_leave_no_challenger_and_the_champion_untouched(
    workshop: Any, spec: ModelSpec, history: Maker, kind: str
) -> None:
    # Candidates fitted after the first model give garbage: each leaves one record, and none is ever released.
    text = (workshop.folder / "trainer.py").read_text()
    text = text.replace('"w": weights.tolist()', '"w": weights.tolist(), "bad": len(x) > 480')
    text = text.replace(
        '        if model["task"]',
        f'        task = model["task"]\n        if model.get("bad"): {GARBAGE[kind]}\n        if task',
        1,
    )
    name = f"garbage-{len(kind)}.py"
    (workshop.folder / name).write_text(text.replace('elif model["task"]', "elif task"))
    broken = replace(spec, trainer=replace(spec.trainer, command=(spec.trainer.command[0], name)))
    broken = replace(broken, policy=replace(spec.policy, recipe="all"))
    run = workshop.replay(history(), broken, f"garbage-{kind}")
    failures = run.of("failure")
    assert len(failures) >= 5
    assert {item[3]["error"] for item in failures} <= {"TrainerOutputError", "TrainerCrashedError"}
    assert {item["version"] for item in run.document["releases"] if item["stage"] == "champion"} == {1}
    metric = [period["metric"] for period in run.document["periods"]]
    assert all(row["pitstop"] == row["never"] for row in metric)
