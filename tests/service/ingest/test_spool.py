"""The spool gives back what was acknowledged, whatever a crash, a failing disk or bad luck left beside it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import SpoolError
from pitstop.store.spool import SpoolWriter, encode_record, read_all, read_part, remove_file, spool_files

PAYLOADS = st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=4), min_size=1, max_size=6)


def payloads(folder: Path) -> list[bytes]:
    return [record.payload for record in read_all(folder)]


@settings(max_examples=60)
@given(PAYLOADS, st.integers(1, 400), st.binary(max_size=90), st.data())
def test_what_was_appended_is_read_in_order_whatever_follows_it(
    tmp_path_factory: pytest.TempPathFactory,
    groups: list[list[bytes]],
    file_bytes: int,
    tail: bytes,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    writer = SpoolWriter(folder, file_bytes=file_bytes)
    for group in groups:
        writer.append([encode_record({"n": 1}, payload, 5) for payload in group])
        writer.close() if data.draw(st.booleans()) else None
    writer.close()
    wanted = [payload for group in groups for payload in group]
    assert payloads(folder) == wanted
    # A crash may leave any part of the next group, or anything at all where a block was never written.
    half = encode_record({"n": 2}, b"next", 6)
    torn = half[: data.draw(st.integers(0, len(half) - 1))] + tail
    last = spool_files(folder)[-1]
    with last.open("ab") as file:
        file.write(torn)
    assert payloads(folder) == wanted
    assert read_part(last, 0).over


def test_a_live_file_is_not_over_and_its_last_half_record_is_left_alone(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    writer.append([encode_record({}, b"one", 1)])
    path = spool_files(tmp_path)[0]
    first = read_part(path, 0)
    assert [record.payload for record in first.records] == [b"one"]
    assert not first.over
    writer.append([encode_record({}, b"two", 1)])
    assert [record.payload for record in read_part(path, first.end).records] == [b"two"]
    writer.close()
    assert read_part(path, first.end).over


def test_a_reader_never_finds_a_file_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stores deletes a file that nobody holds: one that was just made would be written to and never read."""
    lock = fcntl.flock

    def looked_at(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_EX:
            for path in spool_files(tmp_path):
                if read_part(path, 0).over:
                    remove_file(path)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", looked_at)
    writer = SpoolWriter(tmp_path)
    writer.append([encode_record({}, b"one", 1)])
    assert payloads(tmp_path) == [b"one"]
    writer.close()


def test_damage_between_records_is_named_and_costs_only_what_it_hit(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path)
    records = [encode_record({}, f"payload {n}".encode() * 9, 1) for n in range(3)]
    writer.append(records)
    writer.close()
    path = spool_files(tmp_path)[0]
    content = bytearray(path.read_bytes())
    content[len(records[0]) + 40] ^= 1
    path.write_bytes(content)
    part = read_part(path, 0)
    assert [record.payload[:9] for record in part.records] == [b"payload 0", b"payload 2"]
    assert part.damaged == ((len(records[0]), len(records[0]) + len(records[1])),)
    assert part.over


FULL = r"""
import resource, sys
from pathlib import Path
from pitstop.errors import SpoolError
from pitstop.errors import SpoolError
from pitstop.store.spool import SpoolWriter, encode_record, read_all

folder = Path(sys.argv[1])
writer = SpoolWriter(folder)
writer.append([encode_record({}, b"kept", 1)])
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
try:
    writer.append([encode_record({}, bytes([n]) * 900, 1) for n in range(5)])
except SpoolError as error:
    assert "was not taken in, send it again" in str(error), error
else:
    raise SystemExit("never full")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.append([encode_record({}, b"after", 1)])
writer.close()
assert [record.payload for record in read_all(folder)] == [b"kept", b"after"]
"""


def test_a_full_disk_refuses_the_group_whole_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    # The signal of a limit of file size would end the process; Python ignores it, as it does for the service.
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "spool")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_group_that_could_not_be_synced_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its senders were told so, and send it again: rows without an id would count twice."""
    writer = SpoolWriter(tmp_path)
    writer.append([encode_record({"n": 1}, b"first", 5)])

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, f"no disk behind {descriptor}")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fails)
        with pytest.raises(SpoolError, match="send it again"):
            writer.append([encode_record({"n": 1}, b"lost", 6)])
    writer.append([encode_record({"n": 1}, b"lost", 7)])
    writer.close()
    assert payloads(tmp_path) == [b"first", b"lost"]
