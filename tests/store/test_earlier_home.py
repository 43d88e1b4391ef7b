"""A home that an earlier version made opens, verifies, and is gone on with; the archive beside this file holds one."""

from __future__ import annotations

import sqlite3
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pitstop.errors import SpecError, StoreError
from pitstop.loop.accounts import accounts_of
from pitstop.records.spec import Outcome, parse_spec
from pitstop.replays.replay import run
from pitstop.store.home import Home

ARCHIVE = Path(__file__).with_name("earlier_home.zip")
SPEC = parse_spec("""
[model]
name = "loans"
task = "binary"

[columns]
time = "at"
features = ["income", "region"]
categorical = ["region"]
id = "loan"
label = "repaid"
label_time = "settled"
score = "score"

[time]
window = "day"
period = "week"

[value]
currency = "EUR"
true_positive = 20.0
false_positive = { constant = -5.0, factor = -0.5, amount = "income" }
true_negative = 0.0
false_negative = -2.0

[costs]
release = 100.0

[trainer]
name = "none"

[replay]
start = "2026-01-26"
""")
DAY = 86_400_000_000
FIRST = 1_767_571_200_000_000  # 2026-01-05, a Monday


def earlier_rows(days: int = 56, a_day: int = 6) -> pa.Table:
    """Return the rows from which the home was made, and those that came later."""
    places = range(days * a_day)
    at = [FIRST + place // a_day * DAY + place % a_day * 3_600_000_000 for place in places]
    score = [(place * 37 % 101) / 101 for place in places]
    repaid = ["1" if (place * 53 % 97) / 97 < value else "0" for place, value in zip(places, score, strict=True)]
    return pa.table(
        {
            "loan": [f"loan-{place}" for place in places],
            "at": pa.array(at, pa.timestamp("us")),
            "income": [float(20 + place * 13 % 40) for place in places],
            "region": [("north", "south", "west")[place * 7 % 3] for place in places],
            "score": score,
            "repaid": repaid,
            "settled": pa.array(
                [moment + (2 + place % 5) * DAY for place, moment in enumerate(at)], pa.timestamp("us")
            ),
        }
    )


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """Return the home as the earlier version left it."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path / "earlier")
    return tmp_path / "earlier"


def test_it_is_brought_up_to_date_and_verifies(earlier: Path) -> None:
    with pytest.raises(StoreError, match="open it once for writing"):
        Home.open(earlier, read_only=True)
    with Home.open(earlier, create=False) as home:
        found = home.verify(rows=True)
        assert (found.ok, found.size, found.unprotected) == (True, 118, 0)
        # What was stored since makes proofs of what was there before.
        entry, proof = home.prove(40)
        assert proof.require(entry.to_bytes(), home.notes()[-1][1]).size == 118


def test_going_on_books_what_a_new_home_books(earlier: Path, tmp_path: Path) -> None:
    run(earlier, spec=SPEC, source=earlier_rows(), as_of="2026-03-02")
    run(tmp_path / "new", spec=SPEC, source=earlier_rows(), as_of="2026-03-02")
    with Home.open(earlier) as one, Home.open(tmp_path / "new") as two:
        old, new = accounts_of(one, "loans"), accounts_of(two, "loans")
        assert old.accounts == new.accounts
        assert [item.net for item in old.periods] == [item.net for item in new.periods]
        assert one.verify(rows=True).ok
        # Estimates of the earlier version had no variance, and are reversed without one.
        assert 0 < old.deviation <= new.deviation
        kinds = [item.kind for item in one.journal()]
        assert kinds.count("value-model") == kinds.count("spec") == 1


def test_another_worth_holds_from_then_on_and_rewrites_nothing(earlier: Path) -> None:
    run(earlier, spec=SPEC, source=earlier_rows(), as_of="2026-02-16")
    with Home.open(earlier) as home:
        before = accounts_of(home, "loans")
    dearer = replace(SPEC, value=replace(SPEC.value, true_positive=Outcome(1_000.0)))
    run(earlier, spec=dearer, source=earlier_rows(), as_of="2026-03-02")
    with Home.open(earlier) as home:
        after = accounts_of(home, "loans")
        assert home.verify().ok
        known = {item.id: item for item in after.ledger.transactions}
        assert all(known[item.id] == item for item in before.ledger.transactions)
        first, second = (item["number"] for item in after.valuations)
        assert (first, second) == (1, 2)
        assert [item.caused_by for item in home.artifacts("spec", "loans")] == [(), (SPEC.id,)]
        changed = home.artifacts("value-model", "loans")[1].content["since"]
        old = [line for line in after.ledger.postings if line.window < changed and line.account == "realised"]
        # No old prediction is worth the new price, though labels came after the change.
        one, two = (item.id for item in home.artifacts("value-model", "loans"))
        assert {line.valued_by for line in after.ledger.postings if line.window < changed} <= {one, ""}
        assert max((line.amount for line in old), default=Decimal(0)) < 200
        assert {line.valued_by for line in after.ledger.postings if line.window >= changed} == {two}
    # Run again: nothing to do, no third value model; what a replay finds is refused, since it is another question.
    run(earlier, spec=dearer, source=earlier_rows(), as_of="2026-03-02")
    with Home.open(earlier) as home:
        assert len(home.artifacts("value-model", "loans")) == 2


def test_what_cannot_be_told_apart_is_refused(earlier: Path) -> None:
    other: list[tuple[Any, type[Exception]]] = [
        (replace(SPEC, value=replace(SPEC.value, currency="USD")), SpecError),
        (replace(SPEC, value=replace(SPEC.value, true_positive=Outcome(1.0, 1.0, "bonus"))), SpecError),
        (replace(SPEC, decision=replace(SPEC.decision, threshold=0.4)), StoreError),
    ]
    table = earlier_rows().append_column("bonus", pa.array([1.0] * 336))
    for spec, kind in other:
        with pytest.raises(kind):
            run(earlier, spec=spec, source=table, as_of="2026-02-16")


def test_the_archive_is_of_the_first_schema(earlier: Path) -> None:
    connection = sqlite3.connect(earlier / "catalog.sqlite")
    names = [name for (name,) in connection.execute("SELECT name FROM migrations")]
    connection.close()
    assert names == ["0001_first"]
