"""The same intake where the store of received rows has its catalog in PostgreSQL, and its files in a bucket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.service.ingest.counted import SPEC, check_counts, label_of, rows_of

from pitstop.records.spec import parse_spec
from pitstop.service.ingest.batch import Batch, Kind
from pitstop.service.ingest.inbox import Inbox
from pitstop.store.copying import copy_home
from pitstop.store.home import Home
from pitstop.store.intake import intakes
from pitstop.store.location import Location, write_location


def put(inbox: Inbox, kind: Kind, rows: Any, name: str = "") -> None:
    inbox.accept_now(Batch("m", kind, "json", json.dumps(rows).encode(), name))


@pytest.mark.slow
@pytest.mark.parametrize("place", ["PostgreSQL", "PostgreSQL and S3"])
def test_the_intake_is_the_same_on_servers(tmp_path: Path, request: pytest.FixtureRequest, place: str) -> None:
    name = f"intake_{len(place)}"
    catalog = request.getfixturevalue("postgres").url(name)
    files = request.getfixturevalue("bucket").url(name.replace("_", "-")) if "S3" in place else ""
    write_location(tmp_path / "records", Location(catalog, files))
    spec = parse_spec(SPEC)
    with Inbox(tmp_path, lambda _: spec) as inbox:
        with inbox.drain() as drain:
            put(inbox, "labels", [label_of(n) for n in range(300)], "early")
            for first in range(0, 1_260, 70):
                put(inbox, "predictions", rows_of(first, 70, per_day=2_000), f"b{first}")
                drain.step()
                put(inbox, "predictions", rows_of(first, 70, per_day=2_000), f"b{first}")
            put(inbox, "labels", [label_of(n, flip=True, later=5) for n in range(200, 600)])
            put(inbox, "predictions", [{"id": "odd"}])
            drain.run_dry()
            check_counts(drain.home, spec)
            while drain.tidy():
                pass
            assert len(drain.home.segments("predictions", "m")) == 1
        assert inbox.state().quarantined == 1
        inbox.mend(inbox.quarantined()[0].number, json.dumps(rows_of(1_300, 1, per_day=2_000)).encode())
        inbox.erase("id-250", "a request")
        with inbox.drain() as drain:
            drain.run_dry()
            check_counts(drain.home, spec)
            assert "id-250" not in drain.home.read_segments("predictions", "m")["@id"].to_pylist()
            assert intakes(drain.home)["m"].rows == 1_261
            assert not drain.home.verify(rows=True).faults
        state = inbox.state()
        assert (state.ready, state.quarantined, state.backlog_bytes) == (True, 0, 0)
    copy_home(tmp_path / "records", tmp_path / "copy")
    with Home.open(tmp_path / "copy") as home:
        check_counts(home, spec)
        assert not home.verify(rows=True).faults


@pytest.mark.slow
def test_a_name_that_the_database_refuses_holds_up_nobody(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """PostgreSQL keeps no NUL in a text: such a column's name in a reason would stop storing for ever."""
    write_location(tmp_path / "records", Location(request.getfixturevalue("postgres").url("intake_nul"), ""))
    spec = parse_spec(SPEC)
    with Inbox(tmp_path, lambda _: spec) as inbox, inbox.drain() as drain:
        put(inbox, "predictions", [{"a\0b": 1}], "of \0 somebody")
        put(inbox, "predictions", rows_of(0, 3))
        assert drain.run_dry().quarantined == 1
        assert drain.home.read_segments("predictions", "m").num_rows == 3
        assert "It has: a\\x00b" in inbox.quarantined()[0].reason
