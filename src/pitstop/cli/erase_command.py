"""`pitstop erase` and `pitstop hold`: a person's data are destroyed on request, unless the law has them kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pitstop.cli.journal_command import wall_clock


def erase(
    subject: Annotated[str, typer.Argument(help="Whom: a value of the column [columns] subject, else a row's id.")],
    *,
    home: Annotated[Path, typer.Option(help="The folder that keeps everything.")],
    because: Annotated[str, typer.Option(help="Why, in words that name nobody: it is kept in the open.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Erase a person's rows and sealed records; they leave the next training set. Exit code 1: nothing was erased."""
    from pitstop.loop.erasure import erase as destroy  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, create=False) as kept:
        found = destroy(kept, subject, because, wall_clock())
    sentence = found.outcome[0].upper() + found.outcome[1:] + "."
    print(json.dumps(asdict(found), indent=2) if as_json else sentence)
    if found.done and not as_json:
        print("Copies elsewhere (the source tables, backups) are not reached from here.")
    if not found.done:
        raise typer.Exit(1)


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
