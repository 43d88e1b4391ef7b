"""The ledger: double entry of what a model is estimated to earn, what it earned, and what it cost.

A prediction books its estimated value. When the label comes, the estimate is reversed and the realised value booked, so
the two never count the same row. Releases and fits book their price. Every transaction sums to zero over its
accounts, with `model` on the other side of each entry: the books balance at every moment, and a period's net is
what `model` owes. Amounts are aggregated by window (the window of the prediction that they are about), never by row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from pitstop.errors import LedgerError
from pitstop.records.calendar import Calendar
from pitstop.records.identity import artifact_id

Account = Literal["estimated", "realised", "release", "fit", "model"]
Kind = Literal["estimate", "settlement", "correction", "release", "fit"]
ZERO = Decimal("0.0000")


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of a transaction: `amount` of `currency` on an account, about the predictions of one window.

    Value earned is positive on `estimated` and `realised`, a price paid negative on `release` and `fit`. `rows` is the
    number of predictions that the line adds to its account (negative where an estimate is reversed), 0 for costs.
    `at` is the instant at which it was booked.
    """

    id: str
    at: int
    window: int
    account: Account
    amount: Decimal
    currency: str
    rows: int
    caused_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """Postings that sum to zero together. The id digests all of them, so posting it twice changes nothing."""

    id: str
    kind: Kind
    currency: str
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became known of one window's predictions: their `realised` value, and the `estimate` booked for them before.

    `estimate` is None where none was booked (tasks without probabilities).
    """

    realised: Decimal
    rows: int
    estimate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """The accounts of one period in currency, prices negative; `waiting` rows have an estimate and no label yet."""

    period: int
    estimated: Decimal
    realised: Decimal
    release: Decimal
    fit: Decimal
    waiting: int
    settled: int

    @property
    def net(self) -> Decimal:
        """Value earned so far, known and estimated, minus what was paid."""
        return self.estimated + self.realised + self.release + self.fit

    @property
    def coverage(self) -> float | None:
        """Share of the period's predictions whose label is known; None where there are none."""
        total = self.waiting + self.settled
        return self.settled / total if total else None


def estimate(
    at: int, currency: str, windows: Mapping[int, tuple[Decimal, int]], caused_by: tuple[str, ...]
) -> Transaction:
    """Return the booking of estimated values, (amount, rows) by window of prediction."""
    lines: list[_Line] = [(window, "estimated", amount, rows) for window, (amount, rows) in windows.items()]
    return _transaction("estimate", at, currency, lines, caused_by)


def settlement(at: int, currency: str, windows: Mapping[int, Settled], caused_by: tuple[str, ...]) -> Transaction:
    """Return the booking of arrived labels: estimates reversed, realised values booked, by window of prediction."""
    lines: list[_Line] = []
    for window, settled in windows.items():
        if settled.estimate is not None:
            lines.append((window, "estimated", -settled.estimate, -settled.rows))
        lines.append((window, "realised", settled.realised, settled.rows))
    return _transaction("settlement", at, currency, lines, caused_by)


def correction(at: int, currency: str, windows: Mapping[int, Decimal], caused_by: tuple[str, ...]) -> Transaction:
    """Return the booking of corrected labels: new minus old realised value, by window of prediction."""
    lines: list[_Line] = [(window, "realised", amount, 0) for window, amount in windows.items()]
    return _transaction("correction", at, currency, lines, caused_by)


def charge(
    at: int, currency: str, window: int, kind: Literal["release", "fit"], price: Decimal, *, caused_by: tuple[str, ...]
) -> Transaction:
    """Return the booking of one price paid (at least 0) in a window. Raises `LedgerError` for a negative price."""
    if not price >= 0:
        msg = f"got a price of {price} for a {kind}; expected at least 0, a price is what is paid"
        raise LedgerError(msg)
    return _transaction(kind, at, currency, [(window, kind, -price, 0)], caused_by)


