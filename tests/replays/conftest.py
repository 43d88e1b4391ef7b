"""Small histories that make themselves: a relation that drifts, labels that come late, and a way to replay them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pitstop.records.spec import ModelSpec, parse_spec
from pitstop.replays.replay import replay, run
from pitstop.store.home import Home

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)

SPEC = """
[model]
name = "small"
task = "binary"

[columns]
time = "at"
id = "id"
label = "label"
label_time = "known_at"
features = ["x1", "x2", "kind"]
categorical = ["kind"]

[time]
window = "day"
period = 5

[costs]
release = 6.0
fit_per_row = 0.001

[policy]
recipe = "last_3"

[trainer]
command = ["PYTHON", "trainer.py"]

[replay]
start = "2024-01-13"
"""

# A ridge regression of indicators: it starts in a fraction of the time that scikit-learn takes, and a replay starts a
# process for each fit. It crashes where it is given a number of rows that `CRASH` names.
TRAINER = """
import json, os, sys
import numpy as np, pyarrow as pa

CRASH = range(0, 0)

def read(name):
    with pa.OSFile(name, "rb") as source:
        return pa.ipc.open_file(source).read_all()

def matrix(table, features, kept):
    columns = [np.ones(table.num_rows)]
    for name in features:
        if name in kept:
            words = np.array(table[name].to_pylist(), dtype=object)
            columns += [(words == word).astype(float) for word in kept[name]]
        else:
            columns.append(np.clip(np.nan_to_num(np.array(table[name].to_pylist(), dtype=float)), -9, 9))
    return np.column_stack(columns)

for line in sys.stdin:
    ask = json.loads(line)
    table = read(ask["data"])
    if ask["action"] == "train":
        if table.num_rows in CRASH:
            sys.exit("no convergence")
        kept = {name: sorted({str(x) for x in table[name].to_pylist() if x is not None}) for name in ask["categorical"]}
        labels = table[ask["label"]].to_pylist()
        task, classes = ask["task"], []
        if task == "regression":
            target = np.array(labels, dtype=float)[:, None]
        else:
            classes = [ask["positive"]] if task == "binary" else sorted(set(labels))
            target = np.array([[float(x == name) for name in classes] for x in labels])
        x = matrix(table, ask["features"], kept)
        weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ target)
        facts = {"task": task, "classes": classes, "kept": kept, "features": ask["features"], "w": weights.tolist()}
        json.dump(facts, open(ask["model"], "w"))
    else:
        model = json.load(open(ask["model"]))
        found = matrix(table, model["features"], model["kept"]) @ np.array(model["w"])
        if model["task"] == "regression":
            result = {"prediction": found[:, 0]}
        elif model["task"] == "binary":
            result = {"score": 1 / (1 + np.exp(-5 * (found[:, 0] - 0.5)))}
        else:
            chance = np.exp(5 * found)
            chance /= chance.sum(axis=1, keepdims=True)
            result = {"prediction": [model["classes"][i] for i in chance.argmax(axis=1)], "score": chance.max(axis=1)}
        result = pa.table(result)
        with pa.OSFile(ask["output"], "wb") as sink, pa.ipc.new_file(sink, result.schema) as writer:
            writer.write_table(result)
    print(json.dumps({"ok": True, "rows": table.num_rows}), flush=True)
"""

Artifacts = tuple[tuple[str, str, int, Any], ...]


@dataclass(frozen=True)
class Run:
    """What a replay left: its document, and its artifacts as (id, kind, at, content) in the order they were kept."""

    document: dict[str, Any]
    artifacts: Artifacts

    def of(self, *kinds: str) -> list[tuple[str, str, int, Any]]:
        """Return the artifacts of some kinds."""
        return [item for item in self.artifacts if item[1] in kinds]

    def until(self, instant: int) -> Artifacts:
        """Return the artifacts whose `at` is at most an instant."""
        return tuple(item for item in self.artifacts if item[2] <= instant)


def make_history(days: int = 55, rows: int = 40, seed: int = 0, turns: tuple[int, ...] = (20,)) -> pa.Table:
    """Return rows whose relation of `x1` to the label turns round on each day of `turns`.

    Positive labels come after about two days, negative ones after about four. From day 47 on a
    pipeline loses half of `x2`.
    """
    random = np.random.default_rng(seed)
    at = np.sort(random.uniform(0, days, days * rows))
    x1, x2 = random.normal(size=(2, len(at)))
    kind = random.integers(0, 4, len(at))
    sign = np.ones(len(at))
    for turn in turns:
        sign[at >= turn] *= -1.0
    logit = 2.5 * sign * x1 + x2 + 0.7 * (kind == 2)
    label = random.random(len(at)) < 1 / (1 + np.exp(-logit))
    delay = np.where(label, random.exponential(2.0, len(at)), random.exponential(4.0, len(at)))
    return pa.table(
        {
            "id": pa.array([f"r{number}" for number in range(len(at))]),
            "at": instants(at),
            "x1": pa.array(x1, mask=random.random(len(at)) < 0.02),
            "x2": pa.array(x2, mask=(random.random(len(at)) < 0.5) & (at >= 47)),
            "kind": pa.array(np.array(["a", "b", "c", "d"])[kind]),
            "label": pa.array(label.astype(np.int64)),
            "known_at": instants(at + delay),
        }
    )


def instants(days: Any) -> pa.Array:
    """Return the moments that lie a number of days after the first one."""
    moments = [FIRST_DAY + timedelta(days=float(value)) for value in days]
    return pa.array(moments, pa.timestamp("us", "UTC"))


@dataclass(frozen=True)
class Workshop:
    """A folder with a trainer, and functions that replay there."""

    folder: Path

    def replay(self, table: Any, spec: ModelSpec, name: str, **options: Any) -> Run:
        """Replay into the home `name` and return what came out."""
        result = replay(table, spec, home=self.folder / name, base=self.folder, **options)
        return Run(dict(result.document), self.artifacts(name))

    def run(self, table: Any, spec: ModelSpec, name: str, as_of: str = "") -> int:
        """Do what is due at `as_of` in the home `name`; return how many windows were taken in."""
        return run(self.folder / name, spec=spec, source=table, as_of=as_of, base=self.folder).windows

    def artifacts(self, name: str) -> Artifacts:
        """Return the artifacts in a home."""
        with Home.open(self.folder / name, read_only=True) as kept:
            return tuple((item.id, item.kind, item.at, item.content) for item in kept.artifacts())

    def crashing(self, spec: ModelSpec, rows: range) -> ModelSpec:
        """Return a specification whose trainer crashes where it gets one of these numbers of rows."""
        name = f"crash-{rows.start}-{rows.stop}.py"
        text = TRAINER.replace("CRASH = range(0, 0)", f"CRASH = range({rows.start}, {rows.stop})")
        (self.folder / name).write_text(text)
        return replace(spec, trainer=replace(spec.trainer, command=(sys.executable, name)))


@pytest.fixture(scope="session")
def history() -> Callable[..., pa.Table]:
    """Return the maker of histories."""
    return make_history


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    """Return the specification of the small model."""
    return parse_spec(SPEC.replace("PYTHON", sys.executable))


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Return a folder to replay in."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "trainer.py").write_text(TRAINER)
    (folder / "spec.toml").write_text(SPEC.replace("PYTHON", sys.executable))
    return Workshop(folder)


@pytest.fixture(scope="session")
def small(workshop: Workshop, spec: ModelSpec) -> Run:
    """Return the replay of the standard history, made once."""
    return workshop.replay(make_history(), spec, "small")
