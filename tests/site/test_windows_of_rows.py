"""The pages of a model whose windows are numbers of rows: no time of day stands in them, and each one is there."""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path

import httpx2 as httpx
import pytest

from pitstop.integrations.serving import run
from pitstop.records.spec import parse_spec
from pitstop.service.app import create_app
from pitstop.service.settings import Settings
from pitstop.service.site.refreshing import refresh
from pitstop.service.site.routes import site_routes
from pitstop.service.workspace import Workspace

A_DAY = 10  # rows; see the loans
# A column may be called what no part of an address and no header can hold as it is.
COLUMN = "income / 月"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def numbered(loans: Path, folder: Path) -> tuple[str, str]:
    """Return the table of the loans with row numbers for days, and the specification for it."""
    with (loans / "loans.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    path = folder / "numbered.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "n", COLUMN, "branch", "paid", "known"])
        for number, row in enumerate(rows):
            writer.writerow([row["id"], number, row["income"], row["branch"], row["paid"], number + 3 * A_DAY])
    spec = (loans / "pitstop.toml").read_text(encoding="utf-8")
    for old, new in (
        ('features = ["income"', f'features = ["{COLUMN}"'),
        ('time = "day"', 'time = "n"'),
        ('label_time = "paid_on"', 'label_time = "known"'),
        ('window = "week"', f"window = {7 * A_DAY}"),
        ('start = "2024-03-25"', f'start = "{84 * A_DAY}"'),
    ):
        assert spec.count(old) == 1
        spec = spec.replace(old, new)
    return str(path), spec


@pytest.mark.anyio
async def test_every_link_leads_somewhere_also_when_the_error_rose(loans: Path, tmp_path: Path) -> None:
    source, spec = numbered(loans, tmp_path)
    run(tmp_path / "home", spec=parse_spec(spec), source=source, base=tmp_path)
    with Workspace.open(tmp_path / "w") as workspace:
        workspace.adopt(tmp_path / "home", at=0)
        refresh(workspace, "loans")
        app = create_app(workspace, Settings(), pages=site_routes(workspace, None))  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            first = (await http.get("/")).text
            assert "Where to begin" in first
            assert "noticed row " in first
            seen, front = set(), ["/"]
            while front:
                place = front.pop()
                if place in seen:
                    continue
                seen.add(place)
                answer = await http.get(place, follow_redirects=True)
                assert answer.status_code == 200, (place, answer.text[:300])
                if "html" in answer.headers["content-type"]:
                    front += [html.unescape(link) for link in re.findall(r'href="(/[^"#]*)', answer.text)]
    assert len([place for place in seen if "/incidents/incident-" in place]) >= 1
