"""What is shipped: the version, the data with their credit, the wheel, the locks."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pitstop.data import hotel_bookings_notice, hotel_bookings_path
from pitstop.version import __version__

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("run", "dev", "build", "compiler", "oldest")
WHEEL_BYTES = 2_000_000


def pins(lock: str) -> dict[str, set[str]]:
    """Return the versions that a lock file names for each package (more than one where Pythons differ)."""
    found: dict[str, set[str]] = {}
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE):
        found.setdefault(normal(name), set()).add(version)
    return found


def normal(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(requirements: list[str]) -> set[str]:
    """Return the names in a list of requirements."""
    return {normal(re.split(r"[<>=!~;\[ ]", text)[0]) for text in requirements}


def test_the_installed_version_is_the_one_in_the_code() -> None:
    assert importlib.metadata.version("pitstop") == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_demo_data_are_the_published_ones_with_their_credit() -> None:
    table = pq.read_table(hotel_bookings_path())
    assert table.num_rows == 56_461
    assert {"booking_id", "booked_on", "resolved_on", "is_canceled", "adr"} <= set(table.column_names)
    assert pa.types.is_temporal(table.schema.field("resolved_on").type)
    notice = hotel_bookings_notice()
    for word in ("Antonio", "CC BY 4.0", "10.1016/j.dib.2018.11.126", "Changes made", "56,461"):
        assert word in notice


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_of_a_lock_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_the_locks_hold_what_the_project_requires_in_one_version() -> None:
    groups = PROJECT["dependency-groups"]
    runtime = required(PROJECT["project"]["dependencies"])
    assert runtime <= set(pins("run"))
    assert runtime | required(groups["test"]) | required(groups["lint"]) | required(groups["build"]) <= set(pins("dev"))
    assert required(groups["build"]) <= set(pins("build"))
    dev = pins("dev")
    for lock in ("run", "build"):
        assert {name: versions for name, versions in pins(lock).items() if versions != dev[name]} == {}


def test_the_oldest_lock_holds_the_lower_bounds_themselves() -> None:
    oldest = pins("oldest")
    for requirement in PROJECT["project"]["dependencies"]:
        name, bound = requirement.split(">=")
        found = oldest[normal(name)]
        assert all(version == bound or version.startswith(f"{bound}.") for version in found), (requirement, found)


def test_each_dependency_has_its_reason_written_down() -> None:
    page = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8").lower()
    assert [name for name in required(PROJECT["project"]["dependencies"]) if f"`{name}`" not in page] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Return the wheel, built from this checkout as `make wheel` does."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.slow
def test_the_wheel_has_code_data_credit_licence_and_kernels_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    source = {
        f"pitstop/{path.relative_to(ROOT / 'src' / 'pitstop').as_posix()}"
        for path in (ROOT / "src" / "pitstop").rglob("*.py")
    }
    assert source <= set(names)
    for name in ("py.typed", "data/hotel_bookings.parquet", "data/hotel_bookings.NOTICE.txt"):
        assert f"pitstop/{name}" in names
    for name in ("LICENSE", "NOTICE"):
        assert any(re.fullmatch(rf"pitstop-[^/]+\.dist-info/licenses/{name}", entry) for entry in names), names
    assert [name for name in names if re.search(r"_kernels\.(so|dylib|dll)$", name)]
    assert [
        name for name in names if not re.match(r"pitstop(-[^/]+\.dist-info)?/", name) or "__pycache__" in name
    ] == []
    assert "CC BY 4.0" in wheel.read("pitstop/data/hotel_bookings.NOTICE.txt").decode()


@pytest.mark.slow
def test_the_wheel_serves_every_python_on_this_platform_and_is_small(wheel: zipfile.ZipFile) -> None:
    path = Path(str(wheel.filename))
    assert "-py3-none-" in path.name
    assert not path.name.endswith("-any.whl")
    assert path.stat().st_size < WHEEL_BYTES


@pytest.mark.slow
def test_the_wheel_tells_nothing_of_the_place_where_it_was_built(wheel: zipfile.ZipFile) -> None:
    place = str(ROOT).encode()
    assert [name for name in wheel.namelist() if place in wheel.read(name)] == []
