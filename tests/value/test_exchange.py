"""Dated exchange rates: a posting is turned by the rate of its own day, and never by a later one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pitstop.errors import LedgerError
from pitstop.records.calendar import DAY
from pitstop.value.exchange import ExchangeRates
from pitstop.value.ledger import Expected, Ledger, Settled, charge, estimate, settlement

RATES = "date,from,to,rate\n1970-01-11,EUR,USD,1.25\n1970-01-02,EUR,USD,1.1\n"


@pytest.fixture
def rates(tmp_path: Path) -> ExchangeRates:
    (tmp_path / "rates.csv").write_text(RATES)
    return ExchangeRates.read(tmp_path / "rates.csv")


def test_the_rate_is_the_newest_of_that_time(rates: ExchangeRates) -> None:
    assert rates.rate("EUR", "USD", DAY) == Decimal("1.1")
    assert rates.rate("EUR", "USD", 10 * DAY - 1) == Decimal("1.1")
    assert rates.rate("EUR", "USD", 10 * DAY) == Decimal("1.25")
    assert rates.rate("USD", "EUR", 10 * DAY) == Decimal("0.8")
    assert rates.rate("CHF", "CHF", 0) == 1
    with pytest.raises(LedgerError, match="known on 1970-01-01"):
        rates.rate("EUR", "USD", 0)


def test_the_newest_rate_of_either_direction_holds(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text(RATES + "1970-02-01,USD,EUR,0.5\n1970-03-01,EUR,USD,4\n")
    found = ExchangeRates.read(tmp_path / "rates.csv")
    assert [found.rate("EUR", "USD", day * DAY) for day in (20, 40, 70)] == [Decimal("1.25"), 2, 4]
    assert found.rate("USD", "EUR", 70 * DAY) == Decimal("0.25")


def test_books_in_another_currency_balance_too(rates: ExchangeRates) -> None:
    ledger = Ledger("EUR").posted(
        estimate(2 * DAY, "EUR", {1: Expected(Decimal(100), 2)}, ("a",)),
        settlement(11 * DAY, "EUR", {1: Settled(Decimal(60), 2, Decimal(100))}, ("b",)),
        charge(12 * DAY, "EUR", 1, "fit", Decimal(4), caused_by=("c",)),
    )
    turned = rates.accounts(ledger.transactions, "USD")
    assert sum(turned.values()) == 0
    assert turned["realised"] == Decimal(75)
    assert turned["fit"] == Decimal(-5)
    # Booked at 1.1 and reversed at 1.25: the difference of the rates is real, and seen.
    assert turned["estimated"] == Decimal(110) - Decimal(125)
    assert rates.accounts(ledger.transactions, "EUR")["estimated"] == 0


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "begins with nothing"),
        ("day,a,b,c\n", "expected the columns date, from, to, rate"),
        ("date,from,to,rate\n1970-01-02,EUR,USD\n", "line 2"),
        ("date,from,to,rate\n1970-01-02,EUR,USD,-1\n", "line 2"),
        ("date,from,to,rate\n1970-01-02,EUR,USD,much\n", "line 2"),
        ("date,from,to,rate\n1970-01-02,EUR,USD,2\n31/01/1970,EUR,USD,2\n", "line 3"),
        ("date,from,to,rate\n1970-01-02,EUR,USD,2\n1970-01-02,EUR,USD,2.0\n1970-01-02,EUR,USD,3\n", "line 4.*keep one"),
        ("date,from,to,rate\n" + "1" * 200_000 + "\n", "cannot read"),
    ],
)
def test_a_wrong_table_names_its_line(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "rates.csv").write_text(text)
    with pytest.raises(LedgerError, match=match):
        ExchangeRates.read(tmp_path / "rates.csv")


def test_a_table_as_spreadsheets_write_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_bytes(b"\xef\xbb\xbf" + RATES.replace("\n", "\r\n").encode() + b"\r\n")
    assert ExchangeRates.read(tmp_path / "rates.csv").rate("EUR", "USD", DAY) == Decimal("1.1")


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot read the exchange rates"):
        ExchangeRates.read(tmp_path / "none.csv")
