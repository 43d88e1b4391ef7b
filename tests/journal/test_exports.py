"""Whatever is done to a copy of the journal, entries or checkpoints, is found and named, without the home."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pitstop.errors import ExportError
from pitstop.journal.checkpoints import Checkpoint, origin_of, sign, verifier_key
from pitstop.journal.entries import Entry
from pitstop.journal.exports import bundle, is_export, read_notes, signed_of, verify_export
from pitstop.journal.merkle import tree_root

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = origin_of(KEY.public_key())
VERIFIER = verifier_key(ORIGIN, KEY.public_key())
SIZES = (5, 9, 14)


def entry(number: int, text: str = "") -> Entry:
    digest = hashlib.sha256((text or str(number)).encode()).hexdigest()
    return Entry(number, "alarm", number, "hotel", f"alarm-{number}", (), digest)


def notes(entries: list[Entry], key: Ed25519PrivateKey = KEY) -> list[tuple[str, str]]:
    """Return the chain of checkpoints at each size."""
    origin, made = origin_of(key.public_key()), [""]
    for size in SIZES:
        root = tree_root(item.leaf for item in entries[:size])
        made.append(sign(Checkpoint(origin, size, root), key, made[-1]))
    return [(note, verifier_key(origin, key.public_key())) for note in made[1:]]


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return an export that grew in three steps."""
    entries = [entry(number) for number in range(SIZES[-1])]
    signed, first = notes(entries), 0
    for place, size in enumerate(SIZES):
        write(tmp_path, bundle(entries[first:size], signed[: place + 1], first).files)
        first = size
    return tmp_path


def lines(folder: Path, part: int) -> tuple[Path, list[bytes]]:
    path = sorted((folder / "entries").glob("*.jsonl"))[part]
    return path, path.read_bytes().splitlines()


def put(path: Path, content: list[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in content))


def test_an_untouched_copy_verifies(copy: Path) -> None:
    assert is_export(copy)
    found = verify_export(copy)
    assert (found.ok, found.size, found.signed_size, found.unprotected) == (True, 14, 14, 0)
    assert verify_export(copy, pinned=VERIFIER).ok


def edit(folder: Path) -> None:
    path, content = lines(folder, 1)
    put(path, [content[0], content[1].replace(b"alarm-6", b"alarm-7"), *content[2:]])


def delete(folder: Path) -> None:
    path, content = lines(folder, 1)
    put(path, [content[0], *content[2:]])


def reorder(folder: Path) -> None:
    path, content = lines(folder, 1)
    put(path, [content[1], content[0], *content[2:]])


def insert(folder: Path) -> None:
    path, content = lines(folder, 1)
    put(path, [*content[:2], entry(6, "forged").to_bytes(), *content[2:]])


def truncate(folder: Path) -> None:
    path, content = lines(folder, 2)
    put(path, content[:-2])


def fork(folder: Path) -> None:
    other = sign(Checkpoint(ORIGIN, 9, hashlib.sha256(b"other").digest()), KEY)
    (folder / "checkpoints" / "000000000009b.txt").write_text(other)


def renumber(folder: Path) -> None:
    """Delete an entry and close the gap."""
    path, content = lines(folder, 1)
    kept = [json.loads(line) for line in (content[0], *content[2:])]
    for number, item in enumerate(kept, start=5):
        item["sequence"] = number
    put(path, [json.dumps(item, sort_keys=True, separators=(",", ":")).encode() for item in kept])


def spoil(folder: Path) -> None:
    path, content = lines(folder, 1)
    put(path, [content[0], b"rust", *content[2:]])


def edit_checkpoint(folder: Path) -> None:
    path = folder / "checkpoints" / "000000000009.txt"
    path.write_text(path.read_text().replace("\n9\n", "\n8\n", 1))


