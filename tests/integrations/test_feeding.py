"""Sources that grow: files on a disk and in a bucket, queries of DuckDB and PostgreSQL; each row is stored once."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from pyarrow import fs
from typer.testing import CliRunner

from pitstop.cli.main import app
from pitstop.errors import UnreadableTableError
from pitstop.integrations.file_source import FolderSource
from pitstop.integrations.sql_source import QuerySource, known, written
from pitstop.service.ingest.drain import Drain
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path, loans: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "w") as made:
        made.register((loans / "pitstop.toml").read_text(encoding="utf-8"), at=1)
        yield made


def rows(first: int, count: int) -> pa.Table:
    """Return some loans, a minute apart, four of them in each minute."""
    numbers = range(first, first + count)
    return pa.table(
        {
            "id": [f"r{number}" for number in numbers],
            "day": [START + timedelta(minutes=number // 4) for number in numbers],
            "income": [number / 100 for number in numbers],
            "branch": ["abc"[number % 3] for number in numbers],
        }
    )


def feed(workspace: Workspace, tmp_path: Path, source: str, *options: str) -> dict[str, Any]:
    words = ["feed", str(workspace.path), source, "--state", str(tmp_path / "state.json"), "--json", *options]
    done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == int(bool(found["problems"]))
    return found


def stored(workspace: Workspace, model: str = "loans") -> list[str]:
    """Store what is in the spool; return the ids of all rows that are kept, sorted."""
    with RegisteredSpecs(workspace.path) as specs, Drain(workspace.path, specs) as drain:
        while drain.step().bytes:
            pass
    with Home.open(workspace.records, read_only=True) as home:
        return sorted(home.read_segments("predictions", model)["@id"].to_pylist())


def ids(count: int) -> list[str]:
    return sorted(f"r{number}" for number in range(count))


def test_files_on_a_disk_are_taken_once_by_content(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "2024").mkdir(parents=True)
    pq.write_table(rows(0, 30), folder / "2024" / "a.parquet")
    pyarrow.csv.write_csv(rows(30, 20), folder / "b.csv")
    pq.write_table(rows(50, 10), folder / "_being_written.parquet")
    warm = feed(workspace, tmp_path, str(folder), "--settled", "3600")
    assert warm == {"rows": 0, "files": 0, "problems": []}
    later = time.time() + 3_600
    for path in folder.rglob("*.*"):
        os.utime(path, (later, later))  # copied from a machine whose clock is ahead
    assert feed(workspace, tmp_path, str(folder), "--settled", "3700") == warm
    assert feed(workspace, tmp_path, str(folder), "--settled", "5") == {"rows": 50, "files": 2, "problems": []}
    (tmp_path / "state.json").unlink()
    still = ["--settled", "0"]
    assert feed(workspace, tmp_path, str(folder), *still) == {"rows": 50, "files": 2, "problems": []}
    assert feed(workspace, tmp_path, str(folder), *still)["files"] == 0
    # The same content under another name, and a memory that was lost: handed over again, stored once.
    (folder / "copy.parquet").write_bytes((folder / "2024" / "a.parquet").read_bytes())
    assert feed(workspace, tmp_path, str(folder), *still)["rows"] == 30
    (tmp_path / "state.json").unlink()
    assert feed(workspace, tmp_path, str(folder), *still)["rows"] == 80
    (folder / "torn.parquet").write_bytes((folder / "2024" / "a.parquet").read_bytes()[:-10])
    (folder / "z.csv").write_bytes((folder / "b.csv").read_bytes().replace(b"r3", b"s3"))
    found = feed(workspace, tmp_path, str(folder), *still)
    assert (found["files"], "truncated" in found["problems"][0], "torn.parquet" in found["problems"][0]) == (
        1,
        True,
        True,
    )
    (folder / "torn.parquet").unlink()
    (folder / "_being_written.parquet").rename(folder / "c.parquet")
    assert feed(workspace, tmp_path, str(folder), *still) == {"rows": 10, "files": 1, "problems": []}
    assert set(stored(workspace)) == {*ids(60), *(f"s3{digit}" for digit in range(10))}
    assert len(stored(workspace)) == 70


def test_gzipped_files_are_read_once(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pyarrow.csv.write_csv(rows(0, 20), folder / "a.csv")
    (folder / "b.csv.gz").write_bytes(gzip.compress((folder / "a.csv").read_bytes().replace(b"r1", b"s1")))
    found = feed(workspace, tmp_path, str(folder), "--settled", "0")
    assert found == {"rows": 40, "files": 2, "problems": []}


def test_feeds_of_one_folder_do_not_forget_each_other(
    workspace: Workspace, tmp_path: Path, loans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def taken(source: str, target: str = "w") -> str:
        done = CliRunner().invoke(app, ["feed", target, source, "--settled", "0"])
        assert done.exit_code == 0, done.output
        return done.stdout

    for name, first in (("asked", 0), ("more", 1)):
        (tmp_path / name).mkdir()
        pq.write_table(rows(first, 1), tmp_path / name / "a.parquet")
        assert taken(name) == "1 row from 1 file taken in\n"
    assert [taken("asked"), taken("more")] == ["", ""]
    with Workspace.open(tmp_path / "other") as other:
        other.register((loans / "pitstop.toml").read_text(encoding="utf-8"), at=1)
    # Another workspace has had none of it.
    assert taken("asked", "other") == "1 row from 1 file taken in\n"
    assert set(stored(workspace)) == {"r0", "r1"}


def test_json_lines_are_rows_or_what_sagemaker_captured(workspace: Workspace, tmp_path: Path, loans: Path) -> None:
    text = (loans / "pitstop.toml").read_text(encoding="utf-8").replace('"loans"', '"scored"')
    workspace.register(text.replace("[columns]", '[columns]\nscore = "score"'), at=1)
    options = ["--settled", "0", "--model", "scored"]
    folder = tmp_path / "in"
    folder.mkdir()
    facts = [
        {"id": f"r{number}", "day": "2024-01-01T00:00:00Z", "income": 1.5, "branch": "a", "score": 0.5}
        for number in range(3)
    ]
    (folder / "rows.ndjson").write_text("".join(json.dumps(row) + "\n" for row in facts))
    part = {"mode": "INPUT", "encoding": "CSV", "observedContentType": "text/csv"}
    captured = {
        "captureData": {"endpointInput": {**part, "data": "0.5,b"}, "endpointOutput": {**part, "data": "0.25"}},
        "eventMetadata": {"eventId": "e", "inferenceId": "r3", "inferenceTime": "2024-01-01T00:00:00Z"},
        "eventVersion": "0",
    }
    (folder / "capture.jsonl").write_text(json.dumps(captured) + "\n")
    (folder / "broken.jsonl").write_text("{\n")
    found = feed(workspace, tmp_path, str(folder), *options)
    assert (found["rows"], found["files"], len(found["problems"])) == (4, 2, 1)
    (folder / "broken.jsonl").unlink()
    (tmp_path / "state.json").unlink()
    assert feed(workspace, tmp_path, str(folder), *options)["rows"] == 4
    assert stored(workspace, "scored") == ids(4)


@pytest.mark.slow
def test_files_in_a_bucket_are_watched_by_name(
    workspace: Workspace, tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # s3rver stores the newer checksums as if they were content.
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    url = bucket.url("in")
    store, root = fs.FileSystem.from_uri(url)
    for name, table in (("day=1/a.parquet", rows(0, 30)), ("day=2/a.parquet", rows(30, 30))):
        with store.open_output_stream(f"{root}/{name}") as file:
            pq.write_table(table, file)
    assert feed(workspace, tmp_path, url) == {"rows": 60, "files": 2, "problems": []}
    with store.open_output_stream(f"{root}/day=3/a.parquet") as file:
        pq.write_table(rows(60, 5), file)
    assert feed(workspace, tmp_path, url) == {"rows": 5, "files": 1, "problems": []}
    assert feed(workspace, tmp_path, url)["files"] == 0
    assert stored(workspace) == ids(65)
    with pytest.raises(UnreadableTableError, match="cannot list"):
        feed(workspace, tmp_path, url.replace("s3://pitstop/", "s3://nowhere/"))


Insert = Callable[[pa.Table], None]


def duckdb_at(path: Path) -> tuple[str, Insert]:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE loans (id TEXT, day TIMESTAMPTZ, income DOUBLE, branch TEXT)")

    def insert(table: pa.Table) -> None:
        with duckdb.connect(str(path)) as connection:
            connection.executemany(
                "INSERT INTO loans VALUES (?, ?, ?, ?)", [list(row.values()) for row in table.to_pylist()]
            )

    return str(path), insert


def postgresql_at(url: str) -> tuple[str, Insert]:
    address = url.partition("&schema")[0]
    engine = sa.create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS loans"))
        connection.execute(sa.text("CREATE TABLE loans (id TEXT, day TIMESTAMPTZ, income NUMERIC, branch TEXT)"))

    def insert(table: pa.Table) -> None:
        with engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO loans VALUES (:id, :day, :income, :branch)"), table.to_pylist())
        engine.dispose()

    return address, insert


@pytest.mark.parametrize("kind", ["duckdb", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_a_query_is_taken_from_its_watermark_on(
    workspace: Workspace, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    """Rows that come at the watermark itself are not missed; pages end in the middle of a minute."""
    if kind == "duckdb":
        source, insert = duckdb_at(tmp_path / "loans.duckdb")
    else:
        source, insert = postgresql_at(request.getfixturevalue("postgres").url("public"))
    draw = random.Random(1)
    query = ["--sql", "SELECT * FROM loans WHERE branch IN ('a', 'b', 'c') AND '{x}' <> ':y';", "--watermark", "day"]
    assert feed(workspace, tmp_path, source, *query) == {"rows": 0, "files": 0, "problems": []}
    count = 0
    for _ in range(4):
        more = draw.randrange(1, 30)
        insert(rows(count, more))
        count += more
        assert feed(workspace, tmp_path, source, *query, "--rows", "7")["rows"] >= more
        assert feed(workspace, tmp_path, source, *query, "--rows", "7")["rows"] <= 7
    assert stored(workspace) == ids(count)
    (tmp_path / "state.json").unlink()
    assert feed(workspace, tmp_path, source, *query)["rows"] == count
    assert stored(workspace) == ids(count)
    with pytest.raises(UnreadableTableError, match="raise --rows"):
        feed(workspace, tmp_path, source, *query[:1], query[1] + " ", *query[2:], "--rows", "3")
    commented = QuerySource(source, "SELECT * FROM loans -- all of them", "day")
    assert commented.page(None, 5).num_rows == 5
    with pytest.raises(UnreadableTableError, match="refuses"):
        QuerySource(source, "DELETE FROM loans", "day").page(None, 5)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("s3://KEY:SECRET@bucket/x?endpoint_override=127.0.0.1:9&scheme=http&region=r", "cannot list s3://bucket/x: "),
        ("foo://KEY:SECRET@bucket/x", "cannot find foo://bucket/x: "),
        ("s3://KEY:SECRET@a bucket/x", "cannot find s3://a bucket/x: "),
    ],
)
def test_a_secret_in_an_address_is_shown_to_nobody(place: str, words: str) -> None:
    with pytest.raises(UnreadableTableError, match=re.escape(words)) as caught:
        FolderSource(place).listed()
    assert "SECRET" not in str(caught.value)


def test_an_address_of_a_database_that_is_none_is_refused() -> None:
    with pytest.raises(UnreadableTableError, match="expected postgresql://"):
        QuerySource("postgresql://me@here:port/x", "SELECT 1 AS n", "n").page(None, 1)


@pytest.mark.parametrize("value", [3, 2.5, "b", START, START.date()], ids=str)
def test_a_watermark_is_written_and_known_again(value: Any) -> None:
    assert known(json.loads(json.dumps(written(value)))) == value


@pytest.mark.slow
def test_a_feed_that_is_killed_and_started_again_stores_each_row_once(workspace: Workspace, tmp_path: Path) -> None:
    """Kill -9 at random moments, while files come: nothing is lost, nothing is there twice."""
    folder = tmp_path / "in"
    folder.mkdir()
    words = ["feed", str(workspace.path), str(folder), "--state", str(tmp_path / "state.json"), "--settled", "0"]
    program = [sys.executable, "-c", "from pitstop.cli.main import run; run()", *words, "--every", "0.02"]
    draw, count = random.Random(5), 0
    for _ in range(6):
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
        until = time.monotonic() + draw.uniform(1.0, 2.5)
        while time.monotonic() < until:
            pq.write_table(rows(count, 20), folder / ".part")
            (folder / ".part").rename(folder / f"{count:06}.parquet")
            count += 20
            time.sleep(0.1)
        process.kill()
        process.wait()
    subprocess.run(program[:-2], check=True, stdout=subprocess.DEVNULL, timeout=120)
    assert stored(workspace) == ids(count)
    assert pc.count_distinct(pa.array(stored(workspace))).as_py() == count
