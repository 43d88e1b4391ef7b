"""`pitstop init`: from a table to a commented `pitstop.toml`, with what was guessed and why."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pitstop.errors import SpecError, StoreError

if TYPE_CHECKING:
    from pitstop.records.infer import Inference
    from pitstop.records.spec import Task

TASKS = ("binary", "multiclass", "regression")


def init(
    table: Annotated[Path, typer.Argument(help="Parquet, CSV or Arrow file, or a folder of them.")],
    *,
    time: Annotated[str | None, typer.Option(help="Column of the time of the prediction.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the true outcome.")] = None,
    label_time: Annotated[str | None, typer.Option(help="Column of when the label became known.")] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="Column that names each prediction.")] = None,
    prediction: Annotated[str | None, typer.Option(help="Column of the model's predicted class or number.")] = None,
    score: Annotated[str | None, typer.Option(help="Column of the model's probability, 0 to 1.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Column to leave out; may be repeated.")] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression.")] = None,
    mlflow: Annotated[str, typer.Option(help="An MLflow server: take its model's inputs, and follow its alias.")] = "",
    mlflow_model: Annotated[str, typer.Option(help="With --mlflow: the registered model's name.")] = "",
    mlflow_alias: Annotated[str, typer.Option(help="With --mlflow: which alias names what serves.")] = "champion",
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("pitstop.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was inferred as JSON.")] = False,
) -> None:
    """Infer what a table's columns mean and write a commented pitstop.toml."""
    from pitstop.records.infer import infer_spec  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.records.template import template  # noqa: PLC0415 - as above

    if task is not None and task not in TASKS:
        msg = f"got --task {task!r}; expected one of {', '.join(TASKS)}"
        raise SpecError(msg)
    if out.exists() and not force:
        msg = f"{out} is already there; add --force to replace it, or --out to write another file"
        raise SpecError(msg)
    if bool(mlflow) != bool(mlflow_model):
        msg = f"got --mlflow {mlflow!r} and --mlflow-model {mlflow_model!r}; one needs the other"
        raise SpecError(msg)
    inference = infer_spec(
        table,
        time=time,
        label=label,
        label_time=label_time,
        id=id_column,
        prediction=prediction,
        score=score,
        drop=tuple(drop or ()),
        task=cast("Task | None", task),
        name=table.resolve().stem or "model",
    )
    if mlflow:
        from pitstop.integrations.mlflow_import import imported  # noqa: PLC0415 - as above
        from pitstop.records.sources import read_table  # noqa: PLC0415 - as above

        names = read_table(table).column_names
        inference = imported(inference, names, address=mlflow, name=mlflow_model, alias=mlflow_alias)
    _write(out, template(inference.spec, inference.guesses, inference.warnings))
    if as_json:
        print(json.dumps(_as_json(inference, out), indent=2, ensure_ascii=False))
    else:
        _print(Console(), inference, table, out)


def _write(path: Path, text: str) -> None:
    """Write the whole file or nothing."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        msg = f"cannot write {path}: {error.strerror or error}; name another file with --out"
        raise StoreError(msg) from error


def _as_json(inference: Inference, out: Path) -> dict[str, object]:
    return {
        "out": str(out),
        "spec": asdict(inference.spec),
        "guesses": [asdict(guess) for guess in inference.guesses],
        "warnings": list(inference.warnings),
    }


def _print(console: Console, inference: Inference, source: Path, out: Path) -> None:
    rows = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="bold")
    for heading in ("guess", "value", "why"):
        rows.add_column(heading, overflow="fold")
    for guess in inference.guesses:
        rows.add_row(guess.what, escape(guess.value), escape(guess.why))
    features = inference.spec.columns.features
    console.print(rows)
    console.print(f"\n{len(features)} features, {len(inference.spec.columns.categorical)} of them categories.")
    for warning in inference.warnings:
        console.print(f"[yellow]look:[/yellow] {escape(warning)}", highlight=False)
    then = shlex.join(["pitstop", "replay", str(source), "--spec", str(out)])
    # A command is there to be copied: no line ends in it.
    console.print(f"\nwrote {escape(str(out))}. Next: {escape(then)}", soft_wrap=True)
