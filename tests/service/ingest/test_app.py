"""What is posted is acknowledged when durable, and everything else gets an answer that says what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.service.ingest.counted import rows_of

from pitstop.records.spec import ModelSpec
from pitstop.service.ingest.app import ingest_app
from pitstop.service.ingest.batch import Limits
from pitstop.service.ingest.inbox import Inbox
from pitstop.store.spool import read_all

Specs = Callable[[str], ModelSpec | None]


def ask(
    inbox: Inbox,
    path: str = "/v1/models/m/predictions",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    parts: int = 1,
    **scope: Any,
) -> tuple[int, dict[str, str], Any]:
    """Send one request, its body in `parts`; return status, headers and the JSON of the answer."""
    said: list[Any] = []
    size = -(-len(body) // parts)
    pieces = [body[n * size : (n + 1) * size] for n in range(parts)]

    async def receive() -> Any:
        if not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        said.append(message)

    named = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    asked = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b"", **scope}
    asyncio.run(ingest_app(inbox)(asked, receive, send))
    if not said:
        return 0, {}, None
    start, content = said
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    assert int(found["content-length"]) == len(content["body"])
    return start["status"], found, json.loads(content["body"])


def test_a_batch_is_in_the_spool_when_it_is_acknowledged(workspace: Path, specs: Specs) -> None:
    body = json.dumps(rows_of(0, 3)).encode()
    with Inbox(workspace, specs, clock=lambda: 77) as inbox:
        actor = SimpleNamespace(name="ada")
        done = ask(inbox, body=body, headers={"idempotency-key": "b1"}, parts=3, state={"actor": actor})
        assert done == (200, {"content-type": "application/json", "content-length": "10"}, {"rows": 3})
        assert ask(inbox, "/v1/models/m/labels", b'{"id": 1}', query_string=b"batch=x%20y")[0] == 200
        records = list(read_all(workspace / "spool"))
    assert [(record.payload, record.at) for record in records] == [(body, 77), (b'{"id": 1}', 77)]
    assert records[0].meta == {"model": "m", "kind": "predictions", "format": "json", "id": "b1", "by": "ada"}
    assert records[1].meta["id"] == "x y"


@pytest.mark.parametrize(
    ("status", "words", "asked"),
    [
        (400, "is not JSON", {"body": b"{"}),
        (422, "holds no row", {"body": b"[]"}),
        (404, "no model 'strange'", {"path": "/v1/models/strange/labels", "body": b"{}"}),
        (404, "nothing here", {"path": "/v1/models/m/other"}),
        (405, "only POST", {"method": "GET"}),
        (413, "more than 30,000 bytes", {"body": b" " * 30_001}),
        (413, "more than 30,000 bytes", {"body": b" " * 30_001, "parts": 3, "headers": {"content-length": "5"}}),
        (413, "more than 30,000 bytes", {"headers": {"content-length": "-1"}}),
        (413, "21 rows", {"body": b"[" + b"{}," * 20 + b"{}]"}),
        (415, "content type 'application/pickle'", {"headers": {"content-type": "application/pickle"}}),
        (415, "encoded as 'gzip'", {"headers": {"content-encoding": "gzip"}}),
        (400, "at most 200", {"headers": {"idempotency-key": "k" * 201}, "body": b"{}"}),
        (400, "not printable", {"query_string": b"batch=a%00b", "body": b"{}"}),
        (413, "2,001 columns", {"body": json.dumps({f"{n}": 0 for n in range(2_001)}).encode()}),
    ],
)
def test_what_cannot_be_taken_gets_a_problem_and_leaves_nothing(
    workspace: Path, specs: Specs, status: int, words: str, asked: dict[str, Any]
) -> None:
    with Inbox(workspace, specs, limits=Limits(body_bytes=30_000, rows=20)) as inbox:
        code, headers, problem = ask(inbox, **asked)
        assert (code, headers["content-type"]) == (status, "application/problem+json")
        assert problem["status"] == status
        assert words in problem["detail"]
        assert not list(read_all(workspace / "spool"))


def test_more_than_can_be_stored_is_turned_away_until_it_was_stored(workspace: Path, specs: Specs) -> None:
    body = json.dumps(rows_of(0, 200)).encode()
    with Inbox(workspace, specs, backlog_bytes=3 * len(body), free_bytes=0) as inbox:
        answers = [ask(inbox, body=body) for _ in range(6)]
        codes = [code for code, _, _ in answers]
        assert codes[0] == 200
        assert codes[-1] == 429
        assert answers[-1][1]["retry-after"] == "5"
        state = inbox.state()
        assert not state.ready
        assert "acknowledged and not stored yet" in state.problems[0]
        with inbox.drain() as drain:
            assert drain.run_dry().batches == codes.count(200)
        assert inbox.state().ready
        assert ask(inbox, body=body)[0] == 200


def test_a_disk_that_is_nearly_full_is_left_to_the_store(workspace: Path, specs: Specs) -> None:
    with Inbox(workspace, specs, free_bytes=1 << 60) as inbox:
        workspace.mkdir()
        inbox.state()
        code, headers, problem = ask(inbox, body=b"{}")
    assert (code, headers["retry-after"]) == (429, "30")
    assert "make room" in problem["detail"]


def test_a_failure_that_is_not_of_the_disk_is_answered_and_the_next_batch_is_taken(
    workspace: Path, specs: Specs
) -> None:
    with Inbox(workspace, specs) as inbox:
        writer = inbox._commits._writer
        real = writer.append

        def fails(_: Any) -> None:
            writer.append = real  # type: ignore[method-assign]
            raise MemoryError

        writer.append = fails  # type: ignore[method-assign, assignment]
        code, headers, problem = ask(inbox, body=b"{}")
        assert (code, headers["retry-after"]) == (503, "5")
        assert "MemoryError" in problem["detail"]
        assert ask(inbox, body=b"{}")[0] == 200


def test_a_batch_that_comes_while_the_inbox_closes_is_answered(workspace: Path, specs: Specs) -> None:
    inbox = Inbox(workspace, specs)
    commits, real = inbox._commits, inbox._commits._lock

    class Closing:
        """Closes the inbox just before a batch is put among those that wait."""

        def __enter__(self) -> None:
            if commits._lock is self:  # type: ignore[comparison-overlap]
                commits._lock = real
                inbox.close()
            real.acquire()

        def __exit__(self, *_: object) -> None:
            real.release()

    commits._lock = Closing()  # type: ignore[assignment]
    code, headers, _ = ask(inbox, body=b"{}")
    assert (code, headers["retry-after"]) == (429, "1")


def test_a_sender_who_hangs_up_leaves_nothing(workspace: Path, specs: Specs) -> None:
    with Inbox(workspace, specs) as inbox:

        async def gone() -> Any:
            return {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            raise AssertionError

        scope = {"type": "http", "method": "POST", "path": "/v1/models/m/labels", "headers": [], "query_string": b""}
        asyncio.run(ingest_app(inbox)(scope, gone, send))
        assert not list(read_all(workspace / "spool"))


def test_many_at_once_share_a_sync_and_each_gets_its_own_answer(workspace: Path, specs: Specs) -> None:
    with Inbox(workspace, specs) as inbox:
        calls = 0
        real = inbox._commits._writer.append

        def counted(records: Any) -> None:
            nonlocal calls
            calls += 1
            real(records)

        inbox._commits._writer.append = counted  # type: ignore[method-assign]
        application = ingest_app(inbox)

        async def one(number: int) -> int:
            body = b"{}" if number % 10 else b"{"
            waiting = [{"type": "http.request", "body": body, "more_body": False}]
            said: list[Any] = []

            async def receive() -> Any:
                return waiting.pop()

            async def send(message: Any) -> None:
                said.append(message)

            headers = [(b"content-type", b"application/json")]
            scope = {"type": "http", "method": "POST", "path": "/v1/models/m/predictions", "headers": headers}
            await application(scope, receive, send)
            return int(said[0]["status"])

        async def all_of_them() -> list[int]:
            return await asyncio.gather(*(one(number) for number in range(300)))

        codes = asyncio.run(all_of_them())
        assert codes == [200 if number % 10 else 400 for number in range(300)]
        assert calls < 60
        assert len(list(read_all(workspace / "spool"))) == 270
