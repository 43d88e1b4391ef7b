"""Candidates: fitted in the background in a process of their own, scored by one long-lived process.

A candidate is asked for at the start of a period and waited for only where it is needed (to be scored at the period's
end, or to be released at once), so the days of a period are walked while it is being fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import TrainingError
from pitstop.records.spec import ModelSpec
from pitstop.retraining.fits import Fit, fit
from pitstop.retraining.label_issues import Screened
from pitstop.retraining.limits import Limits
from pitstop.retraining.recipes import Options
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import Challenger, Model, TrainingRequest, trainer_of


@dataclass(frozen=True)
class Predictions:
    """What a model says of rows, in their order.

    `scores` float64: probability of the positive class (binary) or of the predicted class (multiclass), NaN for
    regression. `decided`: the predicted class as text, or the predicted number.
    """

    scores: NDArray[np.float64]
    decided: NDArray[Any]

    @classmethod
    def of(cls, spec: ModelSpec, table: pa.Table, classes: tuple[str, ...]) -> Predictions:
        """Return the predictions in a trainer's answer. Binary classes are decided by the spec's threshold."""
        if spec.model.task == "regression":
            numbers = np.asarray(table["prediction"].to_numpy(), dtype=np.float64)
            return cls(np.full(len(numbers), np.nan), numbers)
        scores = np.asarray(table["score"].to_numpy(), dtype=np.float64)
        if spec.model.task == "binary":
            return cls(scores, decide(spec, scores, classes))
        return cls(scores, np.asarray(table["prediction"].to_pylist(), dtype=object))


def decide(spec: ModelSpec, scores: NDArray[np.float64], classes: tuple[str, ...]) -> NDArray[Any]:
    """Return the binary class of each score: positive from the threshold on. `classes` are (negative, positive)."""
    negative, positive = classes
    return np.where(scores >= spec.decision.threshold, positive, negative).astype(object)


class Models:
    """Trains and scores challengers, and keeps their files until the loop stores them.

    `read` returns the bytes of a stored model by its digest. Use as a context manager: processes end with it.
    """

    def __init__(self, spec: ModelSpec, base: Path, read: Callable[[str], bytes]) -> None:
        section = spec.trainer
        trainer = trainer_of(section)
        argv = trainer.argv(section, base)
        limits = Limits.of(section)
        self._spec = spec
        self._request = TrainingRequest.of(spec)
        self._read = read
        self._fitting = Session(argv, limits, forks=trainer.forks)
        self._scoring = Session(argv, limits, self._fitting.isolation)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fit")
        self._pending: dict[str, Future[Fit]] = {}
        self._screened: dict[str, Screened] = {}
        self._fitted: dict[str, Model] = {}
        self._digests: dict[str, str] = {}
        self._classes: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        """Make the private folders and start the scoring process's imports."""
        self._fitting.__enter__()
        self._scoring.__enter__()
        self._fitting.prepare()
        self._scoring.prepare()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for a running fit, then end all processes."""
        for future in self._pending.values():
            future.cancel()
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._fitting.__exit__(kind, error, trace)
        self._scoring.__exit__(kind, error, trace)

    @property
    def isolation(self) -> str:
        """Which isolation held, in one sentence."""
        return str(self._fitting.isolation)

    def know(self, classes: tuple[str, ...], digests: dict[str, str]) -> None:
        """Tell the classes of the task, and the digests of stored models by challenger id."""
        self._classes = classes
        self._digests.update(digests)

    def ask(self, challenger: Challenger, rows: pa.Table, windows: NDArray[np.int64] | None = None) -> None:
        """Have a challenger fitted on `rows` in the background; asking again for the same one does nothing.

        With the `windows` of the rows' predictions the fit is made as the recipe asks for it, else on the rows as they
        are.
        """
        if challenger.id in self._pending or challenger.id in self._fitted:
            return
        options = Options("") if windows is None else challenger.recipe.options
        start = self.model(challenger.start.challenger) if challenger.start is not None else None
        of = np.zeros(rows.num_rows, dtype=np.int64) if windows is None else windows
        self._pending[challenger.id] = self._worker.submit(fit, self._fitting, self._request, rows, options, of, start)

    def screened(self, challenger_id: str) -> Screened | None:
        """Return what was left out of a fit that is over, None where nothing was looked for."""
        return self._screened.get(challenger_id)

    def wait(self) -> None:
        """Wait until no fit is running; how they ended is said where the model is asked for."""
        wait(self._pending.values())

    def ended_well(self, challenger_id: str) -> bool:
        """Return whether a challenger's fit is over and gave a model."""
        fit = self._pending.get(challenger_id)
        return fit is not None and fit.done() and fit.exception() is None

    def model(self, challenger_id: str) -> Model:
        """Return a challenger's model: wait for its fit, or read it from the store. Raises `TrainingError`."""
        if challenger_id in self._pending:
            found = self._pending.pop(challenger_id).result()
            self._fitted[challenger_id] = found.model
            if found.screened is not None:
                self._screened[challenger_id] = found.screened
            self._digests[challenger_id] = self._fitted[challenger_id].digest
        if challenger_id not in self._fitted:
            if challenger_id not in self._digests:
                msg = f"no model of {challenger_id} is stored or being fitted; run the period again that fitted it"
                raise TrainingError(msg)
            self._fitted[challenger_id] = Model(self._read(self._digests[challenger_id]))
        return self._fitted[challenger_id]

    def bring(self, challenger_id: str, model: Model) -> None:
        """Take a model that was trained elsewhere; nothing of it is believed before it has predicted."""
        self._fitted[challenger_id] = model
        self._digests[challenger_id] = model.digest

    def forget(self, challenger_id: str) -> None:
        """Let go of a model that was brought and cannot be used."""
        del self._fitted[challenger_id], self._digests[challenger_id]

    def said(self, answer: pa.Table) -> Predictions:
        """Return predictions that were made elsewhere, once they are checked (`answers.check_predictions`)."""
        return Predictions.of(self._spec, answer, self._classes)

    def predict(self, challenger_id: str, rows: pa.Table) -> Predictions:
        """Return the predictions of a challenger for rows."""
        answer = self._scoring.predict(self.model(challenger_id), self._request, rows)
        return Predictions.of(self._spec, answer, self._classes)
