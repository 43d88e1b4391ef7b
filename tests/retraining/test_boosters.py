"""Models of XGBoost and LightGBM: files without code, that the library itself opens."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import SpecError, TrainerCrashedError, TrainerLimitError, TrainerRefusedError, TrainingError
from pitstop.records.spec import Task, TrainerSection
from pitstop.retraining import boosters, trainer
from pitstop.retraining.boosters import Fitted
from pitstop.retraining.encoding import Encoding
from pitstop.retraining.limits import Limits, family
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import TRAINERS, BuiltinTrainer, TrainingRequest
from pitstop.testing.trainer_laws import example

NAMES = pytest.mark.parametrize("name", ["xgboost", "lightgbm"])


def library(name: str) -> boosters.Library:
    pytest.importorskip(name, reason=f"{name} is not installed: pip install 'pitstop[{name}]'")
    return boosters.LIBRARIES[name]()


def trained(name: str, task: Task, folder: Path) -> tuple[boosters.Library, bytes, pa.Table]:
    own, (request, table) = library(name), example(task)
    with pa.OSFile(str(folder / "train.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    asked = {"data": str(folder / "train.arrow"), "model": str(folder / "model"), "seed": 0, "task": task}
    asked |= {"features": list(request.features), "categorical": list(request.categorical), "label": "@label"}
    assert boosters.train(own, asked) == table.num_rows
    return own, (folder / "model").read_bytes(), table


@NAMES
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_library_opens_its_part_of_a_file_by_itself(name: str, task: Task, tmp_path: Path) -> None:
    own, content, table = trained(name, task, tmp_path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["pitstop.json", own.file]
        about = json.loads(archive.read("pitstop.json"))
        archive.extract(own.file, tmp_path)
    peer: Any = import_module(name)
    path = str(tmp_path / own.file)
    model = peer.Booster(model_file=path)
    matrix = Encoding.from_json(about["encoding"]).matrix(table)
    fitted = Fitted.from_bytes(content, own)
    scores = own.scores(fitted.model, fitted.problem(), matrix)
    if name == "xgboost":
        kinds = ["c" if kept is not None else "q" for kept in about["encoding"]["kept"]]
        there = model.predict(peer.DMatrix(matrix, feature_types=kinds, enable_categorical=True))
    else:
        there = model.predict(matrix)
    np.testing.assert_array_equal(np.asarray(there, dtype=np.float64), scores)


@NAMES
def test_the_same_rows_make_the_same_bytes_and_the_file_is_read_back_whole(name: str, tmp_path: Path) -> None:
    own, content, _ = trained(name, "multiclass", tmp_path)
    assert trained(name, "multiclass", tmp_path)[1] == content
    again = Fitted.from_bytes(content, own)
    assert again.classes == ("high", "low", "middle")
    assert again.to_bytes(own) == content


def test_a_file_of_another_library_is_refused(tmp_path: Path) -> None:
    _, content, _ = trained("lightgbm", "binary", tmp_path)
    with pytest.raises(TrainerRefusedError, match=r"expected model\.ubj"):
        Fitted.from_bytes(content, library("xgboost"))
    for other in (b"a pickle, say", b""):
        with pytest.raises(TrainerRefusedError, match=r"no archive of pitstop\.json and model\.ubj"):
            Fitted.from_bytes(other, library("xgboost"))


def test_a_trainer_whose_library_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "find_spec", lambda _module: None)
    with pytest.raises(SpecError, match=r"pip install 'pitstop\[xgboost\]'"):
        TRAINERS.get("xgboost").argv(TrainerSection(name="xgboost"), Path())


def test_a_kept_model_is_known_by_the_version_of_its_own_library() -> None:
    versions = {item.name: item.library_version() for item in TRAINERS if isinstance(item, BuiltinTrainer)}
    assert versions["linear"] == import_module("sklearn").__version__
    library("lightgbm")
    assert versions["lightgbm"] == import_module("lightgbm").__version__


def wide(rows: int) -> tuple[TrainingRequest, pa.Table]:
    """Return rows of sixty numbers; a fit on many of them takes seconds, in the library's own code."""
    draw = np.random.default_rng(0)
    features = tuple(f"x{place}" for place in range(60))
    x = draw.normal(size=(rows, len(features)))
    table = pa.table({feature: x[:, place] for place, feature in enumerate(features)})
    labels = np.where(x[:, 0] + draw.normal(size=rows) > 0, "1", "0")
    return TrainingRequest("binary", features), table.append_column("@label", pa.array(labels))


def strike(session: Session, before: int) -> None:
    """Kill the process of a training run, which is newer than `before`, once it has worked for a while."""
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        process = session._process
        newest = max(family(process._process.pid), default=0) if process is not None else 0
        if newest > before:
            fields = Path(f"/proc/{newest}/stat").read_text().rpartition(")")[2].split()
            if int(fields[11]) / os.sysconf("SC_CLK_TCK") > 0.4:
                os.kill(newest, signal.SIGKILL)
                return
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@NAMES
@pytest.mark.parametrize("fault", ["killed", "out of time"])
def test_a_long_fit_that_ends_badly_is_one_typed_error_and_leaves_nothing(
    name: str, fault: str, tmp_path: Path
) -> None:
    library(name)
    (request, small), (_, large) = wide(300), wide(150_000)
    argv = TRAINERS.get(name).argv(TrainerSection(name=name), Path())
    expected: type[TrainingError] = TrainerCrashedError if fault == "killed" else TrainerLimitError
    with Session(argv, parent=tmp_path, forks=True) as session, ThreadPoolExecutor(1) as pool:
        first = session.train(request, small)
        assert session._process is not None
        before = max(family(session._process._process.pid))
        striking = pool.submit(strike, session, before) if fault == "killed" else None
        if striking is None:
            session._process._limits = Limits(wall_seconds=1.0)
        with pytest.raises(expected):
            session.train(request, large)
        if striking is not None:
            striking.result()
        # The next call starts anew, and makes the model that it made before.
        assert session.train(request, small).content == first.content
        assert session.predict(first, request, small).num_rows == small.num_rows
    assert not list(tmp_path.iterdir())
