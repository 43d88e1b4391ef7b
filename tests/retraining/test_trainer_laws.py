"""Every built-in trainer, and one written by a user, obeys the laws of trainers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pitstop.records.spec import Task, TrainerSection
from pitstop.retraining import process
from pitstop.retraining.trainer import TRAINERS
from pitstop.testing import trainer_laws

# Pure Python and numpy, a different model on purpose: a user's trainer owes scikit-learn nothing.
OWN_TRAINER = """
import json, sys
import numpy as np, pyarrow as pa

def read(name):
    with pa.OSFile(name, "rb") as source:
        return pa.ipc.open_file(source).read_all()

for line in sys.stdin:
    ask = json.loads(line)
    table = read(ask["data"])
    if ask["action"] == "train":
        labels = table[ask["label"]].to_pylist()
        classes = sorted(set(labels)) if ask["task"] != "regression" else []
        mean = float(np.mean(labels)) if not classes else sum(x == ask["positive"] for x in labels) / len(labels)
        json.dump({"task": ask["task"], "mean": mean, "classes": classes}, open(ask["model"], "w"))
    else:
        model = json.load(open(ask["model"]))
        number = np.nan_to_num(np.array(table["number"].to_pylist(), dtype=float))
        score = 1 / (1 + np.exp(-number))
        columns = {"score": score}
        if model["task"] == "regression":
            columns = {"prediction": number + model["mean"]}
        if model["task"] == "multiclass":
            columns["prediction"] = [model["classes"][int(x > 0)] for x in number]
        result = pa.table(columns)
        with pa.OSFile(ask["output"], "wb") as sink, pa.ipc.new_file(sink, result.schema) as writer:
            writer.write_table(result)
    print(json.dumps({"ok": True, "rows": table.num_rows, "model": ask["model"]}), flush=True)
"""


TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
NAMES = {law: law.__name__ for law in trainer_laws.LAWS}


def own_trainer(folder: Path) -> tuple[str, ...]:
    (folder / "own.py").write_text(OWN_TRAINER)
    section = TrainerSection(command=(sys.executable, "own.py"))
    return TRAINERS.get("command").argv(section, folder)


@pytest.mark.parametrize(("law", "task"), list(zip(trainer_laws.LAWS, TASKS * 2, strict=False)))
def test_a_command_trainer_obeys(law: trainer_laws.Law, task: Task, tmp_path: Path) -> None:
    law(own_trainer(tmp_path), task)


def test_a_program_on_the_command_line_may_be_longer_than_a_file_name(tmp_path: Path) -> None:
    section = TrainerSection(command=(sys.executable, "-c", "pass;" * 200))
    assert TRAINERS.get("command").argv(section, tmp_path) == section.command


def test_an_answer_that_comes_too_late_between_two_looks_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_POLL_SECONDS", 60.0)  # nobody looks while it runs
    trainer_laws.a_failure_leaves_nothing(own_trainer(tmp_path), "binary")


@pytest.mark.slow
@pytest.mark.parametrize("law", trainer_laws.LAWS, ids=NAMES.get)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["gradient_boosting", "linear", "xgboost", "lightgbm"])
def test_the_built_in_trainers_obey(name: str, task: Task, law: trainer_laws.Law) -> None:
    if name in ("xgboost", "lightgbm"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'pitstop[{name}]'")
    law(TRAINERS.get(name).argv(TrainerSection(name=name), Path()), task)


@pytest.mark.slow
def test_the_laws_find_a_trainer_whose_predictions_depend_on_the_batch(tmp_path: Path) -> None:
    bad = OWN_TRAINER.replace("score = 1 /", "number = number - number.mean(); score = 1 /")
    (tmp_path / "bad.py").write_text(bad)
    with pytest.raises(AssertionError, match="alone is predicted differently"):
        trainer_laws.a_prediction_belongs_to_its_row((sys.executable, str(tmp_path / "bad.py")), "binary")


def test_no_trainer_is_left_out() -> None:
    assert TRAINERS.names() == ("gradient_boosting", "linear", "xgboost", "lightgbm", "command")
