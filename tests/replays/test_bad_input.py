"""Input that cannot be used: the right error, naming the place and the way out, and a home as it was before."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pitstop.cli.main import run as command_line
from pitstop.errors import (
    ColumnValueError,
    DuplicateIdError,
    EmptyTableError,
    MissingColumnError,
    PitstopError,
    SpecError,
    UnknownNameError,
    UnreadableTableError,
)
from pitstop.records.spec import ModelSpec
from pitstop.replays.replay import replay, run
from pitstop.store.home import Home

Maker = Callable[..., pa.Table]


def changed(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return the table with one column replaced, or appended."""
    if name not in table.column_names:
        return table.append_column(name, values)
    return table.set_column(table.column_names.index(name), name, values)


def one_value(table: pa.Table, name: str, row: int, value: Any) -> pa.Table:
    """Return the table with one value replaced; `row` counts from 1."""
    values = table[name].to_pylist()
    values[row - 1] = value
    return changed(table, name, pa.array(values))


def as_text(table: pa.Table, row: int, value: str) -> pa.Table:
    """Return the table with its times as ISO text, one of them replaced."""
    texts = [moment.isoformat() for moment in table["at"].to_pylist()]
    texts[row - 1] = value
    return changed(table, "at", pa.array(texts))


def scored(table: pa.Table, row: int, value: float | None) -> pa.Table:
    """Return the table with scores, one of them odd."""
    return one_value(table.append_column("score", pa.array(np.full(table.num_rows, 0.5))), "score", row, value)


@dataclass(frozen=True)
class Case:
    """A way to spoil a history, what is raised, and what the message names."""

    spoil: Callable[[pa.Table], pa.Table]
    error: type[PitstopError]
    names: tuple[str, ...]
    columns: tuple[tuple[str, str], ...] = ()


CASES = {
    "missing feature": Case(
        lambda table: table.rename_columns(["id", "at", "x_1", "x2", "kind", "label", "known_at"]),
        MissingColumnError,
        ("'x1'", "'x_1'"),
    ),
    "missing label": Case(lambda table: table.drop_columns(["label"]), MissingColumnError, ("'label'",)),
    "empty": Case(lambda table: table.slice(0, 0), EmptyTableError, ("no rows",)),
    "one row": Case(lambda table: table.slice(0, 1), SpecError, ("2024-01-13", "--start")),
    "no time": Case(lambda table: one_value(table, "at", 9, None), ColumnValueError, ("'at'", "row 9", "fill them in")),
    "unparsable time": Case(lambda table: as_text(table, 7, "yesterday"), ColumnValueError, ("'at'", "row 7")),
    "mixed time zones": Case(
        lambda table: as_text(table, 5, "2024-01-01T03:00:00"), ColumnValueError, ("'at'", "row 5")
    ),
    "label before prediction": Case(
        lambda table: one_value(table, "known_at", 4, table["at"][0].as_py()),
        ColumnValueError,
        ("'known_at'", "row 4", "swapped"),
    ),
    "third class": Case(
        lambda table: one_value(table, "label", 50, 2), ColumnValueError, ("'label'", "row 50", "multiclass")
    ),
    "duplicate id": Case(
        lambda table: one_value(table, "id", 30, "r3"), DuplicateIdError, ("'id'", "'r3'", "4 and 30")
    ),
    "no id": Case(lambda table: one_value(table, "id", 8, None), ColumnValueError, ("'id'", "row 8")),
    "text among numbers": Case(
        lambda table: changed(table, "x2", pc.cast(table["x2"], pa.string()).combine_chunks().fill_null("n.a. yet")),
        ColumnValueError,
        ("'x2'", "n.a. yet"),
    ),
    "score above one": Case(
        lambda table: scored(table, 12, 1.5), ColumnValueError, ("'score'", "row 12"), (("score", "score"),)
    ),
    "infinite score": Case(
        lambda table: scored(table, 13, np.inf), ColumnValueError, ("'score'", "row 13"), (("score", "score"),)
    ),
    "NaN score": Case(
        lambda table: scored(table, 14, np.nan), ColumnValueError, ("'score'", "row 14"), (("score", "score"),)
    ),
}


def contents(home: Path) -> dict[str, str]:
    """Return the digest of every file of a home, but for its lock."""
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.name != "home.lock" and not path.name.endswith(("-wal", "-shm"))
    }


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_named_and_leaves_no_trace(
    name: str, small: Any, workshop: Any, spec: ModelSpec, history: Maker, tmp_path: Path
) -> None:
    assert small.artifacts
    case = CASES[name]
    table = case.spoil(history())
    described = replace(spec, columns=replace(spec.columns, **dict[str, Any](case.columns)))
    with pytest.raises(case.error) as caught:
        replay(table, described, home=tmp_path / "new", base=workshop.folder)
    assert type(caught.value) is case.error
    for part in case.names:
        assert part in str(caught.value)
    assert not (tmp_path / "new").exists()
    # A home that holds the good history is not touched by the bad one.
    home = workshop.folder / "small"
    before = contents(home)
    with pytest.raises(case.error):
        replay(table, described, home=home, base=workshop.folder)
    assert contents(home) == before


