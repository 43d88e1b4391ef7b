"""Nothing is computed from a label, or a row, before it came; the same input gives the same artifacts, however cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pitstop.records.spec import ModelSpec

DOCUMENT = ("alarms", "incidents", "decisions", "releases")
# Days of the history: before any alarm, between alarms and the release, after the release.
EARLY, BETWEEN, LATE = "2024-01-23", "2024-02-03", "2024-02-15"
DAYS = [*(pytest.param(day, marks=pytest.mark.slow) for day in (EARLY, BETWEEN)), LATE]


def instant(day: str) -> int:
    """Return the first instant of a day in microseconds."""
    return int(np.datetime64(day, "us").astype(np.int64))


def later(table: pa.Table, column: str, day: str) -> Any:
    """Return which rows have an instant at or after the start of a day."""
    return pc.greater_equal(table[column].cast(pa.int64()), instant(day))


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return the table with one column replaced."""
    return table.set_column(table.column_names.index(name), name, values)


def changed_after(table: pa.Table, day: str) -> pa.Table:
    """Return the history with labels that come at or after a day turned round, and later rows made strange."""
    unknown, unborn = later(table, "known_at", day), later(table, "at", day)
    table = with_column(table, "label", pc.if_else(unknown, pc.subtract(1, table["label"]), table["label"]))
    table = with_column(table, "x1", pc.if_else(unborn, 99.0, table["x1"]))
    return with_column(table, "kind", pc.if_else(unborn, "never seen", table["kind"]))


def cut_at(table: pa.Table, day: str) -> pa.Table:
    """Return the history as it was known at the start of a day: no later row, and no label that came later."""
    unknown = later(table, "known_at", day)
    for name in ("label", "known_at"):
        kind = table.schema.field(name).type
        table = with_column(table, name, pc.if_else(unknown, pa.scalar(None, kind), table[name]))
    return table.filter(pc.invert(later(table, "at", day)))


def known_then(document: dict[str, Any], day: str) -> dict[str, list[str]]:
    """Return the ids in a document's lists of what was made by the start of a day."""
    return {name: [item["id"] for item in document[name] if item["at"] <= day] for name in DOCUMENT}


def test_the_history_has_alarms_and_releases_on_both_sides(small: Any) -> None:
    alarms = [item["at"] for item in small.document["alarms"]]
    releases = [item["at"] for item in small.document["releases"] if item["stage"] == "champion"]
    assert EARLY < min(alarms) < BETWEEN < LATE < max(alarms)
    assert len(releases) == 2
    assert releases[0] < EARLY < BETWEEN < releases[1] < LATE
    assert len(small.until(instant(EARLY))) < len(small.until(instant(BETWEEN))) < len(small.until(instant(LATE)))
    assert len(small.until(instant(LATE))) < len(small.artifacts)


@pytest.mark.parametrize("day", DAYS)
def test_what_comes_later_changes_nothing_before(
    day: str, small: Any, workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    other = workshop.replay(changed_after(history(), day), spec, f"changed-{day}")
    assert other.until(instant(day)) == small.until(instant(day))
    assert known_then(other.document, day) == known_then(small.document, day)
    # The change is one that would be seen: what came after it differs.
    assert {item[0] for item in other.artifacts} != {item[0] for item in small.artifacts}


@pytest.mark.parametrize("day", DAYS)
def test_a_history_cut_at_a_day_gives_the_same_until_then(
    day: str, small: Any, workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    other = workshop.replay(cut_at(history(), day), spec, f"cut-{day}")
    whole = small.until(instant(day))
    count = len(other.artifacts)
    assert other.artifacts == whole[:count]
    # Where a period opens on that very day, its opening belongs to the next window, which the cut file does not have.
    assert all(item[2] == instant(day) for item in whole[count:])
    openings = {"decision", "challenger", "comparison", "release", "baseline", "transaction", "appraisal"}
    assert {item[1] for item in whole[count:]} <= openings
    mine, full = known_then(other.document, day), known_then(small.document, day)
    assert all(full[name][: len(ids)] == ids for name, ids in mine.items())
