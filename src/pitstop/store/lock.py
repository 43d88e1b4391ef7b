"""One process writes in a home: an advisory lock on `home.lock`, which names its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pitstop.errors import StoreBusyError
from pitstop.store.disk import disk_errors


class HomeLock:
    """Held from construction until `release`; the kernel frees it when the process dies, however it dies.

    `crashed` tells that the last holder did not release it in order: whatever it had begun is still lying about.
    """

    def __init__(self, path: Path) -> None:
        with disk_errors("lock", path.parent):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
                _lock(self._descriptor, path, holder)
                self.crashed = bool(holder)
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
                # If power fails while we work, the next holder has to know that we did.
                os.fsync(self._descriptor)
            except BaseException:
                os.close(self._descriptor)
                raise

    def release(self, *, orderly: bool) -> None:
        """Free the lock; `orderly` says that nothing unfinished was left behind."""
        if orderly:
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _lock(descriptor: int, path: Path, holder: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        msg = (
            f"process {holder or 'unknown'} is working in {path.parent}; "
            "wait until it ends, stop it, or choose another home"
        )
        raise StoreBusyError(msg) from error
