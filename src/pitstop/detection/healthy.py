"""What the reference says of each indicator: fitted once, then only read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from pitstop.detection.clopper_pearson import lower_bound, upper_bound
from pitstop.detection.dispersion import SHORT, autocorrelation, correlation, inflation, weekly
from pitstop.detection.places import normal_scores
from pitstop.detection.streams import Floats, Ints, ReferenceCounts, Stream

PAID = 0.25
"""Where between the estimate of rho and its upper 90% limit the evidence pays for it: an estimate may be too low."""


FEW_BROKEN = 30
"""At most one in so many windows of a reference may be left out as broken: what comes oftener is how the data are."""

_ALL, _HALF = 0.9, 0.5


@dataclass(frozen=True, eq=False)
class Healthy:
    """The fitted reference of I indicators (of one stream or of many) and P weekly phases.

    Every array ends in I. rate: pooled rate (0 where nothing was seen). phase_rate [P, I]: with the weekly pattern.
    flip: 1.0 where the event holds for more than half of the rows, so that its complement is counted. rare [P, I]: rate
    of what is counted, above 0 and at most about 1/2. tolerance: the change of its rate that is not worth an alarm.
    new_variance [P, I] >= 1: residual variance of a new window over that of the law. rho: correlation within windows
    around the weekly pattern. rho_paid: what the evidence pays for, between rho and its upper 90% limit. rho_upper:
    upper 90% limit of the total one. lower, upper: Clopper-Pearson limits of the rate. effective: rows that the pooled
    rate is worth. extreme [2, I]: largest standardised excess and shortfall of a reference window. varied: 1.0 where
    the event was sometimes seen and sometimes not, else 0.0. ranked: 1.0 where enough windows hold the event for places
    among them to tell. unit: standard deviation of their scores. spread: kappa >= 1, the autocorrelation to pay for.
    """

    rate: Floats
    phase_rate: Floats
    flip: Floats
    rare: Floats
    tolerance: Floats
    new_variance: Floats
    rho: Floats
    rho_paid: Floats
    rho_upper: Floats
    lower: Floats
    upper: Floats
    effective: Floats
    extreme: Floats
    varied: Floats
    ranked: Floats
    unit: Floats
    spread: Floats

    @property
    def allowed(self) -> Floats:
        """The tolerance as a share of the rate that is counted: float64[I]."""
        return np.asarray(self.tolerance / self.rare.mean(axis=0), dtype=np.float64)

    def place(self, k: Ints, n: Ints, phase: int) -> Floats:
        """Return the excess of a new window around the weekly pattern, float64[I], NaN where n = 0."""
        value = _standardised(k, n, self.phase_rate[phase], self.rho) / np.sqrt(self.new_variance[phase])
        return np.where(n > 0, value, np.nan)

    def excess(self, k: Ints, n: Ints, phase: int) -> Floats:
        """Return (k/n - p) / standard deviation under the upper dispersion, float64[I]; 0 where n = 0."""
        return _standardised(k, n, self.phase_rate[phase], self.rho_upper)


def without_broken(stream: Stream, reference: ReferenceCounts) -> ReferenceCounts:
    """Return the reference without windows in which a fault that no other knows had nearly all rows.

    A day on which a whole column was missing is no healthy day: taken for one, it would hide the next. Only faults are
    judged so (streams of quality), only where nine tenths of the rows had it and at most half in any window that
    stays, and only one window in `FEW_BROKEN`.
    """
    if stream.kind != "quality" or not len(reference.phases):
        return reference
    share = reference.k / np.maximum(reference.n, 1)
    whole = share >= _ALL
    apart = np.where(whole, 0.0, share).max(axis=0) <= _HALF
    broken = whole & apart & (whole.sum(axis=0) * FEW_BROKEN <= len(share))
    kept = np.where(broken, 0, reference.k), np.where(broken, 0, reference.n)
    return ReferenceCounts(*kept, reference.phases) if bool(broken.any()) else reference


def fit(
    stream: Stream, reference: ReferenceCounts, phases: int, alpha_reference: float, elsewhere: float
) -> tuple[Healthy, Floats]:
    """Return the fitted reference of one stream and the standardised excess of its windows, float64[m, I].

    `alpha_reference` in (0, 1) is the probability that any of this stream's rates lies outside its limits; it is
    shared equally by indicators and sides. `elsewhere` in [0, 1) is the correlation of rows that the model's other
    indicators show.
    """
    k, n, at = reference.k, reference.n, reference.phases
    m, count = k.shape
    seen = n.sum(axis=0)
    rate = k.sum(axis=0) / np.maximum(seen, 1)
    phase_rate, old_variance, new_variance = weekly(k, n, at, phases)
    leverage = np.minimum(n / np.maximum(seen, 1), 0.5)
    _, rho_upper = correlation(k, n, rate, leverage)
    around = np.maximum(leverage, 1 - old_variance[at])
    rho, weekly_upper = correlation(k, n, phase_rate[at], around, elsewhere)
    effective = seen**2 / np.maximum((n * inflation(n, rho_upper)).sum(axis=0), 1e-300)
    alpha = alpha_reference / (count * (2 if stream.two_sided else 1))
    place = _standardised(k, n, phase_rate[at], rho) / np.sqrt(old_variance[at])
    place = np.where(n > 0, place, np.nan)
    excess = _standardised(k, n, phase_rate[at], rho_upper)
    varied = (rate > 0) & (rate < 1)
    # Where hardly any window holds the event, places are ties.
    ranked = (((k > 0) & (k < n)).sum(axis=0) >= SHORT) & varied
    spread_of_scores = normal_scores(place, place).std(axis=0) if m else np.zeros(count)
    flip = rate > 0.5
    # An event that was never seen is expected half a time in the whole reference (Jeffreys).
    least = 0.5 / np.maximum(seen, 1)
    healthy = Healthy(
        rate=rate,
        phase_rate=phase_rate,
        flip=flip.astype(np.float64),
        rare=np.maximum(np.where(flip, 1 - phase_rate, phase_rate), least),
        tolerance=_tolerated(stream, rate),
        new_variance=new_variance,
        rho=rho,
        rho_paid=rho + PAID * (weekly_upper - rho),
        rho_upper=rho_upper,
        lower=lower_bound(rate * effective, effective, alpha),
        upper=np.where(seen > 0, upper_bound(rate * effective, effective, alpha), 1.0),
        effective=effective,
        extreme=np.stack([excess.max(axis=0, initial=0.0), (-excess).max(axis=0, initial=0.0)]),
        varied=varied.astype(np.float64),
        ranked=(ranked & (spread_of_scores > 0)).astype(np.float64),
        unit=np.where(spread_of_scores > 0, spread_of_scores, 1.0),
        spread=np.full(count, autocorrelation(place[:, varied]) if stream.autocorrelated else 1.0),
    )
    return healthy, np.asarray(place, dtype=np.float64)


def joined(parts: Sequence[Healthy]) -> Healthy:
    """Return the references of several streams side by side; all need the same number of phases."""
    return Healthy(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts], axis=-1)
            for field in fields(Healthy)
        }
    )


def _tolerated(stream: Stream, rate: Floats) -> Floats:
    """Return the tolerance of each indicator: the stream's for a rate of a half, less where the rate varies less.

    Two points more in the middle of a feature are what one point is in its tail: as many standard deviations. Quality
    streams state theirs for rates near 0.
    """
    widest = 1.0 if stream.kind == "quality" else 2 * np.sqrt(rate * (1 - rate))
    return np.asarray(stream.tolerance * widest * np.ones_like(rate), dtype=np.float64)


def _standardised(k: Ints, n: Ints, rate: Floats, rho: Floats) -> Floats:
    size = np.maximum(n, 1)
    inside = np.clip(rate, 0.5 / (size + 1), 1 - 0.5 / (size + 1))
    deviation = np.sqrt(inside * (1 - inside) * inflation(size, rho) / size)
    return np.asarray(np.where(n > 0, (k / size - rate) / deviation, 0.0), dtype=np.float64)
