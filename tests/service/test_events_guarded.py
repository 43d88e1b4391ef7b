"""A logger's events pass the outermost layer as rows do: with a key of the ingest role, and as no form of a browser."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2 as httpx
from tests.service.ingest.counted import SPEC
from tests.service.ingest.test_events import KSERVE
from tests.service.test_guard import HERE, Nobody, actor

from pitstop.service.app import create_app
from pitstop.service.ingest.app import ingest_app
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.settings import Settings
from pitstop.service.workspace import Workspace


def test_events_need_the_ingest_role_of_their_model(tmp_path: Path) -> None:
    path = tmp_path / "w"
    known = {
        "Bearer brings": actor("ingest"),
        "Bearer reads": actor("viewer"),
        "Bearer other": actor("ingest", models=frozenset({"other"})),
    }
    headers = {**KSERVE, "ce-type": "org.kubeflow.serving.inference.request"}
    body = b'{"instances": [[6.8, 2.8, "a"]]}'

    async def statuses() -> list[int]:
        app = create_app(workspace, Settings(), authenticator=Nobody(known), pages=[], ingest=ingest_app(inbox))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as client:
            found = []
            for key in ("", "Bearer reads", "Bearer other", "Bearer brings"):
                sent = headers | ({"authorization": key} if key else {})
                # As bytes: what a logger writes into a header need not be ASCII.
                raw = {name.encode(): text.encode() for name, text in sent.items()}
                found.append((await client.post("/v1/models/m/events", content=body, headers=raw)).status_code)
            return found

    with Workspace.open(path) as workspace:
        workspace.register(SPEC, at=1)
        with RegisteredSpecs(path) as specs, Inbox(path, specs) as inbox:
            assert asyncio.run(statuses()) == [401, 403, 404, 200]
