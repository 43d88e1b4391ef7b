"""The spool: batches that were acknowledged and are not stored yet, appended to files in groups and synced.

A file is `NUMBER-FOLDERTOKEN.spool`: the folder has an id of its own, so no file on any machine is called as another.
Whoever appends to it holds a lock on it, so a file without one is finished, whether its writer ended or was killed. A
record is a header (magic, CRC-32 of the rest, length of the body, length of the meta, the instant at which it was
accepted), a meta as JSON and the payload. What a crash left half-written fails its CRC, was never acknowledged, and is
passed over.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pitstop.errors import SpoolError, StoreError
from pitstop.store.disk import disk_errors
from pitstop.store.files import make_folder, sync_folder

SUFFIX = ".spool"
ID = "spool.id"
_ID_BYTES, _TOKEN_BYTES = 4, 4
FILE_BYTES = 32 << 20
MAGIC = b"PSB1"
_HEADER = struct.Struct("<4sIIIq")
_CHECKED = 8  # the CRC covers everything behind it


@dataclass(frozen=True)
class SpoolRecord:
    """A record as it was read: its file, where it begins and ends in it, when it was accepted, and what it holds."""

    file: str
    start: int
    end: int
    at: int
    meta: Mapping[str, Any]
    payload: bytes


@dataclass(frozen=True)
class SpoolPart:
    """What was read of a file: its records up to byte `end`, and the ranges (start, end) that were damaged since.

    What a crash left half-written at the end of a file is no damage: it was never acknowledged. `over`: the file is
    finished and all of it was read.
    """

    records: tuple[SpoolRecord, ...]
    end: int
    damaged: tuple[tuple[int, int], ...]
    over: bool


def encode_record(meta: Mapping[str, Any], payload: bytes, at: int) -> bytes:
    """Return a record; `at` is the instant in microseconds at which it was accepted."""
    words = json.dumps(meta, separators=(",", ":")).encode()
    head = _HEADER.pack(MAGIC, 0, len(words) + len(payload), len(words), at)[_CHECKED:]
    crc = zlib.crc32(payload, zlib.crc32(words, zlib.crc32(head)))
    return b"".join((MAGIC, crc.to_bytes(4, "little"), head, words, payload))


class SpoolWriter:
    """Appends groups of records to a folder; several writers, in one process or many, may do so side by side.

    Not for use by several threads. Opening makes the folder; nothing is written before the first group.
    """

    def __init__(self, folder: Path, *, file_bytes: int = FILE_BYTES) -> None:
        self.folder = folder
        self._file_bytes = file_bytes
        self._descriptor: int | None = None
        self._size = 0

    def append(self, records: Sequence[bytes]) -> None:
        """Write a group and sync it; when this returns it survives a loss of power.

        Raises `SpoolError`; then nothing of the group counts, and the next call begins anew.
        """
        try:
            with disk_errors("write the spool", self.folder):
                descriptor = self._opened()
                content = b"".join(records)
                try:
                    _write(descriptor, content, self._size)
                    os.fdatasync(descriptor)
                except OSError:
                    # What was synced before stays; the rest of this group must not be taken for a record: its senders
                    # are told that it was not taken in, and send it again.
                    os.ftruncate(descriptor, self._size)
                    raise
        except (StoreError, OSError) as error:
            # After a failed sync nobody knows what the disk holds: this file is left to whoever reads it.
            self.close()
            msg = f"{error}; the batch was not taken in, send it again"
            raise SpoolError(msg) from error
        self._size += len(content)
        if self._size >= self._file_bytes:
            self.close()

    def close(self) -> None:
        """Finish the file: it can then be deleted once it was read."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _opened(self) -> int:
        if self._descriptor is not None:
            return self._descriptor
        for changed in make_folder(self.folder):
            sync_folder(changed)
        number = max((_number(path) for path in spool_files(self.folder)), default=0) + 1
        token = f"{spool_id(self.folder)}{secrets.token_hex(_TOKEN_BYTES)}"
        path = self.folder / f"{number:012d}-{token}{SUFFIX}"
        # It is locked before it has its name: a reader that finds it without a lock takes it for finished, and may
        # delete it while this process goes on writing.
        hidden = path.with_suffix(".begun")
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            hidden.rename(path)
            sync_folder(self.folder)
        except BaseException:
            os.close(descriptor)
            hidden.unlink(missing_ok=True)
            raise
        self._descriptor, self._size = descriptor, 0
        return descriptor


