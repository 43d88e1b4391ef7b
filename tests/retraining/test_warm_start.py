"""A fit that starts from an earlier model: what each trainer makes of it, and which say that they cannot."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import RecipeError, TrainerRefusedError, TrainingError, UnknownNameError
from pitstop.records.spec import ModelSpec, Task, TrainerSection, parse_spec
from pitstop.retraining import boosters, estimators
from pitstop.retraining.fits import check_options
from pitstop.retraining.recipes import Options, options_of, parse_recipe
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import TRAINERS, Challenger, Start, TrainingRequest, WarmStarting, trainer_of
from pitstop.testing.trainer_laws import example

NAMES = pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
TASKS = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])


def asked(folder: Path, task: Task, table: pa.Table, *, start: str = "", model: str = "model") -> dict[str, Any]:
    """Return a train request for rows, which are written to a file."""
    place = folder / f"{model}.arrow"
    with pa.OSFile(str(place), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    request, _ = example(task)
    found = {"data": str(place), "model": str(folder / model), "seed": 0, "task": task, "label": "@label"}
    found |= {"features": list(request.features), "categorical": list(request.categorical)}
    return {**found, "start": str(folder / start)} if start else found


def trees(name: str, content: bytes) -> int:
    """Return how many trees a booster's file holds."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        library = boosters.LIBRARIES[name]()
        model = library.from_bytes(archive.read(library.file))
    return len(model.get_dump()) if name == "xgboost" else int(model.num_trees())


@NAMES
@TASKS
def test_a_booster_goes_on_from_the_trees_of_the_model_before(name: str, task: Task, tmp_path: Path) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed: pip install 'pitstop[{name}]'")
    library, (_, old), (_, new) = boosters.LIBRARIES[name](), example(task), example(task, rows=150, seed=1)
    boosters.train(library, asked(tmp_path, task, old, model="first"))
    boosters.train(library, asked(tmp_path, task, new, start="first", model="warm"))
    first, warm = (tmp_path / "first").read_bytes(), (tmp_path / "warm").read_bytes()
    grown = trees(name, warm) / trees(name, first)
    assert grown == pytest.approx(1.2, abs=0.01)
    # Again the same bytes; from another model other ones; the encoding is that of the model before.
    boosters.train(library, asked(tmp_path, task, new, start="first", model="again"))
    assert (tmp_path / "again").read_bytes() == warm
    boosters.train(library, asked(tmp_path, task, example(task, seed=2)[1], model="other"))
    boosters.train(library, asked(tmp_path, task, new, start="other", model="elsewhere"))
    assert (tmp_path / "elsewhere").read_bytes() != warm
    before, after = (boosters.Fitted.from_bytes(content, library) for content in (first, warm))
    assert (after.encoding, after.classes) == (before.encoding, before.classes)
    # It remembers: on the old rows it errs less than a fit on the new rows alone.
    boosters.train(library, asked(tmp_path, task, new, model="cold"))
    assert error(library, tmp_path / "warm", old, task) < error(library, tmp_path / "cold", old, task)


def error(library: boosters.Library, model: Path, table: pa.Table, task: Task) -> float:
    fitted = boosters.Fitted.from_bytes(model.read_bytes(), library)
    found = library.scores(fitted.model, fitted.problem(), fitted.encoding.matrix(table))
    if task == "regression":
        return float(np.abs(found - np.asarray(table["@label"])).mean())
    said = (found >= 0.5).astype(int) if task == "binary" else found.argmax(axis=1)
    return float(np.mean(np.array(fitted.classes)[said] != np.array(table["@label"].to_pylist())))


