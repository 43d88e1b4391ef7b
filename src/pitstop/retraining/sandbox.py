"""Runs a trainer's program: apart, limited, and gone afterwards.

The only place where a user's code runs. A `Session` is one private folder and, most of the time, one process, which
trains and then scores rows for as many models as it is asked, so a replay of many models needs one interpreter and
not one per batch.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from pitstop.errors import ColumnValueError, EmptyTableError, MissingColumnError, TrainingError
from pitstop.retraining.answers import check_predictions, check_rows, parse_answer, read_regular
from pitstop.retraining.isolation import Isolation, probe_isolation
from pitstop.retraining.limits import Limits, remove
from pitstop.retraining.process import TrainerProcess
from pitstop.retraining.trainer import START_FILE, Model, TrainingRequest

__all__ = ["Isolation", "Limits", "Session", "probe_isolation"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "ARROW_NUM_THREADS")
# Models kept in the folder; one that was dropped is written again when it is asked for.
_MODELS_KEPT = 32


class Session:
    """A context manager around a trainer's process and its private folder; both are gone when it closes.

    `argv` is the program (`Trainer.argv`), `parent` the folder in which the private folder is made (default: the
    system's). A failure kills the process and removes what the call had written; the next call starts a new
    process. `forks` says that the program gives each training run a process of its own (`Trainer.forks`); otherwise
    the session starts it again for each. Not for use by several threads at once.
    """

    def __init__(
        self,
        argv: tuple[str, ...],
        limits: Limits | None = None,
        isolation: Isolation | None = None,
        parent: Path | None = None,
        *,
        forks: bool = False,
    ) -> None:
        self._forks = forks
        self.limits = limits or Limits()
        self.isolation = isolation or probe_isolation()
        self._argv = argv
        self._parent = parent
        self._folder: Path | None = None
        self._process: TrainerProcess | None = None
        self._spare: TrainerProcess | None = None
        self._models: dict[str, None] = {}

    def __enter__(self) -> Self:
        """Make the private folder (mode 0700). The process starts with the first call."""
        self._folder = Path(tempfile.mkdtemp(prefix="pitstop-", dir=self._parent)).resolve()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process and all that it started, and remove the folder."""
        self.close()

    def close(self) -> None:
        """End the process and all that it started, and remove the folder; closing again does nothing."""
        self._stop()
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.kill()
        folder, self._folder = self._folder, None
        self._models.clear()
        if folder is not None:
            remove(folder)

    def prepare(self) -> None:
        """Start the process of the next training run and do not wait: its imports overlap with the caller's work."""
        if self._spare is None and (self._process is None or (self._process.used and not self._forks)):
            self._spare = self._started()

    def train(self, request: TrainingRequest, rows: pa.Table, start: Model | None = None) -> Model:
        """Return the model of `rows` (normalised rows with a label each), trained in a process of its own.

        `start` is an earlier model that the fit starts from, for a trainer that can. Only features, label and, where
        present, weight are given to the trainer. The process then stays for `predict`. Raises `EmptyTableError`,
        `MissingColumnError` or `ColumnValueError` for rows that cannot be used, and a `TrainingError` (crashed, limit,
        output, or refused) where no model came out; nothing is left of a failed run.
        """
        labels = _column(rows, request.label)
        if not rows.num_rows:
            msg = "there are no rows to train on; wait for labels, or choose a recipe with more history"
            raise EmptyTableError(msg)
        if labels.null_count:
            msg = f"{labels.null_count} of {rows.num_rows} training rows have no {request.label!r}; leave them out"
            raise ColumnValueError(msg)
        if not self._forks and (self._spare is not None or (self._process is not None and self._process.used)):
            self._stop()
        names = [*request.features, request.label]
        names += [request.weight] if request.weight in rows.column_names else []
        message: dict[str, Any] = {
            "action": "train",
            "data": "train.arrow",
            "model": "model",
            "seed": request.seed,
            "task": request.task,
            "features": list(request.features),
            "categorical": list(request.categorical),
            "label": request.label,
            "positive": request.positive,
        }
        if request.weight in rows.column_names:
            message["weight"] = request.weight
        if start is not None:
            message["start"] = START_FILE
        try:
            if start is not None:
                self._write_start(start)
            self._write(rows, names, "train.arrow")
            check_rows(self._ask(message), rows.num_rows, "train")
            model = Model(read_regular(self._home / "model", "the model", self._most), rows.num_rows)
        except BaseException:
            self._stop()
            raise
        finally:
            for name in ("train.arrow", "model", START_FILE):
                remove(self._home / name)
        return model

    def predict(self, model: Model, request: TrainingRequest, rows: pa.Table) -> pa.Table:
        """Return the predictions of `rows`, in their order, as a table.

        Columns: `score` (binary: probability of the positive class), `prediction` and `score` (multiclass),
        `prediction` (regression); see `answers.check_predictions`. Only features are given to the trainer. Raises
        as `train` does; no rows give an empty table.
        """
        if not rows.num_rows:
            return _no_predictions(request)
        try:
            name = self._place(model)
            self._write(rows, list(request.features), "rows.arrow")
            message = {"action": "predict", "model": name, "data": "rows.arrow", "output": "predictions.arrow"}
            check_rows(self._ask(message), rows.num_rows, "predict")
            content = read_regular(self._home / "predictions.arrow", "predictions", self._most)
            return check_predictions(content, request.task, rows.num_rows)
        except BaseException:
            self._stop()
            raise
        finally:
            for name in ("rows.arrow", "predictions.arrow"):
                remove(self._home / name)

    @property
    def _home(self) -> Path:
        if self._folder is None:
            msg = "this trainer session is closed; use it inside `with Session(...) as session`"
            raise TrainingError(msg)
        return self._folder

    @property
    def _most(self) -> int:
        return self.limits.disk_mib << 20

    def _ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        # A process that died between two calls (say, killed while it was idle) is no fault of this call.
        if self._process is not None and self._process.used and not self._process.alive:
            self._stop()
        if self._process is None:
            self._process, self._spare = self._spare or self._started(), None
        return parse_answer(self._process.ask(message), str(message["action"]))

    def _started(self) -> TrainerProcess:
        argv = self.isolation.wrapped(self._argv, self.limits.disk_mib << 20)
        # A home of its own: it marks what this process starts, also where another process of the session is at work.
        home = Path(tempfile.mkdtemp(prefix="home-", dir=self._home))
        return TrainerProcess(argv, self._home, home, _environment(home), self.limits)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _place(self, model: Model) -> str:
        name = f"model-{model.digest}"
        if self._models.pop(name, True):
            while len(self._models) >= _MODELS_KEPT:
                oldest = next(iter(self._models))
                del self._models[oldest]
                remove(self._home / oldest)
            try:
                remove(self._home / name)
                (self._home / name).write_bytes(model.content)
            except OSError as error:
                raise _no_space(error) from error
        self._models[name] = None
        return name

    def _write_start(self, start: Model) -> None:
        try:
            remove(self._home / START_FILE)
            (self._home / START_FILE).write_bytes(start.content)
        except OSError as error:
            raise _no_space(error) from error

    def _write(self, rows: pa.Table, names: list[str], file: str) -> None:
        for name in names:
            _column(rows, name)
        # A file holds one dictionary per column, so the chunks' dictionaries are made one first.
        table = rows.select(names).unify_dictionaries().combine_chunks().replace_schema_metadata(None)
        try:
            # What the trainer may have left under this name, a link even, must not be written through.
            remove(self._home / file)
            with pa.OSFile(str(self._home / file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        except OSError as error:
            raise _no_space(error) from error


def _environment(home: Path) -> dict[str, str]:
    """Return all variables of a trainer: no credential, no proxy, no search path of the service reaches it."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        **dict.fromkeys(_THREADS, "1"),
    }


def _no_space(error: OSError) -> TrainingError:
    return TrainingError(f"cannot write for the trainer: {error}; free some space, or set TMPDIR to a larger disk")


def _column(rows: pa.Table, name: str) -> Any:
    if rows.column_names.count(name) != 1:
        msg = f"the rows have no column {name!r} (or several); they have {', '.join(rows.column_names[:40])}"
        raise MissingColumnError(msg)
    return rows[name]


def _no_predictions(request: TrainingRequest) -> pa.Table:
    score, text, number = pa.array([], pa.float64()), pa.array([], pa.string()), pa.array([], pa.float64())
    if request.task == "multiclass":
        return pa.table({"prediction": text, "score": score})
    return pa.table({"score": score} if request.task == "binary" else {"prediction": number})