def claim_too_much(folder: Path) -> None:
    """Give a checkpoint a size that no number holds, and a signature of letters that are none."""
    path = folder / "checkpoints" / "000000000009.txt"
    path.write_text(path.read_text().replace("\n9\n", f"\n{'9' * 5000}\n", 1)[:-2] + "é\n", encoding="utf-8")


def nest(folder: Path) -> None:
    path, content = lines(folder, 1)
    put(path, [content[0], b"[" * 100_000, *content[2:]])


def delete_checkpoint(folder: Path) -> None:
    (folder / "checkpoints" / "000000000009.txt").unlink()


def swap_checkpoints(folder: Path) -> None:
    """A checkpoint of the same size and root, signed by nobody's predecessor, takes the place of the real one."""
    path = folder / "checkpoints" / "000000000009.txt"
    entries = [entry(number) for number in range(9)]
    path.write_text(sign(Checkpoint(ORIGIN, 9, tree_root(item.leaf for item in entries)), KEY))


def branch(folder: Path) -> None:
    """A second checkpoint follows the first one."""
    first = (folder / "checkpoints" / "000000000005.txt").read_text()
    root = tree_root(entry(number).leaf for number in range(7))
    (folder / "checkpoints" / "000000000007.txt").write_text(sign(Checkpoint(ORIGIN, 7, root), KEY, first))


@pytest.mark.parametrize(
    ("harm", "kind", "first", "last"),
    [
        (edit, "edited", 5, 8),
        (delete, "deleted", 6, 6),
        (reorder, "reordered", 5, 5),
        (insert, "inserted", 6, 6),
        (truncate, "truncated", 12, 13),
        (fork, "forked", 0, 8),
        (renumber, "deleted", 8, 8),
        (spoil, "edited", 5, 8),
        (edit_checkpoint, "signature", 0, 7),
        (delete_checkpoint, "deleted", 0, 13),
        (swap_checkpoints, "deleted", 0, 13),
        (branch, "forked", 0, 8),
        (claim_too_much, "signature", 0, 0),
        (nest, "edited", 5, 8),
    ],
)
def test_harm_is_found_and_named(copy: Path, harm: Callable[[Path], None], kind: str, first: int, last: int) -> None:
    harm(copy)
    found = verify_export(copy)
    assert (kind, first, last) in {(fault.kind, fault.first, fault.last) for fault in found.faults}, found.faults
    assert all(fault.sentence.startswith(f"{fault.kind}: ") for fault in found.faults)


def test_history_that_was_rewritten_and_signed_again_is_found_by_a_checkpoint_kept_elsewhere(
    copy: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever holds the key can make a journal that verifies by itself; not one that agrees with what others kept."""
    forged = [entry(number, "forged" if number == 3 else "") for number in range(SIZES[-1])]
    other = tmp_path_factory.mktemp("forged")
    write(other, bundle(forged, notes(forged), 0).files)
    assert verify_export(other).ok
    kept, strange = signed_of(read_notes(copy))
    assert not strange
    found = verify_export(other, outside=kept[:1])
    assert not found.ok
    assert {("forked", 0, 4)} == {(fault.kind, fault.first, fault.last) for fault in found.faults}
    full = verify_export(other, outside=kept)
    assert {"forked"} <= {fault.kind for fault in full.faults}


def test_another_key_is_not_believed_where_one_was_handed_out(tmp_path: Path) -> None:
    stranger = Ed25519PrivateKey.generate()
    entries = [entry(number) for number in range(SIZES[-1])]
    other = tmp_path / "other"
    write(other, bundle(entries, notes(entries, stranger), 0).files)
    assert verify_export(other).ok
    found = verify_export(other, pinned=VERIFIER)
    assert {fault.kind for fault in found.faults} == {"signature"}
    assert found.signed_size == 0


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    assert not is_export(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "k.txt").write_bytes(b"\xff")
    with pytest.raises(ExportError, match="cannot read the export"):
        verify_export(tmp_path)
