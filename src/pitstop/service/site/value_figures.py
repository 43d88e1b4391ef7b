"""The charts of the Value page, one of which stands on the Model page too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pitstop.report import formats
from pitstop.report.charts import HALF, NARROW, PAGE
from pitstop.report.document import line_legend, swatch_legend
from pitstop.report.lines import Line, LineChart, line_chart
from pitstop.report.pictured import Pictured
from pitstop.report.profit_curve import profit_curve
from pitstop.report.tables import Column
from pitstop.report.value_bars import ValueBar, value_bars
from pitstop.report.waterfall import WaterStep, waterfall

Document = Mapping[str, Any]


def value_periods(document: Document, marks: Sequence[Document], first: int, last: int) -> Pictured:
    """Return the value of each period, realised and estimated, from the document of the Value page."""
    periods = [item for item in document["periods"] if first <= item["period"] <= last]
    bars = [ValueBar(item["name"], item["realised"], item["estimated"], item["doubt"]) for item in periods]
    places = {item["period"]: place for place, item in enumerate(periods)}
    numbered = [
        (float(places[mark["period"]]), str(number))
        for number, mark in enumerate(marks, start=1)
        if mark["period"] in places
    ]
    currency = document["currency"]
    total = sum(item["realised"] + item["estimated"] for item in periods)
    best = max(periods, key=lambda item: item["realised"] + item["estimated"], default=None)
    sentence = f"Together {formats.money(total)} {currency} before costs"
    sentence += f"; the best was {best['name']}." if best else "."
    title = "Value by period"
    drawings = tuple(value_bars(title, sentence, currency, bars, numbered, frame) for frame in (PAGE, NARROW))
    heads = ("realised", "estimated", "interval, half", "releases", "fits", "running", "net", "labels known")
    keys = ("realised", "estimated", "doubt", "release", "fit", "running", "net", "coverage")
    values = [(item["name"], *(item[key] for key in keys)) for item in periods]
    return Pictured(
        name="value",
        title=title,
        sentence=sentence,
        drawings=drawings,
        legend=swatch_legend(
            [("known", "realised"), ("foreseen", "estimated, label to come"), ("reach", "95% interval")]
        ),
        columns=(Column("period", numeric=False, style="whole"), *(Column(head) for head in heads)),
        texts=[(row[0], *(formats.money(cell) for cell in row[1:8]), formats.percent(row[8])) for row in values],
        values=values,
    )


def bridge(document: Document) -> Pictured:
    """Return the waterfall from what the first model alone would have earned to what is left after all costs."""
    accounts, currency = document["accounts"], document["currency"]
    gain = document["upkeep"]["gain"]
    running = sum(amount for name, amount in accounts.items() if name in ("inference", "review", "label", "people"))
    steps = [
        WaterStep("the first model alone", accounts["realised"] - gain, whole=True),
        WaterStep("what retraining brought", gain),
        WaterStep("estimated, label to come", accounts["estimated"], estimated=True),
        WaterStep("releases", accounts["release"]),
        WaterStep("fits", accounts["fit"]),
        *([WaterStep("running costs", running)] if running else []),
        WaterStep("net", document["net"], whole=True),
    ]
    sentence = (
        f"On the labels that have come, never retraining would have earned "
        f"{formats.money(steps[0].amount)} {currency}; "
        f"retraining brought {formats.money(gain)} more for {formats.money(document['upkeep']['cost'])}."
    )
    title = "From the first model to what is left"
    return Pictured(
        name="waterfall",
        title=title,
        sentence=sentence,
        drawings=tuple(waterfall(title, sentence, steps, frame) for frame in (HALF, NARROW)),
        columns=(Column("step", numeric=False), Column(currency)),
        texts=[(step.name, formats.money(step.amount)) for step in steps],
        values=[(step.name, step.amount) for step in steps],
    )


def gained(document: Document, marks: Sequence[Document]) -> Pictured:
    """Return what retraining earned over the first model, added up, beside what it cost."""
    line, currency = document["gained"], document["currency"]
    names = [item["name"] for item in line]
    title = "What retraining earned and cost, added up"
    last = line[-1] if line else {"gain": 0.0, "cost": 0.0}
    sentence = (
        f"Against never replacing the first model: {formats.money(last['gain'])} {currency} so far on labelled rows, "
        f"for {formats.money(last['cost'])} of fits and releases."
    )
    places = {item["period"]: float(place) for place, item in enumerate(line)}
    chart = LineChart(
        title=title,
        description=sentence,
        unit=currency,
        lines=(
            Line("earned", "realised", tuple((float(place), item["gain"]) for place, item in enumerate(line))),
            Line("cost", "never", tuple((float(place), item["cost"]) for place, item in enumerate(line))),
        ),
        labels=tuple((float(place), name) for place, name in enumerate(names)),
        marks=tuple(places[mark["period"]] for mark in marks if mark["period"] in places),
        zero=True,
    )
    return Pictured(
        name="gained",
        title=title,
        sentence=sentence,
        drawings=(line_chart(chart, HALF), line_chart(chart, NARROW)),
        legend=line_legend((("realised", "earned"), ("never", "cost")), backup=True),
        columns=(Column("period", numeric=False, style="whole"), Column("earned"), Column("cost")),
        texts=[(item["name"], formats.money(item["gain"]), formats.money(item["cost"])) for item in line],
        values=[(item["name"], item["gain"], item["cost"]) for item in line],
    )


def threshold(document: Document) -> Pictured | None:
    """Return the profit curve with today's threshold and the best one; None where there is no advice."""
    advice = document["advice"]
    if advice is None:
        return None
    currency, regret = document["currency"], advice["regret"]
    title = "Profit by threshold"
    if advice["worth_changing"]:
        verdict = f"Another threshold is better by {formats.money(regret['gain'])} {currency}, beyond chance."
    else:
        verdict = "No other threshold is better beyond what chance explains."
    sentence = (
        f"Today's threshold of {formats.metric(advice['today'])} earned {formats.money(advice['today_profit'])} "
        f"{currency} on the newest labels. {verdict}"
    )
    curve = [(min(item[0], 1.0), item[1]) for item in advice["curve"]]
    today, best = (advice["today"], advice["today_profit"]), (advice["best"], advice["best_profit"])
    return Pictured(
        name="threshold",
        title=title,
        sentence=sentence,
        drawings=tuple(profit_curve(title, sentence, currency, curve, today, best, frame) for frame in (HALF, NARROW)),
        columns=(Column("threshold"), Column(currency)),
        texts=[(formats.metric(place), formats.money(amount)) for place, amount in curve],
        values=curve,
    )
