"""A person's rows and old rows go, on record; counts equal a recount of what is left, and nothing comes back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.service.ingest.counted import SPEC, check_counts, label_of, recount, rows_of

from pitstop.loop.erasure import hold
from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.service.ingest.batch import Batch, Kind
from pitstop.service.ingest.drain import Drain
from pitstop.service.ingest.inbox import Inbox
from pitstop.store.home import Home
from pitstop.store.intake import intakes


def put(inbox: Inbox, kind: Kind, rows: Any) -> None:
    inbox.accept_now(Batch("m", kind, "json", json.dumps(rows).encode()))


def filled(inbox: Inbox) -> None:
    for first in range(0, 1_200, 300):
        rows = [{**row, "who": f"person-{int(row['id'][3:]) % 40}"} for row in rows_of(first, 300)]
        put(inbox, "predictions", rows)
    put(inbox, "labels", [label_of(n) for n in range(900)])
    put(inbox, "labels", [label_of(n, flip=True, later=9) for n in range(200)])
    put(inbox, "predictions", [{"id": "odd", "who": "person-7"}])


def test_an_erased_person_is_nowhere_and_all_counts_are_those_of_what_is_left(tmp_path: Path) -> None:
    spec = parse_spec(SPEC.replace('id = "id"\n', 'id = "id"\nsubject = "who"\n'))
    with Inbox(tmp_path, lambda _: spec) as inbox:
        filled(inbox)
        inbox.erase("person-7", "a request of 3 March")
        # A label of an erased row that comes later finds nothing, and waits in vain.
        put(inbox, "labels", [label_of(7, later=30)])
        with inbox.drain() as drain:
            drain.run_dry()
            check_counts(drain.home, spec)
            rows = drain.home.read_segments("predictions", "m").to_pylist()
            labels = drain.home.read_segments("labels", "m")["@id"].to_pylist()
            assert len(rows) == 1_170
            assert not [row for row in rows if row["@subject"] == "person-7"]
            gone = {f"id-{number}" for number in range(1_200) if number % 40 == 7}
            assert set(labels) & gone == {"id-7"}  # the one that came later
            assert intakes(drain.home)["m"].early == 1
            assert not drain.home.verify(rows=True).faults
            assert drain.home.verify(rows=True).erased
            assert [entry.state for entry in inbox.quarantined(closed=True)] == ["discarded"]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"person-7" in path.read_bytes()]


def test_a_legal_hold_outranks_an_erasure(tmp_path: Path, specs: Callable[[str], ModelSpec | None]) -> None:
    with Inbox(tmp_path, specs) as inbox:
        filled(inbox)
        with inbox.drain() as drain:
            drain.run_dry()
            hold(drain.home, "id-7", {"why": "a trial", "by": "legal"}, 5)
        inbox.erase("id-7", "a request")
        with inbox.drain() as drain:
            drain.run_dry()
            assert "id-7" in drain.home.read_segments("predictions", "m")["@id"].to_pylist()
            assert "outranks it" in drain.home.artifacts("erasure")[-1].content["outcome"]


def test_a_hold_in_a_home_elsewhere_counts_and_what_is_no_home_holds_up_nothing(
    tmp_path: Path, specs: Callable[[str], ModelSpec | None]
) -> None:
    """The demo's home, say, is registered and stands elsewhere; among the models lies what a copy left there."""
    workspace, elsewhere = tmp_path / "w", tmp_path / "elsewhere"
    with Home.open(elsewhere) as home:
        hold(home, "id-7", {"why": "a trial", "by": "legal"}, 5)
    with Inbox(workspace, specs) as inbox:
        put(inbox, "predictions", rows_of(0, 10))
        for name in ("id-7", "id-8"):
            inbox.erase(name, "a request")
        (workspace / "models" / "begun").mkdir(parents=True)
        (workspace / "models" / "old").mkdir()
        (workspace / "models" / "old" / "notes.txt").write_text("of somebody")
        (workspace / "models" / ".DS_Store").write_text("")
        homes = (elsewhere, tmp_path / "not begun")
        with Drain(workspace, specs, homes=lambda: homes) as drain:
            drain.run_dry()
            names = drain.home.read_segments("predictions", "m")["@id"].to_pylist()
    assert sorted(names) == [f"id-{number}" for number in range(10) if number != 8]


