"""A workspace is copied, moved and restored with all that is in it, also while rows come in and are stored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pitstop.errors import StoreError
from pitstop.integrations.serving import run
from pitstop.records.spec import load_spec
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import People
from pitstop.service.copying import copy_workspace, make_workspace
from pitstop.service.fleet import FLEET
from pitstop.service.ingest.batch import Batch
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.ingest.working import Working
from pitstop.service.jobs.board import Board
from pitstop.service.places import Places
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home
from pitstop.store.intake import intakes
from pitstop.store.location import CATALOG

from .conftest import ADMIN, NOON
from .ingest.counted import MODEL, SPEC, check_counts, label_of, rows_of

ODD = Batch("m", "predictions", "json", b'{"id": "odd"}')
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


@pytest.fixture
def filled(tmp_path: Path, loans: Path) -> tuple[Path, str]:
    """Return a workspace with users, a key, jobs, a model that has begun, and rows, not all of them stored."""
    folder = tmp_path / "filled"
    with Workspace.open(folder) as workspace:
        workspace.register(SPEC, at=NOON)
        text = (loans / "pitstop.toml").read_text(encoding="utf-8")
        workspace.register(text, at=NOON, source=str(loans / "loans.csv"), base=loans)
        People(workspace.fleet).add("ann", PASSWORD, ["operator"], NOON)
        _, key = Keys(workspace.fleet).make("ci", ["viewer"], None, 1, by=ADMIN, at=NOON)
        board = Board(workspace.fleet)
        for name in ("first", "second"):
            board.add(name, "tick", "loans", {"now": NOON}, "ann", NOON)
        board.ended("first", "done", {}, NOON)
        home = workspace.home("loans")
    run(home, spec=load_spec(loans / "pitstop.toml"), source=str(loans / "loans.csv"), base=loans, as_of="2024-05-01")
    with Inbox(folder, lambda _: MODEL) as inbox:
        for first in range(0, 1_200, 400):
            send(inbox, first)
        for _ in range(2):
            inbox.accept_now(ODD)
        with inbox.drain() as drain:
            drain.run_dry()
        send(inbox, 1_200)
    with sqlite3.connect(folder / "records" / CATALOG) as catalog:
        catalog.execute("UPDATE quarantine SET number = number + 6")  # as where a transaction took numbers and failed
    catalog.close()
    return folder, key


def send(inbox: Inbox, first: int) -> None:
    inbox.accept_now(Batch("m", "predictions", "json", json.dumps(rows_of(first, 400)).encode(), f"b{first}"))
    labels = json.dumps([label_of(number) for number in range(first, first + 50)]).encode()
    inbox.accept_now(Batch("m", "labels", "json", labels))


def tables(workspace: Workspace) -> dict[str, list[Any]]:
    with workspace.fleet.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in FLEET.sorted_tables
        }


def test_a_file_that_goes_while_it_is_copied_is_told(filled: tuple[Path, str], tmp_path: Path) -> None:
    waiting = filled[0] / "trainings" / "order-1"
    waiting.mkdir(parents=True)
    (waiting / "training.arrow").symlink_to(waiting / "gone")
    with pytest.raises(StoreError, match="waits for trainings elsewhere"):
        copy_workspace(filled[0], tmp_path / "copy")


def test_to_postgresql_and_back_nothing_is_missing_and_work_goes_on(
    filled: tuple[Path, str], tmp_path: Path, new_schema: Callable[[], str], request: pytest.FixtureRequest
) -> None:
    folder, key = filled
    places = Places(new_schema(), request.getfixturevalue("bucket").url("workspace"))
    made = copy_workspace(folder, tmp_path / "moved", places)
    assert (made.homes, made.spool, made.elsewhere) == (("loans",), 1, ())
    copy_workspace(tmp_path / "moved", tmp_path / "restored")
    for name in ("moved", "restored"):
        copy = tmp_path / name
        with Workspace.open(folder) as old, Workspace.open(copy) as new, RegisteredSpecs(copy) as specs:
            assert tables(new) == tables(old)
            assert Keys(new.fleet).actor(key, NOON) == Keys(old.fleet).actor(key, NOON)
            assert People(new.fleet).begin("ann", PASSWORD, NOON)
            # The next number follows the last one.
            Board(new.fleet).add("third", "tick", "loans", {}, "ann", NOON)
            assert [job.id for job in Board(new.fleet).jobs()] == ["third", "second", "first"]
            with Home.open(new.home("loans"), read_only=True) as one, Home.open(old.home("loans")) as two:
                assert one.journal_head() == two.journal_head()
            with Inbox(copy, specs) as inbox, inbox.drain() as drain:
                assert [item.number for item in inbox.quarantined()] == [7, 8]
                send(inbox, 1_600)
                inbox.accept_now(ODD)
                drain.run_dry()
                assert [item.number for item in inbox.quarantined()] == [7, 8, 9]
        with Home.open(copy / "records") as home:
            assert intakes(home)["m"].rows == 2_000
            check_counts(home, MODEL)
            assert not home.verify(rows=True).faults
    with pytest.raises(StoreError, match="not empty"):
        copy_workspace(folder, tmp_path / "moved", places)
    with pytest.raises(StoreError, match="already"):
        make_workspace(tmp_path / "other", places)
    assert not (tmp_path / "other" / "workspace.toml").exists()


def test_a_backup_of_a_service_that_stores_has_each_acknowledged_batch_once(
    filled: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = filled
    working = Working(folder, lambda _: MODEL, pause=0.0, hold=0.05)
    working.start()
    with Inbox(folder, lambda _: MODEL) as inbox:
        try:
            for place in range(4):
                first = 1_600 + place * 400
                send(inbox, first)
                copy = tmp_path / f"copy-{place}"
                copy_workspace(folder, copy)
                with Inbox(copy, lambda _: MODEL) as copied, copied.drain() as drain:
                    drain.run_dry()
                    ids = drain.home.read_segments("predictions", "m", columns=["@id"])["@id"].to_pylist()
                    assert sorted(ids) == sorted(f"id-{number}" for number in range(first + 400))
                    check_counts(drain.home, MODEL)
        finally:
            working.stop()
