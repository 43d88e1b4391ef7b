"""The figures of a replay: which numbers of the story stand in which picture, and the table behind each of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from pitstop.report import formats
from pitstop.report.bars import Panel, RankedRow, bar_panels, paired_bars, ranked_bars, split_bar
from pitstop.report.charts import NARROW, WIDE, Frame
from pitstop.report.document import figure, line_legend, swatch_legend
from pitstop.report.lines import Line, LineChart, line_chart
from pitstop.report.markup import Markup, joined
from pitstop.report.story import DistributionPair, IncidentCard, Number, ReplayStory, known
from pitstop.report.tables import Column, table


def band_chart(story: ReplayStory) -> LineChart:
    """Return performance over time, estimated with its interval and realised, with release marks."""
    bands = story.bands
    lines = [Line("realised", "realised", tuple((float(item.order), item.realised) for item in bands))]
    if any(item.estimated is not None for item in bands):
        estimates = tuple((float(item.order), None if item.withdrawn else item.estimated) for item in bands)
        lines.append(Line("estimated", "estimated", estimates))
    interval = tuple(
        (float(item.order), None if item.withdrawn else item.low, None if item.withdrawn else item.high)
        for item in bands
    )
    return LineChart(
        title=f"{story.metric_name} of the model in production",
        description=_band_description(story),
        unit=_unit(story),
        lines=tuple(lines),
        labels=tuple((float(item.order), item.name) for item in bands),
        band=interval,
        withheld=tuple(_withheld(story)),
        marks=tuple(float(release.order) for release in story.releases),
    )


def metric_chart(story: ReplayStory) -> LineChart:
    """Return the metric per period of every policy."""
    series = {policy: [row.metric.get(policy) for row in story.periods] for policy in story.policies}
    return _policy_chart(story, f"{story.metric_name} per {story.period_unit}, by policy", _unit(story), series)


def cumulated_chart(story: ReplayStory) -> LineChart:
    """Return the value of every policy, added up from the first period, after costs where the periods have them."""
    charged = any(known(cost) is not None for row in story.periods for cost in row.cost.values())
    series = {
        policy: cumulated([_after_cost(row.value.get(policy), row.cost.get(policy)) for row in story.periods])
        for policy in story.policies
    }
    title = f"Value {'after' if charged else 'before'} costs, added up since the start"
    return _policy_chart(story, title, story.currency, series, zero=True)


def value_panels(story: ReplayStory, frame: Frame) -> Markup:
    """Return the value of each period, one panel per policy."""
    panels = [
        Panel(
            formats.policy_phrase(policy, story.period_unit),
            policy,
            tuple(row.value.get(policy) for row in story.periods),
            _panel_summary(story, policy),
        )
        for policy in story.policies
    ]
    title = f"Value per {story.period_unit}, by policy"
    return bar_panels(title, f"Bars in {story.currency}, one panel per policy.", panels, _periods(story), frame)


def band_figure(story: ReplayStory) -> Markup:
    """Return the performance bands with their legend and table."""
    chart = band_chart(story)
    swatches = [("range", "interval of the estimate")] if any(low is not None for _, low, _ in chart.band) else []
    swatches += [("span", "estimate withdrawn")] if chart.withheld else []
    legend = joined([_line_names(chart), swatch_legend(swatches) if swatches else ""])
    columns = [
        Column("window", numeric=False, style="whole"),
        Column("estimated"),
        Column("low"),
        Column("high"),
        Column("realised"),
        Column("estimate withdrawn because", numeric=False, style="words"),
    ]
    rows = [
        (
            item.name,
            formats.metric(item.estimated),
            formats.metric(item.low),
            formats.metric(item.high),
            formats.metric(item.realised),
            item.withdrawn or "",
        )
        for item in story.bands
    ]
    return figure(chart.title, legend, _both(chart), table(chart.title, columns, rows))


def policy_figure(story: ReplayStory, chart: LineChart, write: Sequence[Sequence[str]]) -> Markup:
    """Return a chart with a line per policy; `write` holds, per period, the texts of its table."""
    columns = [Column(story.period_unit, numeric=False, style="whole")]
    columns += [Column(formats.policy_phrase(policy, story.period_unit)) for policy in story.policies]
    rows = [(row.period, *texts) for row, texts in zip(story.periods, write, strict=True)]
    return figure(chart.title, _line_names(chart), _both(chart), table(chart.title, columns, rows))


def metric_figure(story: ReplayStory) -> Markup:
    """Return the metric per period of every policy."""
    texts = [[formats.metric(row.metric.get(policy)) for policy in story.policies] for row in story.periods]
    return policy_figure(story, metric_chart(story), texts)


def cumulated_figure(story: ReplayStory) -> Markup:
    """Return the cumulated value of every policy."""
    chart = cumulated_chart(story)
    columns = [[formats.money(value) for _, value in line.points] for line in chart.lines]
    return policy_figure(story, chart, list(zip(*columns, strict=True)) if columns else [() for _ in story.periods])


def value_figure(story: ReplayStory) -> Markup:
    """Return the value per period in panels. Its numbers are those of the main table."""
    drawings = [value_panels(story, frame) for frame in (WIDE, NARROW)]
    return figure(f"Value per {story.period_unit}, in {story.currency}", "", drawings)


def distribution_figure(pair: DistributionPair, *, table_too: bool = True) -> Markup:
    """Return one column's distribution before and after, with the numbers of all cells behind it or without."""
    legend = swatch_legend([("", pair.before_label), ("full", pair.after_label)])
    title = f"{pair.column}: {pair.before_label} and {pair.after_label}"
    columns = [Column("cell", numeric=False), Column(pair.before_label), Column(pair.after_label)]
    rows = [
        (cell, formats.percent(before), formats.percent(after))
        for cell, before, after in zip(pair.cells, pair.before, pair.after, strict=True)
    ]
    drawing = paired_bars(title, "Share of rows in each cell, before outlined, after filled.", pair)
    return figure(pair.column, legend, [drawing], table(title, columns, rows) if table_too else "")


