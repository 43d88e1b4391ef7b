"""`pitstop erase` and `pitstop hold`: a person's data are destroyed on request, unless the law has them kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pitstop.cli.journal_command import wall_clock
from pitstop.cli.quarantine_command import opened_inbox
from pitstop.errors import StoreError


def erase(
    subject: Annotated[str, typer.Argument(help="Whom: a value of the column [columns] subject, else a row's id.")],
    *,
    because: Annotated[str, typer.Option(help="Why, in words that name nobody: it is kept in the open.")],
    home: Annotated[Path | None, typer.Option(help="The folder that keeps everything of a model.")] = None,
    workspace: Annotated[Path | None, typer.Option(help="The workspace of a service: its received rows.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Erase a person's rows and sealed records; they leave the next training set. Exit code 1: nothing was erased."""
    from pitstop.loop.erasure import erase as destroy  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    if (home is None) == (workspace is None):
        msg = "name what to erase from: --home for a model's home, or --workspace for the rows that a service received"
        raise StoreError(msg)
    if home is None:
        _order_erasure(workspace or Path(), subject, because, as_json=as_json)
        return
    with Home.open(home, create=False) as kept:
        found = destroy(kept, subject, because, wall_clock())
    sentence = found.outcome[0].upper() + found.outcome[1:] + "."
    print(json.dumps(asdict(found), indent=2) if as_json else sentence)
    if found.done and not as_json:
        print("Copies elsewhere (the source tables, backups) are not reached from here.")
    if not found.done:
        raise typer.Exit(1)


def _order_erasure(workspace: Path, subject: str, because: str, *, as_json: bool) -> None:
    with opened_inbox(workspace) as inbox:
        inbox.erase(subject, because, by="local")
    print(
        json.dumps({"ordered": True})
        if as_json
        else "Ordered: the worker erases the received rows next, and says so in the journal. Homes: --home."
    )


def retain(
    model: Annotated[str, typer.Argument(help="The model.")],
    *,
    workspace: Annotated[Path, typer.Option(help="The workspace.")],
    before: Annotated[str, typer.Option(help="Drop rows of windows before this instant (ISO, or a row number).")],
) -> None:
    """Drop received rows that are older than they have to be; their counts stay."""
    with opened_inbox(workspace) as inbox:
        spec = inbox.specs(model)
        inbox.retain(model, spec.calendar.parse_instant(before) if spec is not None else 0, by="local")
    print("Ordered: the worker drops them next, and says so in the journal.")


def hold(
    subject: Annotated[str, typer.Argument(help="Whom: a value of the column [columns] subject, else a row's id.")],
    *,
    home: Annotated[Path, typer.Option(help="The folder that keeps everything.")],
    because: Annotated[str, typer.Option(help="Why; kept under the person's key, and erased with it.")],
    lift: Annotated[bool, typer.Option("--lift", help="End the hold.")] = False,
) -> None:
    """Keep a person's data from being erased, or no longer. Exit code 1: there was no hold to lift."""
    from pitstop.loop import erasure  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    facts = {"because": because}
    with Home.open(home, create=False) as kept:
        if lift:
            record = erasure.lift(kept, subject, facts, wall_clock())
        else:
            record = erasure.hold(kept, subject, facts, wall_clock())
    if record is None:
        print("There is no hold on this subject.")
        raise typer.Exit(1)
    print(f"{'Lifted' if lift else 'Held'}: {record}.")
