"""Books what each window's predictions are estimated to earn, what they earned when their labels came, and their price.

Each row is valued by the value model in force when it was predicted, whenever its label comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline
from pitstop.loop.kept import Kept, keep_transaction
from pitstop.loop.rowlog import NO_ESTIMATE, RowLog, given
from pitstop.records.spec import ModelSpec
from pitstop.releases import Release
from pitstop.statistics.outcome_bins import STEPS
from pitstop.value.function import TICKS, expected_values, is_positive, outcome_values, worth_either_way
from pitstop.value.ledger import (
    NO_VARIANCE,
    Cost,
    Expected,
    Ledger,
    Settled,
    Transaction,
    charge,
    correction,
    estimate,
    settlement,
    write_off,
)
from pitstop.value.money import amount_of
from pitstop.value.valuation import Valuations

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Below this the sum of squares of a million rows stays in int64.
_SAFE_TICKS = 1 << 21


class Books:
    """The ledger of one model, with each row's booked estimate, its spread, and its realised value, in ticks."""

    def __init__(self, spec: ModelSpec, log: RowLog) -> None:
        self.spec = spec
        self.log = log
        self.ledger = Ledger(spec.value.currency)
        self.valuations = Valuations.first(spec)
        # How many value models the journal has, and the specification in force before the newest.
        self.recorded = 0
        self.spec_before = spec.id

    def announced(self, at: int) -> list[Kept]:
        """Return the value models that are not on record yet; a changed specification comes before its value model."""
        found = []
        for version in self.valuations.versions[self.recorded :]:
            if version.number > 1:
                found.append(Kept("spec", self.spec.id, at, (self.spec_before,), self.spec.content))
            since = self.spec.calendar.name_window(version.since) if version.number > 1 else "the beginning"
            content = {**version.to_json(), "from": since}
            found.append(Kept("value-model", version.id, at, (self.spec.id,), content))
        self.recorded = len(self.valuations.versions)
        return found

    def predicted(self, at: int, window: int, rows: Ints, baseline: Baseline, cause: str) -> Transaction | None:
        """Book the estimated value of rows just predicted; a regression has no probabilities, so nothing.

        Nothing either for a window in which a row lacks its score or decision: estimates and what was earned are
        compared by window, so one has all its rows or none.
        """
        if self.spec.model.task == "regression" or baseline.calibrated is None or not len(rows):
            return None
        scores, decided = self.log.served_score.values[rows], self.log.served_class.values[rows]
        if np.isnan(scores).any() or not given(decided).all():
            return None
        places = np.rint(scores * STEPS).astype(np.int64)
        spec, amounts = self.valuations.spec_at(window), self.log.amounts(rows)
        mean, variance = expected_values(spec, baseline.calibrated[places], decided, amounts)
        ticks = np.rint(mean * TICKS).astype(np.int64)
        spread = np.rint(np.sqrt(variance) * TICKS).astype(np.int64)
        self.log.estimate.values[rows] = ticks
        self.log.spread.values[rows] = spread
        happens, fails = worth_either_way(spec, decided, amounts)
        doubt = calibration_doubt(baseline.calibrator_draws, places, happens - fails)
        booked = Expected(_money(ticks.sum()), len(rows), sum_of_squares(spread), amount_of(doubt))
        return self._post(estimate(at, self._currency, {window: booked}, (cause,), self._valued_by))

    def settled(self, at: int, rows: Ints, cause: str) -> Transaction | None:
        """Reverse the estimates of rows whose labels arrived, and book what they earned."""
        if not len(rows):
            return None
        earned = self.worth(rows, self.log.served_class.values[rows])
        self.log.earned.values[rows] = earned
        windows = self._windows(rows)
        booked, spread = self.log.estimate.values[rows], self.log.spread.values[rows]
        found = {}
        for window in np.unique(windows):
            here = windows == window
            has = bool((booked[here] != NO_ESTIMATE).all())
            found[int(window)] = Settled(
                _money(earned[here].sum()),
                int(here.sum()),
                _money(booked[here].sum()) if has else None,
                sum_of_squares(spread[here]) if has else NO_VARIANCE,
            )
        return self._post(settlement(at, self._currency, found, (cause,), self._valued_by))

    def corrected(self, at: int, rows: Ints, labels: NDArray[Any], cause: str) -> Transaction | None:
        """Book the difference that corrected labels make; call before the new labels are set."""
        if not len(rows):
            return None
        earned = self._worth(rows, self.log.served_class.values[rows], labels)
        change = earned - self.log.earned.values[rows]
        self.log.earned.values[rows] = earned
        windows = self._windows(rows)
        found = {int(window): _money(change[windows == window].sum()) for window in np.unique(windows)}
        return self._post(correction(at, self._currency, found, (cause,), self._valued_by))

    def written_off(self, at: int, rows: Ints, cause: str) -> Transaction | None:
        """Reverse the estimates of rows that are erased before their labels came."""
        rows = rows[self.log.estimate.values[rows] != NO_ESTIMATE]
        if not len(rows):
            return None
        windows = self._windows(rows)
        found = {}
        for window in np.unique(windows):
            here = rows[windows == window]
            spread = sum_of_squares(self.log.spread.values[here])
            found[int(window)] = Expected(_money(self.log.estimate.values[here].sum()), len(here), spread)
        return self._post(write_off(at, self._currency, found, (cause,), self._valued_by))

    def running(self, at: int, window: int, rows: Ints, late: Ints, *, opens: bool, cause: str) -> list[Transaction]:
        """Book what a window cost: its predictions, the looks at those that act, the labels that came in it.

        The people of a period are booked with the window that `opens` it.
        """
        costs = self.valuations.at(window).costs
        acting = len(rows)
        if self.spec.model.task == "binary" and len(rows) and costs.review_per_row:
            decided = self.log.served_class.values[rows]
            acting = int(is_positive(self.spec, decided[given(decided)]).sum())
        counted: tuple[tuple[Cost, float, int], ...] = (
            ("people", costs.people_per_period, int(opens)),
            ("inference", costs.inference_per_row, len(rows)),
            ("review", costs.review_per_row, acting),
            ("label", costs.label_per_row, len(late)),
        )
        return [
            self._charged(at, window, kind, price * count, cause) for kind, price, count in counted if price and count
        ]

    def fits(self, at: int, window: int, kept: Iterable[Kept]) -> list[Kept]:
        """Book the price of each fit among what was kept."""
        price = self.valuations.at(window).costs.fit_per_row
        return [
            keep_transaction(
                self._charged(at, window, "fit", price * item.content.get("paid_rows", item.content["rows"]), item.id)
            )
            for item in kept
            if item.kind == "challenger"
        ]

    def releases(self, window: int, kept: Iterable[Kept], timeline: Sequence[Release]) -> list[Kept]:
        """Book the price of each version's first release; going back to an earlier version costs nothing."""
        price = self.valuations.at(window).costs.release
        first = {item.version: item.id for item in reversed(timeline) if item.stage == "champion"}
        return [
            keep_transaction(self._charged(item.at, window, "release", price, item.id))
            for item in kept
            if item.kind == "release" and item.id in first.values()
        ]

    def recount(self, rows: Ints) -> None:
        """Set what labelled rows earned, without booking it: the ledger has it already."""
        self.log.earned.values[rows] = self.worth(rows, self.log.served_class.values[rows])

    def paid(self, transaction: Transaction) -> Transaction:
        """Book a price."""
        return self._post(transaction)

    def worth(self, rows: Ints, decided: NDArray[Any]) -> Ints:
        """Return what decisions on labelled rows earn, in ticks, each row by its own value model."""
        return self._worth(rows, decided, self.log.labels[rows])

    def _worth(self, rows: Ints, decided: NDArray[Any], labels: NDArray[Any]) -> Ints:
        found = np.zeros(len(rows), dtype=np.int64)
        for spec, here in self.valuations.parts(self._windows(rows)):
            found[here] = outcome_values(spec, decided[here], labels[here], self.log.amounts(rows[here]))
        return found

    def _charged(self, at: int, window: int, kind: Cost, price: float, cause: str) -> Transaction:
        by = self._valued_by(window)
        return self._post(charge(at, self._currency, window, kind, amount_of(price), caused_by=(cause,), valued_by=by))

    def _windows(self, rows: Ints) -> Ints:
        return self.spec.calendar.window_of(self.log.at[rows])

    def _valued_by(self, window: int) -> str:
        return self.valuations.at(window).id

    def _post(self, transaction: Transaction) -> Transaction:
        self.ledger = self.ledger.posted(transaction)
        return transaction

    @property
    def _currency(self) -> str:
        return self.spec.value.currency


def sum_of_squares(spread: Ints) -> Decimal:
    """Return the exact sum of squares of deviations in ticks, in currency squared."""
    if len(spread) < 1 << 20 and int(spread.max(initial=0)) < _SAFE_TICKS:
        total = int(np.dot(spread, spread))
    else:
        total = sum(value * value for value in spread.tolist())
    return (Decimal(total) / TICKS**2).quantize(NO_VARIANCE)


def calibration_doubt(draws: Floats | None, places: Ints, gap: Floats) -> float:
    """Return the standard deviation of a sum of expected values that the calibrator's own uncertainty makes.

    `draws` are bootstrap calibrators, float64[draws, scores]; `places` each row's score, `gap` what its event changes.
    """
    if draws is None or not len(places):
        return 0.0
    weights = np.bincount(places, weights=gap, minlength=draws.shape[1])
    return float(np.std(draws @ weights, ddof=1))


def _money(ticks: Any) -> Decimal:
    return Decimal(int(ticks)) / TICKS
