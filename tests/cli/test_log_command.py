"""`pitstop log`, `labels` and `quarantine` on a workspace and a service, from files and standard input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.test_kills import free_port
from tests.faults.victims import Victims, specs
from tests.service.ingest.counted import SPEC, label_of, rows_of
from tests.service.ingest.test_events import captured, lines
from typer.testing import CliRunner

from pitstop.cli.log_command import _parts
from pitstop.cli.main import app
from pitstop.errors import IngestError, UnreadableTableError
from pitstop.service.ingest.batch import LIMITS
from pitstop.service.ingest.drain import Drain
from pitstop.service.ingest.registered import RegisteredSpecs
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home
from pitstop.store.intake import intakes


def run(*words: str, given: str | None = None) -> str:
    done = CliRunner().invoke(app, list(words), input=given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_rows_go_to_a_workspace_once_and_what_cannot_be_stored_is_mended(tmp_path: Path) -> None:
    place, file = str(tmp_path / "w"), tmp_path / "rows.json"
    with Workspace.open(place) as workspace:
        workspace.register(SPEC, at=1)
    file.write_text(json.dumps(rows_of(0, 5)), encoding="utf-8")
    assert json.loads(run("log", place, str(file), "--json")) == {"rows": 5}
    run("log", place, str(file), "--model", "m")
    given = "\n".join(json.dumps(label_of(number)) for number in range(3))
    assert "3 labels are taken in" in run("labels", place, "-", given=given)
    run("log", place, "-", given=json.dumps([{"id": "odd"}]))
    with Drain(tmp_path / "w", specs) as drain:
        drain.run_dry()
    assert "no column 'at'" in run("quarantine", "list", "--workspace", place)
    assert b"odd" in run("quarantine", "show", "1", "--workspace", place).encode("utf-8", "replace")
    run("quarantine", "discard", "1", "--workspace", place)
    with Drain(tmp_path / "w", specs) as drain:
        drain.run_dry()
        intake = intakes(drain.home)["m"]
    assert (intake.rows, intake.labels) == (5, 3)
    assert "Nothing waits" in run("quarantine", "list", "--workspace", place)
    run("erase", "id-2", "--workspace", place, "--because", "a request")
    run("retain", "m", "--workspace", place, "--before", "2020-01-01")
    with Drain(tmp_path / "w", specs) as drain:
        drain.run_dry()
        assert drain.home.read_segments("predictions", "m")["@id"].to_pylist() == ["id-0", "id-1", "id-3", "id-4"]
    assert json.loads(run("quarantine", "list", "--all", "--json", "--workspace", place))[0]["state"] == "discarded"


def test_a_wide_table_goes_in_parts_that_a_service_takes() -> None:
    wide = pa.table({f"x{place}": np.arange(100_000.0) for place in range(60)})
    tall = pa.table({"x": np.arange(250_000.0)})
    parts = [list(_parts(table)) for table in (wide, tall)]
    assert sum(rows for _, _, rows in parts[0]) == wide.num_rows
    assert max(len(payload) for payload, _, _ in parts[0]) < LIMITS.body_bytes
    assert [rows for _, _, rows in parts[1]] == [100_000, 100_000, 50_000]


def test_lines_of_sagemaker_are_recognised(tmp_path: Path) -> None:
    place, file = str(tmp_path / "w"), tmp_path / "capture.jsonl"
    with Workspace.open(place) as workspace:
        workspace.register(SPEC.replace('prediction = "said"\n', ""), at=1)
    file.write_bytes(lines(captured("e-1", "0.5,1.5,a", "0.25"), captured("e-2", "1.5,2.5,b", "0.75")))
    assert json.loads(run("log", place, str(file), "--json")) == {"lines": 2}
    assert "2 lines of predictions" in run("log", place, str(file), "--format", "sagemaker")
    truth = {"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "e-2"}}
    assert "1 lines of labels" in run("labels", place, "-", given=json.dumps(truth))
    with RegisteredSpecs(tmp_path / "w") as known, Drain(tmp_path / "w", known) as drain:
        drain.run_dry()
        intake = intakes(drain.home)["m"]
    assert (intake.rows, intake.labels, intake.early) == (2, 1, 0)
    for words, why in (
        (["log", str(tmp_path), str(file)], "no workspace"),
        (["log", place, str(file), "--format", "vertex"], "known is"),
    ):
        assert why in str(CliRunner().invoke(app, words).exception)


@pytest.mark.parametrize("through", ["file", "standard input"])
def test_lines_end_where_lines_of_json_end_and_a_mark_of_the_encoding_is_no_value(tmp_path: Path, through: str) -> None:
    # JSON lets these stand in a text as they are; they end lines elsewhere.
    rows = [{"id": "a", "said": "one\u2028two\u0085three"}, {"id": "b", "said": ""}]
    content = "\ufeff" + "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    file, name = tmp_path / "rows.jsonl", "-" if through == "standard input" else str(tmp_path / "rows.jsonl")
    file.write_bytes(content.encode())
    kept = json.loads(run("log", str(tmp_path / "box"), name, "--json", given=content))["file"]
    assert pq.read_table(kept).select(["id", "said"]).to_pylist() == rows


def test_json_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[" * 100_000, encoding="utf-8")
    done = CliRunner().invoke(app, ["log", str(tmp_path / "box"), str(tmp_path / "rows.json")])
    assert isinstance(done.exception, UnreadableTableError)


@pytest.mark.slow
def test_rows_go_to_a_service_and_its_refusal_is_told(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "rows.json"
    address = f"http://127.0.0.1:{port}"
    file.write_text(json.dumps(rows_of(0, 5)), encoding="utf-8")
    failed = CliRunner().invoke(app, ["log", address, str(file), "--model", "m"])
    assert isinstance(failed.exception, IngestError)
    assert "does not answer" in str(failed.exception)
    with Victims() as victims:
        victims.make("api", tmp_path / "w", port)
        for _ in range(100):
            done = CliRunner().invoke(app, ["log", address, str(file), "--model", "m"])
            if done.exit_code == 0:
                break
        assert "5 predictions are taken in" in done.output
        strange = CliRunner().invoke(app, ["log", address, str(file), "--model", "strange"])
        assert "answers 404: no model 'strange'" in str(strange.exception)
    with Drain(tmp_path / "w", specs) as drain:
        drain.run_dry()
    with Home.open(tmp_path / "w" / "records", read_only=True) as home:
        assert intakes(home)["m"].rows == 5
