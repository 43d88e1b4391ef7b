"""The guarantees on real bookings: the decay of January 2016 is found, nothing looks ahead or depends on the run."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pitstop.data import hotel_bookings_path, hotel_bookings_spec
from pitstop.records.spec import parse_spec
from pitstop.replays.replay import replay, run
from pitstop.store.home import Home

pytestmark = pytest.mark.slow

# Eight months from the first model on, with the decay and the first retrains in them.
END = date(2016, 6, 1)
BEFORE, AFTER = date(2016, 1, 10), date(2016, 4, 10)


@pytest.fixture(scope="module")
def bookings() -> pa.Table:
    """Return the bookings made before `END`, with labels as far as they were known then."""
    return cut(pq.read_table(hotel_bookings_path()), END)


def later(table: pa.Table, column: str, day: date) -> Any:
    return pc.greater_equal(table[column].cast(pa.date32()), pa.scalar(day, pa.date32()))


def cut(table: pa.Table, day: date) -> pa.Table:
    """Return what was known at the start of a day."""
    unknown = later(table, "resolved_on", day)
    for name in ("is_canceled", "resolved_on"):
        kind = table.schema.field(name).type
        values = pc.if_else(unknown, pa.scalar(None, kind), table[name])
        table = table.set_column(table.column_names.index(name), name, values)
    return table.filter(pc.invert(later(table, "booked_on", day)))


def turned(table: pa.Table, day: date) -> pa.Table:
    """Return the table with every label that comes at or after a day turned round, and later prices tripled."""
    labels = table["is_canceled"].cast(pa.int64())
    labels = pc.if_else(later(table, "resolved_on", day), pc.subtract(1, labels), labels)
    prices = pc.if_else(later(table, "booked_on", day), pc.multiply(table["adr"], 3), table["adr"])
    table = table.set_column(table.column_names.index("is_canceled"), "is_canceled", labels)
    return table.set_column(table.column_names.index("adr"), "adr", prices)


def artifacts(home: Path, until: date | None = None) -> list[tuple[str, str, int, Any]]:
    """Return the artifacts in a home whose `at` is at most the start of a day."""
    limit = None if until is None else int(np.datetime64(until, "us").astype(np.int64)) + 1
    with Home.open(home, read_only=True) as kept:
        return [(item.id, item.kind, item.at, item.content) for item in kept.artifacts(up_to=limit)]


@pytest.fixture(scope="module")
def walked(bookings: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Return the home and the document of the replay."""
    home = tmp_path_factory.mktemp("hotel") / "home"
    return home, replay(bookings, parse_spec(hotel_bookings_spec()), home=home).document


def test_the_decay_of_january_is_an_incident_that_names_the_error(walked: tuple[Path, Any]) -> None:
    _, document = walked
    alarms = {alarm["id"]: alarm for alarm in document["alarms"]}
    found = [
        alarms[name]
        for incident in document["incidents"]
        for name in incident["alarms"]
        if alarms[name]["monitor"] == "error"
        and abs((date.fromisoformat(alarms[name]["since"]) - date(2016, 1, 3)).days) <= 14
    ]
    assert found
    served = [date.fromisoformat(item["at"]) for item in document["releases"] if item["stage"] == "champion"]
    assert any(date(2016, 1, 1) <= day < END for day in served)


@pytest.mark.parametrize("day", [BEFORE, AFTER], ids=str)
def test_what_comes_later_changes_nothing_before(
    day: date, walked: tuple[Path, Any], bookings: pa.Table, tmp_path: Path
) -> None:
    replay(turned(bookings, day), parse_spec(hotel_bookings_spec()), home=tmp_path / "home")
    assert artifacts(tmp_path / "home", day) == artifacts(walked[0], day)


@pytest.mark.parametrize("day", [BEFORE, AFTER], ids=str)
def test_cut_and_in_steps_it_is_the_same_until_then(
    day: date, walked: tuple[Path, Any], bookings: pa.Table, tmp_path: Path
) -> None:
    spec, home = parse_spec(hotel_bookings_spec()), tmp_path / "home"
    replay(cut(bookings, day), spec, home=home)
    assert artifacts(home) == artifacts(walked[0], day)
    # The whole history in the same home goes on where the cut one ended.
    run(home, spec=spec, source=bookings, as_of="2017-01-01")
    assert artifacts(home) == artifacts(walked[0])
