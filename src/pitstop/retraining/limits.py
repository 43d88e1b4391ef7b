"""Limits of a trainer's run, and how much of them its processes use (read from /proc, where there is one)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
from dataclasses import dataclass
from pathlib import Path

from pitstop.records.spec import TrainerSection

MIB = 1 << 20
_PROC = Path("/proc")


@dataclass(frozen=True)
class Limits:
    """What one call (a training or a scoring run) may use.

    Wall time in seconds; memory of all its processes and files of its folder in MiB; bytes of one answer line and
    of the log on stderr. Memory is watched, not reserved by an address-space limit: those break BLAS and the JVM.
    """

    wall_seconds: float = 600.0
    memory_mib: int = 4096
    disk_mib: int = 2048
    answer_bytes: int = MIB
    log_bytes: int = 64 * MIB

    @classmethod
    def of(cls, section: TrainerSection) -> Limits:
        """Return the limits of `[trainer]`."""
        return cls(section.wall_seconds, section.memory_mib, section.disk_mib)


def family(root: int) -> list[int]:
    """Return the living processes of a run: `root`, its descendants, the rest of its session. Empty without /proc."""
    parents: dict[int, int] = {}
    members = set()
    for entry in _numbers():
        try:
            # The command's name may hold spaces and brackets; the numbers start after the last ")".
            fields = (_PROC / entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] in "ZX":
            continue
        pid = int(entry)
        parents[pid] = int(fields[1])
        if pid == root or int(fields[3]) == root:
            members.add(pid)
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in members} - members
        members |= children
        grown = bool(children)
    return sorted(members)


def strays(home: Path) -> list[int]:
    """Return processes started with `HOME` set to this folder or one in it, also those that left their session."""
    mark = b"HOME=" + os.fsencode(home)
    found = []
    for entry in _numbers():
        with contextlib.suppress(OSError):
            content = (_PROC / entry / "environ").read_bytes()
            if mark in content and any((word + b"/").startswith(mark + b"/") for word in content.split(b"\0")):
                found.append(int(entry))
    return found


def memory_bytes(pids: list[int]) -> int:
    """Return the memory of processes, each shared page counted once per process that maps it."""
    total = 0
    page = os.sysconf("SC_PAGE_SIZE")
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            total += int((_PROC / str(pid) / "statm").read_text().split()[1]) * page
    return total


def fair_memory_bytes(pids: list[int]) -> int:
    """Return the memory of processes with shared pages divided among them: exact, but slower to read."""
    total = 0
    for pid in pids:
        try:
            lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            total += memory_bytes([pid])
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def folder_bytes(folder: Path) -> int:
    """Return the bytes that the files of a folder take on disk; files that vanish meanwhile count as nothing."""
    total = 0
    for place, folders, files in os.walk(folder, onerror=None):
        for name in (*files, *folders):
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(place, name))  # noqa: PTH118  # os.walk gives strings; a Path each would be slow
                total += status.st_blocks * 512 if stat.S_ISREG(status.st_mode) else 0
    return total


def kill_all(root: int, home: Path) -> None:
    """Kill a run's whole process group, session and descendants, and strays that carry its folder as `HOME`."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(root, signal.SIGKILL)
    # A process may fork between listing and killing, so it is repeated until none is left (a few rounds suffice).
    for _ in range(20):
        left = [pid for pid in {*family(root), *strays(home)} if pid != root and pid != os.getpid()]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def remove(path: Path) -> None:
    """Remove a file or folder, also where a trainer took rights away from it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        for place, folders, _ in os.walk(path):
            for folder in folders:
                (Path(place) / folder).chmod(0o700)
        path.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)


def _numbers() -> list[str]:
    try:
        return [name for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208  # names, not Path objects, are wanted
    except OSError:
        return []
