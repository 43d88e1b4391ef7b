"""`pitstop log` and `pitstop labels`: hand rows over to a service, to a workspace, or to a folder for `pitstop run`."""

from __future__ import annotations

import codecs
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import typer

from pitstop.cli.workspace_models import is_workspace, model_in
from pitstop.errors import IngestError, UnreadableTableError

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_MAGIC = ((b"PAR1", ".parquet"), (b"ARROW1", ".arrow"), (b"\xff\xff\xff\xff", ".arrow"))
SAGEMAKER = "sagemaker"

Target = Annotated[
    str,
    typer.Argument(
        help="A service (http://host:8900), a workspace, or a folder in which `predictions` and `labels` are made."
    ),
]
Rows = Annotated[str, typer.Argument(help="A table: Parquet, CSV, Arrow, JSON lines; `-` reads standard input.")]
Model = Annotated[str, typer.Option(help="The model, where a service or workspace has more than one.")]
Key = Annotated[str, typer.Option(envvar="PITSTOP_KEY", help="An API key that may bring rows to the service.")]
Form = Annotated[
    str,
    typer.Option("--format", help="`sagemaker`: lines of its data capture or ground truth (recognised, too)."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def log(
    target: Target, rows: Rows, *, model: Model = "", key: Key = "", form: Form = "", as_json: AsJson = False
) -> None:
    """Hand predictions over, durably; the same rows again change nothing."""
    _hand_over("predictions", target, rows, model, key, form, as_json=as_json)


def labels(
    target: Target, rows: Rows, *, model: Model = "", key: Key = "", form: Form = "", as_json: AsJson = False
) -> None:
    """Hand labels over (id, label, time of the label), durably; the same rows again change nothing."""
    _hand_over("labels", target, rows, model, key, form, as_json=as_json)


def _hand_over(
    kind: Literal["predictions", "labels"], target: str, name: str, model: str, key: str, form: str, *, as_json: bool
) -> None:
    from pitstop.cli.sagemaker_lines import hand_over_lines, sagemaker_lines  # noqa: PLC0415 - as below
    from pitstop.client.folder import Client  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    if form not in ("", SAGEMAKER):
        msg = f"got the format {form!r}; known is {SAGEMAKER!r}, and every other one is recognised"
        raise IngestError(msg)
    content = _json_content(name, always=bool(form))
    lines = sagemaker_lines(content, stated=bool(form)) if content is not None else None
    if lines is not None:
        count = hand_over_lines(kind, target, lines, model, key)
        print(json.dumps({"lines": count}) if as_json else f"{count:,} lines of {kind} are taken in")
        return
    rows = _read(name, content)
    if not target.startswith(("http://", "https://")) and not is_workspace(Path(target)):
        client = Client(target)
        path = client.log(rows) if kind == "predictions" else client.labels(rows)
        print(json.dumps({"file": str(path)}) if as_json else f"Kept as {path}")
        return
    count = hand_over(kind, target, rows, model, key)
    print(json.dumps({"rows": count}) if as_json else f"{count:,} {kind} are taken in")


def hand_over(kind: Literal["predictions", "labels"], target: str, rows: Any, model: str, key: str) -> int:
    """Make rows durable at a service or in a workspace; return how many. Raises `IngestError` where they are not."""
    if target.startswith(("http://", "https://")):
        return _post(kind, target, rows, model, key)
    if not is_workspace(Path(target)):
        msg = (
            f"{target} is neither the address of a service nor a workspace; `pitstop up --workspace {target}` makes one"
        )
        raise IngestError(msg)
    return _spool(kind, Path(target), rows, model)


def _post(kind: str, address: str, rows: Any, model: str, key: str) -> int:
    """Send rows to a service; raise `IngestError` for what it does not take."""
    from pitstop.client.posting import Poster  # noqa: PLC0415 - as above

    if not model:
        msg = "a service needs to be told whose rows these are; add --model NAME"
        raise IngestError(msg)
    poster, count = Poster(address, key), 0
    try:
        for payload, name, rows_in_part in _parts(rows):
            answer = poster.post(model, kind, payload, name=name)
            if answer.outcome != "taken":
                done = f"{count:,} rows are taken in; " if count else ""
                msg = f"{answer.detail}; {done}run the command again when that is mended: no row is stored twice"
                raise IngestError(msg)
            count += rows_in_part
    finally:
        poster.close()
    return count


def _spool(kind: Literal["predictions", "labels"], workspace: Path, rows: Any, model: str) -> int:
    """Put rows into a workspace's spool; its worker stores them now, or when it runs next."""
    from pitstop.service.ingest.batch import Batch  # noqa: PLC0415 - as above
    from pitstop.service.ingest.inbox import Inbox  # noqa: PLC0415 - as above
    from pitstop.service.ingest.registered import RegisteredSpecs  # noqa: PLC0415 - as above

    name_of, count = model_in(workspace, model), 0
    with RegisteredSpecs(workspace) as specs, Inbox(workspace, specs) as inbox:
        for payload, name, _ in _parts(rows):
            count += inbox.accept_now(Batch(name_of, kind, "arrow", payload, name)).rows
    return count


def _parts(rows: Any) -> Any:
    """Iterate over (Arrow stream, name, rows) of parts; a part's name is a digest of its rows."""
    import io  # noqa: PLC0415 - as above

    import pyarrow.ipc as pa_ipc  # noqa: PLC0415 - as above

    from pitstop.client.folder import table_of  # noqa: PLC0415 - as above
    from pitstop.client.parts import parts_of  # noqa: PLC0415 - as above
    from pitstop.records.sources import plain_strings  # noqa: PLC0415 - as above
    from pitstop.store.digest import rows_digest  # noqa: PLC0415 - as above

    table = plain_strings(table_of(rows))
    for cut in parts_of(table):
        part = cut.combine_chunks()
        sink = io.BytesIO()
        with pa_ipc.new_stream(sink, part.schema) as stream:
            stream.write_table(part)
        yield sink.getvalue(), rows_digest(part), part.num_rows


def _json_content(name: str, *, always: bool) -> bytes | None:
    """Return the bytes of standard input, or of a file whose name says JSON (`always`: of any); else None."""
    if name == "-":
        return sys.stdin.buffer.read()
    path = Path(name)
    return path.read_bytes() if path.is_file() and (always or path.suffix.lower() in JSON_SUFFIXES) else None


def _read(name: str, content: bytes | None) -> Any:
    """Return a table, or a list of dicts; `content` is what was read of it already."""
    from pitstop.records.sources import read_table  # noqa: PLC0415 - as above

    if name != "-":
        path = Path(name)
        return read_table(path) if content is None else parse_json(content, name)
    content = (content or b"").removeprefix(codecs.BOM_UTF8)
    if content.lstrip()[:1] in (b"{", b"["):
        return parse_json(content, "standard input")
    suffix = next((suffix for magic, suffix in _MAGIC if content.startswith(magic)), ".csv")
    with TemporaryDirectory(prefix="pitstop-") as folder:
        path = Path(folder) / f"standard-input{suffix}"
        path.write_bytes(content)
        return read_table(path)


def parse_json(content: bytes, name: str) -> list[dict[str, Any]]:
    """Return the rows of JSON lines, or of one array of objects."""
    try:
        text = content.decode("utf-8-sig")
        if text.lstrip().startswith("["):
            return list(json.loads(text))
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        msg = f"{name} is neither JSON lines nor a JSON array ({error}); write one object a line"
        raise UnreadableTableError(msg) from error
