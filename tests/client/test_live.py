"""Predictions and labels in folders of their own: late, early, repeated, corrected, never predicted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from typer.testing import CliRunner

from pitstop.cli.main import app
from pitstop.client import Client
from pitstop.errors import ColumnValueError, MissingColumnError, SpecError
from pitstop.loop.rowlog import RowLog
from pitstop.records.batches import normalise
from pitstop.records.label_tables import normalise_labels
from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.replays.feed import Feed
from pitstop.replays.replay import run
from pitstop.store.home import Home

DAY = 86_400_000_000
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
TEXT = """
[model]
name = "live"
task = "binary"
[columns]
time = "at"
id = "id"
label = "label"
label_time = "known_at"
score = "score"
features = ["x"]
[time]
window = "day"
period = 5
[trainer]
name = "none"
[replay]
start = "2024-01-11"
"""
SPEC = parse_spec(TEXT)
DAYS, ROWS = 24, 25


@pytest.fixture(scope="module")
def history() -> pa.Table:
    """Rows of 24 days with the label known one to six days later."""
    random = np.random.default_rng(3)
    at = np.sort(random.uniform(0, DAYS, DAYS * ROWS))
    score = random.random(len(at))
    known = at + 1 + random.gamma(2.0, 0.7, len(at))
    return pa.table(
        {
            "id": [f"r{place}" for place in range(len(at))],
            "at": [FIRST + timedelta(days=day) for day in at],
            "x": random.normal(size=len(at)),
            "score": score,
            "label": pa.array((random.random(len(at)) < score).astype(int)),
            "known_at": [FIRST + timedelta(days=day) for day in known],
        }
    )


def rows_of(history: pa.Table) -> pa.Table:
    return history.select(["id", "at", "x", "score"])


def labels_of(history: pa.Table) -> pa.Table:
    return history.select(["id", "label", "known_at"])


def until(table: pa.Table, column: str, day: float) -> pa.Table:
    """Return the rows that are before a day."""
    return table.filter(pc.less(table[column], pa.scalar(FIRST + timedelta(days=day), table[column].type)))


def artifacts(home: Path) -> list[tuple[Any, ...]]:
    with Home.open(home, read_only=True) as kept:
        return [(item.kind, item.id, item.at, item.caused_by, item.content) for item in kept.artifacts()]


def kept_labels(home: Path) -> pa.Table:
    with Home.open(home, read_only=True) as kept:
        return kept.read_segments("labels", "live")


def day_of(moment: datetime) -> str:
    return moment.date().isoformat()


def test_labels_of_their_own_give_what_the_same_labels_in_the_table_give(tmp_path: Path, history: pa.Table) -> None:
    shuffled = labels_of(history).take(np.random.default_rng(1).permutation(history.num_rows))
    twice = pa.concat_tables([shuffled, shuffled.slice(0, 50)])
    one = run(tmp_path / "one", spec=SPEC, source=history)
    two = run(tmp_path / "two", spec=SPEC, source=rows_of(history), labels=twice)
    assert asdict(one) == asdict(two)
    assert one.windows == DAYS - 1
    assert artifacts(tmp_path / "one") == artifacts(tmp_path / "two")
    assert len([item for item in artifacts(tmp_path / "two") if item[0] == "transaction"]) > 5


def test_folders_that_grow_day_by_day_give_what_one_run_gives(tmp_path: Path, history: pa.Table) -> None:
    """Batches of the client, taken in by the command, in steps of a few days."""
    spec = tmp_path / "pitstop.toml"
    spec.write_text(TEXT, encoding="utf-8")
    client, home = Client(tmp_path / "log"), tmp_path / "home"
    for day in (4, 14, 15, 19, DAYS):
        # Overlapping batches, as a service that tries again hands them over.
        client.log(until(rows_of(history), "at", day))
        client.labels(until(labels_of(history), "known_at", day))
        arguments = ["run", "--home", str(home), "--as-of", day_of(FIRST + timedelta(days=day)), "--json"]
        if day == 4:
            continue
        if day == 14:
            folders = {"--source": "predictions", "--labels": "labels"}
            named = [part for option, name in folders.items() for part in (option, str(client.folder / name))]
            arguments += [*named, "--spec", str(spec)]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output + repr(done.exception)
        assert json.loads(done.stdout)["late_rows"] == 0
    at_once = run(tmp_path / "once", spec=SPEC, source=history, as_of=day_of(FIRST + timedelta(days=DAYS)))
    assert at_once.windows == DAYS
    assert artifacts(home) == artifacts(tmp_path / "once")


def test_a_label_that_comes_after_its_window_counts_from_when_it_came(tmp_path: Path, history: pa.Table) -> None:
    late = labels_of(history).filter(pc.is_in(history["id"], value_set=pa.array(["r20", "r21"])))
    others = labels_of(history).filter(pc.invert(pc.is_in(history["id"], value_set=pa.array(["r20", "r21"]))))
    home = tmp_path / "home"
    run(home, spec=SPEC, source=rows_of(history), labels=others, as_of="2024-01-16")
    before = artifacts(home)
    assert "r20" not in kept_labels(home)["@id"].to_pylist()
    labels = pa.concat_tables([others, late])
    run(home, spec=SPEC, source=rows_of(history), labels=labels, as_of="2024-01-18")
    kept = {row["@id"]: row for row in kept_labels(home).to_pylist()}
    assert kept["r20"]["@label_at"] == SPEC.calendar.parse_instant("2024-01-16")
    assert artifacts(home)[: len(before)] == before
    # It is taken once, though it stays in the folder.
    run(home, spec=SPEC, source=rows_of(history), labels=labels, as_of="2024-01-20")
    assert kept_labels(home)["@id"].to_pylist().count("r20") == 1


def test_the_latest_label_holds_and_a_correction_is_booked(tmp_path: Path, history: pa.Table) -> None:
    labels = labels_of(history)
    # Its first label comes after the loop's first window: what came before was never booked.
    began, ends = (datetime(2024, 1, day, tzinfo=UTC) for day in (14, 16))
    old = next(row for row in labels.to_pylist() if began < row["known_at"] < ends)
    name, wrong = old["id"], 1 - old["label"]
    later = pa.Table.from_pylist(
        [
            # In the same window as the first label, then days after it, then one that says what is known.
            {"id": name, "label": old["label"], "known_at": old["known_at"]},
            {"id": name, "label": wrong, "known_at": datetime(2024, 1, 17, 5, tzinfo=UTC)},
            {"id": name, "label": wrong, "known_at": datetime(2024, 1, 19, 5, tzinfo=UTC)},
        ],
        schema=labels.schema,
    )
    home = tmp_path / "home"
    given = {"source": rows_of(history), "labels": pa.concat_tables([later, labels])}
    run(home, spec=SPEC, **given, as_of="2024-01-16")
    booked = [item[4]["kind"] for item in artifacts(home) if item[0] == "transaction"]
    assert "correction" not in booked
    run(home, spec=SPEC, **given, as_of="2024-01-22")
    corrections = [item[4] for item in artifacts(home) if item[0] == "transaction" and item[4]["kind"] == "correction"]
    assert len(corrections) == 1
    said = [row["@label"] for row in kept_labels(home).to_pylist() if row["@id"] == name]
    assert said == [str(old["label"]), str(wrong), str(wrong)]


def test_labels_for_unknown_ids_are_refused_and_nothing_is_taken(tmp_path: Path, history: pa.Table) -> None:
    stray = pa.table({"id": ["r1", "nobody"], "label": [1, 0], "known_at": history["known_at"].slice(0, 2)})
    labels = pa.concat_tables([labels_of(history), stray])
    with pytest.raises(
        ColumnValueError, match=rf"id column 'id' of the labels, row {history.num_rows + 2}: .*'nobody'"
    ):
        run(tmp_path / "home", spec=SPEC, source=rows_of(history), labels=labels)
    assert not (tmp_path / "home").exists()


def test_an_early_label_waits_for_its_prediction(history: pa.Table) -> None:
    rows = normalise(SPEC, rows_of(history), labelled=False)
    labels = labels_of(history).slice(0, 3)
    early = pa.array([FIRST - timedelta(days=1)] * 3, labels["known_at"].type)
    found = normalise_labels(SPEC, rows_of(history), rows, labels.set_column(2, "known_at", early))
    assert found["@label_at"].to_pylist() == rows.at[:3].tolist()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda table: table.drop_columns(["known_at"]), MissingColumnError, "'known_at'"),
        (lambda table: table.rename_columns(["name", "label", "known_at"]), MissingColumnError, "'id'"),
        (
            lambda table: table.set_column(2, "known_at", pa.array([None] * len(table), table["known_at"].type)),
            ColumnValueError,
            "row 1: the row has a label but no label time",
        ),
        (
            lambda table: table.set_column(0, "id", pa.nulls(len(table), pa.string())),
            ColumnValueError,
            "row 1: this label has no id",
        ),
        (
            lambda table: table.set_column(2, "known_at", pa.array(range(len(table)))),
            ColumnValueError,
            "integer values but the time column moment",
        ),
        (
            lambda table: table.set_column(1, "label", pa.array([str(place) for place in range(len(table))])),
            ColumnValueError,
            "a binary label has two values",
        ),
    ],
)
def test_bad_tables_of_labels_are_refused_with_the_column_and_the_row(
    history: pa.Table, change: Callable[[pa.Table], pa.Table], error: type[Exception], words: str
) -> None:
    rows = normalise(SPEC, rows_of(history), labelled=False)
    with pytest.raises(error, match=words):
        normalise_labels(SPEC, rows_of(history), rows, change(labels_of(history)))


def test_labels_without_an_id_column_cannot_be_joined(history: pa.Table) -> None:
    spec = parse_spec(TEXT.replace('id = "id"\n', ""))
    rows = normalise(spec, rows_of(history), labelled=False)
    with pytest.raises(SpecError, match="names no id"):
        normalise_labels(spec, rows_of(history), rows, labels_of(history))


@pytest.mark.parametrize("window", ['"day"', "40"])
@pytest.mark.parametrize("timed", [True, False])
def test_labels_are_known_when_they_would_be_in_the_table(history: pa.Table, window: str, timed: bool) -> None:
    text = TEXT.replace('window = "day"', f"window = {window}").replace('start = "2024-01-11"', 'start = ""')
    spec = parse_spec(text if timed else text.replace('label_time = "known_at"', ""))
    together = Feed(spec, normalise(spec, history)).labels
    rows = normalise(spec, rows_of(history), labelled=False)
    apart = normalise_labels(spec, rows_of(history), rows, labels_of(history))
    one, two = ({row["@id"]: row for row in table.to_pylist()} for table in (together, apart))
    assert one == two


def test_rows_that_come_too_late_are_left_out_with_their_labels_and_counted(tmp_path: Path, history: pa.Table) -> None:
    late = pc.is_in(history["id"], value_set=pa.array(["r20", "r300"]))
    home = tmp_path / "home"
    run(home, spec=SPEC, source=history.filter(pc.invert(late)), as_of="2024-01-16")
    done = run(home, spec=SPEC, source=history, as_of="2024-01-18")
    assert done.late_rows == 2
    run(tmp_path / "without", spec=SPEC, source=history.filter(pc.invert(late)), as_of="2024-01-18")
    assert artifacts(home) == artifacts(tmp_path / "without")


class Stop(Exception):  # noqa: N818 - it stands for a crash
    """The process dies."""


def test_after_a_crash_what_was_committed_stays_whatever_came_since(tmp_path: Path, history: pa.Table) -> None:
    # A row of the last day that is committed when the process dies, and one of a day that is not.
    days = pc.day(history["at"]).to_pylist()
    committed, open_still = days.index(12), days.index(14)
    first = history.filter(pa.array([place not in (committed, open_still) for place in range(len(days))]))
    home = tmp_path / "home"

    def die(name: str, _done: int, _total: int) -> None:
        if name == "2024-01-14":
            raise Stop

    with pytest.raises(Stop):
        run(home, spec=SPEC, source=first, as_of="2024-01-20", progress=die)
    before = artifacts(home)
    done = run(home, spec=SPEC, source=history, as_of="2024-01-20")
    assert done.late_rows == 1
    expected = history.filter(pa.array([place != committed for place in range(len(days))]))
    run(tmp_path / "whole", spec=SPEC, source=expected, as_of="2024-01-20")
    assert artifacts(home)[: len(before)] == before
    assert artifacts(home) == artifacts(tmp_path / "whole")
    with Home.open(home, read_only=True) as kept:
        assert kept.verify(rows=True).ok


def test_the_start_once_decided_does_not_move_as_the_history_grows(tmp_path: Path, history: pa.Table) -> None:
    spec = parse_spec(TEXT.replace('start = "2024-01-11"', "").replace("period = 5", "period = 1"))
    home = tmp_path / "home"
    # Three periods are three days; a tenth of the longer history is more.
    longer = pa.concat_tables([history, _shifted(history, 24), _shifted(history, 48)])
    run(home, spec=spec, source=history, as_of="2024-01-10")
    feeds = [Feed(spec, normalise(spec, table)) for table in (history, longer)]
    starts = [feed.start(spec, "") for feed in feeds]
    assert starts[0] < starts[1]
    assert run(home, spec=spec, source=longer, as_of="2024-01-12").windows == 2


def _shifted(history: pa.Table, days: int) -> pa.Table:
    moved = {name: pc.add(history[name], pa.scalar(timedelta(days=days))) for name in ("at", "known_at")}
    ids = pa.array([f"{name}+{days}" for name in history["id"].to_pylist()])
    return pa.table({name: moved.get(name, ids if name == "id" else history[name]) for name in history.column_names})


def test_catching_up_with_nothing_new_changes_nothing(history: pa.Table) -> None:
    feed = Feed(SPEC, normalise(SPEC, history))
    log, window = _log_until(SPEC, feed, 10)
    before = [feed.window(day) for day in range(feed.first, feed.last + 1)]
    feed.catch_up(window, log)
    assert [feed.window(day) for day in range(feed.first, feed.last + 1)] == before
    assert feed.missed == 0


def _log_until(spec: ModelSpec, feed: Feed, days: int) -> tuple[RowLog, int]:
    log = RowLog(spec)
    for window in range(feed.first, feed.first + days):
        rows, labels = feed.window(window)
        log.append(rows)
        ordinals = log.ordinals(labels["@id"].to_pylist())
        values = np.array(labels["@label"].to_pylist(), dtype=log.labels.dtype)
        log.set_labels(ordinals, values, np.asarray(labels["@label_at"].to_numpy(), dtype=np.int64))
    return log, feed.first + days
