"""What a detector would see: the smallest change that it finds within k windows with a stated probability.

Nothing is derived; everything is simulated, through the very state machine that watches (`panel`, `volume`). Many
copies of one fitted stream, side by side in one panel, see windows drawn from the law of the reference: a Dirichlet
mixture of cells (Beta-Binomial counts, correlation rho within a window) with the numbers of rows of its windows. A
change is put in, and halved or grown until it is found as often as asked for. Copies start with no evidence, as after
a fit or an alarm; a stream that has run for a while is a little faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pitstop.detection.healthy import Healthy
from pitstop.detection.panel import Layout, Panel
from pitstop.detection.streams import Floats, Ints
from pitstop.detection.volume import VolumeDetector
from pitstop.errors import BaselineError

COPIES = 100
"""Copies of a stream: a probability of .8 is known to about .04 (one standard error)."""

_STEPS = 7  # halvings: changes are known to 1 or 2% of their range, finer where they are small
_SMALLEST_RHO = 1e-6

Shape = Literal["apart", "below", "above"]


@dataclass(frozen=True, eq=False)
class Block:
    """Indicators of a stream that count cells of the same rows.

    `first`, `stop`: their places in the stream. `shape`: "apart" counts one cell each (categories, a rate), "below" all
    cells up to an edge, "above" all cells from an edge on. `focus`: place within the block of the indicator whose rate
    changes; the cells within it, and those without, keep their proportions. `delay`: windows after which the change
    shows here.
    """

    first: int
    stop: int
    shape: Shape
    focus: int
    delay: int = 0


@dataclass(frozen=True, eq=False)
class Traffic:
    """Rows `n` int64[m, I] of each indicator in the reference's windows, and their `phases` int64[m]; m >= 1."""

    n: Ints
    phases: Ints


@dataclass(frozen=True)
class Sight:
    """The smallest change of a rate that is seen, above 0, or None where none within reach is.

    `expected` is the rate without it, `up` its direction.
    """

    change: float | None
    expected: float
    up: bool


def smallest(
    panel: Panel,
    blocks: tuple[Block, ...],
    traffic: Traffic,
    *,
    within: int,
    probability: float,
    copies: int = COPIES,
    seed: int = 0,
) -> Sight:
    """Return the smallest change of the focus of `blocks` that `panel`, one fitted stream, sees.

    It is to be found by the end of window `within` after it began (1: in its first) with `probability` in (0, 1). Rates
    of at most a half, and those of one-sided streams, rise; others fall. Raises `BaselineError` for another question.
    """
    _check(within, probability, copies)
    first = blocks[0]
    expected = float(panel.healthy.rate[first.first + first.focus])
    up = expected <= 0.5 or not panel.layout.streams[0].two_sided
    reach = 1 - expected if up else expected
    many = copied(panel, copies)
    change = _bisected(
        lambda size: found_share(
            many, blocks, traffic, size if up else -size, within=within, seed=seed, enough=probability
        ),
        reach,
        probability,
    )
    return Sight(change, expected, up)


def smallest_fall(
    detector: VolumeDetector,
    phases: Ints,
    *,
    within: int,
    probability: float,
    copies: int = COPIES,
    seed: int = 0,
) -> Sight:
    """Return the smallest share of rows whose loss a fitted volume detector sees; `phases` are those of its reference.

    `expected` is the usual number of rows of a window. Windows are drawn from the reference's seasonal scores.
    """
    _check(within, probability, copies)
    scores = detector.scores[-detector.reference :] if detector.reference else detector.scores

    def share(size: float) -> float:
        rng = np.random.default_rng(seed)
        hits = 0
        for _ in range(copies):
            state = detector
            for window in range(within):
                phase = int(phases[window % len(phases)])
                usual = np.expm1(detector.level[phase] + detector.spread * rng.choice(scores))
                state, finding = state.step(window, phase, max(round(float(usual) * (1 - size)), 0))
                if finding is not None:
                    hits += 1
                    break
        return hits / copies

    change = _bisected(share, 1.0, probability) if len(scores) else None
    return Sight(change, float(np.expm1(detector.level).mean()), up=False)


def copied(panel: Panel, copies: int) -> Panel:
    """Return `copies` of a panel of one stream side by side."""
    if len(panel.layout.streams) != 1:
        msg = f"got a panel of {len(panel.layout.streams)} streams; expected that of one detector"
        raise BaselineError(msg)
    stream, healthy = panel.layout.streams[0], panel.healthy
    wide = {
        name: np.tile(getattr(healthy, name), (1,) * (getattr(healthy, name).ndim - 1) + (copies,))
        for name in Healthy.__dataclass_fields__
    }
    return replace(
        panel,
        layout=Layout(tuple(replace(stream, name=f"{place}") for place in range(copies))),
        healthy=Healthy(**wide),
        thresholds=np.tile(panel.thresholds, copies),
        fast_levels=np.tile(panel.fast_levels, copies),
        exact_sr=np.tile(panel.exact_sr, (1, 1, copies)),
        places=np.tile(panel.places, (1, copies)),
        total=np.tile(panel.total, (1, copies)),
        ratios=np.tile(panel.ratios, (1, copies)),
        since=np.tile(panel.since, (1, 1, copies)),
        alive=np.tile(panel.alive, (1, copies)),
        recent_counts=np.tile(panel.recent_counts, (1, 1, copies)),
        worst=np.tile(panel.worst, (1, copies)),
        broken=np.tile(panel.broken, copies),
    )


