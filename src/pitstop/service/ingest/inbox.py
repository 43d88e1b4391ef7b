"""The inbox of a workspace: `accept` returns when a batch is durable; storing it is the drain's affair."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from pitstop.errors import OverloadedError, PitstopError, UnknownNameError
from pitstop.service.ingest.batch import LIMITS, Batch, Limits, Receipt, Specs
from pitstop.service.ingest.commits import GroupCommit
from pitstop.service.ingest.drain import RECORDS, SPOOL, Drain
from pitstop.service.ingest.formats import count_rows
from pitstop.store import intake as kept
from pitstop.store.home import LOCK, OURS, Home
from pitstop.store.spool import SpoolWriter, encode_record, spool_bytes, spool_files
from pitstop.store.waiting import count_waiting

# Acknowledged bytes that may wait to be stored. Beyond them senders are asked to wait.
BACKLOG_BYTES = 2 << 30
# What has to stay free on the disk, so that the store can still commit what was acknowledged.
FREE_BYTES = 256 << 20
_LOOK_EVERY = 0.5
# Payloads beyond this are looked through beside the event loop, not in it.
_LARGE = 1 << 17


def wall_clock() -> int:
    """Return now in microseconds."""
    return time.time_ns() // 1_000


class Stores(Protocol):
    """Whoever stores what is in the spool: a `Working` thread, or a process that is kept."""

    @property
    def problem(self) -> str:
        """What it fails at, empty while it works."""


@dataclass(frozen=True)
class InboxState:
    """How the intake is. `ready`: batches are taken in. `problems`: what is wrong, one sentence each; empty: nothing.

    `backlog_bytes`: acknowledged and not stored yet. `quarantined`: batches that wait for a person. `halves`: requests
    without a response and responses without a request.
    """

    ready: bool
    problems: tuple[str, ...]
    backlog_bytes: int
    quarantined: int
    halves: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return asdict(self)


class Inbox:
    """Takes batches in for the models of the workspace in folder `path`; they wait in `spool`, by default in there.

    `specs` gives specifications by name. `clock` gives now in microseconds: it says when a batch was accepted, and
    nothing is computed from it. `working` may be set to whoever stores, for `state`. `accept` may be called from
    several event loops and threads at a time.
    """

    def __init__(
        self,
        path: Path | str,
        specs: Specs,
        *,
        spool: Path | None = None,
        limits: Limits = LIMITS,
        backlog_bytes: int = BACKLOG_BYTES,
        free_bytes: int = FREE_BYTES,
        clock: Callable[[], int] = wall_clock,
    ) -> None:
        self.path = Path(path)
        self.specs = specs
        self.limits = limits
        self.working: Stores | None = None
        self._backlog_limit, self._free_limit = backlog_bytes, free_bytes
        self._clock = clock
        self._spool = spool or self.path / SPOOL
        self._commits = GroupCommit(SpoolWriter(self._spool))
        self._looked = -1.0
        self._since_look = 0
        self._backlog = 0
        self._free: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop taking in; what was accepted is durable."""
        self._commits.close()

    async def accept(self, batch: Batch) -> Receipt:
        """Return when the batch is durable; the same id of a model and kind again is stored once.

        Raises `UnknownNameError` for a model that is not registered, `RecordError` for a payload that is not of its
        format or passes a limit, `OverloadedError` where more came than can be stored, and `SpoolError` where the disk
        refuses. Nothing of the batch was kept then.
        """
        if len(batch.payload) > _LARGE:
            record, receipt = await asyncio.to_thread(self._prepared, batch)
        else:
            record, receipt = self._prepared(batch)
        await self._commits.commit(record)
        return receipt

    def accept_now(self, batch: Batch) -> Receipt:
        """Do the same from a thread that may wait."""
        record, receipt = self._prepared(batch)
        self._commits.commit_now(record)
        return receipt

    def mend(self, number: int, payload: bytes | None = None, kind: str | None = None, by: str = "") -> Receipt:
        """Hand an entry of the quarantine over again: with another payload (in the format `kind`), or as it was.

        The entry is closed once it is stored; where it still cannot be, a new one is made. Raises as `accept` does, and
        `StoreError` where there is no such open entry.
        """
        entry = self._open_entry(number)
        content = entry.payload if payload is None else payload
        batch = Batch(entry.model, entry.kind, kind or entry.format, content, by=by)  # type: ignore[arg-type]
        record, receipt = self._prepared(batch, {"mends": number})
        self._commits.commit_now(record)
        return receipt

    def discard(self, number: int, by: str = "") -> None:
        """Close an entry of the quarantine without storing it. Raises as `mend` does."""
        entry = self._open_entry(number)
        meta = {"model": entry.model, "kind": entry.kind, "by": by, "discards": number}
        self._commits.commit_now(encode_record(meta, b"", self._clock()))

    def erase(self, subject: str, because: str, by: str = "") -> None:
        """Order that a person's received rows and labels are erased, which the worker does next.

        `subject` is a value of the column that `[columns] subject` names, else of `id`; `because` is kept in the open.
        A legal hold in any home of the workspace outranks it. Homes of models are erased by `pitstop erase --home`.
        """
        self._order("", "erasure", {"subject": subject, "because": because}, by)

    def retain(self, model: str, before: int, by: str = "") -> None:
        """Order that a model's received rows of windows before an instant are dropped; counts stay."""
        if self.specs(model) is None:
            msg = f"no model {model!r} is registered here; register it, or check the name"
            raise UnknownNameError(msg)
        self._order(model, "retention", {"before": before}, by)

    def _order(self, model: str, kind: str, content: dict[str, Any], by: str) -> None:
        meta = {"model": model, "kind": kind, "format": "json", "by": by}
        self._commits.commit_now(encode_record(meta, json.dumps(content).encode(), self._clock()))
        # So that the file in which the order (and the rows) stand goes as soon as it is stored.
        self._commits.finish_file()

    def quarantined(self, model: str | None = None, *, closed: bool = False) -> tuple[kept.Quarantined, ...]:
        """Return the entries of the quarantine, oldest first, without payloads; only the open ones unless `closed`."""
        if not self._has_records():
            return ()
        with Home.open(self.path / RECORDS, read_only=True) as home:
            return kept.quarantined(home, model, closed=closed)

    def quarantined_batch(self, number: int) -> kept.Quarantined:
        """Return one entry with its payload; raise `StoreError` where there is none of that number."""
        with Home.open(self.path / RECORDS, read_only=True) as home:
            return kept.quarantined_batch(home, number)

    def _halves(self) -> int:
        if not self._has_records():
            return 0
        with Home.open(self.path / RECORDS, read_only=True) as home:
            return sum(count_waiting(home).values())

    def drain(self) -> Drain:
        """Return the drain of this workspace, for the one process or thread that stores; the caller closes it."""
        return Drain(self.path, self.specs, self._spool)

    def state(self) -> InboxState:
        """Return how the intake is, for /readyz. Never raises."""
        problems = [str(self._commits.error)] if self._commits.error is not None else []
        self._look(now=True)
        if self._full() is not None:
            problems.append(str(self._full()))
        if self.working is not None and self.working.problem:
            problems.append(self.working.problem)
        try:
            waiting, halves = len(self.quarantined()), self._halves()
        except PitstopError as error:
            waiting = halves = 0
            problems.append(str(error))
        return InboxState(not problems, tuple(dict.fromkeys(problems)), self._backlog, waiting, halves)

    def _prepared(self, batch: Batch, more: dict[str, Any] | None = None) -> tuple[bytes, Receipt]:
        if self.specs(batch.model) is None:
            msg = f"no model {batch.model!r} is registered here; register it, or check the name"
            raise UnknownNameError(msg)
        rows = count_rows(batch.format, batch.payload, self.limits)
        self._refuse_overload(len(batch.payload))
        meta: dict[str, Any] = {"model": batch.model, "kind": batch.kind, "format": batch.format}
        if batch.id:
            meta["id"] = batch.id
        if batch.by:
            meta["by"] = batch.by
        return encode_record(meta | (more or {}), batch.payload, self._clock()), Receipt(rows)

    def _refuse_overload(self, size: int) -> None:
        self._since_look += size
        self._look()
        problem = self._full()
        if problem is not None:
            raise problem

    def _full(self) -> OverloadedError | None:
        if self._backlog + self._since_look > self._backlog_limit:
            msg = (
                f"{self._backlog:,} bytes are acknowledged and not stored yet, and at most {self._backlog_limit:,} may "
                "be; send the batch again later, and see whether the worker runs"
            )
            return OverloadedError(msg, 5)
        if self._free is not None and self._free < self._free_limit:
            msg = (
                f"only {self._free:,} bytes are free on the disk of {self._spool}, and {self._free_limit:,} are kept "
                "for the store; make room"
            )
            return OverloadedError(msg, 30)
        return None

    def _look(self, *, now: bool = False) -> None:
        """Look from time to time how much waits and how much room there is."""
        moment = time.monotonic()
        if not now and moment - self._looked < _LOOK_EVERY and self._since_look < self._backlog_limit // 16:
            return
        self._looked, self._since_look = moment, 0
        self._backlog = spool_bytes(self._spool)
        if now or self._backlog > self._backlog_limit // 2:
            self._backlog -= self._stored_in_live_files()
        try:
            self._free = shutil.disk_usage(self._spool if self._spool.is_dir() else self.path).free
        except OSError:
            self._free = None

    def _has_records(self) -> bool:
        folder = self.path / RECORDS
        return folder.is_dir() and any(path.name in OURS - {LOCK} for path in folder.iterdir())

    def _stored_in_live_files(self) -> int:
        """Return how many of the spool's bytes are stored already; their files go when nobody writes them any more."""
        if not self._has_records():
            return 0
        try:
            with Home.open(self.path / RECORDS, read_only=True) as home:
                stored = kept.stored_of(home)
        except PitstopError:
            return 0
        return sum(stored.get(path.name, 0) for path in spool_files(self._spool))

    def _open_entry(self, number: int) -> kept.Quarantined:
        entry = self.quarantined_batch(number)
        if entry.state != "open" or not entry.model:
            why = f"is {entry.state} already" if entry.state != "open" else "belongs to no model and can only be read"
            msg = f"entry {number} of the quarantine {why}; list it for those that are open"
            raise UnknownNameError(msg)
        return entry
