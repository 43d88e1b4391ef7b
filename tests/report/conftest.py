"""A story with the sizes of the hotel data: 19 months, a first model that decays, four policies, three incidents."""

from __future__ import annotations

import math
import random
from datetime import date, timedelta
from decimal import Decimal

import pytest

from pitstop.report.story import (
    AlarmRow,
    BandPoint,
    CauseRow,
    DecisionRow,
    DistributionPair,
    IncidentCard,
    LedgerRow,
    PeriodRow,
    ReleaseMark,
    ReplayStory,
    Totals,
)

NEVER = (
    0.853,
    0.81,
    0.777,
    0.653,
    0.66,
    0.691,
    0.68,
    0.67,
    0.666,
    0.655,
    0.65,
    0.639,
    0.63,
    0.624,
    0.64,
    0.681,
    0.66,
    0.64,
    0.631,
)
PITSTOP = (
    0.853,
    0.81,
    0.777,
    0.68,
    0.77,
    0.795,
    0.79,
    0.80,
    0.805,
    0.80,
    0.78,
    0.765,
    0.775,
    0.80,
    0.81,
    0.80,
    0.79,
    0.77,
    0.765,
)
MONTHLY = (
    0.863,
    0.83,
    0.808,
    0.727,
    0.78,
    0.80,
    0.81,
    0.815,
    0.821,
    0.80,
    0.78,
    0.769,
    0.79,
    0.825,
    0.82,
    0.82,
    0.80,
    0.79,
    0.776,
)
RETRAINED = {4: 1500, 6: 1500, 11: 1500, 14: 1500}


def month_name(index: int) -> str:
    return f"{2015 + (9 + index) // 12}-{(9 + index) % 12 + 1:02d}"


def earned(auc: float, rows: int) -> float:
    return round(rows * (auc - 0.58) * 7.5, 2)


def make_hotel_story() -> ReplayStory:
    rng = random.Random(7)
    rows = [1500 + rng.randrange(2600) for _ in NEVER]
    oracle = [min(0.99, value + 0.006) for value in PITSTOP]
    periods, net = [], []
    for index, count in enumerate(rows):
        metric = {"never": NEVER[index], "monthly": MONTHLY[index], "pitstop": PITSTOP[index], "oracle": oracle[index]}
        value = {policy: earned(auc, count) for policy, auc in metric.items()}
        cost = {
            "never": 0.0,
            "monthly": 1500.0 if index else 0.0,
            "pitstop": float(RETRAINED.get(index, 0)),
            "oracle": 1500.0 if index in {4, 8, 13} else 0.0,
        }
        periods.append(PeriodRow(month_name(index), count, metric, value, cost))
        net.append(value)
    sums = {policy: sum(value[policy] for value in net) for policy in ("never", "monthly", "pitstop", "oracle")}
    retrains = {"never": 0, "monthly": 18, "pitstop": 4, "oracle": 3}
    totals = {
        policy: Totals(
            retrains[policy],
            1500.0 * retrains[policy],
            sums[policy] - 1500 * retrains[policy],
            sum(row.metric[policy] for row in periods) / len(periods),  # type: ignore[misc]
        )
        for policy in sums
    }
    return ReplayStory(
        model="hotel_cancellations",
        metric_name="AUC",
        higher_is_better=True,
        currency="EUR",
        periods=tuple(periods),
        totals=totals,
        bands=_bands(rng),
        releases=_releases(),
        incidents=_incidents(),
        distributions=_distributions(),
        decisions=_decisions(),
        ledger=_ledger(net),
        price_range=(310, 6400),
        promise="At most 1 false alarm a month for the whole model; 14 alarms were raised in 19 months.",
        started_from="The first model was fitted on 2015-10-01 on the 3,212 rows whose label was known that day.",
        data_note="Hotel booking demand: Antonio, de Almeida, Nunes, Data in Brief 22 (2019) 41-49, "
        "doi 10.1016/j.dib.2018.11.126, CC BY 4.0.",
    )


