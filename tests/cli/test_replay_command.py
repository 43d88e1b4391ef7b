"""`pitstop replay`, from the command line to its end: the table, the JSON, the report, and how it can be refused."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

POLICIES = ["never", "monthly", "pitstop", "oracle"]
KEYS = {
    "alarms": {"id", "at", "monitor", "column", "since", "size"},
    "incidents": {"id", "at", "cause", "alarms"},
    "decisions": {"id", "at", "action", "reason", "expected_gain", "cost", "caused_by"},
    "releases": {"id", "at", "version", "trained_on_rows", "caused_by"},
}


@pytest.fixture(scope="module")
def replayed(pitstop: Callable[..., Any], loans: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Return what `replay --json` said, and the folder with its home and its report."""
    folder = tmp_path_factory.mktemp("replayed")
    words = ["replay", loans / "loans.csv", "--spec", loans / "pitstop.toml", "--json"]
    return pitstop(*words, "--home", folder / "home", "--html", folder / "report.html"), folder


def test_json_has_the_promised_keys_and_nothing_beside_it(replayed: tuple[Any, Path]) -> None:
    ran, _ = replayed
    assert ran.code == 0, ran.err
    found = ran.document
    assert (found["metric_name"], found["higher_is_better"]) == ("AUC", True)
    for row in found["periods"]:
        assert {"period", "rows", "metric", "value"} <= row.keys()
        assert list(row["metric"]) == list(row["value"]) == POLICIES
    assert list(found["totals"]) == POLICIES
    for total in found["totals"].values():
        assert {"retrains", "cost", "value", "mean_metric"} <= total.keys()
    for name, keys in KEYS.items():
        assert found[name], f"this history has {name}"
        for item in found[name]:
            assert keys <= item.keys()
    assert "Traceback" not in ran.err


def test_the_numbers_agree_with_each_other(replayed: tuple[Any, Path]) -> None:
    found = replayed[0].document
    assert sum(row["rows"] for row in found["periods"]) == 980
    for policy in POLICIES:
        total = found["totals"][policy]
        assert total["value"] == pytest.approx(sum(row["value"][policy] for row in found["periods"]) - total["cost"])
    assert found["totals"]["never"]["retrains"] == found["totals"]["never"]["cost"] == 0
    assert found["totals"]["oracle"]["value"] >= max(total["value"] for total in found["totals"].values()) - 1e-9
    alarms = {alarm["id"] for alarm in found["alarms"]}
    for incident in found["incidents"]:
        assert incident["alarms"]
        assert alarms >= set(incident["alarms"])


def test_the_turn_is_an_incident_that_names_the_error(replayed: tuple[Any, Path]) -> None:
    """The relation turns round on 2024-05-06; a week later its labels are there."""
    found = replayed[0].document
    named = [incident for incident in found["incidents"] if incident["cause"].startswith("The model's error rose from")]
    assert named
    assert "2024-04-22" <= named[0]["since"] <= "2024-05-20"
    assert named[0]["since"] not in named[0]["cause"], "the date stands beside the sentence, not in it too"


def test_the_report_is_written_and_needs_nothing_else(replayed: tuple[Any, Path]) -> None:
    page = (replayed[1] / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "src=" not in page
    assert "rose from" in page
    assert [item.name for item in replayed[1].iterdir() if ".part" in item.name] == []


def test_a_finished_home_says_the_same_again_as_a_table(
    pitstop: Callable[..., Any], loans: Path, replayed: tuple[Any, Path]
) -> None:
    ran, folder = replayed
    again = pitstop("replay", loans / "loans.csv", "--spec", loans / "pitstop.toml", "--home", folder / "home")
    assert again.code == 0, again.err
    lines = again.out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith(("Pitstop ", "Never ", "Retraining "))
    for row in ran.document["periods"]:
        (line,) = (line for line in lines if line.startswith(row["period"] + " "))
        assert line.split()[2:6] == ["–" if value is None else f"{value:.3f}" for value in row["metric"].values()]  # noqa: RUF001 (our mark for no number)
    assert any("the model's error: " in line and " → " in line for line in lines)
    assert len(lines) < 40, "what does not fit a screen stands in the report"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.csv"], "nowhere.csv"),
        (["loans.csv", "--spec", "nowhere.toml"], "nowhere.toml"),
        (["loans.csv", "--start", "2031-01-06"], "2031-01-06"),
        (["loans.csv", "--start", "soon"], "soon"),
        (["loans.csv", "--html", "nowhere/report.html"], "--html"),
        (["loans.csv", "--html", "."], "folder"),
        (["pitstop.toml"], "pitstop.toml"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_exit_code_2(
    pitstop: Callable[..., Any],
    loans: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(loans)
    before = {path.name for path in loans.iterdir()}
    ran = pitstop("replay", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("pitstop: ")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert {path.name for path in loans.iterdir()} == before


@pytest.mark.slow
def test_an_interruption_ends_at_once_and_the_next_call_goes_on(
    started: Callable[..., subprocess.Popen[str]], loans: Path, tmp_path: Path
) -> None:
    words = ["replay", loans / "loans.csv", "--spec", loans / "pitstop.toml", "--home", tmp_path / "home", "--json"]
    process = started(*words)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("home/artifacts/*/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "interrupted; what was done is kept" in err
    assert "Traceback" not in err
    process = started(*words)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["model"] == "loans"
