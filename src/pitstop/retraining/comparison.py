"""Is the challenger better? A paired test that stays valid however often it is looked at.

Both models score the same rows; for each row whose label arrives, D = loss of the champion - loss of the
challenger, in the spec's currency. The test bets on the sign of D: its wealth K multiplies by 1 + lambda (D -
theta) / scale, a fair game at best for the bettor as long as the mean of D, given the past, is at most theta. Then
P(K ever reaches 1/alpha) <= alpha (Ville 1939), whether it is looked at after each row or never. theta = -margin. A
twin bets the other way. See Waudby-Smith & Ramdas (JRSS-B 2024) for betting, and
`docs/decisions/0007-trainer-protocol.md` for the choice of lambda: a mixture over a grid, which was measured
against the plug-in bettor and two others.

With drift the statement concerns the running mean of D over the rows of the test, not the next row. Where the bound of
|D| is learnt from the rows as they come (a regression's is), it concerns these rows and not those that may yet come:
rows on which two predictions lie far apart, and that are rare, speak only once they are there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pitstop.errors import StatisticError
from pitstop.records.identity import artifact_id

Floats = NDArray[np.float64]
Verdict = Literal["better", "worse", "undecided"]

# The stakes: 24 from 1% to 95% of what can be bet, weighted by a lognormal around 15%. The best stake is about
# mean/variance of D/scale, for 0-1 losses the difference of wins and losses on the rows where the models
# disagree, divided by their sum: 20% is 60 against 40.
_STAKES: Floats = np.geomspace(0.01, 0.95, 24)
_PRIOR: Floats = np.exp(-0.5 * (np.log(_STAKES / 0.15) / 0.7) ** 2)
_LOG_PRIOR: Floats = np.log(_PRIOR / _PRIOR.sum())
# -log(1 - x) - x: log(1 + x y) >= x y - psi(x) y^2 for y >= -1 (Fan, Grama & Liu 2015).
_PSI: Floats = -np.log1p(-_STAKES) - _STAKES
# Stands for "no difference is possible": a bound must be above zero.
LEAST_BOUND = 1e-9
# Differences below this share of the scale are float noise between machines, not differences.
_NOISE = 1e-9
_ROWS_AT_ONCE = 4096
_GRID = 801


def _zeros() -> tuple[float, ...]:
    return (0.0,) * len(_STAKES)


@dataclass(frozen=True)
class PairedTest:
    """The state of one comparison; `updated` returns the next one.

    `alpha` is the probability of calling a challenger better that is not (and, for the twin, worse that is not).
    `scale` bounds |D| of every row and is known before its label: the range of the loss, or where the models agree
    on how to act, less (for absolute errors, the largest distance of the two predictions). `margin` >= 0, in
    currency a row, is how much worse is still accepted: with 0, the test proves better. The test begins with the first
    batch in which a difference is possible, and takes no bound for smaller than its margin: few rows that cannot differ
    by more would otherwise be proof of everything.
    """

    alpha: float
    scale: float
    margin: float = 0.0
    rows: int = 0
    differing: int = 0
    total: float = 0.0
    verdict: Verdict = "undecided"
    first_scale: float = 0.0
    wealth_better: tuple[float, ...] = field(default_factory=_zeros)
    wealth_worse: tuple[float, ...] = field(default_factory=_zeros)
    # With x = D/scale of its batch: sums of 1/scale, 1/scale^2, x, x^2 and x/scale, for the interval; of upper ends
    # apart, where rows had any.
    sums: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    sums_upper: tuple[float, float, float, float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be tested."""
        if not 0.0 < self.alpha < 1.0 or not self.margin >= 0.0 or not 0.0 < self.scale < math.inf:
            msg = (
                f"got alpha {self.alpha}, scale {self.scale} and margin {self.margin}; expected a probability, "
                "a positive bound of the difference of two losses, and a margin of at least 0"
            )
            raise StatisticError(msg)
        if not self.first_scale:
            object.__setattr__(self, "first_scale", self.scale)

    def updated(self, differences: Floats, scale: float | None = None, upper: Floats | None = None) -> PairedTest:
        """Return the test after a batch of rows in the order given: champion's losses minus challenger's losses.

        `scale` raises the bound from this batch on (a smaller one changes nothing); it must not depend on the
        batch's labels. A verdict once reached stays. Where a difference is not known, `differences` may hold numbers
        that are on average not above it and `upper` ones that are on average not below it: "better" is bet on the
        former, "worse" on the latter, and `mean` is that of their middles. Raises `StatisticError` for a difference
        that is not finite or larger than the bound.
        """
        bound = max(self.scale, scale or 0.0)
        values = _checked(differences, bound)
        highest = values if upper is None else _checked(upper, bound)
        if len(values) != len(highest):
            msg = f"got {len(values)} lower and {len(highest)} upper ends; expected one of each for a row"
            raise StatisticError(msg)
        if not self.rows and bound <= LEAST_BOUND:
            return self
        bound = max(bound, self.margin)
        test = replace(self, scale=bound, first_scale=self.first_scale if self.rows else bound)
        if not values.size:
            return test
        unit, top = np.clip(values / bound, -1.0, 1.0), np.clip(highest / bound, -1.0, 1.0)
        for start in range(0, len(unit), _ROWS_AT_ONCE):
            test = _bet(test, unit[start : start + _ROWS_AT_ONCE], top[start : start + _ROWS_AT_ONCE])
        apart = self.sums_upper is not None or bool((top != unit).any())
        return replace(
            test,
            total=self.total + (math.fsum(values) + math.fsum(highest)) / 2.0,
            sums=_added(self.sums, unit, bound),
            sums_upper=_added(self.sums_upper or self.sums, top, bound) if apart else None,
        )

    @property
    def log_evidence(self) -> float:
        """Natural log of the wealth that bets on "better"; at log(1/alpha) it is proven."""
        return float(_mixture(np.array(self.wealth_better)[None, :])[0])

    @property
    def log_evidence_worse(self) -> float:
        """Natural log of the wealth of the twin, that bets on "worse"."""
        return float(_mixture(np.array(self.wealth_worse)[None, :])[0])

    @property
    def worse_by_now(self) -> bool:
        """Whether "worse" is proven, even where "better" was before; that is wrong with probability alpha at most."""
        return self.verdict == "worse" or self.log_evidence_worse >= -math.log(self.alpha)

    @property
    def mean(self) -> float:
        """Mean of D, in currency a row (positive: the challenger is better); NaN before the first row."""
        return self.total / self.rows if self.rows else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high end of a confidence sequence for the mean of D, in currency a row.

        At every moment at once, each end is wrong with probability at most alpha. It inverts the test with log(1 +
        x) bounded from below (empirical Bernstein), so that its state is five sums; it never contradicts the
        verdict. (-scale, scale) before the first row.
        """
        theta = -self.margin
        candidates = np.linspace(-self.scale, self.scale, _GRID)
        low = _first_kept(candidates, _log_evidence_against(self, candidates, 1.0) >= -math.log(self.alpha))
        backward = candidates[::-1]
        high = _first_kept(backward, _log_evidence_against(self, backward, -1.0) >= -math.log(self.alpha))
        if self.verdict == "better":
            low = max(low, theta)
        if self.verdict == "worse":
            high = min(high, theta)
        return low, max(high, low)

    def rows_needed(self) -> int | None:
        """Return about how many more rows a verdict takes: 0 with a verdict, None where no end is in sight.

        A guess for a sentence ("undecided: about 900 more rows"), not a promise: it extends the best stake's growth
        so far.
        """
        if self.verdict != "undecided":
            return 0
        side = max(self.wealth_better, self.wealth_worse, key=max)
        best = max(side)
        if self.rows == 0 or best <= 0.0:
            return None
        missing = -math.log(self.alpha) - float(_mixture(np.array(side)[None, :])[0])
        return max(1, math.ceil(missing / (best / self.rows)))

    def to_state(self) -> dict[str, Any]:
        """Return the state as floats, ints, texts and lists."""
        return {
            "alpha": self.alpha,
            "scale": self.scale,
            "margin": self.margin,
            "rows": self.rows,
            "differing": self.differing,
            "total": self.total,
            "verdict": self.verdict,
            "first_scale": self.first_scale,
            "wealth_better": list(self.wealth_better),
            "wealth_worse": list(self.wealth_worse),
            "sums": list(self.sums),
            **({} if self.sums_upper is None else {"sums_upper": list(self.sums_upper)}),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PairedTest:
        """Return the test that `to_state` wrote; it continues identically."""
        lists = ("wealth_better", "wealth_worse", "sums", "sums_upper")
        content: dict[str, Any] = {key: tuple(value) if key in lists else value for key, value in state.items()}
        return cls(**content)


@dataclass(frozen=True)
class Comparison:
    """The verdict on a challenger at an instant, as an artifact.

    `evidence` is the log wealth of "better", `mean_difference` with `low` and `high` the saving in currency a row,
    over `rows` rows (0 where no row could tell the models apart); `needed` about how many more rows a verdict takes
    (None: no end in sight). `segments` says how the challenger compares in each segment (see `SegmentTests.to_json`),
    None where none was compared. `among` is how many challengers were compared at once, and shared the error
    probability.
    """

    id: str
    at: int
    champion: str
    challenger: str
    verdict: Verdict
    evidence: float
    mean_difference: float
    low: float
    high: float
    rows: int
    needed: int | None
    caused_by: tuple[str, ...]
    segments: Mapping[str, Any] | None = None
    among: int = 1

    @classmethod
    def of(
        cls,
        test: PairedTest,
        *,
        at: int,
        champion: str,
        challenger: str,
        caused_by: Sequence[str] = (),
        segments: Mapping[str, Any] | None = None,
        among: int = 1,
    ) -> Comparison:
        """Return the comparison that a test's state means."""
        low, high = test.interval
        draft = cls(
            "",
            at,
            champion,
            challenger,
            test.verdict,
            test.log_evidence,
            test.mean if test.rows else 0.0,
            low,
            high,
            test.rows,
            test.rows_needed(),
            tuple(caused_by),
            segments,
            among,
        )
        # The counts and ends that follow from rounding-sensitive searches stay out of the id; so do the segments, whose
        # rows are those of the test.
        apart = ("id", "low", "high", "needed", "segments")
        content = {key: value for key, value in draft.to_json().items() if key not in apart}
        return replace(draft, id=artifact_id("comparison", content))

    @property
    def sentence(self) -> str:
        """The verdict in one plain sentence."""
        if self.verdict != "undecided":
            return f"The challenger is {self.verdict} than the champion: proven on {self.rows:,} rows."
        if self.needed is None:
            return f"Undecided after {self.rows:,} rows, and no end in sight."
        return f"Undecided after {self.rows:,} rows: about {self.needed:,} more."

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain JSON types."""
        return {
            "id": self.id,
            "at": self.at,
            "champion": self.champion,
            "challenger": self.challenger,
            "verdict": self.verdict,
            "evidence": self.evidence,
            "mean_difference": self.mean_difference,
            "low": self.low,
            "high": self.high,
            "rows": self.rows,
            "needed": self.needed,
            "caused_by": list(self.caused_by),
            **({} if self.segments is None else {"segments": dict(self.segments)}),
            **({"among": self.among} if self.among > 1 else {}),
        }


def disagreement(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the share of rows on which two models decide differently (0 for no rows).

    Raises `StatisticError` where the decisions are not of the same rows. A refitted challenger inherits
    the proof of the tested one only where this is small.
    """
    if first.shape != second.shape or first.ndim != 1:
        msg = f"got decisions of shapes {first.shape} and {second.shape}; expected one of each model for the same rows"
        raise StatisticError(msg)
    return float(np.mean(first != second)) if first.size else 0.0


