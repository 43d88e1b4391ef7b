"""The result of a replay: one value that becomes JSON, a table in the terminal, and a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pitstop.diagnosis.breaks import SURE
from pitstop.incidents import Alarm, Incident, condition
from pitstop.loop.loop import Loop
from pitstop.loop.surveying import segment_document, segments_of
from pitstop.replays.distributions import most_moved, moved
from pitstop.replays.hindsight import METRICS, Hindsight
from pitstop.report.formats import plural
from pitstop.report.page import replay_frame, replay_page
from pitstop.report.story import (
    AlarmRow,
    BandPoint,
    CauseRow,
    DecisionRow,
    IncidentCard,
    LedgerRow,
    PeriodRow,
    ReleaseMark,
    ReplayStory,
    Totals,
)
from pitstop.report.wording import amount, arrow, capitalised, most_telling, phrase

# Columns pictured for the whole replay, and for one incident.
DISTRIBUTIONS = 4
PICTURED = 2
METRIC_NAMES = {"roc_auc": "AUC", "accuracy": "accuracy", "mae": "MAE"}


@dataclass(frozen=True)
class ReplayResult:
    """What Pitstop did with a model on its own past, and what other policies would have earned.

    `document` is the JSON object of `pitstop replay --json`; `story` is what the report and the terminal show.
    """

    document: Mapping[str, Any]
    story: ReplayStory

    def page(self) -> str:
        """Return the self-contained HTML report."""
        return replay_page(self.story)

    def _repr_html_(self) -> str:
        """Return the report for a notebook."""
        return replay_frame(self.story)


def conclude(loop: Loop, hindsight: Hindsight, *, started: str, note: str) -> ReplayResult:
    """Put together what the loop did and what hindsight says of it. `note` credits the data."""
    metric, higher = METRICS[loop.spec.model.task]
    calendar = loop.calendar
    names = [calendar.name_period(period) for period in hindsight.periods]
    policies = hindsight.policies
    periods = [
        {
            "period": name,
            "rows": hindsight.rows[place],
            "metric": {policy: result.metric[place] for policy, result in policies.items()},
            "value": {policy: result.value[place] for policy, result in policies.items()},
        }
        for place, name in enumerate(names)
    ]
    totals = {
        policy: {
            "retrains": result.releases,
            "cost": result.cost,
            "value": result.net,
            "mean_metric": result.mean_metric,
        }
        for policy, result in policies.items()
    }
    document = {
        "model": loop.spec.model.name,
        "metric_name": METRIC_NAMES[metric],
        "higher_is_better": higher,
        "currency": loop.spec.value.currency,
        "periods": periods,
        "totals": totals,
        "alarms": [_alarm(loop, alarm) for alarm in loop.alarms.values()],
        "incidents": [
            {
                "id": incident.id,
                "at": calendar.name_instant(incident.at),
                "since": calendar.name_window(incident.since),
                "condition": condition(incident, loop.alarms, loop.incidents, loop.window - 1),
                "cause": loop.causes[incident.id].sentence,
                "alarms": list(incident.alarms),
            }
            for incident in loop.incidents
        ],
        "decisions": [
            {
                "id": item.id,
                "at": calendar.name_instant(item.at),
                "action": item.action,
                "reason": item.reason,
                "expected_gain": item.expected_gain,
                "cost": item.cost,
                "caused_by": list(item.caused_by),
            }
            for item in loop.decisions
        ],
        "releases": [
            {
                "id": item.id,
                "at": calendar.name_instant(item.at),
                "version": item.version,
                "stage": item.stage,
                "reason": item.reason,
                "trained_on_rows": item.trained_on_rows,
                "caused_by": list(item.caused_by),
            }
            for item in loop.upkeep.timeline.releases
        ],
        "segments": _segments(loop),
        "price_range": None if hindsight.prices is None else [_finite(price) for price in hindsight.prices],
    }
    return ReplayResult(document, _story(loop, hindsight, document, started, note))


def _segments(loop: Loop) -> list[dict[str, Any]]:
    """Return where the model that serves at the end errs most."""
    if loop.baseline is None:
        return []
    found = segments_of(loop.spec, loop.log, loop.baseline, loop.window - 1)
    return [segment_document(item) for item in found]


def _finite(price: float) -> float | None:
    return price if price < float("inf") else None


def _alarm(loop: Loop, alarm: Alarm) -> dict[str, Any]:
    calendar = loop.calendar
    return {
        "id": alarm.id,
        "at": calendar.name_instant(alarm.at),
        "monitor": alarm.monitor,
        "column": alarm.column,
        "since": calendar.name_window(alarm.since),
        "size": alarm.size,
    }


def _story(loop: Loop, hindsight: Hindsight, document: Mapping[str, Any], started: str, note: str) -> ReplayStory:
    calendar = loop.calendar
    rate = loop.spec.alarms.per_month
    streams = len(loop.watch.streams) if loop.watch else 0
    period = loop.spec.time.period
    unit = period if isinstance(period, str) else "period"
    promise = (
        f"Alarm budget: at most {rate:g} false {'alarm' if rate == 1 else 'alarms'} a month for the whole model, "
        f"shared by {plural(streams, 'stream')}; this replay raised {plural(len(loop.alarms), 'alarm')} in "
        f"{plural(len(loop.incidents), 'incident')} over {plural(len(hindsight.periods), unit)}."
    )
    return ReplayStory(
        model=loop.spec.model.name,
        metric_name=document["metric_name"],
        higher_is_better=document["higher_is_better"],
        currency=loop.spec.value.currency,
        periods=tuple(
            PeriodRow(row["period"], row["rows"], row["metric"], row["value"], _costs(hindsight, place))
            for place, row in enumerate(document["periods"])
        ),
        totals={
            name: Totals(row["retrains"], row["cost"], row["value"], row["mean_metric"])
            for name, row in document["totals"].items()
        },
        bands=_bands(loop, hindsight),
        releases=_changes(loop),
        incidents=tuple(_card(loop, incident) for incident in loop.incidents),
        distributions=most_moved(loop, DISTRIBUTIONS),
        decisions=tuple(
            DecisionRow(
                calendar.name_instant(item.at),
                item.action.replace("_", " "),
                item.reason,
                item.expected_gain,
                item.cost,
            )
            for item in loop.decisions
        ),
        ledger=tuple(
            LedgerRow(
                calendar.name_period(balance.period),
                balance.realised,
                balance.estimated,
                -balance.release,
                -balance.fit,
                balance.net,
                balance.coverage,
            )
            for balance in loop.books.ledger.balances(calendar)
        ),
        price_range=_prices(hindsight),
        promise=promise,
        started_from=started,
        data_note=note,
        period_unit=unit,
    )


def _prices(hindsight: Hindsight) -> str | tuple[float, float | None] | None:
    if "pitstop" not in hindsight.policies:
        return None
    if hindsight.prices is None:
        return "With the releases it made, Pitstop beats neither rival at any price of a release."
    low, high = hindsight.prices
    return low, _finite(high)


def _costs(hindsight: Hindsight, place: int) -> dict[str, float]:
    """Return what each policy paid in one period."""
    if "pitstop" not in hindsight.policies:
        return {}
    return {name: result.costs[place] for name, result in hindsight.policies.items()}


def _bands(loop: Loop, hindsight: Hindsight) -> tuple[BandPoint, ...]:
    """Return the estimate and the realised metric of each period, of what Pitstop served."""
    metric, _ = METRICS[loop.spec.model.task]
    calendar, served = loop.calendar, hindsight.policies.get("pitstop", hindsight.policies.get("champion"))
    found = []
    for place, period in enumerate(hindsight.periods):
        estimate = loop.estimates.get(period, {}).get(metric)
        realised = served.metric[place] if served else None
        name = calendar.name_period(period)
        if estimate is None:
            found.append(BandPoint(name, period, realised=realised))
            continue
        shown = BandPoint(
            name, period, estimate.value, estimate.low, estimate.high, realised, withdrawn=estimate.withdrawn
        )
        found.append(shown)
    return tuple(found)


def _card(loop: Loop, incident: Incident) -> IncidentCard:
    calendar, cause = loop.calendar, loop.causes[incident.id]
    # A change of volume alone has no suspects: what the inputs did meanwhile is chance or another incident.
    split, explains = cause.split, any(loop.alarms[alarm].kind != "volume" for alarm in incident.alarms)
    alarms = [loop.alarms[alarm] for alarm in incident.alarms]
    unit = calendar.window if isinstance(calendar.window, str) else "window"
    first = most_telling(alarms)[0]
    broken = any(item.certainty >= SURE for item in cause.breaks) or (first.kind == "quality" and first.fast)
    return IncidentCard(
        id=incident.id,
        at=calendar.name_instant(incident.at),
        since=calendar.name_window(incident.since),
        sentence=cause.sentence,
        causes=tuple(
            CauseRow(suspect.column, suspect.importance, suspect.distance, suspect.share)
            for suspect in cause.suspects
            if explains
        ),
        x_share=split.x_share if split and explains else None,
        yx_share=split.yx_share if split and explains else None,
        alarms=tuple(
            AlarmRow(
                alarm.id,
                calendar.name_instant(alarm.at),
                alarm.monitor,
                alarm.column or "",
                calendar.name_window(alarm.since),
                alarm.size,
                arrow(alarm, unit),
                amount(alarm),
            )
            for alarm in alarms
        ),
        kind="break" if broken else first.kind,
        headline=capitalised(phrase(first, unit)),
        brief=arrow(first, unit),
        distributions=tuple(pair for _, pair in moved(loop, incident)[:PICTURED]) if explains else (),
    )


def _changes(loop: Loop) -> tuple[ReleaseMark, ...]:
    """Return every change of the champion after the first model; going back to an earlier version is one too."""
    calendar, marks = loop.calendar, []
    served: list[int] = []
    for item in loop.upkeep.timeline.releases:
        if item.stage != "champion":
            continue
        if served:
            period = calendar.period_at(item.at)
            back = f"v{served[-1]}" if item.version in served else ""
            mark = ReleaseMark(
                at=calendar.name_instant(item.at),
                version=f"v{item.version}",
                reason=item.reason,
                trained_on_rows=item.trained_on_rows,
                order=period,
                period=calendar.name_period(period),
                instead_of=back,
            )
            marks.append(mark)
        served.append(item.version)
    return tuple(marks)
