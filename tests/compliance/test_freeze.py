"""The freeze of a serious incident outranks an erasure, until the incident is closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pitstop.compliance.facts import Artifact
from pitstop.compliance.statements import declare, report
from pitstop.journal.entries import KINDS as ENTRIES
from pitstop.loop.erasure import erase
from pitstop.loop.recalling import KINDS as EVIDENCE
from pitstop.loop.recalling import facts_of
from pitstop.records.calendar import DAY
from pitstop.records.spec import parse_spec
from pitstop.store.home import Home

SPEC = parse_spec("""
[model]
name = "m"
task = "binary"
[columns]
time = "at"
id = "id"
label = "y"
features = ["x"]
""")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Return a home with one row a day from day 60 on, before its first model is monitored."""
    with Home.open(tmp_path / "home") as kept:
        with kept.transaction() as store:
            store.put_artifact(SPEC.content, "spec", SPEC.id, 100 * DAY, (), "m")
            for window in range(60, 100):
                rows = pa.table({"@id": [f"r{window}"], "@at": [window * DAY], "x": [1.0]})
                store.add_segment("predictions", "m", window, f"window-{window}", rows, at=(window + 1) * DAY)
        yield kept


def put(home: Home, *said: Artifact) -> None:
    with home.transaction() as store:
        for item in said:
            store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, "m")


def rows(home: Home) -> set[str]:
    return set(home.read_segments("predictions", "m")["@id"].to_pylist())


def test_rows_of_an_open_serious_incident_cannot_be_erased_and_the_refusal_is_on_record(home: Home) -> None:
    declared, freeze = declare(facts_of(home, "m"), severity="death", aware_at=99 * DAY, by="Ben", text="x")
    put(home, declared, freeze)
    assert freeze.content["windows"] == list(range(69, 100))
    done = erase(home, "r80", "asked for", 100 * DAY)
    assert not done.done
    assert freeze.id in done.outcome
    assert "r80" in rows(home)
    assert [item.caused_by for item in home.artifacts("erasure")] == [(freeze.id,)]
    # What it does not protect can go.
    assert erase(home, "r62", "asked for", 100 * DAY).done
    put(home, report(facts_of(home, "m"), declared.id, reported_at=99 * DAY, by="Ben", text="x", closes=True))
    assert erase(home, "r80", "asked for", 100 * DAY).done
    assert not {"r80", "r62"} & rows(home)
    assert home.verify().ok


def test_every_kind_of_evidence_is_a_kind_of_entry() -> None:
    assert set(EVIDENCE) <= set(ENTRIES)
