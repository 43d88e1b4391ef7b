"""Compiles the counting kernels into the package, for wheels and for editable installations.

Any C compiler will do. Where none works, the build asks for `ziglang`, which brings one as an ordinary wheel, so that a
machine with nothing but Python can build Pitstop (docs/decisions/0001-kernels.md).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/pitstop/statistics/_kernels.c")
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
# -ffp-contract=off and no -march=native: the counts must be the same bits on every machine.
FLAGS = ["-std=c99", "-O3", "-shared", "-ffp-contract=off"] + ([] if sys.platform == "win32" else ["-fPIC"])
ZIG = "ziglang>=0.13"
# Without a word about the processor, zig would compile for the one that it runs on.
ZIG_COMMAND = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]


class KernelBuildHook(BuildHookInterface[Any]):
    """Builds one shared library that every Python version can load."""

    def dependencies(self) -> list[str]:
        """Ask for a compiler from the package index only where there is none."""
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder) / f"trial{SUFFIX}"
            works = any(self._compile(compiler, trial) is None for compiler in _installed())
        return [] if works else [ZIG]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile the library beside its source and make the wheel one for this platform."""
        if self.target_name != "wheel":
            return
        library = Path(self.root) / SOURCE.with_suffix(SUFFIX)
        failures = []
        for compiler in (*_installed(), ZIG_COMMAND):
            failure = self._compile(compiler, library)
            if failure is None:
                break
            failures.append(f"{shlex.join(compiler)}: {failure}")
        else:
            msg = (
                "no C compiler could build the kernels:\n"
                + "\n".join(failures)
                + f"\nInstall one, or: pip install {ZIG}"
            )
            raise RuntimeError(msg)
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
        # The library is ignored by git, and hatchling leaves out what git ignores unless it is named.
        build_data["artifacts"].append(f"/{SOURCE.with_suffix(SUFFIX).as_posix()}")

    def _compile(self, compiler: list[str], library: Path) -> str | None:
        """Return what went wrong, or nothing. A library that is in use is replaced, never written into."""
        unfinished = library.with_name(f"{library.name}.{os.getpid()}")
        command = [*compiler, *FLAGS, "-o", str(unfinished), str(Path(self.root) / SOURCE)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                return done.stderr.strip() or f"exit code {done.returncode}"
            unfinished.replace(library)
        except OSError as error:
            return str(error)
        else:
            return None
        finally:
            unfinished.unlink(missing_ok=True)


def _installed() -> list[list[str]]:
    """Return the compilers to try: the one that $CC names, else the usual names that are on the path."""
    if os.environ.get("CC"):
        return [shlex.split(os.environ["CC"])]
    return [[found] for name in ("cc", "gcc", "clang") if (found := shutil.which(name))]
