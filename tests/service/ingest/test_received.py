"""A model's loop finds the same out from posted rows as from a table of them, whatever way and order they came in."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pytest

from pitstop.errors import ColumnValueError, EmptyTableError
from pitstop.integrations.serving import run
from pitstop.records.spec import parse_spec
from pitstop.service.ingest.batch import Batch, Kind
from pitstop.service.ingest.inbox import Inbox
from pitstop.store.home import Home
from pitstop.store.received import Received

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
SPEC = parse_spec("""
[model]
name = "live"
task = "binary"
[columns]
time = "at"
id = "id"
label = "label"
label_time = "known_at"
score = "score"
features = ["x", "c"]
categorical = ["c"]
[time]
window = "day"
period = 5
[trainer]
name = "none"
[replay]
start = "2024-01-11"
""")


def history() -> pa.Table:
    random = np.random.default_rng(3)
    at = np.sort(random.uniform(0, 24, 600))
    score = random.random(len(at))
    known = at + 1 + random.gamma(2.0, 0.7, len(at))
    return pa.table(
        {
            "id": [f"r{place}" for place in range(len(at))],
            "at": [FIRST + timedelta(days=day) for day in at],
            "x": random.normal(size=len(at)),
            "c": [("a", "b", None)[code] for code in random.integers(0, 3, len(at))],
            "score": score,
            "label": pa.array((random.random(len(at)) < score).astype(int)),
            "known_at": [FIRST + timedelta(days=day) for day in known],
        }
    )


def found(home: Path) -> list[Any]:
    with Home.open(home, read_only=True) as kept:
        return [(item.kind, item.id, item.at, item.caused_by, item.content) for item in kept.artifacts()]


def post(inbox: Inbox, kind: Kind, table: pa.Table) -> None:
    sink = io.BytesIO()
    with pa_ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    inbox.accept_now(Batch("live", kind, "arrow", sink.getvalue()))


def test_a_tick_finds_the_same_from_posted_rows_as_from_a_table(tmp_path: Path) -> None:
    table = history()
    rows, labels = table.select(["id", "at", "x", "c", "score"]), table.select(["id", "label", "known_at"])
    random = np.random.default_rng(5)
    received = Received(tmp_path / "records", "live")
    with pytest.raises(EmptyTableError, match="no rows of live have come yet"):
        run(tmp_path / "home", spec=SPEC, source=received)
    with Inbox(tmp_path, lambda _: SPEC) as inbox, inbox.drain() as drain:
        # Labels first, in any order, then rows in pieces of any size and order, some of them twice.
        post(inbox, "labels", labels.take(pa.array(random.permutation(600)[:300])))
        drain.run_dry()
        cuts = [0, *sorted(random.choice(600, 9, replace=False).tolist()), 600]
        for place in random.permutation(10):
            post(inbox, "predictions", rows.slice(cuts[place], cuts[place + 1] - cuts[place]))
            if place % 3 == 0:
                drain.run_dry()
                post(inbox, "predictions", rows.slice(cuts[place], cuts[place + 1] - cuts[place]))
        post(inbox, "labels", labels.take(pa.array(random.permutation(600))))
        drain.run_dry()
    for as_of in ("2024-01-16", "2024-01-24"):
        run(tmp_path / "home", spec=SPEC, source=received, as_of=as_of)
        run(tmp_path / "plain", spec=SPEC, source=rows, labels=labels, as_of=as_of)
    assert len(found(tmp_path / "plain")) > 5
    assert found(tmp_path / "home") == found(tmp_path / "plain")


def test_a_label_that_contradicts_the_log_stops_no_tick(tmp_path: Path) -> None:
    """Some rows were logged as never to show a label. One comes all the same, cannot be taken back, and is left out."""
    spec = replace(SPEC, columns=replace(SPEC.columns, propensity="chance"))
    never = np.arange(600) % 100 == 7
    table = history().append_column("chance", pa.array(np.where(never, 0.0, 1.0)))
    rows, labels = table.select(["id", "at", "x", "c", "score", "chance"]), table.select(["id", "label", "known_at"])
    with Inbox(tmp_path, lambda _: spec) as inbox, inbox.drain() as drain:
        post(inbox, "predictions", rows)
        post(inbox, "labels", labels)
        drain.run_dry()
    run(tmp_path / "home", spec=spec, source=Received(tmp_path / "records", "live"))
    run(tmp_path / "plain", spec=spec, source=rows, labels=labels.filter(pa.array(~never)))
    assert len(found(tmp_path / "plain")) > 5
    assert found(tmp_path / "home") == found(tmp_path / "plain")
    with pytest.raises(ColumnValueError, match="whose chance to show one was logged as 0"):
        run(tmp_path / "refused", spec=spec, source=rows, labels=labels)
