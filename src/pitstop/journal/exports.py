"""A journal as files that anyone can check without the home: entries, signed checkpoints and public keys.

entries/000000000000-000000001041.jsonl     canonical JSON of entries, one a line
checkpoints/000000001042.txt                signed notes
keys/pitstop-4f1c....txt                    the keys that verify them

A file is written once and never changed, so that the place may be one that forbids changes. Each export adds the
entries since the last one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pitstop.errors import ExportError, JournalError
from pitstop.journal.checkpoints import SignedCheckpoint, open_signed
from pitstop.journal.entries import Entry
from pitstop.journal.merkle import leaf_hash
from pitstop.journal.verification import Check, Fault, Verification, chain_faults

ENTRIES, CHECKPOINTS, KEYS = "entries", "checkpoints", "keys"
_DIGITS = 12


@dataclass(frozen=True)
class Bundle:
    """What an export adds to a place: names of files with their content. `size` entries are then there."""

    files: dict[str, bytes]
    size: int
    newest: str


def bundle(entries: Iterable[Entry], notes: Iterable[tuple[str, str]], first: int) -> Bundle:
    """Return the files for entries `first` and later, and for every signed note with the key that verifies it."""
    lines = [entry.to_bytes() for entry in entries]
    files: dict[str, bytes] = {}
    size = first + len(lines)
    if lines:
        name = f"{ENTRIES}/{first:0{_DIGITS}}-{size - 1:0{_DIGITS}}.jsonl"
        files[name] = b"".join(line + b"\n" for line in lines)
    newest = ""
    for note, verifier in notes:
        signed = open_signed(note, verifier)
        files[f"{CHECKPOINTS}/{signed.checkpoint.size:0{_DIGITS}}.txt"] = note.encode()
        files[f"{KEYS}/{signed.checkpoint.origin.replace('/', '-')}.txt"] = f"{verifier}\n".encode()
        newest = note
    return Bundle(files, size, newest)


def is_export(folder: Path) -> bool:
    """Return whether a folder holds an exported journal."""
    return (folder / CHECKPOINTS).is_dir() and (folder / KEYS).is_dir()


def read_notes(folder: Path) -> list[tuple[str, str]]:
    """Return the (note, verifier) pairs of an export, by name; a note of no known key gets an empty verifier.

    Raises `ExportError` where the folder cannot be read.
    """
    try:
        keys = [path.read_text(encoding="utf-8").strip() for path in sorted((folder / KEYS).glob("*.txt"))]
        by_origin = {key.split("+", 1)[0]: key for key in keys}
        notes = [path.read_text(encoding="utf-8") for path in sorted((folder / CHECKPOINTS).glob("*.txt"))]
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the export {folder}: {error}; name the folder that `pitstop journal export` wrote to"
        raise ExportError(msg) from error
    return [(note, by_origin.get(note.partition("\n")[0], "")) for note in notes]


def signed_of(notes: Iterable[tuple[str, str]], pinned: str = "") -> tuple[list[SignedCheckpoint], list[Fault]]:
    """Open (note, verifier) pairs; a note whose signature does not fit is a fault.

    `pinned` is the one key to be believed, as it was handed out; without it each note's own key is.
    """
    signed, faults = [], []
    for note, verifier in notes:
        try:
            signed.append(open_signed(note, pinned or verifier))
        except JournalError as error:
            # As much of it as a size may have: whoever changed the note chose what it says.
            claimed = re.match(rf"[^\n]*\n([0-9]{{1,{_DIGITS}}})\n", note)
            size = int(claimed[1]) if claimed else 0
            sentence = f"signature: the checkpoint of {size} entries is not to be believed: {error}"
            faults.append(Fault("signature", 0, max(size - 1, 0), sentence))
    return signed, faults


def lines_of(folder: Path) -> Iterator[bytes]:
    """Iterate over the entries of an export as they stand there, in the order of its files."""
    for path in sorted((folder / ENTRIES).glob("*.jsonl")):
        try:
            with path.open("rb") as file:
                for line in file:
                    yield line.rstrip(b"\n")
        except OSError as error:
            msg = f"cannot read {path}: {error}"
            raise ExportError(msg) from error


def verify_export(folder: Path, *, outside: Iterable[SignedCheckpoint] = (), pinned: str = "") -> Verification:
    """Check an export by itself: every entry, every signature, and that the checkpoints follow each other.

    `outside` are checkpoints that were kept somewhere else still.
    """
    signed, faults = signed_of(read_notes(folder), pinned)
    faults += chain_faults(signed)
    check = Check()
    for line in lines_of(folder):
        # The number is what orders entries; an entry that says none stands where it stands.
        check.take(_sequence(line, check.size), leaf_hash(line))
    known = {item.note for item in signed}
    foreign = [item for item in outside if item.note not in known]
    found = check.finish([item.checkpoint for item in (*signed, *foreign)])
    return Verification(found.size, found.root, found.signed_size, (*found.faults, *faults))


def _sequence(line: bytes, place: int) -> int:
    try:
        number = json.loads(line)["sequence"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return place
    return number if type(number) is int and number >= 0 else place
