"""Rivals of the default policy that are not policies of the package: what others do, on the same matrices."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.environments import ask
from benchmarks.strategy_cases import Case
from pitstop.strategy.policies.cara_cumulative import risen
from pitstop.strategy.policies.cara_threshold import rise
from pitstop.strategy.policies.rolling_period import CADENCES

Floats = NDArray[np.float64]
Releases = tuple[int, ...]

# A drop is seen where its z value is beyond this (one-sided 5%).
_SIGNIFICANT = 1.645
# Thresholds of CARA: quantiles of the rises in the history.
_QUANTILES = (0.1, 0.25, 0.5, 0.75)


def every_so_many(case: Case, every: int) -> Releases:
    """Return the releases of a fixed cadence, whatever they cost."""
    return tuple(range(case.first + every, case.seen.periods, every))


def best_cadence(case: Case, level: float) -> float:
    """Return the cost of the cheapest fixed cadence in hindsight, never to retrain among them."""
    return min(case.cost((), level), *(case.cost(every_so_many(case, every), level) for every in CADENCES))


def tuned_on_history(case: Case, level: float) -> Releases:
    """Return the cadence that was cheapest on the history, kept to the end."""
    price = level * case.fresh
    costs = {every: _on_history(case, price, partial(_as_old_as, every)) for every in CADENCES}
    never = _on_history(case, price, _never)
    best = min(CADENCES, key=lambda every: (costs[every], -every))
    return every_so_many(case, best) if costs[best] < never else ()


def error_drop(case: Case, level: float) -> Releases:
    """Retrain when the last column is significantly worse than the served model's first one (one-sided 5%)."""
    del level
    times, served, releases = case.rows.times, case.first, list[int]()
    for now in range(case.first, case.seen.periods):
        columns = [
            case.rows.losses[served][times.arrived == column]
            for column in range(served, now)
            if (times.arrived == column).any()
        ]
        if len(columns) > 1 and _worse(columns[0], columns[-1]):
            served = now
            releases.append(now)
    return tuple(releases)


def cara_on_history(cumulative: bool) -> Callable[[Case, float], Releases]:
    """Return CARA with its threshold tuned once, on the history, as in the paper: never to retrain is no threshold."""

    def schedule(case: Case, level: float) -> Releases:
        price, staleness = level * case.fresh, risen if cumulative else rise
        scaled = case.seen.losses[: case.first, : case.first]
        rises = (scaled - np.diag(scaled)[:, None])[np.isfinite(scaled)]
        rises = rises[rises > 0]
        thresholds = np.quantile(rises, _QUANTILES).tolist() if rises.size else []
        costs = {
            threshold: _on_history(case, price, partial(_as_stale_as, staleness, threshold)) for threshold in thresholds
        }
        if not costs:
            return ()
        best = min(costs, key=lambda threshold: (costs[threshold], -threshold))
        return _live_rule(case, partial(_as_stale_as, staleness, best))

    return schedule


def detectors(cases: Mapping[str, Case]) -> dict[str, dict[str, list[int]]]:
    """Return the releases of River's ADWIN and KSWIN on each case, from an environment of its own."""
    content: dict[str, NDArray[np.generic]] = {}
    for name, case in cases.items():
        times = case.rows.times
        order = np.argsort(times.arrived, kind="stable")
        order = order[(times.arrived[order] >= 0) & (times.arrived[order] < case.seen.periods)]
        losses = np.full((case.seen.periods, len(order)), np.nan)
        for model, values in case.rows.losses.items():
            losses[model] = values[order]
        content |= {f"losses_{name}": losses, f"column_{name}": times.arrived[order]}
        content[f"first_{name}"] = np.array(case.first)
    with tempfile.TemporaryDirectory(prefix="pitstop-river-") as folder:
        path = Path(folder) / "losses.npz"
        np.savez(path, **content)  # type: ignore[arg-type]
        return dict(ask("river", Path(__file__).parent / "strategy_river.py", str(path)))


def _never(live: Sequence[float]) -> bool:
    del live
    return False


def _as_old_as(every: int, live: Sequence[float]) -> bool:
    return len(live) >= every


def _as_stale_as(staleness: Callable[[Sequence[float]], float], threshold: float, live: Sequence[float]) -> bool:
    return bool(live) and staleness(live) >= threshold


def _worse(before: Floats, after: Floats) -> bool:
    error = np.sqrt(before.var() / len(before) + after.var() / len(after))
    return bool(error > 0 and (after.mean() - before.mean()) / error > _SIGNIFICANT)


def _live_rule(case: Case, due: Callable[[Sequence[float]], bool]) -> Releases:
    served, releases = case.first, list[int]()
    for now in range(case.first, case.seen.periods):
        live = case.seen.losses[served, served:now]
        if due(live[np.isfinite(live)].tolist()) and now > served:
            served = now
            releases.append(now)
    return tuple(releases)


def _on_history(case: Case, price: float, due: Callable[[Sequence[float]], bool]) -> float:
    """Return the cost a period of a rule on the live losses before the first judged period, from model 0 on."""
    served, cost, live = 0, 0.0, list[float]()
    for column in range(case.first):
        if due(live) and column > served:
            served, live, cost = column, [], cost + price
        loss = float(case.seen.losses[served, column])
        if np.isfinite(loss):
            live.append(loss)
            cost += loss
    return cost / case.first
