"""Importing Pitstop is fast, does nothing, and needs nothing optional."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Only modules that need them may load these, and `import pitstop` is not one of them.
HEAVY = ("sklearn", "scipy", "pandas", "polars", "duckdb", "joblib", "sqlalchemy", "typer", "rich", "cryptography")
OPTIONAL = ("pandas", "polars", "duckdb", "pyspark", "typst", "ziglang", "pytest", "hypothesis")
# The extras `server` and `notify`: the packages `service` and `cli` import them where they are used.
SERVER = (
    *("starlette", "uvicorn", "uvloop", "httptools", "jinja2", "multipart", "python_multipart", "dbos", "psycopg"),
    *("authlib", "joserfc", "httpx2", "prometheus_client", "apprise", "msgspec"),
)
# What numpy and pyarrow need by themselves is about 0.3 s on the machine this was set on; see the report of the test.
CPU_SECONDS = 1.0

WATCH = """
import sys, json
seen = []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & 0o1103:  # write, create or truncate
        seen.append([event, str(arguments[0])])
    elif event.split(".")[0] in {"socket", "subprocess", "urllib", "sqlite3", "shutil", "tempfile"}:
        seen.append([event, repr(arguments)[:200]])
    elif event in {"os.putenv", "os.unsetenv", "os.system", "os.exec", "os.fork", "os.mkdir", "os.remove", "os.rename"}:
        seen.append([event, repr(arguments)[:200]])
sys.dont_write_bytecode = True
import numpy, pyarrow  # what others do on import is theirs
import pyarrow.compute, pyarrow.parquet, pyarrow.csv, pyarrow.dataset, platform
platform.machine(), platform.system()
import threading, signal
threads, handlers = threading.active_count(), [signal.getsignal(n) for n in signal.valid_signals()]
environment = dict(__import__("os").environ)
sys.addaudithook(hook)
import pitstop
assert threading.active_count() == threads, "a thread was started"
assert [signal.getsignal(n) for n in signal.valid_signals()] == handlers, "a signal handler was set"
assert dict(__import__("os").environ) == environment, "the environment was changed"
print(json.dumps(seen))
"""

ALL_MODULES = """
import importlib, pkgutil, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {optional}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (absent in this test)", name=name)
sys.meta_path.insert(0, Absent())
import pitstop
count = 0
for module in pkgutil.walk_packages(pitstop.__path__, "pitstop."):
    if module.name.startswith("pitstop.service.") and module.name != "pitstop.service.pages":
        continue  # the service is what the extra `server` is for; the rest must do without it
    if not module.name.rpartition(".")[2].startswith("_"):  # __main__, and the compiled library beside its source
        importlib.import_module(module.name)
        count += 1
assert not set({optional}) & set(sys.modules)
print(count)
"""


def run(code: str) -> str:
    """Run code in an interpreter of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_opens_connects_starts_and_changes_nothing() -> None:
    assert json.loads(run(WATCH)) == []


def test_import_loads_no_heavy_library() -> None:
    loaded = {name.split(".")[0] for name in run("import sys, pitstop; print(*sys.modules)").split()}
    assert "pitstop" in loaded
    assert loaded.isdisjoint(HEAVY), sorted(loaded & set(HEAVY))


def test_import_takes_less_than_a_second_of_processor_time() -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run("import pitstop")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The best of three: the first may have to compile, and another process may take the caches.
    assert min(seconds() for _ in range(3)) < CPU_SECONDS


def test_every_module_imports_where_no_optional_package_is() -> None:
    absent = {*OPTIONAL, *SERVER} - {"pytest", "hypothesis"}
    count = int(run(ALL_MODULES.format(optional=absent)))
    assert count >= len(list((ROOT / "src" / "pitstop").glob("*/*.py"))) // 2
