"""`pitstop journal verify`: check offline whether the record of what ran, and why, was changed afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.errors import JournalError

if TYPE_CHECKING:
    from pitstop.journal.verification import Verification
    from pitstop.store.home import Home

journal = typer.Typer(name="journal", no_args_is_help=True, help="The tamper-evident record of what ran, and why.")


@journal.callback()
def _journal() -> None:
    """The tamper-evident record of what ran, and why."""


@journal.command()
def verify(
    home: Annotated[Path, typer.Argument(help="The folder that keeps everything.")],
    *,
    rows: Annotated[bool, typer.Option("--rows", help="Also read all rows that are kept.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the journal and what is kept against it. Exit code 0: intact; 1: it was changed; 2: it cannot be read."""
    from pitstop.store.home import Home  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    with Home.open(home, read_only=True) as kept:
        checkpoints = len(kept.checkpoints())
        found = checked(kept, rows=rows)
        entries = kept.journal() if found.ok else ()
    first = f"{entries[0].kind} {entries[0].id}" if entries else ""
    sentence = said(found, first)
    if as_json:
        document = {
            "ok": found.ok,
            "entries": found.size,
            "signed": found.signed_size,
            "unprotected": found.unprotected,
            "checkpoints": checkpoints,
            "root": found.root.hex(),
            "first": first or None,
            "sentence": sentence,
            "faults": [
                {"kind": fault.kind, "first": fault.first, "last": fault.last, "sentence": fault.sentence}
                for fault in found.faults
            ],
        }
        print(json.dumps(document, indent=2))
    else:
        print(sentence)
        for fault in found.faults:
            print(f"- {fault.sentence}")
    if not found.ok:
        raise typer.Exit(1)


def checked(home: Home, *, rows: bool = False) -> Verification:
    """Check a home's journal; an entry that cannot even be read as one is a fault like any other."""
    from pitstop.journal.merkle import CompactRange  # noqa: PLC0415 - as above
    from pitstop.journal.verification import Fault, Verification  # noqa: PLC0415 - as above

    try:
        return home.verify(rows=rows)
    except JournalError as error:
        return Verification(0, CompactRange().root, 0, (Fault("content", 0, 0, str(error)),))


def said(found: Verification, first: str) -> str:
    """Return what a check found, in plain words. `first` names the journal's first entry."""
    if not found.ok:
        count = len(found.faults)
        return f"The journal does NOT verify: {count} {'fault' if count == 1 else 'faults'}."
    if not found.size:
        return "The journal is empty: nothing is recorded here yet."
    if not found.signed_size:
        return (
            f"The journal's {found.size:,} entries agree with each other, but no signed checkpoint protects them yet."
        )
    unprotected = (
        "all of them are signed for" if not found.unprotected else f"the last {found.unprotected:,} are not signed yet"
    )
    return (
        f"The journal is intact, and tamper-evident since its first entry ({first}): {found.size:,} entries, "
        f"{unprotected}, root {found.root.hex()[:16]}. Against whoever holds this home's key, it is tamper-evident "
        "since the last checkpoint that is kept elsewhere."
    )
