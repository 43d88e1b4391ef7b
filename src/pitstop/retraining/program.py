"""The built-in trainers' side of the protocol: questions read, models and predictions written, one line of JSON each.

Runs in the sandbox only. What fits and what predicts is each program's own (`estimators`, `boosters`).
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TextIO, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import TrainerRefusedError

Floats = NDArray[np.float64]
Action = Callable[[dict[str, Any]], int]
"""What is done for a request; returns the number of rows used, or raises `TrainerRefusedError`."""

ROUNDS = 100
# A round grows one tree for each class of a multiclass task. This many in all, and a fit on seven classes costs about
# twice one on two instead of seven times; the last rounds add least, and on drifting data they overfit.
_TREES = 200
_LEAST_ROUNDS = 20
# A warm fit adds a fifth of the rounds: the rest is in the model that it starts from.
WARM_SHARE = 5
_MODELS_KEPT = 8

M = TypeVar("M")


def rounds_for(classes: int, most: int = ROUNDS) -> int:
    """Return the rounds of boosting for a number of classes (0 for regression)."""
    return most if classes <= 2 else min(most, max(_LEAST_ROUNDS, _TREES // classes))


class Opened(Generic[M]):
    """Models that were read, the last few of them: a model's name holds its digest, so the same name is the same."""

    def __init__(self, read: Callable[[str], M]) -> None:
        self._read = read
        self._models: dict[str, M] = {}

    def get(self, name: str) -> M:
        """Return the model in a file."""
        model = self._models.pop(name) if name in self._models else self._read(name)
        self._models[name] = model
        if len(self._models) > _MODELS_KEPT:
            del self._models[next(iter(self._models))]
        return model


def serve(actions: Mapping[str, Action], lines: Iterable[str], answers: TextIO, *, fork: bool = False) -> None:
    """Answer one JSON line for each JSON line, until they end; with `fork` each training run gets its own process.

    Forking is safe with OpenMP, whose threads a fork would lose: the sandbox allows one thread, and the process that
    forks never fits.
    """
    for line in lines:
        request = json.loads(line)

        def answer(request: dict[str, Any] = request) -> dict[str, Any]:
            try:
                return {"ok": True, "rows": actions[request["action"]](request), "model": request["model"]}
            except (TrainerRefusedError, ValueError, KeyError) as error:
                return {"ok": False, "error": f"{type(error).__name__}: {error}"}

        answers.write(json.dumps(_in_child(answer) if fork and request["action"] == "train" else answer()) + "\n")
        answers.flush()


def _in_child(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `work` returns in a child process: a fresh one for each run, without importing everything again.

    Where the child dies, this process ends too, with its exit code, so that the caller sees a crash.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            with os.fdopen(writing, "w") as pipe:
                json.dump(work(), pipe)
            code = 0
        except BaseException:  # noqa: BLE001 - the child must end here, whatever happened; its traceback is the log
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        sys.exit(code if code > 0 else 128 - code)
    answer: dict[str, Any] = json.loads(text)
    return answer


def read_table(name: str) -> pa.Table:
    """Return the table in an Arrow IPC file."""
    with pa.OSFile(name, "rb") as source:
        return pa.ipc.open_file(source).read_all()


def training_rows(request: Mapping[str, Any]) -> tuple[pa.Table, Floats | None]:
    """Return the rows of a train request and their weights. Raises `TrainerRefusedError` where there are no rows."""
    table = read_table(request["data"])
    if not table.num_rows:
        msg = "there are no rows to train on"
        raise TrainerRefusedError(msg)
    weights = np.asarray(table[request["weight"]], dtype=np.float64) if "weight" in request else None
    return table, weights


def require_same_question(request: Mapping[str, Any], task: str, features: tuple[str, ...], positive: str) -> None:
    """Raise `TrainerRefusedError` where a model to start from was made for another task, features or class."""
    asked = (request["task"], tuple(request["features"]), str(request.get("positive", "1")))
    if asked != (task, features, positive):
        msg = "the model to start from was made for another task, other features or another positive class; fit anew"
        raise TrainerRefusedError(msg)


def targets(column: Any, task: str, positive: str, known: tuple[str, ...] = ()) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return what to fit and the classes: numbers and none for regression, else codes into the classes by name.

    `known` are the classes of the model that the fit starts from; the codes are then those of that model. Raises
    `TrainerRefusedError` for labels that cannot be learnt.
    """
    if task == "regression":
        numbers = np.asarray(column, dtype=np.float64)
        if not np.isfinite(numbers).all():
            msg = "a label is missing or not a finite number; leave such rows out"
            raise TrainerRefusedError(msg)
        return numbers, ()
    labels = np.asarray(column.cast(pa.string()).to_numpy(), dtype=np.str_)
    classes, codes = np.unique(labels, return_inverse=True)
    names = tuple(str(name) for name in classes)
    if len(names) < 2:
        msg = (
            f"all {len(labels)} training rows have the label {names[0]!r}; a classifier needs two; choose more history"
        )
        raise TrainerRefusedError(msg)
    if task == "binary" and (len(names) > 2 or positive not in names):
        msg = f"the labels are {list(names[:10])}; a binary task needs two, one of them the positive one, {positive!r}"
        raise TrainerRefusedError(msg)
    if known:
        strange = sorted(set(names) - set(known))
        if strange:
            msg = f"the model to start from does not know the class {strange[0]!r}, only {list(known[:10])}; fit anew"
            raise TrainerRefusedError(msg)
        return np.array([known.index(name) for name in names], dtype=np.int64)[codes], known
    return codes, names


def write_predictions(name: str, found: Floats, task: str, classes: tuple[str, ...], positive: str) -> int:
    """Write the answer to a predict request; return its rows.

    `found` are numbers (regression), or the probability of each class, shape (rows, classes).
    """
    if task == "regression":
        columns = {"prediction": pa.array(found, pa.float64())}
    else:
        # Rounding of the last bit may step outside [0, 1].
        scores = np.clip(found, 0.0, 1.0)
        if task == "binary":
            columns = {"score": pa.array(scores[:, classes.index(positive)])}
        else:
            best = scores.argmax(axis=1)
            names = pa.array(classes, pa.string()).take(pa.array(best))
            columns = {"prediction": names, "score": pa.array(scores[np.arange(len(best)), best])}
    result = pa.table(columns)
    with pa.OSFile(name, "wb") as sink, pa.ipc.new_file(sink, result.schema) as writer:
        writer.write_table(result)
    return int(result.num_rows)
