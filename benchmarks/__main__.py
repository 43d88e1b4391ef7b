"""`python -m benchmarks [NAME] [--quick] [--data DIR] [--json] [--save]`: run one benchmark, or list them.

A full run writes its result to `benchmarks/results/NAME.json`; a quick one only with `--save`.

The exit code is 0 if every bar holds, 1 if one does not, 2 if the benchmark is unknown or its data are absent.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import benchmarks
from benchmarks.result import MissingDataError, Result

# The benchmark tables lie beside the checkout; they are not part of the project (their terms differ).
DEFAULT_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
RESULTS = Path(__file__).resolve().parent / "results"
FRAME = {"__main__", "result", "environments"}


def names() -> list[str]:
    """Return the benchmarks that exist: every module beside the frame's own, and beside parts of a benchmark.

    A part is called after its benchmark: `speed_workload` belongs to `speed`.
    """
    found = {module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg} - FRAME
    return sorted(name for name in found if not ("_" in name and name.partition("_")[0] in found))


def load(name: str) -> ModuleType:
    """Import one benchmark."""
    return importlib.import_module(f"benchmarks.{name}")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as aligned text; the columns are those of all rows, in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *[[_text(row.get(column, "")) for column in columns] for row in rows]]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def _text(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def show(result: Result) -> None:
    """Print the measurements, then each bar with its verdict."""
    if result.rows:
        print(table(result.rows))
    for bar in result.bars:
        verdict = "holds" if bar.holds else "FAILS"
        value = "not measured" if bar.value is None else f"{bar.value:,.4g}"
        text = f" {bar.text}" if bar.text else ""
        print(f"{verdict}: {bar.name}:{text} {value} ({bar.side} {bar.bound:,.4g})")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run one benchmark, or list them.")
    parser.add_argument("name", nargs="?", help="which one; without it, all are listed")
    parser.add_argument("--quick", action="store_true", help="the small form: seconds instead of minutes")
    parser.add_argument("--data", type=Path, help="folder of the benchmark tables (default: ../shared/data)")
    parser.add_argument("--json", action="store_true", help="print one JSON object: rows, bars, machine")
    parser.add_argument("--save", action="store_true", help="write results/NAME.json after a quick run as well")
    arguments = parser.parse_args(argv)
    known = names()
    if arguments.name is None:
        for name in known:
            print(f"{name:16} {(load(name).__doc__ or '').strip().splitlines()[0]}")
        return 0
    if arguments.name not in known:
        print(f"no benchmark is called {arguments.name!r}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    if arguments.data is not None and not arguments.data.is_dir():
        print(f"--data is {arguments.data}, which is not a folder", file=sys.stderr)
        return 2
    data = arguments.data or (DEFAULT_DATA if DEFAULT_DATA.is_dir() else None)
    try:
        result: Result = load(arguments.name).run(quick=arguments.quick, data=data)
    except MissingDataError as error:
        print(f"{arguments.name} skipped: {error}; name the folder with --data", file=sys.stderr)
        return 2
    if arguments.save or not arguments.quick:
        result.save(RESULTS / f"{arguments.name}.json")
    if arguments.json:
        print(json.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        show(result)
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
