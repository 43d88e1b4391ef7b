"""Sends rows to a service without ever holding up or failing the program that predicts.

`log` and `labels` put what they are given into a queue in memory. A thread turns it into Arrow and appends it to a
local spool, synced; another ships the spool. Whatever is in the spool survives a kill -9 and is shipped by the next
process that uses it. Where queue or spool are full, rows are dropped and counted, and the log says so once.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as pa_ipc

from pitstop.client.folder import LABELS, PREDICTIONS, table_of
from pitstop.client.parts import parts_of
from pitstop.client.posting import Poster
from pitstop.client.shipping import Shipper, now
from pitstop.records.sources import plain_strings
from pitstop.store.spool import FILE_BYTES, SpoolWriter, encode_record, spool_bytes

_LOG = logging.getLogger("pitstop")
# Calls that wait in memory; each holds the rows of one call.
WAITING = 10_000
SPOOL_BYTES = 512 << 20
EVERY_SECONDS = 0.25
EXIT_SECONDS = 2.0
# What one request holds at most; a service takes some times as much.
PART_BYTES = 8 << 20

Rows = Callable[[], Any]


class Sender:
    """Sends predictions and labels of one model to the service at `address`. For any number of threads.

    `spool` is the folder where rows wait; several processes may share it. `key` is an API key, by default that in the
    environment as `PITSTOP_KEY`. Nothing here raises once it is made, and nothing waits for the disk or the network.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        spool: Path | str | None = None,
        key: str | None = None,
        spool_limit: int = SPOOL_BYTES,
    ) -> None:
        self.model = model
        self.spool = Path(spool) if spool is not None else _usual_spool(model)
        self.dropped = self._dropped_before = 0
        self._address, self._limit = address, spool_limit
        self._key = os.environ.get("PITSTOP_KEY", "") if key is None else key
        Poster(address, self._key)  # an address or a key that cannot be one is said now
        self._begin()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._begin_in_child)

    def log(self, rows: Any) -> None:
        """Send predictions: the columns that the specification names, as any table or a list of dicts.

        The rows are copied, so the caller may use what holds them for something else at once.
        """
        self._put_copy(PREDICTIONS, rows)

    def labels(self, rows: Any) -> None:
        """Send labels: id, label and, if the specification names one, the label's time."""
        self._put_copy(LABELS, rows)

    def put(self, kind: str, rows: Rows) -> None:
        """Send what `rows()` returns when the background thread calls it."""
        if self._closed.is_set():
            self._drop("the sender is closed")
            return
        if len(self._waiting) >= WAITING:
            self._drop("rows come faster than they can be kept")
            return
        self._waiting.append((kind, rows))
        if not self._wake.is_set():
            self._wake.set()

    def _put_copy(self, kind: str, rows: Any) -> None:
        try:
            kept = _copied(rows)
        except Exception as error:  # noqa: BLE001 - the program that predicts must never notice
            self._drop(f"what was logged cannot be copied: {error}")
            return
        self.put(kind, lambda: kept)

    @property
    def problem(self) -> str:
        """Why what was logged does not arrive, or was dropped or refused the last time; empty where it arrives."""
        return "; ".join(filter(None, (self._problem, self._shipper.problem)))

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until everything was shipped, `seconds` at most; return whether all since the last time was.

        For tests and scripts.
        """
        done = threading.Event()
        self._flushes.append(done)
        self._wake.set()
        if not done.wait(seconds):
            return False
        before, self._dropped_before = self._dropped_before, self.dropped
        self._shipper.wake()
        shipped = self._shipper._idle.wait(seconds) and not self._shipper.problem  # noqa: SLF001 - two halves of one thing
        return shipped and self._dropped_before == before

    def close(self) -> None:
        """Keep what waits, ship for two seconds at most, and end; what was not shipped stays in the spool."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._wake.set()
        self._thread.join(EXIT_SECONDS)
        self._shipper.close(EXIT_SECONDS)

    def _begin_in_child(self) -> None:
        """Begin anew in a forked child, without the locks that it has of its parent."""
        self._writer.close()
        self._shipper.drop_inherited()
        if not self._closed.is_set():
            self._begin()

    def _begin(self) -> None:
        """Start the threads; a forked child has none, and none of its parent's rows."""
        self._waiting: deque[tuple[str, Rows]] = deque()
        self._flushes: deque[threading.Event] = deque()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._problem = ""
        # A file goes once it is finished and shipped, so one alone must not fill the spool.
        self._writer = SpoolWriter(self.spool, file_bytes=min(FILE_BYTES, self._limit // 4))
        self._shipper = Shipper(self.spool, Poster(self._address, self._key), self._limit)
        self._thread = threading.Thread(target=self._run, name="pitstop-log", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if not self._closed.is_set() and not self._flushes:
                # Let some calls come together: one sync and one request for all of them.
                self._closed.wait(EVERY_SECONDS)
            self._wake.clear()
            flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
            self._keep([self._waiting.popleft() for _ in range(len(self._waiting))])
            for done in flushes:
                done.set()
            if self._closed.is_set() and not self._waiting:
                self._writer.close()
                return

    def _keep(self, calls: list[tuple[str, Rows]]) -> None:
        if not calls:
            return
        before = self.dropped
        try:
            if spool_bytes(self.spool) > self._limit:
                self._drop(f"{self.spool} is full and the service does not answer", len(calls))
                return
            records = []
            for kind in (PREDICTIONS, LABELS):
                tables = [table for given, rows in calls if given == kind for table in self._read(rows)]
                for table in _together(tables, in_order=kind == LABELS):
                    meta = {"model": self.model, "kind": kind, "format": "arrow"}
                    records += [
                        encode_record({**meta, "id": uuid.uuid4().hex}, _stream(part), now())
                        for part in parts_of(table, PART_BYTES)
                    ]
            if records:
                self._writer.append(records)
                self._shipper.wake()
            if self.dropped == before:
                self._problem = ""
        except Exception as error:  # noqa: BLE001 - the program that predicts must never notice
            self._drop(f"rows cannot be kept: {error}", len(calls))

    def _read(self, rows: Rows) -> list[pa.Table]:
        try:
            table = plain_strings(table_of(rows()))
        except Exception as error:  # noqa: BLE001 - as above
            self._drop(f"what was logged is no table: {error}")
            return []
        return [table] if table.num_rows else []

    def _drop(self, why: str, calls: int = 1) -> None:
        if not self.dropped:
            _LOG.error("predictions are dropped: %s", why)
        self.dropped += calls
        self._problem = why


def _copied(rows: Any) -> Any:
    """Return rows that the caller cannot change any more; tables of Arrow and Polars never change."""
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        return [dict(row) if isinstance(row, Mapping) else row for row in rows]
    return rows.copy() if hasattr(rows, "copy") else rows


def _together(tables: list[pa.Table], *, in_order: bool) -> list[pa.Table]:
    """Return tables of one schema as one, in the order in which each schema first came.

    `in_order`: only neighbours, because of two labels of one id the last one holds.
    """
    groups: list[tuple[str, list[pa.Table]]] = []
    for table in tables:
        name = table.schema.remove_metadata().to_string()
        known = groups[-1:] if in_order else groups
        group = next((members for other, members in known if other == name), None)
        if group is None:
            groups.append((name, group := []))
        group.append(table.replace_schema_metadata(None))
    return [pa.concat_tables(group) for _, group in groups]


def _stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa_ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return sink.getvalue()


def _usual_spool(model: str) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in model)
    return Path(state) / "pitstop" / "spool" / name
