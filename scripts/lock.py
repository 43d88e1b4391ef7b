"""Write the lock files in requirements/ from pyproject.toml, for every supported Python and platform, with hashes.

Run by `make lock`. The lock files are plain requirement files, so that a machine with nothing but python3 and pip can
install them; `uv` is only needed here, to resolve for all platforms at once. No address of a package index is
written, so that a mirror serves as well.

Options after the script's name go to `uv pip compile`, e.g. `--upgrade` or `--upgrade-package numpy`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = "3.11"
PROJECT = "pyproject.toml"
# `dev` comes first, and the others are constrained by it: one version of a package in all of them.
SAME_AS_DEV = ("--constraint", "requirements/dev.txt")
# The tests cover the service, so that their environment has what it needs; `run` stays small.
SERVICE = ("--extra", "server", "--extra", "notify", "--extra", "postgres", "--extra", "otel")
LOCKS: dict[str, tuple[str, ...]] = {
    "dev": (PROJECT, *SERVICE, "--group", "test", "--group", "lint", "--group", "build"),
    "run": (PROJECT, *SAME_AS_DEV),
    "contract": (PROJECT, *SERVICE, "--group", "test", "--group", "contract", *SAME_AS_DEV),
    "served": (PROJECT, "--extra", "server", *SAME_AS_DEV),
    "browser": ("--group", "browser", *SAME_AS_DEV),
    "spark": (PROJECT, "--extra", "spark", *SAME_AS_DEV),
    # A server that tests start, in an environment of its own: what it needs is nobody else's business.
    "mlflow": ("--group", "mlflow"),
    "build": ("--group", "build", *SAME_AS_DEV),
    "compiler": ("--group", "compiler", *SAME_AS_DEV),
    "oldest": (PROJECT, *SERVICE, "--group", "test", "--group", "build", "--resolution", "lowest-direct"),
}


def compile_command(name: str, extra: list[str]) -> list[str]:
    """Return the argv that writes one lock file."""
    return [
        *("uv", "pip", "compile", *LOCKS[name], "--universal", "--python-version", OLDEST_PYTHON),
        *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--quiet"),
        *("--custom-compile-command", "make lock", "--output-file", f"requirements/{name}.txt", *extra),
    ]


def main() -> int:
    """Write all lock files; stop at the first that cannot be resolved."""
    for name in LOCKS:
        print(f"requirements/{name}.txt", flush=True)
        subprocess.run(compile_command(name, sys.argv[1:]), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
