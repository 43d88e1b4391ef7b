"""`pitstop check`: what changed between two tables, as sentences, JSON or a page; the exit code is for CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pitstop.checks.comparison import check as compare
from pitstop.checks.findings import Findings, Severity
from pitstop.cli.showing import write_page
from pitstop.errors import SpecError
from pitstop.records.spec import load_spec
from pitstop.report.findings import findings_page, findings_text
from pitstop.report.story import DistributionPair

LEVELS: dict[str, Severity] = {"warning": "warning", "critical": "critical"}


def check(
    reference: Annotated[Path, typer.Argument(help="The table that was good: Parquet, CSV, Arrow, or a folder.")],
    current: Annotated[Path, typer.Argument(help="The table in question.")],
    *,
    spec: Annotated[Path | None, typer.Option(help="A pitstop.toml; without it the roles are guessed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page to this file.")] = None,
    fail_on: Annotated[str, typer.Option(help="Exit with 1 from this severity on: warning or critical.")] = "warning",
) -> None:
    """Compare two tables and say what changed, worst first. Exit code 0, 1 (findings) or 2 (error)."""
    level = LEVELS.get(fail_on)
    if level is None:
        msg = f"got --fail-on {fail_on!r}; expected one of {', '.join(LEVELS)}"
        raise SpecError(msg)
    found = compare(reference, current, spec=load_spec(spec) if spec is not None else None)
    if html is not None:
        _write_page(html, found, f"{reference.name} and {current.name}")
    if as_json:
        print(found.to_json())
    else:
        console = Console()
        console.print(findings_text(found.findings, found.reference_rows, found.current_rows))
        for note in found.notes:
            console.print(f"note: {escape(note)}", highlight=False)
    if found.at_least(level):
        raise typer.Exit(1)


def _write_page(path: Path, found: Findings, title: str) -> None:
    pairs = [
        DistributionPair(item.column, "reference", "current", item.cells, item.reference, item.current)
        for item in found.distributions
    ]
    page = findings_page(found.findings, found.reference_rows, found.current_rows, pairs, title, notes=found.notes)
    write_page(path, page)
