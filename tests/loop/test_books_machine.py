"""The books balance, whatever comes in whatever order: predictions, labels, corrections, erasures, new value models."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pitstop.loop.bookkeeping import Books
from pitstop.loop.rowlog import RowLog
from pitstop.records.calendar import DAY
from pitstop.records.spec import (
    ColumnsSection,
    CostsSection,
    ModelSection,
    ModelSpec,
    Outcome,
    TrainerSection,
    ValueSection,
)

SPEC = ModelSpec(
    ModelSection("m", "binary"),
    ColumnsSection(time="t", features=("x", "price"), label="y", id="i", score="s"),
    value=ValueSection(
        currency="EUR",
        true_positive=Outcome(20.0),
        false_positive=Outcome(-10.0),
        true_negative=Outcome(0.0, 0.25, "price"),
        false_negative=Outcome(),
    ),
    costs=CostsSection(inference_per_row=0.01, review_per_row=1.5, label_per_row=0.2, people_per_period=30.0),
    trainer=TrainerSection("none"),
)


class Calibrated:
    """A baseline of which only the calibrator is looked at: the score is the probability."""

    calibrated = np.arange(1001) / 1000
    calibrator_draws = np.stack([np.arange(1001) / 1000 * factor for factor in (0.9, 1.0, 0.95)])


class BooksMachine(RuleBasedStateMachine):
    """Books beside a model of them that keeps one line a row."""

    @initialize()
    def begin(self) -> None:
        self.log = RowLog(SPEC)
        self.books = Books(SPEC, self.log)
        self.window = 0
        self.clock = 0
        # Worth of a hit by window, from which it holds.
        self.hits = [(0, Decimal(20))]
        self.rows: list[dict[str, Any]] = []
        self.costs = Decimal(0)
        self.history: dict[str, Any] = {}

    @rule(made=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 100).map(lambda n: 4 * n)), max_size=6))
    def predict(self, made: list[tuple[int, int]]) -> None:
        """Rows of the next window come and are valued."""
        count = len(made)
        first = len(self.rows)
        table = pa.table(
            {
                "@id": [f"r{first + place}" for place in range(count)],
                "@at": pa.array(np.full(count, self.window * DAY)),
                "x": pa.array(np.zeros(count)),
                "price": pa.array([float(price) for _, price in made], pa.float64()),
            }
        )
        scores = np.array([score / 1000 for score, _ in made])
        decided = np.where(scores >= 0.5, "1", "0").astype(object)
        batch = self.log.append(table, scores, decided)
        self.books.predicted(self.now(), self.window, batch, Calibrated(), "release")  # type: ignore[arg-type]  # a stand-in
        for score, price in made:
            row: dict[str, Any] = {"window": self.window, "score": score, "price": price, "label": None, "gone": False}
            self.rows.append(row)
            worth = [self.worth(row, label) for label in ("1", "0")]
            chance = Decimal(score) / 1000
            row["estimate"] = (chance * worth[0] + (1 - chance) * worth[1]).quantize(Decimal("0.0001"))
        acting = sum(score >= 500 for score, _ in made)
        self.books.running(self.now(), self.window, batch, batch[:0], opens=False, cause="release")
        self.costs += Decimal("0.01") * count + Decimal("1.5") * acting
        self.window += 1

    @precondition(lambda self: self.open_rows())
    @rule(data=st.data())
    def label(self, data: st.DataObject) -> None:
        """Labels come for some rows."""
        chosen = data.draw(st.lists(st.sampled_from(self.open_rows()), unique=True, min_size=1, max_size=5))
        labels = [data.draw(st.sampled_from(["0", "1"])) for _ in chosen]
        rows = np.array(chosen, dtype=np.int64)
        self.log.set_labels(rows, np.array(labels, dtype=object), np.full(len(rows), self.window * DAY))
        self.books.settled(self.now(), rows, "release")
        self.books.running(self.now(), self.window, rows[:0], rows, opens=False, cause="release")
        self.costs += Decimal("0.2") * len(chosen)
        for place, label in zip(chosen, labels, strict=True):
            self.rows[place]["label"] = label

    @precondition(lambda self: any(row["label"] for row in self.rows))
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        """A label turns out to be wrong."""
        known = [place for place, row in enumerate(self.rows) if row["label"]]
        place = data.draw(st.sampled_from(known))
        other = "0" if self.rows[place]["label"] == "1" else "1"
        rows, labels = np.array([place]), np.array([other], dtype=object)
        self.books.corrected(self.now(), rows, labels, "release")
        self.log.set_labels(rows, labels, np.array([self.window * DAY]))
        self.rows[place]["label"] = other

    @precondition(lambda self: self.open_rows())
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        """Rows are erased before their labels come."""
        chosen = data.draw(st.lists(st.sampled_from(self.open_rows()), unique=True, min_size=1, max_size=3))
        self.books.written_off(self.now(), np.array(chosen, dtype=np.int64), "erasure")
        for place in chosen:
            self.rows[place]["gone"] = True

    @rule(hit=st.integers(0, 500))
    def change(self, hit: int) -> None:
        """From the next window on a hit is worth something else."""
        spec = replace(SPEC, value=replace(SPEC.value, true_positive=Outcome(float(hit))))
        self.books.valuations = self.books.valuations.changed(spec, self.window)
        self.hits.append((self.window, Decimal(hit)))

    @invariant()
    def books_balance(self) -> None:
        """Every account is what the rows say, and nothing that was booked ever changes."""
        accounts = self.books.ledger.accounts()
        assert sum(accounts.values()) == 0
        assert accounts["estimated"] == sum((self.rows[place]["estimate"] for place in self.open_rows()), Decimal(0))
        earned = (self.worth(row, row["label"]) for row in self.rows if row["label"])
        assert accounts["realised"] == sum(earned, Decimal(0))
        assert -sum(accounts[name] for name in ("inference", "review", "label", "people")) == self.costs
        by_window: dict[int, Decimal] = {}
        for line in self.books.ledger.postings:
            by_window[line.window] = by_window.get(line.window, Decimal(0)) + line.amount
        assert set(by_window.values()) <= {Decimal(0)}
        variance = sum(line.variance for line in self.books.ledger.postings)
        assert variance >= 0
        if not self.open_rows():
            assert variance == 0
            assert self.books.ledger.deviation() == 0
        for item in self.books.ledger.transactions:
            assert self.history.setdefault(item.id, item) is item

    def now(self) -> int:
        """Return an instant later than all before: at one instant, equal bookings are one (see `Transaction`)."""
        self.clock += 1
        return self.clock

    def open_rows(self) -> list[int]:
        return [place for place, row in enumerate(self.rows) if row["label"] is None and not row["gone"]]

    def worth(self, row: dict[str, Any], label: str) -> Decimal:
        """Return what a row is worth by the value model of its own window."""
        hit = next(worth for since, worth in reversed(self.hits) if since <= row["window"])
        if row["score"] >= 500:
            return hit if label == "1" else Decimal(-10)
        return Decimal(0) if label == "1" else Decimal(row["price"]) / 4


TestBooks = BooksMachine.TestCase
TestBooks.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
