"""`pitstop replay`: what Pitstop would have done with a model, on its own past."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pitstop.cli.reading import load_spec
from pitstop.cli.showing import progress_bar, require_folder, show


def replay(
    history: Annotated[Path, typer.Argument(help="Past rows with their labels: Parquet, CSV, Arrow, or a folder.")],
    *,
    spec: Annotated[Path, typer.Option(help="The model's pitstop.toml; `pitstop init` writes one.")] = Path(
        "pitstop.toml"
    ),
    start: Annotated[str, typer.Option(help="When the first model is fitted, as an ISO date or a row number.")] = "",
    home: Annotated[Path | None, typer.Option(help="Folder that keeps everything; with it a replay can go on.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained report to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Walk a history through the loop, and say what Pitstop would have done, when, why and for how much."""
    from pitstop.replays.replay import replay as walk  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    described = load_spec(spec)
    if html is not None:
        require_folder(html)
    with progress_bar("Replaying", kept=home is not None) as report:
        result = walk(history, described, start=start, home=home, base=spec.parent, progress=report)
    show(result, as_json=as_json, html=html)
