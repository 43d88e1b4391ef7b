"""One pass over a scan: parts are decoded and counted in threads, windows come out when their last part is done.

A pass that is stopped and started again with the same `resume` file does not read its finished parts again. That file
is a log: a head that names the rows and the bins, then one record for each finished part, with a digest. A record that
a crash cut short is dropped, so its part is counted again; counts are exact, so the result has the same bits.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import pyarrow as pa

from pitstop.checks.excerpts import VALUES, pieces
from pitstop.engines.base import Progress
from pitstop.engines.counting import Counted, Reading, RowCounter, merge, out_of_order, require_columns
from pitstop.errors import RecordError, StoreError
from pitstop.profile import Profile
from pitstop.records.instants import read_instants
from pitstop.records.scans import Part, Scan

_MAGIC = b"PITPASS1"
_RECORD = struct.Struct("<qq32s")
_WINDOW = struct.Struct("<qq")


def count_scan(
    scan: Scan, reading: Reading, *, threads: int = 1, progress: Progress | None = None, resume: Path | None = None
) -> Iterator[tuple[int, Profile]]:
    """Yield (window, profile) in order of windows (arguments as `Engine.profiles`, `LocalEngine.profiles`).

    In memory are a few columns of a part for each thread, and the counts of windows that are not finished: where the
    file's statistics bound the time of its row groups, those that the parts read so far reach into; else all.
    """
    require_columns(reading, scan.names)
    if reading.spec.calendar.by_rows:
        _require_order(scan, reading.spec.columns.time)
    wanted, reach = wanted_parts(scan, reading)
    # The first part that may hold a window decides when all windows before it are finished.
    least = _least_after(reach)
    total = sum(part.rows for part in wanted)
    counts: dict[int, Counted] = {}
    done = 0
    log: AbstractContextManager[_Log | None] = nullcontext() if resume is None else _Log(resume, scan, reading)
    with log as kept:
        for number, (part, found) in enumerate(_counted(scan, wanted, reading, threads, kept)):
            merge(counts, found)
            done += part.rows
            if progress is not None:
                progress(done, total)
            first = least[number]
            for window in sorted(window for window in counts if first is not None and window < first):
                yield window, counts.pop(window).finished()
    for window in sorted(counts):
        yield window, counts[window].finished()


def wanted_parts(scan: Scan, reading: Reading) -> tuple[list[Part], list[tuple[int, int] | None]]:
    """Return the parts that may hold a window that is asked for, and the first and last window of each, if known."""
    reach = [(part, _windows_of(scan, part, reading)) for part in scan.parts if part.rows]
    kept = [(part, windows) for part, windows in reach if _overlaps(windows, reading)]
    return [part for part, _ in kept], [windows for _, windows in kept]


def count_part(scan: Scan, part: Part, reading: Reading) -> dict[int, Counted]:
    """Return the counts of one part by window, decoding as many columns at a time as `VALUES` allow."""
    names = reading.features
    if part.rows <= VALUES:
        counter = RowCounter(reading)
        # With the same dictionaries, so that the file is opened once; what the model said is read as plain values.
        texts = [name for name in reading.texts if name not in reading.roles]
        roles = pa.concat_tables(scan.batches(part, reading.roles, rows=part.rows, dictionaries=texts))
        if not counter.begin(roles, part.first):
            return {}
        for at, table in pieces(scan, part, names, dictionaries=reading.texts):
            counter.add(table, at)
        return counter.counted()
    total: dict[int, Counted] = {}
    for at, table in pieces(scan, part, list(dict.fromkeys([*reading.roles, *names])), dictionaries=reading.texts):
        counter = RowCounter(reading)
        if counter.begin(table, part.first + at):
            counter.add(table.select(names))
            merge(total, counter.counted())
    return total


def _counted(
    scan: Scan, parts: list[Part], reading: Reading, threads: int, log: _Log | None
) -> Iterator[tuple[Part, dict[int, Counted]]]:
    """Yield parts with their counts, in order. Closing it ends what runs and starts nothing more."""
    known = {} if log is None else log.finished
    running: deque[tuple[Part, Future[dict[int, Counted]]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="profile")
    try:
        left = iter(parts)
        while True:
            while len(running) <= threads and (part := next(left, None)) is not None:
                if part.number in known and log is not None:
                    job: Future[dict[int, Counted]] = Future()
                    job.set_result(log.read(part.number))
                else:
                    job = pool.submit(count_part, scan, part, reading)
                running.append((part, job))
            if not running:
                return
            part, job = running.popleft()
            found = job.result()
            if log is not None and part.number not in known:
                log.add(part.number, found)
            yield part, found
    finally:
        pool.shutdown(cancel_futures=True)


def _windows_of(scan: Scan, part: Part, reading: Reading) -> tuple[int, int] | None:
    """Return the first and last window that a part may hold, or None where that is not known before it is read."""
    calendar, name = reading.spec.calendar, reading.spec.columns.time
    if calendar.by_rows:
        last = max(part.first, part.first + part.rows - 1)
        return calendar.window_at(part.first), calendar.window_at(last)
    bounds = scan.bounds(part, name)
    if bounds is None or not (_is_time(bounds)):
        return None
    instants = read_instants(bounds, name)
    if instants.kind == "integer" or not instants.valid.all():
        return None
    low, high = calendar.window_of(instants.values)
    return int(low), int(high)


def _require_order(scan: Scan, name: str) -> None:
    """Raise `RecordError` where a part begins before an earlier one ends; each part looks at its own rows itself."""
    latest: int | None = None
    for part in scan.parts:
        if not part.rows:
            continue
        ends = scan.bounds(part, name)
        if ends is None or not (_is_time(ends) or pa.types.is_integer(ends.type)):
            column = pa.concat_tables(scan.batches(part, [name])).column(0)
            ends = column.take(pa.array([0, len(column) - 1]))
        found = read_instants(ends, name)
        if not found.valid.all():
            continue
        if latest is not None and found.values[0] < latest:
            raise out_of_order(name)
        latest = int(found.values[1])


def _is_time(bounds: object) -> bool:
    """Whether the order of values is the order of times: texts may be written in several ways."""
    kind = str(getattr(bounds, "type", ""))
    return kind.startswith(("timestamp", "date"))


def _overlaps(reach: tuple[int, int] | None, reading: Reading) -> bool:
    start, stop = reading.windows
    if reach is None:
        return True
    return (start is None or reach[1] >= start) and (stop is None or reach[0] < stop)


def _least_after(reach: list[tuple[int, int] | None]) -> list[int | None]:
    """Return for each part the least window of the parts after it, or None where one of them may hold any."""
    least: list[int | None] = [None] * len(reach)
    lowest: int | None = 2**62
    for at in range(len(reach) - 1, -1, -1):
        least[at] = lowest
        here = reach[at]
        lowest = None if here is None or lowest is None else min(lowest, here[0])
    return least


class _Log(AbstractContextManager["_Log"]):
    """The log of finished parts in a file, which stays until the caller removes it."""

    def __init__(self, path: Path, scan: Scan, reading: Reading) -> None:
        self._path, self._layout = path, reading.layout
        self._head = _MAGIC + _owner(scan, reading)
        self.finished: dict[int, tuple[int, int]] = {}
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self._path.open("r+b" if self._path.exists() else "w+b")
            end = self._load(self._file)
            self._file.truncate(end)
            self._file.seek(end)
        except OSError as error:
            self.__exit__(None, None, None)
            raise self._unwritable(error) from error
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        if file is not None:
            # What could not be written is no part of the log, and told already.
            with suppress(OSError):
                file.close()

    def add(self, number: int, found: dict[int, Counted]) -> None:
        """Append a finished part; a process that is killed after this has not lost it."""
        packed = {window: counted.pack() for window, counted in found.items()}
        body = b"".join(_WINDOW.pack(window, len(data)) + data for window, data in packed.items())
        file = self._opened
        try:
            file.seek(0, 2)
            file.write(_RECORD.pack(number, len(body), hashlib.sha256(body).digest()) + body)
            file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def read(self, number: int) -> dict[int, Counted]:
        """Return the counts of a finished part."""
        start, size = self.finished[number]
        self._opened.seek(start)
        body, at, found = self._opened.read(size), 0, {}
        while at < size:
            window, length = _WINDOW.unpack_from(body, at)
            at += _WINDOW.size + length
            found[window] = Counted.unpack(self._layout, body[at - length : at])
        return found

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot keep the progress of this pass in {self._path}: {error.strerror or error}; choose another"
        )

    @property
    def _opened(self) -> BinaryIO:
        if self._file is None:
            msg = f"the progress file {self._path} is not open"
            raise StoreError(msg)
        return self._file

    def _load(self, file: BinaryIO) -> int:
        """Find the whole records; return where they end."""
        head = file.read(len(self._head))
        if len(head) < len(self._head) and self._head.startswith(head):
            file.seek(0)
            file.write(self._head)
            return len(self._head)
        if head != self._head:
            msg = (
                f"{self._path} belongs to a pass over other rows or other bins (or is no such file); remove it, or "
                "give the sources as they were"
            )
            raise RecordError(msg)
        end = len(head)
        while len(fixed := file.read(_RECORD.size)) == _RECORD.size:
            number, size, digest = _RECORD.unpack(fixed)
            body = file.read(size) if size >= 0 else b""
            if len(body) != size or hashlib.sha256(body).digest() != digest:
                break
            self.finished[number] = (end + _RECORD.size, size)
            end += _RECORD.size + size
        return end


def _owner(scan: Scan, reading: Reading) -> bytes:
    """Return a digest of what a pass counts: the files as they are now, the parts, the bins and the windows."""
    files = []
    for file in scan.files:
        path = getattr(file, "path", None)
        state = path.stat() if path is not None else None
        files.append([file.name, None if state is None else [state.st_size, state.st_mtime_ns]])
    parts = [[part.file, part.index, part.rows] for part in scan.parts]
    time = reading.spec.time
    what = [files, parts, reading.layout.id, [str(time.window), reading.spec.columns.time], list(reading.windows)]
    return hashlib.sha256(json.dumps([*what, reading.roles, reading.spec.decision.threshold]).encode()).digest()
