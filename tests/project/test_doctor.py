"""`pitstop doctor`: each fault that it can meet is named, with a way out, and nothing is left behind."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pitstop.cli import doctor_command
from pitstop.cli.doctor_command import (
    LITTLE_DISK,
    NO_DISK,
    check_clock,
    check_isolation,
    check_kernels,
    check_packages,
    check_python,
    check_space,
    check_writing,
    doctor,
    existing_folder,
)
from pitstop.retraining.isolation import Isolation

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WALLS: dict[str, Any] = {
    "network": True,
    "processes": True,
    "hidden": True,
    "memory": True,
    "files": True,
    "ordinary_user": True,
}

app = typer.Typer()
app.command()(doctor)


def no_such_module(name: str) -> NoReturn:
    msg = f"{name}: wrong ELF class"
    raise ImportError(msg)


def test_it_passes_here_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--home", str(tmp_path), "--json"])
    document = json.loads(result.stdout)
    statuses = {check["name"]: check["status"] for check in document["checks"]}
    assert result.exit_code == 0, document
    assert document["works"] is True
    assert list(statuses) == ["python", "packages", "kernels", "isolation", "optional", "disk", "home", "clock"]
    assert statuses["kernels"] == statuses["packages"] == statuses["home"] == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_does_not_exist_is_examined_where_it_would_be_and_not_made(tmp_path: Path) -> None:
    home = tmp_path / "a" / "b"
    result = CliRunner().invoke(app, ["--home", str(home)])
    assert result.exit_code == 0
    assert str(tmp_path) in result.stdout
    assert existing_folder(home) == tmp_path
    assert not (tmp_path / "a").exists()


def test_a_home_that_is_a_file_fails_with_exit_code_1_and_a_way_out(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("not a folder", encoding="utf-8")
    result = CliRunner().invoke(app, ["--home", str(home)])
    assert result.exit_code == 1
    assert "cannot write to" in result.stdout
    assert "--home" in result.stdout


def test_every_failure_and_limit_comes_with_advice(tmp_path: Path) -> None:
    faults = [
        check_python((3, 10, 4)),
        check_packages(("numpy", "no-such-package-of-ours")),
        check_kernels(no_such_module),
        check_isolation(no_such_module),
        check_space(tmp_path, NO_DISK - 1),
        check_space(tmp_path, LITTLE_DISK - 1),
        check_writing(tmp_path / "absent")[0],
        check_clock(datetime(1970, 1, 1, tzinfo=UTC), 0.0),
        check_clock(NOON, 3600.0),
    ]
    assert [check.status for check in faults] == [
        *("failed", "failed", "failed", "failed", "failed", "limited", "failed", "failed", "limited")
    ]
    assert all(check.advice for check in faults)
    assert "no-such-package-of-ours" in faults[1].detail
    assert "wrong ELF class" in faults[2].detail


@pytest.mark.parametrize("wall", ["network", "processes", "hidden", "memory", "ordinary_user"])
def test_a_missing_wall_of_the_sandbox_is_never_called_ok(wall: str) -> None:
    def importer(_: str) -> Any:
        return SimpleNamespace(probe_isolation=lambda: Isolation(**(WALLS | {wall: False})))

    assert check_isolation(importer).status == "limited"


def test_a_whole_sandbox_is_ok() -> None:
    assert check_isolation(lambda _: SimpleNamespace(probe_isolation=lambda: Isolation(**WALLS))).status == "ok"


def test_a_disk_on_which_sqlite_has_no_wal_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_command, "_journal_mode", lambda _: "delete")
    assert check_writing(tmp_path)[0].status == "limited"


def test_a_disk_on_which_sqlite_fails_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> NoReturn:
        msg = "disk I/O error"
        raise sqlite3.OperationalError(msg)

    monkeypatch.setattr(doctor_command, "_journal_mode", fail)
    home, _clock = check_writing(tmp_path)
    assert home.status == "failed"
    assert list(tmp_path.iterdir()) == []


@given(st.integers(min_value=0, max_value=2**50), st.integers(min_value=0, max_value=2**50))
def test_more_room_is_never_worse(one: int, other: int) -> None:
    order = ["failed", "limited", "ok"]
    less, more = (order.index(check_space(Path("x"), free).status) for free in sorted((one, other)))
    assert less <= more