Sums = tuple[float, float, float, float, float]


def _checked(differences: Floats, bound: float) -> Floats:
    """Return differences without float noise; raise `StatisticError` for one that is not finite, or too large."""
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or (np.abs(values) > bound * (1.0 + _NOISE)).any():
        worst = np.abs(values).max() if values.size else 0.0
        msg = f"got differences up to {worst}, shape {values.shape}; expected a row of finite numbers up to {bound}"
        raise StatisticError(msg)
    return np.where(np.abs(values) <= _NOISE * bound, 0.0, values)


def _added(sums: Sums, unit: Floats, bound: float) -> Sums:
    inverse, count, gain = 1.0 / bound, len(unit), math.fsum(unit)
    return (
        sums[0] + count * inverse,
        sums[1] + count * inverse**2,
        sums[2] + gain,
        sums[3] + math.fsum(unit**2),
        sums[4] + gain * inverse,
    )


def _mixture(log_wealth: Floats) -> Floats:
    """Return the log of the weighted mean wealth, shape (rows, stakes) -> (rows)."""
    weighted = log_wealth + _LOG_PRIOR
    top = weighted.max(axis=1)
    return np.asarray(top + np.log(np.exp(weighted - top[:, None]).sum(axis=1)), dtype=np.float64)


def _first_kept(candidates: Floats, rejected: NDArray[np.bool_]) -> float:
    """Return the last candidate rejected before the first that is not: the conservative end on a grid."""
    kept = int(np.argmin(rejected)) if not rejected.all() else len(candidates) - 1
    return float(candidates[max(kept - 1, 0)])


