"""`pitstop demo`: the replay on real hotel bookings, an evidence pack, then the report on a local address."""

from __future__ import annotations

import importlib.util
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from pitstop.cli.reading import parse_spec
from pitstop.cli.showing import progress_bar, show
from pitstop.cli.value_command import print_ledger
from pitstop.data import hotel_bookings_notice, hotel_bookings_path, hotel_bookings_spec

REPORT = "report.html"
EVIDENCE = "evidence"
WORKSPACE = "workspace"


def demo(
    *,
    home: Annotated[Path, typer.Option(help="Folder that keeps everything; a demo that was cut off goes on.")] = Path(
        "demo-home"
    ),
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the table and the report.")] = False,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of the report on 127.0.0.1; 0 takes a free one. Default: 8765, or a free one.", min=0, max=65535
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Run the whole loop on 22 months of real bookings: watch, explain, decide, retrain, prove, release."""
    from pitstop.loop.auditing import write_evidence  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.replays.replay import replay  # noqa: PLC0415 - as above
    from pitstop.service.pages import page_server, serve  # noqa: PLC0415 - as above

    pages = not no_serve and has_pages()

    spec = parse_spec(hotel_bookings_spec())
    page = home / REPORT
    with ExitStack() as stack:
        # Before the work: a port that is taken should not be found out after it.
        server = None if no_serve else stack.enter_context(page_server(page, port))
        if server is not None and pages:
            server.server_close()
            server = None
        with progress_bar("Replaying bookings") as report:
            note = hotel_bookings_notice().strip()
            result = replay(hotel_bookings_path(), spec, home=home, progress=report, note=note)
        show(result, as_json=as_json, html=page, then=lambda: print_ledger(home, spec.model.name))
        pack = home / EVIDENCE
        # A demo that is run again has nothing new to say: its pack stands.
        if not pack.exists():
            write_evidence(home, spec.model.name, pack)
        if not as_json:
            typer.echo(f"Evidence pack: {pack / 'index.html'} (check it: pitstop evidence verify {pack})")
        if pages:
            _serve_pages(home, port)
        elif server is not None:
            # On the error stream: with --json the standard output is one object and nothing else.
            serve(server, lambda address: typer.echo(f"Serving the report at {address} (Ctrl-C ends)", err=True))


def has_pages() -> bool:
    """Return whether what serves the pages is installed (the extra `server`)."""
    return all(importlib.util.find_spec(name) is not None for name in ("starlette", "uvicorn", "jinja2", "dbos"))


def _serve_pages(home: Path, port: int | None) -> None:
    """Serve the pages of a workspace that adopts the demo's home."""
    from pitstop.service.running import serve  # noqa: PLC0415 - heavy and optional
    from pitstop.service.settings import USUAL_PORT, Settings  # noqa: PLC0415 - as above
    from pitstop.service.site.refreshing import refresh_stale  # noqa: PLC0415 - as above
    from pitstop.service.workspace import Workspace  # noqa: PLC0415 - as above

    with Workspace.open(home / WORKSPACE) as workspace:
        workspace.adopt(home, at=time.time_ns() // 1_000)
        typer.echo("Gathering what the pages show (once)", err=True)
        refresh_stale(workspace)
        settings = Settings(port=USUAL_PORT if port is None else port)
        serve(workspace, settings, lambda sentence: typer.echo(sentence, err=True))
