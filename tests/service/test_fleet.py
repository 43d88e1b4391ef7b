"""The service's own catalog: the same on SQLite and PostgreSQL, from every earlier version, for several processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.responses import JSONResponse, Response

from pitstop.errors import StoreError, StoreUnavailableError
from pitstop.service.api.repeating import Repeats
from pitstop.service.fleet import FLEET, FLEET_MIGRATIONS, Fleet
from pitstop.service.jobs.board import Board
from pitstop.service.workspace import Workspace
from pitstop.store.base import Catalog
from pitstop.store.catalog import SqliteCatalog
from pitstop.store.migrations import Migration
from pitstop.store.postgres_shared import SharedPostgresCatalog

from .conftest import NOON

MODEL = {"name": "m", "home": "models/m", "spec": "{}", "base": ".", "start": "", "owner": "ann", "source": ""}
CATALOGS = ("SQLite", "PostgreSQL")
Opens = Callable[[tuple[Migration, ...]], Catalog]


@pytest.fixture(params=CATALOGS)
def opens(request: pytest.FixtureRequest, tmp_path: Path, new_schema: Callable[[], str]) -> Opens:
    """Return what opens one and the same catalog with the migrations of a version."""
    if request.param == "SQLite":
        return lambda migrations: SqliteCatalog(tmp_path / "fleet.sqlite", migrations=migrations)
    url = new_schema()
    return lambda migrations: SharedPostgresCatalog(url, migrations)


@pytest.fixture(params=CATALOGS)
def fleets(
    request: pytest.FixtureRequest, tmp_path: Path, new_schema: Callable[[], str]
) -> Iterator[tuple[Fleet, ...]]:
    """Give the catalog of one service as three of its processes have it."""
    if request.param == "SQLite":
        made = tuple(Fleet.open(tmp_path / "fleet.sqlite") for _ in range(3))
    else:
        url = new_schema()
        made = tuple(Fleet.connect(url) for _ in range(3))
    yield made
    for fleet in made:
        fleet.close()


@pytest.mark.parametrize("known", range(1, len(FLEET_MIGRATIONS)))
def test_a_catalog_of_each_earlier_version_is_brought_up_to_date(opens: Opens, known: int) -> None:
    earlier = opens(FLEET_MIGRATIONS[:known])
    with earlier.write() as connection:
        connection.execute(FLEET.tables["models"].insert(), MODEL | {"labels": "", "every_seconds": 60, "at": 1})
    earlier.close()
    now = opens(FLEET_MIGRATIONS)
    with now.read() as connection:
        for table in FLEET.sorted_tables:
            there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
            assert there == set(table.columns.keys())
        assert connection.execute(sa.select(FLEET.tables["models"].c.owner)).scalar_one() == "ann"
    now.close()
    with pytest.raises(StoreError, match="does not know"):
        opens(FLEET_MIGRATIONS[:known])


def test_a_request_that_is_sent_to_several_processes_at_once_is_done_once(fleets: tuple[Fleet, ...]) -> None:
    done: list[int] = []
    answers: list[Response] = []

    def answer() -> Response:
        done.append(1)
        time.sleep(0.05)
        return JSONResponse({"done": len(done)}, 202)

    def ask(fleet: Fleet) -> None:
        answers.append(Repeats(fleet, lambda: NOON).once("ann\0monday", "fingerprint", answer))

    askers = [threading.Thread(target=ask, args=(fleet,)) for fleet in fleets for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(done) == 1
    # Those that came while it was being done are told so, those after it are answered as it was.
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert Repeats(fleets[2], lambda: NOON).once("ann\0monday", "fingerprint", answer).body == b'{"done":1}'


def test_what_many_write_at_once_is_all_there_and_numbered_once(fleets: tuple[Fleet, ...]) -> None:
    def write(fleet: Fleet, first: int) -> None:
        board = Board(fleet)
        for number in range(first, first + 20):
            board.add(f"job-{number}", "tick", "m", {}, "ann", NOON)

    writers = [threading.Thread(target=write, args=(fleet, 10 * place)) for place, fleet in enumerate(fleets)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    jobs = Board(fleets[0]).jobs(limit=1_000)
    assert sorted(job.id for job in jobs) == sorted(f"job-{number}" for number in range(40))
    assert [job.number for job in jobs] == sorted({job.number for job in jobs}, reverse=True)


def test_text_of_any_kind_is_kept_and_sorted_by_its_bytes(fleets: tuple[Fleet, ...]) -> None:
    fleet, board = fleets[0], Board(fleets[0])
    for name in ("b", "A", "ä", "a", "B", "no\0thing"):
        board.add(name, "tick", name, {"x": "\0"}, "ann", NOON)
    with fleet.read() as connection:
        names = list(connection.execute(sa.select(FLEET.tables["jobs"].c.id).order_by("id")).scalars())
    assert names[:5] == ["A", "B", "a", "b", "no\0thing" if "no\0thing" in names else "no\ufffdthing"]
    assert board.job("no\0thing").arguments == {"x": "\0"}


HOLDER = """
import sys, time
from pitstop.service.fleet import Fleet
with Fleet.connect(sys.argv[1]).write() as connection:
    connection.exec_driver_sql("DELETE FROM jobs")
    print("holds", flush=True)
    time.sleep(60)
"""


def test_who_is_killed_while_writing_holds_nobody_up_and_leaves_nothing(new_schema: Callable[[], str]) -> None:
    url = new_schema()
    fleet = Fleet.connect(url)
    Board(fleet).add("job", "tick", "m", {}, "ann", NOON)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"holds\n"
    waited: list[bool] = []
    writer = threading.Thread(target=lambda: waited.append(Board(fleet).add("next", "tick", "m", {}, "ann", NOON)))
    writer.start()
    writer.join(0.3)
    assert writer.is_alive()
    holder.kill()
    writer.join(10)
    assert waited == [True]
    assert [job.id for job in Board(fleet).jobs()] == ["next", "job"]
    holder.wait()
    holder.stdout.close()
    fleet.close()


def test_while_the_server_is_away_it_is_said_and_afterwards_all_goes_on(
    new_schema: Callable[[], str], request: pytest.FixtureRequest
) -> None:
    fleet = Fleet.connect(new_schema())
    server: Any = request.getfixturevalue("postgres")
    board = Board(fleet)
    board.add("before", "tick", "m", {}, "ann", NOON)
    server.stop()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="run again"):
                board.jobs()
            with pytest.raises(StoreUnavailableError):
                board.add("meanwhile", "tick", "m", {}, "ann", NOON)
    finally:
        server.start()
    board.add("after", "tick", "m", {}, "ann", NOON)
    assert [job.id for job in board.jobs()] == ["after", "before"]
    fleet.close()


@pytest.mark.parametrize(
    "text", ["catalog = 5", "catalog = 'mysql://h/d'", "catalog = 'postgresql://u:p@h/d'", "x = ''"]
)
def test_a_workspace_says_what_it_does_not_take(tmp_path: Path, text: str) -> None:
    (tmp_path / "workspace.toml").write_text(text, encoding="utf-8")
    with pytest.raises(StoreError):
        Workspace.open(tmp_path)
