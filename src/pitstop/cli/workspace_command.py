"""`pitstop workspace`: make a workspace on PostgreSQL and object storage, copy one (backup, restore, move)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pitstop.cli.showing import progress_bar
from pitstop.report.formats import plural

workspace = typer.Typer(name="workspace", no_args_is_help=True, help="What `pitstop up` keeps: make and copy it.")

CatalogOption = Annotated[
    str, typer.Option("--catalog", help="postgresql://HOST/DATABASE?schema=NAME; else SQLite in the folder.")
]
FilesOption = Annotated[
    str, typer.Option("--files", help="s3://BUCKET/PREFIX?region=R (or gs://, abfs://); else in the folder.")
]


@workspace.callback()
def _workspace() -> None:
    """What `pitstop up` keeps: make and copy it."""


@workspace.command()
def make(
    folder: Annotated[Path, typer.Argument(help="The folder of the new workspace.", metavar="FOLDER")],
    *,
    catalog: CatalogOption = "",
    files: FilesOption = "",
) -> None:
    """Make an empty workspace, and say where it keeps its tables, homes and files from now on."""
    from pitstop.service.copying import make_workspace  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.service.places import Places  # noqa: PLC0415 - as above

    make_workspace(folder, Places(catalog, files))
    Console(highlight=False).print(
        f"Made a workspace in {escape(str(folder))}; serve it with `pitstop up --workspace {escape(str(folder))}`.",
        soft_wrap=True,
    )


@workspace.command()
def copy(
    source: Annotated[Path, typer.Argument(help="The workspace to copy; it may be in use.", metavar="WORKSPACE")],
    target: Annotated[Path, typer.Argument(help="The folder of the copy.", metavar="FOLDER")],
    *,
    catalog: CatalogOption = "",
    files: FilesOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Copy a workspace, keys and homes included, and verify it: a backup, a restore, or a move (stop it before)."""
    from pitstop.service.copying import copy_workspace  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.service.places import Places  # noqa: PLC0415 - as above

    with progress_bar("Copying", kept=False) as report:
        made = copy_workspace(source, target, Places(catalog, files), report)
    if as_json:
        print(json.dumps(asdict(made)))
        return
    console = Console(highlight=False)
    of = escape(", ".join(made.homes) or "no model")
    console.print(
        f"Copied {plural(made.rows, 'row')} of the service's tables, the received rows, {plural(made.spool, 'file')} "
        f"of batches that wait, and the homes of {of} to {escape(str(target))}; each home verifies.",
        soft_wrap=True,
    )
    for home in made.elsewhere:
        console.print(f"Not copied: {escape(home)} stands outside; `pitstop home copy` copies it.", soft_wrap=True)
