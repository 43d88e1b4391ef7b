"""Warm starts and labels left out in the loop: on record, paid for, the same in steps, blind to what comes later."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest

from pitstop.errors import RecipeError, ReleaseError
from pitstop.integrations.serving import carry_out
from pitstop.loop.orders import Order
from pitstop.records.spec import ModelSpec
from pitstop.replays.ordering import opened_loop
from pitstop.retraining.label_issues import Screened
from pitstop.retraining.recipes import parse_recipe
from pitstop.store.home import Home

Maker = Callable[..., pa.Table]
DAY = 86_400_000_000
FIRST = 19723
UNTIL = 42
TURN = 33
RECIPE = "last_3+warm+clean_10"
# A ridge towards the weights of the model before, on the columns of that model.
WARM = (
    ("weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ target)", "weights = fitted(ask, x, target)"),
    ("kept = {name: sorted(", "kept = columns(ask, table) or {name: sorted("),
)
STARTS = """
def before(ask):
    assert os.path.exists(sys.argv[1]) == ("start" in ask)
    return json.load(open(sys.argv[1])) if "start" in ask else None

def columns(ask, table):
    return before(ask) and before(ask)["kept"]

def fitted(ask, x, target):
    first = np.array(before(ask)["w"]) if before(ask) else np.zeros((x.shape[1], target.shape[1]))
    return np.linalg.solve(x.T @ x + 20 * np.eye(x.shape[1]), x.T @ target + 20 * first)

for line in sys.stdin:"""


def day(number: int) -> str:
    from tests.replays.conftest import FIRST_DAY  # noqa: PLC0415 - the histories' own first day

    return (FIRST_DAY + timedelta(days=number)).date().isoformat()


@pytest.fixture(scope="module")
def options(workshop: Any, spec: ModelSpec) -> ModelSpec:
    pytest.importorskip("cleanlab", reason="cleanlab is not installed: pip install 'pitstop[labels]'")
    text = (workshop.folder / "trainer.py").read_text()
    for old, new in WARM:
        assert old in text
        text = text.replace(old, new)
    (workshop.folder / "warm.py").write_text(text.replace("\nfor line in sys.stdin:", STARTS))
    trainer = replace(spec.trainer, command=(spec.trainer.command[0], "warm.py", "{start}"))
    return replace(spec, trainer=trainer, policy=replace(spec.policy, recipe=RECIPE))


@pytest.fixture(scope="module")
def made(workshop: Any, options: ModelSpec, history: Maker) -> Any:
    workshop.run(history(), options, "options", day(UNTIL))
    return workshop.artifacts("options")


def test_what_a_fit_started_from_and_left_out_is_on_record(workshop: Any, made: Any) -> None:
    fits = [content for _, kind, _, content in made if kind == "challenger"]
    assert len(fits) >= 5
    assert "start" not in fits[0]
    with Home.open(workshop.folder / "options", read_only=True) as home:
        saved = home.load_state("small")
    assert saved is not None
    digests = saved.values["upkeep"]["digests"]
    for before, fit in pairwise(fits):
        assert fit["start"]["challenger"] == before["id"]
        assert fit["start"]["digest"] == digests[before["id"]]
        assert fit["paid_rows"] == 3 * fit["rows"]
    told = {content["challenger"]: content for _, kind, _, content in made if kind == "screening"}
    # The newest fit may still be running.
    assert {fit["id"] for fit in fits[:-1]} <= set(told) <= {fit["id"] for fit in fits}
    for fit in fits[:-1]:
        content = dict(told[fit["id"]])
        assert content.pop("challenger") == fit["id"]
        found = Screened.from_json(content)
        assert found.rows == fit["rows"]
        assert 0 < found.total <= 0.1 * found.rows
    begun = {"shadow", "champion"}
    words = [item["reason"] for _, kind, _, item in made if kind == "release" and item["stage"] in begun]
    assert len(words) >= 2
    assert all("labels looked wrong and were left out of its fit" in text for text in words)
    assert any("its fit started from an earlier model" in text for text in words)


def test_each_pass_over_the_rows_is_paid(options: ModelSpec, made: Any) -> None:
    paid = [
        (line["caused_by"], float(line["amount"]))
        for _, kind, _, content in made
        if kind == "transaction" and content["kind"] == "fit"
        for line in content["postings"]
    ]
    fits = {item: content for item, kind, _, content in made if kind == "challenger"}
    charged = {name: abs(amount) for causes, amount in paid for name in causes if name in fits}
    assert len(charged) >= 4
    for name, amount in charged.items():
        assert amount == pytest.approx(options.costs.fit_per_row * fits[name]["paid_rows"])


def test_in_steps_it_is_the_same(workshop: Any, options: ModelSpec, history: Maker, made: Any) -> None:
    for step in (14, 25, 26, UNTIL):
        workshop.run(history(), options, "options-in-steps", day(step))
    assert workshop.artifacts("options-in-steps") == made


def test_labels_of_a_later_time_change_nothing(workshop: Any, options: ModelSpec, history: Maker, made: Any) -> None:
    workshop.run(history(turns=(20, TURN)), options, "options-turned", day(UNTIL))
    other, end = workshop.artifacts("options-turned"), (FIRST + TURN) * DAY
    before = [item for item in made if item[2] <= end]
    assert before == [item for item in other if item[2] <= end]
    assert sum(kind == "screening" for _, kind, _, _ in before) >= 3
    assert list(made) != list(other)


def test_options_that_cannot_be_are_refused(workshop: Any, spec: ModelSpec, history: Maker, made: Any) -> None:
    del made
    cold = replace(spec, policy=replace(spec.policy, recipe="last_3+warm"))
    with pytest.raises(RecipeError, match=r"is given the word \{start\}"):
        workshop.run(history(), cold, "cold", day(20))
    workshop.run(history(), spec, "plain", day(20))
    order = Order("retrain", "Ada", "to see", recipe="all+warm")
    with pytest.raises(RecipeError, match="use the recipe 'all'"):
        carry_out(workshop.folder / "plain", order, spec=spec, base=workshop.folder)


def test_rows_for_another_system_are_chosen_without_options(workshop: Any, options: ModelSpec, made: Any) -> None:
    del made
    from pitstop.replays import elsewhere  # noqa: PLC0415 - only here

    order = Order("retrain", "Ada", "to see")
    with pytest.raises(ReleaseError, match="order it with 'last_3'"):
        elsewhere.ask(
            workshop.folder / "options",
            order,
            spec=options,
            base=workshop.folder,
            hand_over=lambda *_: None,
        )


def test_after_an_erasure_no_fit_starts_from_a_model_of_before(workshop: Any, options: ModelSpec, made: Any) -> None:
    del made
    with ExitStack() as stack:
        _, loop = opened_loop(stack, workshop.folder / "options", options, workshop.folder)
        upkeep, as_of = loop.upkeep, loop.calendar.window_start(loop.window)
        start = upkeep._start(as_of, parse_recipe(RECIPE))
        assert start is not None
        (newest,) = [item for item in upkeep.candidates.values() if item.id == start.challenger]
        upkeep.anew_since = newest.at - 1
        assert upkeep._start(as_of, parse_recipe(RECIPE)) == start
        upkeep.anew_since = newest.at
        assert upkeep._start(as_of, parse_recipe(RECIPE)) is None
        upkeep.anew_since = None
        # A fit that failed since then may have been refused because of that model.
        upkeep.failed[RECIPE] = newest.at + 1
        assert upkeep._start(as_of, parse_recipe(RECIPE)) is None
