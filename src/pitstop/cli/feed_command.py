"""`pitstop feed`: hands over what is new in a folder, a bucket, a database or a topic, once or again and again."""

from __future__ import annotations

import hashlib
import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import typer

from pitstop.cli.log_command import hand_over, parse_json
from pitstop.cli.showing import interrupted_quietly
from pitstop.errors import IngestError, PitstopError
from pitstop.report.formats import plural

if TYPE_CHECKING:
    from pitstop.integrations.feeding import Fed

# Options of an address that say which server is meant.
_WHERE = ("host", "port", "dbname", "service", "endpoint")


def feed(
    target: Annotated[str, typer.Argument(help="A service (http://host:8900) or a workspace.")],
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a bucket (s3://BUCKET/PREFIX?region=R), postgresql://..., a DuckDB file, "
            "a topic (kafka://HOST:9092/TOPIC)."
        ),
    ],
    *,
    model: Annotated[str, typer.Option(help="The model, where a service or workspace has more than one.")] = "",
    kind: Annotated[str, typer.Option(help="What the rows are: predictions or labels.")] = "predictions",
    sql: Annotated[str, typer.Option(help="Of a database: the query whose rows are handed over.")] = "",
    watermark: Annotated[str, typer.Option(help="Of a query: a column that only grows, such as the row's time.")] = "",
    rows: Annotated[
        int, typer.Option(help="Of a query: rows of one page; of a topic: messages of a batch.", min=1, max=1_000_000)
    ] = 100_000,
    every: Annotated[
        float,
        typer.Option(
            help="Look again after so many seconds; 0: look once. Of a topic: how long a batch may fill.", min=0
        ),
    ] = 0.0,
    settled: Annotated[float, typer.Option(help="Seconds for which a file on a disk has to lie still.", min=0)] = 5.0,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Where to remember how far it came; without it in a file .pitstop-feed-....json here, one for each "
            "source and target. Of a topic its group does that."
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            envvar="PITSTOP_KAFKA_SETTINGS", help="Of a topic: a file of property=value for Kafka's client (TLS, SASL)."
        ),
    ] = None,
    key: Annotated[str, typer.Option(envvar="PITSTOP_KEY", help="An API key that may bring rows.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each look.")] = False,
) -> None:
    """Hand over what is new; each row is stored once, whatever is killed. Exit code 1 where a file cannot be read."""
    from pitstop.cli.sagemaker_lines import hand_over_lines, sagemaker_lines  # noqa: PLC0415 - as below
    from pitstop.cli.topic_feed import feed_topic  # noqa: PLC0415 - as below
    from pitstop.integrations.feeding import Fed, Memory, feed_folder, feed_query  # noqa: PLC0415 - heavy
    from pitstop.integrations.file_source import FolderSource  # noqa: PLC0415 - as above
    from pitstop.integrations.kafka_settings import is_topic  # noqa: PLC0415 - as above
    from pitstop.integrations.sql_source import QuerySource  # noqa: PLC0415 - as above

    what = _kind(kind)
    _check_query(sql, watermark)
    if is_topic(source):
        feed_topic(
            what, target, source, model, key, settings, rows=rows, every=every, tell=partial(_tell, as_json=as_json)
        )
        return
    whole = json.dumps([_shown(target), _shown(source), sql, watermark, kind, model])
    # Each has a file of its own: of one that feeds share, each would begin anew where another was asked meanwhile.
    own = Path(f".pitstop-feed-{hashlib.sha256(whole.encode()).hexdigest()[:12]}.json")
    memory = Memory.of(state or own, whole)

    def take(found: object) -> int:
        if not isinstance(found, bytes):
            return hand_over(what, target, found, model, key)
        lines = sagemaker_lines(found, stated=False)
        if lines is not None:
            return hand_over_lines(what, target, lines, model, key)
        rows = parse_json(found, "a file of JSON lines")
        return hand_over(what, target, rows, model, key) if rows else 0

    def look() -> Fed:
        if sql:
            return feed_query(QuerySource(source, sql, watermark), memory, take, page=rows)
        return feed_folder(FolderSource(source), memory, take, settled=settled)

    with interrupted_quietly():
        while every:
            try:
                _tell(look(), as_json=as_json)
            except PitstopError as error:
                _tell(Fed(0, 0, (str(error),)), as_json=as_json)
            time.sleep(every)
        found = look()
        _tell(found, as_json=as_json)
        if found.problems:
            raise typer.Exit(1)


def _check_query(sql: str, watermark: str) -> None:
    if bool(sql) != bool(watermark):
        msg = f"got --sql {sql!r} and --watermark {watermark!r}; a query goes together with a column that only grows"
        raise IngestError(msg)


def _kind(kind: str) -> Literal["predictions", "labels"]:
    if kind == "predictions":
        return "predictions"
    if kind == "labels":
        return "labels"
    msg = f"got --kind {kind!r}; expected predictions or labels"
    raise IngestError(msg)


def _shown(source: str) -> str:
    """Return an address without what is secret or changes nothing: user, password and options but `_WHERE`."""
    parts = urlsplit(source)
    if not parts.scheme:
        return str(Path(source).absolute())
    # Another port is another server, where nothing was handed over yet.
    place = parts.netloc.rpartition("@")[2].lower()
    options = urlencode([item for item in parse_qsl(parts.query) if item[0].startswith(_WHERE)])
    return f"{parts.scheme}://{place or None}{parts.path}" + (f"?{options}" if options else "")


def _tell(found: Fed, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"rows": found.rows, "files": found.files, "problems": list(found.problems)}), flush=True)
        return
    for sentence in found.problems:
        typer.echo(f"pitstop: {sentence}", err=True)
    if found.rows or found.files:
        files = f" from {plural(found.files, 'file')}" if found.files else ""
        print(f"{plural(found.rows, 'row')}{files} taken in", flush=True)