@dataclass(frozen=True)
class Ledger:
    """All transactions of one model, in one currency. It grows by `posted` only, which returns a new ledger."""

    currency: str
    transactions: tuple[Transaction, ...] = ()
    _known: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    _waiting: Mapping[int, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse transactions that were not checked."""
        if len(self._known) != len(self.transactions):
            msg = f"got a ledger made with {len(self.transactions)} transactions; start empty, then use posted(...)"
            raise LedgerError(msg)

    def posted(self, *transactions: Transaction) -> Ledger:
        """Return the ledger with these transactions; one that is already in it is left out.

        Raises `LedgerError`, and books none of them, where one is in another currency, does not sum to zero, or
        reverses the estimates of more predictions than wait in a window.
        """
        new = list({item.id: item for item in transactions if item.id not in self._known}.values())
        waiting = dict(self._waiting)
        for item in new:
            if item.currency != self.currency:
                msg = f"transaction {item.id} is in {item.currency!r}; this ledger is kept in {self.currency!r}"
                raise LedgerError(msg)
            if sum((line.amount for line in item.postings), ZERO) != 0:
                msg = f"transaction {item.id} does not sum to zero; make it with the functions of this module"
                raise LedgerError(msg)
            for line in item.postings:
                if line.account == "estimated":
                    waiting[line.window] = waiting.get(line.window, 0) + line.rows
        short = next((window for window, rows in waiting.items() if rows < 0), None)
        if short is not None:
            msg = (
                f"window {short}: estimates of {self._waiting.get(short, 0)} predictions wait for labels, and "
                f"{-waiting[short]} more than that would be reversed; was a label settled twice?"
            )
            raise LedgerError(msg)
        known = self._known.union(item.id for item in new)
        return Ledger(self.currency, self.transactions + tuple(new), known, waiting)

    @property
    def postings(self) -> tuple[Posting, ...]:
        """All lines, in the order in which they were booked."""
        return tuple(line for item in self.transactions for line in item.postings)

    def accounts(self, as_of: int | None = None) -> dict[Account, Decimal]:
        """Return the balance of every account; with `as_of` only what was booked strictly before it."""
        totals: dict[Account, Decimal] = dict.fromkeys(("estimated", "realised", "release", "fit", "model"), ZERO)
        for line in self.postings:
            if as_of is None or line.at < as_of:
                totals[line.account] += line.amount
        return totals

    def balances(self, calendar: Calendar, as_of: int | None = None) -> tuple[Balance, ...]:
        """Return the accounts of each period that has postings, in order of time.

        A posting belongs to the period of its window: a late label changes the period of its prediction.
        """
        amounts: dict[int, dict[str, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
        rows: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        periods: dict[int, int] = {}
        for line in self.postings:
            if as_of is not None and line.at >= as_of:
                continue
            if line.window not in periods:
                periods[line.window] = calendar.period_at(calendar.window_start(line.window))
            period = periods[line.window]
            amounts[period][line.account] += line.amount
            rows[period][line.account] += line.rows
        return tuple(
            Balance(
                period,
                estimated=amounts[period]["estimated"],
                realised=amounts[period]["realised"],
                release=amounts[period]["release"],
                fit=amounts[period]["fit"],
                waiting=rows[period]["estimated"],
                settled=rows[period]["realised"],
            )
            for period in sorted(amounts)
        )


_Line = tuple[int, Account, Decimal, int]


def _transaction(kind: Kind, at: int, currency: str, lines: list[_Line], caused_by: tuple[str, ...]) -> Transaction:
    for window, account, amount, rows in lines:
        if not amount.is_finite():
            msg = f"window {window}: got {amount} on account {account} ({rows} rows); expected a finite amount"
            raise LedgerError(msg)
    entries = [(window, account, amount.quantize(ZERO), rows) for window, account, amount, rows in lines]
    # One counter-entry per window keeps every window's books balanced, not only the whole.
    against: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for window, _, amount, _ in entries:
        against[window] -= amount
    entries += [(window, "model", amount, 0) for window, amount in against.items()]
    content = {"kind": kind, "at": at, "currency": currency, "entries": entries, "caused_by": caused_by}
    identity = artifact_id("transaction", content)
    postings = tuple(
        Posting(f"{identity}.{number}", at, window, account, amount, currency, rows, caused_by)
        for number, (window, account, amount, rows) in enumerate(entries)
    )
    return Transaction(identity, kind, currency, postings)
