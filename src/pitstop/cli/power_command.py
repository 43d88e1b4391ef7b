"""`pitstop power`: for each monitor, the smallest change that it would see at this traffic; what smaller ones hide."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from pitstop.loop.discerning import Power


def power(
    model: Annotated[str, typer.Argument(help="The model's name; not needed where the home holds one.")] = "",
    *,
    home: Annotated[Path, typer.Option(help="The folder that keeps everything.")],
    within: Annotated[int, typer.Option(min=1, help="Windows within which a change is to be seen.")] = 7,
    probability: Annotated[float, typer.Option(help="How probably it is to be seen, above 0 and below 1.")] = 0.8,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print what each monitor of the model that serves could not have seen, at the traffic of its reference."""
    from pitstop.loop.discerning import discern  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.loop.revisiting import revisit  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, read_only=True) as kept:
        known = revisit(kept, model)
    found = discern(known, within=within, probability=probability)
    spec = known.spec
    if as_json:
        document = {
            "model": spec.model.name,
            "within": within,
            "probability": probability,
            "currency": spec.value.currency,
            "monitors": [{**asdict(item), "never": item.sight.change is None} for item in found],
        }
        print(json.dumps(document, indent=2, allow_nan=False))
        return
    unit = "window" if spec.calendar.by_rows else str(spec.calendar.window)
    period = spec.time.period if isinstance(spec.time.period, str) else f"{spec.time.period} windows"
    console = Console(highlight=False, markup=False)
    console.print(
        f"{spec.model.name}: what would be seen within {within} {unit}s with a probability of {probability:.0%}, "
        "at the traffic of its reference. Smaller changes may go on unseen for longer.",
        soft_wrap=True,
    )
    for text in sentences(found, unit, str(period), spec.value.currency):
        console.print(f"- {text}", soft_wrap=True)


def sentences(found: tuple[Power, ...], unit: str, period: str, currency: str) -> list[str]:
    """Return a sentence for each monitor; those that could see the same of the same rows share one."""
    from pitstop.report.formats import listed  # noqa: PLC0415 - as above

    texts: dict[str, list[str]] = {}
    for item in found:
        texts.setdefault(_sentence(item, unit, period, currency), []).append(item.monitor)
    return [f"{listed(monitors)}: {text}" for text, monitors in texts.items()]


def _sentence(item: Power, unit: str, period: str, currency: str) -> str:
    sight = item.sight
    rows = f"{item.rows:,.0f} rows a {unit}"
    # A rate that never was above 0 is told without its name, so that columns that are alike share a line.
    what = "" if sight.expected == 0 else f' of "{item.indicator}"'
    if item.kind == "volume":
        if sight.change is None:
            return f"never: not even the loss of all rows would have been seen in time ({rows})."
        return f"could not have seen the loss of less than {sight.change:.0%} of the rows ({rows})."
    if sight.change is None:
        return f"never: no change{what or ' from 0'} would have been seen in time ({rows})."
    after = sight.expected + (sight.change if sight.up else -sight.change)
    way = "rise" if sight.up else "fall"
    text = (
        f"could not have seen a {way}{what} of less than {100 * sight.change:.1f} points, "
        f"from {sight.expected:.1%} to {after:.1%} ({rows})"
    )
    if item.after:
        text += f", counted from when labels first show it, {item.after} {unit}s after the predictions"
    if item.worth is not None:
        text += f"; that many errors more cost {item.worth:,.0f} {currency} a {period}"
    return f"{text}."
