"""Messages: what is told, once each; how it is signed, tried again and recorded; and where it may never go."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from pitstop.errors import AccessError, StoreError
from pitstop.integrations.serving import run
from pitstop.service.fleet import FLEET
from pitstop.service.looking import Looking
from pitstop.service.notify.addresses import is_public, pinned
from pitstop.service.notify.channels import Channels
from pitstop.service.notify.courier import DIGEST_MICROSECONDS, TRIES, Courier, notice
from pitstop.service.notify.webhook import send, signature

from .conftest import NOON, PLACES, Opened

LOCAL = frozenset({"127.0.0.1"})
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the example of the specification


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """Run every test of this module on both catalogs."""
    return str(request.param)


class Receiver(ThreadingHTTPServer):
    """Notes every request, and answers with the next of `answers` (200 when there are none left)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?a=b"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.seen.append((self.path, {name.lower(): text for name, text in self.headers.items()}, body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server
        server.shutdown()


def rows(opened: Opened) -> list[Any]:
    table = FLEET.tables["deliveries"]
    with opened.workspace.fleet.read() as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.number)))


def go_on(opened: Opened, loans: Path, as_of: str) -> None:
    model = opened.workspace.model("loans")
    run(model.home, spec=model.spec, source=str(loans / "loans.csv"), base=loans, as_of=as_of)


@pytest.mark.parametrize(
    "target", ["opsgenie://APIKEY", "signl4://SECRET", "pagerduty://integration@APIKEY", "pover://user@TOKEN"]
)
@pytest.mark.parametrize("place", ["folder"])
def test_a_key_in_an_address_is_shown_to_nobody(opened: Opened, target: str) -> None:
    channels = Channels(opened.workspace.fleet)
    channels.add("phone", "apprise", target, None, "", by="root", at=NOON)
    channels.add("hook", "webhook", "https://hooks.example.com/SECRET", None, "", by="root", at=NOON)
    assert [channel.shown for channel in channels.all()] == [
        "https://hooks.example.com/…",
        f"{target.partition(':')[0]}://…",
    ]