def test_retention_drops_rows_and_keeps_their_counts(
    tmp_path: Path, specs: Callable[[str], ModelSpec | None], spec: ModelSpec
) -> None:
    with Inbox(tmp_path, specs) as inbox:
        filled(inbox)
        with inbox.drain() as drain:
            drain.run_dry()
            before = {item.window: item.blob for item in drain.home.profiles("m", "predicted")}
            first = min(before)
        inbox.retain("m", spec.calendar.window_start(first + 4))
        put(inbox, "predictions", rows_of(1_200, 50))
        with inbox.drain() as drain:
            drain.run_dry()
            assert {item.window for item in drain.home.segments("predictions", "m")} == {
                first + n for n in range(4, 13)
            }
            after = {item.window: item.blob for item in drain.home.profiles("m", "predicted")}
            assert {window: after[window] for window in before if window < first + 12} == before
            rows, _ = recount(drain.home, spec)
            assert {window: profile.pack() for window, profile in rows.items()} == {
                window: blob for window, blob in after.items() if window >= first + 4
            }
            assert not drain.home.verify(rows=True).faults


def test_what_went_by_retention_and_is_sent_again_stays_away_and_counts_once(
    tmp_path: Path, specs: Callable[[str], ModelSpec | None], spec: ModelSpec
) -> None:
    with Inbox(tmp_path, specs) as inbox, inbox.drain() as drain:
        filled(inbox)
        drain.run_dry()
        first = drain.home.segments("predictions", "m")[0].window
        inbox.retain("m", spec.calendar.window_start(first + 4), by="ada")
        drain.run_dry()
        inbox.retain("m", spec.calendar.window_start(first + 2))  # what is older has gone before
        drain.run_dry()
        before = {
            (kind, item.window): item.blob
            for kind in ("predicted", "labelled")
            for item in drain.home.profiles("m", kind)
        }
        put(inbox, "predictions", rows_of(0, 600))
        put(inbox, "labels", [label_of(n) for n in range(300)])
        drain.run_dry()
        after = {
            (kind, item.window): item.blob
            for kind in ("predicted", "labelled")
            for item in drain.home.profiles("m", kind)
        }
        assert after == before
        assert intakes(drain.home)["m"].expired == 400
        assert drain.home.artifacts("retention", "m")[0].content["by"] == "ada"


def test_an_order_is_carried_out_once_though_the_drain_is_opened_again(
    tmp_path: Path, specs: Callable[[str], ModelSpec | None]
) -> None:
    with Inbox(tmp_path, specs) as inbox:
        filled(inbox)
        inbox.erase("id-3", "a request")
        for _ in range(3):
            with inbox.drain() as drain:
                drain.run_dry()
    with Home.open(tmp_path / "records") as home:
        assert len(home.artifacts("erasure", "m")) == 1
        assert len(home.read_segments("predictions", "m")["@id"]) == 1_199


def test_an_erasure_leaves_the_corrections_of_other_labels_in_force(
    tmp_path: Path, specs: Callable[[str], ModelSpec | None], spec: ModelSpec
) -> None:
    # Each drained by itself, so that a label and its correction lie in runs of their own; the erased is in the older.
    steps: tuple[tuple[Kind, Any], ...] = (
        ("predictions", rows_of(0, 1_200)),
        ("labels", [label_of(n) for n in range(100)]),
        ("labels", [label_of(n, flip=True, later=9) for n in range(50)]),
    )
    with Inbox(tmp_path, specs) as inbox, inbox.drain() as drain:
        for kind, rows in steps:
            put(inbox, kind, rows)
            drain.run_dry()
        inbox.erase("id-70", "a request")
        drain.run_dry()
        check_counts(drain.home, spec)
        repeated = intakes(drain.home)["m"].repeated
        put(inbox, "labels", [label_of(n, flip=True, later=9) for n in range(50)])
        drain.run_dry()
        assert intakes(drain.home)["m"].repeated == repeated + 50
        put(inbox, "labels", [label_of(n, later=12) for n in range(50)])
        drain.run_dry()
        check_counts(drain.home, spec)


