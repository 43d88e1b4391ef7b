"""`pitstop log` and `pitstop labels`: hand rows over to a folder from which `pitstop run` takes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from pitstop.errors import UnreadableTableError

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_MAGIC = ((b"PAR1", ".parquet"), (b"ARROW1", ".arrow"), (b"\xff\xff\xff\xff", ".arrow"))

Folder = Annotated[Path, typer.Argument(help="The folder; `predictions` and `labels` in it are made as needed.")]
Rows = Annotated[str, typer.Argument(help="A table: Parquet, CSV, Arrow, JSON lines; `-` reads standard input.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def log(folder: Folder, rows: Rows, *, as_json: AsJson = False) -> None:
    """Append predictions to a folder, durably; the same rows again change nothing."""
    from pitstop.client import Client  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    _said(Client(folder).log(_read(rows)), as_json=as_json)


def labels(folder: Folder, rows: Rows, *, as_json: AsJson = False) -> None:
    """Append labels (id, label, time of the label) to a folder, durably; the same rows again change nothing."""
    from pitstop.client import Client  # noqa: PLC0415 - as above

    _said(Client(folder).labels(_read(rows)), as_json=as_json)


def _said(path: Path, *, as_json: bool) -> None:
    print(json.dumps({"file": str(path)}) if as_json else f"Kept as {path}")


def _read(name: str) -> Any:
    """Return a table, or a list of dicts."""
    from pitstop.records.sources import read_table  # noqa: PLC0415 - as above

    if name != "-":
        path = Path(name)
        if path.suffix.lower() in JSON_SUFFIXES and path.is_file():
            return _parse_json(path.read_bytes(), name)
        return read_table(path)
    content = sys.stdin.buffer.read()
    if content.lstrip()[:1] in (b"{", b"["):
        return _parse_json(content, "standard input")
    suffix = next((suffix for magic, suffix in _MAGIC if content.startswith(magic)), ".csv")
    with TemporaryDirectory(prefix="pitstop-") as folder:
        path = Path(folder) / f"standard-input{suffix}"
        path.write_bytes(content)
        return read_table(path)


def _parse_json(content: bytes, name: str) -> list[dict[str, Any]]:
    """Return the rows of JSON lines, or of one array of objects."""
    try:
        text = content.decode()
        if text.lstrip().startswith("["):
            return list(json.loads(text))
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        msg = f"{name} is neither JSON lines nor a JSON array ({error}); write one object a line"
        raise UnreadableTableError(msg) from error
