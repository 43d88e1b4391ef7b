"""Topics of Kafka as a source: from a broker's partition to the store, each message once, whatever dies."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pytest
import uvicorn
from tests.integrations.conftest import Broker, as_values
from typer.testing import CliRunner

from pitstop.cli.main import app
from pitstop.cli.topic_rows import open_door
from pitstop.errors import OverloadedError
from pitstop.integrations.kafka_settings import read_topic
from pitstop.integrations.kafka_source import KafkaSource
from pitstop.integrations.topic_run import Run
from pitstop.service.ingest.app import ingest_app
from pitstop.service.ingest.drain import Drain
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home

GROUP = "pitstop-loans-predictions"  # unless the address names one
# Rows of this model have no id, so nothing but the names of batches keeps one from counting twice.
NAMELESS = ('id = "id"\nlabel = "paid"\nlabel_time = "paid_on"\n', 'label = "paid"\nlabel_time = "paid_on"\n')
KILLED_AFTER = """
import os, signal, sys
from pitstop.cli import topic_feed
from pitstop.cli.main import run
hand_over, count = topic_feed.hand_over_run, 0
def hand_over_and_die(door, kind, run):
    global count
    rows = hand_over(door, kind, run)
    count += 1
    if count == {count}:
        os.kill(os.getpid(), signal.SIGKILL)
    return rows
