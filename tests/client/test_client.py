"""What was handed over is on the disk, once, whole, whatever is killed and when."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pitstop.cli.main import app
from pitstop.client import Client
from pitstop.errors import ColumnValueError, EmptyTableError, StoreError, UnreadableTableError
from pitstop.records.sources import read_table

ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.text(st.characters(exclude_categories=["Cs"]), max_size=5), "x": st.none() | st.floats(-9, 9)}
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_what_was_logged_is_there_once_however_often_and_in_whatever_form(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[dict[str, Any]]]
) -> None:
    client = Client(tmp_path_factory.mktemp("log"))
    schema = pa.schema({"id": pa.string(), "x": pa.float64()})
    tables = [pa.Table.from_pylist(rows, schema=schema) for rows in batches]
    first = [client.log(table) for table in tables]
    again = [client.log(table) for table in reversed(tables)]
    assert again == first[::-1]
    files = sorted((client.folder / "predictions").iterdir())
    assert files == sorted(set(first))
    assert len(files) == len({json.dumps(rows) for rows in batches})
    for table, path in zip(tables, first, strict=True):
        assert read_table(path).equals(table)


def test_a_list_of_dicts_may_lack_keys_and_hold_times(tmp_path: Path) -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    path = Client(tmp_path).labels([{"id": 1, "label": "yes", "at": moment}, {"id": 2, "at": moment, "note": "late"}])
    table = read_table(path)
    assert path.parent == tmp_path / "labels"
    assert table["label"].to_pylist() == ["yes", None]
    assert table["note"].to_pylist() == [None, "late"]
    assert table["at"].to_pylist() == [moment, moment]


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([], EmptyTableError, "got a batch of no predictions"),
        (pa.table({"x": pa.array([], pa.int64())}), EmptyTableError, "its columns: x"),
        ([{"x": 1}, {"x": "one"}], ColumnValueError, "column 'x' mixes types"),
        ([{"x": 1}, 5], ColumnValueError, "row 2 is a int; expected a dict"),
        ([{"x": [1, 2]}], ColumnValueError, "'x'"),
        (5, UnreadableTableError, "got int"),
        (
            pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]),
            UnreadableTableError,
            "two columns are called 'x'",
        ),
    ],
)
def test_bad_batches_are_refused_and_leave_nothing(
    tmp_path: Path, rows: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Client(tmp_path / "log").log(rows)
    assert list(tmp_path.rglob("*")) == []


WRITER = r"""
import os, sys
from pathlib import Path
from pitstop.client import Client
left = [0]
def counted(owner, name):
    real = getattr(owner, name)
    def wrapped(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), 9)
        return real(*args, **kwargs)
    setattr(owner, name, wrapped)
for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "mkdir"), (Path, "open")):
    counted(owner, name)
for line in sys.stdin:
    step, folder = line.rstrip("\n").split(" ", 1)
    child = os.fork()
    if child:
        print(os.waitpid(child, 0)[1], flush=True)
        continue
    acknowledged = os.open(folder + ".acked", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    left[0] = int(step)
    client = Client(folder)
    for number in range(3):
        client.log([{"id": f"{number}-{row}", "x": number} for row in range(50)])
        os.write(acknowledged, f"{number}\n".encode())
    os._exit(0)
"""


@pytest.mark.slow
def test_kill_9_at_any_step_loses_nothing_acknowledged_and_shows_nothing_half_written(tmp_path: Path) -> None:
    # A helper imports everything once and forks a writer for each line, so that a run costs milliseconds.
    steps = (*range(1, 12), 14, 99)
    done = subprocess.run(
        [sys.executable, "-c", WRITER],
        input="".join(f"{step} {tmp_path / str(step)}\n" for step in steps),
        capture_output=True,
        text=True,
        check=True,
    )
    killed = done.stdout.split().count("9")
    for step in steps:
        folder = tmp_path / str(step)
        acknowledged = [int(line) for line in folder.with_name(f"{step}.acked").read_text().split()]
        shown = sorted((folder / "predictions").glob("[!.]*")) if folder.exists() else []
        numbers = sorted(int(pq.read_table(path)["x"][0].as_py()) for path in shown)
        assert all(pq.read_table(path).num_rows == 50 for path in shown)
        assert numbers[: len(acknowledged)] == acknowledged
        assert len(numbers) <= len(acknowledged) + 1
        # Whoever was killed hands everything over again: still once.
        client = Client(folder)
        for number in range(3):
            client.log([{"id": f"{number}-{row}", "x": number} for row in range(50)])
        assert read_table(folder / "predictions").num_rows == 150
    assert killed == len(steps) - 1


FULL = r"""
import resource, signal, sys
from pitstop.client import Client
from pitstop.errors import StoreError
client = Client(sys.argv[1])
client.log([{"id": "first"}])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    client.log([{"id": f"row {n} {n * 7919 % 10007}"} for n in range(5000)])
except StoreError as error:
    print(error)
"""


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "cannot write predictions" in done.stdout, done.stderr
    assert len(list((tmp_path / "predictions").iterdir())) == 1
    assert read_table(tmp_path / "predictions")["id"].to_pylist() == ["first"]


def test_a_folder_that_is_a_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "predictions").write_text("a file", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot write predictions"):
        Client(tmp_path).log([{"id": 1}])


def as_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


TABLE = pa.table({"id": [1, 2], "x": [0.5, None]})


@pytest.mark.parametrize(
    "content",
    [
        b'{"id": 1, "x": 0.5}\n{"id": 2}\n',
        b'[{"id": 1, "x": 0.5}, {"id": 2, "x": null}]',
        b"id,x\n1,0.5\n2,\n",
        as_parquet(TABLE),
    ],
    ids=["json lines", "json array", "csv", "parquet"],
)
@pytest.mark.parametrize("command", ["log", "labels"])
def test_the_commands_take_standard_input_of_any_format(tmp_path: Path, command: str, content: bytes) -> None:
    folder = tmp_path / "log"
    done = CliRunner().invoke(app, [command, str(folder), "-", "--json"], input=content)
    assert done.exit_code == 0, done.output
    path = Path(json.loads(done.stdout)["file"])
    assert path.parent == folder / {"log": "predictions", "labels": "labels"}[command]
    assert read_table(path).equals(TABLE)


def test_the_command_takes_files_and_says_where_they_went(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "x": 0.5}\n\n{"id": 2, "x": null}\n', encoding="utf-8")
    (tmp_path / "a.csv").write_text("id,x\n1,0.5\n2,\n", encoding="utf-8")
    said = [
        CliRunner().invoke(app, ["log", str(tmp_path / "log"), str(tmp_path / name)]).stdout
        for name in ("a.jsonl", "a.csv")
    ]
    assert said[0] == said[1]
    assert said[0].startswith(f"Kept as {tmp_path / 'log'}")
    assert read_table(tmp_path / "log" / "predictions").num_rows == 2


def test_json_that_is_none_is_an_error_that_names_its_source(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["log", str(tmp_path / "log"), "-"], input='{"id": 1')
    assert isinstance(done.exception, UnreadableTableError)
    assert "standard input is neither JSON lines nor a JSON array" in str(done.exception)
    assert not (tmp_path / "log").exists()
