"""The built-in trainers survive odd columns (called in this process; `test_trainer_laws` runs them as programs)."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.retraining import boosters, estimators
from pitstop.retraining.encoding import CATEGORIES_KEPT, Encoding
from pitstop.testing.trainer_laws import example

KINDS = pytest.mark.parametrize("kind", ["gradient_boosting", "linear", "xgboost", "lightgbm"])


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(estimators, "_ROUNDS", 5)
    monkeypatch.setattr(boosters, "_ROUNDS", 20)
    monkeypatch.chdir(tmp_path)


def ask(kind: str, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    answers = io.StringIO()
    if kind in boosters.LIBRARIES:
        pytest.importorskip(kind, reason=f"{kind} is not installed: pip install 'pitstop[{kind}]'")
        boosters.serve(kind, [json.dumps(request) for request in requests], answers)
        return [json.loads(line) for line in answers.getvalue().splitlines()]
    estimators.serve(kind, [json.dumps(request) for request in requests], answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def write(name: str, table: pa.Table) -> None:
    with pa.OSFile(name, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.unify_dictionaries().combine_chunks())


def scores(table: pa.Table, features: dict[str, bool], kind: str, rows: pa.Table, task: str = "binary") -> pa.Table:
    """Train on `table` and return the predictions of `rows`; `features` says of each whether it is a category."""
    write("train.arrow", table)
    write("rows.arrow", rows)
    train = {
        "action": "train",
        "data": "train.arrow",
        "model": "model",
        "seed": 0,
        "task": task,
        "features": list(features),
        "categorical": [name for name, category in features.items() if category],
        "label": "@label",
        "positive": "1",
    }
    if "@weight" in table.column_names:
        train["weight"] = "@weight"
    predict = {"action": "predict", "model": "model", "data": "rows.arrow", "output": "out.arrow"}
    trained, predicted = ask(kind, train, predict)
    assert trained == {"ok": True, "rows": table.num_rows, "model": "model"}, trained
    assert predicted["ok"], predicted
    with pa.OSFile("out.arrow", "rb") as source:
        return pa.ipc.open_file(source).read_all()


def labelled(column: Any, rows: int) -> pa.Table:
    return pa.table({"x": column, "@label": np.where(np.arange(rows) % 2, "1", "0")})


@KINDS
@pytest.mark.parametrize(
    ("column", "category"),
    [
        (pa.array([None] * 40, pa.float64()), False),
        (pa.array([np.nan] * 40), False),
        (pa.array([7.0] * 40), False),
        (pa.array([np.inf, -np.inf] * 20), False),
        (pa.array([1e300, -1e300] * 20), False),
        (pa.array([None] * 40, pa.string()).dictionary_encode(), True),
        (pa.array(["same"] * 40).dictionary_encode(), True),
        (pa.array([f"only {i}" for i in range(40)]).dictionary_encode(), True),
    ],
    ids=["null", "NaN", "constant", "infinite", "huge", "null category", "one category", "all different"],
)
def test_odd_columns_are_survived(column: Any, category: bool, kind: str) -> None:
    table = labelled(column, 40)
    found = scores(table, {"x": category}, kind, table)["score"].to_numpy()
    assert ((found >= 0.0) & (found <= 1.0)).all()


@KINDS
def test_100_000_categories_are_survived(kind: str) -> None:
    names = pa.array([f"c{i}" for i in range(100_000)] + ["common"] * 100).dictionary_encode()
    table = labelled(names, 100_100)
    table = table.set_column(1, "@label", pa.array(np.where(np.arange(100_100) >= 100_000, "1", "0")))
    found = scores(table, {"x": True}, kind, table)["score"].to_numpy()
    # By default XGBoost makes no leaf of so few rows that the base rate is nearly right for.
    assert found[100_000:].min() > found[:100_000].max() or kind == "xgboost"


def test_the_most_frequent_categories_are_kept_and_ties_go_by_name() -> None:
    values = [f"c{i:03}" for i in range(100)] + ["z"] * 2
    encoding = Encoding.fit(pa.table({"x": pa.array(values)}), ["x"], ["x"])
    kept = encoding.kept[0]
    assert kept is not None
    assert kept[:3] == ("z", "c000", "c001")
    assert len(kept) == CATEGORIES_KEPT
    codes = encoding.matrix(pa.table({"x": pa.array(["z", "c000", "c099", "never seen", None])}))[:, 0]
    assert codes[:4].tolist() == [0.0, 1.0, float(CATEGORIES_KEPT), float(CATEGORIES_KEPT)]
    assert np.isnan(codes[4])


def test_codes_do_not_depend_on_the_order_of_a_dictionary() -> None:
    values = ["b", "a", None, "b", "c"]
    encoding = Encoding.fit(pa.table({"x": pa.array(values)}), ["x"], ["x"])
    shuffled = pa.DictionaryArray.from_arrays(pa.array([2, 1, None, 2, 0]), pa.array(["c", "a", "b"]))
    np.testing.assert_array_equal(
        encoding.matrix(pa.table({"x": pa.array(values)})), encoding.matrix(pa.table({"x": shuffled}))
    )


@KINDS
def test_one_class_only_is_refused_with_a_reason(kind: str) -> None:
    write("train.arrow", pa.table({"x": [1.0, 2.0], "@label": ["0", "0"]}))
    request: dict[str, Any] = {"action": "train", "data": "train.arrow", "model": "model", "seed": 0, "task": "binary"}
    request |= {"features": ["x"], "categorical": [], "label": "@label", "positive": "1"}
    (answer,) = ask(kind, request)
    assert not answer["ok"]
    assert "all 2 training rows have the label '0'" in answer["error"]
    assert not Path("model").exists()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [({"action": "explain"}, "explain"), ({"action": "train"}, "data"), ({"action": "predict"}, "model")],
)
def test_requests_that_make_no_sense_are_refused(request_: dict[str, Any], reason: str) -> None:
    (answer,) = ask("linear", request_)
    assert not answer["ok"]
    assert reason in answer["error"]


@KINDS
def test_a_class_that_was_not_in_training_is_never_predicted(kind: str) -> None:
    _, table = example("multiclass")
    low = table.filter(pa.compute.not_equal(table["@label"], "high"))
    found = scores(low, {"number": False, "group": True}, kind, table, "multiclass")
    assert set(found["prediction"].to_pylist()) == {"low", "middle"}
    assert min(found["score"].to_pylist()) >= 0.5


@KINDS
def test_learned_models_beat_a_coin(kind: str) -> None:
    features = {"number": False, "constant": False, "nothing": False, "group": True}
    _, table = example("binary", rows=600)
    found = scores(table.slice(0, 400), features, kind, table.slice(400))["score"].to_numpy()
    truth = np.asarray(table["@label"].slice(400).to_pylist()) == "1"
    assert ((found >= 0.5) == truth).mean() > 0.75
    _, table = example("regression", rows=600)
    predicted = scores(table.slice(0, 400), features, kind, table.slice(400), "regression")["prediction"].to_numpy()
    assert np.corrcoef(predicted, table["@label"].slice(400).to_numpy())[0, 1] > 0.7


@KINDS
def test_weights_count(kind: str) -> None:
    table = pa.table({"x": [0.0] * 200, "@label": ["0", "1"] * 100, "@weight": [3.0, 1.0] * 100})
    found = scores(table, {"x": False}, kind, table.slice(0, 1))["score"].to_pylist()
    assert found[0] == pytest.approx(0.25, abs=0.15)
    unweighted = scores(table.drop_columns(["@weight"]), {"x": False}, kind, table.slice(0, 1))["score"].to_pylist()
    assert unweighted[0] == pytest.approx(0.5, abs=0.01)
