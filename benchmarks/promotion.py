"""How often a paired test promotes what is not better, and how long it takes to promote what is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn.utils.parallel import Parallel, delayed

from benchmarks.result import Bar, Result
from pitstop.retraining.comparison import PairedTest

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]

ALPHA = 0.05
RUNS = 2_000
# A shadow of three months at a few hundred labels a day.
NULL_ROWS, QUICK_NULL_ROWS = 20_000, 4_000
DAY = 100
# One-sided 5% point of the normal distribution.
Z = 1.6448536269514722

# Share of rows on which two models decide differently, gain a row, and margin: the cases of the published study in
# which a fixed test needs 2,700 to 12,400 rows.
CASES = ((0.05, 0.01, 0.0), (0.05, 0.005, 0.0), (0.10, 0.01, 0.0), (0.05, 0.0, 0.01), (0.10, 0.005, 0.01))
# Beside them, to see where the mixture's grid thins out: hardly better, and much better.
EXTREMES = ((0.10, 0.005, 0.0), (0.10, 0.03, 0.0), (0.10, 0.06, 0.0))


def run(quick: bool, data: Path | None) -> Result:  # noqa: ARG001 - the frame's signature; the rows are drawn here
    """Look at the shipped test after every row of `RUNS` comparisons of each kind."""
    nulls = [_null(name, draw, margin, quick) for name, draw, margin in _nulls()]
    same = _identical(QUICK_NULL_ROWS if quick else NULL_ROWS)
    powers = [
        {"case": kind, **_power(*case, quick)}
        for kind, cases in (("published", CASES), ("extreme", EXTREMES))
        for case in cases
    ]
    published = [row["times informed"] for row in powers if row["case"] == "published"]
    return Result(
        (*nulls, same, *powers),
        (
            Bar(
                "promotion.4a",
                max(row["lower limit"] for row in nulls),
                ALPHA,
                text="Clopper-Pearson 95% lower limit of the rate of false promotions, worst null, every row looked at",
            ),
            Bar("promotion.4b", same["promoted"], 0, text="comparisons of a model with itself that end as better"),
            Bar(
                "promotion.4c",
                max(published),
                1.25,
                text="median rows to a right promotion, times those of a bettor who knows the truth, worst case",
            ),
        ),
    )


def _nulls() -> Iterator[tuple[str, Draw, float]]:
    """Return differences whose mean, given the past, is never above minus the margin: name, draw, margin."""
    yield "models that err alike on 5% of rows", lambda rng, rows: _signs(rng, rows, 0.05, 0.0), 0.0
    yield "models that err alike on 40% of rows", lambda rng, rows: _signs(rng, rows, 0.4, 0.0), 0.0
    yield "worse by just the margin", lambda rng, rows: _signs(rng, rows, 0.1, -0.01), 0.01
    yield "squared errors of probabilities", lambda rng, rows: rng.beta(2, 2, rows) - rng.beta(2, 2, rows), 0.0
    yield "rare large amounts", _skewed, 0.0
    yield "worse in waves, never better", _waves, 0.0


def _signs(rng: np.random.Generator, rows: int, disagree: float, gain: float) -> Floats:
    """Return differences of 0-1 losses: apart on a share of rows, `gain` a row better."""
    uniform = rng.random(rows)
    return np.where(uniform < (disagree + gain) / 2, 1.0, np.where(uniform < disagree, -1.0, 0.0))


def _skewed(rng: np.random.Generator, rows: int) -> Floats:
    """Return mean 0: one row in a hundred gains 0.99, the others lose 0.01."""
    return np.where(rng.random(rows) < 0.01, 0.99, -0.01)


def _waves(rng: np.random.Generator, rows: int) -> Floats:
    """Return differences whose mean swings between 0 and -0.1, with the spread swinging too."""
    wave = (1.0 + np.sin(np.arange(rows) / 150.0)) / 2
    return np.where(rng.random(rows) < 0.1 + 0.4 * wave, rng.choice([-1.0, 1.0], rows), 0.0) * 0.9 - 0.1 * (1 - wave)


def _parallel(work: Callable[[int], Any], runs: int) -> list[Any]:
    return list(Parallel(n_jobs=-1)(delayed(work)(seed) for seed in range(runs)))


def _null(name: str, draw: Draw, margin: float, quick: bool) -> dict[str, Any]:
    """Return how many of the runs end as "better", and how many a z-test that is looked at once a day promotes."""
    rows = QUICK_NULL_ROWS if quick else NULL_ROWS

    def one(seed: int) -> tuple[bool, bool, bool]:
        values = draw(np.random.default_rng(seed), rows)
        verdict = PairedTest(ALPHA, 1.0, margin).updated(values).verdict
        days = np.arange(DAY, rows + 1, DAY)
        mean = np.cumsum(values)[days - 1] / days + margin
        spread = np.sqrt(np.maximum(np.cumsum(values**2)[days - 1] / days - (mean - margin) ** 2, 1e-12) / days)
        beyond = mean / spread > Z
        return verdict == "better", bool(beyond.any()), bool(beyond[-1])

    found = np.array(_parallel(one, RUNS))
    ours, peeking, once = (int(count) for count in found.sum(axis=0))
    return {
        "what": name,
        "runs": RUNS,
        "rows": rows,
        "promoted": ours,
        "rate": ours / RUNS,
        "lower limit": _lower_limit(ours, RUNS),
        "z-test looked at daily": peeking / RUNS,
        "z-test looked at once": once / RUNS,
    }


def _lower_limit(count: int, runs: int) -> float:
    """Return the lower end of the 95% Clopper-Pearson interval of a share."""
    return float(beta.ppf(0.025, count, runs - count + 1)) if count else 0.0


def _identical(rows: int) -> dict[str, Any]:
    """Return how often a model is promoted over itself: its losses differ by float noise, with and without a margin."""
    promoted = 0
    for seed in range(RUNS // 10):
        noise = np.random.default_rng(seed).normal(0.0, 1e-13, rows)
        for margin in (0.0, 0.05):
            promoted += PairedTest(ALPHA, 1.0, margin).updated(noise).verdict == "better"
    return {"what": "a model and itself", "runs": RUNS // 5, "rows": rows, "promoted": promoted}


def _power(disagree: float, gain: float, margin: float, quick: bool) -> dict[str, Any]:
    """Return median rows until "better" is proven, for ours, the informed bettor, and a test of fixed size."""
    mean, square = gain + margin, disagree + 2 * margin * gain + margin**2
    stake = mean / square
    # Ten times what the informed bettor takes on average: nobody is cut off.
    rows = int(10 * 2 * -np.log(ALPHA) / (mean * stake))
    runs = 200 if quick else RUNS

    def one(seed: int) -> tuple[float, float]:
        values = _signs(np.random.default_rng(10_000 + seed), rows, disagree, gain)
        informed = np.cumsum(np.log1p(stake * (values + margin))) >= -np.log(ALPHA)
        return _first_better(values, margin), float(np.argmax(informed) + 1) if informed.any() else np.inf

    ours, informed = np.array(_parallel(one, runs)).T
    fixed = 6.18 * (disagree - gain**2) / mean**2
    return {
        "what": f"{disagree:.0%} apart, {gain:+.3f} a row, margin {margin}",
        "runs": runs,
        "median rows": float(np.median(ours)),
        "informed bettor": float(np.median(informed)),
        "times informed": float(np.median(ours) / np.median(informed)),
        "fixed test, 80% power": fixed,
        "never": int(np.isinf(ours).sum()),
    }


def _first_better(values: Floats, margin: float) -> float:
    """Return after which row the shipped test says "better": in blocks first, then within the block by halving."""
    test, step = PairedTest(ALPHA, 1.0, margin), 500
    for start in range(0, len(values), step):
        block = values[start : start + step]
        after = test.updated(block)
        if after.verdict == "better":
            # The verdict stays once it is reached, so the row that reached it can be halved for.
            low, high = 0, len(block)
            while high - low > 1:
                middle = (low + high) // 2
                proven = test.updated(block[:middle]).verdict == "better"
                low, high = (low, middle) if proven else (middle, high)
            return float(start + high)
        if after.verdict == "worse":
            return float("inf")
        test = after
    return float("inf")
