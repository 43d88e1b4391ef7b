"""The rivals on elec2 and the weather set, as an earlier study found them: does this bench measure what that one did?

Setting of the study: 40 equal periods, models on the last six, the first twelve for tuning, prices in error rates of
one period, labels immediate. Figures: its raw output, mean cost over the seven prices. Its trainer is "gradient
boosting" with no further word, so costs are compared, within 10%.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.strategy_cases import LEVELS, Case, case_of
from benchmarks.strategy_matrices import Measured
from benchmarks.strategy_rivals import best_cadence, cara_on_history, error_drop, every_so_many, tuned_on_history
from pitstop.strategy.policies.debt import Debt
from pitstop.strategy.policies.forecast_plan import ForecastPlan

TUNING = 12

STUDY: dict[str, dict[str, tuple[float, ...]]] = {
    "elec2": {
        "never": (7.73,) * 7,
        "every period": (7.10, 7.37, 8.18, 9.53, 12.23, 20.33, 33.83),
        "period tuned on history": (7.28, 7.41, 7.80, 8.68, 9.18, 10.68, 10.99),
        "best period in hindsight": (7.10, 7.37, 7.73, 7.73, 7.73, 7.73, 7.73),
        "error drop": (8.05, 8.13, 8.37, 8.77, 9.57, 11.97, 15.97),
        "debt": (7.54, 7.69, 8.06, 8.53, 9.16, 9.32, 11.65),
        "CARA threshold, history": (7.54, 7.63, 8.23, 8.43, 8.83, 10.03, 11.39),
        "CARA cumulative, history": (7.54, 7.63, 7.90, 8.50, 9.02, 10.52, 10.82),
        "UPF-style, plan": (7.28, 7.61, 7.81, 8.52, 9.18, 10.26, 11.18),
        "oracle": (6.94, 7.10, 7.38, 7.58, 7.68, 7.73, 7.73),
    },
    "noaa_weather": {
        "never": (6.18,) * 7,
        "every period": (6.09, 6.36, 7.17, 8.52, 11.22, 19.32, 32.82),
        "period tuned on history": (6.30, 6.35, 6.50, 6.35, 6.55, 7.15, 8.15),
        "best period in hindsight": (5.98, 6.00, 6.05, 6.10, 6.18, 6.18, 6.18),
        "error drop": (6.03, 6.08, 6.23, 6.48, 6.98, 8.48, 10.98),
        "debt": (5.91, 5.98, 6.32, 6.68, 6.49, 6.75, 6.18),
        "CARA threshold, history": (6.00, 6.08, 6.19, 6.39, 6.79, 7.99, 9.99),
        "CARA cumulative, history": (6.00, 6.08, 6.36, 6.71, 7.41, 9.51, 13.01),
        "UPF-style, plan": (6.28, 6.37, 6.36, 6.29, 6.20, 6.18, 6.18),
        "oracle": (5.74, 5.78, 5.87, 5.99, 6.16, 6.18, 6.18),
    },
}


def reproduced(measured: Measured) -> list[dict[str, Any]]:
    """Return for each rival its mean cost over the prices, here and in the study, and the deviation in percent."""
    case = case_of(measured, 0, "last_6")
    lead = case.seen.lead
    case = replace(case, first=TUNING - lead)
    # A price of 1 is one period in which every row is wrong; levels are relative to a fresh model's loss.
    unit = float(case.seen.rows.mean())
    levels = [price * unit / case.fresh for price in LEVELS]
    rivals: dict[str, Callable[[Case, float], tuple[int, ...]]] = {
        "never": lambda _case, _level: (),
        "every period": lambda case, _level: every_so_many(case, 1),
        "period tuned on history": tuned_on_history,
        "error drop": error_drop,
        "debt": lambda case, level: case.walked(Debt(), level),
        "CARA threshold, history": cara_on_history(cumulative=False),
        "CARA cumulative, history": cara_on_history(cumulative=True),
        "UPF-style, plan": lambda case, level: case.walked(ForecastPlan(), level),
    }
    costs = {
        name: [case.cost(schedule(case, level), level) / unit for level in levels] for name, schedule in rivals.items()
    }
    costs["best period in hindsight"] = [best_cadence(case, level) / unit for level in levels]
    costs["oracle"] = [case.best(level) / unit for level in levels]
    rows = []
    for name, figures in STUDY[measured.name].items():
        here, there = float(np.mean(costs[name])), float(np.mean(figures))
        rows.append(
            {
                "part": "reproduction",
                "stream": measured.name,
                "policy": name,
                "cost here": here,
                "cost in the study": there,
                "deviation %": 100 * (here / there - 1),
            }
        )
    return rows
