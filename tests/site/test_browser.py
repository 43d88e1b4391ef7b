"""The pages in Chromium: each looked at by axe-core, read and used by keys, without JavaScript, small and large.

One service for all of them: first what only looks, then what acts, in the order of this file.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pitstop.store.home import Home

pytestmark = pytest.mark.browser
MODEL = "hotel-cancellations"
AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
PAGES = (
    "/",
    "/incidents?state=all",
    "/search?q=error",
    "",
    "/incidents",
    "INCIDENT",
    "/releases",
    "/value",
    "/evidence",
)
# What acts waits for a fit.
PATIENCE = 240_000


@contextmanager
def opened(browser: Any, served: Any, **options: Any) -> Iterator[Any]:
    """A page of a context of its own; any message of an error in the console fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    page.set_default_timeout(15_000)
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith((served.url, "data:")) else faults.append(sent.url))
    yield page
    context.close()
    assert faults == []


def address(served: Any, name: str, incident: str = "") -> str:
    """The address of one of `PAGES`."""
    if name == "INCIDENT":
        name = f"/incidents/{incident}"
    if name in ("/", "/incidents?state=all", "/search?q=error"):
        return str(served.url + name)
    return str(served.model + name)


@pytest.fixture(scope="module")
def january(served: Any) -> str:
    """The id of the incident about the error of January 2016."""
    return str(next(item["id"] for item in incidents(served) if item["kind"] == "error"))


def incidents(served: Any) -> list[dict[str, Any]]:
    """What the list of incidents shows."""
    from pitstop.service.site import summaries  # noqa: PLC0415 - needs the extra
    from pitstop.service.workspace import Workspace  # noqa: PLC0415 - as above

    with Workspace.open(served.workspace) as workspace, workspace.fleet.read() as connection:
        return summaries.incidents(connection, of=frozenset({MODEL}))


def kept(served: Any, kind: str) -> list[Any]:
    """The artifacts of a kind in the home."""
    with Home.open(served.home, read_only=True) as home:
        return [item.content for item in home.artifacts(kind, MODEL)]


# What only looks.


def test_from_the_first_page_to_why_the_model_fell_what_was_done_and_what_it_earned(browser: Any, served: Any) -> None:
    with opened(browser, served) as page:
        page.goto(served.url)
        # The first thing that the first page says: the worst month, what was released for it, and what that earned.
        begin = page.inner_text("section[aria-labelledby=begin]")
        assert re.search(r"at its worst in 2016-01 \(AUC 0\.\d+\)", begin)
        assert re.search(r"v3 was released for it and has earned [\d,]+ EUR", begin)
        page.locator("section[aria-labelledby=begin]").get_by_role(
            "link", name=re.compile("The model's error rose")
        ).click()
        text = page.inner_text("main")
        assert "v3" in page.inner_text(".tiles")
        assert "The relation of inputs to outcome changed" in text
        done = page.inner_text("section[aria-labelledby=done]")
        assert re.search(r"v3\s+2016-02-01\s+[\d,]+ EUR", done)
        page.get_by_role("link", name="v3", exact=True).click()
        assert "recipe proven" in page.inner_text("tr:target")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(browser: Any, served: Any, january: str, theme: str) -> None:
    found = {}
    with opened(browser, served, color_scheme=theme) as page:
        for name in PAGES:
            answer = page.goto(address(served, name, january))
            assert answer.status == 200
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            # What is folded away is judged too.
            page.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
            page.evaluate(AXE.read_text(encoding="utf-8"))
            result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            grave = [item for item in result["violations"] if item["impact"] in ("serious", "critical")]
            found[name] = [(item["id"], [node["target"] for node in item["nodes"]][:3]) for item in grave]
    assert {name: items for name, items in found.items() if items} == {}


@pytest.mark.parametrize(("width", "scale"), [(640, 2), (360, 3)], ids=["zoomed to 200%", "a telephone"])
def test_nothing_is_cut_off_at_the_side(browser: Any, served: Any, january: str, width: int, scale: int) -> None:
    with opened(
        browser, served, viewport={"width": width, "height": 740}, device_scale_factor=scale, has_touch=True
    ) as page:
        for name in PAGES:
            page.goto(address(served, name, january))
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            small = page.evaluate(
                "[...document.querySelectorAll('button, summary, .chips a, nav a')].filter((item) => item.offsetHeight"
                " && item.offsetHeight < 24).map((item) => item.textContent)"
            )
            assert small == [], name


