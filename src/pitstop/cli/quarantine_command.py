"""`pitstop quarantine`: look at batches that could not be stored, mend them, hand them over again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pitstop.service.ingest.inbox import Inbox
    from pitstop.store.intake import Quarantined

quarantine = typer.Typer(no_args_is_help=True, help="Batches that were taken in and could not be stored.")

Where = Annotated[Path, typer.Option("--workspace", help="The workspace.")]
Number = Annotated[int, typer.Argument(help="The entry's number.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def opened_inbox(workspace: Path) -> Iterator[Inbox]:
    """Open the inbox of a workspace, beside a service that may be running in it."""
    from pitstop.service.ingest.inbox import Inbox  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.service.ingest.registered import RegisteredSpecs  # noqa: PLC0415 - as above
    from pitstop.service.workspace import Workspace  # noqa: PLC0415 - as above

    Workspace.open(workspace, create=False).close()
    with RegisteredSpecs(workspace) as specs, Inbox(workspace, specs) as inbox:
        yield inbox


@quarantine.command("list")
def list_(
    *,
    workspace: Where,
    model: Annotated[str, typer.Option(help="Of this model only.")] = "",
    closed: Annotated[bool, typer.Option("--all", help="Those that were mended or discarded too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the entries, oldest first."""
    with opened_inbox(workspace) as inbox:
        found = inbox.quarantined(model or None, closed=closed)
    if as_json:
        print(json.dumps([_facts(item) for item in found], indent=2))
        return
    for item in found:
        facts = _facts(item)
        print(
            f"{item.number}: {facts['accepted']} {item.model} {item.kind} ({item.format}), {item.state}: {item.reason}"
        )
    if not found:
        print("Nothing waits.")


@quarantine.command()
def show(number: Number, *, workspace: Where) -> None:
    """Write what was sent to standard output, as it came; mend it there and hand it over with `mend`."""
    with opened_inbox(workspace) as inbox:
        sys.stdout.buffer.write(inbox.quarantined_batch(number).payload)


@quarantine.command()
def mend(
    number: Number,
    *,
    workspace: Where,
    file: Annotated[Path | None, typer.Option(help="The mended batch, in the format that was sent.")] = None,
) -> None:
    """Hand an entry over again: from a file, or as it was after the specification was corrected."""
    with opened_inbox(workspace) as inbox:
        receipt = inbox.mend(number, file.read_bytes() if file is not None else None, by="local")
    print(f"{receipt.rows:,} rows are taken in; the entry is closed once they are stored")


@quarantine.command()
def discard(number: Number, *, workspace: Where) -> None:
    """Close an entry without storing it."""
    with opened_inbox(workspace) as inbox:
        inbox.discard(number, by="local")
    print("The entry will be closed.")


def _facts(item: Quarantined) -> dict[str, Any]:
    accepted = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=item.at)
    return {
        "number": item.number,
        "model": item.model,
        "kind": item.kind,
        "format": item.format,
        "batch": item.batch_id,
        "accepted": accepted.isoformat(timespec="seconds"),
        "state": item.state,
        "reason": item.reason,
    }
