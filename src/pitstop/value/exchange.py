"""Dated exchange rates: books stay in their own currency, and are looked at in another by the rate of their day."""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pitstop.errors import LedgerError, SpecError
from pitstop.records.calendar import Calendar
from pitstop.value.ledger import ZERO, Account, Transaction

_DAYS = Calendar("day", "day")
_HEAD = ["date", "from", "to", "rate"]


@dataclass(frozen=True)
class ExchangeRates:
    """Rates by (from, to): (instant from which it holds, units of `to` for one of `from`), oldest first."""

    rates: dict[tuple[str, str], tuple[tuple[int, Decimal], ...]]

    @classmethod
    def read(cls, path: Path) -> ExchangeRates:
        """Read a CSV table with the columns date, from, to, rate; raise `LedgerError` naming the line that is wrong."""
        found: dict[tuple[str, str], dict[int, Decimal]] = defaultdict(dict)
        try:
            # Spreadsheets begin the file with a mark.
            with path.open(encoding="utf-8-sig", newline="") as file:
                lines = list(csv.reader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            msg = f"cannot read the exchange rates {path}: {error}"
            raise LedgerError(msg) from error
        if not lines or lines[0] != _HEAD:
            msg = f"{path} begins with {lines[0] if lines else 'nothing'}; expected the columns {', '.join(_HEAD)}"
            raise LedgerError(msg)
        for number, line in enumerate(lines[1:], start=2):
            if not line:
                continue
            try:
                day, source, target, text = line
                rate = Decimal(text)
                if not (rate.is_finite() and rate > 0):
                    raise ValueError  # noqa: TRY301 - one message for every wrong line
                since = _DAYS.parse_instant(day)
            except (ValueError, InvalidOperation, SpecError) as error:
                msg = f"{path}, line {number}: got {line}; expected for instance 2026-01-31,EUR,USD,1.0834"
                raise LedgerError(msg) from error
            said = found[source, target].setdefault(since, rate)
            if said != rate:
                pair = f"{source} to {target} on {day}"
                msg = f"{path}, line {number}: got {rate} for {pair}, which is {said} above; keep one"
                raise LedgerError(msg)
        return cls({pair: tuple(sorted(rates.items())) for pair, rates in found.items()})

    def rate(self, source: str, target: str, at: int) -> Decimal:
        """Return the newest rate that held at an instant, of either direction; the other one's is turned round.

        Raises `LedgerError` where none is known at that time: a later rate is never used for an earlier posting.
        """
        if source == target:
            return Decimal(1)
        own, other = self._newest(source, target, at), self._newest(target, source, at)
        if own is not None and (other is None or own[0] >= other[0]):
            return own[1]
        if other is not None:
            return 1 / other[1]
        msg = (
            f"no exchange rate from {source} to {target} is known on {_DAYS.name_instant(at)[:10]}; add a line "
            "of that day or an earlier one"
        )
        raise LedgerError(msg)

    def _newest(self, source: str, target: str, at: int) -> tuple[int, Decimal] | None:
        known = self.rates.get((source, target), ())
        place = bisect_right([start for start, _ in known], at)
        return known[place - 1] if place else None

    def accounts(self, transactions: tuple[Transaction, ...], target: str) -> dict[Account, Decimal]:
        """Return the balance of every account in another currency, each posting by the rate of its own instant.

        An estimate and its reversal may meet different rates; the difference is real, and stays in the account.
        """
        totals: dict[Account, Decimal] = defaultdict(lambda: ZERO)
        for item in transactions:
            rate = self.rate(item.currency, target, item.postings[0].at)
            for line in item.postings:
                totals[line.account] += line.amount * rate
        return {account: amount.quantize(ZERO) for account, amount in totals.items()}
