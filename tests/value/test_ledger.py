from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import ColumnValueError, LedgerError
from pitstop.records.calendar import DAY, Calendar
from pitstop.value.ledger import ZERO, Expected, Ledger, Settled, Transaction, charge, correction, estimate, settlement
from pitstop.value.money import amount_of, money

DAILY = Calendar("day", "month")
ticks = st.integers(-(10**9), 10**9)
rows_of_a_window = st.lists(st.tuples(ticks, ticks), min_size=1, max_size=4)


@settings(max_examples=40)
@given(st.lists(rows_of_a_window, min_size=1, max_size=5), st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_books_balance_at_every_moment_however_labels_come(
    windows: list[list[tuple[int, int]]], price: int, rng: object
) -> None:
    """Rows are predicted, then labelled one by one in any order between windows; costs fall in between."""
    ledger = Ledger("EUR")
    waiting = [(window, *row) for window, rows in enumerate(windows) for row in rows]
    for window, rows in enumerate(windows):
        booked = Expected(money(sum(guess for guess, _ in rows)), len(rows))
        ledger = ledger.posted(estimate(window * DAY, "EUR", {window: booked}, ("segment",)))
    rng.shuffle(waiting)  # type: ignore[attr-defined]  # hypothesis gives a Random
    for moment, (window, guess, worth) in enumerate(waiting):
        settled = {window: Settled(money(worth), 1, money(guess))}
        ledger = ledger.posted(settlement(moment, "EUR", settled, (f"label-{moment}",)))
        ledger = ledger.posted(charge(moment, "EUR", window, "fit", money(price), caused_by=(f"run-{moment}",)))
        accounts = ledger.accounts()
        assert sum(accounts.values()) == 0
        assert accounts["estimated"] == money(sum(later[1] for later in waiting[moment + 1 :]))
        assert accounts["realised"] == money(sum(earlier[2] for earlier in waiting[: moment + 1]))
        by_period = ledger.balances(DAILY)
        assert sum(balance.net for balance in by_period) == -accounts["model"]
    final = ledger.balances(DAILY)
    assert all(balance.estimated == 0 and balance.waiting == 0 and balance.coverage == 1.0 for balance in final)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 90), ticks), min_size=1, max_size=8))
def test_posting_twice_changes_nothing_and_as_of_hides_the_later(entries: list[tuple[int, int]]) -> None:
    booked = [
        correction(at, "EUR", {at: money(amount)}, (f"cause-{number}",)) for number, (at, amount) in enumerate(entries)
    ]
    once = Ledger("EUR").posted(*booked)
    assert once.posted(*booked) == once
    assert Ledger("EUR").posted(*booked, *booked) == once
    for moment in (0, 45, 91):
        known = Ledger("EUR").posted(*(item for item in booked if item.postings[0].at < moment))
        assert once.accounts(moment) == known.accounts()
        assert once.balances(DAILY, moment) == known.balances(DAILY)


def test_a_month_by_hand() -> None:
    ledger = Ledger("EUR").posted(
        estimate(0, "EUR", {3: Expected(Decimal(100), 2), 40: Expected(Decimal(50), 1)}, ("segment-1",)),
        charge(5, "EUR", 40, "release", amount_of(1500.0), caused_by=("decision-1",)),
        charge(5, "EUR", 40, "fit", amount_of(0.25), caused_by=("run-1",)),
        settlement(9, "EUR", {3: Settled(Decimal(-10), 1, Decimal(60))}, ("segment-2",)),
        correction(11, "EUR", {3: Decimal(30)}, ("segment-3",)),
    )
    january, february = ledger.balances(DAILY)
    assert (january.estimated, january.realised, january.net) == (Decimal(40), Decimal(20), Decimal(60))
    assert (january.waiting, january.settled, january.coverage) == (1, 1, 0.5)
    assert (february.release, february.fit, february.net) == (Decimal(-1500), Decimal("-0.25"), Decimal("-1450.25"))
    assert ledger.accounts(as_of=5)["model"] == Decimal(-150)
    assert len({line.id for line in ledger.postings}) == len(ledger.postings)


def test_a_wrong_transaction_books_nothing() -> None:
    ledger = Ledger("EUR").posted(estimate(0, "EUR", {0: Expected(Decimal(1), 1)}, ("a",)))
    label = {0: Settled(Decimal(2), 1, Decimal(1))}
    settled = ledger.posted(settlement(1, "EUR", label, ("b",)))
    with pytest.raises(LedgerError, match="settled twice"):
        settled.posted(settlement(2, "EUR", label, ("c",)))
    with pytest.raises(LedgerError, match="kept in 'EUR'"):
        ledger.posted(settlement(1, "USD", label, ("b",)))
    good = settlement(1, "EUR", label, ("b",))
    with pytest.raises(LedgerError, match="does not sum to zero"):
        ledger.posted(Transaction("transaction-x", "settlement", "EUR", good.postings[:1]))
    with pytest.raises(LedgerError, match="expected at least 0"):
        charge(0, "EUR", 0, "fit", Decimal(-1), caused_by=())
    with pytest.raises(LedgerError, match="finite"):
        correction(0, "EUR", {0: Decimal("NaN")}, ())
    with pytest.raises(LedgerError, match="start empty"):
        Ledger("EUR", (good,))
    assert ledger.accounts()["estimated"] == 1


def test_a_period_without_predictions_has_no_coverage() -> None:
    ledger = Ledger("EUR").posted(charge(0, "EUR", 0, "release", ZERO, caused_by=("d",)))
    assert ledger.balances(DAILY)[0].coverage is None


@settings(max_examples=40)
@given(st.integers(-(10**17), 10**17))
def test_ticks_become_money_exactly(number: int) -> None:
    assert money(number) * 10_000 == number


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_what_is_no_amount_is_refused(value: float) -> None:
    with pytest.raises(ColumnValueError, match="amount of money"):
        amount_of(value)
