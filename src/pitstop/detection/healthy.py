"""What the reference says of each indicator: fitted once, then only read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from pitstop.detection.beta_binomial import normal_scores
from pitstop.detection.clopper_pearson import lower_bound, upper_bound
from pitstop.detection.dispersion import autocorrelation, correlation, inflation, weekly
from pitstop.detection.streams import Floats, Ints, ReferenceCounts, Stream
from pitstop.detection.uniforms import Words, seeds, uniforms


@dataclass(frozen=True, eq=False)
class Healthy:
    """The fitted reference of I indicators (of one stream or of many) and P weekly phases.

    Every array ends in I. rate: pooled rate (0 where nothing was seen). phase_rate [P, I]: with the weekly pattern.
    new_variance [P, I] >= 1: residual variance of a new window over that of the law. rho: correlation within windows
    around the weekly pattern. rho_upper: upper 90% limit of the total one. lower, upper: Clopper-Pearson limits of
    the rate. effective: rows that the pooled rate is worth. extreme [2, I]: largest standardised excess and
    shortfall of a reference window. ranked: 1.0 where ranks can judge (the event was sometimes seen and sometimes
    not), else 0.0. spread: kappa >= 1, the autocorrelation to pay for. seed: uint64.
    """

    rate: Floats
    phase_rate: Floats
    new_variance: Floats
    rho: Floats
    rho_upper: Floats
    lower: Floats
    upper: Floats
    effective: Floats
    extreme: Floats
    ranked: Floats
    spread: Floats
    seed: Words

    def scores(self, k: Ints, n: Ints, phase: int, window: int) -> Floats:
        """Return the normal score of each indicator in a new window, float64[I]; NaN where n = 0."""
        draw = uniforms(self.seed, np.array(window, dtype=np.int64))
        z = normal_scores(k, n, _inside(self.phase_rate[phase]), self.rho, draw)
        return np.asarray(z / np.sqrt(self.new_variance[phase]), dtype=np.float64)

    def excess(self, k: Ints, n: Ints, phase: int) -> Floats:
        """Return (k/n - p) / standard deviation under the upper dispersion, float64[I]; 0 where n = 0."""
        return _standardised(k, n, self.phase_rate[phase], self.rho_upper)


def fit(stream: Stream, reference: ReferenceCounts, phases: int, alpha_reference: float) -> tuple[Healthy, Floats]:
    """Return the fitted reference of one stream and the normal scores of its windows, float64[m, I].

    `alpha_reference` in (0, 1) is the probability that any of this stream's rates lies outside its limits; it is
    shared equally by indicators and sides.
    """
    k, n, at = reference.k, reference.n, reference.phases
    m, count = k.shape
    seen = n.sum(axis=0)
    rate = k.sum(axis=0) / np.maximum(seen, 1)
    phase_rate, old_variance, new_variance = weekly(k, n, at, phases)
    leverage = np.minimum(n / np.maximum(seen, 1), 0.5)
    _, rho_upper = correlation(k, n, rate, leverage)
    rho, _ = correlation(k, n, phase_rate[at], np.maximum(leverage, 1 - old_variance[at]))
    effective = seen**2 / np.maximum((n * inflation(n, rho_upper)).sum(axis=0), 1e-300)
    alpha = alpha_reference / (count * (2 if stream.two_sided else 1))
    seed = seeds(stream.name, stream.indicators)
    # Reference windows draw with negative numbers, counted back from the first monitored window.
    draw = uniforms(seed, np.arange(-m, 0, dtype=np.int64))
    z = normal_scores(k, n, _inside(phase_rate[at]), rho, draw) / np.sqrt(old_variance[at])
    excess = _standardised(k, n, phase_rate[at], rho_upper)
    ranked = (rate > 0) & (rate < 1)
    healthy = Healthy(
        rate=rate,
        phase_rate=phase_rate,
        new_variance=new_variance,
        rho=rho,
        rho_upper=rho_upper,
        lower=lower_bound(rate * effective, effective, alpha),
        upper=np.where(seen > 0, upper_bound(rate * effective, effective, alpha), 1.0),
        effective=effective,
        extreme=np.stack([excess.max(axis=0, initial=0.0), (-excess).max(axis=0, initial=0.0)]),
        ranked=ranked.astype(np.float64),
        spread=np.full(count, autocorrelation(z[:, ranked]) if stream.autocorrelated else 1.0),
        seed=seed,
    )
    return healthy, np.asarray(z, dtype=np.float64)


def joined(parts: Sequence[Healthy]) -> Healthy:
    """Return the references of several streams side by side; all need the same number of phases."""
    return Healthy(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts], axis=-1)
            for field in fields(Healthy)
        }
    )


def _inside(rate: Floats) -> Floats:
    """Keep rates off 0 and 1, where a law has no tails to speak of."""
    return np.clip(rate, 1e-6, 1 - 1e-6)


def _standardised(k: Ints, n: Ints, rate: Floats, rho: Floats) -> Floats:
    size = np.maximum(n, 1)
    inside = np.clip(rate, 0.5 / (size + 1), 1 - 0.5 / (size + 1))
    deviation = np.sqrt(inside * (1 - inside) * inflation(size, rho) / size)
    return np.asarray(np.where(n > 0, (k / size - rate) / deviation, 0.0), dtype=np.float64)