def cause_figure(incident: IncidentCard) -> Markup:
    """Return the ranked suspects of an incident."""
    rows = [RankedRow(cause.column, cause.share, formats.percent(cause.share)) for cause in incident.causes]
    columns = [Column("column", numeric=False), Column("share"), Column("importance"), Column("distance")]
    texts = [
        (cause.column, formats.percent(cause.share), formats.size(cause.importance), formats.size(cause.distance))
        for cause in incident.causes
    ]
    title = "Suspects, by importance times distance"
    drawing = ranked_bars(title, "Share of each column in the sum over all columns.", rows)
    return figure(title, "", [drawing], table(title, columns, texts))


def split_figure(incident: IncidentCard) -> Markup:
    """Return how much of the change came with the inputs and how much with their relation to the outcome, if known."""
    inputs, relation = known(incident.x_share), known(incident.yx_share)
    if inputs is None or relation is None:
        return Markup()
    title = "Where the change in performance comes from"
    if inputs < 0 or relation < 0:
        # One part helped: lengths of one bar cannot say that, a bar to either side can.
        rows = [
            RankedRow("inputs", inputs, formats.percent(inputs)),
            RankedRow("relation to outcome", relation, formats.percent(relation)),
        ]
        return figure(title, "", [ranked_bars(title, "A negative share softened the drop.", rows)])
    drawing = split_bar(title, "One bar in two parts.", ("inputs", inputs), ("relation to outcome", relation))
    return figure(title, "", [drawing])


def cumulated(values: Sequence[Number | None]) -> list[float | None]:
    """Return running sums, in which unknown values count 0; after the last known value there is no sum."""
    numbers = [known(value) for value in values]
    last = max((index for index, value in enumerate(numbers) if value is not None), default=-1)
    sums = itertools.accumulate(value or 0.0 for value in numbers)
    return [total if index <= last else None for index, total in enumerate(sums)]


def _after_cost(value: Number | None, cost: Number | None) -> float | None:
    worth = known(value)
    return None if worth is None else worth - (known(cost) or 0.0)


def _policy_chart(
    story: ReplayStory,
    title: str,
    unit: str,
    series: dict[str, list[Number | None]] | dict[str, list[float | None]],
    *,
    zero: bool = False,
) -> LineChart:
    index = {period: place for place, period in enumerate(_periods(story))}
    lines = tuple(
        Line(
            formats.policy_phrase(policy, story.period_unit),
            policy,
            tuple((float(x), value) for x, value in enumerate(values)),
        )
        for policy, values in series.items()
    )
    ends = [
        f"{line.name} {formats.money(value) if zero else formats.metric(value)}"
        for line in lines
        for value in [next((number for _, number in reversed(line.points) if known(number) is not None), None)]
    ]
    return LineChart(
        title=title,
        description=f"One line per policy over {formats.plural(len(story.periods), story.period_unit)}. "
        f"At the end: {formats.listed(ends)}.",
        unit=unit,
        lines=lines,
        labels=tuple((float(place), period) for period, place in index.items()),
        marks=tuple(float(index[release.period]) for release in story.releases if release.period in index),
        zero=zero,
    )


def _band_description(story: ReplayStory) -> str:
    realised = [value for item in story.bands if (value := known(item.realised)) is not None]
    inside = [item for item in story.bands if known(item.realised) is not None and known(item.low) is not None]
    held = sum(_within(item.realised, item.low, item.high) for item in inside)
    parts = [f"{len(story.bands)} windows, {formats.plural(len(story.releases), 'release')}."]
    if realised:
        parts.append(f"Realised between {formats.metric(min(realised))} and {formats.metric(max(realised))}.")
    if inside:
        parts.append(f"The realised value lay within the interval of the estimate in {held} of {len(inside)} windows.")
    return " ".join(parts)


def _within(value: Number | None, low: Number | None, high: Number | None) -> bool:
    number, least, most = known(value), known(low), known(high)
    return number is not None and least is not None and most is not None and least <= number <= most


def _withheld(story: ReplayStory) -> Iterator[tuple[float, float]]:
    orders = [item.order for item in story.bands]
    half = min((after - before for before, after in itertools.pairwise(orders) if after > before), default=1) / 2
    for withdrawn, run in itertools.groupby(story.bands, key=lambda item: bool(item.withdrawn)):
        if withdrawn:
            spans = [item.order for item in run]
            yield spans[0] - half, spans[-1] + half


def _panel_summary(story: ReplayStory, policy: str) -> str:
    total = story.totals.get(policy)
    if total is None:
        return ""
    return f"{formats.money(total.value)} in all, {formats.plural(total.retrains, 'retrain')}"


def _periods(story: ReplayStory) -> tuple[str, ...]:
    return tuple(row.period for row in story.periods)


def _unit(story: ReplayStory) -> str:
    return f"{story.metric_name} ({'higher' if story.higher_is_better else 'lower'} is better)"


def _line_names(chart: LineChart) -> Markup:
    return line_legend([(line.policy, line.name) for line in chart.lines], backup=True)


def _both(chart: LineChart) -> list[Markup]:
    return [line_chart(chart, frame) for frame in (WIDE, NARROW)]
