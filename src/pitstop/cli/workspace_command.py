"""`pitstop workspace`: make a workspace on PostgreSQL and object storage, copy one (backup, restore, move)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.cli.kept_places import CatalogOption, CopyFolder, FilesOption, JsonOption, print_copy, say
from pitstop.report.formats import plural

if TYPE_CHECKING:
    from pitstop.service.copying import CopiedWorkspace

workspace = typer.Typer(name="workspace", no_args_is_help=True, help="What `pitstop up` keeps: make and copy it.")


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
    say(f"Made a workspace in {folder}; serve it with `pitstop up --workspace {folder}`.")


@workspace.command()
def copy(
    source: Annotated[Path, typer.Argument(help="The workspace to copy; it may be in use.", metavar="WORKSPACE")],
    target: CopyFolder,
    *,
    catalog: CatalogOption = "",
    files: FilesOption = "",
    as_json: JsonOption = False,
) -> None:
    """Copy a workspace, keys and homes included, and verify it: a backup, a restore, or a move (stop it before)."""
    from pitstop.service.copying import copy_workspace  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.service.places import Places  # noqa: PLC0415 - as above

    def told(made: CopiedWorkspace) -> list[str]:
        homes = ", ".join(made.homes) or "no model"
        sentence = (
            f"Copied {plural(made.rows, 'row')} of the service's tables, the received rows, "
            f"{plural(made.spool, 'file')} of batches that wait, and the homes of {homes} to {target}; "
            "each home verifies."
        )
        missing = (f"Not copied: {home} stands outside; `pitstop home copy` copies it." for home in made.elsewhere)
        return [sentence, *missing]

    places = Places(catalog, files)
    print_copy(lambda report: copy_workspace(source, target, places, report), told, as_json=as_json)