def found_share(
    many: Panel,
    blocks: tuple[Block, ...],
    traffic: Traffic,
    change: float,
    *,
    within: int,
    seed: int,
    enough: float = 1.0,
) -> float:
    """Return the share of the copies in `many` that alarm within `within` windows of a change of a rate (signed).

    Once the share `enough` has, the rest is not waited for.
    """
    rng = np.random.default_rng(seed)
    copies, width = len(many.layout.streams), traffic.n.shape[1]
    seen = traffic.n.sum(axis=1) > 0
    found = np.zeros(copies, dtype=np.bool_)
    start = 0 if many.last_window is None else many.last_window + 1
    for window in range(within):
        phase = int(traffic.phases[window % len(traffic.phases)])
        like = np.flatnonzero(seen & (traffic.phases == phase))
        like = like if len(like) else np.arange(len(traffic.n))
        n = traffic.n[rng.choice(like, size=copies)]
        k = np.zeros((copies, width), dtype=np.int64)
        for block in blocks:
            size = change if window >= block.delay else 0.0
            k[:, block.first : block.stop] = _drawn(many.healthy, block, phase, n[:, block.first], size, rng)
        many, findings = many.step(start + window, phase, k.ravel(), n.ravel())
        found[[int(finding.stream.name) for finding in findings]] = True
        if found.mean() >= enough:
            break
    return float(found.mean())


def _drawn(healthy: Healthy, block: Block, phase: int, n: Ints, change: float, rng: np.random.Generator) -> Ints:
    """Return counts int64[copies, indicators of the block] of one window of each copy."""
    inside = slice(block.first, block.stop)
    cells = _changed(_cells(healthy.phase_rate[phase, inside], block.shape), block, change)
    rho = float(healthy.rho[block.first + block.focus])
    shares = np.broadcast_to(cells, (len(n), len(cells)))
    if rho > _SMALLEST_RHO:
        drawn = rng.standard_gamma(shares * (1 / rho - 1))
        total = drawn.sum(axis=1, keepdims=True)
        # Where rho is near 1 all gammas may vanish; the mean stands in.
        shares = np.where(total > 0, drawn / np.where(total > 0, total, 1.0), shares)
    counts = rng.multinomial(n, shares)
    if block.shape == "below":
        return np.cumsum(counts, axis=1)[:, :-1]
    if block.shape == "above":
        return np.asarray(np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, 1:])
    return np.asarray(counts[:, :-1], dtype=np.int64)


def _cells(rates: Floats, shape: Shape) -> Floats:
    """Return the probabilities of the cells that indicators with these rates count, summing to 1."""
    if shape == "apart":
        cells = np.append(rates, max(1 - float(rates.sum()), 0.0))
    elif shape == "below":
        cells = np.diff(np.concatenate([[0.0], rates, [1.0]]))
    else:
        cells = -np.diff(np.concatenate([[1.0], rates, [0.0]]))
    cells = np.maximum(cells, 0)
    return np.asarray(cells / cells.sum(), dtype=np.float64)


def _changed(cells: Floats, block: Block, change: float) -> Floats:
    """Return the cells after the rate of the block's focus has changed by `change`, held within 0 and 1."""
    place = np.arange(len(cells))
    at = block.focus
    event = {"apart": place == at, "below": place <= at, "above": place > at}[block.shape]
    before = float(cells[event].sum())
    after = min(max(before + change, 0.0), 1.0)
    if before <= 0:
        return np.asarray(cells * (1 - after) + np.where(event, after / event.sum(), 0.0), dtype=np.float64)
    rest = (1 - after) / (1 - before) if before < 1 else 0.0
    result = np.where(event, cells * (after / before), cells * rest)
    if before >= 1:
        result = result + np.where(event, 0.0, (1 - after) / max(int((~event).sum()), 1))
    return np.asarray(result / result.sum(), dtype=np.float64)


def _bisected(share: Callable[[float], float], reach: float, probability: float) -> float | None:
    """Return the smallest change up to `reach` whose share found is at least `probability`; None without any.

    Halved on the scale of square roots: small changes are told finer than large ones.
    """
    if share(reach) < probability:
        return None
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if share(reach * middle**2) >= probability:
            high = middle
        else:
            low = middle
    return reach * high**2


def _check(within: int, probability: float, copies: int) -> None:
    if within < 1 or not 0 < probability < 1 or copies < 1:
        msg = (
            f"got {within} windows, the probability {probability!r} and {copies} copies; expected at least 1 window, "
            "a probability inside (0, 1) such as 0.8, and at least 1 copy"
        )
        raise BaselineError(msg)