topic_feed.hand_over_run = hand_over_and_die
run()
"""


@pytest.fixture
def workspace(tmp_path: Path, loans: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "w") as made:
        text = (loans / "pitstop.toml").read_text(encoding="utf-8")
        made.register(text, at=1)
        made.register(text.replace('"loans"', '"nameless"').replace(*NAMELESS), at=1)
        made.register(text.replace('"loans"', '"scored"').replace("[columns]", '[columns]\nscore = "score"'), at=1)
        yield made


def member(folder: Path, name: str, *more: str) -> list[str]:
    """Return options of a reader that the group knows again when it comes back, as those of a service do."""
    path = folder / f"{name}.properties"
    path.write_text(
        "\n".join([f"group.instance.id={name}", "session.timeout.ms=6000", "heartbeat.interval.ms=300", *more])
    )
    return ["--settings", str(path)]


def row(number: int, **more: Any) -> dict[str, Any]:
    found = {"id": f"r{number}", "day": "2024-01-01T00:00:00Z", "income": float(number), "branch": "abc"[number % 3]}
    return {**found, **more}


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [row(number) for number in range(first, first + count)]


def feed(target: str, source: str, *options: str, model: str = "loans") -> dict[str, Any]:
    done = CliRunner().invoke(app, ["feed", target, source, "--model", model, "--json", *options])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == int(bool(found["problems"]))
    return found


def feeding(
    target: Path, source: str, *options: str, program: str = "", model: str = "nameless"
) -> subprocess.Popen[bytes]:
    """Start `pitstop feed` as a process of its own."""
    words = ["feed", str(target), source, "--model", model, "--json", *options]
    code = program or "from pitstop.cli.main import run; run()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def stored(workspace: Workspace, model: str = "loans", column: str = "@id") -> list[Any]:
    """Store what is in the spool; return one column of all rows that are kept."""
    with RegisteredSpecs(workspace.path) as specs, Drain(workspace.path, specs) as drain:
        drain.run_dry()
    with Home.open(workspace.records, read_only=True) as home:
        return list(home.read_segments("predictions", model)[column].to_pylist())


def set_aside(workspace: Workspace) -> dict[str, tuple[str, bytes, str]]:
    """Return the quarantine: kind, content and reason by name."""
    with RegisteredSpecs(workspace.path) as specs, Inbox(workspace.path, specs) as inbox:
        return {
            item.batch_id: (item.kind, inbox.quarantined_batch(item.number).payload, item.reason)
            for item in inbox.quarantined()
        }


def once(workspace: Workspace, count: int) -> None:
    """Rows without an id: none is lost, none is there twice."""
    counts = Counter(int(value) for value in stored(workspace, "nameless", "income"))
    assert [number for number in range(count) if not counts[number]] == []
    assert [number for number, times in counts.items() if times > 1] == []


def arrow(some: Sequence[dict[str, Any]]) -> bytes:
    sink, table = io.BytesIO(), pa.Table.from_pylist(list(some))
    with pa_ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def test_an_odd_message_is_set_aside_by_its_offset_and_the_others_go_on(workspace: Workspace, broker: Broker) -> None:
    broker.make("odd", 2)
    odd = [b'{"id":', b"\0\0\0\0\7Obj", b'"text"', *as_values([row(900, income="much")]), b"\xff\xfe", None]
    broker.write("odd", as_values(rows(0, 30)), 0)
    broker.write("odd", [*as_values(rows(30, 20)), *odd, *as_values(rows(50, 10))], 1)
    assert feed(str(workspace.path), broker.url("odd", "")) == {"rows": 61, "files": 0, "problems": []}
    assert feed(str(workspace.path), broker.url("odd", ""))["rows"] == 0
    assert sorted(stored(workspace)) == sorted(f"r{number}" for number in range(60))
    found = set_aside(workspace)
    assert sorted(found) == [f"kafka:odd/1/{offset}" for offset in range(20, 25)]
    assert found["kafka:odd/1/20"][1] == b'{"id":'
    assert "Avro" in found["kafka:odd/1/21"][2]
    assert "topic odd, partition 1, offset 21" in found["kafka:odd/1/21"][2]
    assert "'much'" in found["kafka:odd/1/23"][2]
    # A person mends it, and it is stored then.
    with RegisteredSpecs(workspace.path) as specs, Inbox(workspace.path, specs) as inbox:
        number = next(item.number for item in inbox.quarantined() if item.batch_id == "kafka:odd/1/23")
        inbox.mend(number, as_values([row(900)])[0])
    assert "r900" in stored(workspace)
    assert [(place.offset, place.metadata) for place in broker.committed("odd", GROUP, 2)] == [(30, ""), (36, "")]


def test_what_else_a_message_may_hold(workspace: Workspace, broker: Broker) -> None:
    """Arrays, lines, tables, envelopes; and the events of loggers, whose halves come in any order."""
    broker.make("kinds")
    lines = b"\n".join(as_values(rows(2, 2)))
    envelope = json.dumps({"schema": {"type": "struct"}, "payload": row(6)}).encode()
    broker.write("kinds", [json.dumps(rows(0, 2), indent=2).encode(), lines, arrow(rows(4, 2)), envelope])
    broker.write("kinds", [b"\0\0\0\0\1" + as_values([row(7)])[0], json.dumps(row(8, branch="ä")).encode("utf-16")])
    assert feed(str(workspace.path), broker.url("kinds")) == {"rows": 9, "files": 0, "problems": []}
    assert sorted(stored(workspace)) == [f"r{number}" for number in range(9)]
    broker.make("events")
    common = {"ce_specversion": b"1.0", "ce_source": b"/", "content-type": b"application/json"}
    for place, name in enumerate((b"q1", "q2 ä%".encode())):
        halves = [
            ({"ce_type": b"org.kubeflow.serving.inference.request"}, {"instances": [[1.0, "a"]]}),
            ({"ce_type": b"org.kubeflow.serving.inference.response"}, {"predictions": [0.25]}),
        ]
        for headers, body in halves[:: 1 - 2 * place]:
            written = {**common, **headers, "ce_id": name, "ce_annotations": "kön".encode()}
            broker.write("events", [json.dumps(body).encode()], headers=written)
    told = {"specversion": "1.0", "type": "seldon.feedback", "id": "q1", "source": "/", "data": {"truth": ["1"]}}
    broker.write(
        "events",
        [json.dumps({**told, "type": f"io.{told['type']}"}).encode(), b"{}"],
        headers={"content-type": b"application/cloudevents+json; charset=utf-8"},
    )
    found = feed(str(workspace.path), broker.url("events"), model="scored")
    assert found == {"rows": 5, "files": 0, "problems": []}
    assert sorted(stored(workspace, "scored")) == ["q1", "q2 ä%"]
    assert list(set_aside(workspace)) == ["kafka:events/0/5"]
    with Home.open(workspace.records, read_only=True) as home:
        assert home.read_segments("labels", "scored")["@id"].to_pylist() == ["q1"]


@pytest.mark.parametrize("count", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_a_reader_that_is_killed_between_acknowledgement_and_commit(
    workspace: Workspace, broker: Broker, tmp_path: Path, count: int
) -> None:
    """More came meanwhile: whoever goes on cuts the same run, and only then what is new."""
    topic = f"killed{count}"
    broker.make(topic)
    broker.write(topic, as_values(rows(0, 25)))
    words = (broker.url(topic), "--rows", "20", *member(tmp_path, "one"))
    killed = feeding(workspace.path, *words, program=KILLED_AFTER.format(count=count))
    assert killed.wait(60) == -signal.SIGKILL
    broker.write(topic, as_values(rows(25, 30)))
    place = broker.committed(topic, topic)[0]
    assert place.offset == 20 * (count - 1)
    assert place.metadata.startswith(f"pitstop:{place.offset}-{[20, 25][count - 1]}:")
    assert feed(str(workspace.path), *words, model="nameless")["rows"] == 55 - place.offset
    once(workspace, 55)


def test_a_topic_that_was_made_anew_is_no_repetition_of_the_old_one(workspace: Workspace, broker: Broker) -> None:
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - the fixture skips where it is missing

    broker.make("anew")
    broker.write("anew", as_values(rows(0, 20)))
    assert feed(str(workspace.path), broker.url("anew"), model="nameless")["rows"] == 20
    admin = AdminClient(broker.settings())
    admin.delete_topics(["anew"])["anew"].result(20)
    broker.make("anew")
    broker.write("anew", as_values(rows(20, 10)))
    found = feed(str(workspace.path), broker.url("anew"), model="nameless")
    if found["rows"]:  # a broker may forget the group's offsets together with the topic
        assert found["rows"] == 10
    once(workspace, 30)


class Serving:
    """The intake of a workspace behind HTTP, in a thread."""

    def __init__(self, workspace: Workspace, port: int = 0) -> None:
        self._specs = RegisteredSpecs(workspace.path)
        self._inbox = Inbox(workspace.path, self._specs)
        config = uvicorn.Config(ingest_app(self._inbox), port=port, log_level="critical", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._inbox.close()
        self._specs.close()


def test_a_service_that_is_away_or_full_is_waited_for(workspace: Workspace, broker: Broker) -> None:
    broker.make("away", 2)
    broker.write("away", as_values(rows(0, 10)), 0)
    serving = Serving(workspace)
    address = f"http://127.0.0.1:{serving.port}"
    odd = [b"{", *as_values(rows(10, 10))]
    broker.write("away", odd, 1)
    assert feed(address, broker.url("away"), model="nameless") == {"rows": 20, "files": 0, "problems": []}
    serving.stop()
    broker.write("away", as_values(rows(20, 10)), 0)
    topic = read_topic(broker.url("away"), "")
    problems: list[str] = []
    refusals = iter([OverloadedError("too much", 1), OverloadedError("too much", 0)])
    with open_door(address, "nameless", "") as door:
        from pitstop.cli.topic_rows import hand_over_run  # noqa: PLC0415 - beside its use

        def take(run: Run) -> int:
            for refusal in refusals:
                raise refusal
            return hand_over_run(door, "predictions", run)

        with KafkaSource(topic, take) as source:
            found, until, serving_again = 0, time.monotonic() + 60, None
            while found < 15 and time.monotonic() < until:
                told = source.turn(0.1)
                found += told.rows
                problems += told.problems
                if serving_again is None and any("does not answer" in text for text in problems):
                    broker.write("away", as_values(rows(30, 5)), 1)
                    serving_again = Serving(workspace, serving.port)
        assert serving_again is not None
        serving_again.stop()
    assert found == 15
    assert problems.count("too much") == 2
    once(workspace, 35)
    assert list(set_aside(workspace)) == ["kafka:away/1/0"]


@pytest.mark.slow
def test_readers_that_are_killed_and_joined_while_the_broker_hangs(
    workspace: Workspace, broker: Broker, tmp_path: Path
) -> None:
    """Two partitions, one or two readers, rows that come all the time: kill -9 of a reader, a broker that hangs."""
    broker.make("storm", 2)
    draw, count, over = random.Random(11), 0, threading.Event()

    def write() -> None:
        nonlocal count
        while not over.is_set():
            broker.write("storm", as_values(rows(count, 12)), draw.randrange(2))
            count += 12
            time.sleep(0.1)

    def reading(name: str) -> subprocess.Popen[bytes]:
        quick = member(tmp_path, name, "reconnect.backoff.max.ms=500")
        return feeding(workspace.path, broker.url("storm"), "--every", "0.05", "--rows", "15", *quick)

    writer = threading.Thread(target=write)
    writer.start()
    readers = {"one": reading("one")}
    try:
        for turn in range(7):
            name = draw.choice(("one", "two"))
            if name not in readers:
                readers[name] = reading(name)
            time.sleep(draw.uniform(1.0, 2.0))
            broker.process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            broker.process.send_signal(signal.SIGCONT)
            if turn % 3 != 1:
                readers[name].kill()
                readers[name].wait()
                readers[name] = reading(name)
        over.set()
        writer.join()
        until = time.monotonic() + 30
        while sum(at.offset for at in broker.committed("storm", "storm", 2)) < count and time.monotonic() < until:
            time.sleep(0.2)
    finally:
        over.set()
        for reader in readers.values():
            reader.terminate()
            assert reader.wait(20) in (0, -signal.SIGTERM)  # one that was only starting ends as any program
    once(workspace, count)


MOCK = """
import time
from confluent_kafka import Producer
kept = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0})
broker = next(iter(kept.list_topics(timeout=20).brokers.values()))
print(f"{broker.host}:{broker.port}", flush=True)
while True:
    kept.poll(1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("deed", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hangs"])
def test_another_reader_goes_on_where_one_was_lost(workspace: Workspace, tmp_path: Path, deed: signal.Signals) -> None:
    """The group misses it and gives its partitions away; one that only hung wakes in the middle of its batch.

    On librdkafka's own cluster, a process of its own: unlike the other broker it watches sessions.
    """
    mock = subprocess.Popen([sys.executable, "-c", MOCK], stdout=subprocess.PIPE, text=True)
    assert mock.stdout is not None
    other = Broker.at(mock.stdout.readline().strip())
    try:
        other.write("lost", as_values(rows(0, 25)))
        (tmp_path / "k.properties").write_text("session.timeout.ms=6000\nheartbeat.interval.ms=300\n")
        words = (other.url("lost"), "--rows", "20", "--settings", str(tmp_path / "k.properties"))
        program = KILLED_AFTER.format(count=1).replace("SIGKILL", deed.name)
        first = feeding(workspace.path, *words, "--every", "0.1", program=program)
        while not other.committed("lost", "lost")[0].metadata:
            time.sleep(0.1)
        other.write("lost", as_values(rows(25, 30)))
        found = feed(str(workspace.path), *words, model="nameless")
        assert found == {"rows": 55, "files": 0, "problems": []}
        if deed == signal.SIGSTOP:
            other.write("lost", as_values(rows(55, 5)))
            first.send_signal(signal.SIGCONT)
            until = time.monotonic() + 30
            while other.committed("lost", "lost")[0].offset < 60 and time.monotonic() < until:
                time.sleep(0.2)
        first.kill()
        first.wait()
        once(workspace, 60 if deed == signal.SIGSTOP else 55)
    finally:
        mock.kill()
        mock.communicate()
