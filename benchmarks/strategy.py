"""What retraining policies cost above the hindsight optimum, recipe and timing chosen together, and a backtest's time.

Excess in percent, mean over seven prices of a release. The default is as shipped. Beside it stand the same bars with
its numbers chosen for each stream on the others (`strategy_left_out`), so that nothing is chosen on what it is reported
on, and with the prior of the others alone. Rivals run in the same run, on the same matrices.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import strategy_speed
from benchmarks.environments import PeerError
from benchmarks.result import Bar, MissingDataError, Result
from benchmarks.strategy_cases import LEVELS, Case, Choices, case_of
from benchmarks.strategy_left_out import SHIPPED, Point, chosen_elsewhere, policy_at
from benchmarks.strategy_matrices import RECIPES, Measured, measure
from benchmarks.strategy_reproduction import STUDY, reproduced
from benchmarks.strategy_rivals import (
    best_cadence,
    cara_on_history,
    detectors,
    error_drop,
    every_so_many,
    tuned_on_history,
)
from benchmarks.strategy_streams import ROWS, Stream, streams
from benchmarks.strategy_unseen import unseen
from pitstop.strategy.choosing import Rule, cheapest_plan, lowest_fresh, tournament
from pitstop.strategy.policies.cara_cumulative import CaraCumulative
from pitstop.strategy.policies.cara_threshold import CaraThreshold
from pitstop.strategy.policies.debt import Debt
from pitstop.strategy.policies.drift_triggered import DriftTriggered
from pitstop.strategy.policies.error_cusum import ErrorCusum
from pitstop.strategy.policies.forecast import Forecast
from pitstop.strategy.policies.forecast_plan import ForecastPlan
from pitstop.strategy.policies.rolling_period import RollingPeriod
from pitstop.strategy.policies.shadow_debt import ShadowDebt
from pitstop.strategy.policies.shadow_plan import ShadowPlan
from pitstop.strategy.policies.vote import Vote
from pitstop.strategy.staleness import fit_curve

Prior = tuple[float, float]
Schedule = Callable[[Case, float], tuple[int, ...]]

QUICK = ("elec2", "noaa_weather", "bike_sharing", "gradual", "stationary", "wandering_levels")
QUICK_ROWS = 300
DELAYS = (0, 1)
DEFAULT = "shadow_plan"
ELSEWHERE = f"{DEFAULT}, numbers of the other sets"
OF_OTHERS = f"{DEFAULT}, prior of the other sets"
# What a candidate's fit costs where it is charged, as a share of a release.
FIT = 0.1

POLICIES: Mapping[str, Schedule] = {
    "never": lambda _case, _level: (),
    "every period": lambda case, _level: every_so_many(case, 1),
    "every 4 periods": lambda case, _level: every_so_many(case, 4),
    "period tuned on history": tuned_on_history,
    "rolling_period": lambda case, level: case.walked(RollingPeriod(), level),
    "error drop": error_drop,
    "error_cusum": lambda case, level: case.walked(ErrorCusum(), level),
    "drift_triggered": lambda case, level: case.walked(DriftTriggered(), level),
    "CARA threshold, history": cara_on_history(cumulative=False),
    "CARA cumulative, history": cara_on_history(cumulative=True),
    "cara_threshold": lambda case, level: case.walked(CaraThreshold(), level),
    "cara_cumulative": lambda case, level: case.walked(CaraCumulative(), level),
    "UPF-style, one step": lambda case, level: case.walked(Forecast(), level),
    "UPF-style, plan": lambda case, level: case.walked(ForecastPlan(), level),
    "debt": lambda case, level: case.walked(Debt(), level),
    "shadow_debt": lambda case, level: case.walked(ShadowDebt(), level),
    "vote": lambda case, level: case.walked(Vote(), level),
    DEFAULT: lambda case, level: case.walked(ShadowPlan(), level),
    "shadow_plan, lasting": lambda case, level: case.walked(ShadowPlan(fading=False), level),
    "shadow_plan, one error": lambda case, level: case.walked(ShadowPlan(worse=1.0, better=1.0), level),
    "shadow_plan, two errors": lambda case, level: case.walked(ShadowPlan(worse=2.0, better=2.0), level),
}
# How the recipe is chosen; the first is what the bars are about.
CHOOSING: Mapping[str, Rule] = {
    "cheapest_plan": cheapest_plan,
    "lowest_fresh": lowest_fresh,
    "tournament": tournament,
}
# Those that the default has to beat on average (issue 5), and the letter of each bar.
RIVALS = {
    "never": "k",
    "every period": "l",
    "period tuned on history": "m",
    "rolling_period": "n",
    "error drop": "o",
    "ADWIN": "p",
    "KSWIN": "q",
    "CARA threshold, history": "r",
    "CARA cumulative, history": "s",
    "UPF-style, one step": "t",
    "UPF-style, plan": "u",
}


def run(quick: bool, data: Path | None) -> Result:
    """Measure the matrices that are not kept yet, then walk every policy over every stream and delay."""
    measured = _measured(quick, data)
    excess, points = _excesses(measured)
    rows = [*_summaries(excess), *_by_stream(excess)]
    rows += [_numbers(name, point) for name, point in points.items()]
    rows += [_beside(bar, name) for name in (ELSEWHERE, OF_OTHERS) for bar in _timing_bars(excess, name)]
    known = [item for item in measured if item.name in STUDY]
    repeated = [row for item in known for row in reproduced(item)] if not quick else []
    recipes = [row for item in measured for row in _recipes(item)]
    times = None if quick else strategy_speed.measure()
    bars = [*_timing_bars(excess), _reproduction_bar(repeated), *_recipe_bars(recipes), *_speed_bars(times)]
    if times is not None:
        rows.append({"part": "time", **{name.replace("_", " "): value for name, value in vars(times).items()}})
    return Result((*rows, *repeated, *recipes), tuple(bars))


def _measured(quick: bool, data: Path | None) -> list[Measured]:
    found = []
    for stream in (*streams(), *unseen()):
        if quick and stream.name not in QUICK:
            continue
        try:
            found.append(measure(stream, QUICK_ROWS if quick else ROWS, data))
        except MissingDataError:
            if not quick:
                raise
    return found


Excesses = dict[str, dict[tuple[str, int], list[float]]]
"""By policy, then by (stream, delay): the excess in percent at each price."""


def _excesses(measured: Sequence[Measured]) -> tuple[tuple[Excesses, dict[str, Stream]], dict[str, Point]]:
    cases = {
        (item.name, delay): case_of(item, delay)
        for item in measured
        for delay in DELAYS
        if item.stream.delays or not delay
    }
    triggers = _triggers(cases)
    priors = {name: _own_prior(case) for (name, delay), case in cases.items() if delay == 0}
    found: Excesses = {}
    bests = {key: [case.best(level) for level in LEVELS] for key, case in cases.items()}
    points = chosen_elsewhere(cases, bests)
    for key, case in cases.items():
        variants = {
            DEFAULT: ShadowPlan(),
            ELSEWHERE: policy_at(points[key[0]]),
            OF_OTHERS: ShadowPlan(prior_mean=_prior_of_others(priors, key[0])),
        }
        best = bests[key]
        schedules: dict[str, Schedule] = dict(POLICIES)
        schedules |= {name: partial(_walked, policy) for name, policy in variants.items()}
        schedules |= {name.upper(): _fixed(releases) for name, releases in triggers.get(key, {}).items()}
        for name, schedule in schedules.items():
            costs = [case.cost(schedule(case, level), level) for level in LEVELS]
            found.setdefault(name, {})[key] = _above(costs, best)
        found.setdefault("best cadence in hindsight", {})[key] = _above(
            [best_cadence(case, level) for level in LEVELS], best
        )
        for name, policy in variants.items():
            for every in (1, 4):
                paid = [_with_fits(case, policy, level, every) for level in LEVELS]
                found.setdefault(f"{name}, a fit every {every} charged", {})[key] = _above(paid, best)
    return (found, {item.name: item.stream for item in measured}), points


def _triggers(cases: Mapping[tuple[str, int], Case]) -> dict[tuple[str, int], dict[str, list[int]]]:
    """Return the schedules of River's detectors; none where their environment cannot be made (then no bar is held)."""
    try:
        found = detectors({f"{name}|{delay}": case for (name, delay), case in cases.items()})
    except PeerError as error:
        print(f"ADWIN and KSWIN did not run: {error}", file=sys.stderr)
        return {}
    return {key: found[f"{key[0]}|{key[1]}"] for key in cases}


