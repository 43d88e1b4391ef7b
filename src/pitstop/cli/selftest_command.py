"""`pitstop selftest`: whether the promise about false alarms holds for this model, on its own reference."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from pitstop.detection.exchangeability import Rate
    from pitstop.loop.rehearsing import Rehearsal


def selftest(
    model: Annotated[str, typer.Argument(help="The model's name; not needed where the home holds one.")] = "",
    *,
    home: Annotated[Path, typer.Option(help="The folder that keeps everything.")],
    runs: Annotated[int, typer.Option(min=2, help="How often the reference is replayed in shuffled order.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Replay the reference of the model that serves, and print realised false alarms beside the promise.

    The exit code is 1 where the promise does not hold for this model; the reasons are printed, and what to do.
    """
    from pitstop.loop.rehearsing import rehearse  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.loop.revisiting import revisit  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, read_only=True) as kept:
        known = revisit(kept, model)
    found = rehearse(known.spec, known.baseline, known.windows, runs=runs)
    if as_json:
        print(json.dumps({**asdict(found), "kept": found.kept, "same": known.same}, indent=2, allow_nan=False))
    else:
        _show(found)
    if not found.kept:
        raise typer.Exit(1)


def _show(found: Rehearsal) -> None:
    console = Console(highlight=False)
    console.print(
        f"{escape(found.model)}: {found.windows} reference windows; a third of them watched, the rest as reference: "
        f"{found.runs} times in shuffled order, and each third once in real order. Alarms a month:",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    # Together 80 columns: what is wider loses the names of the families first.
    table.add_column("monitors", no_wrap=True)
    for head in ("promise", "shuffled", "95%", "in order", "95%", "lag 1", "kappa"):
        table.add_column(head, justify="right", no_wrap=True)
    for family in found.families:
        table.add_row(
            family.name,
            f"{family.promise:.2f}",
            *_cells(family.shuffled),
            *_cells(family.real),
            f"{family.lag.value:+.2f}",
            f"{family.paid:.1f}",
        )
    console.print(table)
    for text in found.warnings:
        console.print(f"[yellow]warning[/] {escape(text)}", soft_wrap=True)
    for text in found.notes:
        console.print(f"- {escape(text)}", soft_wrap=True)
    if found.kept:
        console.print("Nothing here speaks against the promise.")


def _cells(rate: Rate) -> tuple[str, str]:
    return f"{rate.mean:.2f}", f"{rate.low:.2f} to {rate.high:.2f}"
