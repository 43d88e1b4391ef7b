"""What each policy would have earned on the same rows, with the same candidates: never, every period, ours, hindsight.

This looks at all labels, also those that came after the replay's end, so it is computed last and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from pitstop.errors import TrainingError
from pitstop.loop.fitting import FURTHER
from pitstop.loop.loop import Loop
from pitstop.loop.models import Predictions
from pitstop.loop.rowlog import NEVER
from pitstop.records.spec import Task
from pitstop.strategy.oracle import oracle, winning_prices
from pitstop.value.function import TICKS, outcome_values

Ints = NDArray[np.int64]
METRICS: Mapping[Task, tuple[str, bool]] = {
    "binary": ("roc_auc", True),
    "multiclass": ("accuracy", True),
    "regression": ("mae", False),
}
POLICIES = ("never", "monthly", "pitstop", "oracle")


@dataclass(frozen=True)
class PolicyResult:
    """One policy over the whole replay: by period (metric may be None), and in all. Money in currency, before costs.

    `releases` counts what was released after the first model; `costs` are its and the fits' prices, by period.
    """

    metric: tuple[float | None, ...]
    value: tuple[float, ...]
    costs: tuple[float, ...]
    releases: int

    @property
    def cost(self) -> float:
        """What releases and fits cost in all."""
        return sum(self.costs)

    @property
    def net(self) -> float:
        """Value minus costs."""
        return sum(self.value) - self.cost

    @property
    def mean_metric(self) -> float | None:
        """Mean over the periods that have the metric."""
        known = [value for value in self.metric if value is not None]
        return float(np.mean(known)) if known else None


@dataclass(frozen=True)
class Hindsight:
    """All policies by name, the periods that they are compared over, and where ours wins."""

    periods: tuple[int, ...]
    rows: tuple[int, ...]
    policies: Mapping[str, PolicyResult]
    prices: tuple[float, float] | None


def look_back(loop: Loop, labels: tuple[Ints, NDArray[Any]]) -> Hindsight:
    """Compare the policies over every period from the first release on. `labels` are all labels: (ordinals, values)."""
    log, calendar = loop.log, loop.calendar
    truth = np.array(log.labels)
    truth[labels[0]] = labels[1]
    known = log.label_at != NEVER
    known[labels[0]] = True
    # Of a model that is only watched an answer may be missing; then nothing was decided.
    known &= loop.served(np.arange(len(log)))
    first = loop.upkeep.first_period
    of = calendar.period_of(log.at)
    periods = tuple(range(first, int(of[-1]) + 1))
    members = {period: np.flatnonzero((of == period) & known) for period in periods}
    served = Predictions(log.served_score.values, log.served_class.values)
    ours = [_score(loop, members[period], served, truth) for period in periods]
    rows = tuple(int((of == period).sum()) for period in periods)
    fitting = loop.spec.costs.fit_per_row
    if loop.models is None:
        result = _result(ours, 0, {})
        return Hindsight(periods, rows, {"champion": result}, None)
    metric, value, usable = _matrices(loop, periods, members, truth)
    price = loop.spec.costs.release
    every_fit = {number: fitting * rows_of for number, rows_of in loop.upkeep.fit_rows.items() if number > 0}
    # What further challengers cost is paid by us alone.
    fits = {number: paid for number, paid in every_fit.items() if number < FURTHER}
    best = oracle(-value, price)
    every = tuple(number for number in sorted(usable) if 0 < number < len(periods))
    paid = dict(fits)
    for number, price_of_fit in every_fit.items():
        if number >= FURTHER:
            paid[number % FURTHER] = paid.get(number % FURTHER, 0.0) + price_of_fit
    entered: dict[int, int] = {}
    for release in loop.upkeep.timeline.releases:
        if release.stage == "champion":
            # One at the very end of the history is paid for in its last period, as in the ledger.
            entered.setdefault(release.version, min(calendar.period_at(release.at) - first, len(periods) - 1))
    stops = sorted(entered.values())[1:]
    for period in stops:
        paid[period] = paid.get(period, 0.0) + price
    each = {number: price + fits.get(number, 0.0) for number in every}
    policies = {
        "never": _scheduled(metric, value, (), {}),
        "monthly": _scheduled(metric, value, every, each),
        "pitstop": _result(ours, len(stops), paid),
        "oracle": _scheduled(metric, value, best.releases, {number: each[number] for number in best.releases}),
    }
    lines = {
        name: (-(sum(item.value) - item.cost + item.releases * price), item.releases) for name, item in policies.items()
    }
    prices = winning_prices(lines["pitstop"], (lines["never"], lines["monthly"]))
    return Hindsight(periods, rows, policies, prices)


def _matrices(
    loop: Loop, periods: tuple[int, ...], members: dict[int, Ints], truth: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], set[int]]:
    """Return metric and value of each candidate (rows) in each period (columns), and the candidates that answer."""
    assert loop.models is not None  # noqa: S101 - look_back() has looked; for the type checker
    log, first = loop.log, periods[0]
    size = len(periods)
    metric = np.full((size, size), np.nan)
    value = np.full((size, size), np.nan)
    served_once = {release.model for release in loop.upkeep.timeline.releases if release.stage == "champion"}
    usable = set(loop.upkeep.candidates)
    for number, candidate in loop.upkeep.candidates.items():
        later = [period for period in periods if period - first >= number]
        if not later:
            continue
        all_rows = np.concatenate([members[period] for period in later])
        scores = np.full(len(log), np.nan)
        decided = np.empty(len(log), dtype=log.labels.dtype)
        try:
            found = loop.models.predict(candidate.id, log.features(all_rows))
        except TrainingError:
            # The fits of the last period have not been waited for; one that failed is nobody's choice in hindsight.
            if candidate.id in served_once:
                raise
            usable.discard(number)
            continue
        scores[all_rows], decided[all_rows] = found.scores, found.decided
        whole = Predictions(scores, decided)
        for period in later:
            at, worth = _score(loop, members[period], whole, truth)
            metric[number, period - first] = np.nan if at is None else at
            value[number, period - first] = worth
    return metric, value, usable


def _scheduled(
    metric: NDArray[np.float64], value: NDArray[np.float64], releases: tuple[int, ...], paid: Mapping[int, float]
) -> PolicyResult:
    model, by_period = 0, []
    for period in range(metric.shape[0]):
        model = period if period in releases else model
        at = float(metric[model, period])
        by_period.append((None if np.isnan(at) else at, float(value[model, period])))
    return _result(by_period, len(releases), paid)


def _result(by_period: list[tuple[float | None, float]], releases: int, paid: Mapping[int, float]) -> PolicyResult:
    return PolicyResult(
        tuple(at for at, _ in by_period),
        tuple(worth for _, worth in by_period),
        tuple(paid.get(period, 0.0) for period in range(len(by_period))),
        releases,
    )


def _score(loop: Loop, rows: Ints, found: Predictions, truth: NDArray[Any]) -> tuple[float | None, float]:
    """Return the metric (None where it is not defined) and the value in currency of predictions on labelled rows."""
    if not len(rows):
        return None, 0.0
    labels, decided = truth[rows], found.decided[rows]
    worth = int(outcome_values(loop.spec, decided, labels, loop.log.amounts(rows)).sum()) / TICKS
    task = loop.spec.model.task
    if task == "regression":
        return float(np.abs(decided.astype(np.float64) - labels.astype(np.float64)).mean()), worth
    if task == "multiclass":
        return float((decided == labels).mean()), worth
    positive = labels == loop.spec.decision.positive
    scores = found.scores[rows]
    scored = ~np.isnan(scores)
    positive, scores = positive[scored], scores[scored]
    if positive.all() or not positive.any():
        return None, worth
    return float(roc_auc_score(positive, scores)), worth
