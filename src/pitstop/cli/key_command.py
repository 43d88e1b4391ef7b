"""`pitstop key`: an API key for a program, made on the machine that holds the workspace."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer


def key(
    name: Annotated[str, typer.Argument(help="What it is for, such as the name of the program.")],
    *,
    workspace: Annotated[Path, typer.Option(help="The folder that `pitstop up` serves.")],
    role: Annotated[
        list[str], typer.Option(help="ingest (hand rows in, no more), viewer, operator ...; may be repeated.")
    ],
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated. Default: all.")] = None,
    days: Annotated[int, typer.Option(help="When it expires.", min=1, max=366)] = 90,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make an API key and print it, once."""
    from pitstop.service.auth.actor import LOCAL  # noqa: PLC0415 - the extra `server` is not needed for --help
    from pitstop.service.auth.keys import Keys  # noqa: PLC0415 - as above
    from pitstop.service.workspace import Workspace  # noqa: PLC0415 - as above

    with Workspace.open(workspace, create=False) as opened:
        for wanted in model or ():
            opened.model(wanted)
        made, text = Keys(opened.fleet).make(name, role, model, days, by=LOCAL, at=time.time_ns() // 1_000)
    if as_json:
        print(json.dumps({"key": text, "prefix": made.prefix, "expires": made.expires}))
    else:
        print(text)
