from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pitstop.backtests.backtest import BacktestPlan, backtest, with_trainer
from pitstop.backtests.kept_files import KeptFiles
from pitstop.backtests.leaving_out import LeftOut
from pitstop.backtests.result import BacktestResult
from pitstop.backtests.views import RULES
from pitstop.cli.main import run as run_command_line
from pitstop.errors import (
    ColumnValueError,
    EmptyTableError,
    MissingColumnError,
    SpecError,
    TrainingError,
    UnknownNameError,
)
from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.retraining.trainer import Model

SPEC = """
[model]
name = "turning"
task = "binary"
[columns]
time = "day"
id = "id"
label = "paid"
label_time = "known"
features = ["income", "branch"]
categorical = ["branch"]
[time]
window = "day"
period = 10
[costs]
release = {release}
fit_per_row = {fit}
[trainer]
name = "linear"
[policy]
recipe = "last_2"
"""


def turning_table(days: int, *, seed: int = 3, rows: int = 12, delay: int = 4, turn: int = 72) -> pa.Table:
    """Return `days` days of rows; the first days are the same whatever their number."""
    content: dict[str, list[object]] = {name: [] for name in ("id", "day", "income", "branch", "paid", "known")}
    start = np.datetime64("2024-01-01")
    for day in range(days):
        draw = np.random.default_rng([seed, day])
        income = draw.normal(size=rows)
        branch = draw.choice(list("abc"), rows)
        odds = (2 * income + np.where(branch == "a", 1, -1)) * (1 if day < turn else -1)
        paid = draw.random(rows) < 1 / (1 + np.exp(-odds))
        content["id"] += [f"{day}-{row}" for row in range(rows)]
        content["day"] += [(start + day).astype(object)] * rows
        content["income"] += income.tolist()
        content["branch"] += branch.tolist()
        content["paid"] += paid.astype(int).tolist()
        content["known"] += [(start + day + delay).astype(object)] * rows
    return pa.table(content)


def turning_spec(release: float = 20.0, fit: float = 0.0) -> ModelSpec:
    """Return the specification of `turning_table`."""
    return parse_spec(SPEC.format(release=release, fit=fit))


