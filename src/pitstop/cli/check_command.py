"""`pitstop check`: what changed between two tables, as sentences, JSON or a page; the exit code is for CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pitstop.cli.reading import load_spec
from pitstop.cli.showing import progress_bar, require_folder, write_page
from pitstop.errors import SpecError

if TYPE_CHECKING:
    from pitstop.checks.excerpts import Excerpt
    from pitstop.checks.findings import Findings, Severity
    from pitstop.replays.walk import Progress as Report

# Each thread holds 64 MB of decoded values.
_THREADS = 4
LEVELS: dict[str, Severity] = {"warning": "warning", "critical": "critical"}


def check(
    reference: Annotated[str, typer.Argument(help="The table that was good: Parquet, CSV, Arrow, or a folder.")],
    current: Annotated[str, typer.Argument(help="The table in question.")],
    *,
    spec: Annotated[Path | None, typer.Option(help="A pitstop.toml; without it the roles are guessed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page to this file.")] = None,
    engine: Annotated[str, typer.Option(help="Where rows are read: local, spark or duckdb.")] = "local",
    fail_on: Annotated[str, typer.Option(help="Exit with 1 from this severity on: warning or critical.")] = "warning",
) -> None:
    """Compare two tables and say what changed, worst first. Exit code 0, 1 (findings) or 2 (error).

    Parquet and Arrow files need not fit in memory; Parquet in a bucket is named by its address (s3://..., gs://...).
    With --engine spark or duckdb a table is whatever Spark or DuckDB reads, and the findings are the same.
    """
    from pitstop.checks.comparison import check as compare  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.report.findings import findings_text  # noqa: PLC0415 - as above

    level = LEVELS.get(fail_on)
    if level is None:
        msg = f"got --fail-on {fail_on!r}; expected one of {', '.join(LEVELS)}"
        raise SpecError(msg)
    model = load_spec(spec) if spec is not None else None
    if html is not None:
        require_folder(html)
    with progress_bar("reading", kept=False) as report:
        before, after = (_excerpt(engine, source, report) for source in (reference, current))
        found = compare(before, after, spec=model)
    if html is not None:
        _write_page(html, found, f"{Path(reference).name} and {Path(current).name}")
    if as_json:
        print(found.to_json())
    else:
        console = Console()
        console.print(findings_text(found.findings, found.reference_rows, found.current_rows))
        for note in found.notes:
            console.print(f"note: {escape(note)}", highlight=False)
    if found.at_least(level):
        raise typer.Exit(1)


def _excerpt(engine: str, source: str, report: Report) -> Excerpt:
    if engine != "local":
        from pitstop.engines import ENGINES  # noqa: PLC0415 - the other commands need none of them

        return ENGINES.get(engine).excerpt(source)
    from pitstop.checks.excerpts import excerpt_of  # noqa: PLC0415 - heavy

    name = Path(source).name

    def progress(done: int, total: int) -> None:
        report(name, done, total)

    return excerpt_of(source, threads=min(_THREADS, os.cpu_count() or 1), progress=progress)


def _write_page(path: Path, found: Findings, title: str) -> None:
    from pitstop.report.findings import findings_page  # noqa: PLC0415 - heavy
    from pitstop.report.story import DistributionPair  # noqa: PLC0415 - heavy

    pairs = [
        DistributionPair(item.column, "reference", "current", item.cells, item.reference, item.current)
        for item in found.distributions
    ]
    page = findings_page(found.findings, found.reference_rows, found.current_rows, pairs, title, notes=found.notes)
    write_page(path, page)
