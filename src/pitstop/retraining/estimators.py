"""The program of the built-in trainers: `python -m pitstop.retraining.estimators gradient_boosting|linear`.

It speaks the trainer protocol and runs in the sandbox only. It is the one place that writes and reads pickles: a
model file is opened by nothing but this program, in its own process (docs/decisions/0007-trainer-protocol.md). With
`--safe` and the types to trust it writes no pickle and opens none, but files without code (`safe_files`).
Imports scikit-learn, and scipy, which scikit-learn brings; so nothing imports this module but the process itself.
"""

from __future__ import annotations

import pickle  # written and read in the sandboxed process only, see above
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from pitstop.errors import TrainerRefusedError
from pitstop.retraining import program, safe_files
from pitstop.retraining.encoding import Encoding, Floats

_ROUNDS = program.ROUNDS
_SOLVER_STEPS = 1000
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
class Files:
    """How model files are written: a pickle, or with `safe` files without code, of the types in `trusted`."""

    safe: bool = False
    trusted: tuple[str, ...] = ()

    def to_bytes(self, fitted: Fitted) -> bytes:
        """Return the file of a model."""
        if not self.safe:
            return pickle.dumps(fitted, protocol=5)
        design = fitted.design
        about = {
            "format": 1,
            "task": fitted.task,
            "classes": list(fitted.classes),
            "positive": fitted.positive,
            "encoding": fitted.encoding.to_json(),
            "centre": None if design.centre is None else design.centre.tolist(),
            "scale": None if design.scale is None else design.scale.tolist(),
        }
        return safe_files.to_bytes(about, fitted.estimator, self.trusted)

    def from_bytes(self, content: bytes) -> Fitted:
        """Return the model of a file. Raises `TrainerRefusedError` where it may not be opened."""
        if not self.safe:
            fitted: Fitted = pickle.loads(content)  # noqa: S301  # made by this program, opened in the sandbox
            return fitted
        about, estimator = safe_files.from_bytes(content, self.trusted)
        centre, scale = (None if about[name] is None else np.array(about[name]) for name in ("centre", "scale"))
        encoding = Encoding.from_json(about["encoding"])
        design, classes = Design(centre, scale), tuple(about["classes"])
        return Fitted(about["task"], encoding, design, estimator, classes, about["positive"])


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


def train(kind: str, request: dict[str, Any], files: Files = Files()) -> int:
    """Fit what a train request asks for, write its model file, and return the number of rows used."""
    table, weights = program.training_rows(request)
    task, seed, positive = str(request["task"]), int(request["seed"]), str(request.get("positive", "1"))
    start = _start(kind, request, files) if "start" in request else None
    encoding = start.encoding if start else Encoding.fit(table, request["features"], request["categorical"])
    encoded = encoding.matrix(table)
    design = Design() if kind == "gradient_boosting" else Design.linear(encoded, encoding.categorical)
    targets, classes = program.targets(table[request["label"]], task, positive, start.classes if start else ())
    estimator = _estimator(kind, task, seed, encoding.categorical, len(classes))
    if start:
        if len(np.unique(targets)) < len(classes):
            msg = f"the model to start from knows {len(classes)} classes, and the rows hold fewer; fit anew"
            raise TrainerRefusedError(msg)
        # The same columns in the same scale, so that the solver can begin where the earlier one ended.
        design, estimator = start.design, start.estimator.set_params(warm_start=True, random_state=seed)
    estimator.fit(design.of(encoded, encoding), targets, sample_weight=weights)
    fitted = Fitted(task, encoding, design, estimator, classes, positive)
    Path(request["model"]).write_bytes(files.to_bytes(fitted))
    return int(table.num_rows)


def _start(kind: str, request: dict[str, Any], files: Files) -> Fitted:
    """Return the model that a fit starts from. Raises `TrainerRefusedError` for one that it cannot start from."""
    start = files.from_bytes(Path(request["start"]).read_bytes())
    program.require_same_question(request, start.task, start.encoding.features, start.positive)
    if kind != "linear" or not isinstance(start.estimator, LogisticRegression):
        msg = f"a {kind} model of the task {start.task} cannot be gone on from; use a recipe without +warm"
        raise TrainerRefusedError(msg)
    return start


def predict(fitted: Fitted, request: dict[str, Any]) -> int:
    """Write the predictions that a request asks for, and return the number of rows."""
    matrix = fitted.design.of(fitted.encoding.matrix(program.read_table(request["data"])), fitted.encoding)
    if fitted.task == "regression":
        found = np.asarray(fitted.estimator.predict(matrix), dtype=np.float64)
    else:
        found = np.asarray(fitted.estimator.predict_proba(matrix), dtype=np.float64)
    return program.write_predictions(request["output"], found, fitted.task, fitted.classes, fitted.positive)


def serve(kind: str, lines: Iterable[str], answers: TextIO, *, fork: bool = False, files: Files = Files()) -> None:
    """Answer one JSON line for each JSON line, until they end; with `fork` each training run gets its own process."""
    opened = program.Opened(lambda name: files.from_bytes(Path(name).read_bytes()))
    actions: dict[str, program.Action] = {
        "train": lambda request: train(kind, request, files),
        "predict": lambda request: predict(opened.get(request["model"]), request),
    }
    program.serve(actions, lines, answers, fork=fork)


def main(arguments: list[str]) -> None:
    """Serve standard input as the trainer that the first argument names; others are the types that files may hold."""
    kind, *words = arguments
    serve(kind, sys.stdin, sys.stdout, fork=True, files=Files("--safe" in words[:1], tuple(words[1:])))


def _estimator(kind: str, task: str, seed: int, categorical: NDArray[np.bool_], classes: int) -> Any:
    if kind == "gradient_boosting":
        options = {
            "max_iter": program.rounds_for(classes, _ROUNDS),
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
