"""`/metrics` says how things stand, names nobody, and holds what the dashboard asks for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pitstop.integrations.serving import run
from pitstop.store.home import Home

from .conftest import Opened

DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "assets" / "grafana.json"


@pytest.mark.anyio
async def test_metrics_hold_what_the_dashboard_asks_for(opened: Opened) -> None:
    opened.workspace.register(SPEC, at=1)
    async with opened.client(**opened.key("operator")) as http:
        await http.post("/v1/models/loans/ticks")
        await http.get("/v1/models/<script>/ledger")
        answer = await http.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    asked = {word for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] for word in names(panel)}
    assert {re.sub(r"_(count|bucket|sum)$", "", word) for word in asked} <= set(families)
    (opened_incidents,) = families["pitstop_open_incidents"].samples
    assert opened_incidents.labels == {"model": "loans"}
    assert families["pitstop_champion_version"].samples[0].value == 1
    assert families["pitstop_jobs"].samples[0].labels == {"kind": "tick", "state": "queued"}
    assert families["pitstop_signal"].samples
    assert {sample.labels["part"] for sample in families["pitstop_http_request_seconds"].samples} == {"api"}
    assert "script" not in answer.text
    async with opened.client(**opened.key("viewer", models=["churn"])) as http:
        assert "loans" not in (await http.get("/metrics")).text


@pytest.mark.anyio
async def test_an_incident_that_somebody_closed_is_open_nowhere(opened: Opened, loans: Path) -> None:
    model = opened.workspace.model("loans")
    run(model.home, spec=model.spec, source=str(loans / "loans.csv"), base=loans, as_of="2024-06-20")
    async with opened.client(**opened.key("operator")) as http:

        async def count() -> list[float]:
            text = (await http.get("/metrics")).text
            families = {family.name: family for family in text_string_to_metric_families(text)}
            told = (await http.get("/v1/models/loans")).json()["open_incidents"]
            return [*(sample.value for sample in families["pitstop_open_incidents"].samples), told]

        assert await count() == [1, 1]
        (incident,) = (await http.get("/v1/models/loans/incidents")).json()["items"]
        # A later alarm joins it: it is told as that left it.
        content = {**incident["content"], "last": incident["content"]["last"] + 1}
        with Home.open(model.home) as home, home.transaction() as store:
            (first,) = home.artifacts("incident", "loans")
            store.put_artifact(content, "incident-growth", "growth-1", first.at, (first.id,), "loans")
        (told,) = (await http.get("/v1/models/loans/incidents")).json()["items"]
        assert told == {**incident, "content": content}
        said = {"verdict": "real change", "text": "seen"}
        answer = await http.post(f"/v1/models/loans/incidents/{incident['id']}/closings", json=said)
        assert answer.status_code == 201, answer.text
        assert await count() == [0, 0]


def names(panel: dict[str, list[dict[str, str]]]) -> list[str]:
    return [word for target in panel["targets"] for word in re.findall(r"pitstop_\w+", target["expr"])]


SPEC = (
    '[model]\nname = "churn"\ntask = "binary"\n[columns]\ntime = "at"\nfeatures = ["age"]\nid = "id"\nlabel = "left"\n'
)
