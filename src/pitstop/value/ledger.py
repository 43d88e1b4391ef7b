"""The ledger: double entry of what a model is estimated to earn, what it earned, and what it cost.

A prediction books its estimated value with its variance. When the label comes, the estimate is reversed and the
realised value booked, so the two never count the same row; where the row is erased, the estimate is only reversed.
Releases, fits, predictions, reviews, labels and people book their price. Every transaction sums to zero over its
accounts, with `model` on the other side of each entry: the books balance at every moment, and a period's net is
what `model` owes. Amounts are aggregated by window (the window of the prediction that they are about), never by row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, get_args

from pitstop.errors import LedgerError
from pitstop.records.calendar import Calendar
from pitstop.records.identity import artifact_id

Cost = Literal["release", "fit", "inference", "review", "label", "people"]
Account = Literal["estimated", "realised", "release", "fit", "inference", "review", "label", "people", "model"]
Kind = Literal[
    "estimate", "settlement", "correction", "write-off", "release", "fit", "inference", "review", "label", "people"
]
COSTS: tuple[Cost, ...] = get_args(Cost)
ACCOUNTS: tuple[Account, ...] = get_args(Account)
ZERO = Decimal("0.0000")
NO_VARIANCE = Decimal("0E-8")

ValuedBy = Callable[[int], str]
"""Returns the id of the value model in force in a window."""


def _unversioned(_window: int) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of a transaction: `amount` of `currency` on an account, about the predictions of one window.

    Value earned is positive on `estimated` and `realised`, a price paid negative on its account. `rows` is the
    number of predictions that the line adds to its account (negative where an estimate is reversed), 0 for costs.
    `variance` is that of an estimate's outcomes, in currency squared, negative where it is reversed; `doubt` the
    standard deviation in currency that a window's estimate has because the calibration is itself estimated. `valued_by`
    names the value model. `at` is the instant at which it was booked.
    """

    id: str
    at: int
    window: int
    account: Account
    amount: Decimal
    currency: str
    rows: int
    caused_by: tuple[str, ...]
    variance: Decimal = NO_VARIANCE
    doubt: Decimal = ZERO
    valued_by: str = ""


@dataclass(frozen=True, slots=True)
class Transaction:
    """Postings that sum to zero together. The id digests all of them, so posting it twice changes nothing.

    So two bookings of the same kind at one instant must differ in what they say; book what belongs together as one.
    """

    id: str
    kind: Kind
    currency: str
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the predictions of a window are estimated to earn; `variance` and `doubt` as in `Posting`."""

    amount: Decimal
    rows: int
    variance: Decimal = NO_VARIANCE
    doubt: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Settled:
    """What became known of one window's predictions: their `realised` value, and the `estimate` booked for them before.

    `estimate` is None where none was booked (a regression has no probabilities); `variance` is the estimate's.
    """

    realised: Decimal
    rows: int
    estimate: Decimal | None = None
    variance: Decimal = NO_VARIANCE


@dataclass(frozen=True, slots=True)
class Balance:
    """The accounts of one period in currency, prices negative; `waiting` rows have an estimate and no label yet.

    `running` is what was paid for predictions, reviews, labels and people. `deviation` is the standard deviation of
    what is estimated: of the outcomes, and of the calibration, which errs in the same direction in all windows.
    """

    period: int
    estimated: Decimal
    realised: Decimal
    release: Decimal
    fit: Decimal
    running: Decimal
    waiting: int
    settled: int
    deviation: Decimal

    @property
    def net(self) -> Decimal:
        """Value earned so far, known and estimated, minus what was paid."""
        return self.estimated + self.realised + self.release + self.fit + self.running

    @property
    def coverage(self) -> float | None:
        """Share of the period's predictions whose label is known; None where there are none."""
        total = self.waiting + self.settled
        return self.settled / total if total else None


def estimate(
    at: int,
    currency: str,
    windows: Mapping[int, Expected],
    caused_by: tuple[str, ...],
    valued_by: ValuedBy = _unversioned,
) -> Transaction:
    """Return the booking of estimated values by window of prediction."""
    lines = [
        _Line(window, "estimated", item.amount, item.rows, item.variance, item.doubt)
        for window, item in windows.items()
    ]
    return _transaction("estimate", at, currency, lines, caused_by, valued_by)


def settlement(
    at: int,
    currency: str,
    windows: Mapping[int, Settled],
    caused_by: tuple[str, ...],
    valued_by: ValuedBy = _unversioned,
) -> Transaction:
    """Return the booking of arrived labels: estimates reversed, realised values booked, by window of prediction."""
    lines: list[_Line] = []
    for window, settled in windows.items():
        if settled.estimate is not None:
            lines.append(_Line(window, "estimated", -settled.estimate, -settled.rows, -settled.variance))
        lines.append(_Line(window, "realised", settled.realised, settled.rows))
    return _transaction("settlement", at, currency, lines, caused_by, valued_by)


def correction(
    at: int,
    currency: str,
    windows: Mapping[int, Decimal],
    caused_by: tuple[str, ...],
    valued_by: ValuedBy = _unversioned,
) -> Transaction:
    """Return the booking of corrected labels: new minus old realised value, by window of prediction."""
    lines = [_Line(window, "realised", amount, 0) for window, amount in windows.items()]
    return _transaction("correction", at, currency, lines, caused_by, valued_by)


