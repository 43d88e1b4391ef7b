"""A broker that speaks Kafka's protocol, started by the tests: a process of its own, reached over TCP."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

STARTS_WITHIN = 20.0


class Broker:
    """A broker on a free port of `host`; it keeps everything in a folder when it is stopped."""

    @classmethod
    def at(cls, address: str) -> Broker:
        """Return one that somebody else has started."""
        made = cls.__new__(cls)
        made.host, port = address.rsplit(":", 1)
        made.port = int(port)
        return made

    def __init__(self, program: Path, folder: Path, host: str = "127.0.0.1") -> None:
        self.program, self._folder, self.host = program, folder, host
        with socket.socket() as free:
            free.bind((host, 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        where = ("--kafka-port", str(self.port), "--host", self.host, "--data-dir", str(self._folder))
        self.process = subprocess.Popen(
            [str(self.program), "start", "--only", "kafka", *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until:
            try:
                with socket.create_connection((self.host, self.port), 1):
                    return
            except OSError:
                time.sleep(0.05)
        pytest.fail("the broker did not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def url(self, topic: str, options: str | None = None) -> str:
        """Return the topic's address, with a group of its own."""
        return f"kafka://{self.host}:{self.port}/{topic}{f'?group={topic}' if options is None else options}"

    def settings(self, **more: Any) -> dict[str, Any]:
        return {"bootstrap.servers": f"{self.host}:{self.port}", "log_level": 0, **more}

    def make(self, topic: str, partitions: int = 1) -> None:
        """Make a topic."""
        from confluent_kafka.admin import AdminClient, NewTopic  # noqa: PLC0415 - where it is missing, tests skip

        admin = AdminClient(self.settings())
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)

    def write(
        self,
        topic: str,
        values: Sequence[bytes | None],
        partition: int = 0,
        headers: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write messages; when it returns the broker has acknowledged them."""
        from confluent_kafka import Producer  # noqa: PLC0415 - as above

        failed: list[Any] = []
        producer = Producer(self.settings(retries=1000, **{"max.in.flight.requests.per.connection": 1}))
        for value in values:
            producer.produce(
                topic,
                value,
                partition=partition,
                headers=list((headers or {}).items()),
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
            producer.poll(0)
        assert producer.flush(30) == 0
        assert not failed

    def committed(self, topic: str, group: str, partitions: int = 1) -> list[Any]:
        """Return what the group keeps of each partition."""
        from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - as above

        consumer = Consumer(self.settings(**{"group.id": group}))
        try:
            return list(consumer.committed([TopicPartition(topic, number) for number in range(partitions)], timeout=20))
        finally:
            consumer.close()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """Start a broker (noida-db, from PyPI)."""
    found = importlib.util.find_spec("noida_db")
    if found is None or not found.submodule_search_locations:
        pytest.skip("noida-db is not installed (pip install -r requirements/contract.txt)")
    if importlib.util.find_spec("confluent_kafka") is None:
        pytest.skip("confluent-kafka is not installed (pip install confluent-kafka)")
    program = Path(found.submodule_search_locations[0]) / "noida-db"
    program.chmod(0o755)
    folder = Path(tempfile.mkdtemp(prefix="pit-kafka-"))
    server = Broker(program, folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def as_values(rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return rows as messages in JSON."""
    return [json.dumps(row).encode() for row in rows]
