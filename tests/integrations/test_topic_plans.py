"""Plans of runs store each message once under every crash; and how a topic is reached, without secrets in sight."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integrations.conftest import Broker

from pitstop.cli.topic_rows import hand_over_run, open_door
from pitstop.errors import IngestError
from pitstop.integrations.kafka_settings import read_topic
from pitstop.integrations.kafka_source import KafkaSource
from pitstop.integrations.partition import Partition
from pitstop.integrations.topic_run import Message, Plan, Run
from pitstop.service.ingest.formats import MEDIA_TYPES
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.workspace import Workspace

MOST = 5


@pytest.fixture
def workspace(tmp_path: Path, loans: Path) -> Path:
    """Return a workspace with one model."""
    with Workspace.open(tmp_path / "w") as made:
        made.register((loans / "pitstop.toml").read_text(encoding="utf-8"), at=1)
    return tmp_path / "w"


class KilledError(Exception):
    """The reader is killed here."""


def die(crash: str | None, here: str) -> None:
    if crash == here:
        raise KilledError


class Log:
    """A partition, what the group keeps of it, and a service that knows the names of batches."""

    def __init__(self) -> None:
        self.messages: dict[int, bytes] = {}
        self.end = 0
        self.position, self.plan_text = 0, ""
        self.names: set[str] = set()
        self.stored: Counter[int] = Counter()
        self.gone: set[int] = set()

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.messages[self.end] = b"x"
            self.end += 1

    def compact(self, offset: int) -> None:
        """Drop a message, as compaction and retention do."""
        if self.messages.pop(offset, None) is not None:
            self.gone.add(offset)

    def read(self, crash: str | None) -> None:
        """A reader begins, reads what there is, and is killed at one of its steps or goes away at the end."""
        part = Partition("t", 0, self.position, Plan.read(self.plan_text))
        for offset in sorted(self.messages):
            if offset >= part.position:
                part.add(Message(offset, None, {}, self.messages[offset]), 0.0)
        part.end = self.end
        try:
            while True:
                if part.plan is None and part.messages:
                    part.make_plan(MOST, 1 << 20)
                if part.dirty:
                    die(crash, "before commit")
                    self.position, self.plan_text = part.position, part.plan.text if part.plan else ""
                    part.dirty = False
                    die(crash, "after commit")
                if part.hand_over(lambda run: self.take(run, crash)) is None:
                    break
        except KilledError:
            return
        assert part.at_end

    def take(self, run: Run, crash: str | None) -> int:
        die(crash, "before acknowledgement")
        if run.name not in self.names:
            self.names.add(run.name)
            self.stored.update(message.offset for message in run.messages)
        die(crash, "after acknowledgement")
        return len(run.messages)


CRASHES = st.sampled_from([None, "before commit", "after commit", "before acknowledgement", "after acknowledgement"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.integers(1, 12)),
        st.tuples(st.just("read"), CRASHES),
        st.tuples(st.just("compact"), st.integers(0, 40)),
    ),
    max_size=25,
)


@given(STEPS)
def test_each_message_is_stored_once_wherever_readers_die(steps: list[tuple[str, object]]) -> None:
    log = Log()
    for deed, what in steps:
        getattr(log, deed)(what)
    log.read(None)
    assert [offset for offset, times in log.stored.items() if times > 1] == []
    # Nothing is missing but what the topic itself had dropped before it was read.
    assert {offset for offset in range(log.end) if not log.stored[offset]} <= log.gone
    assert log.plan_text == ""
    assert not [offset for offset in log.messages if offset >= log.position]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ROW = st.fixed_dictionaries(
    {"id": st.text(max_size=3), "day": st.just("2024-01-01T00:00:00Z")}, optional={"income": JSON}
)
VALUES = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.sampled_from([b"PAR1", b"\xff\xff\xff\xff\0", b"\0\0\0\0\1{}", b"{}\n{}", b"[" * 3000]),
    st.builds(lambda value: json.dumps(value).encode(), st.one_of(JSON, ROW, st.lists(ROW, max_size=3))),
    st.builds(lambda value: json.dumps({"type": "x.feedback", "id": "q", "data": value}).encode(), JSON),
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "ce_type", "ce_id", "ce_time", "ce_specversion", "x"]),
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from([*(name.encode() for name in MEDIA_TYPES), b"application/cloudevents+json", b"io.x.feedback"]),
    ),
    max_size=4,
)


@given(st.lists(st.tuples(VALUES, HEADERS), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_whatever_a_message_holds_it_is_rows_or_in_the_quarantine(
    workspace: Path, content: list[tuple[bytes | None, dict[str, bytes]]]
) -> None:
    """Nothing raises, and each message is taken in once or set aside once; then the worker stores them all."""
    messages = tuple(Message(place, 0, headers, value) for place, (value, headers) in enumerate(content))
    run = Run("t", 0, Plan.of(0, max(len(messages), 1)), messages)
    with open_door(str(workspace), "loans", "") as door:
        hand_over_run(door, "predictions", run)
        hand_over_run(door, "predictions", run)
    with RegisteredSpecs(workspace) as specs, Inbox(workspace, specs) as inbox:
        before = {item.number for item in inbox.quarantined()}
        with inbox.drain() as drain:
            drain.run_dry()
        fresh = [item for item in inbox.quarantined() if item.number not in before]
    names = Counter(
        item.batch_id for item in fresh if item.batch_id.startswith("kafka:") and ":" not in item.batch_id[6:]
    )
    assert max(names.values(), default=1) == 1
    assert set(names) <= {run.name_of(message) for message in messages if message.value is not None}


@pytest.mark.parametrize("text", ["", None, "somebody else's", "pitstop:1-2:zz", "pitstop:1-2:0123456789abcdef "])
def test_what_is_no_plan_of_ours_is_none(text: str | None) -> None:
    assert Plan.read(text) is None


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = Plan.of(3, 9)
    assert Plan.read(plan.text) == plan
    assert Plan.of(3, 9).text != plan.text


def test_settings_come_from_a_file_and_the_environment_and_stay_out_of_sight(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# ours\nsecurity.protocol = SASL_SSL\nsasl.password=hush=1\nclient.id=me\n")
    environment = {"PITSTOP_KAFKA_SASL_USERNAME": "u", "PITSTOP_KAFKA_CLIENT_ID": "you", "PITSTOP_KAFKA_SETTINGS": "x"}
    topic = read_topic("kafka://a:1,b:2/my%20topic?group=g&from=latest", "other", file, environment)
    wanted = {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "SASL_SSL",
        "sasl.username": "u",
        "sasl.password": "hush=1",
        "client.id": "you",
        "group.id": "g",
        "enable.auto.commit": False,
    }
    assert {name: topic.settings[name] for name in wanted} == wanted
    assert (topic.name, topic.group, topic.begin) == ("my topic", "g", "latest")
    assert "hush" not in repr(topic)
    assert topic.without_secrets("bad hush=1") == "bad ***"
    assert read_topic("kafka://a:1/t", "other").group == "other"


@pytest.mark.parametrize(
    ("address", "content", "what"),
    [
        ("kafka://user:hush@a:1/t", "", "PITSTOP_KAFKA_SASL_PASSWORD"),
        ("kafka://a:1", "", "kafka://HOST:9092/TOPIC"),
        ("kafka://a:1/t/u", "", "kafka://HOST:9092/TOPIC"),
        ("kafka://a:1/t?sasl.password=hush", "", "kafka://HOST:9092/TOPIC"),
        ("kafka://a:1/t?from=now", "", "earliest, latest"),
        ("kafka://a:1/t", "enable.auto.commit=true", "leave it out"),
        ("kafka://a:1/t", "sasl.jaas.config=hush", "only Java"),
        ("kafka://a:1/t", "\nhush", "line 2"),
    ],
)
def test_what_an_address_and_a_file_may_not_say(tmp_path: Path, address: str, content: str, what: str) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(content)
    with pytest.raises(IngestError, match=what) as caught:
        read_topic(address, "g", file)
    assert "hush" not in str(caught.value).replace("sasl.password=hush", "")


def test_a_setting_that_the_client_does_not_know_is_said_without_the_secret() -> None:
    pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed")
    topic = read_topic(
        "kafka://a:1/t", "g", None, {"PITSTOP_KAFKA_SASL_PASSWORD": "hush", "PITSTOP_KAFKA_NO_SUCH": "hush"}
    )
    with pytest.raises(IngestError, match=r"refuses the settings.*no\.such") as caught:
        KafkaSource(topic, lambda run: len(run.messages))
    assert "hush" not in str(caught.value)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of 127.0.0.1 that vouches for itself, and its key."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "c.pem", folder / "k.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return public, private


class TlsInFront(threading.Thread):
    """Speaks TLS at 127.0.0.1 for a broker at 127.0.0.2 (same port), and gives that address out as its own."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        super().__init__(daemon=True)
        self.certificate, key = certificate(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._behind = (broker.host, broker.port)
        self._door = socket.create_server(("127.0.0.1", broker.port))
        self.greeted = 0

    def run(self) -> None:
        while True:
            try:
                plain, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _serve(self, plain: socket.socket) -> None:
        with plain, socket.create_connection(self._behind) as behind:
            try:
                with self._context.wrap_socket(plain, server_side=True) as secure:
                    self.greeted += 1
                    pull = threading.Thread(target=self._pull, args=(behind, secure), daemon=True)
                    pull.start()
                    while content := secure.recv(65536):
                        behind.sendall(content)
                    behind.shutdown(socket.SHUT_RDWR)
                    pull.join()
            except OSError:
                return

    @staticmethod
    def _pull(behind: socket.socket, secure: ssl.SSLSocket) -> None:
        try:
            while content := behind.recv(65536):
                secure.sendall(content.replace(b"127.0.0.2", b"127.0.0.1"))
        except OSError:
            return


def test_a_topic_is_read_over_tls_from_a_broker_that_is_known(broker: Broker, tmp_path: Path) -> None:
    inner = Broker(broker.program, tmp_path / "broker", "127.0.0.2")
    front = TlsInFront(inner, tmp_path)
    front.start()
    try:
        inner.make("secret")
        inner.write("secret", [b"1", b"2"])
        address = inner.url("secret").replace("127.0.0.2", "127.0.0.1")
        file = tmp_path / "kafka.properties"
        file.write_text("security.protocol=ssl\n")
        with KafkaSource(read_topic(address, "g", file), lambda run: len(run.messages)) as stranger:
            problems = [text for _ in range(8) for text in stranger.turn(0.1).problems]
        assert "certificate verify failed" in " ".join(problems)
        file.write_text(f"security.protocol=ssl\nssl.ca.location={front.certificate}\n")
        taken: list[bytes | None] = []

        def take(run: Run) -> int:
            taken.extend(message.value for message in run.messages)
            return len(run.messages)

        with KafkaSource(read_topic(address, "g", file), take) as source:
            until = time.monotonic() + 30
            while not source.done and time.monotonic() < until:
                source.turn(0.1)
        assert taken == [b"1", b"2"]
        assert front.greeted >= 2
    finally:
        front.close()
        inner.stop()
