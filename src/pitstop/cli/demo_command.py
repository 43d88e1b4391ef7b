"""`pitstop demo`: the replay on real hotel bookings, then its report on a local address."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pitstop.cli.showing import progress_bar, show
from pitstop.data import hotel_bookings_notice, hotel_bookings_path, hotel_bookings_spec
from pitstop.records.spec import parse_spec

REPORT = "report.html"


def demo(
    *,
    home: Annotated[Path, typer.Option(help="Folder that keeps everything; a demo that was cut off goes on.")] = Path(
        "demo-home"
    ),
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the table and the report.")] = False,
    port: Annotated[int, typer.Option(help="Port of the report on 127.0.0.1; 0 takes a free one.")] = 8765,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Run the whole loop on 22 months of real bookings: watch, explain, decide, retrain, prove, release."""
    from pitstop.replays.replay import replay  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    spec = parse_spec(hotel_bookings_spec(), "the demo's specification")
    with progress_bar("Replaying bookings") as report:
        result = replay(hotel_bookings_path(), spec, home=home, progress=report, note=hotel_bookings_notice().strip())
    page = home / REPORT
    show(result, as_json=as_json, html=page)
    if not no_serve:
        from pitstop.service.pages import serve  # noqa: PLC0415 - only where it is wanted

        serve(page, port, lambda address: typer.echo(f"Serving the report at {address} (Ctrl-C ends)", err=True))
