"""The books: they balance at every step, estimates are reversed by labels, corrections book the difference."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.loop.bookkeeping import Books
from pitstop.loop.rowlog import RowLog
from pitstop.records.calendar import DAY
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec, Outcome, TrainerSection, ValueSection

SPEC = ModelSpec(
    ModelSection("m", "binary"),
    ColumnsSection(time="t", features=("x",), label="y", id="i", score="s"),
    value=ValueSection(
        currency="EUR",
        true_positive=Outcome(20.0),
        false_positive=Outcome(-10.0),
        true_negative=Outcome(0.0, 0.25, "price"),
        false_negative=Outcome(),
    ),
    trainer=TrainerSection("none"),
)


class Calibrated:
    """A baseline of which only the calibrator is looked at: the score is the probability."""

    calibrated = np.arange(1001) / 1000
    calibrator_draws = None


def logged(rows: list[tuple[int, float, float]]) -> tuple[RowLog, Books]:
    """Return a log of rows (day, score, price), decided at one half, with empty books."""
    log = RowLog(SPEC)
    days, scores, prices = (np.array(values) for values in zip(*sorted(rows), strict=True))
    table = pa.table(
        {
            "@id": [f"r{place}" for place in range(len(rows))],
            "@at": pa.array(days * DAY),
            "x": pa.array(np.zeros(len(rows))),
            "price": pa.array(prices, pa.float64()),
        }
    )
    log.append(table, scores, np.where(scores >= 0.5, "1", "0").astype(object))
    return log, Books(SPEC, log)


def predict(books: Books, log: RowLog, window: int) -> Any:
    rows = log.predicted_between(window * DAY, (window + 1) * DAY)
    return books.predicted((window + 1) * DAY, window, rows, Calibrated(), "release-1")  # type: ignore[arg-type] # a stand-in


def balance(books: Books) -> dict[str, Decimal]:
    return {str(name): amount for name, amount in books.ledger.accounts().items()}


ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 1000).map(lambda n: n / 1000), st.integers(0, 400).map(float)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=50)
@given(ROWS, st.data())
def test_the_books_balance_and_end_with_what_was_earned(rows: list[Any], data: st.DataObject) -> None:
    log, books = logged(rows)
    for window in range(5):
        predict(books, log, window)
        assert sum(balance(books).values()) == 0
    everything = np.arange(len(log))
    first = np.array(data.draw(st.lists(st.booleans(), min_size=len(log), max_size=len(log))))
    labels = np.array(data.draw(st.lists(st.sampled_from(["0", "1"]), min_size=len(log), max_size=len(log))), object)
    for at, part in ((10, everything[first]), (11, everything[~first])):
        log.set_labels(part, labels[part], np.full(len(part), at * DAY))
        books.settled(at * DAY, part, "release-1")
        assert sum(balance(books).values()) == 0
    again = data.draw(st.lists(st.integers(0, len(log) - 1), unique=True))
    turned = np.array(sorted(again), dtype=np.int64)
    other = np.where(labels[turned] == "1", "0", "1").astype(object)
    books.corrected(12 * DAY, turned, other, "release-1")
    log.set_labels(turned, other, np.full(len(turned), 12 * DAY))
    found = balance(books)
    assert sum(found.values()) == 0
    assert found["estimated"] == 0
    assert found["realised"] == sum((worth(log, row) for row in range(len(log))), Decimal(0))
    # Counted afresh from the labels it is the same.
    earned = log.earned.values.copy()
    books.recount(everything)
    assert log.earned.values.tolist() == earned.tolist()


def worth(log: RowLog, row: int) -> Decimal:
    said, label = log.served_class.values[row], log.labels[row]
    if said == "1":
        return Decimal(20) if label == "1" else Decimal(-10)
    if label == "1":
        return Decimal(0)
    return Decimal(str(log.amounts(np.array([row]))["price"][0])) / 4


def test_an_estimate_is_the_expected_value() -> None:
    log, books = logged([(0, 0.8, 100.0), (0, 0.1, 100.0)])
    booked = predict(books, log, 0)
    # 0.8 * 20 - 0.2 * 10, and 0.9 * 25.
    assert balance(books)["estimated"] == Decimal("36.5")
    assert booked is not None
    assert [line.rows for line in booked.postings if line.account == "estimated"] == [2]


def test_nothing_is_booked_for_no_rows_or_without_scores() -> None:
    log, books = logged([(0, 0.8, 1.0)])
    assert predict(books, log, 3) is None
    assert books.settled(DAY, np.zeros(0, dtype=np.int64), "release-1") is None
    assert books.corrected(DAY, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=object), "release-1") is None
    blind, more = logged([(0, float("nan"), 1.0)])
    assert predict(more, blind, 0) is None
    blind.set_labels(np.array([0]), np.array(["0"], dtype=object), np.array([DAY]))
    settled = more.settled(DAY, np.array([0]), "release-1")
    assert settled is not None
    assert [line.account for line in settled.postings] == ["realised", "model"]


def test_a_price_is_paid_once() -> None:
    from_books = logged([(0, 0.8, 1.0)])[1]
    booked = predict(from_books, from_books.log, 0)
    before = balance(from_books)
    from_books.paid(booked)
    assert balance(from_books) == pytest.approx(before)
