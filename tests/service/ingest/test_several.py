"""Several processes take rows in, and several store: in the order in which things were acknowledged, each once."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.service.ingest.counted import SPEC, check_counts, label_of, rows_of

from pitstop.records.spec import parse_spec
from pitstop.service.ingest.batch import Batch, Kind
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.working import Working
from pitstop.store.home import Home
from pitstop.store.intake import intakes, stored_of
from pitstop.store.spool import is_of, spool_id

# Without a label time, the label that came last holds.
UNTIMED = parse_spec(SPEC.replace('label_time = "known"\n', ""))
TIMED = parse_spec(SPEC)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[Inbox]]:
    """Give the inboxes of three processes that share a spool."""
    with ExitStack() as stack:
        yield [stack.enter_context(Inbox(tmp_path, lambda _: UNTIMED)) for _ in range(3)]


def put(inbox: Inbox, kind: Kind, rows: list[dict[str, Any]]) -> None:
    inbox.accept_now(Batch("m", kind, "json", json.dumps(rows).encode()))


def labels(numbers: range, *, flip: bool) -> list[dict[str, Any]]:
    return [{name: value for name, value in label_of(n, flip=flip).items() if name != "known"} for n in numbers]


def test_whichever_process_takes_a_correction_it_holds(three: list[Inbox]) -> None:
    draw = random.Random(5)
    flipped: dict[int, bool] = {}
    put(three[0], "predictions", rows_of(0, 1_200))
    for _ in range(60):
        first = draw.randrange(0, 60) * 20
        flipped[first] = not flipped.get(first, True)
        put(draw.choice(three), "labels", labels(range(first, first + 20), flip=flipped[first]))
        if draw.random() < 0.1:
            with three[0].drain() as drain:
                drain.step()
        if draw.random() < 0.1:
            draw.choice(three)._commits.finish_file()
    with three[0].drain() as drain:
        drain.run_dry()
        table = drain.home.read_segments("labels", "m")
        held = dict(zip(table["@id"].to_pylist(), table["@label"].to_pylist(), strict=True))
        check_counts(drain.home, UNTIMED)
    assert held == {
        f"id-{number}": str(label_of(number, flip=flip)["label"])
        for first, flip in flipped.items()
        for number in range(first, first + 20)
    }


def test_an_erasure_takes_what_any_process_had_acknowledged_and_nothing_later(three: list[Inbox]) -> None:
    # The file of whoever takes the order is older than the one in which the rows stand.
    put(three[0], "predictions", rows_of(0, 20))
    put(three[1], "predictions", rows_of(20, 20))
    three[0].erase("id-30", "a request")
    put(three[2], "predictions", rows_of(40, 20))
    with three[0].drain() as drain:
        drain.run_dry()
        assert drain.home.read_segments("predictions", "m")["@id"].to_pylist().count("id-30") == 0
        put(three[2], "predictions", rows_of(30, 1))
        drain.run_dry()
        ids = drain.home.read_segments("predictions", "m")["@id"].to_pylist()
    assert sorted(ids) == sorted(f"id-{number}" for number in range(60))


def test_a_clock_that_jumps_holds_nothing_up(tmp_path: Path) -> None:
    moments = iter([10**15, 5, 10**17, 7, 10**15])
    with (
        Inbox(tmp_path, lambda _: TIMED, clock=lambda: next(moments)) as one,
        Inbox(tmp_path, lambda _: TIMED, clock=lambda: next(moments)) as two,
    ):
        for place in range(5):
            put((one, two)[place % 2], "predictions", rows_of(400 * place, 400))
        with one.drain() as drain:
            drain.run_dry()
            assert intakes(drain.home)["m"].rows == 2_000
            check_counts(drain.home, TIMED)


def test_machines_with_spools_of_their_own_store_into_one_home_by_turns(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    spools = [tmp_path / name / "spool" for name in ("one", "two")]
    with ExitStack() as stack:
        inboxes = [stack.enter_context(Inbox(workspace, lambda _: TIMED, spool=spool)) for spool in spools]
        workings = [Working(workspace, lambda _: TIMED, spool=spool, pause=0.01, hold=0.05) for spool in spools]
        for working in workings:
            working.start()
        for place in range(30):
            put(inboxes[place % 2], "predictions", rows_of(60 * place, 60))
            put(inboxes[1 - place % 2], "labels", [label_of(n) for n in range(60 * place, 60 * place + 30)])
            time.sleep(0.01)
        until = time.monotonic() + 60
        while time.monotonic() < until and _rows(workspace) < 1_800:
            time.sleep(0.1)
        for working in workings:
            working.stop()
            assert working.problem == ""
    with Home.open(workspace / "records") as home:
        assert intakes(home)["m"].rows == 1_800
        ids = home.read_segments("predictions", "m", columns=["@id"])["@id"].to_pylist()
        assert len(ids) == len(set(ids)) == 1_800
        check_counts(home, TIMED)
        # What one machine stored is not forgotten by the other, which does not see its files.
        names = stored_of(home)
        assert all(any(is_of(name, spool_id(spool)) for name in names) for spool in spools)


def _rows(workspace: Path) -> int:
    if not (workspace / "records" / "catalog.sqlite").exists():
        return 0
    with Home.open(workspace / "records", read_only=True) as home:
        return intakes(home)["m"].rows if "m" in intakes(home) else 0