def write_off(
    at: int,
    currency: str,
    windows: Mapping[int, Expected],
    caused_by: tuple[str, ...],
    valued_by: ValuedBy = _unversioned,
) -> Transaction:
    """Return the booking of predictions that will never get a label, since their rows were erased.

    Their estimates are reversed. What labelled rows earned stays in the books, which keep no row.
    """
    lines = [_Line(window, "estimated", -item.amount, -item.rows, -item.variance) for window, item in windows.items()]
    return _transaction("write-off", at, currency, lines, caused_by, valued_by)


def charge(
    at: int, currency: str, window: int, kind: Cost, price: Decimal, *, caused_by: tuple[str, ...], valued_by: str = ""
) -> Transaction:
    """Return the booking of one price paid (at least 0) in a window. Raises `LedgerError` for a negative price."""
    if not price >= 0:
        msg = f"got a price of {price} for a {kind}; expected at least 0, a price is what is paid"
        raise LedgerError(msg)
    return _transaction(kind, at, currency, [_Line(window, kind, -price, 0)], caused_by, lambda _: valued_by)


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
        totals: dict[Account, Decimal] = dict.fromkeys(ACCOUNTS, ZERO)
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
        windows: dict[int, _Open] = defaultdict(_Open)
        periods: dict[int, int] = {}
        for line in self.postings:
            if as_of is not None and line.at >= as_of:
                continue
            if line.window not in periods:
                periods[line.window] = calendar.period_at(calendar.window_start(line.window))
            period = periods[line.window]
            amounts[period][line.account] += line.amount
            rows[period][line.account] += line.rows
            if line.account == "estimated":
                windows[line.window].add(line)
        deviations: dict[int, list[_Open]] = defaultdict(list)
        for window, left in windows.items():
            deviations[periods[window]].append(left)
        return tuple(
            Balance(
                period,
                estimated=amounts[period]["estimated"],
                realised=amounts[period]["realised"],
                release=amounts[period]["release"],
                fit=amounts[period]["fit"],
                running=sum((amounts[period][cost] for cost in COSTS[2:]), ZERO),
                waiting=rows[period]["estimated"],
                settled=rows[period]["realised"],
                deviation=_deviation(deviations[period]),
            )
            for period in sorted(amounts)
        )

    def deviation(self, as_of: int | None = None) -> Decimal:
        """Return the standard deviation of everything that is estimated, in currency (see `Balance`)."""
        windows: dict[int, _Open] = defaultdict(_Open)
        for line in self.postings:
            if line.account == "estimated" and (as_of is None or line.at < as_of):
                windows[line.window].add(line)
        return _deviation(windows.values())


@dataclass(slots=True)
class _Open:
    """What of one window's estimate is not settled yet."""

    variance: Decimal = NO_VARIANCE
    doubt: Decimal = ZERO
    booked: int = 0
    waiting: int = 0

    def add(self, line: Posting) -> None:
        self.variance += line.variance
        self.doubt += line.doubt
        self.booked += max(line.rows, 0)
        self.waiting += line.rows


def _deviation(windows: Iterable[_Open]) -> Decimal:
    """Outcomes are independent, so variances add; the calibration's error is shared, so its deviations add."""
    listed = list(windows)
    outcomes = sum((item.variance for item in listed), NO_VARIANCE)
    doubt = sum((item.doubt * item.waiting / item.booked for item in listed if item.booked), ZERO)
    return (max(outcomes, NO_VARIANCE) + doubt * doubt).sqrt().quantize(ZERO)


@dataclass(frozen=True, slots=True)
class _Line:
    window: int
    account: Account
    amount: Decimal
    rows: int
    variance: Decimal = NO_VARIANCE
    doubt: Decimal = ZERO


def _transaction(
    kind: Kind, at: int, currency: str, lines: list[_Line], caused_by: tuple[str, ...], valued_by: ValuedBy
) -> Transaction:
    for line in lines:
        if not line.amount.is_finite():
            msg = (
                f"window {line.window}: got {line.amount} on account {line.account} ({line.rows} rows); expected a "
                "finite amount"
            )
            raise LedgerError(msg)
    entries = [replace(line, amount=line.amount.quantize(ZERO)) for line in lines]
    # One counter-entry per window keeps every window's books balanced, not only the whole.
    against: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for line in entries:
        against[line.window] -= line.amount
    entries += [_Line(window, "model", amount, 0) for window, amount in against.items()]
    versions = {line.window: valued_by(line.window) for line in entries}
    content = {
        "kind": kind,
        "at": at,
        "currency": currency,
        "entries": [(line.window, line.account, line.amount, line.rows, line.variance) for line in entries],
        "caused_by": caused_by,
        "valued_by": versions,
    }
    identity = artifact_id("transaction", content)
    postings = tuple(
        Posting(
            id=f"{identity}.{number}",
            at=at,
            window=line.window,
            account=line.account,
            amount=line.amount,
            currency=currency,
            rows=line.rows,
            caused_by=caused_by,
            variance=line.variance,
            doubt=line.doubt,
            valued_by=versions[line.window],
        )
        for number, line in enumerate(entries)
    )
    return Transaction(identity, kind, currency, postings)
