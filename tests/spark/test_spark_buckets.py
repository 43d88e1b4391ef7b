"""Tables in a bucket on Spark without a jar for them: executors read them with PyArrow, and nobody shows the keys."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from pyarrow import fs
from typer.testing import CliRunner

from pitstop.cli.check_command import check
from pitstop.engines import spark_parts
from pitstop.engines.counting import Reading
from pitstop.engines.local import LocalEngine
from pitstop.engines.spark import SparkEngine
from pitstop.engines.spark_parts import Access
from pitstop.errors import EngineError, MissingColumnError, UnreadableTableError
from pitstop.records.addresses import Address
from pitstop.records.scans import scan_table
from pitstop.testing.engine_laws import counted_at_once, example, layout, model

app = typer.Typer()
app.command()(check)
pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::ResourceWarning",
        "ignore:PySpark does not yet fully support pandas:FutureWarning",
    ),
]


def put(url: str, tables: dict[str, pa.Table], rows: int = 40) -> None:
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")  # s3rver stores them as content
    store, root = fs.FileSystem.from_uri(url)
    for name, table in tables.items():
        content = io.BytesIO()
        pq.write_table(table, content, row_group_size=rows)
        with store.open_output_stream(f"{root}/{name}") as file:
            file.write(content.getvalue())


@pytest.fixture
def table(bucket: Any, request: pytest.FixtureRequest) -> tuple[str, pa.Table]:
    rows = example(seed=3, rows=200)
    url = bucket.url(request.node.name.replace("[", "-").replace("]", ""))
    put(url, {"day=1/a.parquet": rows.slice(0, 90), "day=2/b.parquet": rows.slice(90), "_notes": rows.slice(0, 1)})
    return url, rows


def test_profiles_and_excerpts_are_those_of_the_local_engine(spark: Any, table: tuple[str, pa.Table]) -> None:
    (url, rows), spec, engine = table, model(), SparkEngine(session=spark)
    bins = layout(rows, spec)
    expected = counted_at_once(rows, bins, spec)
    assert dict(engine.profiles(url, spec, bins)) == expected
    assert dict(LocalEngine(threads=2).profiles(url, spec, bins)) == expected
    there, here = engine.excerpt(url), LocalEngine().excerpt(rows)
    assert (there.names, there.rows) == (here.names, here.rows)
    for mine, theirs in zip(there.samples(here.names, [7, 200]), here.samples(here.names, [7, 200]), strict=True):
        assert mine.schema == theirs.schema
        # As text, because a NaN equals nothing.
        assert str(mine.to_pylist()) == str(theirs.to_pylist())
    assert there.distinct(here.names).pack() == here.distinct(here.names).pack()


def test_only_row_groups_of_the_windows_asked_for_are_sent(
    spark: Any, table: tuple[str, pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    (url, rows), spec = table, model()
    bins = layout(rows, spec)
    everything = counted_at_once(rows, bins, spec)
    last = max(everything)
    sent: list[int] = []
    usual = spark_parts.on_parts

    def watched(session: Any, parts: Any, action: Any) -> Any:
        sent.append(len(parts))
        return usual(session, parts, action)

    monkeypatch.setattr(spark_parts, "on_parts", watched)
    found = dict(SparkEngine(session=spark).profiles(url, spec, bins, windows=(last, None)))
    assert found == {last: everything[last]}
    assert sent[0] < len(scan_table(url).parts)


class Ear:
    """A port before the server's, which notes who signed each request: s3rver itself lets anybody read."""

    def __init__(self, url: str) -> None:
        port = int(re.findall(r"127.0.0.1:(\d+)", url)[0])
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(str(port), str(self._socket.getsockname()[1]))
        threading.Thread(target=self._listen, args=(port,), daemon=True).start()

    def signers(self) -> list[str]:
        """Return the key of each request so far, "" for one without."""
        requests = re.split(rb"(?=(?:GET|HEAD|POST|PUT) /pitstop)", b"".join(self.heard))[1:]
        found = [re.findall(rb"Credential=(\w*)/", one) for one in requests]
        return [one[0].decode() if one else "" for one in found]

    def _listen(self, port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for ends in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError), target:
            while data := source.recv(1 << 16):
                if asks:
                    self.heard.append(data)
                target.sendall(data)

    def close(self) -> None:
        self._socket.close()


