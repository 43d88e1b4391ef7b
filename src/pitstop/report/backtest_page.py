"""The result of a backtest as one HTML page: the advice, the pictures, the tables behind them."""

from __future__ import annotations

from pitstop.report import formats
from pitstop.report.backtest_story import BacktestStory, CadenceRow, CountPoint, StalenessLine
from pitstop.report.charts import NARROW, WIDE
from pitstop.report.document import Section, document, figure, line_legend
from pitstop.report.lines import Line, LineChart, line_chart
from pitstop.report.markup import Markup, element
from pitstop.report.tables import Column, table

# Beyond this many times the cheapest, a point would squeeze all others into one line.
_TALL = 2.0


def backtest_page(story: BacktestStory) -> str:
    """Return the page: self-contained, no script, every text escaped."""
    eyebrow = element(
        "p",
        {"class": "eyebrow"},
        element("b", None, "Pitstop"),
        f" · backtest · {story.model} · {story.span[0]} to {story.span[1]}",
    )
    lede = element("p", {"class": "lede"}, story.reason, " ", about(story))
    head = [eyebrow, element("h1", None, story.headline), lede]
    sections = [
        Section(
            "policies", "What each policy would have cost", (count_figure(story), _policies(story), _savings(story))
        ),
        Section("recipes", "On which history to train", (_recipes(story),)),
        Section("prices", "From which price on a cadence stops paying", (_cadences(story),)),
        Section("staleness", "What age costs", tuple(_staleness(line, story) for line in story.staleness if line.gaps)),
        Section("notes", "Notes", tuple(element("p", None, note) for note in (*story.notes, *READING))),
    ]
    return document(f"{story.model} · Pitstop backtest", head, sections, "")


READING = (
    "Intervals (90%) come from resampling windows for all policies at once, with schedules held fixed.",
    "Hindsight is the cheapest schedule that knows all losses beforehand. No policy can reach it; it is a yardstick.",
)


def about(story: BacktestStory) -> str:
    """Return in words what was judged."""
    lag = f", serving {formats.plural(story.lag, 'period')} after its decision" if story.lag else ""
    return (
        f"Judged are {formats.plural(story.periods, 'period')} after {story.history} of history, at "
        f"{formats.money(story.price)} {story.currency} a release{lag}."
    )


