"""`pitstop backtest`: what each retraining policy would have cost on a model's own history."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pitstop.cli.reading import load_spec
from pitstop.cli.showing import progress_bar, require_folder, write_page
from pitstop.errors import SpecError, UnreadableTableError


def backtest(
    history: Annotated[Path, typer.Argument(help="Past rows with their labels: Parquet, CSV, Arrow, or a folder.")],
    *,
    spec: Annotated[Path, typer.Option(help="The model's pitstop.toml; `pitstop init` writes one.")] = Path(
        "pitstop.toml"
    ),
    trainer: Annotated[str, typer.Option(help="Another registered trainer than the specification's.")] = "",
    recipe: Annotated[
        list[str] | None, typer.Option(help="all, last_K, decay_H or similar_K, then +warm, +clean_P; repeatable.")
    ] = None,
    incumbent: Annotated[str, typer.Option(help="What you do today; kept unless a saving is clear.")] = "",
    lag: Annotated[int, typer.Option(help="Periods from a decision until the model serves.")] = 0,
    fit_every: Annotated[int, typer.Option(help="Fit every k-th period only and interpolate the others by age.")] = 1,
    quarantine: Annotated[
        list[str] | None, typer.Option(help="FIRST..LAST: train on no row predicted then; repeatable.")
    ] = None,
    without_rows: Annotated[Path | None, typer.Option(help="File of row ids, one a line, never to train on.")] = None,
    without_feature: Annotated[list[str] | None, typer.Option(help="Train without this feature; repeatable.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of models and predictions (default: your cache).")] = None,
    workers: Annotated[int, typer.Option(help="Training processes at once; 0 for one a core.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit candidates over a history and say what each retraining policy would have cost, and which one to use."""
    from pitstop.backtests.backtest import BacktestPlan, with_trainer  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.backtests.backtest import backtest as judge  # noqa: PLC0415 - as above
    from pitstop.backtests.kept_files import usual_folder  # noqa: PLC0415 - as above
    from pitstop.backtests.leaving_out import LeftOut  # noqa: PLC0415 - as above
    from pitstop.report.backtest_terminal import backtest_summary  # noqa: PLC0415 - as above

    described = load_spec(spec)
    if trainer:
        described = with_trainer(described, trainer)
    if html is not None:
        require_folder(html)
    left_out = LeftOut(
        tuple(_span(text) for text in quarantine or ()), _ids(without_rows), tuple(without_feature or ())
    )
    plan = BacktestPlan(
        recipes=tuple(recipe or ()),
        incumbent=incumbent,
        lag=lag,
        fit_every=fit_every,
        workers=workers,
        left_out=left_out,
    )
    folder = cache or usual_folder(os.environ, Path.home())
    with progress_bar("Backtesting") as report:
        result = judge(history, described, plan, cache=folder, base=spec.parent, progress=report)
    if html is not None:
        write_page(html, result.page())
    if as_json:
        print(json.dumps(result.document, indent=2, allow_nan=False))
        return
    console = Console()
    for part in backtest_summary(result.story):
        console.print(part)
    if html is not None:
        console.print(f"\nReport: {html}", soft_wrap=True, highlight=False)


def _span(text: str) -> tuple[str, str]:
    first, dots, last = text.partition("..")
    if not (first and dots and last):
        msg = f"got --quarantine {text!r}; expected FIRST..LAST, for instance 2016-03-01..2016-03-07"
        raise SpecError(msg)
    return first, last


def _ids(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the row ids in {path}: {error}; expected a text file with one id a line"
        raise UnreadableTableError(msg) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())
