"""What each policy would have cost: its schedule's losses, releases and fits, against hindsight and the incumbent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pitstop.backtests.views import View
from pitstop.records.spec import CostsSection
from pitstop.strategy.backtest import walk
from pitstop.strategy.base import Costs, Policy
from pitstop.strategy.oracle import (
    Schedule,
    oracle,
    schedule_cost,
    served_losses,
    serving_models,
    winning_prices,
)
from pitstop.strategy.policies import needs_candidates
from pitstop.strategy.policies.cadence import Cadence
from pitstop.strategy.policies.never import Never

Floats = NDArray[np.float64]

CADENCES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)


@dataclass(frozen=True, eq=False)
class Bill:
    """What one policy on one view cost from the first judged period to the end, in currency.

    `loss` of the served models, `releases` their periods, `release_cost` and `fit_cost` what was paid besides;
    `by_period` is losses and releases together for each judged period, `windows` the losses by window.
    """

    view: str
    policy: str
    loss: float
    releases: tuple[int, ...]
    release_cost: float
    fit_cost: float
    by_period: Floats
    windows: Floats

    @property
    def cost(self) -> float:
        """Losses, releases and fits."""
        return self.loss + self.release_cost + self.fit_cost

    @property
    def fixed(self) -> float:
        """What does not depend on which rows came."""
        return self.release_cost + self.fit_cost


@dataclass(frozen=True)
class Setting:
    """From which period on policies are judged, how late a release serves, what is paid, whether the end is known."""

    first: int
    lag: int
    costs: CostsSection
    horizon_known: bool = False


def bill_of(view: View, policy: Policy, setting: Setting, inputs: Floats) -> Bill:
    """Walk a policy through a view and return its bill."""
    price = setting.costs.release
    fit = setting.costs.fit_per_row * float(view.release_rows[setting.first :].mean())
    walked = walk(
        policy,
        view.seen,
        Costs(price, fit),
        setting.first,
        horizon_known=setting.horizon_known,
        truth=view.charged,
        lag=setting.lag,
        inputs=inputs,
        chosen=view.chosen,
    )
    return _bill(view, policy.name, walked.schedule, setting, candidates=needs_candidates(policy))


def hindsight_of(view: View, setting: Setting) -> Bill:
    """Return the bill of the cheapest schedule that knows all losses; it pays for the fits that it releases."""
    best = oracle(view.charged, setting.costs.release, setting.first, setting.lag)
    return _bill(view, "hindsight", best, setting, candidates=False)


def best_cadence(view: View, setting: Setting) -> tuple[str, float]:
    """Return the fixed cadence that is cheapest in hindsight, and its cost with its releases and their fits."""
    found = []
    for policy in calendars(max(CADENCES)):
        releases = calendar_releases(policy, view, setting)
        schedule = schedule_cost(view.charged, releases, setting.costs.release, setting.first, setting.lag)
        bill = _bill(view, policy.name, schedule, setting, candidates=False)
        found.append((bill.cost, policy.name))
    cost, name = min(found)
    return name, cost


def calendars(longest: int) -> tuple[Never | Cadence, ...]:
    """Return never and every fixed cadence of at most `longest` periods."""
    return (Never(), *(Cadence(every) for every in CADENCES if every <= longest))


def calendar_releases(policy: Never | Cadence, view: View, setting: Setting) -> tuple[int, ...]:
    """Return the releases of a fixed cadence, whatever they cost."""
    if isinstance(policy, Never):
        return ()
    due = range(setting.first + policy.every, view.seen.periods, policy.every)
    return tuple(period for period in due if np.isfinite(view.charged[period, period:]).all())


def _bill(view: View, policy: str, schedule: Schedule, setting: Setting, *, candidates: bool) -> Bill:
    first, lag = setting.first, setting.lag
    price = setting.costs.release
    fitted = view.fit_rows[first + 1 :].sum() if candidates else view.release_rows[list(schedule.releases)].sum()
    by_period = served_losses(view.charged, schedule.releases, first, lag)
    by_period[np.array(schedule.releases, dtype=np.int64) - first] += price
    serving = np.full(view.seen.periods, -1, dtype=np.int64)
    serving[first:] = serving_models(view.seen.periods, schedule.releases, first, lag)
    judged = np.flatnonzero(view.window_period >= first)
    windows = np.nan_to_num(view.blocks[serving[view.window_period[judged]], judged])
    return Bill(
        view.name,
        policy,
        schedule.loss,
        schedule.releases,
        price * len(schedule.releases),
        setting.costs.fit_per_row * float(fitted),
        by_period,
        windows,
    )


def stops_paying(lines: Sequence[tuple[str, float, int]]) -> dict[str, tuple[float, float] | None]:
    """Return for each schedule (name, loss, releases) the range of release prices in which it is the cheapest of all.

    None where it never is; the upper end may be infinite.
    """
    found = {}
    for place, (name, loss, releases) in enumerate(lines):
        rivals = tuple((other, count) for index, (_, other, count) in enumerate(lines) if index != place)
        found[name] = winning_prices((loss, releases), rivals)
    return found
