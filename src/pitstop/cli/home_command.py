"""`pitstop home`: make a home on PostgreSQL or object storage, copy one (backup, restore, move), see what is in it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pitstop.cli.showing import progress_bar
from pitstop.report.formats import count, plural

home = typer.Typer(name="home", no_args_is_help=True, help="Where everything is kept: make, copy and look at homes.")

CatalogOption = Annotated[
    str, typer.Option("--catalog", help="postgresql://HOST/DATABASE?schema=NAME; else SQLite in the folder.")
]
FilesOption = Annotated[
    str, typer.Option("--files", help="s3://BUCKET/PREFIX?region=R (or gs://, abfs://); else in the folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@home.callback()
def _home() -> None:
    """Where everything is kept: make, copy and look at homes."""


@home.command()
def make(
    folder: Annotated[Path, typer.Argument(help="The folder of the new home; keys are kept in it.", metavar="FOLDER")],
    *,
    catalog: CatalogOption = "",
    files: FilesOption = "",
) -> None:
    """Make an empty home, and say where it keeps its catalog and files from now on."""
    from pitstop.store.copying import make_home  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.store.location import Location  # noqa: PLC0415 - as above

    make_home(folder, Location(catalog, files))
    Console(highlight=False).print(
        f"Made a home in {escape(str(folder))}. Name it with --home from now on, and keep "
        f"{escape(str(folder / 'keys'))} safe: what is signed and sealed depends on it.",
        soft_wrap=True,
    )


@home.command()
def copy(
    source: Annotated[Path, typer.Argument(help="The home to copy; it may be in use.", metavar="HOME")],
    target: Annotated[Path, typer.Argument(help="The folder of the copy.", metavar="FOLDER")],
    *,
    catalog: CatalogOption = "",
    files: FilesOption = "",
    as_json: JsonOption = False,
) -> None:
    """Copy a home as it is now, keys included, and verify the copy: a backup, a restore, or a move."""
    from pitstop.store.copying import copy_home  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.store.location import Location  # noqa: PLC0415 - as above

    with progress_bar("Copying", kept=False) as report:
        made = copy_home(source, target, Location(catalog, files), report)
    if as_json:
        print(json.dumps(asdict(made)))
        return
    Console(highlight=False).print(
        f"Copied {count(made.entries)} journal entries, {plural(made.rows, 'row')} of the catalog "
        f"and {plural(made.files, 'file')} to {escape(str(target))}; the copy verifies against its journal (root "
        f"{made.root[:16]}).",
        soft_wrap=True,
    )


@home.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A home.", metavar="HOME")], *, as_json: JsonOption = False
) -> None:
    """Say where a home keeps its things, and how much there is."""
    from pitstop.store.copying import contents_of  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    found = contents_of(folder)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    console = Console(highlight=False)
    console.print(f"Catalog  {escape(found.catalog)}", soft_wrap=True)
    console.print(f"Files    {escape(found.files)}", soft_wrap=True)
    console.print(f"Models   {escape(', '.join(found.models) or 'none yet')}", soft_wrap=True)
    console.print(
        f"Holds    {plural(found.segments, 'segment')} with {plural(found.rows, 'row')} ({found.bytes / 1e6:,.1f} MB), "
        f"{plural(found.artifacts, 'artifact')}, {count(found.entries)} journal entries"
    )
