"""`pitstop init`: the file it writes, what it says, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pitstop.cli.init_command import init
from pitstop.errors import MissingColumnError, SpecError, StoreError, UnreadableTableError
from pitstop.records.spec import load_spec

RUNNER = CliRunner()
APP = typer.Typer()
APP.command()(init)


@pytest.fixture
def table(tmp_path: Path) -> str:
    rows = "\n".join(f"2024-01-{1 + row // 30:02d},{row % 7},{'ab'[row % 2]},{int(row % 3 == 0)}" for row in range(900))
    path = tmp_path / "laps.csv"
    path.write_text(f"driven_on,wear,tyre,is_failed\n{rows}\n", encoding="utf-8")
    return str(path)


def test_the_written_file_is_the_specification(table: str, tmp_path: Path) -> None:
    out = tmp_path / "pitstop.toml"
    result = RUNNER.invoke(APP, [table, "--out", str(out)])
    assert result.exit_code == 0, result.output
    spec = load_spec(out)
    assert (spec.model.name, spec.model.task) == ("laps", "binary")
    assert (spec.columns.time, spec.columns.label) == ("driven_on", "is_failed")
    for said in ("driven_on", "why", "2 features"):
        assert said in result.output


def test_an_existing_file_is_kept_unless_forced(table: str, tmp_path: Path) -> None:
    out = tmp_path / "pitstop.toml"
    out.write_text("mine", encoding="utf-8")
    result = RUNNER.invoke(APP, [table, "--out", str(out)])
    assert isinstance(result.exception, SpecError)
    assert "--force" in str(result.exception)
    assert out.read_text(encoding="utf-8") == "mine"
    assert RUNNER.invoke(APP, [table, "--out", str(out), "--force"]).exit_code == 0
    assert load_spec(out).model.name == "laps"


def test_options_are_taken_and_json_says_everything(table: str, tmp_path: Path) -> None:
    out = tmp_path / "spec.toml"
    arguments = ["--label", "wear", "--task", "regression", "--drop", "is_failed", "--json"]
    result = RUNNER.invoke(APP, [table, "--out", str(out), *arguments])
    document = json.loads(result.output)
    assert document["spec"]["columns"]["features"] == ["tyre"]
    assert {"what": "label", "value": "wear", "why": "you said so"} in document["guesses"]
    assert document["out"] == str(out)
    assert load_spec(out).model.task == "regression"


@pytest.mark.parametrize(
    ("more", "kind", "said"),
    [
        (["--label", "is_faild"], MissingColumnError, "did you mean 'is_failed'"),
        (["--task", "ranking"], SpecError, "binary, multiclass, regression"),
        (["--out", "none/there/spec.toml"], StoreError, "--out"),
    ],
)
def test_errors_are_typed_and_leave_nothing(
    table: str, tmp_path: Path, more: list[str], kind: type[Exception], said: str
) -> None:
    arguments = [table, "--out", str(tmp_path / "spec.toml"), *more]
    result = RUNNER.invoke(APP, arguments)
    assert isinstance(result.exception, kind)
    assert said in str(result.exception)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["laps.csv"]


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = RUNNER.invoke(APP, [str(tmp_path / "none.csv"), "--out", str(tmp_path / "spec.toml")])
    assert isinstance(result.exception, UnreadableTableError)


def test_the_next_command_can_be_copied_from_any_terminal(table: str, tmp_path: Path) -> None:
    place = tmp_path / "a folder"
    place.mkdir()
    source = Path(table).rename(place / "laps.csv")
    result = RUNNER.invoke(APP, [str(source), "--out", str(place / "spec.toml")], env={"COLUMNS": "40"})
    assert f"pitstop replay '{source}' --spec '{place / 'spec.toml'}'\n" in result.output