TOML = """
[model]
name = "small"
task = "binary"
[columns]
time = "at"
id = "id"
label = "label"
label_time = "known_at"
features = ["x1", "x2", "kind"]
categorical = ["kind"]
"""


def said_by_the_command_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Return what `pitstop` wrote to its error stream; it must end with code 2."""
    monkeypatch.setattr(sys, "argv", ["pitstop", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line()
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    return shown.err


@pytest.mark.parametrize("name", ["missing feature", "duplicate id", "third class", "truncated", "no table", "no spec"])
def test_the_command_line_says_it_in_one_sentence(
    name: str, history: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES.get(name)
    pq.write_table(case.spoil(history()) if case else history(), tmp_path / "history.parquet")
    if name != "no spec":
        (tmp_path / "pitstop.toml").write_text(TOML)
    if name == "truncated":
        whole = (tmp_path / "history.parquet").read_bytes()
        (tmp_path / "history.parquet").write_bytes(whole[: len(whole) // 2])
    if name == "no table":
        (tmp_path / "history.parquet").rename(tmp_path / "History.parquet")
    home = tmp_path / "home"
    arguments = ["replay", str(tmp_path / "history.parquet"), "--spec", str(tmp_path / "pitstop.toml")]
    said = said_by_the_command_line([*arguments, "--home", str(home), "--json"], monkeypatch, capsys)
    assert said.startswith("pitstop: ")
    parts = {
        "truncated": ("truncated", "copy it again"),
        "no table": ("did you mean", "History.parquet"),
        "no spec": ("pitstop init",),
    }
    for part in case.names if case else parts[name]:
        assert part in said.replace("\n", " ")
    assert not home.exists()


def test_a_truncated_file_is_unreadable(history: Maker, spec: ModelSpec, tmp_path: Path) -> None:
    pq.write_table(history(), tmp_path / "history.parquet")
    whole = (tmp_path / "history.parquet").read_bytes()
    (tmp_path / "history.parquet").write_bytes(whole[:-200])
    with pytest.raises(UnreadableTableError, match="copy it again"):
        replay(tmp_path / "history.parquet", spec, home=tmp_path / "home")


def test_without_any_label_no_model_can_be_fitted(
    workshop: Any, spec: ModelSpec, history: Maker, tmp_path: Path
) -> None:
    table = history(days=20)
    for name in ("label", "known_at"):
        table = changed(table, name, pa.nulls(table.num_rows, table.schema.field(name).type))
    with pytest.raises(EmptyTableError, match=r"no label is known before 2024-01-13.*later \[replay\] start"):
        replay(table, spec, home=tmp_path / "home", base=workshop.folder)
    with Home.open(tmp_path / "home") as home:
        assert home.artifacts() == ()
        assert home.verify(rows=True).ok


def test_a_label_for_an_unknown_id_is_named(workshop: Any, spec: ModelSpec, history: Maker, tmp_path: Path) -> None:
    table = history(days=20)
    labels = one_value(table.select(["id", "label", "known_at"]), "id", 6, "ghost")
    with pytest.raises(ColumnValueError, match=r"row 6.*'ghost'"):
        run(
            tmp_path / "home",
            spec=spec,
            source=table.drop_columns(["label", "known_at"]),
            labels=labels,
            base=workshop.folder,
        )
    assert not (tmp_path / "home").exists()


def test_a_changed_specification_is_refused_by_its_home(
    small: Any, workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    assert small.artifacts
    before = contents(workshop.folder / "small")
    other = replace(spec, costs=replace(spec.costs, release=7.0))
    with pytest.raises(PitstopError, match="another specification"):
        workshop.replay(history(), other, "small")
    assert contents(workshop.folder / "small") == before


@pytest.mark.slow
def test_a_full_disk_keeps_what_was_done_and_goes_on_later(
    small: Any, workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    code = """
import sys
import resource
from pathlib import Path
import pyarrow.parquet as pq
from pitstop.errors import StoreError, TrainingError
from pitstop.records.spec import parse_spec
from pitstop.replays.replay import replay
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    replay(pq.read_table(folder / "full.parquet"), parse_spec(sys.argv[2]), home=folder / "full", base=folder)
except StoreError as error:
    sys.exit(f"full: {error}")
"""
    from_conftest = (workshop.folder / "spec.toml").read_text()
    pq.write_table(history(), workshop.folder / "full.parquet")
    command = [sys.executable, "-c", code, str(workshop.folder), from_conftest, str(500_000)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("full: ")
    assert "run again" in done.stderr
    with Home.open(workshop.folder / "full") as home:
        assert home.verify(rows=True).ok
        kept = tuple((item.id, item.kind, item.at, item.content) for item in home.artifacts())
    assert kept == small.artifacts[: len(kept)]
    assert len(kept) < len(small.artifacts)
    assert workshop.replay(history(), spec, "full").artifacts == small.artifacts


def test_a_policy_that_nobody_knows_is_told_before_anything_is_fitted(
    workshop: Any, spec: ModelSpec, history: Maker
) -> None:
    unknown = replace(spec, policy=replace(spec.policy, name="every_5_periods"))
    with pytest.raises(UnknownNameError, match="no policy is called 'every_5_periods'; did you mean 'every_"):
        workshop.run(history(days=14), unknown, "no-policy")
    assert workshop.artifacts("no-policy") == ()
