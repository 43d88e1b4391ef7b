"""The program of the trainers for other people's boosters: `python -m pitstop.retraining.boosters xgboost|lightgbm`.

It speaks the trainer protocol and runs in the sandbox only; XGBoost and LightGBM come with the extras of their names. A
model file is a zip archive of two parts that hold no code: the library's own format (`model.ubj`, `model.txt`), which
the library opens by itself, and `pitstop.json`, which says what each column of its matrix is.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import TrainerRefusedError
from pitstop.retraining import program
from pitstop.retraining.encoding import Encoding, Floats

_ROUNDS = program.ROUNDS
_HUGE = 1e38
_ABOUT = "pitstop.json"
# Archives hold times; a constant one keeps the bytes of a model a function of its rows.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Problem:
    """What is to be learnt: task, number of classes (0 for regression), which columns are categories, a seed.

    `start` is the library's model that the fit goes on from, or None.
    """

    task: str
    classes: int
    categorical: NDArray[np.bool_]
    seed: int
    start: Any = None

    @property
    def rounds(self) -> int:
        """The rounds of boosting."""
        rounds = program.rounds_for(self.classes, _ROUNDS)
        return rounds if self.start is None else max(1, rounds // program.WARM_SHARE)


class Library(Protocol):
    """A booster: fits a matrix of numbers and category codes, NaN where missing, and is its bytes in between."""

    file: str

    def fit(self, problem: Problem, matrix: Floats, targets: NDArray[Any], weights: Floats | None) -> Any:
        """Return the fitted model."""

    def to_bytes(self, model: Any) -> bytes:
        """Return the model in the library's own format."""

    def from_bytes(self, content: bytes) -> Any:
        """Return the model that `to_bytes` wrote."""

    def scores(self, model: Any, problem: Problem, matrix: Floats) -> Floats:
        """Return numbers (regression), or probabilities: of the second class (binary), of each (multiclass)."""


class XGBoost:
    """XGBoost's defaults and histograms, categories as such."""

    file = "model.ubj"

    def __init__(self) -> None:
        self._library = import_module("xgboost")

    def _matrix(self, problem: Problem, matrix: Floats, targets: Any = None, weights: Any = None) -> Any:
        kinds = ["c" if categorical else "q" for categorical in problem.categorical]
        # XGBoost refuses what is infinite in float32.
        return self._library.DMatrix(
            np.clip(matrix, -_HUGE, _HUGE),
            label=targets,
            weight=weights,
            feature_types=kinds,
            enable_categorical=True,
            nthread=1,
        )

    def fit(self, problem: Problem, matrix: Floats, targets: NDArray[Any], weights: Floats | None) -> Any:
        """Return the fitted `Booster`."""
        options: dict[str, Any] = {"tree_method": "hist", "seed": problem.seed, "nthread": 1, "verbosity": 1}
        options["objective"] = {
            "regression": "reg:squarederror",
            "binary": "binary:logistic",
            "multiclass": "multi:softprob",
        }[problem.task]
        if problem.task == "multiclass":
            options["num_class"] = problem.classes
        rows = self._matrix(problem, matrix, targets, weights)
        return self._library.train(options, rows, num_boost_round=problem.rounds, xgb_model=problem.start)

    def to_bytes(self, model: Any) -> bytes:
        """Return UBJSON."""
        return bytes(model.save_raw("ubj"))

    def from_bytes(self, content: bytes) -> Any:
        """Return the `Booster` of UBJSON, for one thread."""
        model = self._library.Booster({"nthread": 1})
        model.load_model(bytearray(content))
        return model

    def scores(self, model: Any, problem: Problem, matrix: Floats) -> Floats:
        """Return predictions as float64; XGBoost counts in float32."""
        return np.asarray(model.predict(self._matrix(problem, matrix)), dtype=np.float64)


