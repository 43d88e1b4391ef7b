"""Rows and labels in any order, repeated, late, corrected or early: stored once, and counted as a recount counts."""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.ingest.counted import SPEC, check_counts, label_of, rows_of

from pitstop.errors import StoreError, UnknownNameError
from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.service.ingest.batch import Batch, Kind
from pitstop.service.ingest.counting import ENOUGH_ROWS
from pitstop.service.ingest.drain import SPOOL, Drain, Step
from pitstop.service.ingest.grouping import next_group
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.receiving import Receiving
from pitstop.service.ingest.working import Working
from pitstop.store.home import Home
from pitstop.store.intake import intakes


def put(inbox: Inbox, kind: Kind, rows: Any, name: str = "") -> None:
    inbox.accept_now(Batch("m", kind, "json", json.dumps(rows).encode(), name))


def drained(inbox: Inbox) -> Any:
    with inbox.drain() as drain:
        return drain.run_dry()


STEPS = st.lists(
    st.tuples(st.sampled_from(["rows", "labels", "again", "flip", "older", "store"]), st.integers(0, 9)),
    min_size=3,
    max_size=14,
)


@settings(max_examples=8)
@given(STEPS)
def test_any_order_of_rows_and_labels_ends_as_a_recount(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    spec = parse_spec(SPEC)
    path = tmp_path_factory.mktemp("workspace")
    blocks, size = {}, 130
    with Inbox(path, lambda _: spec) as inbox:
        for place, (what, block) in enumerate(steps):
            numbers = range(block * size, (block + 1) * size)
            if what == "rows":
                put(inbox, "predictions", rows_of(block * size, size), f"rows {block}")
                blocks[block] = True
            elif what == "again":
                # The same rows under another batch id, as after a timeout of a sender without ids.
                put(inbox, "predictions", rows_of(block * size, size))
                blocks[block] = True
            elif what == "store":
                drained(inbox)
            else:
                later = {"labels": 10, "flip": 20 + place, "older": 1}[what]
                put(inbox, "labels", [label_of(n, later=later, flip=what != "labels") for n in numbers])
        # Enough rows for the bins to be fitted, so that there is something to compare.
        put(inbox, "predictions", rows_of(20 * size, ENOUGH_ROWS))
        drained(inbox)
    with Home.open(path / "records") as home:
        intake = intakes(home)["m"]
        assert intake.rows == len(blocks) * size + ENOUGH_ROWS
        assert intake.layout is not None
        check_counts(home, spec)
        assert not home.verify(rows=True).faults


def test_a_row_of_an_id_that_comes_at_several_instants_is_stored_once_at_each(
    tmp_path: Path, specs: Callable[[str], ModelSpec | None]
) -> None:
    """A customer who is scored each day, in a batch that is sent again."""
    days = [{**rows_of(0, 1)[0], "at": f"2026-01-{day:02d}"} for day in (3, 1, 2)]
    with Inbox(tmp_path, specs) as inbox, inbox.drain() as drain:
        for rows in (days[:2], days, [*days, *days]):
            put(inbox, "predictions", rows)
            drain.run_dry()
            put(inbox, "predictions", rows_of(1, 4))  # others, so that runs are merged
            drain.run_dry()
        names = drain.home.read_segments("predictions", "m")["@id"].to_pylist()
        assert sorted(names) == ["id-0"] * 3 + [f"id-{number}" for number in range(1, 5)]
        assert intakes(drain.home)["m"].repeated == 2 + 6 + 8
        inbox.erase("id-0", "a request")
        drain.run_dry()
        put(inbox, "predictions", days)  # nothing says any more that they were there
        drain.run_dry()
        assert drain.home.read_segments("predictions", "m")["@id"].to_pylist().count("id-0") == 3


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_group_is_as_large_as_what_is_unpacked_of_it(
    tmp_path: Path, specs: Callable[[str], ModelSpec | None], form: str
) -> None:
    """Else a few megabytes of small files would fill the memory of whoever stores, again and again."""
    table, sink = pa.table({f"c{place}": pa.nulls(100_000, pa.null()) for place in range(20)}), io.BytesIO()
    if form == "parquet":
        pq.write_table(table, sink)
    else:
        with pa_ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    with Inbox(tmp_path, specs) as inbox:
        for _ in range(12):
            inbox.accept_now(Batch("m", "predictions", form, sink.getvalue()))
    assert len(sink.getvalue()) < 20_000
    assert len(next_group(tmp_path / SPOOL, {}).records) == 5


def test_a_late_corrected_repeated_and_early_label_each_end_right(
    workspace: Path, specs: Callable[[str], ModelSpec | None], spec: ModelSpec
) -> None:
    with Inbox(workspace, specs) as inbox:
        put(inbox, "labels", [label_of(5)])
        drained(inbox)
        put(inbox, "predictions", rows_of(0, 1_200))
        put(inbox, "labels", [label_of(6), label_of(6), label_of(7)])
        drained(inbox)
        put(inbox, "labels", [label_of(7, later=9, flip=True), label_of(8)])
        put(inbox, "labels", [label_of(7, later=3)])  # an older word, that came after the newer one
        drained(inbox)
        with Home.open(workspace / "records", read_only=True) as home:
            check_counts(home, spec)
            intake = intakes(home)["m"]
            assert (intake.early, intake.labels, intake.rows) == (0, 7, 1_200)
            held: dict[str, str] = {}
            for segment in home.segments("labels", "m"):
                table = home.read_segment(segment).sort_by("@label_at")
                held |= dict(zip(table["@id"].to_pylist(), table["@label"].to_pylist(), strict=True))
        assert held == {f"id-{n}": str(label_of(n, flip=n == 7)["label"]) for n in (5, 6, 7, 8)}


def test_a_batch_id_counts_once_and_only_for_its_model_and_kind(
    workspace: Path, specs: Callable[[str], ModelSpec | None]
) -> None:
    with Inbox(workspace, specs) as inbox:
        for _ in range(3):
            put(inbox, "predictions", rows_of(0, 10), "b")
        put(inbox, "labels", [label_of(1)], "b")
        assert drained(inbox).repeated == 2
        put(inbox, "predictions", rows_of(50, 10), "b")
        assert drained(inbox).repeated == 1
        with Home.open(workspace / "records", read_only=True) as home:
            assert (intakes(home)["m"].rows, intakes(home)["m"].labels) == (10, 1)


def test_a_poison_batch_is_set_apart_mended_and_replayed_and_holds_nobody_up(
    workspace: Path, specs: Callable[[str], ModelSpec | None], spec: ModelSpec
) -> None:
    good = rows_of(0, 1_100)
    with Inbox(workspace, specs) as inbox:
        for place in range(0, 1_100, 100):
            put(inbox, "predictions", good[place : place + 100])
            if place in (300, 700):
                put(inbox, "predictions", [{**row, "score": 7} for row in rows_of(2_000 + place, 3)], f"bad {place}")
        put(inbox, "labels", [label_of(n) for n in range(4, 20)])
        put(inbox, "labels", [{"id": "id-3", "label": "perhaps", "known": "2026-03-01"}])
        done = drained(inbox)
        assert (done.batches, done.quarantined) == (12, 3)
        found = inbox.quarantined("m")
        assert [entry.batch_id for entry in found[:2]] == ["bad 300", "bad 700"]
        assert "score column 'score', row 1: got 7" in found[0].reason
        assert "a binary label has two values" in found[2].reason
        assert inbox.state().quarantined == 3
        entry = inbox.quarantined_batch(found[0].number)
        mended = [{**row, "score": 0.7} for row in json.loads(entry.payload)]
        inbox.mend(entry.number, json.dumps(mended).encode(), by="ada")
        inbox.mend(found[1].number)  # as it was: refused again, as a new entry
        inbox.discard(found[2].number)
        drained(inbox)
        states = [entry.state for entry in inbox.quarantined(closed=True)]
        assert states == ["mended", "open", "discarded", "open"]
        with pytest.raises(UnknownNameError, match="is mended already"):
            inbox.mend(entry.number)
        with pytest.raises(StoreError, match="no entry 99"):
            inbox.quarantined_batch(99)
        assert inbox.quarantined_batch(entry.number).payload == b""
    with Home.open(workspace / "records") as home:
        assert intakes(home)["m"].rows == 1_103
        check_counts(home, spec)
        assert not home.verify(rows=True).faults


@pytest.mark.parametrize("right", [1, 0])
def test_a_first_label_that_was_mistyped_makes_room_once_it_is_corrected(
    workspace: Path, specs: Callable[[str], ModelSpec | None], spec: ModelSpec, right: int
) -> None:
    def known(number: int, label: Any, day: int) -> dict[str, Any]:
        return {"id": f"id-{number}", "label": label, "known": f"2026-03-{day:02d}"}

    with Inbox(workspace, specs) as inbox:
        put(inbox, "predictions", rows_of(0, 1_100))
        put(inbox, "labels", [known(3, "unknown", 2)])
        drained(inbox)
        # A label from before the mistyped one does not hold in its stead.
        put(inbox, "labels", [known(3, 0, 1), known(4, 0, 2)])
        assert drained(inbox).quarantined == 1
        (entry,) = inbox.quarantined("m")
        assert "If 'unknown' was wrong, send the right label of every row that has it" in entry.reason
        put(inbox, "labels", [known(3, right, 3)])
        assert drained(inbox).quarantined == 0
        inbox.mend(entry.number)
        assert drained(inbox).quarantined == 0
        assert not inbox.quarantined("m")
        put(inbox, "labels", [known(5, "unknown", 4)])
        assert drained(inbox).quarantined == 1  # a class that is in use makes no room
    with Home.open(workspace / "records") as home:
        assert set(intakes(home)["m"].classes) <= {"0", "1"}
        check_counts(home, spec)


def test_a_refused_batch_may_be_sent_again_under_its_id_until_it_is_stored_or_mended(
    workspace: Path, specs: Callable[[str], ModelSpec | None]
) -> None:
    bad, good = [{**row, "score": 7} for row in rows_of(0, 3)], rows_of(0, 3)
    with Inbox(workspace, specs) as inbox:
        for name in ("one", "two"):
            put(inbox, "predictions", bad, name)
        drained(inbox)
        one, two = inbox.quarantined("m")
        put(inbox, "predictions", good, "one")
        assert drained(inbox).batches == 1
        inbox.mend(two.number, json.dumps(rows_of(10, 3)).encode(), by="ada")
        inbox.discard(one.number, by="grace")
        drained(inbox)
        for name in ("one", "two"):
            put(inbox, "predictions", rows_of(100, 3), name)
        assert drained(inbox).repeated == 2
    with Home.open(workspace / "records", read_only=True) as home:
        assert intakes(home)["m"].rows == 6
        closed = [item.content for item in home.artifacts("quarantine", "m") if "state" in item.content]
        assert {(item["entry"], item["state"], item["by"]) for item in closed} == {
            (two.number, "mended", "ada"),
            (one.number, "discarded", "grace"),
        }


def test_a_batch_that_is_mended_twice_before_it_is_stored_counts_once_and_is_not_lost(
    workspace: Path, specs: Callable[[str], ModelSpec | None]
) -> None:
    with Inbox(workspace, specs) as inbox:
        put(inbox, "predictions", [{**row, "score": 7} for row in rows_of(0, 3)])
        drained(inbox)
        (entry,) = inbox.quarantined("m")
        one, other = ([{**row, "score": score} for row in rows_of(first, 3)] for first, score in ((0, 0.7), (50, 0.8)))
        inbox.mend(entry.number, json.dumps(one).encode())
        inbox.mend(entry.number, json.dumps(other).encode())
        inbox.discard(entry.number)
        drained(inbox)
        first, second = inbox.quarantined("m", closed=True)
        assert (first.state, second.state) == ("mended", "open")
        assert "was closed before" in second.reason
        assert json.loads(inbox.quarantined_batch(second.number).payload) == other
        with Home.open(workspace / "records", read_only=True) as home:
            assert intakes(home)["m"].rows == 3


def test_whoever_stores_goes_on_after_a_failure_of_any_kind(
    workspace: Path, specs: Callable[[str], ModelSpec | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = Drain.step, [MemoryError("no room"), OSError("no disk")]
    problems: list[str] = []

    def step(drain: Drain) -> Step:
        problems.append(working.problem)
        if failures:
            raise failures.pop()
        return real(drain)

    monkeypatch.setattr(Drain, "step", step)
    working = Working(workspace, specs, pause=0.01, again=0.01)
    with Inbox(workspace, specs) as inbox:
        put(inbox, "predictions", rows_of(0, 10))
        working.start()
        until = time.monotonic() + 20
        while time.monotonic() < until and len(problems) < 4:
            time.sleep(0.01)
        working.stop()
    assert [problem.partition(": ")[2] for problem in problems[:3]] == ["", "OSError: no disk", "MemoryError: no room"]
    with Home.open(workspace / "records", read_only=True) as home:
        assert intakes(home)["m"].rows == 10


def test_batches_of_other_types_and_unforeseen_ones_do_not_stop_the_others(
    workspace: Path, specs: Callable[[str], ModelSpec | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Receiving.take_predictions

    def breaks(self: Any, table: pa.Table, name: str) -> None:
        if "id-13" in table["@id"].to_pylist():
            msg = "nobody thought of this"
            raise LookupError(msg)
        real(self, table, name)

    monkeypatch.setattr(Receiving, "take_predictions", breaks)
    with Inbox(workspace, specs) as inbox:
        for number in range(20):
            row = rows_of(number, 1)[0]
            put(inbox, "predictions", {**row, "said": str(row["said"])} if number % 2 else row)
        done = drained(inbox)
        assert (done.batches, done.quarantined) == (19, 1)
        assert "LookupError: nobody thought of this" in inbox.quarantined()[0].reason


def test_rows_by_number_and_rows_without_ids_are_stored_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    text = SPEC.replace('id = "id"\n', "").replace('label_time = "known"\n', "")
    spec = parse_spec(text + "[time]\nwindow = 50\nperiod = 4\n")
    with Inbox(tmp_path, lambda _: spec) as inbox:
        for first in (0, 30, 60):
            put(inbox, "predictions", [{**row, "at": first} for row in rows_of(first, 30)])
        drained(inbox)
        put(inbox, "predictions", [{**row, "at": 90} for row in rows_of(90, 30)])
        drained(inbox)
    with Home.open(tmp_path / "records", read_only=True) as home:
        table = home.read_segments("predictions", "m")
        assert table["@id"].to_pylist() == [str(n) for n in range(120)]
        assert table["x"].to_pylist() == [row["x"] for row in rows_of(0, 120)]
        assert [item.window for item in home.segments("predictions", "m")] == [0, 1, 1, 2]


def test_many_small_groups_keep_few_runs_and_every_label_finds_its_row(
    workspace: Path, specs: Callable[[str], ModelSpec | None], spec: ModelSpec
) -> None:
    order = list(range(1_400))
    random.Random(3).shuffle(order)
    with Inbox(workspace, specs) as inbox, inbox.drain() as drain:
        for first in range(0, 1_400, 35):
            put(inbox, "predictions", rows_of(first, 35))
            drain.run_dry()
        for first in range(0, 1_400, 70):
            put(inbox, "labels", [label_of(n) for n in order[first : first + 70]])
            drain.run_dry()
        check_counts(drain.home, spec)
        assert intakes(drain.home)["m"].early == 0
        files = sorted(path.name for path in (workspace / "records" / "joins").iterdir())
        assert len(files) <= 2 * 2 * 4
        assert sum(segment.rows for segment in drain.home.segments("labels", "m")) == 1_400


def test_small_segments_are_put_together_and_nothing_else_changes(
    workspace: Path, specs: Callable[[str], ModelSpec | None], spec: ModelSpec
) -> None:
    with Inbox(workspace, specs) as inbox, inbox.drain() as drain:
        for first in range(0, 1_200, 20):
            # All of one day, in many small batches, their labels one after the other and corrected.
            put(inbox, "predictions", rows_of(first, 20, per_day=5_000))
            put(inbox, "labels", [label_of(n) for n in range(first, first + 20)])
            drain.step()
        before = [drain.home.read_segments(kind, "m").to_pylist() for kind in ("predictions", "labels")]
        assert len(drain.home.segments("predictions", "m")) == 60
        while drain.tidy():
            pass
        assert [len(drain.home.segments(kind, "m")) for kind in ("predictions", "labels")] == [1, 1]
        assert [drain.home.read_segments(kind, "m").to_pylist() for kind in ("predictions", "labels")] == before
        check_counts(drain.home, spec)
        for first in range(1_200, 1_240, 4):
            put(inbox, "predictions", rows_of(first, 4, per_day=5_000))
            drain.step()
        assert not drain.tidy()  # ten more are few
        check_counts(drain.home, spec)
    with Home.open(workspace / "records") as home:
        assert not home.verify(rows=True).faults
        files = [path for path in (workspace / "records" / "segments").rglob("*") if path.is_file()]
        assert len(files) == len(home.segments("predictions", "m")) + len(home.segments("labels", "m"))