def test_labels_of_a_person_without_a_row_are_erased_too(
    tmp_path: Path, specs: Callable[[str], ModelSpec | None], spec: ModelSpec
) -> None:
    """One whose prediction has not come, and one whose prediction went by retention before its label came."""
    with Inbox(tmp_path, specs) as inbox, inbox.drain() as drain:
        put(inbox, "predictions", rows_of(0, 1_200))
        put(inbox, "labels", [label_of(9_000), label_of(9_001)])
        drain.run_dry()
        inbox.retain("m", spec.calendar.window_start(drain.home.segments("predictions", "m")[0].window + 4))
        put(inbox, "labels", [label_of(7)])
        drain.run_dry()
        for name in ("id-9000", "id-7"):
            assert name in drain.home.read_segments("labels", "m")["@id"].to_pylist()
            inbox.erase(name, "a request")
            drain.run_dry()
        assert drain.home.read_segments("labels", "m")["@id"].to_pylist() == ["id-9001"]
        assert intakes(drain.home)["m"].early == 1
        assert not drain.home.verify(rows=True).faults
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".spool"]
    assert not [path for path in kept if b"id-9000" in path.read_bytes()]


def test_an_erasure_discards_the_quarantined_batches_that_name_the_person_and_no_others(
    tmp_path: Path, specs: Callable[[str], ModelSpec | None]
) -> None:
    bad = {"at": "no day", "x": 1.0, "y": 1.0, "c": "c1", "score": 0.5, "said": 1}
    table = pa.table({name: [value] for name, value in {"id": "Zoë", **bad}.items()})
    packed = io.BytesIO()
    pq.write_table(table, packed, compression="zstd")
    batches: tuple[tuple[Any, bytes], ...] = (
        ("json", json.dumps([{"id": "Zoë", **bad}]).encode()),  # escaped
        ("parquet", packed.getvalue()),
        ("ndjson", json.dumps({"id": "Zoë-Marie", **bad}, ensure_ascii=False).encode()),  # somebody else
        ("json", json.dumps([{"id": 7.0, **bad}]).encode()),
        ("json", json.dumps([{"id": 70, **bad}]).encode()),
        ("csv", b"id,at,x\n17,no day,7\n"),
        # No table, because a column mixes types: why it waits there.
        ("json", json.dumps([{"id": "Zoë", "x": 1.0}, {"id": "b", "x": "much"}]).encode()),
        ("json", json.dumps([{"id": "a", "x": 7}, {"id": 1, "x": "Zoë"}]).encode()),
    )
    with Inbox(tmp_path, specs) as inbox, inbox.drain() as drain:
        for form, payload in batches:
            inbox.accept_now(Batch("m", "predictions", form, payload))
            drain.run_dry()
        for name in ("Zoë", "7"):
            inbox.erase(name, "a request")
            drain.run_dry()
        states = [entry.state for entry in inbox.quarantined(closed=True)]
    assert states == ["discarded", "discarded", "open", "discarded", "open", "open", "discarded", "open"]


def test_an_erasure_leaves_rows_alone_that_are_only_numbered(tmp_path: Path) -> None:
    """A model without ids beside one whose ids are numbers: row 17 is nobody's."""
    unnamed = parse_spec(SPEC.replace('\nid = "id"', "").replace('label = "label"\nlabel_time = "known"\n', ""))
    assert unnamed.columns.id is None
    with Inbox(tmp_path, lambda _: unnamed) as inbox, inbox.drain() as drain:
        put(inbox, "predictions", rows_of(0, 50))
        drain.run_dry()
        inbox.erase("17", "a request")
        drain.run_dry()
        assert drain.home.read_segments("predictions", "m").num_rows == 50
