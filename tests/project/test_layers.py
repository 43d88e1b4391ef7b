"""The shape of the code: layers without holes, no cycles, pure rooms, one error tree, small files."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "src" / "pitstop"
FILES = sorted(SOURCE.rglob("*.py"))
LINES = 400

# Rooms without I/O, clocks, environment and chance (DESIGN: layers). `retraining` has a sandbox and `records` a reader.
PURE = (
    *("statistics", "profile", "profile.py", "baseline", "baseline.py", "monitors", "detection", "diagnosis"),
    *("incidents", "incidents.py", "value", "strategy", "journal", "report", "check", "check.py", "errors.py"),
)
IMPURE_MODULES = {
    *("time", "os", "socket", "subprocess", "random", "secrets", "tempfile", "shutil", "sqlite3", "threading"),
    *("multiprocessing", "asyncio", "urllib", "http", "logging", "uuid", "locale", "getpass", "sqlalchemy"),
}
IMPURE_CALLS = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid4", "open", "input", "print"),
    *("np.random.seed", "np.random.rand", "np.random.randn", "np.random.random", "np.random.choice", "random.random"),
}


def contract() -> dict[str, Any]:
    """Return the layers contract of pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (only,) = settings["contracts"]
    assert only["type"] == "layers"
    return dict(only)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Return which module imports which."""
    return grimp.build_graph("pitstop", cache_dir=None)


def test_a_module_imports_only_downwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None) == EXIT_STATUS_SUCCESS


def test_every_room_has_its_layer() -> None:
    layered = {name.strip("() ") for layer in contract()["layers"] for name in layer.split("|")}
    rooms = {
        f"pitstop.{path.stem}" for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - layered == {"pitstop.__init__", "pitstop.version"}


def test_there_is_no_cycle(graph: grimp.ImportGraph) -> None:
    done: set[str] = set()
    cycles: list[list[str]] = []

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            cycles.append([*path[path.index(module) :], module])
        elif module not in done:
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                walk(imported, [*path, module])
            done.add(module)

    for module in sorted(graph.modules):
        walk(module, [])
    assert cycles == []


def impurities(tree: ast.AST) -> Iterator[str]:
    """Yield what a module does that a pure one may not: by import, or by call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {alias.name}" for alias in node.names if alias.name.split(".")[0] in IMPURE_MODULES)
        elif (
            isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] in IMPURE_MODULES
        ):
            yield f"from {node.module} import ..."
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in IMPURE_CALLS or (name.endswith("default_rng") and not node.args):
                yield f"{name}() in line {node.lineno}"


def test_pure_rooms_have_no_clock_no_chance_no_files_and_no_environment() -> None:
    found = {
        str(path.relative_to(SOURCE)): list(impurities(ast.parse(path.read_text(encoding="utf-8"))))
        for path in FILES
        if path.relative_to(SOURCE).parts[0] in PURE
    }
    assert len(found) > 10
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "code",
    ["import time", "from os import environ", "datetime.now(tz=UTC)", "np.random.default_rng()", "open('x')"],
)
def test_the_reader_of_impurities_sees_them(code: str) -> None:
    assert len(list(impurities(ast.parse(code)))) == 1


def test_the_error_tree_is_in_one_file() -> None:
    names = {
        node.name
        for node in ast.parse((SOURCE / "errors.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    known = names | {"Exception", "BaseException", "ValueError", "TypeError", "RuntimeError", "OSError", "KeyError"}
    elsewhere = [
        f"{path.relative_to(SOURCE)}: {node.name}"
        for path in FILES
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) in known for base in node.bases)
    ]
    assert elsewhere == []


def test_no_file_is_longer_than_one_concept() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path: lines for path, lines in lengths.items() if lines > LINES} == {}