DAYS = 120
# Nine periods with a candidate, two recipes.
CANDIDATES = 18
TWO = BacktestPlan(recipes=("all", "last_2"), workers=2)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which all tests keep candidates: most need the same ones."""
    return tmp_path_factory.mktemp("cache")


def judged(
    cache: Path, plan: BacktestPlan = TWO, *, days: int = DAYS, release: float = 20.0, fit: float = 0.0
) -> BacktestResult:
    return backtest(turning_table(days), turning_spec(release, fit), plan, cache=cache)


def by_policy(result: BacktestResult) -> dict[str, dict[str, Any]]:
    return {row["policy"]: row for row in result.document["policies"]}


def test_the_bills_add_up_and_hindsight_is_cheapest(shared_cache: Path) -> None:
    document = judged(shared_cache, fit=0.001).document
    rows = [*document["policies"], *document["other_recipes"]]
    least = {name: best["cost"] for name, best in document["hindsight"].items()}
    for row in rows:
        assert row["cost"] == pytest.approx(row["loss"] + row["release_cost"] + row["fit_cost"])
        assert row["release_cost"] == 20.0 * row["retrains"]
        assert row["loss"] + row["release_cost"] >= least[row["recipe"]] - row["fit_cost"] - 0.001 * 5000
        assert row["cost_interval"][0] <= row["cost"] <= row["cost_interval"][1]
        assert row["saving_interval"][0] <= row["saving"] <= row["saving_interval"][1]
        assert row["sure_saving"] <= row["saving"]
    own = by_policy(judged(shared_cache))["shadow_plan"]
    assert (own["saving"], own["sure_saving"]) == (0.0, 0.0)
    # The relation turns on day 70: whoever never retrains is wrong from then on.
    assert own["cost"] < by_policy(judged(shared_cache))["never"]["cost"]


def test_a_second_backtest_fits_nothing_and_says_the_same(shared_cache: Path) -> None:
    first, again = judged(shared_cache), judged(shared_cache)
    assert again.document["fits"] == {"made": 0, "kept": CANDIDATES, "failed": []}
    for part in ("policies", "loss_matrix", "recommendation", "hindsight", "chosen_recipes"):
        assert again.document[part] == first.document[part]


def test_with_one_more_period_only_its_candidates_are_fitted(shared_cache: Path) -> None:
    judged(shared_cache)
    longer = judged(shared_cache, days=DAYS + 10)
    assert longer.document["fits"] == {"made": 2, "kept": CANDIDATES, "failed": []}
    fresh = judged(Path(shared_cache / "elsewhere"), days=DAYS + 10)
    assert longer.document["loss_matrix"] == fresh.document["loss_matrix"]


def test_without_a_cache_the_answer_is_the_same(shared_cache: Path) -> None:
    plan = BacktestPlan(recipes=("all",), workers=1)
    bare = backtest(turning_table(DAYS), turning_spec(), plan)
    assert bare.document["policies"] == judged(shared_cache, plan).document["policies"]


def test_labels_that_had_not_arrived_change_no_earlier_decision(shared_cache: Path) -> None:
    """Turn round every label that becomes known in the last three periods: no release before them moves."""
    table = turning_table(DAYS)
    cut = np.datetime64("2024-01-01") + (DAYS - 30)
    late = np.array(table["known"].to_pylist(), dtype="datetime64[D]") >= cut
    turned = np.where(late, 1 - table["paid"].to_numpy(), table["paid"].to_numpy())
    changed = table.set_column(table.column_names.index("paid"), "paid", pa.array(turned))
    one = judged(shared_cache).document
    two = backtest(changed, turning_spec(), TWO, cache=shared_cache).document
    before = set(one["periods"][:-3])
    assert [row["releases"] for row in one["policies"]] != [row["releases"] for row in two["policies"]]
    rows = {(row["policy"], row["recipe"]): row for row in [*two["policies"], *two["other_recipes"]]}
    for row in [*one["policies"], *one["other_recipes"]]:
        other = rows[row["policy"], row["recipe"]]
        assert [name for name in row["releases"] if name in before] == [
            name for name in other["releases"] if name in before
        ], row["policy"]
    for name, chosen in one["chosen_recipes"].items():
        assert chosen[:-3] == two["chosen_recipes"][name][:-3]


def test_an_interrupted_backtest_goes_on_where_it_was(tmp_path: Path) -> None:
    def stop(name: str, done: int, total: int) -> None:
        del name, total
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backtest(turning_table(DAYS), turning_spec(), TWO, cache=tmp_path, progress=stop)
    kept = len(list(tmp_path.rglob("*.model")))
    assert kept >= 5
    fits = judged(tmp_path).document["fits"]
    assert fits["made"] == CANDIDATES - kept
    assert not list(tmp_path.rglob("*.part"))


def test_a_broken_file_is_computed_again(tmp_path: Path) -> None:
    first = judged(tmp_path)
    for path, kept in zip(sorted(tmp_path.rglob("*.npz"))[:4], (-20, -20, 5, 0), strict=True):
        path.write_bytes(path.read_bytes()[:kept])
    for path in sorted(tmp_path.rglob("*.model"))[:6]:
        path.write_bytes(b"x" + path.read_bytes())
    again = judged(tmp_path)
    assert again.document["policies"] == first.document["policies"]
    assert 0 < again.document["fits"]["made"] <= 4


def test_threads_that_keep_the_same_candidate_do_not_disturb_each_other(tmp_path: Path) -> None:
    """In the first periods all recipes choose the same rows, so it is one model with one name."""
    files, model = KeptFiles(tmp_path), Model(b"x" * 100_000)

    def keep(_: int) -> None:
        for _ in range(100):
            files.keep_model("ab" * 20, model)
            files.keep_predictions("ab" * 20, {"d": np.zeros(1000)})

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(keep, range(3)))
    assert files.model("ab" * 20) == model
    assert files.predictions("ab" * 20)["d"].sum() == 0.0
    assert not list(tmp_path.rglob("*.part"))


def test_a_release_that_serves_later_earns_later(shared_cache: Path) -> None:
    at_once = judged(shared_cache)
    later = judged(shared_cache, BacktestPlan(recipes=("all", "last_2"), lag=1))
    assert later.document["hindsight"]["last_2"]["cost"] > at_once.document["hindsight"]["last_2"]["cost"]
    assert by_policy(later)["never"]["cost"] == by_policy(at_once)["never"]["cost"]
    assert by_policy(later)["every_2_periods"]["loss"] > by_policy(at_once)["every_2_periods"]["loss"]


def test_thinned_dates_say_how_wrong_they_are(shared_cache: Path) -> None:
    whole = judged(shared_cache).document
    thin = judged(shared_cache, BacktestPlan(recipes=("all", "last_2"), fit_every=2)).document
    assert thin["fits"]["kept"] < whole["fits"]["kept"]
    assert thin["fits"]["made"] == 0
    error = thin["thinning"]["all"]
    measured, filled = (np.array(part["loss_matrix"]["all"], dtype=float) for part in (whole, thin))
    # Before the first fitted candidate there is nothing to estimate from.
    known = np.isfinite(measured) & np.isfinite(filled)
    gap = np.abs(filled - measured)[known]
    fresh = np.nanmean(np.diag(measured))
    # Half of the cells are exact; what is said of the others is an upper estimate, here of an abrupt turn.
    assert (gap == 0).mean() >= 0.4
    assert gap.mean() / fresh <= error["mean_error"] * 1.2


def test_what_is_left_out_is_not_learnt_from(shared_cache: Path) -> None:
    """The first 60 days were scored under a relation that is over: without them, models of the old world vanish."""
    spans = LeftOut(spans=(("2024-01-31", "2024-02-29"),), ids=("0-0", "0-1"), features=("branch",))
    result = judged(shared_cache, BacktestPlan(recipes=("all",), left_out=spans))
    assert result.document["policies"] != judged(shared_cache, BacktestPlan(recipes=("all",))).document["policies"]
    assert any(
        "Left out of training: 1 spans of time; 2 rows; the features branch." in note for note in result.story.notes
    )
    with pytest.raises(MissingColumnError, match="'salary'"):
        judged(shared_cache, BacktestPlan(left_out=LeftOut(features=("salary",))))
    with pytest.raises(ColumnValueError, match="'nobody'"):
        judged(shared_cache, BacktestPlan(left_out=LeftOut(ids=("nobody",))))
    with pytest.raises(SpecError, match="ends before it begins"):
        judged(shared_cache, BacktestPlan(left_out=LeftOut(spans=(("2024-02-02", "2024-02-01"),))))
    with pytest.raises(SpecError, match="all features"):
        judged(shared_cache, BacktestPlan(left_out=LeftOut(features=("branch", "income"))))


def test_every_recipe_can_be_named_and_others_cannot(shared_cache: Path) -> None:
    plan = BacktestPlan(recipes=("decay_2", "similar_3", "last_1"))
    document = judged(shared_cache, plan).document
    assert set(document["chosen_recipes"]) == {"decay_2", "similar_3", "last_1", *RULES}
    assert document["incumbent"] == {"policy": "shadow_plan", "recipe": "decay_2"}
    with pytest.raises(UnknownNameError, match="similar_K"):
        BacktestPlan(recipes=("newest",))


def test_what_cannot_be_judged_is_refused(shared_cache: Path) -> None:
    with pytest.raises(EmptyTableError, match="needs 6"):
        judged(shared_cache, days=70)
    with pytest.raises(SpecError, match="lag"):
        BacktestPlan(lag=-1)
    with pytest.raises(SpecError, match=r"0.95 takes 9 of the 9 periods .* at most 0.88"):
        judged(shared_cache, BacktestPlan(history=0.95))
    with pytest.raises(UnknownNameError, match="weekly"):
        judged(shared_cache, BacktestPlan(incumbent="weekly"))
    with pytest.raises(SpecError, match="trainer"):
        backtest(turning_table(DAYS), with_trainer(turning_spec(), "none"))
    table = turning_table(DAYS)
    unlabelled = table.set_column(table.column_names.index("paid"), "paid", pa.nulls(table.num_rows, pa.int64()))
    with pytest.raises(EmptyTableError, match="no labels"):
        backtest(unlabelled, turning_spec())
    one_class = table.set_column(table.column_names.index("paid"), "paid", pa.array([1] * table.num_rows))
    with pytest.raises(TrainingError, match="no candidate of recipe all"):
        backtest(one_class, turning_spec(), BacktestPlan(recipes=("all",)))


def test_a_regression_and_several_classes_are_judged_too(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    count = 900
    x = draw.normal(size=count)
    shift = np.arange(count) / 300
    table = pa.table(
        {"x": x, "at": np.arange(count), "y": x + shift, "k": np.where(x > shift, "a", np.where(x < 0, "b", "c"))}
    )
    for task, label, unit in (("regression", "y", "per_unit_error = -1.0"), ("multiclass", "k", "wrong = -1.0")):
        spec = parse_spec(
            f'[model]\nname = "m"\ntask = "{task}"\n[columns]\ntime = "at"\nlabel = "{label}"\nfeatures = ["x"]\n'
            f'[time]\nwindow = 50\nperiod = 2\n[value]\n{unit}\n[costs]\nrelease = 1.0\n[trainer]\nname = "linear"\n'
        )
        document = backtest(table, spec, BacktestPlan(recipes=("all",)), cache=tmp_path).document
        costs = {row["policy"]: row["cost"] for row in document["policies"]}
        assert costs["shadow_plan"] < costs["never"]
        assert json.dumps(document, allow_nan=False)


def test_the_page_and_the_story_hold_what_the_document_says(shared_cache: Path) -> None:
    result = judged(shared_cache)
    page = result.page()
    assert page.startswith("<!doctype html>")
    assert result.document["recommendation"]["headline"] in page
    assert "<script" not in page
    for policy in ("shadow_plan", "every_4_periods", "hindsight"):
        assert policy in page
    assert [row.policy for row in result.story.policies] == [row["policy"] for row in result.document["policies"]]


def test_the_command_prints_json_or_a_summary_and_writes_a_page(
    shared_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["pitstop", "backtest", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            run_command_line()
        return int(ended.value.code or 0)

    monkeypatch.setenv("COLUMNS", "80")
    table, spec, page = tmp_path / "rows.parquet", tmp_path / "pitstop.toml", tmp_path / "page.html"
    pq.write_table(turning_table(DAYS), table)
    spec.write_text(SPEC.format(release=20.0, fit=0.0))
    common = (table, "--spec", spec, "--cache", shared_cache, "--recipe", "all", "--recipe", "last_2")
    assert run(*common, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fits"]["made"] == 0
    assert document["policies"] == judged(shared_cache).document["policies"]
    assert run(*common, "--html", page, "--incumbent", "never") == 0
    shown = capsys.readouterr().out
    # In eighty columns nothing is cut off: a name is what is written into the file, and half a price is another one.
    assert "…" not in shown
    assert {"shadow_plan", "at_most_3_retrains", "every_4_periods", "hindsight"} <= set(shown.split())
    assert page.read_text().startswith("<!doctype html>")
    erased = tmp_path / "erased.txt"
    erased.write_text("0-0\n\n0-1\n")
    out = ("--quarantine", "2024-02-01..2024-02-03", "--without-rows", erased, "--without-feature", "branch")
    assert run(*common, *out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["fits"]["made"] > 0
    assert run(*common, "--quarantine", "2024-02-01") == 2
    assert "FIRST..LAST" in capsys.readouterr().err
    assert run(*common, "--without-rows", tmp_path / "none.txt") == 2
    assert "one id a line" in capsys.readouterr().err
    assert run(*common, "--trainer", "forest") == 2
    assert "gradient_boosting" in capsys.readouterr().err
    assert run(*common, "--html", tmp_path / "no" / "page.html") == 2
