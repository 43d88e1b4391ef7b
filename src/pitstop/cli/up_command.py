"""`pitstop up`: ingest, workers and pages in one process."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Annotated

import typer

from pitstop.errors import EngineError


def up(
    *,
    workspace: Annotated[Path, typer.Option(help="The folder that keeps everything of the service.")] = Path(
        "pitstop-workspace"
    ),
    home: Annotated[
        list[Path] | None, typer.Option(help="Also serve the models of this home (such as demo-home); may be repeated.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on; other than this machine's needs --login.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="0 takes a free one; the usual one too where it is taken.", max=65535)] = (
        8765
    ),
    login: Annotated[bool, typer.Option("--login", help="Ask everybody who they are.")] = False,
    public_url: Annotated[str, typer.Option(help="The address that people type, behind a proxy.")] = "",
) -> None:
    """Serve models for a team: rows in, the loop on its schedule, pages, and an API."""
    if importlib.util.find_spec("starlette") is None or importlib.util.find_spec("uvicorn") is None:
        msg = "`pitstop up` needs what comes with the extra `server`: pip install 'pitstop[server]'"
        raise EngineError(msg)
    from pitstop.service.running import serve  # noqa: PLC0415 - heavy and optional
    from pitstop.service.settings import Settings  # noqa: PLC0415 - as above
    from pitstop.service.workspace import Workspace  # noqa: PLC0415 - as above

    settings = Settings(host, port, login, public_url)
    with Workspace.open(workspace) as opened:
        for folder in home or ():
            opened.adopt(folder, at=time.time_ns() // 1_000)
        serve(opened, settings, lambda address: typer.echo(f"Serving {workspace} at {address} (Ctrl-C ends)", err=True))
