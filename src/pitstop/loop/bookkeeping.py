"""Books what each window's predictions are estimated to earn, and what they earned when their labels came."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitstop.baseline.baseline import Baseline
from pitstop.loop.rowlog import NO_ESTIMATE, RowLog
from pitstop.records.spec import ModelSpec
from pitstop.statistics.outcome_bins import STEPS
from pitstop.value.function import TICKS, expected_values, outcome_values
from pitstop.value.ledger import Ledger, Settled, Transaction, correction, estimate, settlement

Ints = NDArray[np.int64]


class Books:
    """The ledger of one model, with each row's booked estimate and realised value in ticks."""

    def __init__(self, spec: ModelSpec, log: RowLog) -> None:
        self.spec = spec
        self.log = log
        self.ledger = Ledger(spec.value.currency)

    def predicted(self, at: int, window: int, rows: Ints, baseline: Baseline, cause: str) -> Transaction | None:
        """Book the estimated value of rows just predicted; binary tasks only, the others have no probabilities."""
        if self.spec.model.task != "binary" or baseline.calibrated is None or not len(rows):
            return None
        scores = self.log.served_score.values[rows]
        if np.isnan(scores).any():
            return None
        probability = baseline.calibrated[np.rint(scores * STEPS).astype(np.int64)]
        mean, _ = expected_values(self.spec, probability, self.log.served_class.values[rows], self.log.amounts(rows))
        ticks = np.rint(mean * TICKS).astype(np.int64)
        self.log.estimate.values[rows] = ticks
        return self._post(estimate(at, self._currency, {window: (_money(ticks.sum()), len(rows))}, (cause,)))

    def settled(self, at: int, rows: Ints, cause: str) -> Transaction | None:
        """Reverse the estimates of rows whose labels arrived, and book what they earned."""
        if not len(rows):
            return None
        earned = self._earned(rows, self.log.labels[rows])
        self.log.earned.values[rows] = earned
        windows = self.spec.calendar.window_of(self.log.at[rows])
        booked = self.log.estimate.values[rows]
        found = {}
        for window in np.unique(windows):
            here = windows == window
            has = booked[here] != NO_ESTIMATE
            guess = _money(booked[here].sum()) if has.all() else None
            found[int(window)] = Settled(_money(earned[here].sum()), int(here.sum()), guess)
        return self._post(settlement(at, self._currency, found, (cause,)))

    def corrected(self, at: int, rows: Ints, labels: NDArray[Any], cause: str) -> Transaction | None:
        """Book the difference that corrected labels make; call before the new labels are set."""
        if not len(rows):
            return None
        earned = self._earned(rows, labels)
        change = earned - self.log.earned.values[rows]
        self.log.earned.values[rows] = earned
        windows = self.spec.calendar.window_of(self.log.at[rows])
        found = {int(window): _money(change[windows == window].sum()) for window in np.unique(windows)}
        return self._post(correction(at, self._currency, found, (cause,)))

    def recount(self, rows: Ints) -> None:
        """Set what labelled rows earned, without booking it: the ledger has it already."""
        self.log.earned.values[rows] = self._earned(rows, self.log.labels[rows])

    def paid(self, transaction: Transaction) -> Transaction:
        """Book a price."""
        return self._post(transaction)

    def _earned(self, rows: Ints, labels: NDArray[Any]) -> Ints:
        return outcome_values(self.spec, self.log.served_class.values[rows], labels, self.log.amounts(rows))

    def _post(self, transaction: Transaction) -> Transaction:
        self.ledger = self.ledger.posted(transaction)
        return transaction

    @property
    def _currency(self) -> str:
        return self.spec.value.currency


def _money(ticks: Any) -> Decimal:
    return Decimal(int(ticks)) / TICKS