def count_figure(story: BacktestStory) -> Markup:
    """Return the picture of cost against the number of retrains: hindsight, fixed cadences, and policies as points."""
    cadences = sorted({(row.retrains, row.loss + story.price * row.retrains) for row in story.cadences})
    least = min([point.cost for point in story.frontier], default=0.0)
    top = least * _TALL if least > 0 else float("inf")
    fixed = {row.policy for row in story.cadences}
    policies = [CountPoint(row.policy, row.retrains, row.cost) for row in story.policies if row.policy not in fixed]
    shown = [point for point in policies if point.cost <= top]
    lines = [
        Line(
            "hindsight",
            "oracle",
            tuple((float(point.retrains), point.cost) for point in story.frontier if point.cost <= top),
        ),
        Line("fixed cadences", "monthly", tuple((float(x), cost) for x, cost in cadences if cost <= top)),
    ]
    best = min(shown, key=lambda point: point.cost, default=None)
    lines += [
        Line("other policies", "data", ((float(point.retrains), point.cost),)) for point in shown if point is not best
    ]
    if best is not None:
        lines.append(Line(best.name, "pitstop", ((float(best.retrains), best.cost),)))
    most = max([int(x) for line in lines for x, _ in line.points], default=0)
    step = max(1, -(-most // 8))
    chart = LineChart(
        title="Cost against the number of retrains",
        description=f"Least cost in hindsight {formats.money(story.hindsight_cost)} with "
        f"{formats.plural(story.hindsight_retrains, 'retrain')}.",
        unit=f"cost, {story.currency}; across: number of retrains",
        lines=tuple(lines),
        labels=tuple((float(x), str(x)) for x in range(0, most + 1, step)),
    )
    named = [("oracle", "hindsight"), ("monthly", "fixed cadences"), ("data", "other policies")]
    named += [("pitstop", best.name)] if best is not None else []
    hidden = len(policies) - len(shown)
    note = (
        f"{formats.count(hidden)} polic{'y' if hidden == 1 else 'ies'} beyond twice the least cost left out; "
        if hidden
        else ""
    )
    drawings = [line_chart(_named_once(chart), frame) for frame in (WIDE, NARROW)]
    caption = f"Cost against the number of retrains ({note}losses, releases and fits)"
    return figure(caption, line_legend(named, backup=False), drawings)


def _named_once(chart: LineChart) -> LineChart:
    """Return the chart without names at the ends of lines: points beside each other would cover them."""
    lines = tuple(Line("", line.policy, line.points) for line in chart.lines)
    return LineChart(chart.title, chart.description, chart.unit, lines, chart.labels)


def _policies(story: BacktestStory) -> Markup:
    columns = [
        Column("policy", numeric=False),
        Column("cost"),
        Column("90% interval"),
        Column("retrains"),
        Column("over hindsight"),
        Column("over best cadence"),
    ]
    rows = [
        (
            row.policy,
            formats.money(row.cost),
            f"{formats.money(row.low)} to {formats.money(row.high)}",
            formats.count(row.retrains),
            formats.percent(row.excess),
            formats.money(row.regret),
        )
        for row in story.policies
    ]
    caption = f"Losses, releases and fits on recipe {story.own_recipe}, in {story.currency}; from cheapest to dearest."
    return table(caption, columns, rows)


def _savings(story: BacktestStory) -> Markup:
    columns = [
        Column("policy", numeric=False),
        Column("saves"),
        Column("90% interval"),
        Column("worst period", numeric=False),
        Column("its cost"),
    ]
    rows = [
        (
            row.policy,
            formats.money(row.saving),
            f"{formats.money(row.saving_low)} to {formats.money(row.saving_high)}",
            row.worst,
            formats.money(row.worst_cost),
        )
        for row in story.policies
    ]
    return table(f"Against {story.incumbent}, in {story.currency}, and the dearest period of each.", columns, rows)


def _recipes(story: BacktestStory) -> Markup:
    columns = [
        Column("recipe", numeric=False),
        Column("a fresh model loses a period"),
        Column(story.incumbent),
        Column("cheapest policy", numeric=False),
        Column("its cost"),
        Column("best cadence", numeric=False),
        Column("its cost"),
        Column("hindsight"),
    ]
    rows = [
        (
            row.recipe,
            formats.money(row.fresh_loss),
            formats.money(row.incumbent_cost),
            row.best_policy,
            formats.money(row.best_cost),
            row.cadence,
            formats.money(row.cadence_cost),
            formats.money(row.hindsight_cost),
        )
        for row in story.recipes
    ]
    caption = "cheapest_plan, lowest_fresh and tournament choose each candidate's recipe by what earlier ones lost."
    return table(caption, columns, rows)


def _cadences(story: BacktestStory) -> Markup:
    columns = [
        Column("cadence", numeric=False),
        Column("retrains"),
        Column("loss"),
        Column("stops paying at"),
        Column("cheapest cadence at", numeric=False),
    ]
    rows = [
        (
            row.policy,
            formats.count(row.retrains),
            formats.money(row.loss),
            formats.money(row.stops_paying),
            price_range(row),
        )
        for row in story.cadences
    ]
    caption = (
        f"Prices of a release in {story.currency}. Above the price at which a cadence stops paying, never is cheaper."
    )
    return table(caption, columns, rows)


def price_range(row: CadenceRow) -> str:
    """Return the range of prices in which a cadence is the cheapest one."""
    if row.cheapest is None:
        return "no price"
    low, high = row.cheapest
    if high is None:
        return f"{formats.money(low)} and more"
    return f"{formats.money(low)} to {formats.money(high)}"


def _staleness(line: StalenessLine, story: BacktestStory) -> Markup:
    measured = Line("measured", "realised", tuple((float(gap.age), gap.measured) for gap in line.gaps))
    curve = Line("curve", "estimated", tuple((float(gap.age), gap.curve) for gap in line.gaps))
    oldest = line.gaps[-1].age
    step = max(1, -(-oldest // 8))
    chart = LineChart(
        title=f"Staleness, recipe {line.recipe}",
        description=f"What a model of age 1 to {oldest} lost more than a fresh one on the same rows.",
        unit=f"{story.currency} a period more than a fresh model; across: age in periods",
        lines=(curve, measured),
        labels=tuple((float(age), str(age)) for age in range(step, oldest + 1, step)),
        zero=True,
    )
    names = line_legend([(item.policy, item.name) for item in chart.lines], backup=True)
    columns = [Column("age"), Column("measured"), Column("curve")]
    rows = [(str(gap.age), formats.money(gap.measured), formats.money(gap.curve)) for gap in line.gaps]
    drawings = [line_chart(chart, frame) for frame in (WIDE, NARROW)]
    return figure(f"Recipe {line.recipe}", names, drawings, table(chart.title, columns, rows))
