"""The end of a backtest in a terminal: the advice, the table of policies, recipes and prices in a few lines."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pitstop.report import formats
from pitstop.report.backtest_page import about, price_range
from pitstop.report.backtest_story import BacktestStory
from pitstop.report.markup import printable

_MOST_POLICIES = 14


def backtest_summary(story: BacktestStory) -> tuple[RenderableType, ...]:
    """Return what is printed after a backtest, top to bottom."""
    parts: list[RenderableType] = [
        Text(printable(story.headline), style="bold"),
        Text(printable(story.reason)),
        Text(printable(about(story)), style="dim"),
        Text(),
        _policies(story),
    ]
    hidden = len(story.policies) - _MOST_POLICIES
    if hidden > 0:
        parts.append(Text(f"{hidden} dearer ones are in --json and --html", style="dim"))
    parts += [Text(), _recipes(story), Text(), _prices(story)]
    return (*parts, *(Text(printable(note), style="dim") for note in story.notes))


def _policies(story: BacktestStory) -> Table:
    against = f"saves\nagainst\n{story.incumbent}"
    grid = _grid("policy", "cost", "retrains", "over\nhindsight", against, "90% interval")
    kept = [row for place, row in enumerate(story.policies) if place < _MOST_POLICIES or row.policy == story.incumbent]
    for row in kept:
        grid.add_row(
            printable(row.policy),
            formats.money(row.cost),
            formats.count(row.retrains),
            formats.percent(row.excess),
            formats.money(row.saving),
            f"{formats.money(row.saving_low)} to {formats.money(row.saving_high)}",
        )
    retrains = formats.count(story.hindsight_retrains)
    grid.add_row("hindsight", formats.money(story.hindsight_cost), retrains, formats.percent(0.0), "", "", style="dim")
    return grid


def _recipes(story: BacktestStory) -> Table:
    grid = _grid("recipe", story.incumbent, "cheapest\npolicy", "cost", "best\ncadence", "cost", "hind-\nsight", gap=1)
    for row in story.recipes:
        grid.add_row(
            printable(row.recipe),
            formats.money(row.incumbent_cost),
            printable(row.best_policy),
            formats.money(row.best_cost),
            printable(row.cadence),
            formats.money(row.cadence_cost),
            formats.money(row.hindsight_cost),
        )
    return grid


def _prices(story: BacktestStory) -> Table:
    grid = _grid("cadence", "retrains", "stops paying at", "cheapest cadence at")
    for row in story.cadences:
        grid.add_row(
            printable(row.policy), formats.count(row.retrains), formats.money(row.stops_paying), price_range(row)
        )
    return grid


def _grid(*heads: str, gap: int = 2) -> Table:
    """Return an empty table. In few columns names and intervals take a second line; nothing is cut off."""
    grid = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    for place, head in enumerate(heads):
        named = place == 0 or head.endswith(("policy", "cadence", "at"))
        whole = not named and not head.endswith("interval")
        grid.add_column(head, justify="left" if named else "right", no_wrap=whole, overflow="fold")
    return grid
