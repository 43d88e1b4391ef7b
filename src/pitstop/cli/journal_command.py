"""`pitstop journal`: check offline whether the record of what ran, and why, was changed; keep copies; prove entries."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pitstop.cli.places import copy_there, is_address, named, print_there
from pitstop.errors import ExportError, JournalError

if TYPE_CHECKING:
    from pitstop.journal.checkpoints import SignedCheckpoint
    from pitstop.journal.verification import Fault, Verification
    from pitstop.store.home import Home

ModelOption = Annotated[str, typer.Option(help="At a service: whose journal.")]

journal = typer.Typer(name="journal", no_args_is_help=True, help="The tamper-evident record of what ran, and why.")


class Every(StrEnum):
    """How often a copy is due."""

    run = "run"
    hour = "hour"
    day = "day"
    week = "week"


_EVERY = {"run": timedelta(0), "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


@journal.callback()
def _journal() -> None:
    """The tamper-evident record of what ran, and why."""


@journal.command()
def verify(
    place: Annotated[
        str, typer.Argument(help="A home, a copy that was exported, a proof, or a service.", metavar="PATH")
    ],
    *,
    model: ModelOption = "",
    rows: Annotated[bool, typer.Option("--rows", help="Of a home, also read all rows that are kept.")] = False,
    against: Annotated[
        Path | None, typer.Option(help="A copy elsewhere: nothing that its checkpoints cover may have changed.")
    ] = None,
    key: Annotated[str, typer.Option(help="Believe only checkpoints signed with this key, as it was handed out.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the journal and what is kept against it. Exit code 0: intact; 1: it was changed; 2: it cannot be read."""
    if key:
        from pitstop.journal.checkpoints import stated_key  # noqa: PLC0415 - as below

        # A key that was typed wrongly is no change of the journal.
        key = stated_key(key)
    if is_address(place):
        if against is not None:
            msg = "a service has no copy of yours; export its journal, and verify that --against your copy"
            raise ExportError(msg)
        print_there(place, named(model), "journal-verify", rows=rows, key=key, json=as_json)
        return
    path = Path(place)
    from pitstop.journal.exports import is_export, read_notes, signed_of, verify_export  # noqa: PLC0415 - heavy
    from pitstop.store.home import Home  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    if path.is_file():
        _verify_proof(path, key, as_json=as_json)
        return
    outside, strange = signed_of(read_notes(against), key) if against is not None else ([], [])
    if is_export(path):
        notes = read_notes(path)
        found = verify_export(path, outside=outside, pinned=key)
        first = ""
    else:
        with Home.open(path, read_only=True) as kept:
            notes = list(kept.notes())
            found = checked(kept, rows=rows, outside=outside)
            entry = next(kept.entries(), None) if found.ok else None
        first = f"{entry.kind} {entry.id}" if entry else ""
        strange += signed_of(notes, key)[1] if key else []
    _print(_with(found, strange), notes, first, kept_elsewhere=against is not None or is_export(path), as_json=as_json)


@journal.command()
def export(
    home: Annotated[str, typer.Argument(help="The folder that keeps everything, or a service.")],
    *,
    model: ModelOption = "",
    to: Annotated[
        str, typer.Option(help="A folder, git:FOLDER (a working tree), or smtp://HOST:PORT/ADDRESS; remembered.")
    ],
    every: Annotated[Every | None, typer.Option(help="How often `pitstop run` brings it up to date.")] = None,
) -> None:
    """Copy entries and signed checkpoints to a place that whoever runs this home cannot change."""
    if is_address(home):
        if every is not None:
            msg = "a service does not know your places; have your own schedule run this command, without --every"
            raise ExportError(msg)
        added = _export_there(home, named(model), to)
        print(f"{added:,} entries were copied to {to}." if added else f"{to} is up to date.")
        return
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    period = _EVERY[every.value] // timedelta(microseconds=1) if every is not None else None
    with Home.open(home, create=False) as kept:
        added = kept.export(to, wall_clock(), every=period)
    print(f"{added:,} entries were copied to {to}." if added else f"{to} is up to date.")


@journal.command()
def sign(home: Annotated[Path, typer.Argument(help="The folder that keeps everything.")]) -> None:
    """Sign the journal's head and print the checkpoint, for somebody else to keep."""
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, create=False) as kept:
        note = kept.checkpoint()
    print(note or "The journal is empty: there is nothing to sign.", end="" if note else "\n")


