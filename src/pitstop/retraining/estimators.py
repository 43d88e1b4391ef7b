"""The program of the built-in trainers: `python -m pitstop.retraining.estimators gradient_boosting|linear`.

It speaks the trainer protocol and runs in the sandbox only. It is the one place that writes and reads pickles: a
model file is opened by nothing but this program, in its own process (docs/decisions/0007-trainer-protocol.md).
Imports scikit-learn, and scipy, which scikit-learn brings; so nothing imports this module but the process itself.
"""

from __future__ import annotations

import json
import os
import pickle  # written and read in the sandboxed process only, see above
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import scipy.sparse
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from pitstop.errors import TrainerRefusedError
from pitstop.retraining.encoding import Encoding, Floats

_ROUNDS = 100
# A round grows one tree for each class of a multiclass task. This many in all, and a fit on seven classes costs about
# twice one on two instead of seven times; the last rounds add least, and on drifting data they overfit.
_TREES = 200
_LEAST_ROUNDS = 20
_SOLVER_STEPS = 1000
_MODELS_KEPT = 8
# Larger numbers have no square.
_HUGE = 1e100


@dataclass(frozen=True)
class Fitted:
    """What a model file holds. `classes` are the labels in the estimator's order, empty for regression."""

    task: str
    encoding: Encoding
    design: Design
    estimator: Any
    classes: tuple[str, ...]
    positive: str


@dataclass(frozen=True)
class Design:
    """The matrix that an estimator takes.

    Without `centre` it is the encoded one. With it, for a linear model: scaled numbers, whether each is missing,
    then one column per category, "other" and missing included; sparse.
    """

    centre: Floats | None = None
    scale: Floats | None = None

    @classmethod
    def linear(cls, encoded: Floats, categorical: NDArray[np.bool_]) -> Design:
        """Return the scaling learned from training rows; columns without values or without spread become 0."""
        numbers = np.clip(encoded[:, ~categorical], -_HUGE, _HUGE)
        known = ~np.isnan(numbers)
        count = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, numbers, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, numbers - centre, 0.0) ** 2).sum(axis=0) / count)
        return cls(centre, np.where(spread > 0.0, spread, np.inf))

    def of(self, encoded: Floats, encoding: Encoding) -> Any:
        """Return the matrix of encoded rows."""
        if self.centre is None or self.scale is None:
            return encoded
        categorical = encoding.categorical
        numbers = np.clip(encoded[:, ~categorical], -_HUGE, _HUGE)
        missing = np.isnan(numbers)
        scaled = np.where(missing, 0.0, (numbers - self.centre) / self.scale)
        blocks = [scipy.sparse.csr_matrix(scaled), scipy.sparse.csr_matrix(missing.astype(np.float64))]
        rows = np.arange(len(encoded))
        for index in np.flatnonzero(categorical):
            codes = encoded[:, index]
            width = len(encoding.kept[index] or ()) + 2
            places = np.where(np.isnan(codes), width - 1, codes).astype(np.int64)
            blocks.append(scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, places)), shape=(len(rows), width)))
        return scipy.sparse.hstack(blocks, format="csr")


def train(kind: str, request: dict[str, Any]) -> int:
    """Fit what a train request asks for, write its model file, and return the number of rows used."""
    table = _read(request["data"])
    if not table.num_rows:
        msg = "there are no rows to train on"
        raise TrainerRefusedError(msg)
    task, seed = str(request["task"]), int(request["seed"])
    encoding = Encoding.fit(table, request["features"], request["categorical"])
    encoded = encoding.matrix(table)
    design = Design() if kind == "gradient_boosting" else Design.linear(encoded, encoding.categorical)
    targets, classes = _targets(table[request["label"]], task, str(request.get("positive", "1")))
    weights = np.asarray(table[request["weight"]], dtype=np.float64) if "weight" in request else None
    estimator = _estimator(kind, task, seed, encoding.categorical, len(classes))
    estimator.fit(design.of(encoded, encoding), targets, sample_weight=weights)
    fitted = Fitted(task, encoding, design, estimator, classes, str(request.get("positive", "1")))
    Path(request["model"]).write_bytes(pickle.dumps(fitted, protocol=5))
    return int(table.num_rows)


