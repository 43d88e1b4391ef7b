"""Photograph every page of the demo, light and dark, into docs/assets/pages: `make screenshots`.

A home that the demo left is used where one is named (`scripts/screenshots.py demo-home`); otherwise the demo is walked
through first. Needs Chromium (Debian: apt-get install chromium) and Playwright (requirements/browser.txt).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from pitstop.data import hotel_bookings_path, hotel_bookings_spec
from pitstop.records.spec import parse_spec
from pitstop.replays.replay import replay
from pitstop.service.site import summaries
from pitstop.service.site.refreshing import refresh_stale
from pitstop.service.workspace import Workspace

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "assets" / "pages"
CHROMIUM = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
WIDTH, HEIGHT = 1280, 800
# The longest pages are cut: a picture in a text shows what one sees first, and a little more.
LONGEST = 1700


def pages(workspace: Workspace, model: str) -> dict[str, str]:
    """Return the address of each page by the name of its picture; the incident is the one that the first page names."""
    with workspace.fleet.read() as connection:
        card = summaries.card(connection, model)
    assert card is not None  # noqa: S101 - it was gathered a moment ago
    own = f"/models/{model}"
    return {
        "today": "/",
        "model": own,
        "incident": f"{own}/incidents/{card['worst']['id']}",
        "releases": f"{own}/releases",
        "value": f"{own}/value",
        "evidence": f"{own}/evidence",
    }


def main() -> int:
    """Serve the demo's home, and photograph it."""
    if CHROMIUM is None:
        print("no Chromium is installed here (Debian: apt-get install chromium)", file=sys.stderr)
        return 1
    spec = parse_spec(hotel_bookings_spec())
    with TemporaryDirectory() as folder:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "home"
        if not home.exists():
            replay(hotel_bookings_path(), spec, home=home)
        with Workspace.open(Path(folder) / "workspace") as workspace:
            workspace.adopt(home, at=0)
            refresh_stale(workspace)
            wanted = pages(workspace, spec.model.name)
        command = [str(Path(sys.executable).with_name("pitstop")), "up", "--workspace", f"{folder}/workspace"]
        with subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True) as service:
            try:
                _photograph(service.stderr.readline() if service.stderr else "", wanted)
            finally:
                service.terminate()
    return 0


def _photograph(announced: str, wanted: dict[str, str]) -> None:
    found = re.search(r"http://\S+?(?=/ )", announced)
    if found is None:
        msg = f"the service did not say its address, but {announced!r}"
        raise SystemExit(msg)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
            for name, address in wanted.items():
                page.goto(found[0] + address)
                tall = min(page.evaluate("document.documentElement.scrollHeight"), LONGEST)
                clip = {"x": 0, "y": 0, "width": WIDTH, "height": tall}
                page.screenshot(path=FOLDER / f"{name}-{theme}.png", full_page=True, clip=clip)
                print(FOLDER / f"{name}-{theme}.png")
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