class LightGBM:
    """LightGBM's defaults, made repeatable, categories as such."""

    file = "model.txt"

    def __init__(self) -> None:
        self._library = import_module("lightgbm")

    def fit(self, problem: Problem, matrix: Floats, targets: NDArray[Any], weights: Floats | None) -> Any:
        """Return the fitted `Booster`."""
        options: dict[str, Any] = {
            "objective": problem.task,
            "seed": problem.seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        if problem.task == "multiclass":
            options["num_class"] = problem.classes
        places = np.flatnonzero(problem.categorical).tolist()
        rows = self._library.Dataset(
            matrix, targets, weight=weights, categorical_feature=places or "auto", params={"verbosity": -1}
        )
        return self._library.train(options, rows, num_boost_round=problem.rounds, init_model=problem.start)

    def to_bytes(self, model: Any) -> bytes:
        """Return LightGBM's text."""
        return str(model.model_to_string()).encode()

    def from_bytes(self, content: bytes) -> Any:
        """Return the `Booster` of LightGBM's text."""
        return self._library.Booster(model_str=content.decode())

    def scores(self, model: Any, problem: Problem, matrix: Floats) -> Floats:
        """Return predictions."""
        del problem
        return np.asarray(model.predict(matrix, num_threads=1), dtype=np.float64)


LIBRARIES: dict[str, type[XGBoost | LightGBM]] = {"xgboost": XGBoost, "lightgbm": LightGBM}


@dataclass(frozen=True)
class Fitted:
    """What a model file holds. `classes` are the labels by code, empty for regression."""

    encoding: Encoding
    task: str
    classes: tuple[str, ...]
    positive: str
    model: Any

    def problem(self, seed: int = 0, start: Any = None) -> Problem:
        """Return what it was fitted to."""
        return Problem(self.task, len(self.classes), self.encoding.categorical, seed, start)

    def to_bytes(self, library: Library) -> bytes:
        """Return the model file; the same model gives the same bytes."""
        about = {
            "format": 1,
            "task": self.task,
            "classes": list(self.classes),
            "positive": self.positive,
            "encoding": self.encoding.to_json(),
        }
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in ((_ABOUT, json.dumps(about).encode()), (library.file, library.to_bytes(self.model))):
                archive.writestr(zipfile.ZipInfo(name, _NO_TIME), content, zipfile.ZIP_DEFLATED)
        return written.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, library: Library) -> Fitted:
        """Return the model of a file. Raises `TrainerRefusedError` for one of another library, or no archive."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if library.file not in archive.namelist():
                    msg = f"the model file holds {archive.namelist()[:5]}; expected {library.file}, of this trainer"
                    raise TrainerRefusedError(msg)
                about = json.loads(archive.read(_ABOUT))
                model = library.from_bytes(archive.read(library.file))
        except (zipfile.BadZipFile, KeyError) as error:
            msg = f"the model file is no archive of {_ABOUT} and {library.file} ({error}), as this trainer writes them"
            raise TrainerRefusedError(msg) from error
        encoding = Encoding.from_json(about["encoding"])
        return cls(encoding, about["task"], tuple(about["classes"]), about["positive"], model)


def train(library: Library, request: dict[str, Any]) -> int:
    """Fit what a train request asks for, write its model file, and return the number of rows used."""
    table, weights = program.training_rows(request)
    task, positive = str(request["task"]), str(request.get("positive", "1"))
    start: Fitted | None = None
    if "start" in request:
        start = Fitted.from_bytes(Path(request["start"]).read_bytes(), library)
        program.require_same_question(request, start.task, start.encoding.features, start.positive)
    # The columns of a model that is gone on from keep their meaning.
    encoding = start.encoding if start else Encoding.fit(table, request["features"], request["categorical"])
    targets, classes = program.targets(table[request["label"]], task, positive, start.classes if start else ())
    problem = Fitted(encoding, task, classes, positive, None).problem(
        int(request["seed"]), start.model if start else None
    )
    model = library.fit(problem, encoding.matrix(table), targets, weights)
    written = Fitted(encoding, task, classes, positive, model).to_bytes(library)
    Path(request["model"]).write_bytes(written)
    return int(table.num_rows)


def predict(library: Library, fitted: Fitted, request: dict[str, Any]) -> int:
    """Write the predictions that a request asks for, and return the number of rows."""
    matrix = fitted.encoding.matrix(program.read_table(request["data"]))
    found = library.scores(fitted.model, fitted.problem(), matrix)
    if fitted.task == "binary":
        found = np.column_stack([1.0 - found, found])
    return program.write_predictions(request["output"], found, fitted.task, fitted.classes, fitted.positive)


def serve(kind: str, lines: Iterable[str], answers: TextIO, *, fork: bool = False) -> None:
    """Answer one JSON line for each JSON line, until they end; with `fork` each training run gets its own process."""
    library = LIBRARIES[kind]()
    opened = program.Opened(lambda name: Fitted.from_bytes(Path(name).read_bytes(), library))
    actions: dict[str, program.Action] = {
        "train": lambda request: train(library, request),
        "predict": lambda request: predict(library, opened.get(request["model"]), request),
    }
    program.serve(actions, lines, answers, fork=fork)


def main(arguments: list[str]) -> None:
    """Serve standard input as the trainer that the one argument names."""
    serve(arguments[0], sys.stdin, sys.stdout, fork=True)


if __name__ == "__main__":
    main(sys.argv[1:])
