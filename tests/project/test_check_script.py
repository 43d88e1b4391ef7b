"""`make test` itself: it counts what pytest reports, and CI cannot pass by skipping."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))  # scripts are no part of the package
check = importlib.import_module("check")
MAKE = shutil.which("make") or "make"

SUITE = """
import pytest

def test_good(): assert True
def test_data(): pytest.skip("needs ../shared/data")
"""
PROGRAM_MISSING = """
def test_program(): pytest.skip("no unshare program")
"""
BAD = """
def test_bad(): assert False
"""


def project(folder: Path, suite: str) -> Path:
    """Return a folder that holds one test module and the settings that the script relies on."""
    (folder / "test_suite.py").write_text(suite, encoding="utf-8")
    settings = '[pytest]\nmarkers =\n  slow: slow\n  simulation: simulation\naddopts = -m "not slow"\n'
    (folder / "pytest.ini").write_text(settings, encoding="utf-8")
    return folder


def run_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the first test stage of the script as if `folder` were the project."""
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        monkeypatch.delenv(name)  # an outer pytest-xdist would make the inner one a worker
    monkeypatch.setattr(check, "ROOT", folder)
    monkeypatch.setattr(check, "PARALLEL", ())
    monkeypatch.setattr(sys, "argv", ["check.py", "--only", "tests", *arguments])
    return int(check.main())


def test_a_good_suite_passes_and_its_counts_are_the_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_in(project(tmp_path, SUITE), monkeypatch, "--no-skips") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == "1 passed, 0 failed, 1 skipped"
    assert any("test_data: " in line and "shared/data" in line for line in printed)


@pytest.mark.slow
def test_data_that_are_there_are_no_reason_to_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert run_in(project(checkout, SUITE), monkeypatch, "--no-skips") == 1


@pytest.mark.slow
def test_a_skip_for_another_reason_fails_where_skips_are_forbidden_and_only_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path, SUITE + PROGRAM_MISSING)
    assert run_in(folder, monkeypatch) == 0
    assert run_in(folder, monkeypatch, "--no-skips") == 1


@pytest.mark.slow
def test_a_failing_test_fails_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_in(project(tmp_path, SUITE + BAD), monkeypatch) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed, 1 skipped"


@pytest.mark.slow
def test_a_project_without_tests_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_in(project(tmp_path, ""), monkeypatch) == 1


@pytest.mark.slow
def test_a_test_module_that_does_not_import_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_in(project(tmp_path, SUITE + "\nimport no_such_module_of_ours\n"), monkeypatch) == 1


def test_the_makefile_names_one_sentence_where_python_is_too_old_or_incomplete(tmp_path: Path) -> None:
    old = tmp_path / "python-old"
    for version, sentence in (("(3, 9)", "needs Python 3.11 or newer"), ("(3, 12)", "apt-get install python3-venv")):
        old.write_text(FAKE_PYTHON.format(python=sys.executable, version=version), encoding="utf-8")
        old.chmod(0o755)
        done = subprocess.run(
            [MAKE, "-C", str(ROOT), f"VENV={tmp_path / 'venv'}", f"PYTHON={old}", f"{tmp_path / 'venv'}/.made"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert sentence in done.stderr
        assert not (tmp_path / "venv").exists()


# An interpreter that says it has another version, and that has no ensurepip (as Debian's python3 without python3-venv).
FAKE_PYTHON = """#!{python}
import sys
class Version(tuple): pass
sys.version_info = Version({version} + (0,))
sys.version = ".".join(map(str, sys.version_info)) + " (fake)"
sys.modules["ensurepip"] = None
exec(sys.argv[2])
"""