def _write(descriptor: int, content: bytes, place: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, place)
        place += written
        view = view[written:]


def _number(path: Path) -> int:
    digits = path.name.partition("-")[0]
    return int(digits) if digits.isdigit() else 0


def spool_id(folder: Path) -> str:
    """Return the id of a spool's folder, by which its files are told from those of another; made where it has none."""
    path = folder / ID
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        part = folder / f".{ID}.{os.getpid()}.{secrets.token_hex(2)}"
        with part.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(_ID_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            # Of several processes that begin at once, one gives the folder its id.
            with suppress(FileExistsError):
                os.link(part, path)
        finally:
            part.unlink()
        sync_folder(folder)
        return path.read_text(encoding="ascii")


def is_of(name: str, id: str) -> bool:  # noqa: A002 - the noun of this module
    """Return whether a file of that name is, or was, in the spool of that id; names of earlier versions are too."""
    token = name.partition("-")[2].removesuffix(SUFFIX)
    return len(token) <= 2 * _TOKEN_BYTES or token.startswith(id)


def spool_files(folder: Path) -> list[Path]:
    """Return the spool's files, oldest first; none where the folder is not there."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def spool_bytes(folder: Path) -> int:
    """Return how many bytes the spool's files hold."""
    total = 0
    for path in spool_files(folder):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue  # stored and deleted meanwhile
    return total


def read_part(path: Path, start: int) -> SpoolPart:
    """Read the records of a file from byte `start` on; a file is about `FILE_BYTES` and one group long at most.

    Half a record at the end of a live file is still being written; in a finished one it is passed over. Raises
    `StoreError` where the disk cannot be read.
    """
    with disk_errors("read the spool", path.parent), path.open("rb") as file:
        # In this order: what a finished file holds is all there when it is read.
        finished = _is_finished(file.fileno())
        file.seek(start)
        data = file.read()
    records: list[SpoolRecord] = []
    damaged: list[tuple[int, int]] = []
    end = 0
    while end < len(data):
        found = _record_at(data, end, path.name, start)
        if found is not None:
            records.append(found)
            end = found.end - start
            continue
        if not finished:
            break
        following = _next_record(data, end, path.name, start)
        if following is not None or _is_whole(data, end):
            damaged.append((start + end, start + (len(data) if following is None else following)))
        end = len(data) if following is None else following
    return SpoolPart(tuple(records), start + end, tuple(damaged), finished)


def accepted_at(path: Path, start: int) -> int | None:
    """Return when the record at byte `start` was accepted, by its header alone; None where no header is there."""
    with disk_errors("read the spool", path.parent), path.open("rb") as file:
        file.seek(start)
        head = file.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return None
    magic, _, _, _, at = _HEADER.unpack(head)
    return int(at) if magic == MAGIC else None


def remove_file(path: Path) -> None:
    """Delete a file whose records are all stored."""
    with disk_errors("clean up the spool", path.parent):
        path.unlink(missing_ok=True)


def read_all(folder: Path) -> Iterator[SpoolRecord]:
    """Iterate over every record that is in the spool."""
    for path in spool_files(folder):
        start = 0
        while True:
            part = read_part(path, start)
            yield from part.records
            if part.end == start or part.over:
                break
            start = part.end


def _is_finished(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _record_at(data: bytes, place: int, name: str, offset: int) -> SpoolRecord | None:
    if place + _HEADER.size > len(data):
        return None
    magic, crc, length, words, at = _HEADER.unpack_from(data, place)
    first, end = place + _HEADER.size, place + _HEADER.size + length
    if magic != MAGIC or end > len(data) or words > length:
        return None
    if zlib.crc32(memoryview(data)[place + _CHECKED : end]) != crc:
        return None
    meta = json.loads(data[first : first + words])
    return SpoolRecord(name, offset + place, offset + end, at, meta, data[first + words : end])


def _is_whole(data: bytes, place: int) -> bool:
    """Return whether there is a record of full length, so that its content must have changed after it was written."""
    if place + _HEADER.size > len(data):
        return False
    magic, _, length, _, _ = _HEADER.unpack_from(data, place)
    return bool(magic == MAGIC and place + _HEADER.size + length <= len(data))


def _next_record(data: bytes, place: int, name: str, offset: int) -> int | None:
    """Return where the next whole record begins behind a place that cannot be read."""
    following = data.find(MAGIC, place + 1)
    while following >= 0:
        if _record_at(data, following, name, offset) is not None:
            return following
        following = data.find(MAGIC, following + 1)
    return None
