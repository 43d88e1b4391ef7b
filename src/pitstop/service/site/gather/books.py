"""What the books say, as the Value page and the cards show it: money as numbers for pictures, rounded to the cent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from pitstop.loop.accounts import Accounts
from pitstop.records.calendar import Calendar
from pitstop.store.home import ArtifactRecord
from pitstop.value.returns import Gain

_NORMAL_95 = 1.959964
# Points of the profit curve that are drawn; 1,002 are computed.
CURVE = 101


def books(found: Accounts, appraisals: Sequence[ArtifactRecord]) -> dict[str, Any]:
    """Return the document of the Value page."""
    calendar, currency = found.spec.calendar, found.spec.value.currency
    accounts = {name: float(amount) for name, amount in found.accounts.items()}
    return {
        "currency": currency,
        "as_of": calendar.name_instant(found.as_of),
        "accounts": accounts,
        "doubt": _NORMAL_95 * float(found.deviation),
        "net": float(found.net),
        "paid": float(found.paid),
        "periods": [
            {
                "period": item.period,
                "name": calendar.name_period(item.period),
                "start": calendar.period_start(item.period),
                "realised": float(item.realised),
                "estimated": float(item.estimated),
                "doubt": _NORMAL_95 * float(item.deviation),
                "release": float(item.release),
                "fit": float(item.fit),
                "running": float(item.running),
                "net": float(item.net),
                "coverage": item.coverage,
                "settled": item.settled,
                "waiting": item.waiting,
            }
            for item in found.periods
        ],
        "upkeep": {**_gain(found.upkeep), "cost": float(found.upkeep_cost), "ratio": found.ratio},
        "stale": float(sum(found.stale, Decimal(0))),
        "releases": [
            {
                "id": release.id,
                "version": f"v{release.version}",
                "at": release.at,
                "since": calendar.name_instant(release.at),
                "days": earned.days,
                **_gain(earned.gain),
                "cost": float(earned.cost),
                "waiting": earned.waiting,
                "expected": float(earned.expected),
                "break_even_days": earned.break_even_days,
                "ratio": earned.ratio,
                "verdict": earned.verdict,
            }
            for release, earned in found.releases
        ],
        "cohorts": [
            {
                "ages": f"{item.first} to {item.last}" if item.last is not None else f"from {item.first}",
                "rows": item.rows,
                "estimated": float(item.estimated),
                "realised": float(item.realised),
                "surprise": item.surprise,
                "coverage": item.coverage,
            }
            for item in found.cohorts
        ],
        "foretold": {
            "windows": found.foretold.windows,
            "rows": found.foretold.rows,
            "estimated": float(found.foretold.estimated),
            "realised": float(found.foretold.realised),
            "surprise": found.foretold.surprise,
        },
        "advice": _advice(found),
        "gained": gained(calendar, [item.content for item in appraisals], found),
    }


def _gain(gain: Gain) -> dict[str, Any]:
    return {
        "gain": float(gain.total),
        "low": None if gain.low is None else float(gain.low),
        "high": None if gain.high is None else float(gain.high),
        "rows": gain.rows,
    }


def _advice(found: Accounts) -> dict[str, Any] | None:
    advice = found.advice
    if advice is None:
        return None
    # The last threshold is above every score: the end of the curve, where nothing is acted on.
    places = np.unique(np.linspace(0, len(advice.thresholds) - 1, CURVE).astype(int))
    return {
        "curve": [[round(float(advice.thresholds[i]), 4), float(advice.profit[i]) / 10_000] for i in places],
        "today": advice.today,
        "today_profit": float(advice.today_profit),
        "best": min(advice.best, 1.0),
        "best_profit": float(advice.best_profit),
        "regret": _gain(advice.regret),
        "worth_changing": advice.worth_changing,
    }


def gained(calendar: Calendar, appraisals: Iterable[Mapping[str, Any]], found: Accounts) -> list[dict[str, Any]]:
    """Return, by period of prediction, what retraining earned over the first model and cost, added up since then."""
    by_period: dict[int, float] = {}
    for appraisal in appraisals:
        for window, _rows, ticks in appraisal["over_first"]:
            period = calendar.period_at(calendar.window_start(window))
            by_period[period] = by_period.get(period, 0.0) + ticks / 10_000
    total = cost = 0.0
    line = []
    for item in found.periods:
        total += by_period.get(item.period, 0.0)
        cost -= float(item.release + item.fit)
        name = calendar.name_period(item.period)
        line.append({"period": item.period, "name": name, "gain": round(total, 2), "cost": round(cost, 2)})
    return line
