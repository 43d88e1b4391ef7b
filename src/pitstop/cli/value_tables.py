"""The ledger in a terminal: sums, what upkeep brought, what is at stake, and how far estimates can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pitstop.loop.accounts import Accounts
from pitstop.report.formats import count, money, percent, plural
from pitstop.report.markup import printable
from pitstop.value.exchange import ExchangeRates
from pitstop.value.returns import Gain

_NORMAL_95 = Decimal("1.959964")
_NAMES = {
    "release": "releases",
    "fit": "fits",
    "inference": "predictions made",
    "review": "reviews",
    "label": "labels",
    "people": "people",
}


def print_accounts(found: Accounts, exchange: ExchangeRates | None = None, currency: str = "") -> None:
    """Print the books of one model."""
    console = Console(highlight=False)
    own, calendar = found.spec.value.currency, found.spec.calendar
    rows = sum(item.settled + item.waiting for item in found.periods)
    since = calendar.name_period(found.periods[0].period) if found.periods else "-"
    head = f"Value of {found.model} in {own}, from {since} to {calendar.name_instant(found.as_of)}"
    _say(console, f"{head}: {plural(rows, 'prediction')}", "bold")
    _sums(console, found)
    if exchange is not None:
        converted = -exchange.accounts(found.ledger.transactions, currency).get("model", Decimal(0))
        _say(console, f"Net in {currency}, each posting at the rate of its day: {money(float(converted))}.")
    _upkeep(console, found)
    _stakes(console, found)
    _estimates(console, found)
    _threshold(console, found)
    _versions(console, found)


def print_models(found: Sequence[Accounts], exchange: ExchangeRates | None = None, currency: str = "") -> None:
    """Print one line for each model, and the sum where they share a currency or are shown in one."""
    console = Console(highlight=False)
    table = _table("model", "earned", "estimated", "paid", "net", "upkeep brought", "for", "currency")
    total: dict[str, Decimal] = {}
    for item in found:
        own = item.spec.value.currency
        table.add_row(
            printable(item.model),
            money(float(item.accounts["realised"])),
            money(float(item.accounts["estimated"])),
            money(float(-item.paid)),
            money(float(item.net)),
            _with_interval(item.upkeep),
            money(float(item.upkeep_cost)),
            own,
        )
        net = item.net
        if exchange is not None:
            own, net = currency, -exchange.accounts(item.ledger.transactions, currency).get("model", Decimal(0))
        total[own] = total.get(own, Decimal(0)) + net
    console.print(table)
    for name, net in total.items():
        _say(console, f"Net of all models in {name}: {money(float(net))}", "bold")


def _sums(console: Console, found: Accounts) -> None:
    half = money(float(found.deviation * _NORMAL_95))
    waiting = sum(item.waiting for item in found.periods)
    table = _table("", "", "", head=False)
    table.add_row("earned, label known", money(float(found.accounts["realised"])), "")
    note = f"± {half}, for {plural(waiting, 'prediction')}" if waiting else ""
    table.add_row("estimated, label to come", money(float(found.accounts["estimated"])), note)
    for account, name in _NAMES.items():
        amount = found.accounts[account]  # type: ignore[index]  # the names are those of the accounts
        if amount:
            table.add_row(name, money(float(amount)), "")
    table.add_row(Text("net", style="bold"), Text(money(float(found.net)), style="bold green"), "")
    console.print(table)


def _upkeep(console: Console, found: Accounts) -> None:
    _say(console, "\nWhat retraining brought", "bold")
    if not found.releases:
        _say(console, "No release has replaced the first model, so upkeep has earned nothing yet.")
        return
    ratio = f", {found.ratio:.1f} times its cost on top" if found.ratio is not None and found.ratio > 0 else ""
    _say(
        console,
        f"Against never replacing the first model: {_with_interval(found.upkeep)} for "
        f"{money(float(found.upkeep_cost))} of fits and releases{ratio}.",
    )
    table = _table("release", "since", "days", "earned over the one before", "cost", "paid back after", "so far it")
    for release, earned in found.releases:
        days = earned.break_even_days
        table.add_row(
            f"v{release.version}",
            found.spec.calendar.name_instant(release.at),
            f"{earned.days:.0f}",
            _with_interval(earned.gain),
            money(float(earned.cost)),
            "–" if days is None or not earned.cost else f"{days:.0f} days",  # noqa: RUF001 - the mark for no number
            earned.verdict,
        )
    console.print(table)
    _say(
        console,
        "Gains are differences on the same labelled rows, with 95% intervals over days. They are not causal: no rows "
        "were held out from the model, so what its decisions changed about the outcomes themselves is not seen.",
        "dim",
    )


def _stakes(console: Console, found: Accounts) -> None:
    lost = sum(found.stale, Decimal(0))
    closed = [amount for amount in found.stale if amount]
    if found.stale:
        _say(
            console,
            f"\nStaleness: the freshest candidate would have earned {money(float(lost))} more, in {len(closed)} of "
            f"{plural(len(found.stale), 'period')}; in the last one {money(float(found.stale[-1]))}.",
        )
    for item in found.exposed:
        _say(
            console,
            f"Exposed by {item.incident}: {money(float(item.a_day))} a day ({money(float(item.low))} to "
            f"{money(float(item.high))}), {money(float(item.total))} if it takes {item.days:.0f} days to mend. Rows "
            f"earn {item.since:.2f} each since it began, {item.before:.2f} before.",
            "yellow",
        )
    if not found.exposed:
        _say(console, "No open incident exposes value.")


def _estimates(console: Console, found: Accounts) -> None:
    told = found.foretold
    if not any(item.rows for item in found.cohorts):
        return
    _say(console, "\nHow labels come, and how far estimates can be believed", "bold")
    table = _table("age in windows", "have a label by then", "labels", "was estimated", "was earned")
    for item in found.cohorts:
        if not item.rows:
            continue
        name = f"{item.first} to {item.last}" if item.last is not None else f"{item.first} and more"
        table.add_row(
            name,
            percent(item.coverage),
            count(item.rows),
            money(float(item.estimated)),
            money(float(item.realised)),
        )
    console.print(table)
    _say(
        console,
        "Good outcomes may be known sooner than bad ones, so the labels of one age do not stand for all.",
        "dim",
    )
    if told.windows:
        surprise = f", {abs(told.surprise):.1f} standard deviations" if told.surprise is not None else ""
        way = "more" if told.realised > told.estimated else "less"
        _say(
            console,
            f"Windows with every label: {money(float(told.estimated))} was estimated and {money(float(told.realised))} "
            f"earned, {money(float(abs(told.realised - told.estimated)))} {way}{surprise}.",
        )


def _threshold(console: Console, found: Accounts) -> None:
    advice = found.advice
    if advice is None:
        return
    _say(console, "\nThreshold", "bold")
    regret = _with_interval(advice.regret)
    start = f"Acting from a score of {advice.today:g} earned {money(float(advice.today_profit))} on the newest rows"
    if advice.worth_changing:
        text = f"{start}; {advice.best:g} would have earned {regret} more, tried on windows it was not chosen on."
    else:
        text = f"{start}; no other threshold is proven better (the best, {advice.best:g}: {regret})."
    _say(console, text)


def _versions(console: Console, found: Accounts) -> None:
    if len(found.valuations) > 1:
        said = ", ".join(f"{item['number']} from {item['from']}" for item in found.valuations)
        _say(console, f"\nValue models: {said}. Each prediction is valued by the one of its own time.")


def _with_interval(gain: Gain) -> str:
    if not gain.rows:
        return "–"  # noqa: RUF001 - the mark for no number
    if gain.low is None or gain.high is None:
        return money(float(gain.total))
    return f"{money(float(gain.total))} ({money(float(gain.low))} to {money(float(gain.high))})"


def _table(*names: str, head: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, show_header=head, header_style="dim")
    for place, name in enumerate(names):
        left = place == 0 or name in ("so far it", "since", "currency")
        table.add_column(name, justify="left" if left else "right", no_wrap=place == 0)
    if not head:
        table.columns[-1].justify = "left"
    return table


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=not console.is_terminal)
