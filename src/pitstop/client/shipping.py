"""Ships what lies in a local spool to a service, from a thread; what it could not ship stays for the next process."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from pathlib import Path

from pitstop.client.posting import Answer, Poster
from pitstop.errors import PitstopError
from pitstop.store.spool import SpoolRecord, encode_record, read_part, remove_file, spool_files

_LOG = logging.getLogger("pitstop")
PAUSE = 0.5
LONGEST_WAIT = 60.0
REFUSED = "refused"
_SENT = ".sent"


class Shipper:
    """A thread that posts the records of a spool in order. Of several processes with one spool one ships at a time.

    `problem` says why they do not arrive, or why the last one was refused; empty where they do. Of refused batches as
    many are kept as have `refused_bytes`.
    """

    def __init__(self, spool: Path, poster: Poster, refused_bytes: int) -> None:
        self.spool = spool
        self.problem = ""
        self._poster = poster
        self._refused, self._refused_limit = "", refused_bytes
        self._refused_size: int | None = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self._idle = threading.Event()
        self._lock: int | None = None
        self._thread = threading.Thread(target=self._run, name="pitstop-ship", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to ship."""
        # In this order: whichever comes last, the thread's word or this one, it is not idle before it has looked.
        self._wake.set()
        self._idle.clear()

    def close(self, seconds: float) -> None:
        """Ship for `seconds` more at most, then end."""
        self.wake()
        self._idle.wait(seconds)
        self._stop.set()
        self._wake.set()
        self._thread.join(max(seconds, 0.1))

    def drop_inherited(self) -> None:
        """Close what a forked child has of its parent's lock: else nobody could ship once the parent has ended."""
        self._give_back()

    def _give_back(self) -> None:
        descriptor, self._lock = self._lock, None
        if descriptor is not None:
            os.close(descriptor)

    def _run(self) -> None:
        wait = PAUSE
        while not self._stop.is_set():
            self._wake.wait(wait)
            self._wake.clear()
            try:
                answer = self._ship_all()
            except (PitstopError, OSError) as error:
                answer = Answer("later", str(error))
            except Exception as error:  # noqa: BLE001 - a thread that ended without a word would ship nothing any more
                answer = Answer("later", f"{type(error).__name__}: {error}")
            if answer.outcome == "later":
                if not self.problem:
                    _LOG.warning("predictions wait in %s: %s", self.spool, answer.detail)
                self.problem = answer.detail
                # Twice as long each time, unless the service says how long.
                wait = min(answer.wait or 2 * max(wait, PAUSE), LONGEST_WAIT)
                self._stop.wait(wait)
                self._wake.set()  # it was waited already
            else:
                self.problem, wait = self._refused, PAUSE
                self._idle.set()
                if self._wake.is_set():
                    self._idle.clear()
        self._poster.close()
        self._give_back()

    def _ship_all(self) -> Answer:
        if not self._alone():
            return Answer("taken")
        for path in spool_files(self.spool):
            sent = path.with_suffix(_SENT)
            start = _read_sent(sent)
            part = read_part(path, start)
            for record in part.records:
                answer = self._ship(record)
                if answer.outcome == "later" or self._stop.is_set():
                    return answer
                _write_sent(sent, record.end)
            if part.over:
                remove_file(path)
                sent.unlink(missing_ok=True)
        return Answer("taken")

    def _ship(self, record: SpoolRecord) -> Answer:
        meta = record.meta
        answer = self._poster.post(meta["model"], meta["kind"], bytes(record.payload), name=meta["id"])
        if answer.outcome == "refused":
            self._refused = answer.detail
            self._set_aside(record, answer.detail)
        elif answer.outcome == "taken":
            self._refused = ""
        return answer

    def _set_aside(self, record: SpoolRecord, why: str) -> None:
        """Keep a refused batch, because the rows may be right and the service set up wrongly."""
        folder, meta = self.spool / REFUSED, record.meta
        content = encode_record(meta, record.payload, record.at)
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._refused_size is None or self._refused_size + len(content) > self._refused_limit:
            # Somebody may have looked through them and deleted some.
            self._refused_size = sum(path.stat().st_size for path in folder.iterdir())
        if self._refused_size + len(content) > self._refused_limit:
            _LOG.error("a batch of %s was refused and dropped, because %s is full: %s", meta["kind"], folder, why)
            return
        path = folder / f"{meta['id']}.record"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        self._refused_size += len(content)
        _LOG.error("a batch of %s was refused and set aside in %s: %s", meta["kind"], folder, why)

    def _alone(self) -> bool:
        """Return whether this process ships from this spool; become the one where there is none."""
        if self._lock is not None:
            return True
        if not self.spool.is_dir():
            return False
        descriptor = os.open(self.spool / "ship.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True


def _read_sent(path: Path) -> int:
    try:
        return int(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return 0


def _write_sent(path: Path, end: int) -> None:
    # Not synced: after a loss of power a batch is posted again, under the same name.
    part = path.with_suffix(".part")
    part.write_text(str(end), encoding="utf-8")
    part.replace(path)


def now() -> int:
    """Return now in microseconds."""
    return time.time_ns() // 1_000
