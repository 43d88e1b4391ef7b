"""Fits the candidates of a backtest and has them predict every row that they may be judged on.

Several sandboxed trainer processes work at once, each driven by a thread. A candidate is one task: its model and its
predictions are kept as soon as they are there, so whatever interrupts a backtest, the same command goes on. The
candidates of a warm recipe are one task, oldest first: each starts from the one before that was there by then.
"""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.backtests.kept_files import KeptFiles
from pitstop.backtests.past import Past
from pitstop.backtests.recipes import TrainingRows, training_rows
from pitstop.errors import EmptyTableError, TrainingError
from pitstop.records.identity import canonical_json
from pitstop.retraining.fits import MOST_STARTS, check_options, fit
from pitstop.retraining.limits import Limits
from pitstop.retraining.recipes import options_of
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import BuiltinTrainer, Model, TrainingRequest, trainer_of
from pitstop.strategy.row_losses import RowLosses

Ints = NDArray[np.int64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Candidates:
    """The losses of all candidates by recipe, and what making them took.

    `trained_on[recipe][period]` is the number of rows that each fit was paid for: those of the recipe, times the passes
    over them. `notes[recipe][period]` says what labels were left out and what a warm fit started from. `fitted` counts
    the fits that were made now, `kept` those that were there already; `failures` are sentences on fits that gave no
    model.
    """

    by_recipe: Mapping[str, RowLosses]
    trained_on: Mapping[str, Mapping[int, int]]
    fitted: int = 0
    kept: int = 0
    failures: tuple[str, ...] = field(default=())
    notes: Mapping[str, Mapping[int, Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Made:
    recipe: str
    period: int
    losses: NDArray[Any] | None
    rows: int
    fitted: bool
    failure: str = ""
    note: Mapping[str, Any] = field(default_factory=dict)
    model: Model | None = field(default=None, repr=False)
    starts: int = 0


def make_candidates(
    past: Past,
    recipes: Sequence[str],
    periods: Sequence[int],
    kept: KeptFiles,
    *,
    base: Path,
    workers: int,
    progress: Progress,
    lag: int = 0,
) -> Candidates:
    """Fit one candidate for each recipe and each of the given periods, and sum up what each lost on each labelled row.

    `base` is the folder from which a trainer's own files are named. `lag` is how many periods a decision takes to
    serve: a warm fit starts from no model that might not have been there yet. Raises `TrainingError` where no candidate
    of a recipe could be fitted; where single ones could not, the others go on without them. Raises `RecipeError` for a
    recipe that the trainer cannot do.
    """
    for recipe in recipes:
        check_options(recipe, past.spec)
    work = _Work(past, kept, base, max(lag, 1))
    warm = [recipe for recipe in recipes if options_of(recipe).warm]
    cold = [recipe for recipe in recipes if recipe not in warm]
    # The newest have most to learn from: begun first, no worker waits long at the end. A chain takes longest.
    tasks: list[tuple[str, tuple[int, ...]]] = [(recipe, tuple(sorted(periods))) for recipe in warm]
    tasks += [(recipe, (period,)) for period in sorted(periods, reverse=True) for recipe in cold]
    made: list[_Made] = []
    with work.sessions(workers) as run, ThreadPoolExecutor(workers, thread_name_prefix="candidate") as pool:
        futures = [pool.submit(run, recipe, chain) for recipe, chain in tasks]
        try:
            for future in as_completed(futures):
                made += future.result()
                progress("candidates", len(made), len(recipes) * len(periods))
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return work.summed(made, recipes)


class _Work:
    def __init__(self, past: Past, kept: KeptFiles, base: Path, ready: int) -> None:
        self._past = past
        # Periods from the fit of a model to the first fit that may start from it.
        self._ready = ready
        self._kept = kept
        spec = past.spec
        section = spec.trainer
        trainer = trainer_of(section)
        self._argv = trainer.argv(section, base)
        self._forks = trainer.forks
        self._limits = Limits.of(section)
        request = TrainingRequest.of(spec)
        features = tuple(past.features.column_names)
        categorical = tuple(name for name in request.categorical if name in features)
        self._request = replace(request, features=features, categorical=categorical)
        self._program = canonical_json(
            {
                "trainer": [trainer.name, trainer.version, *(Path(part).name for part in section.command)],
                # The built-in trainers' files are opened by the library that wrote them, and by no other version.
                "library": trainer.library_version() if isinstance(trainer, BuiltinTrainer) else "",
                # Another program under the same name makes other models.
                "files": [_content_digest(Path(part)) for part in self._argv if section.command],
                **({"format": section.format} if section.format != "native" else {}),
                "request": [features, categorical, request.task, request.positive, request.seed],
            }
        )
        # What is found to be wrong depends on the package that finds it.
        self._screening = [distribution.version for distribution in distributions(name="cleanlab")]
        self._predicted = past.predicted_in()
        self._labelled = past.labelled

    @contextmanager
    def sessions(self, workers: int) -> Iterator[Callable[[str, tuple[int, ...]], list[_Made]]]:
        """Yield what makes the candidates of some periods, one after the other, in whichever process is free."""
        idle: queue.SimpleQueue[Session] = queue.SimpleQueue()
        with ExitStack() as stack:
            isolation = None
            for _ in range(workers):
                session = Session(self._argv, self._limits, isolation, forks=self._forks)
                isolation = session.isolation
                idle.put(stack.enter_context(session))

            def run(recipe: str, periods: tuple[int, ...]) -> list[_Made]:
                session = idle.get()
                try:
                    made: list[_Made] = []
                    for period in periods:
                        made.append(self._make(session, recipe, period, self._start(recipe, period, made)))
                    # Models are large, and from here on nobody starts from them.
                    return [replace(item, model=None) for item in made]
                finally:
                    idle.put(session)

            yield run

    def _start(self, recipe: str, period: int, made: Sequence[_Made]) -> _Made | None:
        """Return the candidate that a warm fit starts from, None where it is to be a fit of its own.

        It is the newest that was there by then; after one that failed, or after `MOST_STARTS`, the chain begins anew.
        """
        ready = [item for item in made if item.period <= period - self._ready]
        if not options_of(recipe).warm or not ready or ready[-1].model is None or ready[-1].starts >= MOST_STARTS:
            return None
        return ready[-1]

    def _make(self, session: Session, recipe: str, period: int, start: _Made | None) -> _Made:
        past, options = self._past, options_of(recipe)
        chosen = training_rows(recipe, past, period)
        paid = len(chosen.rows) * options.passes
        began = start.model if start is not None else None
        key = self._key(chosen, options.clean, began)
        chunks = self._chunks(period)
        found = self._kept.predictions(key)
        missing = {digest: rows for digest, rows in chunks.items() if digest not in found}
        note = self._kept.note(key) if options.clean else {}
        fitted, model = False, None
        try:
            if missing or note is None or options.warm:
                model = self._kept.model(key)
                if model is None or note is None:
                    table = past.training_table(chosen.rows, chosen.weights)
                    windows = past.spec.calendar.window_of(past.at[chosen.rows])
                    made, fitted = fit(session, self._request, table, options, windows, began), True
                    model, note = made.model, made.screened.to_json() if made.screened else {}
                    if made.screened:
                        self._kept.keep_note(key, note)
                    self._kept.keep_model(key, model)
            if missing:
                assert model is not None  # noqa: S101 - it was read or fitted above; for the type checker
                rows = np.concatenate(list(missing.values()))
                answer = session.predict(model, self._request, past.features.take(pa.array(rows)))
                ends = np.cumsum([len(part) for part in missing.values()])[:-1]
                news = dict(zip(missing, np.split(self._values(answer), ends), strict=True))
                self._kept.keep_predictions(key, news)
                found |= news
        except (TrainingError, EmptyTableError) as error:
            return _Made(recipe, period, None, paid, fitted=False, failure=str(error).splitlines()[0])
        values: NDArray[Any] = np.full(len(past.at), np.nan)
        if past.spec.model.task == "multiclass":
            values = np.full(len(past.at), None, dtype=object)
        for digest, rows in chunks.items():
            values[rows] = found[digest]
        told = {"labels": note} if note else {}
        if start is not None and began is not None:
            told["start"] = {"period": past.name(start.period), "digest": began.digest}
        starts = start.starts + 1 if start is not None else 0
        losses = self._losses(values, period)
        return _Made(recipe, period, losses, paid, fitted, note=told, model=model, starts=starts)

    def _key(self, chosen: TrainingRows, clean: int = 0, start: Model | None = None) -> str:
        weights = [] if chosen.weights is None else [chosen.weights]
        rows = self._past.digest(chosen.rows, self._past.label_hashes[chosen.rows], *weights)
        options = b""
        if clean:
            options += canonical_json({"clean": [clean, *self._screening], "windows": self._windows(chosen)})
        if start is not None:
            options += f"start {start.digest}".encode()
        return hashlib.sha256(self._program + rows.encode() + options).hexdigest()[:40]

    def _windows(self, chosen: TrainingRows) -> str:
        """Return the digest of which rows share a window: they share a fold when labels are looked at."""
        windows = self._past.spec.calendar.window_of(self._past.at[chosen.rows])
        return hashlib.sha256(np.ascontiguousarray(windows).tobytes()).hexdigest()

    def _chunks(self, period: int) -> dict[str, Ints]:
        """Return the rows that the candidate of a period may be judged on, by digest, a chunk for each period.

        They are all rows whose label had not arrived when it was fitted, labelled by now or not; so what is kept stays
        good when later labels come.
        """
        due = np.flatnonzero(self._past.label_at >= self._past.start(period))
        of = self._predicted[due]
        cuts = np.flatnonzero(np.diff(of)) + 1
        return {self._past.digest(rows): rows for rows in np.split(due, cuts) if len(rows)}

    def _values(self, answer: pa.Table) -> NDArray[Any]:
        """Return what is kept of a trainer's answer: score (binary), number (regression) or class name."""
        if self._past.spec.model.task == "multiclass":
            return np.asarray(answer["prediction"].to_pylist(), dtype=np.str_)
        column = "score" if self._past.spec.model.task == "binary" else "prediction"
        return np.asarray(answer[column].to_numpy(), dtype=np.float64)

    def _losses(self, values: NDArray[Any], period: int) -> NDArray[Any]:
        """Return the losses of the labelled rows that were due, NaN for the others."""
        past, rows = self._past, self._labelled
        due = past.label_at[rows] >= past.start(period)
        found = values[rows[due]]
        if past.spec.model.task == "binary":
            found = found >= past.spec.decision.threshold
        losses = np.full(len(rows), np.nan)
        losses[due] = past.losses(found, rows[due])
        return losses

    def summed(self, made: Sequence[_Made], recipes: Sequence[str]) -> Candidates:
        """Put all candidates together by recipe."""
        times = self._past.times()
        by_recipe = {}
        for recipe in recipes:
            own = sorted((item for item in made if item.recipe == recipe), key=lambda item: item.period)
            losses = {item.period: item.losses for item in own if item.losses is not None}
            if not losses:
                msg = f"no candidate of recipe {recipe} could be fitted; the last one: {own[-1].failure}"
                raise TrainingError(msg)
            by_recipe[recipe] = RowLosses(times, losses)
        return Candidates(
            by_recipe,
            {recipe: {item.period: item.rows for item in made if item.recipe == recipe} for recipe in recipes},
            sum(item.fitted for item in made),
            sum(not item.fitted and not item.failure for item in made),
            tuple(
                f"{item.recipe}, {self._past.name(item.period)}: {item.failure}"
                for item in sorted(made, key=lambda item: (item.period, item.recipe))
                if item.failure
            ),
            {recipe: {item.period: item.note for item in made if item.recipe == recipe} for recipe in recipes},
        )


def _content_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix and path.is_file() else ""