def _stretch(test: PairedTest, theta: Floats, side: float) -> Floats:
    """Return by how much the bound grows, so that side * (D - theta) >= -scale * stretch."""
    return 1.0 + np.maximum(0.0, np.maximum(side * theta, side * -test.margin)) / test.first_scale


def _bet(test: PairedTest, unit: Floats, top: Floats) -> PairedTest:
    """Return the test with both wealths after more rows, `unit` and `top` their ends divided by the scale."""
    theta = np.array([-test.margin])
    threshold = -math.log(test.alpha)
    differing = test.differing + np.cumsum((unit != 0.0) | (top != 0.0))
    wealth: dict[str, tuple[float, ...]] = {}
    first = {"better": len(unit), "worse": len(unit)}
    sides = ((1.0, "better", test.wealth_better, unit), (-1.0, "worse", test.wealth_worse, top))
    for side, name, before, known in sides:
        gain = side * (known - theta / test.scale) / _stretch(test, theta, side)
        path = np.array(before) + np.cumsum(np.log1p(np.outer(gain, _STAKES)), axis=0)
        # Two models that never lost differently are the same as far as anyone can tell: never "better".
        crossed = np.flatnonzero((_mixture(path) >= threshold) & (differing > 0))
        first[name] = int(crossed[0]) if crossed.size else len(unit)
        wealth[name] = tuple(float(value) for value in path[-1])
    verdict = test.verdict
    if verdict == "undecided" and min(first.values()) < len(unit):
        verdict = "better" if first["better"] <= first["worse"] else "worse"
    return replace(
        test,
        rows=test.rows + len(unit),
        differing=int(differing[-1]),
        verdict=verdict,
        wealth_better=wealth["better"],
        wealth_worse=wealth["worse"],
    )


def _log_evidence_against(test: PairedTest, theta: Floats, side: float) -> Floats:
    """Return the log wealth against "the mean of side * D is at most side * theta", for each theta."""
    sums = test.sums if side > 0 or test.sums_upper is None else test.sums_upper
    inverse, inverse_squared, total, squares, cross = sums
    stretch = _stretch(test, theta, side)
    gain = side * (total - theta * inverse) / stretch
    spread = (squares - 2.0 * theta * cross + theta**2 * inverse_squared) / stretch**2
    return _mixture(np.outer(gain, _STAKES) - np.outer(np.maximum(spread, 0.0), _PSI))
