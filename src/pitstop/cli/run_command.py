"""`pitstop run`: one tick of everything that is due, for cron and serverless use."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pitstop.cli.journal_command import wall_clock
from pitstop.cli.showing import progress_bar
from pitstop.errors import StoreError
from pitstop.report.formats import plural

SOURCE = "source.json"


def run(
    *,
    home: Annotated[Path, typer.Option(help="The folder that keeps everything.")],
    source: Annotated[
        Path | None, typer.Option(help="Where rows and labels are added: a table or a folder; remembered.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Where labels are added, if not to the source: id, label, label time; remembered."),
    ] = None,
    spec: Annotated[Path | None, typer.Option(help="The model's pitstop.toml; remembered.")] = None,
    start: Annotated[str, typer.Option(help="When the first model is fitted; remembered.")] = "",
    as_of: Annotated[str, typer.Option(help="Take this instant for now (ISO, or a row number).")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Take in every window that has closed, with all that follows from it; calling again does nothing."""
    from pitstop.integrations.serving import run as tick  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.records.spec import load_spec  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    known = remembered(home)
    table = source.resolve() if source is not None else _path(known, "source")
    late = labels.resolve() if labels is not None else _path(known, "labels")
    described = spec.resolve() if spec is not None else _path(known, "spec")
    if table is None or described is None:
        msg = (
            f"{home} does not say where its rows come from; name the table and the specification once: "
            "pitstop run --home DIR --source TABLE --spec pitstop.toml"
        )
        raise StoreError(msg)
    begin = start or known.get("start", "")
    loaded = load_spec(described)
    now = as_of or ("" if loaded.calendar.by_rows else datetime.now(UTC).isoformat())
    with progress_bar("Taking in") as report:
        done = tick(
            home,
            spec=loaded,
            source=table,
            labels=late,
            start=begin,
            as_of=now,
            base=described.parent,
            progress=report,
        )
    with Home.open(home, create=False) as kept:
        copied = kept.export_due(wall_clock())
    facts = {"source": str(table), "spec": str(described), "start": begin}
    _remember(home, facts | ({"labels": str(late)} if late else {}))
    if as_json:
        print(json.dumps(asdict(done), indent=2))
        return
    console = Console(highlight=False)
    console.print(
        f"Took in {plural(done.windows, 'window')}, up to {done.until}: {plural(done.alarms, 'alarm')}, "
        f"{plural(done.incidents, 'new incident')}, {plural(len(done.decisions), 'decision')}. "
        f"Champion: {done.champion or 'none yet'}.",
        soft_wrap=True,
    )
    if done.late_rows:
        rows = plural(done.late_rows, "row")
        console.print(f"- {rows} came after the window had been taken in, or were erased: left out.")
    for place in copied:
        console.print(f"- The journal was copied to {escape(place)}.", soft_wrap=True)
    if done.held_up:
        name = escape(loaded.model.name)
        console.print(f"- {escape(done.held_up)} (pitstop approve {name}, pitstop override {name})", soft_wrap=True)
    for reason in done.decisions:
        console.print(f"- {escape(reason)}", soft_wrap=True)


def remembered(home: Path) -> dict[str, str]:
    """Return what `run` was told before of a home: source, spec, start and labels; empty the first time."""
    try:
        found: dict[str, str] = dict(json.loads((home / SOURCE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        msg = f"{home / SOURCE} cannot be read ({error}); delete it, and name --source and --spec again"
        raise StoreError(msg) from error
    return found


def _path(known: dict[str, str], name: str) -> Path | None:
    return Path(known[name]) if name in known else None


def _remember(home: Path, facts: dict[str, str]) -> None:
    part = home / f".{SOURCE}.part"
    part.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    part.replace(home / SOURCE)