def test_keys_alone_lead_to_an_incident_and_through_its_forms(browser: Any, served: Any) -> None:
    with opened(browser, served) as page:
        page.goto(served.url)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
        page.keyboard.press("/")
        page.keyboard.type("error rose")
        page.locator("#hits a").first.wait_for()
        page.keyboard.press("Escape")
        assert page.locator("#hits a").count() == 0
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?q=error+rose")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("j")
        assert "The model's error rose" in page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Enter")
        page.wait_for_url("**/incidents/incident-*")
        # Every form is reached with Tab, and what has the focus shows it.
        for _ in range(120):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == "Close with a reason":
                break
        else:
            pytest.fail("Tab does not reach the last form")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.locator("select[name=verdict]").wait_for()


def test_without_javascript_everything_is_there(browser: Any, served: Any, january: str) -> None:
    with opened(browser, served, java_script_enabled=False) as page:
        for name in PAGES:
            page.goto(address(served, name, january))
            assert page.locator("h1").count() == 1
        page.goto(served.model)
        assert page.locator("figure svg.wide").count() >= 3
        page.select_option("select[name=from]", "2016-01")
        page.get_by_role("button", name="Show").click()
        assert page.url.startswith(f"{served.model}?metric=roc_auc&from=2016-01")
        assert "2015-12" not in page.inner_text("section[aria-label='Performance and value'] figure >> nth=0")
        page.goto(served.url)
        page.get_by_role("button", name=re.compile("^Auto")).click()
        assert page.get_attribute("html", "data-theme") == "dark"
        page.fill("#find", "error")
        page.press("#find", "Enter")
        assert page.locator(".hits a").count() >= 1


def test_every_link_of_every_page_leads_somewhere(browser: Any, served: Any, january: str) -> None:
    links = set()
    with opened(browser, served) as page:
        for name in PAGES:
            page.goto(address(served, name, january))
            links |= set(page.evaluate("[...document.querySelectorAll('a[href]')].map((item) => item.href)"))
        links = {link.partition("#")[0] for link in links}
        assert len(links) > 60
        for link in sorted(links):
            answer = page.request.get(link)
            assert answer.status == 200, link
            if urlsplit(link).path.endswith(".csv"):
                rows = list(csv.reader(io.StringIO(answer.text())))
                assert len({len(row) for row in rows}) == 1, link


def test_a_chart_goes_as_png_and_is_zoomed(browser: Any, served: Any) -> None:
    with opened(browser, served) as page:
        page.goto(served.model)
        with page.expect_download() as download:
            page.get_by_role("button", name="PNG").first.click()
        content = Path(download.value.path()).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 10_000
        page.get_by_role("button", name="Zoom by day").click()
        canvas = page.locator(".zoom canvas")
        canvas.wait_for()
        box = canvas.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 80)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 80, steps=5)
        page.mouse.up()
        page.locator(".zoom a.range").click()
        assert "from=" in page.url
        assert page.locator("option[selected]").count() == 2


def test_a_printed_page_has_no_bars_and_no_tools(browser: Any, served: Any, january: str) -> None:
    with opened(browser, served) as page:
        page.goto(address(served, "INCIDENT", january))
        page.emulate_media(media="print")
        hidden = page.evaluate(
            "['.bar', '.tabs', '.tools', '.actions'].filter((name) => document.querySelector(name).offsetHeight)"
        )
        assert hidden == []


# What acts.


def test_an_incident_is_assigned_snoozed_written_about_and_closed(browser: Any, served: Any) -> None:
    before = [item["id"] for item in incidents(served) if item["state"] == "open"]
    open_now = before[0]
    with opened(browser, served, java_script_enabled=False) as page:
        page.goto(address(served, "INCIDENT", open_now))
        page.get_by_role("button", name="Assign to me").click()
        assert "assigned to local" in page.inner_text("main")
        page.fill("#comment", "<b>I look</b> at the loader")
        page.get_by_role("button", name="Comment").click()
        assert "<b>I look</b> at the loader" in page.inner_text("#timeline")
        for summary, reason, button in (
            ("Snooze until it gets worse", "known since Monday", "Snooze"),
            ("Close with a reason", "the loader was mended", "Close"),
        ):
            page.get_by_text(summary).click()
            form = page.locator("details[open]").filter(has_text=summary)
            form.locator("textarea").fill(reason)
            form.get_by_role("button", name=button).click()
            assert reason in page.inner_text("#timeline")
        assert page.locator(".sub .badge.closed").count() == 1
        page.goto(f"{served.url}/")
        assert page.locator("section[aria-labelledby=open] li").count() == len(before) - 1
        assert page.locator(f"section[aria-labelledby=open] a[href$={open_now}]").count() == 0
    assert kept(served, "assignment")[-1]["to"] == "local"
    assert kept(served, "snooze")[-1]["sizes"]
    assert kept(served, "comment")[-1]["text"] == "<b>I look</b> at the loader"
    assert kept(served, "disposition")[-1]["text"] == "real change: the loader was mended"


