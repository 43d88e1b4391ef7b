"""The handle serves what the folder names, follows releases and rollbacks, and survives a damaged one."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import ColumnValueError, MissingColumnError, ReleaseTargetError, SpecError
from pitstop.integrations.folder_target import FolderTarget
from pitstop.records.routing import in_share
from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.replays.publishing import CanaryPublication, Publication
from pitstop.serving import Served

SPEC = f"""
[model]
name = "m"
task = "binary"
[columns]
time = "at"
label = "y"
features = ["x"]
[trainer]
command = ["{sys.executable}", "trainer.py"]
[serving]
folder = "serving"
"""
# A model is a number: its score of a row is that number, whatever x is.
TRAINER = """
import json, sys
import pyarrow as pa
for line in sys.stdin:
    ask = json.loads(line)
    with pa.OSFile(ask["data"], "rb") as source:
        rows = pa.ipc.open_file(source).read_all().num_rows
    result = pa.table({"score": [float(open(ask["model"]).read())] * rows})
    with pa.OSFile(ask["output"], "wb") as sink, pa.ipc.new_file(sink, result.schema) as writer:
        writer.write_table(result)
    print(json.dumps({"ok": True, "rows": rows}), flush=True)
"""
ROWS = pa.table({"x": [1.0, 2.0, 3.0]})


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    (tmp_path / "trainer.py").write_text(TRAINER)
    (tmp_path / "pitstop.toml").write_text(SPEC)
    return parse_spec(SPEC)


def publish(spec: ModelSpec, folder: Path, version: int, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    found = Publication("m", version, f"release-{version}", digest, "2024-01-01", content)
    FolderTarget().publish(found, spec.serving, folder)
    return digest


def test_it_follows_releases_and_rollbacks_without_a_restart(spec: ModelSpec, tmp_path: Path) -> None:
    publish(spec, tmp_path, 1, b"0.25")
    with Served(tmp_path / "pitstop.toml") as served:
        assert served.predict(ROWS)["score"].to_pylist() == [0.25] * 3
        digest = publish(spec, tmp_path, 2, b"0.75")
        assert served.predict(ROWS)["score"].to_pylist() == [0.75] * 3
        assert (served.facts["version"], served.facts["digest"]) == (2, digest)
        publish(spec, tmp_path, 1, b"0.25")
        assert served.predict(ROWS.slice(0, 1))["score"].to_pylist() == [0.25]
        assert served.facts["version"] == 1


def test_a_damaged_release_is_not_taken_over_and_is_told(spec: ModelSpec, tmp_path: Path) -> None:
    publish(spec, tmp_path, 1, b"0.25")
    with Served(spec, tmp_path) as served:
        digest = publish(spec, tmp_path, 2, b"0.75")
        (tmp_path / "serving" / "models" / digest).write_bytes(b"0.99")
        assert served.predict(ROWS)["score"].to_pylist() == [0.25] * 3
        assert "changed or damaged" in served.problem
        assert served.facts["version"] == 1
        publish(spec, tmp_path, 2, b"0.75")
        assert served.predict(ROWS)["score"].to_pylist() == [0.75] * 3
        assert served.problem == ""


def test_threads_share_it_while_releases_come(spec: ModelSpec, tmp_path: Path) -> None:
    publish(spec, tmp_path, 0, b"0.0")
    with Served(spec, tmp_path) as served, ThreadPoolExecutor(4) as pool:
        running = []
        for version in range(1, 9):
            running += [pool.submit(served.predict, ROWS) for _ in range(4)]
            publish(spec, tmp_path, version, f"{version / 10}".encode())
        answers = [run.result()["score"].to_pylist() for run in running]
        # Every batch is one model's, and never half of another's.
        assert all(len(set(answer)) == 1 for answer in answers)
        assert served.predict(ROWS)["score"].to_pylist() == [0.8] * 3


def test_without_a_folder_or_a_model_it_says_so(spec: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(ReleaseTargetError, match="no model can be served"), Served(spec, tmp_path):
        pass
    with pytest.raises(SpecError, match="names no folder"):
        Served(parse_spec(SPEC.replace('folder = "serving"', "")))


def test_the_model_is_given_rows_as_the_loop_gives_them(tmp_path: Path) -> None:
    """As training and the loop have them: a trainer never meets the types of whoever asks."""
    kinds = "[str(kind) for kind in table.select(ask_features).schema.types]"
    source = TRAINER.replace("read_all().num_rows", "read_all(); table, rows = rows, rows.num_rows").replace(
        "    result =",
        f"""    ask_features = {["x", "kind", "note: length"]!r}
    said = {kinds} + [table["kind"].to_pylist(), table["note: length"].to_pylist()]
    assert said == ["double", "dictionary<values=string, indices=int32, ordered=0>", "double",
                    ["1", "2", None], [2.0, 0.0, 5.0]], said
    result =""",
    )
    (tmp_path / "trainer.py").write_text(source)
    columns = 'features = ["x", "kind"]\ncategorical = ["kind"]\ntexts = ["note"]'
    described = parse_spec(SPEC.replace('features = ["x"]', columns))
    publish(described, tmp_path, 1, b"0.25")
    rows = pa.table({"kind": [1.0, 2.0, None], "x": ["1.5", "", "2"], "note": ["ab", "", "abcde"]})
    with Served(described, tmp_path) as served:
        assert served.predict(rows)["score"].to_pylist() == [0.25] * 3
        with pytest.raises(ColumnValueError, match="column 'x', row 1: cannot read '1,5' as a number"):
            served.predict(rows.set_column(1, "x", pa.array(["1,5", "1", "2"])))
        with pytest.raises(MissingColumnError, match="'note'"):
            served.predict(rows.drop_columns(["note"]))
        assert served.predict(rows.slice(0, 0)).num_rows == 0
        assert served.predict(rows)["score"].to_pylist() == [0.25] * 3


def test_a_canary_serves_its_share_by_id_and_its_failure_costs_nothing(spec: ModelSpec, tmp_path: Path) -> None:
    named = replace(spec, columns=replace(spec.columns, id="id"))
    ids = [str(number) for number in range(200)]
    rows = pa.table({"id": pa.array([int(name) for name in ids]), "x": [0.0] * 200})
    with pytest.raises(ReleaseTargetError), Served(named, tmp_path):
        pass
    publish(spec, tmp_path, 1, b"0.25")
    with Served(named, tmp_path) as served:
        assert set(served.predict(rows)["score"].to_pylist()) == {0.25}
        digest = hashlib.sha256(b"0.75").hexdigest()
        beside = CanaryPublication(2, "release-2", digest, 0.3, b"0.75")
        champion = Publication("m", 1, "release-1", hashlib.sha256(b"0.25").hexdigest(), "2024-01-01", b"0.25", beside)
        FolderTarget().publish(champion, named.serving, tmp_path)
        said = np.array(served.predict(rows)["score"])
        assert np.array_equal(said == 0.75, in_share(ids, 0.3, "release-2"))
        assert set(said) == {0.25, 0.75}
        assert served.facts["canary_version"] == 2
        assert set(served.predict(rows.drop_columns(["id"]))["score"].to_pylist()) == {0.25}
        # A canary that is no model: its rows are the champion's, and it is told.
        broken = replace(beside, content=b"none", digest=hashlib.sha256(b"none").hexdigest())
        FolderTarget().publish(replace(champion, canary=broken), named.serving, tmp_path)
        assert set(served.predict(rows)["score"].to_pylist()) == {0.25}
        assert "the canary v2 gives no answer" in served.problem
        publish(spec, tmp_path, 2, b"0.75")
        assert set(served.predict(rows)["score"].to_pylist()) == {0.75}
        assert served.problem == ""
