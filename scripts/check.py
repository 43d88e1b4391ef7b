"""Run what `make test` promises: lint, types, layers, reference pages, then the tests; print times and skips.

Standard library only. Stages go on after one failed, so that one run shows everything; the exit code is 1 if any
stage failed. The last line counts all tests of all suites.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
# The benchmark tables lie beside the checkout: their terms keep them out of it. Where they are absent, a test that
# needs them skips with a reason that names the folder, and that is no fault of the machine.
DATA = "shared/data"
NO_TESTS_COLLECTED = 5
# Two processes at most: some tests start processes of their own.
PARALLEL = ("-n", str(min(2, os.cpu_count() or 1)), "--dist", "worksteal")
# Hypothesis draws the same examples each time and has no deadline, which a busy machine would break. Running pytest by
# hand draws new ones.
REPEATABLE = ("--hypothesis-profile=ci",)

STAGES: dict[str, tuple[tuple[str, ...], ...]] = {
    "lint": (
        (PYTHON, "-m", "ruff", "check", "."),
        (PYTHON, "-m", "ruff", "format", "--check", "."),
    ),
    "types": ((PYTHON, "-m", "mypy"),),
    "layers": (
        (PYTHON, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
        (PYTHON, "scripts/reference.py", "--check"),
    ),
}
SUITES: dict[str, tuple[str, ...]] = {
    "tests": (),
    # -m on the command line replaces the one of pyproject.toml.
    "slow tests": ("-m", "slow or simulation"),
    # One process: they share one service and one Chromium. Skipped where Chromium or Playwright is missing.
    "browser tests": ("-m", "browser", "-n", "0"),
    # One process: it starts a cluster of its own. Skipped where PySpark or Java is missing.
    "spark tests": ("-m", "spark", "-n", "0"),
}


@dataclass
class Tests:
    """What the suites reported, added up."""

    passed: int = 0
    failed: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def add(self, report: Path) -> None:
        """Count the cases of one JUnit report."""
        for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it a second ago
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
            elif skip is not None:
                self.skipped.append((f"{case.get('classname')}::{case.get('name')}", skip.get("message") or ""))
            else:
                self.passed += 1

    @property
    def forbidden_skips(self) -> list[tuple[str, str]]:
        """The skips that CI does not accept."""
        absent = not (ROOT.parent / DATA).is_dir()
        return [(name, why) for name, why in self.skipped if not (absent and DATA in why)]


def run(command: tuple[str, ...]) -> int:
    """Run one command in the project's root, one numeric thread per process, and return its exit code."""
    # With two test processes on two cores, more threads only wait for each other (a fit took nine times as long).
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def run_suite(options: tuple[str, ...], tests: Tests) -> int:
    """Run pytest once and add up what it reports; a suite with no test yet is not a failure."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = (PYTHON, "-m", "pytest", "-q", *PARALLEL, *REPEATABLE, f"--junitxml={report}", *options)
        code = run(command)
        if report.exists():
            tests.add(report)
    return 0 if code == NO_TESTS_COLLECTED else code


def main() -> int:
    """Run the stages that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*STAGES, *SUITES], action="append", help="run only this stage")
    parser.add_argument("--no-skips", action="store_true", help="a skipped test is a failure, except for absent data")
    arguments = parser.parse_args()
    wanted = arguments.only or [*STAGES, *SUITES]

    tests, results = Tests(), []
    for stage in wanted:
        print(f"\n== {stage}", flush=True)
        start = time.perf_counter()
        if stage in SUITES:
            failed = run_suite(SUITES[stage], tests) != 0
        else:
            failed = sum(run(command) != 0 for command in STAGES[stage]) > 0
        results.append((stage, failed, time.perf_counter() - start))

    if tests.skipped:
        print(f"\n== {len(tests.skipped)} skipped")
        for name, why in tests.skipped:
            print(f"  {name}: {why}")
    if not tests.passed and set(wanted) & set(SUITES):
        results.append(("no test ran", True, 0.0))
    if arguments.no_skips and tests.forbidden_skips:
        results.append((f"{len(tests.forbidden_skips)} tests skipped that this machine should run", True, 0.0))

    print("\n== summary")
    for stage, failed, seconds in results:
        print(f"  {'FAILED' if failed else 'ok':6} {seconds:6.1f} s  {stage}")
    if set(wanted) & set(SUITES):
        print(f"{tests.passed} passed, {tests.failed} failed, {len(tests.skipped)} skipped")
    return 1 if any(failed for _, failed, _ in results) else 0


if __name__ == "__main__":
    sys.exit(main())
