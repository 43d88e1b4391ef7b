"""What this platform allows for keeping a trainer apart, found out by trying."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PROBE_SECONDS = 10.0
_NETWORK = ("--user", "--map-current-user", "--net")
_PROCESSES = ("--pid", "--fork", "--kill-child=KILL")
# Best first. Containers often refuse a new /proc, and some kernels refuse user namespaces altogether.
_ATTEMPTS = ((*_NETWORK, *_PROCESSES, "--mount-proc"), (*_NETWORK, *_PROCESSES), _NETWORK)
# As process 1 of its namespace a program would ignore signals that it has no handler for, so a shell takes that place;
# `exit` keeps it from replacing itself by the program. The program's words are arguments, never shell text.
_INIT = ("/bin/sh", "-c", '"$@"; exit $?', "sh")


@dataclass(frozen=True)
class Isolation:
    """Which walls stand around a trainer's process.

    `network`: it has no network. `processes`: it cannot outlive its run nor see other processes' signals. `hidden`:
    it sees only its own processes. `memory`: the memory of its processes can be watched. `files`: the size of one
    file is limited by the kernel. `ordinary_user`: it does not run as root. Everywhere: own session, scrubbed
    environment, private folder, limits of time, disk and output.
    """

    network: bool = False
    processes: bool = False
    hidden: bool = False
    memory: bool = False
    files: bool = False
    ordinary_user: bool = True
    prefix: tuple[str, ...] = ()

    def wrapped(self, argv: tuple[str, ...], file_bytes: int) -> list[str]:
        """Return the command that starts `argv` behind these walls, no file of it above `file_bytes`."""
        limited = ("prlimit", f"--fsize={file_bytes}", "--core=0", "--", *argv) if self.files else argv
        return [*self.prefix, *(_INIT if self.processes else ()), *limited]

    def sentences(self) -> list[str]:
        """Return what holds and what does not, one plain sentence each."""
        return [
            "Trainers have no network." if self.network else "Trainers can reach the network.",
            "No process of a trainer outlives its run."
            if self.processes
            else "Processes that a trainer starts are killed as far as they can be found.",
            "Trainers see only their own processes." if self.hidden else "Trainers can see other processes.",
            "Memory of trainers is limited."
            if self.memory
            else "Memory of trainers is not limited: there is no /proc.",
            "Trainers run as an ordinary user."
            if self.ordinary_user
            else "Trainers run as root and may read and write any file; run Pitstop as an ordinary user.",
        ]


def probe_isolation() -> Isolation:
    """Try which walls this platform allows (some 10 ms). Never raises: what cannot be had is reported as missing."""
    prefix: tuple[str, ...] = ()
    program = shutil.which("unshare")
    for flags in _ATTEMPTS if program else ():
        if _works((program or "unshare", *flags, "true")):
            prefix = (program or "unshare", *flags)
            break
    return Isolation(
        network="--net" in prefix,
        processes="--pid" in prefix,
        hidden="--mount-proc" in prefix,
        memory=Path("/proc/self/statm").exists(),
        files=_works(("prlimit", "--core=0", "--", "true")),
        ordinary_user=os.geteuid() != 0,
        prefix=prefix,
    )


def _works(argv: tuple[str, ...]) -> bool:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
