"""Print the installed packages of this environment with their size and licence, as a Markdown table.

The figures of docs/decisions/0002-dependencies.md come from it, run in an environment that holds one lock file only.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

MEBIBYTE = 2**20


def licence(package: importlib.metadata.Distribution) -> str:
    """Return a licence's short name, from the expression, else from the classifiers, else from the old field."""

    def all_of(field: str) -> list[str]:
        return package.metadata.get_all(field) or []

    classes = [line.split(" :: ")[-1] for line in all_of("Classifier") if line.startswith("License ::")]
    text = ", ".join(all_of("License-Expression") or classes or all_of("License")) or "?"
    return text.splitlines()[0]


def size(package: importlib.metadata.Distribution) -> float:
    """Return the MiB of a package's files, without the byte code that Python adds."""
    paths = [Path(str(file.locate())) for file in package.files or [] if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file()) / MEBIBYTE


def main() -> None:
    """Print the table, largest first, and the sum."""
    packages = {package.name: package for package in importlib.metadata.distributions()}
    sizes = {name: size(package) for name, package in packages.items()}
    print("| package | version | MiB | licence |\n|---|---|---|---|")
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        print(f"| {name} | {packages[name].version} | {sizes[name]:.1f} | {licence(packages[name])} |")
    print(f"| all | | {sum(sizes.values()):.1f} | |")


if __name__ == "__main__":
    main()