def test_a_model_that_cannot_be_gone_on_from_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm", reason="lightgbm is not installed: pip install 'pitstop[lightgbm]'")
    library, (_, rows) = boosters.LIBRARIES["lightgbm"](), example("binary")
    boosters.train(library, asked(tmp_path, "binary", rows, model="first"))
    other = asked(tmp_path, "binary", rows, start="first")
    with pytest.raises(TrainerRefusedError, match="other features"):
        boosters.train(library, {**other, "features": other["features"][1:]})
    strange = rows.set_column(rows.column_names.index("@label"), "@label", pa.array(["1", "2"] * (len(rows) // 2)))
    with pytest.raises(TrainerRefusedError, match=r"does not know the class '2'.*fit anew"):
        boosters.train(library, asked(tmp_path, "binary", strange, start="first"))


def test_a_linear_classifier_begins_where_the_model_before_ended(tmp_path: Path) -> None:
    (_, old), (_, new) = example("multiclass", rows=2000), example("multiclass", rows=2000, seed=1)
    estimators.train("linear", asked(tmp_path, "multiclass", old, model="first"))
    estimators.train("linear", asked(tmp_path, "multiclass", new, start="first", model="warm"))
    estimators.train("linear", asked(tmp_path, "multiclass", new, start="warm", model="twice"))
    first, warm, twice = (
        pickle.loads((tmp_path / name).read_bytes()).estimator  # noqa: S301 - made above
        for name in ("first", "warm", "twice")
    )
    # It is the optimum of the new rows, whatever it began with: begun there, the solver has nothing left to do.
    assert np.abs(warm.coef_ - first.coef_).max() > 0.05
    assert np.abs(warm.coef_ - twice.coef_).max() < 0.02
    assert twice.n_iter_.max() < warm.n_iter_.max() < first.n_iter_.max()


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    _, rows = example("regression")
    estimators.train("linear", asked(tmp_path, "regression", rows, model="ridge"))
    with pytest.raises(TrainerRefusedError, match="cannot be gone on from"):
        estimators.train("linear", asked(tmp_path, "regression", rows, start="ridge"))


# Counts how many models its own stands on; `{start}` is its second word.
COUNTING = """
import json, os, sys
import numpy as np, pyarrow as pa

def read(name):
    with pa.OSFile(name, "rb") as source:
        return pa.ipc.open_file(source).read_all()

for line in sys.stdin:
    ask = json.loads(line)
    table = read(ask["data"])
    if ask["action"] == "train":
        path = sys.argv[1]
        assert os.path.exists(path) == ("start" in ask) and ask.get("start", path) == path
        depth = json.load(open(path))["depth"] + 1 if "start" in ask else 0
        json.dump({"depth": depth}, open(ask["model"], "w"))
    else:
        score = np.full(table.num_rows, 0.1 * json.load(open(ask["model"]))["depth"])
        result = pa.table({"score": score})
        with pa.OSFile(ask["output"], "wb") as sink, pa.ipc.new_file(sink, result.schema) as writer:
            writer.write_table(result)
    print(json.dumps({"ok": True, "rows": table.num_rows}), flush=True)
"""


def test_a_command_that_asks_for_it_is_given_the_file_of_the_model_before(tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(COUNTING)
    section = TrainerSection(command=(sys.executable, "count.py", "{start}"))
    argv = trainer_of(section).argv(section, tmp_path)
    assert argv[-1] == "start.model"
    request, rows = TrainingRequest("binary", ("x",)), pa.table({"x": [1.0, 2.0], "@label": ["0", "1"]})
    with Session(argv) as session:
        model = session.train(request, rows)
        for depth in (1, 2):
            model = session.train(request, rows, model)
            assert json.loads(model.content) == {"depth": depth}
        # Nothing of it is there when a fit of its own is asked for.
        assert json.loads(session.train(request, rows).content) == {"depth": 0}
        assert session.predict(model, request, rows)["score"].to_pylist() == pytest.approx([0.2, 0.2])


def spec_with(trainer: TrainerSection, task: Task = "binary") -> ModelSpec:
    text = f'[model]\nname = "m"\ntask = "{task}"\n[columns]\ntime = "t"\nlabel = "y"\nfeatures = ["x"]'
    return replace(parse_spec(text), trainer=trainer)


@pytest.mark.parametrize(
    ("trainer", "task", "words"),
    [
        (TrainerSection(), "binary", "histogram boosting bins each fit's rows anew"),
        (TrainerSection(name="linear"), "regression", "ridge regression is solved in one step"),
        (TrainerSection(command=("python3", "train.py")), "binary", "is given the word {start}"),
    ],
)
def test_a_trainer_that_cannot_says_why_and_what_to_do(trainer: TrainerSection, task: Task, words: str) -> None:
    with pytest.raises(RecipeError) as raised:
        check_options("last_2+warm", spec_with(trainer, task))
    assert words in str(raised.value)
    assert "use the recipe 'last_2'" in str(raised.value)
    check_options("last_2", spec_with(trainer, task))


def test_trainers_that_can_are_let_be() -> None:
    for name in ("xgboost", "lightgbm", "linear"):
        check_options("all+warm", spec_with(TrainerSection(name=name)))
    check_options("all+warm", spec_with(TrainerSection(command=("python3", "train.py", "{start}")), "regression"))
    assert all(isinstance(trainer, WarmStarting) for trainer in TRAINERS)


def test_a_regression_has_no_labels_that_look_wrong() -> None:
    with pytest.raises(RecipeError, match=r"a regression has none: use 'all'"):
        check_options("all+clean_5", spec_with(TrainerSection(name="linear"), "regression"))


def test_the_options_of_a_recipe_are_read_in_one_order() -> None:
    assert options_of("decay_3+warm+clean_50") == Options("decay_3", warm=True, clean=50)
    assert parse_recipe("last_6+clean_5").window == 6
    for name in ("all+clean_5+warm", "all+clean_51", "all+clean_0", "all+clean", "all+warmer", "+warm", "all+"):
        with pytest.raises(UnknownNameError, match=r"\+clean_P"):
            parse_recipe(name)


def test_what_a_challenger_starts_from_is_part_of_its_id_and_of_its_record() -> None:
    section = TrainerSection(name="linear")
    made = {"at": 1, "rows": 10, "rows_digest": "r", "trainer": TRAINERS.get("linear"), "section": section}

    def challenger(recipe: str = "all+warm", start: Start | None = None) -> Challenger:
        return Challenger.of(recipe=parse_recipe(recipe), start=start, **made)  # type: ignore[arg-type]

    one = challenger(start=Start("challenger-1", "d1", 1))
    ids = {challenger().id, one.id, challenger(start=Start("challenger-2", "d1", 1)).id, challenger("all").id}
    assert len(ids) == 4
    # The digest of the file is an observation: it is told, and changes no id.
    assert challenger(start=Start("challenger-1", "d9", 1)).id == one.id
    assert one.to_json()["start"] == {"challenger": "challenger-1", "digest": "d1", "number": 1}
    assert Challenger.from_json(one.to_json()) == one
    dear = challenger("all+clean_5")
    assert dear.to_json()["paid_rows"] == 30
    assert Challenger.from_json(dear.to_json()) == dear
    assert not {"start", "paid_rows"} & set(challenger("all").to_json())


def test_a_refused_start_is_a_training_error_and_leaves_nothing(tmp_path: Path) -> None:
    section = TrainerSection(name="linear")
    request, rows = example("regression")
    with Session(TRAINERS.get("linear").argv(section, tmp_path), parent=tmp_path, forks=True) as session:
        model = session.train(request, rows)
        with pytest.raises(TrainingError, match="cannot be gone on from"):
            session.train(request, rows, model)
    assert not list(tmp_path.glob("pitstop-*"))