def _above(costs: Sequence[float], best: Sequence[float]) -> list[float]:
    return [100 * (cost / least - 1) for cost, least in zip(costs, best, strict=True)]


def _walked(policy: ShadowPlan, case: Case, level: float) -> tuple[int, ...]:
    return case.walked(policy, level)


def _fixed(releases: Sequence[int]) -> Schedule:
    return lambda _case, _level: tuple(releases)


def _with_fits(case: Case, policy: ShadowPlan, level: float, every: int) -> float:
    """Return the default's cost with each candidate's fit charged, those that are released among them."""
    releases = case.walked(policy, level, fit_every=every)
    grid = set(range(case.first + every, case.seen.periods, every))
    return case.cost(releases, level) + len(grid | set(releases)) * FIT * level * case.fresh


def _own_prior(case: Case) -> Prior:
    """Return a stream's own staleness curve as shares of its fresh loss."""
    curve, level = fit_curve(case.seen, (0.0, 0.0)), case.seen.fresh_loss()
    return curve.linear / level, curve.early / level


def _prior_of_others(priors: Mapping[str, Prior], left_out: str) -> Prior:
    others = np.array([prior for name, prior in priors.items() if name != left_out])
    linear, early = np.median(others, axis=0).tolist()
    return float(linear), float(early)


