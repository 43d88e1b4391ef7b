"""What `pitstop home` and `pitstop workspace` share: options that say where things are kept, and how a copy is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from pitstop.cli.showing import progress_bar

if TYPE_CHECKING:
    from pitstop.store.copying import Report

CatalogOption = Annotated[
    str, typer.Option("--catalog", help="postgresql://HOST/DATABASE?schema=NAME; else SQLite in the folder.")
]
FilesOption = Annotated[
    str, typer.Option("--files", help="s3://BUCKET/PREFIX?region=R (or gs://, abfs://); else in the folder.")
]
CopyFolder = Annotated[Path, typer.Argument(help="The folder of the copy.", metavar="FOLDER")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def say(sentence: str) -> None:
    """Print a sentence as it is, however long."""
    Console(highlight=False).print(escape(sentence), soft_wrap=True)


def print_copy(copy: Callable[[Report], Any], sentences: Callable[[Any], list[str]], *, as_json: bool) -> None:
    """Make a copy under a progress bar, and print what it holds: a dataclass as JSON, or the sentences about it."""
    with progress_bar("Copying", kept=False) as report:
        made = copy(report)
    if as_json:
        print(json.dumps(asdict(made)))
        return
    for sentence in sentences(made):
        say(sentence)
