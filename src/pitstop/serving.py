"""A handle on the champion inside a program of the user's: predicts, and follows every release and rollback by itself.

The folder that `[serving] folder` names is looked at before each batch; one look is one `stat`. The model runs in the
trainer's own sandboxed process, as in the loop: its file is never opened in the program that holds the handle.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from pitstop.errors import PitstopError, ReleaseTargetError, SpecError
from pitstop.integrations.folder_target import CHAMPION, MODELS, served_from
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
        self._facts: Mapping[str, str | int] = {}
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
    def facts(self) -> Mapping[str, str | int]:
        """What serves: {model, version, release, digest, at}, as of the last batch."""
        return dict(self._facts)

    @property
    def problem(self) -> str:
        """Why the newest release could not be taken over, "" where it was; the one before serves then."""
        return self._problem

    def predict(self, rows: Any) -> pa.Table:
        """Return the predictions of rows, in their order, by whoever is champion now.

        `rows` is anything that Arrow reads (`__arrow_c_stream__`) and has the features' columns. The columns are those
        of a trainer's answer: `score` (binary), `prediction` and `score` (multiclass), `prediction` (regression).
        Raises a `TrainingError` where the model gives no answer that can be used.
        """
        table = pa.table(rows)
        with self._lock:
            self._follow()
            assert self._model is not None  # noqa: S101 - _follow() has found one or raised; for the type checker
            return self._session.predict(self._model, self._request, table)

    def _follow(self) -> None:
        """Take over what the folder names, where that changed; keep the model at hand where it cannot be read."""
        try:
            status = (self._folder / CHAMPION).stat()
            now = (status.st_mtime_ns, status.st_ino, status.st_size)
            if now == self._seen:
                return
            facts = served_from(self._folder)
            content = (self._folder / MODELS / str(facts["digest"])).read_bytes()
        except (OSError, PitstopError) as error:
            self._problem = str(error)
            if self._model is None:
                msg = f"no model can be served from {self._folder}: {error}; `pitstop run` publishes one"
                raise ReleaseTargetError(msg) from error
            return
        model = Model(content)
        if model.digest != facts["digest"]:
            # It was replaced between the check and the reading; the next look finds it whole.
            return
        self._model, self._facts, self._seen, self._problem = model, facts, now, ""
