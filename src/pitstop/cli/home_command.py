"""`pitstop home`: make a home on PostgreSQL or object storage, copy one (backup, restore, move), see what is in it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli.kept_places import CatalogOption, CopyFolder, FilesOption, JsonOption, print_copy, say
from pitstop.report.formats import count, plural

if TYPE_CHECKING:
    from pitstop.store.copying import Copied

home = typer.Typer(name="home", no_args_is_help=True, help="Where everything is kept: make, copy and look at homes.")


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
    say(
        f"Made a home in {folder}. Name it with --home from now on, and keep {folder / 'keys'} safe: what is signed "
        "and sealed depends on it."
    )


@home.command()
def copy(
    source: Annotated[Path, typer.Argument(help="The home to copy; it may be in use.", metavar="HOME")],
    target: CopyFolder,
    *,
    catalog: CatalogOption = "",
    files: FilesOption = "",
    as_json: JsonOption = False,
) -> None:
    """Copy a home as it is now, keys included, and verify the copy: a backup, a restore, or a move."""
    from pitstop.store.copying import copy_home  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.store.location import Location  # noqa: PLC0415 - as above

    def told(made: Copied) -> list[str]:
        sentence = (
            f"Copied {count(made.entries)} journal entries, {plural(made.rows, 'row')} of the catalog "
            f"and {plural(made.files, 'file')} to {target}; the copy verifies against its journal (root "
            f"{made.root[:16]})."
        )
        return [sentence]

    place = Location(catalog, files)
    print_copy(lambda report: copy_home(source, target, place, report), told, as_json=as_json)


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
    say(f"Catalog  {found.catalog}")
    say(f"Files    {found.files}")
    say(f"Models   {', '.join(found.models) or 'none yet'}")
    say(
        f"Holds    {plural(found.segments, 'segment')} with {plural(found.rows, 'row')} ({found.bytes / 1e6:,.1f} MB), "
        f"{plural(found.artifacts, 'artifact')}, {count(found.entries)} journal entries"
    )
