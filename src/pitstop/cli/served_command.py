"""`pitstop served` and `pitstop audit`: what was in production when, and how it selects among groups of people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pitstop.cli.places import Place, is_address, print_there
from pitstop.cli.recording import record

if TYPE_CHECKING:
    from pitstop.compliance.facts import Artifact, Facts


def served(
    model: Annotated[str, typer.Argument(help="The model's name, as in its specification.")],
    *,
    home: Place,
    at: Annotated[str, typer.Option(help="The instant (ISO, UTC unless it says otherwise; or a row number).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what was in production at an instant, why, and who approved it."""
    if is_address(home):
        print_there(home, model, "served", at=at, json=as_json)
        return
    from pitstop.loop.auditing import served as answer  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    found = answer(home, model, at)
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
        return
    console = Console(highlight=False)
    console.print(f"[bold]{escape(found.sentence)}[/bold]", soft_wrap=True)
    console.print(escape(found.who), soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(2):
        table.add_column(overflow="fold")
    table.add_row("release", escape(found.release.id))
    for item in found.why:
        words = item.content.get("reason") or item.content.get("sentence") or item.content.get("text") or ""
        table.add_row(item.kind, f"{escape(item.id)}\n  [dim]{escape(str(words))}[/dim]" if words else escape(item.id))
    console.print(table)


def audit(
    model: Annotated[str, typer.Argument(help="The model's name, as in its specification.")],
    *,
    home: Annotated[Path, typer.Option(help="The folder that keeps everything.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Audit selection rates and impact ratios by protected column, and keep the result in the journal."""
    from pitstop.loop.auditing import audited  # noqa: PLC0415 - as above
    from pitstop.loop.recalling import facts_of  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, read_only=True) as kept:
        made = audited(kept, facts_of(kept, model))

    def say(facts: Facts) -> tuple[Artifact, ...]:
        del facts
        return (made,)

    record(home, model, say)
    if as_json:
        print(json.dumps({"id": made.id, **made.content}, indent=2))
        return
    console = Console(highlight=False)
    console.print(
        f"[bold]{escape(model)}: {made.content['rate']}[/bold], {made.content['rows']:,} rows, "
        f"{made.content['selected']:,} selected"
    )
    for part in made.content["tables"]:
        table = Table(title=f"{part['name']} ({part['unknown']:,} rows unknown)", title_justify="left", box=None)
        for name in ("category", "rows", "rate", "impact ratio"):
            table.add_column(name, justify="left" if name == "category" else "right")
        for group in part["groups"]:
            ratio = "-" if group["impact_ratio"] is None else f"{group['impact_ratio']:.3f}"
            name = group["name"] + (" (small)" if group["small"] else "")
            table.add_row(escape(name), f"{group['rows']:,}", f"{group['rate']:.1%}", ratio)
        console.print(table)
    console.print(f"Kept as {made.id}.")