def _mean(by_case: Mapping[tuple[str, int], list[float]], delay: int) -> float:
    """Return the mean over streams; one whose labels have times of their own counts for every delay."""
    return float(np.mean(list(_by_set(by_case, delay).values())))


def _by_set(by_case: Mapping[tuple[str, int], list[float]], delay: int) -> dict[str, float]:
    names = dict.fromkeys(name for name, _ in by_case)
    return {name: float(np.mean(by_case.get((name, delay), by_case[name, 0]))) for name in names}


def _summaries(measured: tuple[Excesses, dict[str, Stream]]) -> list[dict[str, Any]]:
    rows = []
    for name, by_case in measured[0].items():
        row: dict[str, Any] = {"part": "excess over hindsight, %", "policy": name}
        for delay in DELAYS:
            sets = _by_set(by_case, delay)
            row[f"mean d{delay}"] = float(np.mean(list(sets.values())))
            row[f"worst set d{delay}"] = max(sets.values())
            row[f"worst cell d{delay}"] = max(max(by_case.get((key, delay), by_case[key, 0])) for key in sets)
            for kind in ("new", "unseen"):
                those = [sets[key] for key, stream in measured[1].items() if stream.kind == kind]
                row[f"{kind} families d{delay}"] = float(np.mean(those)) if those else None
        rows.append(row)
    return sorted(rows, key=lambda row: row["mean d0"] + row["mean d1"])


def _by_stream(measured: tuple[Excesses, dict[str, Stream]]) -> list[dict[str, Any]]:
    excess, described = measured
    rows = []
    for name, stream in described.items():
        row: dict[str, Any] = {"part": "by stream, %", "stream": name, "kind": stream.kind}
        for policy in (DEFAULT, ELSEWHERE, "vote", "rolling_period", "debt", "best cadence in hindsight"):
            for delay in DELAYS:
                row[f"{policy} d{delay}"] = _by_set(excess[policy], delay)[name]
        rows.append(row)
    return rows


def _numbers(name: str, point: Point) -> dict[str, Any]:
    worse, better, prior = point
    row: dict[str, Any] = {"part": "numbers of the other sets", "stream": name, "as shipped": point == SHIPPED}
    return row | {"errors for a release": worse, "errors for waiting": better, "prior, times the shipped one": prior}


def _beside(bar: Bar, policy: str) -> dict[str, Any]:
    """Return a bar with other numbers than the shipped ones as a row: a figure beside the bar, not a bar."""
    row: dict[str, Any] = {"part": f"bars with {policy.removeprefix(DEFAULT + ', ')}", "bar": bar.name}
    return row | {"value": bar.value, "bound": bar.bound, "holds": bar.holds}


