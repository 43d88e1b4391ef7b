"""Tests of the service: its coroutines run on asyncio, as under the server, on a home that a real run made."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from pitstop.integrations.serving import carry_out, run
from pitstop.loop.orders import Order
from pitstop.records.spec import load_spec
from pitstop.service.api.operation import Service
from pitstop.service.app import create_app
from pitstop.service.auth.actor import Actor
from pitstop.service.auth.credentials import Credentials
from pitstop.service.auth.forms import login_routes
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import People
from pitstop.service.fleet import Fleet
from pitstop.service.jobs.board import Board, Job
from pitstop.service.metrics import Timed
from pitstop.service.places import FILE
from pitstop.service.settings import Settings
from pitstop.service.site.routes import site_routes
from pitstop.service.workspace import Workspace
from pitstop.store.location import Location, write_location

HERE = "http://127.0.0.1"
NOON = 1_780_000_000_000_000
ADMIN = Actor("root", frozenset({"admin"}), None, "session")

PLACES = ("folder", pytest.param("PostgreSQL", marks=pytest.mark.slow))
_SCHEMAS = count()


@pytest.fixture
def place() -> str:
    """Return where workspaces are kept; a module that has this fixture with the params `PLACES` is run on both."""
    return "folder"


@pytest.fixture
def new_schema(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Give the URL of a schema that nobody uses, on a server that is started when it is first asked for."""

    def made() -> str:
        worker = getattr(request.config, "workerinput", {}).get("workerid", "")
        return str(request.getfixturevalue("postgres").url(f"fleet{worker}_{next(_SCHEMAS)}"))

    return made


@pytest.fixture
def workspace_folder(tmp_path: Path, place: str, new_schema: Callable[[], str], request: pytest.FixtureRequest) -> Path:
    """Return the folder of a workspace that is still to be made; its place may be "PostgreSQL and S3" too."""
    folder = tmp_path / "w"
    if place.startswith("PostgreSQL"):
        files = request.getfixturevalue("bucket").url(tmp_path.name) if place.endswith("S3") else ""
        write_location(folder, Location(new_schema(), files), FILE)
    return folder


@pytest.fixture
def fleet(workspace_folder: Path) -> Iterator[Fleet]:
    """Open the catalog of a new workspace."""
    with Workspace.open(workspace_folder) as workspace:
        yield workspace.fleet


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def loans_home(loans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home that has seen nineteen weeks of loans, with a challenger that ann asked for in shadow."""
    home, spec = tmp_path_factory.mktemp("service") / "home", load_spec(loans / "pitstop.toml")
    run(home, spec=spec, source=str(loans / "loans.csv"), base=loans, as_of="2024-05-15")
    carry_out(home, Order("retrain", "ann", "a test", recipe="all"), spec=spec, base=loans)
    return home


class Shelf:
    """Takes jobs as `Jobs` does, and lets them lie: these tests are about what is asked, not about the work."""

    def __init__(self, workspace: Workspace) -> None:
        self.board = Board(workspace.fleet)

    def submit(self, kind: str, model: str, arguments: Any, *, by: str, name: str = "", at: int = NOON) -> Job:
        known = name or f"{kind}-{len(self.board.jobs(limit=1_000))}"
        self.board.add(known, kind, model, arguments, by, at)
        return self.board.job(known)

    def cancel(self, name: str, by: str) -> Job:
        return self.board.cancel(name, by)


@dataclass
class Opened:
    """A service with a login, and what a test needs of it."""

    workspace: Workspace
    people: People
    keys: Keys
    credentials: Credentials
    app: Timed
    now: int = NOON

    def key(self, *roles: str, models: list[str] | None = None, days: int = 1) -> dict[str, str]:
        """Return the header of a new key."""
        name = "-".join(roles)
        made = self.keys.make(name, roles, models, days, by=ADMIN, at=self.now)
        return {"authorization": f"Bearer {made[1]}"}

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url=HERE, headers=headers)


@pytest.fixture
def opened(tmp_path: Path, loans_home: Path, workspace_folder: Path) -> Iterator[Opened]:
    """Open a service with a login on a copy of the home, and two more models that have no rows yet."""
    home = tmp_path / "home"
    shutil.copytree(loans_home, home)
    with Workspace.open(workspace_folder) as workspace:
        workspace.adopt(home, at=NOON)
        people, keys, settings = People(workspace.fleet), Keys(workspace.fleet), Settings(login=True)
        found: list[Opened] = []
        clock: Callable[[], int] = lambda: found[0].now  # noqa: E731 - the test moves it
        credentials = Credentials(people, keys, clock=clock)
        shelf: Any = Shelf(workspace)
        service = Service(workspace, shelf, people, keys, credentials, clock)
        pages = [*site_routes(workspace, shelf.submit), *login_routes(people, credentials, settings, clock=clock)]
        app = create_app(workspace, settings, service=service, authenticator=credentials, pages=pages)
        found.append(Opened(workspace, people, keys, credentials, app))
        yield found[0]
