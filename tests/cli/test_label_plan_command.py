"""`pitstop label-plan` on the home of a replay: a plan, its labels, and what they say of all rows."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pitstop.store.home import Home


@pytest.fixture(scope="module")
def home(pitstop: Callable[..., Any], loans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("label-plan") / "home"
    spec = loans / "pitstop.toml"
    ran = pitstop("run", "--home", folder, "--source", loans / "loans.csv", "--spec", spec)
    assert ran.code == 0, ran.err
    return folder


def test_a_plan_that_is_filled_in_tells_the_error_rate(
    pitstop: Callable[..., Any], home: Path, loans: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.csv"
    made = pitstop("label-plan", "--home", home, "--n", 60, "--windows", 12, "--out", plan, "--json")
    assert made.code == 0, made.err
    assert made.document["metric"] == "error rate"
    assert made.document["rows"] == 12 * 70
    with plan.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    with (loans / "loans.csv").open(encoding="utf-8", newline="") as file:
        truth = {row["id"]: row["paid"] for row in csv.DictReader(file)}
    for row in rows:
        row["label"] = truth[row["id"]]
    with plan.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    said = pitstop("label-plan", "--home", home, "--answers", plan, "--json")
    assert said.code == 0, said.err
    found = said.document
    assert found["labelled"] == 60
    with Home.open(home, read_only=True) as kept:
        del kept
    assert found["low"] < found["value"] < found["high"]
    again = pitstop("label-plan", "--home", home, "--n", 60, "--windows", 12, "--out", tmp_path / "again.csv", "--json")
    assert again.document == {**made.document, "file": str(tmp_path / "again.csv")}


def test_what_is_missing_is_said(pitstop: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    assert "--out FILE" in pitstop("label-plan", "--home", home).err
    other = tmp_path / "other.csv"
    other.write_text("id,label\n1,1\n", encoding="utf-8")
    ran = pitstop("label-plan", "--home", home, "--answers", other)
    assert ran.code == 2
    assert "no column 'predicted'" in ran.err


def test_the_worst_segments_of_the_newest_record_are_shown(pitstop: Callable[..., Any], home: Path) -> None:
    found = pitstop("segments", "--home", home, "--json")
    assert found.code == 0, found.err
    assert set(found.document) == {"model", "period", "segments", "domain"}
    assert found.document["domain"]["low"] <= found.document["domain"]["auc"] <= found.document["domain"]["high"]
    with Home.open(home, read_only=True) as kept:
        (name,) = kept.models()
        newest = kept.artifacts("estimate", name)[-1].content
    assert found.document["segments"] == newest["segments"]
    told = pitstop("segments", "--home", home)
    assert told.code == 0
    assert told.out.startswith(f"{name}, as of {found.document['period']}: errs ")
    assert pitstop("segments", "nobody", "--home", home).code == 2
