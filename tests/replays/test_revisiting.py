"""The reference of the model that serves, counted again from a home; and the two commands that ask it."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from pitstop.cli.main import run as run_command_line
from pitstop.errors import UnknownNameError
from pitstop.loop.revisiting import Revisited, revisit
from pitstop.store.home import Home


@pytest.fixture(scope="module")
def home(small: Any, workshop: Any) -> Path:
    """Return the home of the standard history."""
    assert small.artifacts
    return Path(workshop.folder / "small")


@pytest.fixture(scope="module")
def known(home: Path) -> Revisited:
    with Home.open(home, read_only=True) as kept:
        return revisit(kept)


def command(*words: str | Path) -> tuple[int, str]:
    """Run `pitstop WORDS` in this process; return its exit code and what it printed."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.setattr(sys, "argv", ["pitstop", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            run_command_line()
    return int(ended.value.code or 0), out.getvalue()


def test_the_reference_that_is_counted_again_is_the_one_that_was_kept(home: Path, known: Revisited) -> None:
    with Home.open(home, read_only=True) as kept:
        newest = kept.artifacts("baseline", "small")[-1].content
    assert list(known.baseline.windows) == newest["windows"]
    assert known.baseline.profile.rows == newest["rows"]
    assert known.baseline.outcomes.labelled == newest["labelled"]


def test_nothing_is_written(home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.suffix in (".sqlite", ".parquet")}
    with Home.open(home, read_only=True) as kept:
        revisit(kept, "small")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_model_that_is_not_there_is_refused_with_those_that_are(home: Path) -> None:
    with Home.open(home, read_only=True) as kept, pytest.raises(UnknownNameError, match="known: small"):
        revisit(kept, "large")


def test_selftest_prints_one_object_and_its_exit_code_says_whether_the_promise_holds(home: Path) -> None:
    code, printed = command("selftest", "--home", home, "--runs", "2", "--json")
    found = json.loads(printed)
    assert code == (0 if found["kept"] else 1)
    assert found["kept"] == (not found["warnings"])
    whole, *parts = found["families"]
    assert whole["promise"] == pytest.approx(1.0) == pytest.approx(sum(part["promise"] for part in parts))
    for side in ("shuffled", "real"):
        assert whole[side]["mean"] == pytest.approx(sum(part[side]["mean"] for part in parts))
        assert whole[side]["low"] <= whole[side]["mean"] <= whole[side]["high"]
    said, text = command("selftest", "small", "--home", home, "--runs", "2")
    assert said == code
    assert "promise" in text
    # The families are named whole where a terminal has eighty columns.
    assert {part["name"] for part in found["families"]} <= set(text.split())


def test_power_says_for_every_monitor_what_it_could_not_have_seen(home: Path) -> None:
    code, printed = command("power", "--home", home, "--within", "5", "--probability", "0.6", "--json")
    found = json.loads(printed)
    assert code == 0
    assert found["monitors"][0]["monitor"] == "error" or found["monitors"][0]["never"]
    seen = [item["sight"]["change"] for item in found["monitors"] if not item["never"] and item["kind"] != "error"]
    assert seen == sorted(seen)
    assert {"drift:x1", "nulls:x2", "volume"} <= {item["monitor"] for item in found["monitors"]}
    assert command("power", "--home", home, "--probability", "1.5")[0] == 2
