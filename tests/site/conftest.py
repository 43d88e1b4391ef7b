"""The pages as a user has them: `pitstop up` in a process of its own, on a home of the demo's data, in Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pitstop.data import hotel_bookings_path, hotel_bookings_spec
from pitstop.records.spec import parse_spec

CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)
MODEL = "hotel-cancellations"
SECONDS = 60
# The error of January is over by then, and the model that was released for it has earned something.
UP_TO = date(2016, 3, 5)


@dataclass(frozen=True)
class Served:
    """A service that runs: its address, and where everything is kept."""

    url: str
    home: Path
    workspace: Path

    @property
    def model(self) -> str:
        """The address of the model's page."""
        return f"{self.url}/models/{MODEL}"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`pitstop up` on a home in which the demo's data were walked through up to March 2016, gathered for the pages."""
    from pitstop.replays.replay import replay  # noqa: PLC0415 - this file is read where no test of it runs
    from pitstop.service.site.refreshing import refresh_stale  # noqa: PLC0415 - as above
    from pitstop.service.workspace import Workspace  # noqa: PLC0415 - as above

    folder = tmp_path_factory.mktemp("pages")
    rows = pq.read_table(hotel_bookings_path())
    rows = rows.filter(pc.less(rows["booked_on"], pa.scalar(UP_TO)))
    replay(rows, parse_spec(hotel_bookings_spec()), home=folder / "home")
    with Workspace.open(folder / "workspace") as workspace:
        workspace.adopt(folder / "home", at=0)
        refresh_stale(workspace)
    command = [str(Path(sys.executable).with_name("pitstop")), "up", "--workspace", str(folder / "workspace")]
    with subprocess.Popen(
        [*command, "--port", "0"], stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as process:
        assert process.stderr is not None
        try:
            found = re.search(r"http://\S+?(?=/ )", process.stderr.readline())
            assert found is not None
            yield Served(found[0], folder / "home", folder / "workspace")
        finally:
            process.terminate()
            process.wait(SECONDS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; a test that needs it is skipped where it, or Playwright, is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()
