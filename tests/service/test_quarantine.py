"""A batch that cannot be stored is looked at, mended and stored through the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2 as httpx
import pytest

from pitstop.service.api.operation import Service
from pitstop.service.app import create_app
from pitstop.service.ingest.batch import Batch
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.settings import Settings

from .conftest import HERE, Opened, Shelf

GOOD = [{"id": "a", "day": "2024-01-01", "income": 1.0, "branch": "a"}]
BAD = [{"id": "a", "day": "no day", "income": 1.0, "branch": "a"}]


@pytest.fixture
def inbox(opened: Opened) -> Iterator[Inbox]:
    def spec(name: str) -> Any:
        return opened.workspace.model(name).spec if opened.workspace.knows(name) else None

    with Inbox(opened.workspace.path, spec) as made:
        yield made


def client(opened: Opened, inbox: Inbox, headers: dict[str, str]) -> httpx.AsyncClient:
    from pitstop.service.ingest.app import ingest_app  # noqa: PLC0415 - beside its one use

    shelf: Any = Shelf(opened.workspace)
    service = Service(opened.workspace, shelf, opened.people, opened.keys, opened.credentials, lambda: opened.now)
    app = create_app(
        opened.workspace,
        Settings(login=True),
        service=replace(service, inbox=inbox),
        authenticator=opened.credentials,
        ingest=ingest_app(inbox),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE, headers=headers)


@pytest.mark.anyio
async def test_a_list_whose_entries_are_closed_meanwhile_is_seen_whole(opened: Opened, inbox: Inbox) -> None:
    """Else whoever discards one page after the other passes half of them over."""
    for _ in range(5):
        inbox.accept_now(Batch("loans", "predictions", "json", json.dumps(BAD).encode()))
    store(inbox)
    seen: list[int] = []
    cursor: str | None = ""
    async with client(opened, inbox, opened.key("operator")) as http:
        for _ in range(3):
            part = (await http.get("/v1/quarantine", params={"limit": 2, "cursor": cursor})).json()
            seen += [entry["number"] for entry in part["items"]]
            for entry in part["items"]:
                assert (await http.post(f"/v1/quarantine/{entry['number']}/discard")).status_code == 202
            store(inbox)
            cursor = part["next"]
    assert (seen, cursor) == ([1, 2, 3, 4, 5], None)


@pytest.mark.anyio
async def test_a_mended_batch_that_cannot_be_taken_now_is_tried_again_and_not_answered_as_before(
    opened: Opened, inbox: Inbox
) -> None:
    inbox.accept_now(Batch("loans", "predictions", "json", json.dumps(BAD).encode()))
    store(inbox)
    async with client(opened, inbox, opened.key("operator")) as http:
        inbox._free_limit = 1 << 60
        inbox.state()
        http.headers["idempotency-key"] = "one"
        asked = {"payload": json.dumps(GOOD)}
        full = await http.post("/v1/quarantine/1/mend", json=asked)
        assert (full.status_code, "retry-after" in full.headers) == (503, True)
        inbox._free_limit = 0
        assert (await http.post("/v1/quarantine/1/mend", json=asked)).status_code == 202


def store(inbox: Inbox) -> None:
    with inbox.drain() as drain:
        while drain.step().bytes:
            pass


@pytest.mark.anyio
async def test_a_batch_is_looked_at_mended_and_stored(opened: Opened, inbox: Inbox) -> None:
    async with client(opened, inbox, opened.key("ingest")) as http:
        assert (await http.post("/v1/models/loans/predictions", json=BAD)).status_code == 200
        assert (await http.get("/v1/quarantine")).status_code == 403
    store(inbox)
    async with client(opened, inbox, opened.key("operator", models=["churn"])) as http:
        assert (await http.get("/v1/quarantine")).json()["items"] == []
        assert (await http.get("/v1/quarantine/1")).status_code == 404
        assert (await http.post("/v1/quarantine/1/discard")).status_code == 404
    async with client(opened, inbox, opened.key("operator")) as http:
        (entry,) = (await http.get("/v1/quarantine")).json()["items"]
        assert (entry["model"], entry["state"], entry["payload"]) == ("loans", "open", None)
        assert "no day" in entry["reason"]
        where = f"/v1/quarantine/{entry['number']}"
        sent = (await http.get(where)).json()["payload"]
        assert "no day" in sent
        mended = await http.post(f"{where}/mend", json={"payload": sent.replace("no day", "2024-01-01")})
        assert mended.status_code == 202, mended.text
        store(inbox)
        assert (await http.get(where)).json()["state"] == "mended"
        assert (await http.get("/v1/quarantine")).json()["items"] == []
        for path in ("0", "x", "-1", "1e3", "9" * 40):
            assert (await http.get(f"/v1/quarantine/{path}")).status_code == 404
