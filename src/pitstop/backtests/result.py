"""The result of a backtest: one value that becomes JSON, a table in the terminal, and a page with pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pitstop.backtests.bills import (
    Bill,
    Setting,
    best_cadence,
    bill_of,
    calendar_releases,
    calendars,
    hindsight_of,
    stops_paying,
)
from pitstop.backtests.candidates import Candidates
from pitstop.backtests.past import Past
from pitstop.backtests.recommending import Recommendation, recommend
from pitstop.backtests.views import View
from pitstop.report.backtest_page import backtest_page
from pitstop.report.backtest_story import (
    AgeGap,
    BacktestStory,
    CadenceRow,
    CountPoint,
    PolicyRow,
    RecipeRow,
    StalenessLine,
)
from pitstop.strategy.base import Policy
from pitstop.strategy.matrix import gaps
from pitstop.strategy.oracle import frontier, schedule_cost
from pitstop.strategy.resampling import Saving, interval, resampled, savings
from pitstop.strategy.staleness import fit_curve


@dataclass(frozen=True, eq=False)
class Judged:
    """What a result is concluded from; `own` is the recipe of the incumbent."""

    past: Past
    candidates: Candidates
    views: tuple[View, ...]
    setting: Setting
    incumbent: Policy
    own: str
    fit_every: int


@dataclass(frozen=True)
class BacktestResult:
    """What each policy would have cost on a history.

    `document` is the JSON object of `pitstop backtest --json`; `story` is what the page and the terminal show.
    """

    document: Mapping[str, Any]
    story: BacktestStory

    def page(self) -> str:
        """Return the self-contained HTML page."""
        return backtest_page(self.story)


def conclude(judged: Judged, policies: tuple[Policy, ...]) -> BacktestResult:
    """Walk every policy through every view and put together what that cost."""
    setting, inputs = judged.setting, judged.past.mean_inputs()
    own = next(view for view in judged.views if view.name == judged.own)
    named = {policy.name: policy for policy in (judged.incumbent, *policies)}
    bills = {
        (view.name, name): bill_of(view, policy, setting, inputs)
        for view in judged.views
        for name, policy in named.items()
    }
    order = list(bills.values())
    place = list(bills).index((own.name, judged.incumbent.name))
    windows = np.array([bill.windows for bill in order])
    fixed = np.array([bill.fixed for bill in order])
    seed = judged.past.spec.trainer.seed
    # One model serves a period, lucky or not.
    least = -(-windows.shape[1] // max(1, judged.past.periods - setting.first))
    saved = dict(zip(bills, savings(windows, fixed, place, seed, least=least), strict=True))
    totals = resampled(windows, seed, least=least) + fixed
    ranges = {key: interval(totals[:, index]) for index, key in enumerate(bills)}
    hindsight = {view.name: hindsight_of(view, setting) for view in judged.views}
    cadence = {view.name: best_cadence(view, setting) for view in judged.views}
    advice = recommend(order, [saved[key] for key in bills], place)
    rows = [
        _row(judged, bills[key], saved[key], ranges[key], hindsight[own.name], cadence[own.name][1]) for key in bills
    ]
    mine = sorted((row for row in rows if row["recipe"] == own.name), key=lambda row: (row["cost"], row["policy"]))
    document = {
        "model": judged.past.spec.model.name,
        "currency": judged.past.spec.value.currency,
        "periods": [judged.past.name(period) for period in range(setting.first, judged.past.periods)],
        "history_periods": setting.first,
        "release_price": setting.costs.release,
        "release_lag": setting.lag,
        "fits": {
            "made": judged.candidates.fitted,
            "kept": judged.candidates.kept,
            "failed": list(judged.candidates.failures),
        },
        "incumbent": {"policy": judged.incumbent.name, "recipe": own.name},
        "recommendation": advice.to_json(),
        "hindsight": {name: _hindsight(judged, bill) for name, bill in hindsight.items()},
        "best_cadence": {name: {"policy": best, "cost": cost} for name, (best, cost) in cadence.items()},
        "policies": mine,
        "other_recipes": [row for row in rows if row["recipe"] != own.name],
        "cadences": _cadences(own, setting),
        "thinning": {
            view.name: {
                "mean_error": view.error.mean,
                "root_mean_square_error": view.error.root_mean_square,
                "cells": view.error.cells,
            }
            for view in judged.views
            if view.error is not None
        },
        "loss_matrix": {view.name: _cells(view) for view in judged.views},
        "chosen_recipes": {view.name: list(view.recipe) for view in judged.views},
        "candidates": {
            recipe: {judged.past.name(period): dict(note) for period, note in sorted(notes.items()) if note}
            for recipe, notes in judged.candidates.notes.items()
            if any(notes.values())
        },
    }
    return BacktestResult(document, _story(judged, document, own, bills, hindsight, advice))


def _row(
    judged: Judged, bill: Bill, saving: Saving, span: tuple[float, float], best: Bill, cadence: float
) -> dict[str, Any]:
    past, first = judged.past, judged.setting.first
    worst = int(np.argmax(bill.by_period))
    return {
        "policy": bill.policy,
        "recipe": bill.view,
        "cost": bill.cost,
        "cost_interval": list(span),
        "loss": bill.loss,
        "release_cost": bill.release_cost,
        "fit_cost": bill.fit_cost,
        "retrains": len(bill.releases),
        "releases": [past.name(period) for period in bill.releases],
        "worst_period": {"period": past.name(first + worst), "cost": float(bill.by_period[worst])},
        "excess_over_hindsight": bill.cost / best.cost - 1.0 if best.cost > 0 else None,
        "regret_to_best_cadence": bill.cost - cadence,
        "saving": saving.mean,
        "saving_interval": [saving.low, saving.high],
        "sure_saving": saving.sure,
    }


def _hindsight(judged: Judged, bill: Bill) -> dict[str, Any]:
    return {
        "cost": bill.cost,
        "retrains": len(bill.releases),
        "releases": [judged.past.name(period) for period in bill.releases],
    }


def _cells(view: View) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in view.charged]


def _cadences(view: View, setting: Setting) -> list[dict[str, Any]]:
    """Return each fixed cadence: its line in the price of a release, where it wins, and from where never is cheaper."""
    lines = []
    periods = view.seen.periods - setting.first
    for policy in calendars(periods - 1):
        schedule = schedule_cost(
            view.charged, calendar_releases(policy, view, setting), 0.0, setting.first, setting.lag
        )
        lines.append((policy.name, schedule.loss, len(schedule.releases)))
    wins = stops_paying(lines)
    never = lines[0][1]
    found = []
    for name, loss, releases in lines:
        span = wins[name]
        found.append(
            {
                "policy": name,
                "loss": loss,
                "retrains": releases,
                "stops_paying_at": max(0.0, (never - loss) / releases) if releases else None,
                "cheapest_from": None if span is None else span[0],
                "cheapest_to": None if span is None or span[1] == float("inf") else span[1],
                "ever_cheapest": span is not None,
            }
        )
    return found


def _story(
    judged: Judged,
    document: Mapping[str, Any],
    own: View,
    bills: Mapping[tuple[str, str], Bill],
    hindsight: Mapping[str, Bill],
    advice: Recommendation,
) -> BacktestStory:
    setting, past = judged.setting, judged.past
    price = setting.costs.release
    most = past.periods - setting.first - 1
    front = frontier(own.charged, most, setting.first, setting.lag)
    return BacktestStory(
        model=past.spec.model.name,
        currency=past.spec.value.currency,
        span=(past.name(setting.first), past.name(past.periods - 1)),
        periods=past.periods - setting.first,
        history=setting.first,
        price=price,
        lag=setting.lag,
        incumbent=judged.incumbent.name,
        own_recipe=own.name,
        headline=advice.headline,
        reason=advice.reason,
        policies=tuple(
            PolicyRow(
                policy=row["policy"],
                cost=row["cost"],
                low=row["cost_interval"][0],
                high=row["cost_interval"][1],
                retrains=row["retrains"],
                excess=row["excess_over_hindsight"],
                regret=row["regret_to_best_cadence"],
                saving=row["saving"],
                saving_low=row["saving_interval"][0],
                saving_high=row["saving_interval"][1],
                worst=row["worst_period"]["period"],
                worst_cost=row["worst_period"]["cost"],
            )
            for row in document["policies"]
        ),
        recipes=tuple(_recipe(view, bills, hindsight, document, judged) for view in judged.views),
        cadences=tuple(
            CadenceRow(
                row["policy"],
                row["retrains"],
                row["loss"],
                row["stops_paying_at"],
                (row["cheapest_from"], row["cheapest_to"]) if row["ever_cheapest"] else None,
            )
            for row in document["cadences"]
        ),
        hindsight_cost=hindsight[own.name].cost,
        hindsight_retrains=len(hindsight[own.name].releases),
        frontier=tuple(
            CountPoint("hindsight", count, float(loss) + price * count)
            for count, loss in enumerate(front)
            if np.isfinite(loss)
        ),
        staleness=tuple(_staleness(view) for view in judged.views[: len(judged.candidates.by_recipe)]),
        notes=_notes(judged, own),
    )


def _recipe(
    view: View,
    bills: Mapping[tuple[str, str], Bill],
    hindsight: Mapping[str, Bill],
    document: Mapping[str, Any],
    judged: Judged,
) -> RecipeRow:
    own = [bill for (name, _), bill in bills.items() if name == view.name]
    best = min(own, key=lambda bill: (bill.cost, bill.policy))
    cadence = document["best_cadence"][view.name]
    return RecipeRow(
        view.name,
        view.seen.fresh_loss(),
        bills[view.name, judged.incumbent.name].cost,
        best.policy,
        best.cost,
        cadence["policy"],
        cadence["cost"],
        hindsight[view.name].cost,
    )


def _staleness(view: View) -> StalenessLine:
    found: dict[int, list[float]] = {}
    for gap in gaps(view.seen):
        if gap.fresh_age == 0:
            found.setdefault(gap.age, []).append(gap.excess)
    curve = fit_curve(view.seen)
    return StalenessLine(
        view.name,
        tuple(AgeGap(age, float(np.mean(values)), curve.at(age)) for age, values in sorted(found.items())),
    )


def _notes(judged: Judged, own: View) -> tuple[str, ...]:
    candidates, left_out = judged.candidates, judged.past.left_out
    notes = [
        f"Candidates: {candidates.fitted} fitted now, {candidates.kept} kept from before.",
        *(f"No candidate: {failure}" for failure in candidates.failures),
    ]
    notes += [_told(recipe, tuple(found.values())) for recipe, found in candidates.notes.items() if any(found.values())]
    if own.error is not None:
        notes.append(
            f"Candidates were fitted every {judged.fit_every} periods; the losses between are interpolated by age. On "
            f"gaps twice as long the mean error of a cell is {own.error.mean:.1%} of a fresh model's loss."
        )
    if judged.setting.costs.release == 0:
        notes.append("A release costs nothing in [costs], so the more releases the better; name its price.")
    out = [f"{len(left_out.spans)} spans of time"] if left_out.spans else []
    out += [f"{len(left_out.ids)} rows"] if left_out.ids else []
    out += [f"the features {', '.join(left_out.features)}"] if left_out.features else []
    if out:
        notes.append(f"Left out of training: {'; '.join(out)}.")
    return tuple(notes)


def _told(recipe: str, notes: tuple[Mapping[str, Any], ...]) -> str:
    """Return what the options of a recipe came to, in one sentence."""
    parts = []
    labels = [note["labels"] for note in notes if "labels" in note]
    if labels:
        out, rows = sum(sum(item["left_out"].values()) for item in labels), sum(item["rows"] for item in labels)
        parts.append(
            f"{out:,} of {rows:,} labels looked wrong and were left out of {len(labels)} fits (at most "
            f"{labels[0]['most']}% of each class)"
        )
    started = sum("start" in note for note in notes)
    if started:
        parts.append(f"{started} of {len(notes)} fits started from the model before")
    return f"Recipe {recipe}: {'; '.join(parts)}."
