"""`pitstop value`: what a model earns, what its upkeep cost and brought, and what is at stake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pitstop.cli.places import Place, is_address, print_there
from pitstop.errors import StoreError

if TYPE_CHECKING:
    from pitstop.loop.accounts import Accounts
    from pitstop.value.exchange import ExchangeRates
    from pitstop.value.returns import Gain

# A century: what takes longer is a slip of a key.
_MOST_DAYS = 36_525


def value(
    model: Annotated[str, typer.Argument(help="The model's name; without it, all models of the home.")] = "",
    *,
    home: Place,
    as_of: Annotated[str, typer.Option(help="What was booked before this instant (ISO, or a row number).")] = "",
    currency: Annotated[str, typer.Option(help="Show sums in this currency; needs --rates.")] = "",
    rates: Annotated[
        Path | None, typer.Option(help="Dated exchange rates: a CSV table with date, from, to, rate.")
    ] = None,
    days_to_fix: Annotated[
        float | None, typer.Option(help="Days until an open incident is mended. Default: the median so far, or 14.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print the ledger: value known and estimated, what each retrain earned, what staleness and incidents cost."""
    if days_to_fix is not None and not 0.0 <= days_to_fix <= _MOST_DAYS:
        msg = f"got --days-to-fix {days_to_fix:g}; expected days from 0 to {_MOST_DAYS:,}"
        raise StoreError(msg)
    if is_address(home):
        _there(home, model, as_of, days_to_fix, elsewhere=bool(currency or rates), as_json=as_json)
        return
    from pitstop.errors import LedgerError  # noqa: PLC0415 - with the rest, which is heavy
    from pitstop.store.home import Home  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.value.exchange import ExchangeRates  # noqa: PLC0415 - as above

    if bool(currency) != (rates is not None):
        msg = f"got --currency {currency!r} and --rates {str(rates or '')!r}; one needs the other"
        raise LedgerError(msg)
    exchange = ExchangeRates.read(rates) if rates is not None else None
    with Home.open(home, read_only=True) as kept:
        found = [_accounts(kept, name, as_of, days_to_fix) for name in ([model] if model else kept.models())]
    if as_json:
        documents = [_document(item, exchange, currency) for item in found]
        print(json.dumps(documents[0] if model else {"models": documents}, indent=2, allow_nan=False))
        return
    from pitstop.cli.value_tables import print_accounts, print_models  # noqa: PLC0415 - as above

    if model:
        print_accounts(found[0], exchange, currency)
    else:
        print_models(found, exchange, currency)


def _there(address: str, model: str, as_of: str, days: float | None, *, elsewhere: bool, as_json: bool) -> None:
    if not model or elsewhere:
        what = "another currency" if elsewhere else "all models"
        msg = f"a service shows the books of one model in its own currency, not {what}; name the model"
        raise StoreError(msg)
    fix = "" if days is None else f"{days:f}"
    print_there(address, model, "value", as_of=as_of, days_to_fix=fix, json=as_json)


def print_ledger(home: Path, model: str) -> None:
    """Print the books of one model; what `demo` ends with."""
    from pitstop.cli.value_tables import print_accounts  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, read_only=True) as kept:
        print_accounts(_accounts(kept, model, "", None))


def _accounts(home: Any, model: str, as_of: str, days_to_fix: float | None) -> Accounts:
    from pitstop.loop.accounts import accounts_of  # noqa: PLC0415 - as above
    from pitstop.records.spec import spec_of  # noqa: PLC0415 - as above

    instant = None
    if as_of and (specs := home.artifacts("spec", model)):
        instant = spec_of(specs[-1].content).calendar.parse_instant(as_of)
    return accounts_of(home, model, instant, days_to_fix=days_to_fix)


def _document(found: Accounts, exchange: ExchangeRates | None, currency: str) -> dict[str, Any]:
    calendar, own = found.spec.calendar, found.spec.value.currency
    document: dict[str, Any] = {
        "model": found.model,
        "as_of": calendar.name_instant(found.as_of),
        "currency": own,
        "accounts": {name: str(amount) for name, amount in found.accounts.items()},
        "net": str(found.net),
        "estimated_deviation": str(found.deviation),
        "periods": [
            {
                "period": calendar.name_period(item.period),
                "realised": str(item.realised),
                "estimated": str(item.estimated),
                "deviation": str(item.deviation),
                "release": str(item.release),
                "fit": str(item.fit),
                "running": str(item.running),
                "net": str(item.net),
                "coverage": item.coverage,
            }
            for item in found.periods
        ],
        "upkeep": {**_gain(found.upkeep), "cost": str(found.upkeep_cost), "ratio": found.ratio, "causal": False},
        "releases": [
            {
                "id": release.id,
                "version": release.version,
                "at": calendar.name_instant(release.at),
                **_gain(earned.gain),
                "expected": str(earned.expected),
                "cost": str(earned.cost),
                "days": earned.days,
                "break_even_days": earned.break_even_days,
                "ratio": earned.ratio,
                "verdict": earned.verdict,
            }
            for release, earned in found.releases
        ],
        "staleness": [str(amount) for amount in found.stale],
        "exposed": [
            {
                "incident": item.incident,
                "a_day": str(item.a_day),
                "low": str(item.low),
                "high": str(item.high),
                "days": item.days,
                "total": str(item.total),
            }
            for item in found.exposed
        ],
        "labels_by_age": [
            {
                "first": item.first,
                "last": item.last,
                "rows": item.rows,
                "coverage": item.coverage,
                "estimated": str(item.estimated),
                "realised": str(item.realised),
            }
            for item in found.cohorts
        ],
        "foretold": {
            "windows": found.foretold.windows,
            "rows": found.foretold.rows,
            "estimated": str(found.foretold.estimated),
            "realised": str(found.foretold.realised),
            "deviation": str(found.foretold.deviation),
            "surprise": found.foretold.surprise,
        },
        "threshold": _threshold(found),
        "value_models": [dict(item) for item in found.valuations],
    }
    if exchange is not None:
        converted = exchange.accounts(found.ledger.transactions, currency)
        document["converted"] = {
            "currency": currency,
            "accounts": {name: str(amount) for name, amount in converted.items()},
            "net": str(-converted["model"]) if converted else "0",
        }
    return document


def _gain(gain: Gain) -> dict[str, Any]:
    return {
        "gain": str(gain.total),
        "low": None if gain.low is None else str(gain.low),
        "high": None if gain.high is None else str(gain.high),
        "rows": gain.rows,
    }


def _threshold(found: Accounts) -> dict[str, Any] | None:
    advice = found.advice
    if advice is None:
        return None
    return {
        "today": advice.today,
        "today_profit": str(advice.today_profit),
        "best": advice.best,
        "best_profit": str(advice.best_profit),
        "regret": _gain(advice.regret),
        "worth_changing": advice.worth_changing,
        "curve": [
            {"threshold": float(step), "profit": int(profit) / 10_000}
            for step, profit in zip(advice.thresholds[:-1:20], advice.profit[:-1:20], strict=True)
        ],
    }