def test_each_change_of_an_incident_is_told_once_and_the_rest_with_the_digest(
    opened: Opened, loans: Path, receiver: Receiver
) -> None:
    workspace, channels = opened.workspace, Channels(opened.workspace.fleet)
    hook = channels.add("hook", "webhook", receiver.address, None, "", by="root", at=NOON)
    channels.add("others", "webhook", receiver.address, ["churn"], "", by="root", at=NOON)
    channels.add("bobs", "webhook", receiver.address, None, "bob", by="root", at=NOON)
    assert notice(workspace, "loans", NOON) == ()
    go_on(opened, loans, "2024-06-20")
    seen = [event.kind for event in notice(workspace, "loans", NOON)]
    Courier(workspace, lambda: NOON).gather()
    kinds = [row.kind for row in rows(opened)]
    assert seen == kinds
    assert kinds.count("incident.opened") == 1
    assert "decision" in kinds
    assert notice(workspace, "loans", NOON) == ()
    assert {row.channel for row in rows(opened)} == {"hook"}

    now = [NOON]
    courier = Courier(workspace, lambda: now[0], allowed=LOCAL)
    receiver.answers = [500, 302]
    assert courier.step() == kinds.count("incident.opened") + sum(kind.startswith("release.") for kind in kinds)
    now[0] += 3_600_000_000
    assert courier.step() == 1
    now[0] += 3_600_000_000
    assert courier.step() == 1
    now[0] += 3_600_000_000
    assert courier.step() == 0
    told = [json.loads(body) for _, _, body in receiver.seen]
    assert [item["type"] for item in told] == ["incident.opened"] * 3
    assert len({headers["webhook-id"] for _, headers, _ in receiver.seen}) == 1
    first = rows(opened)[0]
    assert (first.state, first.tries) == ("sent", 3)
    assert all(row.state == "waiting" for row in rows(opened) if row.kind == "decision")
    now[0] = (NOON // DIGEST_MICROSECONDS + 1) * DIGEST_MICROSECONDS
    assert courier.step() == kinds.count("decision")
    assert all(row.state == "sent" for row in rows(opened))
    assert signature(hook.secret, "x", 1, b"") != signature(SECRET, "x", 1, b"")


def test_an_answer_that_drips_holds_nobody_up_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as other:
                for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 200:
                    other.sendall(bytes([byte]))
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        began = time.monotonic()
        where = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert send(where, SECRET, "m", b"{}", 1, allowed=LOCAL, seconds=1.0) == "no whole answer within 1 seconds"
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("target", ["https://host:port/", "http://[no-address/", "http://127.0.0.1:99999/"])
def test_an_address_that_is_none_is_said_and_raises_nothing(target: str) -> None:
    assert send(target, SECRET, "m", b"{}", 1, allowed=LOCAL).startswith("ValueError: ")


def test_a_message_that_is_never_taken_is_given_up_on_record(opened: Opened, loans: Path, receiver: Receiver) -> None:
    Channels(opened.workspace.fleet).add("hook", "webhook", receiver.address, None, "", by="root", at=NOON)
    notice(opened.workspace, "loans", NOON)
    go_on(opened, loans, "2024-06-20")
    notice(opened.workspace, "loans", NOON)
    now, receiver.answers = [NOON], [503] * 100
    courier = Courier(opened.workspace, lambda: now[0], allowed=LOCAL)
    waits = []
    while (row := rows(opened)[0]).state == "waiting":
        now[0] = row.due
        waits.append(row.due)
        courier.step()
    assert (row.state, row.tries) == ("failed", TRIES)
    assert row.said.startswith("answered 503")
    pauses = [later - earlier for earlier, later in pairwise(waits)]
    assert pauses == sorted(pauses)


@pytest.mark.parametrize("place", ["folder"])
def test_a_home_that_cannot_be_read_keeps_nobody_from_being_told_of_others(
    opened: Opened, loans: Path, receiver: Receiver
) -> None:
    workspace = opened.workspace
    Channels(workspace.fleet).add("hook", "webhook", receiver.address, None, "", by="root", at=NOON)
    notice(workspace, "loans", NOON)
    go_on(opened, loans, "2024-06-20")
    spec = (loans / "pitstop.toml").read_text(encoding="utf-8").replace('"loans"', '"damaged"')
    damaged = workspace.register(spec, at=NOON).home
    damaged.mkdir(parents=True)
    (damaged / "catalog.sqlite").write_bytes(b"no database" * 100)
    Courier(workspace, lambda: NOON, allowed=LOCAL).look()
    assert [json.loads(body)["type"] for _, _, body in receiver.seen] == ["incident.opened"]


@pytest.mark.parametrize("place", ["folder"])
def test_what_another_courier_has_taken_over_is_not_sent_again(opened: Opened, loans: Path, receiver: Receiver) -> None:
    workspace, now = opened.workspace, [NOON]
    for name in ("one", "two"):
        Channels(workspace.fleet).add(name, "webhook", receiver.address, None, "", by="root", at=NOON)
    notice(workspace, "loans", NOON)
    go_on(opened, loans, "2024-06-20")
    notice(workspace, "loans", NOON)
    other = Courier(workspace, lambda: now[0], allowed=LOCAL)

    class Slow(Courier):
        def _end(self, rows: list[Any], said: str, *, final: bool = False) -> None:
            super()._end(rows, said, final=final)
            now[0] += 61_000_000
            other.step()

    Slow(workspace, lambda: now[0], allowed=LOCAL).step()
    assert len(receiver.seen) == 2
    assert all(row.state == "sent" for row in rows(opened) if row.kind == "incident.opened")


def test_a_look_that_goes_wrong_is_not_the_last_one() -> None:
    looks, seen = iter([ValueError("odd"), StoreError("away"), None]), threading.Event()

    class Often(Looking):
        def look(self) -> None:
            found = next(looks)
            if found is not None:
                raise found
            seen.set()

    with Often("often", 0.01):
        assert seen.wait(10)


def test_the_signature_is_that_of_standard_webhooks(receiver: Receiver) -> None:
    reference = pytest.importorskip("standardwebhooks", reason="pip install -r requirements/contract.txt")
    name, body = "incident.opened:x", b'{"test": 2432232314}'
    at = int(time.time())
    assert send(receiver.address, SECRET, name, body, at, allowed=LOCAL) == ""
    path, headers, sent = receiver.seen[0]
    assert path == "/hook?a=b"
    assert reference.Webhook(SECRET).verify(sent, headers) == json.loads(body)
    with pytest.raises(reference.WebhookVerificationError):
        reference.Webhook(SECRET).verify(sent + b" ", headers)


def test_apprise_sends_in_a_process_that_reaches_public_addresses_only(
    opened: Opened, loans: Path, receiver: Receiver
) -> None:
    assert importlib.util.find_spec("apprise") is not None
    target = f"ntfy://127.0.0.1:{receiver.server_port}/pitstop"
    Channels(opened.workspace.fleet).add("phone", "apprise", target, None, "", by="root", at=NOON)
    notice(opened.workspace, "loans", NOON)
    go_on(opened, loans, "2024-06-20")
    notice(opened.workspace, "loans", NOON)
    now = [NOON]
    Courier(opened.workspace, lambda: now[0]).step()
    assert receiver.seen == []
    assert rows(opened)[0].state == "waiting"
    now[0] = rows(opened)[0].due
    Courier(opened.workspace, lambda: now[0], allowed=LOCAL).step()
    assert b"error" in receiver.seen[0][2] or b"loans" in receiver.seen[0][2]
    assert rows(opened)[0].state == "sent"


# Ways to say "this machine", "this network" and "the cloud's own metadata": none may be sent to.
PRIVATE = [
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),  # noqa: S104
    *("100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.8"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "::7f00:1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_sent_to_however_it_is_written(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(AccessError, match="--private-host"):
        pinned("rebound.example", 443, frozenset(), lambda *_: [address])
    with pytest.raises(AccessError):
        pinned("trap.example", 443, frozenset(), lambda *_: ["93.184.216.34", address])
    assert pinned("inside.example", 443, frozenset({"inside.example"}), lambda *_: [address]) == address


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::1]", "0"])
def test_names_and_odd_numbers_of_this_machine_are_resolved_before_they_are_judged(
    host: str, receiver: Receiver
) -> None:
    said = send(f"http://{host}:{receiver.server_port}/", SECRET, "x", b"{}", 1)
    assert "AccessError" in said or "ValueError" in said
    assert receiver.seen == []


@given(
    st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7") | st.ip_addresses(network="127.0.0.0/8")
)
def test_whole_private_networks_are_refused(address: Any) -> None:
    assert not is_public(str(address))


def test_a_name_is_resolved_once_and_the_checked_address_is_what_is_connected_to(receiver: Receiver) -> None:
    """DNS rebinding: the second answer would be this machine; it is never asked for."""
    answers = [["127.0.0.1"], ["127.0.0.9"]]
    target = f"http://inside.example:{receiver.server_port}/"
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(f"{host}:{port}")
        return answers[len(asked) - 1]

    said = send(target, SECRET, "x", b"{}", 1, allowed=frozenset({"inside.example"}), resolve=resolve)
    assert (said, len(asked)) == ("", 1)
    assert receiver.seen[0][1]["host"] == f"inside.example:{receiver.server_port}"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        *(("webhook", text) for text in ("file:///etc/passwd", "gopher://x/", "ftp://x/", "//x", "x", "http://", "")),
        *(
            ("webhook", text)
            for text in ("http://user:word@x/", "http://x/#a", "http://x:0/", "http://x:99999/", "\nhttp://x")
        ),
        *(
            ("apprise", text)
            for text in ("json://127.0.0.1", "dbus://", "syslog://", "file://x", "form://x", "xml://x", "https://x")
        ),
    ],
)
def test_an_address_of_another_kind_is_refused(opened: Opened, kind: Any, target: str) -> None:
    with pytest.raises(AccessError):
        Channels(opened.workspace.fleet).add("c", kind, target, None, "", by="root", at=NOON)
