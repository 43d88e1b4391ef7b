"""Warm starts and labels left out, in a backtest: nothing of a later time, all of it on record, kept by digest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.backtest.test_backtest import turning_spec, turning_table

from pitstop.backtests.backtest import BacktestPlan, backtest
from pitstop.errors import RecipeError, UnknownNameError
from pitstop.retraining import fits

DAYS = 110
PERIODS = 8
CLEAN = BacktestPlan(recipes=("all", "all+clean_10"), workers=1)
WARM = BacktestPlan(recipes=("last_2", "last_2+warm"), workers=2)


def notes(result: Any, recipe: str) -> dict[str, Any]:
    return dict(result.document["candidates"].get(recipe, {}))


def noisy(days: int, share: float, since: int = 0, rows: int = 40) -> pa.Table:
    """Return rows whose labels are turned round in a share of cases from a day on."""
    table = turning_table(days, rows=rows, turn=10_000)
    labels = np.array(table["paid"].to_pylist())
    day = np.repeat(np.arange(days), rows)
    turned = (np.random.default_rng(5).random(len(labels)) < share) & (day >= since)
    place = table.column_names.index("paid")
    return table.set_column(place, "paid", pa.array(np.where(turned, 1 - labels, labels)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def cleaned(cache: Path) -> Any:
    pytest.importorskip("cleanlab", reason="cleanlab is not installed: pip install 'pitstop[labels]'")
    return backtest(noisy(DAYS, 0.1), turning_spec(fit=0.001), CLEAN, cache=cache)


def test_what_is_left_out_is_on_record_and_paid_for(cleaned: Any) -> None:
    told = notes(cleaned, "all+clean_10")
    assert len(told) == PERIODS
    for note in told.values():
        labels = note["labels"]
        assert 0 < sum(labels["left_out"].values()) <= 0.1 * labels["rows"]
        assert labels["most"] == 10
        assert "chance" in labels["why"]
    assert not notes(cleaned, "all")
    by = {
        (row["recipe"], row["policy"]): row
        for row in (*cleaned.document["policies"], *cleaned.document["other_recipes"])
    }
    assert by["all+clean_10", "shadow_plan"]["fit_cost"] == pytest.approx(3 * by["all", "shadow_plan"]["fit_cost"])
    assert any("looked wrong and were left out of 8 fits" in note for note in cleaned.story.notes)


def test_a_second_backtest_looks_at_no_label_again(cleaned: Any, cache: Path) -> None:
    again = backtest(noisy(DAYS, 0.1), turning_spec(fit=0.001), CLEAN, cache=cache)
    assert again.document["fits"]["made"] == 0
    assert again.document["candidates"] == cleaned.document["candidates"]
    # Without its note a fit is made again: what was left out must be told.
    for path in cache.rglob("*.json"):
        path.unlink()
    third = backtest(noisy(DAYS, 0.1), turning_spec(fit=0.001), CLEAN, cache=cache)
    assert third.document["fits"]["made"] == PERIODS
    assert third.document["candidates"] == cleaned.document["candidates"]


def test_labels_of_a_later_time_change_nothing_that_was_left_out_before(cleaned: Any, cache: Path) -> None:
    """Every label from day 80 on is another one; what came before day 80 was judged without them."""
    before, turned = noisy(DAYS, 0.1), noisy(DAYS, 1.0, since=80)
    place = before.column_names.index("paid")
    later = np.repeat(np.arange(DAYS), 40) >= 80
    labels = np.where(later, np.array(turned["paid"].to_pylist()), np.array(before["paid"].to_pylist()))
    changed = backtest(before.set_column(place, "paid", pa.array(labels)), turning_spec(fit=0.001), CLEAN, cache=cache)
    one, two = notes(cleaned, "all+clean_10"), notes(changed, "all+clean_10")
    assert list(one) == list(two)
    same = [name for name in one if one[name] == two[name]]
    # Labels come after four days: the candidates of the periods that begin by day 80 know none of day 80.
    assert same == list(one)[: len(same)]
    assert 4 <= len(same) < PERIODS
    cost = {
        name: np.array(found.document["loss_matrix"]["all+clean_10"], dtype=float)
        for name, found in (("one", cleaned), ("two", changed))
    }
    # The candidate of day 80 was made as before, and is judged on labels that are other ones.
    known = len(same) - 1
    np.testing.assert_array_equal(cost["one"][:known, :known], cost["two"][:known, :known])


@pytest.fixture(scope="module")
def warmed(cache: Path) -> Any:
    pytest.importorskip("lightgbm", reason="lightgbm is not installed: pip install 'pitstop[lightgbm]'")
    return backtest(turning_table(DAYS), boosted(), WARM, cache=cache)


def boosted() -> Any:
    spec = turning_spec()
    return replace(spec, trainer=replace(spec.trainer, name="lightgbm"))


def test_each_fit_starts_from_the_model_of_the_period_before(warmed: Any) -> None:
    told = notes(warmed, "last_2+warm")
    assert len(told) == PERIODS - 1
    began = [note["start"]["period"] for note in told.values()]
    assert began[1:] == list(told)[:-1]
    assert began[0] not in told
    assert len({note["start"]["digest"] for note in told.values()}) == PERIODS - 1
    assert f"{PERIODS - 1} of {PERIODS} fits started from the model before" in " ".join(warmed.story.notes)


def test_a_model_that_takes_longer_to_be_there_is_started_from_later(warmed: Any, cache: Path) -> None:
    late = backtest(turning_table(DAYS), boosted(), replace(WARM, lag=3), cache=cache)
    order = [notes(warmed, "last_2+warm")[name]["start"]["period"] for name in notes(warmed, "last_2+warm")]
    order.append(list(notes(warmed, "last_2+warm"))[-1])
    for name, note in notes(late, "last_2+warm").items():
        assert order.index(name) - order.index(note["start"]["period"]) == 3
    assert len(notes(late, "last_2+warm")) == PERIODS - 3
    # Another model to start from is another candidate: none of the first backtest's is taken for it, but the cold ones.
    assert late.document["fits"]["made"] == PERIODS - 3


def test_the_future_changes_no_model_that_others_start_from(warmed: Any, cache: Path) -> None:
    turned = backtest(turning_table(DAYS, turn=85), boosted(), WARM, cache=cache)
    one, two = notes(warmed, "last_2+warm"), notes(turned, "last_2+warm")
    same = [name for name in one if one[name] == two[name]]
    assert same == list(one)[: len(same)]
    assert len(same) >= 3


def test_a_second_backtest_fits_nothing_and_one_more_period_fits_the_newest(warmed: Any, cache: Path) -> None:
    again = backtest(turning_table(DAYS), boosted(), WARM, cache=cache)
    assert again.document["fits"]["made"] == 0
    assert again.document["candidates"] == warmed.document["candidates"]
    more = backtest(turning_table(DAYS + 10), boosted(), WARM, cache=cache)
    assert more.document["fits"]["made"] == 2
    assert notes(more, "last_2+warm").items() >= notes(warmed, "last_2+warm").items()


def test_a_chain_begins_anew_after_its_most_starts(cache: Path, warmed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    del warmed
    from pitstop.backtests import candidates  # noqa: PLC0415 - the module whose constant is set

    monkeypatch.setattr(candidates, "MOST_STARTS", 2)
    short = backtest(turning_table(DAYS), boosted(), WARM, cache=cache)
    told = notes(short, "last_2+warm")
    assert len(told) == PERIODS - 3  # the first, fourth and seventh are fits of their own
    assert fits.MOST_STARTS == 10


def test_what_a_trainer_cannot_do_is_refused_before_any_work() -> None:
    spec = turning_spec()
    hist = replace(spec, trainer=replace(spec.trainer, name="gradient_boosting"))
    with pytest.raises(RecipeError, match="use the recipe 'all'"):
        backtest(turning_table(DAYS), hist, BacktestPlan(recipes=("all+warm",)))
    with pytest.raises(UnknownNameError, match=r"\+warm"):
        BacktestPlan(recipes=("all+cold",))