def predict(fitted: Fitted, request: dict[str, Any]) -> int:
    """Write the predictions that a request asks for, and return the number of rows."""
    table = _read(request["data"])
    matrix = fitted.design.of(fitted.encoding.matrix(table), fitted.encoding)
    if fitted.task == "regression":
        columns = {"prediction": pa.array(fitted.estimator.predict(matrix), pa.float64())}
    else:
        # Rounding of the last bit may step outside [0, 1].
        scores = np.clip(fitted.estimator.predict_proba(matrix), 0.0, 1.0)
        if fitted.task == "binary":
            columns = {"score": pa.array(scores[:, fitted.classes.index(fitted.positive)])}
        else:
            best = scores.argmax(axis=1)
            names = pa.array(fitted.classes, pa.string()).take(pa.array(best))
            columns = {"prediction": names, "score": pa.array(scores[np.arange(len(best)), best])}
    result = pa.table(columns)
    with pa.OSFile(request["output"], "wb") as sink, pa.ipc.new_file(sink, result.schema) as writer:
        writer.write_table(result)
    return int(table.num_rows)


def serve(kind: str, lines: Iterable[str], answers: TextIO, *, fork: bool = False) -> None:
    """Answer one JSON line for each JSON line, until they end; with `fork` each training run gets its own process."""
    models: dict[str, Fitted] = {}
    actions: dict[str, Callable[[dict[str, Any]], int]] = {
        "train": lambda request: train(kind, request),
        "predict": lambda request: predict(_model(models, request["model"]), request),
    }
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


def main(arguments: list[str]) -> None:
    """Serve standard input as the trainer that the one argument names."""
    # Safe with OpenMP, whose threads a fork would lose: the sandbox allows one thread, and this process never fits.
    serve(arguments[0], sys.stdin, sys.stdout, fork=True)


def _model(models: dict[str, Fitted], name: str) -> Fitted:
    # A model's name holds its digest, so the same name is the same model.
    fitted = models.pop(name, None)
    if fitted is None:
        fitted = pickle.loads(Path(name).read_bytes())  # noqa: S301  # made by this program, opened inside the sandbox
    models[name] = fitted
    if len(models) > _MODELS_KEPT:
        del models[next(iter(models))]
    return fitted


def _read(name: str) -> pa.Table:
    with pa.OSFile(name, "rb") as source:
        return pa.ipc.open_file(source).read_all()


def _targets(column: Any, task: str, positive: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    if task == "regression":
        targets = np.asarray(column, dtype=np.float64)
        if not np.isfinite(targets).all():
            msg = "a label is missing or not a finite number; leave such rows out"
            raise TrainerRefusedError(msg)
        return targets, ()
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
    return codes, names


def _estimator(kind: str, task: str, seed: int, categorical: NDArray[np.bool_], classes: int) -> Any:
    if kind == "gradient_boosting":
        rounds = _ROUNDS if classes <= 2 else min(_ROUNDS, max(_LEAST_ROUNDS, _TREES // classes))
        options = {
            "max_iter": rounds,
            "early_stopping": False,
            "random_state": seed,
            "categorical_features": categorical,
        }
        if task == "regression":
            return HistGradientBoostingRegressor(**options)
        return HistGradientBoostingClassifier(**options)
    if kind == "linear":
        return Ridge() if task == "regression" else LogisticRegression(max_iter=_SOLVER_STEPS, random_state=seed)
    msg = f"no built-in trainer is called {kind!r}; known: gradient_boosting, linear"
    raise TrainerRefusedError(msg)


if __name__ == "__main__":
    main(sys.argv[1:])