def test_rows_to_label_are_those_that_wait(browser: Any, served: Any, january: str) -> None:
    with opened(browser, served) as page:
        file = f"{address(served, 'INCIDENT', january)}/to-label.csv"
        text, again = (page.request.get(file).text() for _ in range(2))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert 0 < len(rows) <= 200
    assert text == again
    with Home.open(served.home, read_only=True) as home:
        labelled = set(home.read_segments("labels", MODEL, columns=["@id"])["@id"].to_pylist())
    assert not labelled & {row["id"] for row in rows}


def test_a_retrain_is_ordered_seen_through_and_released_then_taken_back(browser: Any, served: Any) -> None:
    with opened(browser, served) as page:
        page.set_default_timeout(PATIENCE)
        page.goto(f"{served.model}/releases")

        def order(summary: str, button: str, *, sure: bool = False) -> None:
            page.locator("summary", has_text=summary).click()
            form = page.locator(".actions details[open]")
            form.locator("textarea").fill(f"tried: {summary}")
            if sure:
                form.locator("input[type=checkbox]").check()
            form.get_by_role("button", name=button).click()
            page.wait_for_url("**?job=*")
            page.get_by_text(re.compile(": done")).wait_for()

        order("Retrain", "Retrain")
        assert "v4 scores in shadow beside v3" in page.inner_text(".said")
        order("Approve and release v4", "Release v4")
        assert page.inner_text(".tiles .figure >> nth=0") == "v4"
        order("Roll back to v3", "Roll back to v3", sure=True)
        assert page.inner_text(".tiles .figure >> nth=0") == "v3"
    orders = kept(served, "order")
    assert [item["action"] for item in orders] == ["retrain", "release", "rollback"]
    assert {item["by"] for item in orders} == {"local"}


def test_what_cannot_be_done_is_said_and_changes_nothing(browser: Any, served: Any, january: str) -> None:
    with Home.open(served.home, read_only=True) as home:
        before = home.journal_head().size
    with opened(browser, served) as page:
        for path, form, says in (
            (f"/models/{MODEL}/orders/approve", {"reason": "fine"}, "may not approve"),
            (f"/models/{MODEL}/orders/override", {"item": "four-eyes", "reason": "now"}, "no release"),
            (f"/models/{MODEL}/orders/retrain", {"reason": " "}, "a reason"),
            (f"/models/{MODEL}/incidents/{january}/comment", {"text": " "}, "nothing in this comment"),
            (f"/models/{MODEL}/incidents/{january}/close", {"verdict": "odd", "text": "x"}, "verdict"),
        ):
            answer = page.request.post(served.url + path, form=form)
            assert answer.status == 409, path
            assert says in answer.text().lower()
        assert page.request.post(f"{served.model}/incidents/none/comment", form={"text": "x"}).status == 404
        assert page.request.get(f"{served.url}/models/none").status == 404
        away = page.request.post(f"{served.url}/preferences", form={"theme": "dark", "here": "//evil"}, max_redirects=0)
        assert away.headers["location"] == "/"
    with Home.open(served.home, read_only=True) as home:
        assert home.journal_head().size == before


def test_evidence_is_attested_verified_and_exported(browser: Any, served: Any) -> None:
    with opened(browser, served) as page:
        page.set_default_timeout(PATIENCE)
        page.goto(f"{served.model}/evidence")
        page.get_by_text("Attest", exact=True).first.click()
        form = page.locator("details[open]").filter(has=page.locator("textarea"))
        form.locator("textarea").fill("I answer for it")
        form.get_by_role("button").click()
        page.get_by_text("On record: attestation").wait_for()
        assert "I answer for it" in page.inner_text("section[aria-labelledby=who]")
        page.get_by_role("button", name="Verify now").click()
        page.get_by_text("The journal verifies").wait_for()
        with page.expect_download(timeout=PATIENCE) as download:
            page.get_by_role("button", name="Evidence pack (zip)").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            assert any(name.endswith("index.html") for name in archive.namelist())


def test_times_are_shown_in_utc_or_as_the_visitor_has_them(browser: Any, served: Any) -> None:
    with opened(browser, served, timezone_id="America/New_York", locale="en-US") as page:
        page.goto(f"{served.model}/evidence")
        moment = page.locator("time[data-instant]").first
        assert moment.inner_text().endswith("UTC")
        page.get_by_role("button", name=re.compile("^UTC")).click()
        assert not page.locator("time[data-instant]").first.inner_text().endswith("UTC")
        assert "UTC" in (page.locator("time[data-instant]").first.get_attribute("title") or "")
