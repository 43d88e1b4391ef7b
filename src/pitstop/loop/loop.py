"""One model's loop: `tick` takes the rows and labels of one window through every stage and commits all of it at once.

A live system and a replay run this same code; they differ in where the rows come from and in how fast the windows
pass. Nothing here reads a clock. State is saved where a period ends: after a crash the loop goes back to that point
and walks the windows again, and everything it then makes has the id that it had before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline
from pitstop.baseline.maturity import cohort_ages
from pitstop.errors import EmptyTableError, ReleaseError
from pitstop.incidents import Alarm, Incident, grouped, told
from pitstop.loop.appraising import appraise
from pitstop.loop.bookkeeping import Books
from pitstop.loop.diagnosing import Cause, diagnose
from pitstop.loop.elsewhere import ElsewhereUpkeep
from pitstop.loop.estimating import Stint, estimate_period, extended
from pitstop.loop.gatekeeping import Gatekeeper
from pitstop.loop.grouping import count_groups
from pitstop.loop.kept import Kept, keep_alarm, keep_growth, keep_incident, keep_transaction
from pitstop.loop.models import Models, Predictions, decide
from pitstop.loop.orders import Order
from pitstop.loop.reference import REFERENCE_WINDOWS, Labelled, cohort_errors, fit_reference, row_errors, window_counts
from pitstop.loop.rowlog import RowLog, given
from pitstop.loop.surveying import survey
from pitstop.loop.tracing import Look
from pitstop.loop.watch import Watch
from pitstop.monitors import MONITORS
from pitstop.monitors.base import Signal, WindowCounts
from pitstop.monitors.estimated import Estimate
from pitstop.profile import Layout
from pitstop.records.identity import artifact_id
from pitstop.records.spec import ModelSpec
from pitstop.store.digest import rows_digest
from pitstop.store.home import Home
from pitstop.strategy.base import Decision
from pitstop.value.ledger import Transaction

Ints = NDArray[np.int64]

# Windows kept at hand to explain incidents with.
RECENT = 60


@dataclass(frozen=True)
class Taken:
    """What one window left: its tables (rows with what was predicted, labels), artifacts, counts and signals."""

    window: int
    tables: tuple[pa.Table, pa.Table]
    kept: tuple[Kept, ...]
    counts: WindowCounts | None
    signals: tuple[Signal, ...]


class Loop:
    """The state of one model's loop between two windows. `window` is the next one to be taken in."""

    def __init__(
        self,
        home: Home,
        spec: ModelSpec,
        models: Models | None,
        *,
        first_data: int,
        start: int,
        gate: Gatekeeper | None = None,
    ) -> None:
        """Set up a loop whose rows begin in window `first_data`; its first model is released at instant `start`.

        `gate` is asked before a model is replaced.
        """
        self.home = home
        self.spec = spec
        self.calendar = spec.calendar
        self.models = models
        self.start = self.calendar.window_at(start)
        self.window = first_data
        self.chain = spec.id
        self.log = RowLog(spec)
        first_period = self.calendar.period_at(start)
        lead = first_period - self.calendar.period_at(self.calendar.window_start(first_data))
        self.gate = gate
        self.upkeep = ElsewhereUpkeep(spec, self.log, models, first_period, lead, gate)
        self.books = Books(spec, self.log)
        self.layout: Layout | None = None
        self.baseline: Baseline | None = None
        self.ages: tuple[int, ...] = ()
        # Digests of model files that the store has.
        self.stored: set[str] = set()
        self.watch: Watch | None = None
        self.recent: list[WindowCounts] = []
        self.alarms: dict[str, Alarm] = {}
        self.incidents: tuple[Incident, ...] = ()
        self.causes: dict[str, Cause] = {}
        self.decisions: tuple[Decision, ...] = ()
        self.stints: tuple[Stint, ...] = ()
        self.estimates: dict[int, Mapping[str, Estimate]] = {}

    def take(self, rows: pa.Table, labels: pa.Table) -> Taken:
        """Take in the next window: `rows` predicted in it, and `labels` (@id, @label, @label_at) known by its end.

        Returns what is to be kept of it, in one transaction. Raises a `PitstopError` where the rows cannot be used; the
        loop must then be restored before it goes on.
        """
        window = self.window
        opening = self.calendar.window_start(window)
        kept: list[Kept] = list(self.gate.announced(window, opening)) if self.gate is not None else []
        if window == self.start:
            kept += self._begin(opening)
        elif window > self.start and self.opens_period(window):
            kept += self._open_period(window, opening)
        if window >= self.start:
            kept += self.books.announced(opening)
        batch = self._take_rows(window, rows, kept)
        late, corrected = self._take_labels(labels)
        digests = (rows_digest(rows), rows_digest(labels))
        self.chain = hashlib.sha256("|".join((self.chain, *digests)).encode()).hexdigest()
        counts: WindowCounts | None = None
        signals: tuple[Signal, ...] = ()
        if self.watch is not None and self.baseline is not None:
            ending = self.calendar.window_start(window + 1)
            champion = self._champion_on(late)
            baseline = self.baseline
            counts = self._count(baseline, window, batch, late, champion)
            self.stints = extended(self.stints, baseline, counts)
            kept += self._settle(baseline, window, ending, batch, late)
            kept += self._watch_window(baseline, ending, counts)
            signals = tuple(found for monitor in MONITORS for found in monitor.signals(baseline, counts))
            change = self.upkeep.compare(window, ending, late, champion)
            kept += change.kept
            if change.released:
                kept += self.books.releases(window, change.kept, self.upkeep.timeline.releases)
                kept += self.upkeep.judge_so_far(window + 1)
                kept += self._new_reference(window + 1)
            if self.opens_period(window + 1):
                kept.append(self._close_period(window, ending))
        kept += [keep_transaction(item) for item in corrected]
        self.window = window + 1
        if self.gate is not None:
            self.gate.saw(window, rows.num_rows, kept)
        return Taken(window, (self.log.as_kept(rows, batch), labels), tuple(kept), counts, signals)

    def obey(self, order: Order) -> tuple[Kept, ...]:
        """Do what a person orders between two windows; return what is to be kept, in one transaction with the state.

        Raises `ReleaseError` where it cannot be done; nothing has changed then.
        """
        if self.baseline is None:
            msg = f"{self.spec.model.name!r} has no first model yet; run `pitstop run` until its start"
            raise ReleaseError(msg)
        as_of = self.calendar.window_start(self.window)
        rules = self.gate.announced(self.window, as_of) if self.gate is not None else ()
        if self.gate is not None:
            self.gate.saw(self.window, 0, rules)
        change = self.upkeep.obey(order, as_of, self.chain)
        kept = [*rules, *change.kept, *self.books.fits(as_of, self.window, change.kept)]
        if change.released:
            kept += self.books.releases(self.window, change.kept, self.upkeep.timeline.releases)
            kept += self.upkeep.judge_so_far(self.window)
            kept += self._new_reference(self.window)
        return tuple(kept)

    # Stages.

    def _begin(self, as_of: int) -> list[Kept]:
        """Fit the layout, the first model and its baseline on what is known."""
        log = self.log
        if len(log) == 0:
            msg = f"no row lies before the start, {self.calendar.name_instant(as_of)}; set a later [replay] start"
            raise EmptyTableError(msg)
        self.upkeep.require_labels(as_of)
        known = log.label_at < as_of
        table = log.features(np.arange(len(log)))
        if self.spec.columns.label is not None:
            labels = log.labels.copy()
            labels[~known] = np.nan if self.spec.model.task == "regression" else None
            table = table.append_column("@label", self._column(labels))
        if self.models is None:
            table = table.append_column("@prediction", self._column(log.served_class.values))
        layout = Layout.fit(self.spec, table)
        change = self.upkeep.begin(as_of, self.chain, layout.classes)
        if self.spec.model.task == "regression":
            layout = Layout.fit(self.spec, table, predictions=log.fresh_class.values.astype(np.float64))
        self.layout = layout
        waited = self.calendar.window_at(as_of) - self.calendar.window_of(log.at[~known])
        lags = self.calendar.window_of(log.first_label_at[known]) - self.calendar.window_of(log.at[known])
        self.ages = cohort_ages(lags, waited, REFERENCE_WINDOWS // 2)
        spec = Kept("spec", self.spec.id, as_of, (), self.spec.content)
        return [spec, *change.kept, *self._new_reference(self.start)]

    def _open_period(self, window: int, as_of: int) -> list[Kept]:
        period = self.calendar.period_at(as_of)
        standing = tuple(incident.id for incident in self.incidents if incident.is_open(window))
        kept = self.upkeep.quarantine(
            self.incidents, self.alarms, {name: cause.breaks for name, cause in self.causes.items()}, window
        )
        change = self.upkeep.open_period(period, as_of, self.chain, standing)
        kept += change.kept
        self.decisions = (*self.decisions, *change.decisions)
        kept += appraise(self.books, self.models, self.upkeep.timeline.releases, period - 1, as_of)
        kept += self.books.fits(as_of, window, change.kept)
        if change.released:
            kept += self.books.releases(window, change.kept, self.upkeep.timeline.releases)
            kept += self._new_reference(window)
        return kept

    def _close_period(self, window: int, at: int) -> Kept:
        """Keep what the period's performance was estimated to be before its labels come."""
        period = self.calendar.period_at(self.calendar.window_start(window))
        found = estimate_period(self.stints, self.log, self.calendar, self.estimates)
        (owner, windows), self.stints = self.stints[-1], ()
        self.estimates[period] = found
        content = {"period": period, "metrics": {name: asdict(estimate) for name, estimate in found.items()}}
        content |= survey(self.spec, self.log, owner, (windows[0].window, windows[-1].window))
        name = artifact_id("estimate", {"period": period, "baseline": owner.id})
        return Kept("estimate", name, at, (owner.id,), content)

    def _new_reference(self, window: int) -> list[Kept]:
        """Fit the baseline and the detectors of whoever serves from `window` on."""
        assert self.layout is not None  # noqa: S101 - _begin() comes first; for the type checker
        champion = self.upkeep.timeline.champion
        owner = champion.id if champion else self.spec.id
        rows, said = self._judge_again(window)
        reference = fit_reference(
            self.spec, self.layout, self.log, before=window, owner=owner, ages=self.ages, first_fit=window == self.start
        )
        baseline = self.baseline = reference.baseline
        self.log.leaf.values[rows] = baseline.leaves(self.log.features(rows), said.scores, said.decided)
        self.watch = Watch.fit(self.spec, baseline, reference.windows)
        # Leaves of the tree before mean nothing to the new one.
        self.recent = [replace(item, cells=None) for item in self.recent]
        content = {
            "owner": owner,
            "windows": list(baseline.windows),
            "rows": baseline.profile.rows,
            "labelled": baseline.outcomes.labelled,
            "importance": dict(baseline.importance),
        }
        return [Kept("baseline", baseline.id, baseline.at, (owner,), content)]

    def _judge_again(self, window: int) -> tuple[Ints, Predictions]:
        """Set what the model that serves now says of labelled rows in cohorts that are still to be counted.

        Of rows labelled since its fit it is asked; older ones it was trained on, so the freshest model before speaks.
        Returns those rows and what is said of them.
        """
        log, end = self.log, self.calendar.window_start(window)
        rows = log.predicted_between(self.calendar.window_start(window - max(self.ages, default=0) - 1), end)
        rows = rows[log.label_at[rows] < end]
        scores, decided = log.fresh_score.values[rows], log.fresh_class.values[rows]
        if self.models is not None:
            champion = self.upkeep.candidates[self.upkeep.champion]
            unseen = log.first_label_at[rows] >= champion.at
            if unseen.any():
                asked = self.models.predict(champion.id, log.features(rows[unseen]))
                scores[unseen], decided[unseen] = asked.scores, asked.decided
        log.judged.values[rows] = decided
        return rows, Predictions(scores, decided)

    def _take_rows(self, window: int, rows: pa.Table, kept: list[Kept]) -> Ints:
        """Score the rows with the champion, a share with a canary, and log them."""
        if window < self.start and self.models is not None:
            return self.log.append(rows)
        found = self._predict_new(rows, self.calendar.window_start(window), kept)
        batch = self.log.append(rows, found.scores, found.decided)
        if self.models is None:
            self.log.fresh_score.values[batch] = found.scores
            self.log.fresh_class.values[batch] = found.decided
        return batch

    def _predict_new(self, rows: pa.Table, as_of: int, kept: list[Kept]) -> Predictions:
        if self.models is not None:
            return self.upkeep.serve(rows, as_of, kept)
        scores = np.full(rows.num_rows, np.nan)
        if "@score" in rows.column_names:
            scores = np.asarray(rows["@score"].to_numpy(), dtype=np.float64)
        if self.spec.model.task == "regression":
            return Predictions(scores, np.asarray(rows["@prediction"].to_numpy(), dtype=np.float64))
        if "@prediction" in rows.column_names:
            return Predictions(scores, np.array(rows["@prediction"].to_pylist(), dtype=object))
        decided = decide(self.spec, scores, ("not " + self.spec.decision.positive, self.spec.decision.positive))
        # Without a score nothing was decided.
        decided[np.isnan(scores)] = None
        return Predictions(scores, decided)

    def _take_labels(self, labels: pa.Table) -> tuple[Ints, list[Transaction]]:
        """Join labels to their rows; return the rows labelled for the first time, and the bookings of corrections."""
        found = self.log.join(labels)
        rows, values, first, changed = found.rows, found.values, found.first, found.changed
        corrected = []
        if changed.any():
            # A fit that still runs was asked for with the old labels; wait for it before they change.
            again = rows[changed]
            self.upkeep.wait()
            # What rows earned whose first label came before the start was never booked: there is nothing to correct.
            settled = self.log.first_label_at[again] >= self.calendar.window_start(self.start)
            served = again[self.served(again) & settled]
            keep = np.isin(again, served)
            booked = self.books.corrected(
                self.calendar.window_start(self.window + 1), served, values[changed][keep], self.spec.id
            )
            corrected = [booked] if booked else []
        self.log.set_labels(*found.to_set)
        return rows[first], corrected

    def served(self, rows: Ints) -> NDArray[np.bool_]:
        """Return which rows were given a prediction when they came."""
        return given(self.log.served_class.values[rows])

    def _champion_on(self, rows: Ints) -> Predictions:
        """Return what today's champion says of rows whose labels just came; of those it served, what it said then."""
        scores, decided = self.log.served_score.values[rows], self.log.served_class.values[rows]
        champion = self.upkeep.timeline.champion
        if self.models is not None and champion is not None:
            others = (self.log.at[rows] < champion.at) | self.upkeep.by_canary(rows)
            if others.any():
                asked = self.models.predict(champion.model, self.log.features(rows[others]))
                scores[others], decided[others] = asked.scores, asked.decided
        return Predictions(scores, decided)

    def _count(self, baseline: Baseline, window: int, batch: Ints, late: Ints, champion: Predictions) -> WindowCounts:
        log = self.log
        table = log.features(batch)
        served = (log.served_score.values[batch], log.served_class.values[batch])
        labels = log.labels[late]
        log.judged.values[late] = champion.decided
        late_leaves = baseline.leaves(log.features(late), champion.scores, champion.decided)
        log.leaf.values[late] = late_leaves
        errors = row_errors(self.spec, champion.decided, labels)
        judged = log.judged.values
        cohorts = cohort_errors(self.spec, baseline.layout, log, (judged, log.leaf.values), window, baseline.ages)
        of_age = (cohorts.middle, judged[cohorts.middle])
        return window_counts(
            baseline.layout,
            window,
            rows=table,
            outputs=served,
            leaves=baseline.leaves(table, *served),
            labelled=Labelled(champion.scores, champion.decided, labels, late_leaves, errors),
            cohorts=cohorts,
            groups=count_groups(self.spec, log, baseline.groups, (batch, served[1]), of_age),
        )

    def _settle(self, baseline: Baseline, window: int, at: int, batch: Ints, late: Ints) -> list[Kept]:
        """Book the estimates of new rows and the realised value of labelled ones."""
        owner = self.upkeep.timeline.champion
        cause = owner.id if owner else self.spec.id
        booked = [
            self.books.predicted(at, window, batch, baseline, cause),
            self.books.settled(at, late[self.served(late)], cause),
            *self.books.running(at, window, batch, late, opens=self.opens_period(window), cause=cause),
        ]
        return [keep_transaction(item) for item in booked if item is not None]

    def _watch_window(self, baseline: Baseline, at: int, counts: WindowCounts) -> list[Kept]:
        """Step the detectors; group what they find; explain the incidents that it belongs to."""
        assert self.watch is not None  # noqa: S101 - tick() has looked; for the type checker
        self.recent = [*self.recent, counts][-RECENT:]
        self.watch, findings = self.watch.step(counts)
        kept: list[Kept] = []
        touched: dict[str, bool] = {}
        for group in told(findings, at, (baseline.id,), self.alarms.values()):
            beside = ""
            for alarm in group:
                self.alarms[alarm.id] = alarm
                self.incidents, incident, opened = grouped(self.incidents, alarm, beside)
                touched[incident.id], beside = touched.get(incident.id, False) or opened, incident.id
                kept.append(keep_alarm(alarm))
        for incident in self.incidents:
            if incident.id not in touched:
                continue
            look = Look(self.spec, self.log, baseline)
            cause = diagnose(incident, self.alarms, baseline, self.recent, self.calendar, look)
            self.causes[incident.id] = cause
            content = cause.to_json()
            new = touched[incident.id]
            kept.append(keep_incident(incident, content) if new else keep_growth(incident, at, counts.window, content))
        return kept

    def opens_period(self, window: int) -> bool:
        """Return whether a window is the first of its period."""
        opening = self.calendar.window_start(window)
        return self.calendar.period_start(self.calendar.period_at(opening)) == opening

    def _column(self, values: NDArray[Any]) -> pa.Array:
        regression = self.spec.model.task == "regression"
        return pa.array(values, type=pa.float64() if regression else pa.string(), from_pandas=True)
