"""Every route of the service with no, wrong, low and foreign credentials: what is not allowed is never reached."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.routing import Route

from pitstop.service.api.table import OPERATIONS
from pitstop.service.auth.actor import KEY_ROLES
from pitstop.service.auth.guard import PUBLIC
from pitstop.service.auth.rules import SAFE, roles_for
from pitstop.service.auth.separation import MAY_ORDER
from pitstop.service.site import actions

from .conftest import HERE, Opened

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def addresses(opened: Opened, model: str) -> list[tuple[str, str]]:
    """Return method and address of everything that the application routes, public addresses aside."""
    found = []
    for route in opened.app.inner.routes:
        assert isinstance(route, Route), "a mounted application would not be walked"
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda part: model if part[1] == "model" else "x", route.path)
        found += [(method, path) for method in METHODS if method in (route.methods or ())]
    assert len(found) > len(OPERATIONS)
    return [(method, path) for method, path in found if not PUBLIC.match(path)]


@pytest.mark.anyio
async def test_without_credentials_that_hold_nothing_is_reached(opened: Opened) -> None:
    expired = opened.key("admin", days=1)
    opened.now += 2 * 86_400 * 1_000_000
    revoked = opened.key("admin")
    opened.keys.revoke(revoked["authorization"].split()[1].partition("_")[0], opened.now)
    opened.credentials.forget()
    wrong: list[dict[str, str]] = [
        {},
        expired,
        revoked,
        {"authorization": "Bearer "},
        {"authorization": "Bearer pitstopaaaaaaaaaa_" + "x" * 43},
        {"authorization": "Basic cm9vdDpyb290"},
        {"authorization": revoked["authorization"] + "x"},
        {"authorization": "Bearer " + "x" * 10_000},
        {"cookie": "pitstop_session=session_x"},
        {"cookie": "pitstop_session=" + revoked["authorization"].split()[1]},
        {"x-forwarded-user": "root", "x-remote-user": "root"},
    ]
    async with opened.client() as http:
        for headers in wrong:
            for method, path in addresses(opened, "loans"):
                answer = await http.request(method, path, headers=headers)
                assert answer.status_code == 401, (method, path, headers)


@pytest.mark.anyio
async def test_each_operation_lets_exactly_its_roles_through(opened: Opened) -> None:
    keys = {role: opened.key(role) for role in KEY_ROLES}
    async with opened.client() as http:
        for item in OPERATIONS:
            # Bodies that are none, and things that are not there: whoever is let through is told so.
            path = re.sub(r"\{(\w+)\}", lambda part: "loans" if part[1] == "model" else "nothing", item.path)
            for role, headers in keys.items():
                answer = await http.request(item.method, path, headers=headers, json=[])
                # Keys are ended by people only, whatever roles a key has.
                allowed = (role in item.roles or role == "admin") and item.name != "revoke_key"
                assert (answer.status_code != 403) == allowed, (item.name, role, answer.text)


@pytest.mark.anyio
async def test_a_model_out_of_sight_is_as_one_that_never_was(opened: Opened) -> None:
    opened.workspace.register(SPEC, at=1)
    foreign = opened.key("admin", models=["churn"])
    async with opened.client(**foreign) as http:
        for method, path in addresses(opened, "loans"):
            if "/loans" not in path:
                continue
            hidden = await http.request(method, path, json={})
            missing = await http.request(method, path.replace("/loans", "/zzz"), json={})
            assert hidden.status_code == missing.status_code == 404, (method, path)
            assert hidden.json()["detail"] == missing.json()["detail"].replace("zzz", "loans")
        assert [item["name"] for item in (await http.get("/v1/models")).json()["items"]] == ["churn"]
    async with opened.client(**opened.key("admin")) as http:
        made = await http.post("/v1/models/loans/ticks")
    async with opened.client(**foreign) as http:
        assert (await http.get("/v1/jobs")).json()["items"] == []
        for method, path in (("GET", "/v1/jobs/{}"), ("POST", "/v1/jobs/{}/cancel")):
            hidden = await http.request(method, path.format(made.json()["id"]))
            missing = await http.request(method, path.format("zzz"))
            assert hidden.status_code == missing.status_code == 404
            assert hidden.json()["detail"] == missing.json()["detail"].replace("zzz", made.json()["id"])


@pytest.mark.anyio
async def test_a_session_sent_by_another_site_changes_nothing(opened: Opened) -> None:
    opened.people.add("ann", "a long pass phrase", ["admin"], opened.now)
    session = opened.people.begin("ann", "a long pass phrase", opened.now)
    async with opened.client(cookie=f"pitstop_session={session}") as http:
        assert (await http.get("/v1/me")).json()["name"] == "ann"
        for method, path in addresses(opened, "loans"):
            if method not in SAFE:
                answer = await http.request(method, path, headers={"origin": "https://evil.example"}, json={})
                assert answer.status_code == 403, (method, path)
        ours: Any = await http.post("/v1/models/loans/ticks", headers={"origin": HERE})
        assert ours.status_code == 202


SPEC = (
    '[model]\nname = "churn"\ntask = "binary"\n[columns]\ntime = "at"\nfeatures = ["age"]\nid = "id"\nlabel = "left"\n'
)


def test_pages_and_programs_let_the_same_people_order() -> None:
    """The page's word for retiring what is in shadow is to reject it."""
    for page, order in (("retrain", "retrain"), ("release", "release"), ("reject", "retire"), ("rollback", "rollback")):
        assert roles_for(actions.ORDERS[page], "POST") == MAY_ORDER[order]
