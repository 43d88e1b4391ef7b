"""A handle on the champion inside a program of the user's: predicts, and follows every release and rollback by itself.

The folder that `[serving] folder` names is looked at before each batch; one look is one `stat`. While a canary serves a
share of the rows, those go to it, chosen by their ids as in the loop. The model runs in the
trainer's own sandboxed process, as in the loop: its file is never opened in the program that holds the handle.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import PitstopError, ReleaseTargetError, SpecError, TrainingError
from pitstop.integrations.folder_target import CHAMPION, MODELS, served_from
from pitstop.records.batches import features_of
from pitstop.records.columns import texts
from pitstop.records.routing import in_share
from pitstop.records.spec import ModelSpec, load_spec
from pitstop.retraining.limits import Limits
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import Model, TrainingRequest, trainer_of

__all__ = ["Served"]


class Served:
    """The model that serves, from a folder that `pitstop run` publishes to. A context manager; safe for threads.

    `spec` is the model's specification or the path of its `pitstop.toml`; relative paths in it, the folder's too, are
    taken from `base` (default: the file's folder, or the working one). Entering raises `SpecError` where no folder is
    named, and `ReleaseTargetError` where there is no model in it that matches its digest.
    """

    def __init__(self, spec: ModelSpec | Path | str, base: Path | str | None = None) -> None:
        self.spec = spec if isinstance(spec, ModelSpec) else load_spec(spec)
        place = Path(base) if base is not None else Path() if isinstance(spec, ModelSpec) else Path(spec).parent
        if not self.spec.serving.folder:
            msg = f"[serving] of {self.spec.model.name!r} names no folder to read the model from; write folder = ..."
            raise SpecError(msg)
        self._folder = place / self.spec.serving.folder
        section = self.spec.trainer
        trainer = trainer_of(section)
        self._session = Session(trainer.argv(section, place), Limits.of(section), forks=trainer.forks)
        self._request = TrainingRequest.of(self.spec)
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._model: Model | None = None
        self._canary: Model | None = None
        self._facts: Mapping[str, str | int | float] = {}
        self._problem = ""

    def __enter__(self) -> Self:
        """Find the champion and start the process that runs it."""
        self._session.__enter__()
        try:
            with self._lock:
                self._follow()
            self._session.prepare()
        except BaseException:
            self._session.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._session.__exit__(kind, error, trace)

    @property
    def facts(self) -> Mapping[str, str | int | float]:
        """What serves: {model, version, release, digest, at}, with a canary its own facts, as of the last batch."""
        return dict(self._facts)

    @property
    def problem(self) -> str:
        """Why the newest release could not be taken over, "" where it was; the one before serves then."""
        return self._problem

    def predict(self, rows: Any) -> pa.Table:
        """Return the predictions of rows, in their order, by whoever is champion now.

        `rows` is anything that Arrow reads (`__arrow_c_stream__`) and has the features' columns, or the texts and
        embeddings that they are measured from; the model is given them as the loop would. The columns are those of a
        trainer's answer: `score` (binary), `prediction` and `score` (multiclass), `prediction` (regression).
        Where the column of `[columns] id` is among them, a canary's share of the rows is predicted by the canary; where
        it is not, or the canary gives no answer that can be used (`problem` says so), by the champion. Raises
        `MissingColumnError` or `ColumnValueError` for rows that cannot be used, and a `TrainingError` where the
        champion gives no answer.
        """
        given = pa.table(rows)
        table = pa.table(features_of(self.spec, given))
        with self._lock:
            self._follow()
            assert self._model is not None  # noqa: S101 - _follow() has found one or raised; for the type checker
            mine = self._for_canary(given)
            if self._canary is None or not mine.any():
                return self._session.predict(self._model, self._request, table)
            try:
                theirs = self._session.predict(self._canary, self._request, table.filter(pa.array(mine)))
            except TrainingError as error:
                self._problem = f"the canary v{self._facts['canary_version']} gives no answer that can be used: {error}"
                return self._session.predict(self._model, self._request, table)
            ours = self._session.predict(self._model, self._request, table.filter(pa.array(~mine)))
            places = np.empty(len(mine), dtype=np.int64)
            places[np.flatnonzero(~mine)] = np.arange(ours.num_rows)
            places[np.flatnonzero(mine)] = ours.num_rows + np.arange(theirs.num_rows)
            return pa.concat_tables([ours, theirs]).take(places)

    def _for_canary(self, table: pa.Table) -> NDArray[np.bool_]:
        name = self.spec.columns.id
        if self._canary is None or name is None or name not in table.column_names:
            return np.zeros(table.num_rows, dtype=np.bool_)
        # As the loop reads ids, so that both choose the same rows; a row without one is the champion's.
        ids = texts(table[name], name).to_pylist()
        salt, share = str(self._facts["canary_release"]), float(self._facts["canary_share"])
        known = np.array([value is not None for value in ids], dtype=np.bool_)
        return in_share([str(value) for value in ids], share, salt) & known

    def _follow(self) -> None:
        """Take over what the folder names, where that changed; keep the model at hand where it cannot be read."""
        try:
            status = (self._folder / CHAMPION).stat()
            now = (status.st_mtime_ns, status.st_ino, status.st_size)
            if now == self._seen:
                return
            facts = served_from(self._folder)
            content = (self._folder / MODELS / str(facts["digest"])).read_bytes()
            other = str(facts.get("canary_digest", ""))
            beside = Model((self._folder / MODELS / other).read_bytes()) if other else None
        except (OSError, PitstopError) as error:
            self._problem = str(error)
            if self._model is None:
                msg = f"no model can be served from {self._folder}: {error}; `pitstop run` publishes one"
                raise ReleaseTargetError(msg) from error
            return
        model = Model(content)
        if model.digest != facts["digest"] or (beside is not None and beside.digest != other):
            # It was replaced between the check and the reading; the next look finds it whole.
            return
        self._model, self._canary, self._facts, self._seen, self._problem = model, beside, facts, now, ""
