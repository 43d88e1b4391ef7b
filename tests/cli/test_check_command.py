"""`pitstop check`: exit codes, JSON, the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from pitstop.cli.check_command import check
from pitstop.errors import SpecError, StoreError, UnknownNameError, UnreadableTableError

RUNNER = CliRunner()
APP = typer.Typer()
APP.command()(check)


def written(path: Path, *, scale: float = 1.0, shift: float = 0.0, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    table = pa.table({"price": rng.lognormal(3, 1, 1000) * scale, "wear": rng.normal(0, 1, 1000) + shift})
    if path.suffix == ".csv":
        pa_csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return str(path)


def test_nothing_found_is_exit_code_zero(tmp_path: Path) -> None:
    result = RUNNER.invoke(APP, [written(tmp_path / "a.parquet"), written(tmp_path / "b.csv", seed=1)])
    assert result.exit_code == 0, result.output
    assert "Nothing found" in result.output


def test_findings_are_exit_code_one_from_the_severity_asked_for(tmp_path: Path) -> None:
    reference = written(tmp_path / "a.parquet")
    drifted = written(tmp_path / "b.parquet", shift=0.45, seed=1)
    assert RUNNER.invoke(APP, [reference, drifted]).exit_code == 1
    assert RUNNER.invoke(APP, [reference, drifted, "--fail-on", "critical"]).exit_code == 0
    broken = written(tmp_path / "c.parquet", scale=100, seed=1)
    assert RUNNER.invoke(APP, [reference, broken, "--fail-on", "critical"]).exit_code == 1


def test_json_is_one_object_with_the_findings(tmp_path: Path) -> None:
    reference, broken = written(tmp_path / "a.parquet"), written(tmp_path / "c.parquet", scale=100, seed=1)
    result = RUNNER.invoke(APP, [reference, broken, "--json"])
    finding = json.loads(result.output)["findings"][0]
    assert (finding["column"], finding["kind"], finding["severity"], finding["size"]) == (
        "price",
        "unit_change",
        "critical",
        100,
    )


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    reference, broken = written(tmp_path / "a.parquet"), written(tmp_path / "c.parquet", scale=100, seed=1)
    page = tmp_path / "page.html"
    RUNNER.invoke(APP, [reference, broken, "--html", str(page)])
    assert "100 times larger" in page.read_text(encoding="utf-8")
    result = RUNNER.invoke(APP, [reference, broken, "--html", str(tmp_path / "none" / "page.html")])
    assert isinstance(result.exception, StoreError)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.parquet", "c.parquet", "page.html"]


def test_the_page_says_what_could_not_be_compared(tmp_path: Path) -> None:
    for name, rows in (("a", 1000), ("b", 12)):
        pq.write_table(pa.table({"wear": np.random.default_rng(1).normal(size=rows)}), tmp_path / f"{name}.parquet")
    page = tmp_path / "page.html"
    RUNNER.invoke(APP, [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), "--html", str(page)])
    assert "distributions are compared from 30 rows on" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("more", "kind"), [(["--fail-on", "never"], SpecError), ([], UnreadableTableError)])
def test_errors_are_typed(tmp_path: Path, more: list[str], kind: type[Exception]) -> None:
    result = RUNNER.invoke(APP, [written(tmp_path / "a.parquet"), str(tmp_path / "none.parquet"), *more])
    assert isinstance(result.exception, kind)


@pytest.mark.parametrize("engine", ["duckdb"])
def test_the_output_is_the_same_whatever_the_engine(tmp_path: Path, engine: str) -> None:
    sides = [written(tmp_path / "a.parquet"), written(tmp_path / "c.parquet", scale=100, seed=1)]
    local = RUNNER.invoke(APP, [*sides, "--json"])
    other = RUNNER.invoke(APP, [*sides, "--json", "--engine", engine])
    assert (other.exit_code, other.stdout) == (local.exit_code, local.stdout)


def test_an_unknown_engine_is_an_error_that_names_the_known_ones(tmp_path: Path) -> None:
    reference = written(tmp_path / "a.parquet")
    result = RUNNER.invoke(APP, [reference, reference, "--engine", "sparc"])
    assert isinstance(result.exception, UnknownNameError)
    assert "did you mean 'spark'" in str(result.exception)
