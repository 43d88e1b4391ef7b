"""What all tests share: how hypothesis draws, and the servers that some of them talk to.

Hypothesis has no deadline, which a busy machine would break. `scripts/check.py` asks for its own profile `ci`, which
draws the same examples each time. Servers are real ones, started when the first test asks for one and stopped at the
end; where a program is missing, the tests that need it are skipped, and say which.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("pitstop", deadline=None)
settings.load_profile("pitstop")

STARTS_WITHIN = 60.0


def build_stale_kernels(root: Path) -> None:
    """Compile the kernels of a checkout whose C is newer than its library, as after a pull."""
    folder = root / "src" / "pitstop" / "statistics"
    built = [path.stat().st_mtime for path in folder.glob("_kernels.*") if path.suffix in {".so", ".dylib", ".dll"}]
    if not built or max(path.stat().st_mtime for path in folder.glob("_*.[ch]")) <= min(built):
        return
    spec = importlib.util.spec_from_file_location("hatch_build", root / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.KernelBuildHook(str(root), {}, None, None, str(root), "wheel").initialize("editable", {"artifacts": []})


build_stale_kernels(Path(__file__).resolve().parents[1])


class PostgresServer:
    """A PostgreSQL of its own, on a socket in a temporary folder; `url(schema)` is a catalog there."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs, self._folder = programs, folder
        # PostgreSQL refuses to run as root.
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self._folder.chmod(0o755)
        self.data = folder / "data"
        if self._as:
            shutil.chown(folder, "postgres", "postgres")
        self._run("initdb", "-D", str(self.data), "-U", "pitstop", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses= -k {self._folder} -c shared_buffers=32MB -c max_connections=50"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self.data), "-l", log, "-o", options, "-w", "-t", "60", "start")

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self.data), "-m", how, "-w", "stop")

    def kill(self) -> None:
        """Kill -9 the server's first process and wait until its children have ended."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        os.kill(first, signal.SIGKILL)
        for pid in map(int, children):
            while Path(f"/proc/{pid}").exists():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)

    def url(self, schema: str) -> str:
        return f"postgresql://pitstop@/postgres?host={self._folder}&schema={schema}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            text=True,
            check=False,
            **self._as,  # type: ignore[call-overload] # three arguments of Popen
        )
        if done.returncode:
            pytest.fail(f"{program} failed: {done.stderr}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL server."""
    found = shutil.which("initdb")
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found and not homes:
        pytest.skip("PostgreSQL is not installed (Debian and Ubuntu: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="pit-pg-"))
    server = PostgresServer((Path(found) if found else homes[-1]).parent, folder)
    try:
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


class BucketServer:
    """An S3-compatible server of its own on a free port; `url(prefix)` names files in its one bucket."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        where = ("-d", str(self._folder), "-a", "127.0.0.1", "-p", str(self._port), "--configure-bucket", "pitstop")
        self._process = subprocess.Popen(
            [str(self._program), "-s", *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.05)
        pytest.fail("s3rver did not start")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def url(self, prefix: str) -> str:
        where = f"scheme=http&endpoint_override=127.0.0.1:{self._port}&region=us-east-1"
        return f"s3://pitstop/{prefix}?{where}"


@pytest.fixture(scope="session")
def bucket() -> Iterator[BucketServer]:
    """Start an S3-compatible server (s3rver, from npm), and give the credentials that it takes."""
    ours = Path(sys.prefix) / "peers" / "node_modules" / ".bin" / "s3rver"
    found = shutil.which("s3rver") or (str(ours) if ours.exists() else None)
    if not found or not shutil.which("node"):
        pytest.skip("s3rver is not installed (it needs Node.js: make peers)")
    folder = Path(tempfile.mkdtemp(prefix="pit-s3-"))
    server = BucketServer(Path(found), folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ACCESS_KEY_ID", "S3RVER")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "S3RVER")
        patched.setenv("AWS_EC2_METADATA_DISABLED", "true")
        try:
            yield server
        finally:
            server.kill()
            shutil.rmtree(folder, ignore_errors=True)


FIRST_DAY = date(2024, 1, 1)
DAYS, ROWS_PER_DAY, TURN = 196, 10, 126

SPEC = """
[model]
name = "loans"
task = "binary"

[columns]
time = "day"
id = "id"
label = "paid"
label_time = "paid_on"
features = ["income", "branch"]
categorical = ["branch"]

[time]
window = "week"
period = 4

[decision]
positive = "1"

[value]
currency = "EUR"
true_positive = 3.0
false_positive = -5.0

[costs]
release = 20.0

[replay]
start = "2024-03-25"
"""


@pytest.fixture(scope="session")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `loans.csv`, whose relation turns round half-way, and its `pitstop.toml`."""
    folder = tmp_path_factory.mktemp("loans")
    draw = random.Random(3)
    with (folder / "loans.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "day", "income", "branch", "paid", "paid_on"])
        for number in range(DAYS * ROWS_PER_DAY):
            day = number // ROWS_PER_DAY
            income, branch = round(draw.gauss(0, 1), 3), draw.choice("abc")
            odds = (2 * income + (1 if branch == "a" else -1)) * (1 if day < TURN else -1)
            paid = int(draw.random() < 1 / (1 + math.exp(-odds)))
            at = FIRST_DAY + timedelta(days=day)
            writer.writerow([f"r{number}", at, income, branch, paid, at + timedelta(days=3)])
    (folder / "pitstop.toml").write_text(SPEC, encoding="utf-8")
    return folder