def _timing_bars(measured: tuple[Excesses, dict[str, Stream]], policy: str = DEFAULT) -> list[Bar]:
    excess, described = measured
    own = excess[policy]
    sets = [_by_set(own, delay) for delay in DELAYS]
    controls = [found[name] for found in sets for name, stream in described.items() if stream.control]
    charged = excess[f"{policy}, a fit every 1 charged"]
    live = max(_mean(excess["debt"], delay) for delay in DELAYS)
    what = f"mean excess of {policy}, %"
    bars = [
        Bar("strategy.1a", _mean(own, 0), 5.0, text=f"{what}, labels immediate"),
        Bar("strategy.1b", _mean(own, 1), 6.0, text=f"{what}, labels one period late"),
        Bar("strategy.1c", max(sets[0].values()), 12.0, text=f"{what}, worst set, labels immediate"),
        Bar("strategy.1d", max(sets[1].values()), 15.0, text=f"{what}, worst set, labels one period late"),
        Bar("strategy.1e", max(max(cells) for cells in own.values()), 25.0, text="its worst cell, %"),
        Bar("strategy.1f", max(controls, default=None), 2.0, text="its worst control without drift, %"),
        Bar("strategy.1g", _mean(charged, 0), 6.0, text="with each fit at 0.1 of a release, labels immediate, %"),
        Bar("strategy.1h", _mean(charged, 1), 8.0, text="with each fit at 0.1 of a release, one period late, %"),
        Bar("strategy.1i", live, 8.0, text="debt (live losses only), the worse of both delays, mean, %"),
    ]
    for rival, letter in RIVALS.items():
        gaps = [_mean(own, delay) - _mean(excess[rival], delay) for delay in DELAYS] if rival in excess else []
        gap = max(gaps, default=None)
        bars.append(Bar(f"strategy.1{letter}", gap, 0.0, text=f"{policy} minus {rival}, the worse of both delays, %"))
    return bars


def _reproduction_bar(rows: Sequence[Mapping[str, Any]]) -> Bar:
    largest = max((abs(row["deviation %"]) for row in rows), default=None)
    return Bar(
        "strategy.1j", largest, 10.0, text="largest deviation of a rival's cost from the study, elec2, weather, %"
    )


def _recipes(measured: Measured) -> list[dict[str, Any]]:
    """Return, for each delay, what choosing recipe and timing together costs above the best fixed choices."""
    rows = []
    for delay in DELAYS if measured.stream.delays else (0,):
        fixed = {recipe: case_of(measured, delay, recipe) for recipe in RECIPES}
        choices = Choices.of(measured, delay, RECIPES)
        fresh = fixed["all"].fresh
        row: dict[str, Any] = {"part": "recipe and timing, %", "stream": measured.name, "delay": delay}
        for name, rule in CHOOSING.items():
            above: dict[str, list[float]] = {"best fixed recipe and cadence": [], "best fixed recipe and policy": []}
            for level in LEVELS:
                case = choices.by(rule, level * fresh)
                price = level * fresh / case.fresh
                cost = case.cost(case.walked(ShadowPlan(), price), price)
                cadences = min(best_cadence(item, level * fresh / item.fresh) for item in fixed.values())
                policies = min(_cheapest_policy(item, level * fresh / item.fresh) for item in fixed.values())
                above["best fixed recipe and cadence"].append(cost / cadences - 1)
                above["best fixed recipe and policy"].append(cost / min(policies, cadences) - 1)
            for than, shares in above.items():
                row[f"{name} above {than}"] = 100 * float(np.mean(shares))
        for recipe, case in fixed.items():
            row[f"fresh loss {recipe}"] = case.fresh / fresh
        rows.append(row)
    return rows


def _cheapest_policy(case: Case, level: float) -> float:
    return min(
        case.cost(case.walked(policy, level), level) for policy in (ShadowPlan(), Vote(), RollingPeriod(), Debt())
    )


def _recipe_bars(rows: Sequence[Mapping[str, Any]]) -> list[Bar]:
    def mean(than: str) -> float:
        return float(np.mean([row[f"cheapest_plan above {than}"] for row in rows]))

    text = "recipe (cheapest plan) and timing chosen together, mean above the best fixed"
    return [
        Bar("strategy.2a", mean("best fixed recipe and cadence"), 3.0, text=f"{text} recipe and cadence, %"),
        Bar("strategy.2b", mean("best fixed recipe and policy"), 3.0, text=f"{text} recipe and policy, %"),
    ]


def _speed_bars(times: strategy_speed.Times | None) -> list[Bar]:
    first = None if times is None else times.first
    share = None if times is None else times.next / times.first
    return [
        Bar("strategy.3a", first, 120.0, text="seconds of a backtest: 50,000 rows, 40 periods, 3 recipes, 2 processes"),
        Bar("strategy.3b", share, 0.15, text="time of the next one, with one period more, as a share of it"),
    ]