@journal.command()
def prove(
    home: Annotated[str, typer.Argument(help="The folder that keeps everything, or a service.")],
    entry: Annotated[str, typer.Argument(help="The number of an entry, or the id of what it is about.")],
    *,
    model: ModelOption = "",
) -> None:
    """Print the proof that an entry is in the signed journal; `pitstop journal verify FILE` checks it anywhere."""
    if is_address(home):
        print_there(home, named(model), "journal-prove", entry=entry)
        return
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, read_only=True) as kept:
        number = int(entry) if entry.isascii() and entry.isdigit() else _number_of(kept, entry)
        proven, proof = kept.prove(number)
        verifier = dict(kept.notes())[proof.note]
    print(json.dumps({"entry": proven.to_bytes().decode(), "proof": proof.to_text(), "key": verifier}, indent=2))


def _export_there(address: str, model: str, to: str) -> int:
    """Bring a folder up to date from a service, part by part; return how many entries were added."""
    from pitstop.journal.exports import ENTRIES  # noqa: PLC0415 - as above
    from pitstop.store.places import deliver  # noqa: PLC0415 - as above

    if to.startswith(("git:", "smtp://")):
        msg = f"got {to!r}; from a service the journal is copied to a folder"
        raise ExportError(msg)
    there = sorted(path.stem for path in (Path(to) / ENTRIES).glob("*.jsonl"))
    first = begin = int(there[-1].partition("-")[2]) + 1 if there else 0
    while True:
        part = copy_there(address, model, first)
        deliver(str(Path(to).resolve()), part)
        if part.size <= first:
            return first - begin
        first = part.size


def wall_clock() -> int:
    """Return the time now in microseconds since 1970: copies outside are due by the clock, not by windows."""
    return (datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def checked(home: Home, *, rows: bool = False, outside: list[SignedCheckpoint] | None = None) -> Verification:
    """Check a home's journal; a head that cannot even be read as one is a fault like any other."""
    from pitstop.journal.merkle import CompactRange  # noqa: PLC0415 - as above
    from pitstop.journal.verification import Fault, Verification  # noqa: PLC0415 - as above

    try:
        return home.verify(rows=rows, outside=outside or ())
    except JournalError as error:
        return Verification(0, CompactRange().root, 0, (Fault("content", 0, 0, str(error)),))


def said(found: Verification, first: str, *, kept_elsewhere: bool = False) -> str:
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
    begin = f"its first entry ({first})" if first else "its first entry"
    erased = f" {found.erased:,} contents were erased on record." if found.erased else ""
    caution = (
        ""
        if kept_elsewhere
        else " Against whoever holds this home's key, it is tamper-evident since the last checkpoint that is kept "
        "elsewhere."
    )
    return (
        f"The journal is intact, and tamper-evident since {begin}: {found.size:,} entries, {unprotected}, root "
        f"{found.root.hex()[:16]}.{erased}{caution}"
    )


def _number_of(home: Home, name: str) -> int:
    entries = home.entries_of(name)
    if not entries:
        msg = f"no entry of the journal is about {name!r}; give its number, or the id of an artifact or a segment"
        raise JournalError(msg)
    return entries[-1].sequence


def _with(found: Verification, strange: list[Fault]) -> Verification:
    from dataclasses import replace  # noqa: PLC0415 - as above

    return replace(found, faults=(*found.faults, *strange))


def _print(
    found: Verification, notes: list[tuple[str, str]], first: str, *, kept_elsewhere: bool, as_json: bool
) -> None:
    sentence = said(found, first, kept_elsewhere=kept_elsewhere)
    if as_json:
        document = {
            "ok": found.ok,
            "entries": found.size,
            "signed": found.signed_size,
            "unprotected": found.unprotected,
            "erased": found.erased,
            "checkpoints": len(notes),
            "keys": sorted({verifier for _, verifier in notes}),
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
        for verifier in sorted({verifier for _, verifier in notes}):
            print(f"Key: {verifier}")
    if not found.ok:
        raise typer.Exit(1)


def _verify_proof(path: Path, key: str, *, as_json: bool) -> None:
    """Check one proof. A file that is no proof cannot be read (2); one that does not hold was changed (1)."""
    from pitstop.journal.proofs import Proof  # noqa: PLC0415 - as above

    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        entry, verifier = str(document["entry"]), str(document["key"])
        proof = Proof.from_text(str(document["proof"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} is no proof ({error}); `pitstop journal prove HOME ENTRY` prints one"
        raise ExportError(msg) from error
    try:
        checkpoint = proof.require(entry.encode(), key or verifier)
    except JournalError as error:
        print(json.dumps({"ok": False, "sentence": str(error)}, indent=2) if as_json else f"The proof fails: {error}.")
        raise typer.Exit(1) from error
    sentence = f"Entry {proof.index:,} is one of the {checkpoint.size:,} entries that {checkpoint.origin} signed."
    if as_json:
        print(json.dumps({"ok": True, "sentence": sentence, "entry": json.loads(entry), "key": verifier}, indent=2))
        return
    print(sentence)
    print(entry)
    print(f"Key: {key or verifier}")
