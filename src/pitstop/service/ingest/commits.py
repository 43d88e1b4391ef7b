"""Group commit: records from many tasks are written and synced together, and each waits only for its own group."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pitstop.errors import IngestError, OverloadedError, SpoolError
from pitstop.store.spool import SpoolWriter

# Records that wait for a sync, in bytes: what the disk takes in a second or two.
WAITING_BYTES = 64 << 20
# A group beyond this is written in parts, so that no file grows far beyond its size.
_GROUP_BYTES = 8 << 20
IDLE_SECONDS = 60.0
OLDEST_SECONDS = 600.0


class GroupCommit:
    """A thread that appends what is submitted to a spool. `close` ends it after the last record is durable."""

    def __init__(self, writer: SpoolWriter, *, waiting_bytes: int = WAITING_BYTES) -> None:
        self._writer = writer
        self._limit = waiting_bytes
        self._waiting: deque[tuple[bytes, asyncio.AbstractEventLoop | None, Any]] = deque()
        self._bytes = 0
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._closing = self._finish = False
        self._opened = time.monotonic()
        self.error: SpoolError | None = None
        self._thread = threading.Thread(target=self._run, name="pitstop-spool", daemon=True)
        self._thread.start()

    async def commit(self, record: bytes) -> None:
        """Return once the record is durable. Raises `OverloadedError` and `SpoolError`; it is then not taken in."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._submit(record, loop, done)
        await done

    def commit_now(self, record: bytes) -> None:
        """Do the same from a thread that may wait."""
        done = threading.Event()
        failed: list[SpoolError] = []

        def settle(error: SpoolError | None) -> None:
            if error is not None:
                failed.append(error)
            done.set()

        self._submit(record, None, settle)
        done.wait()
        if failed:
            raise failed[0]

    def finish_file(self) -> None:
        """Begin another file with the next group, so that this one can go once it is stored."""
        self._finish = True
        self._wake.set()

    def close(self) -> None:
        """Write what was submitted, and end."""
        with self._lock:
            self._closing = True
        self._wake.set()
        self._thread.join()
        self._writer.close()

    def _submit(self, record: bytes, loop: asyncio.AbstractEventLoop | None, done: Any) -> None:
        with self._lock:
            # Under the lock: what is appended after the thread has ended would be waited for in vain.
            if self._closing:
                msg = "the service is stopping; send the batch again in a moment"
                raise OverloadedError(msg, 1)
            if self._bytes and self._bytes + len(record) > self._limit:
                msg = f"{self._bytes:,} bytes wait to be written to the disk already; send the batch again in a moment"
                raise OverloadedError(msg, 1)
            self._bytes += len(record)
            self._waiting.append((record, loop, done))
        if not self._wake.is_set():  # asking is much cheaper than setting
            self._wake.set()

    def _run(self) -> None:
        while True:
            idle = not self._wake.wait(IDLE_SECONDS)
            self._wake.clear()
            while group := self._next():
                self._write(group)
            if idle or self._finish or time.monotonic() - self._opened > OLDEST_SECONDS:
                # What is stored must not lie in the spool for long: somebody may ask for it to be erased.
                self._finish = False
                self._writer.close()
                self._opened = time.monotonic()
            if self._closing and not self._waiting:
                return

    def _next(self) -> list[tuple[bytes, asyncio.AbstractEventLoop | None, Any]]:
        group, size = [], 0
        with self._lock:
            while self._waiting and (not size or size + len(self._waiting[0][0]) <= _GROUP_BYTES):
                item = self._waiting.popleft()
                size += len(item[0])
                group.append(item)
        return group

    def _write(self, group: list[tuple[bytes, asyncio.AbstractEventLoop | None, Any]]) -> None:
        error: SpoolError | None = None
        try:
            self._writer.append([record for record, _, _ in group])
        except SpoolError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - without this thread everybody would wait for an answer for ever
            msg = f"the spool cannot be written ({type(failure).__name__}: {failure}); send the batch again in a moment"
            error = SpoolError(msg)
        self.error = error
        with self._lock:
            self._bytes -= sum(len(record) for record, _, _ in group)
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for _, loop, done in group:
            if loop is None:
                settle: Callable[[SpoolError | None], None] = done
                settle(error)
            else:
                by_loop.setdefault(loop, []).append(done)
        for loop, futures in by_loop.items():
            with suppress(RuntimeError):  # the loop is closed, so nobody waits any more
                loop.call_soon_threadsafe(_settle, futures, error)


def _settle(futures: list[asyncio.Future[None]], error: IngestError | None) -> None:
    for future in futures:
        if future.done():
            continue  # whoever waited has gone; the record is durable all the same
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