def test_executors_without_keys_get_the_drivers_and_nothing_shows_them(
    spark: Any, table: tuple[str, pa.Table], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (url, rows), spec = table, model()
    bins = layout(rows, spec)
    # The cluster's own environment has no key (`SETTINGS`): what signs the executors' requests came in the task.
    assert spark.conf.get("spark.executorEnv.AWS_ACCESS_KEY_ID") == ""
    with contextlib.closing(Ear(url)) as ear:
        parts = len(scan_table(ear.url).parts)
        alone = len(ear.signers())
        assert dict(SparkEngine(session=spark).profiles(ear.url, spec, bins)) == counted_at_once(rows, bins, spec)
        signers = ear.signers()
    assert len(signers) >= 2 * alone + parts
    assert set(signers) == {os.environ["AWS_ACCESS_KEY_ID"]}
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-shown")
    frame = SparkEngine(session=spark)._counted(url, Reading(spec, bins))
    frame.explain(extended=True)
    settings = json.dumps(spark.sparkContext.getConf().getAll())
    for shown in (repr(Access.of_environment()), str(Access.of_environment()), settings, capfd.readouterr().out):
        assert shown
        assert "not-to-be-shown" not in shown
    # What the store refuses is told without them.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with pytest.raises(UnreadableTableError, match="these credentials may read") as refused:
        SparkEngine(session=spark).excerpt(url)
    assert "not-to-be-shown" not in str(refused.value)


def test_an_executor_with_access_of_its_own_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "driver")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    access = pickle.loads(pickle.dumps(Access.of_environment()))  # noqa: S301 - our own bytes
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "executor")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    access.use()
    assert os.environ["AWS_ACCESS_KEY_ID"] == "executor"
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ  # half of each would be neither's
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    access.use()
    assert (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]) == ("driver", "secret")


def test_what_is_wrong_at_an_address_is_told(spark: Any, bucket: Any, table: tuple[str, pa.Table]) -> None:
    rows, spec, engine = table[1], model(), SparkEngine(session=spark)
    bins = layout(rows, spec)
    with pytest.raises(UnreadableTableError, match="nothing at s3://pitstop/nowhere; check the address"):
        engine.excerpt(bucket.url("nowhere"))
    with pytest.raises(UnreadableTableError, match="credentials in it"):
        Address("s3://key:secret@pitstop/table")
    put(bucket.url("texts"), {"notes.csv": rows})
    with pytest.raises(UnreadableTableError, match="holds no Parquet file"):
        engine.excerpt(bucket.url("texts"))
    put(bucket.url("lacking"), {"a.parquet": rows.drop_columns(["x"])})
    with pytest.raises(MissingColumnError, match="'x'"):
        list(engine.profiles(bucket.url("lacking"), spec, bins))
    put(bucket.url("delta"), {"a.parquet": rows, "_delta_log/0.json": rows})
    with pytest.raises(EngineError, match=r"Spark failed|Delta"):  # it is Spark's own to read, and this one has no jars
        engine.excerpt(bucket.url("delta"))


def test_the_command_says_of_a_bucket_what_it_says_of_files(spark: Any, bucket: Any, tmp_path: Path) -> None:
    del spark  # the command finds the active session
    sides, addresses = [], []
    for name, seed in (("a", 6), ("b", 7)):
        rows = example(seed=seed, rows=400)
        rows = rows if name == "a" else rows.drop_columns(["n"])
        sides.append(str(tmp_path / f"{name}.parquet"))
        pq.write_table(rows, sides[-1])
        addresses.append(bucket.url(f"check/{name}"))
        put(addresses[-1], {"part.parquet": rows}, 90)
    runner = CliRunner()
    local = runner.invoke(app, [*sides, "--json"])
    assert local.exit_code == 1
    for engine in ("spark", "local"):
        other = runner.invoke(app, [*addresses, "--json", "--engine", engine])
        assert (other.exit_code, other.stdout) == (1, local.stdout)