def _bands(rng: random.Random) -> tuple[BandPoint, ...]:
    points = []
    first = date(2015, 10, 5)
    for week in range(82):
        level = PITSTOP[min(len(PITSTOP) - 1, week * 7 // 30)] + 0.025 * math.sin(week) + rng.gauss(0, 0.01)
        withdrawn = "the relation of inputs to outcome changed on 2016-01-03" if 14 <= week <= 19 else None
        points.append(
            BandPoint(
                (first + timedelta(days=7 * week)).isoformat(),
                week * 7,
                estimated=None if withdrawn else level + rng.gauss(0, 0.015),
                low=None if withdrawn else level - 0.045,
                high=None if withdrawn else level + 0.045,
                realised=level if week < 78 else None,
                withdrawn=withdrawn,
            )
        )
    return tuple(points)


def _releases() -> tuple[ReleaseMark, ...]:
    first = date(2015, 10, 5)
    rows = (
        (date(2016, 1, 29), 11480),
        (date(2016, 3, 18), 15402),
        (date(2016, 9, 2), 31877),
        (date(2016, 12, 9), 38115),
    )
    return tuple(
        ReleaseMark(
            at.isoformat(),
            f"v{index + 2}",
            "Recipe “last 6 months” beat the champion on 1,904 matured rows (e-value 41).",
            trained,
            (at - first).days,
            at.isoformat()[:7],
        )
        for index, (at, trained) in enumerate(rows)
    )


def _incidents() -> tuple[IncidentCard, ...]:
    names = ("lead_time", "deposit_type", "market_segment", "total_of_special_requests", "previous_cancellations")
    shares = (0.38, 0.27, 0.17, 0.11, 0.07)
    causes = tuple(CauseRow(name, share * 0.7, share * 1.1, share) for name, share in zip(names, shares, strict=True))
    alarms = tuple(
        AlarmRow(f"alarm-{index:020x}", f"2016-01-{14 + index:02d}", monitor, column, "2016-01-03", size)
        for index, (monitor, column, size) in enumerate(
            (("realised performance", "", -0.141), ("score drift", "", 0.31), ("feature drift", "lead_time", 0.22))
        )
    )
    return (
        IncidentCard(
            "incident-02b5c1d9a0e94f7c6b11",
            "2016-01-14",
            "2016-01-03",
            "The model's error rose by 14 points. The relation of the inputs to cancellation changed, "
            "most at long lead times.",
            causes,
            0.22,
            0.78,
            alarms,
            kind="error",
            headline="The model's error rose by 14 points",
            brief="the model's error 20% → 34%",
            distributions=_distributions()[:2],
        ),
        IncidentCard(
            "incident-97a4d2f30b6a85e1cc02",
            "2016-08-24",
            "2016-08-15",
            "Bookings through agents grew from 31% to 49%. AUC fell by 4 points.",
            causes[:3],
            1.12,
            -0.12,
            alarms[1:],
            kind="drift",
            headline="Bookings through agents grew from 31% to 49%",
        ),
        IncidentCard(
            "incident-5d", "2016-12-03", "2016-11-28", "Nulls in agent rose from 2% to 19%.", (), None, None, ()
        ),
    )


def _distributions() -> tuple[DistributionPair, ...]:
    cells = ("0 to 3", "3 to 7", "7 to 14", "14 to 30", "30 to 60", "60 to 90", "90 to 120")
    lead = DistributionPair(
        "lead_time",
        "baseline",
        "2016-01",
        cells,
        (0.22, 0.14, 0.13, 0.17, 0.16, 0.1, 0.08),
        (0.09, 0.08, 0.11, 0.18, 0.24, 0.17, 0.13),
    )
    kinds = ("Online TA", "Offline TA/TO", "Groups", "Direct", "Corporate", "Complementary")
    segment = DistributionPair(
        "market_segment",
        "baseline",
        "2016-01",
        kinds,
        (0.41, 0.19, 0.16, 0.14, 0.08, 0.02),
        (0.58, 0.12, 0.12, 0.1, 0.065, 0.015),
    )
    agents = tuple(f"agent {index}" for index in range(40))
    agent = DistributionPair("agent", "baseline", "2016-01", agents, (0.025,) * 40, (0.22, *([0.02] * 39)))
    return lead, segment, agent


def _decisions() -> tuple[DecisionRow, ...]:
    rows = []
    for index in range(len(NEVER)):
        acts = index in RETRAINED
        gain = 5230.0 if acts else 240.0 + 31 * index
        reason = (
            "Waiting one more month would cost 2,310 EUR; a stop costs 1,500 and is expected to earn 5,230."
            if acts
            else "The expected gain is below the cost of a stop."
        )
        rows.append(DecisionRow(f"{month_name(index)}-01", "retrain" if acts else "wait", reason, gain, 1500.0))
    return tuple(rows)


def _ledger(net: list[dict[str, float]]) -> tuple[LedgerRow, ...]:
    rows = []
    for index, value in enumerate(net):
        cost = Decimal(RETRAINED.get(index, 0))
        share = 1.0 if index < 16 else 0.93 - 0.2 * (index - 16)
        realised = Decimal(str(round(value["pitstop"] * share, 2)))
        estimated = Decimal(str(round(value["pitstop"] * (1 - share), 2)))
        fits = Decimal("12.40")
        rows.append(
            LedgerRow(month_name(index), realised, estimated, cost, fits, realised + estimated - cost - fits, share)
        )
    return tuple(rows)


@pytest.fixture(scope="session")
def hotel_story() -> ReplayStory:
    return make_hotel_story()
