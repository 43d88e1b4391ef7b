"""People with roles, at the pages: who may let a release through, who may not, and what stands in the journal after."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pitstop.data import hotel_bookings_path, hotel_bookings_spec
from pitstop.store.home import Home

from .conftest import MODEL, SECONDS, Served

pytestmark = pytest.mark.browser
PITSTOP = str(Path(sys.executable).with_name("pitstop"))
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
PEOPLE = {
    "ada": ("data_scientist", "approver"),
    "dora": ("data_scientist", "approver"),
    "grace": ("approver",),
    "olga": ("operator",),
    "vic": ("viewer",),
}
# A challenger of the demo's history is proven on 8 December 2015. Here it waits for a person, then serves a share.
MORE = """
[rules]
authors = ["ada"]
approvers = ["ada", "dora", "grace"]

[limits]
automatic = false
most_changed = 0.01

[canary]
share = 0.2
windows = 3
least_rows = 5
"""
HELD = date(2015, 12, 10)
# What acts waits for a fit.
PATIENCE = 240_000


def put_rows(folder: Path, until: date) -> None:
    """Write the bookings before a day to where the model reads them."""
    rows = pq.read_table(hotel_bookings_path())
    pq.write_table(rows.filter(pc.less(rows["booked_on"], pa.scalar(until))), folder / "rows.parquet")


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`pitstop up --login` on a home whose release waits for a person."""
    from pitstop.service.auth.people import People  # noqa: PLC0415 - needs the extra
    from pitstop.service.site.refreshing import refresh_stale  # noqa: PLC0415 - as above
    from pitstop.service.workspace import Workspace  # noqa: PLC0415 - as above

    folder = tmp_path_factory.mktemp("people")
    put_rows(folder, HELD)
    (folder / "pitstop.toml").write_text(hotel_bookings_spec() + MORE)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    told = ["--home", "home", "--spec", "pitstop.toml", "--source", "rows.parquet"]
    subprocess.run([PITSTOP, "run", *told], cwd=folder, env=environment, check=True, capture_output=True)
    now = time.time_ns() // 1_000
    with Workspace.open(folder / "workspace") as workspace:
        workspace.adopt(folder / "home", at=now)
        people = People(workspace.fleet)
        people.add("root", PASSWORD, ["admin"], now)
        for name, roles in PEOPLE.items():
            people.add(name, PASSWORD, list(roles), now)
        refresh_stale(workspace)
    command = [PITSTOP, "up", "--workspace", str(folder / "workspace"), "--login", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            found = re.search(r"http://\S+?(?=/ )", process.stderr.readline())
            assert found is not None
            yield Served(found[0], folder / "home", folder / "workspace")
        finally:
            process.terminate()
            process.wait(SECONDS)


@contextmanager
def as_person(browser: Any, gated: Served, name: str) -> Iterator[Any]:
    """A page of somebody who has logged in, on the releases of the model."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{gated.url}/login?next=/models/{MODEL}/releases")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{gated.model}/releases")
    yield page
    context.close()


def said(gated: Served, kind: str) -> list[Any]:
    """The content of artifacts of a kind."""
    with Home.open(gated.home, read_only=True) as home:
        return [item.content for item in home.artifacts(kind, MODEL)]


def send(page: Any, summary: str, reason: str, button: str, *, sure: bool = False) -> None:
    """Unfold a form, give the reason, and send it."""
    page.locator("summary", has_text=re.compile(f"^{re.escape(summary)}$")).first.click()
    form = page.locator("details[open] form").filter(has=page.locator("textarea"))
    form.locator("textarea").fill(reason)
    if sure:
        form.locator("input[type=checkbox]").check()
    form.get_by_role("button", name=button, exact=True).click()


def tick(gated: Served, page: Any, until: date) -> None:
    """Let bookings come up to a day, and have the loop take them in."""
    put_rows(gated.home.parent, until)
    answer = page.request.post(f"{gated.url}/v1/models/{MODEL}/ticks", data={}, headers={"origin": gated.url})
    assert answer.status == 202, answer.text()
    job = answer.json()["id"]
    for _ in range(600):
        found = page.request.get(f"{gated.url}/v1/jobs/{job}").json()
        if found["state"] in ("done", "failed", "cancelled"):
            break
        time.sleep(0.2)
    assert found["state"] == "done", found
    for _ in range(100):
        page.goto(f"{gated.url}/models/{MODEL}/releases")
        if f"data up to {until.isoformat()}" in page.inner_text("main"):
            return
        time.sleep(0.2)
    pytest.fail("the pages do not show what the loop took in")


def test_who_may_not_let_a_release_through_cannot(browser: Any, gated: Served) -> None:
    with Home.open(gated.home, read_only=True) as home:
        before = home.journal_head().size
    orders = f"{gated.url}/models/{MODEL}/orders"
    with as_person(browser, gated, "ada") as page:
        assert "is proven and held up" in page.inner_text("#held")
        send(page, "Approve", "it is good, I made it", "Approve v2")
        assert "Ada is among the authors".lower() in page.inner_text("main").lower()
        page.goto(f"{gated.model}/releases")
        send(page, "Override", "it is good", "Override limits.automatic")
        assert "authors" in page.inner_text("main")
    for name in ("olga", "vic"):
        with as_person(browser, gated, name) as page:
            assert page.locator("summary", has_text="Approve").count() == 0
            assert page.locator("summary", has_text="Override").count() == 0
            for what in ("approve", "override", "release"):
                form = {"reason": "now", "item": "limits.automatic", "version": "2"}
                answer = page.request.post(f"{orders}/{what}", form=form, headers={"origin": gated.url})
                assert answer.status == 403, (name, what)
            if name == "vic":
                assert "Your roles only read" in page.inner_text("main")
                answer = page.request.post(f"{orders}/retrain", form={"reason": "x"}, headers={"origin": gated.url})
                assert answer.status == 403
    with Home.open(gated.home, read_only=True) as home:
        assert home.journal_head().size == before


def test_an_override_and_an_approval_let_it_into_its_canary_and_on(browser: Any, gated: Served) -> None:
    with as_person(browser, gated, "grace") as page:
        send(page, "Override", "agreed for this one on Monday", "Override limits.automatic")
        page.wait_for_url("**?said=*")
        assert "On record: override" in page.inner_text(".said")
        assert "by grace" in page.inner_text("section[aria-labelledby=held]")
        send(page, "Approve", "looked at every segment", "Approve v2")
        page.wait_for_url("**?said=*")
        assert "Approved by grace: looked at every segment" in page.inner_text("section[aria-labelledby=held]")
    (override,), (approval,) = said(gated, "override"), said(gated, "approval")
    assert (override["by"], override["item"], override["text"]) == (
        "grace",
        "limits.automatic",
        "agreed for this one on Monday",
    )
    assert (approval["by"], approval["observed"]["login"]) == ("grace", "grace")
    with as_person(browser, gated, "olga") as page:
        tick(gated, page, date(2015, 12, 13))
        text = page.inner_text("section[aria-labelledby=beside]")
        assert page.inner_text(".tiles .figure >> nth=0") == "v1"
        assert "in canary" in text
        assert "Serves 20% of the rows" in text
        assert page.locator("progress").count() == 1
        tick(gated, page, date(2016, 1, 4))
        assert page.inner_text(".tiles .figure >> nth=0") == "v2"
        stages = page.inner_text("section[aria-labelledby=past]")
        assert "approved by grace" in stages
        assert "served 20% of the rows" in stages
    stages = [item["stage"] for item in said(gated, "release") if item["version"] == 2]
    assert stages == ["shadow", "canary", "champion"]


def test_who_ordered_a_model_does_not_release_it_and_another_may_reject_it(browser: Any, gated: Served) -> None:
    with as_person(browser, gated, "dora") as page:
        send(page, "Retrain", "the winter is another one", "Retrain")
        page.get_by_text(re.compile(": done")).wait_for(timeout=PATIENCE)
        send(page, "Approve and release v3", "mine", "Release v3")
        assert "the approver is not the author" in page.inner_text("main")
    with as_person(browser, gated, "grace") as page:
        send(page, "Reject v3", "no better by segment", "Reject v3")
        page.get_by_text(re.compile(": done")).wait_for(timeout=PATIENCE)
        assert "retired by grace: no better by segment" in page.inner_text("section[aria-labelledby=past]")
        send(page, "Roll back to v1", "to see that it can be done", "Roll back to v1", sure=True)
        page.get_by_text(re.compile(": done")).wait_for(timeout=PATIENCE)
        assert page.inner_text(".tiles .figure >> nth=0") == "v1"
    orders = said(gated, "order")
    assert [(item["action"], item["by"]) for item in orders] == [
        ("retrain", "dora"),
        ("retire", "grace"),
        ("rollback", "grace"),
    ]
    with Home.open(gated.home, read_only=True) as home:
        assert home.verify(rows=True).ok
