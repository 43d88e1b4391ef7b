"""The charts of the pages: which numbers of a document stand in which picture, under which name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pitstop.report import formats
from pitstop.report.bars import RankedRow, ranked_bars
from pitstop.report.charts import HALF, NARROW, PAGE, WIDE
from pitstop.report.document import line_legend, swatch_legend
from pitstop.report.interval_rows import IntervalRow, interval_rows
from pitstop.report.lines import Line, LineChart, line_chart
from pitstop.report.markup import joined
from pitstop.report.pictured import Pictured
from pitstop.report.tables import Column

Document = Mapping[str, Any]
# With fewer of its labels a period is told as not settled.
MATURE = 0.9
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
METRIC_NAMES = {"roc_auc": "AUC", "accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
METRIC_NAMES["mae"] = "mean absolute error"


def performance(document: Document, metric: str, first: int, last: int) -> Pictured:
    """Return estimated and realised performance on one axis, over periods `first` to `last`, with every mark."""
    periods = [item for item in document["periods"] if first <= item["period"] <= last]
    name = METRIC_NAMES[metric]
    at = {item["period"]: (item["start"] + item["end"]) / 2 for item in periods}
    realised = tuple((at[item["period"]], item["realised"].get(metric)) for item in periods)
    foreseen = [(item, item["estimated"].get(metric)) for item in periods]
    stands = [(item, found) for item, found in foreseen if found and not found["withdrawn"]]
    values = {item["period"]: found for item, found in stands}
    estimated = tuple((at[item["period"]], values.get(item["period"], {}).get("value")) for item in periods)
    withheld = tuple((item["start"], item["end"]) for item, found in foreseen if found and found["withdrawn"])
    chart = LineChart(
        title=f"{capital(name)}: realised and estimated",
        description=_performance_sentence(periods, metric),
        unit=name,
        lines=(Line("realised", "realised", realised), Line("estimated", "estimated", estimated)),
        labels=tuple((at[item["period"]], item["name"]) for item in periods),
        # A withdrawn estimate is a gap: the band must not lead across it.
        band=tuple(
            (at[item["period"]], values.get(item["period"], {}).get("low"), values.get(item["period"], {}).get("high"))
            for item in periods
        ),
        withheld=_joined(withheld),
        marks=tuple(float(mark["at"]) for mark in document["marks"] if first <= mark["period"] <= last),
        events=flags(document, periods),
        first_mark=1 + sum(mark["period"] < first for mark in document["marks"]),
    )
    rows = [
        (
            item["name"],
            item["rows"],
            item["labelled"],
            item["realised"].get(metric),
            *((found["value"], found["low"], found["high"]) if found else (None, None, None)),
            (found or {}).get("withdrawn") or "",
        )
        for item, found in foreseen
    ]
    heads = ("rows", "labelled", "realised", "estimated", "low", "high")
    return Pictured(
        name=f"performance-{metric}",
        title=chart.title,
        sentence=chart.description,
        drawings=(line_chart(chart, PAGE), line_chart(chart, NARROW)),
        legend=joined(
            [
                line_legend((("realised", "realised"), ("estimated", "estimated")), backup=True),
                swatch_legend(
                    [
                        ("range", "95% interval of the estimate"),
                        *([("span", "estimate withdrawn")] if withheld else []),
                    ]
                ),
            ]
        ),
        columns=(
            Column("period", numeric=False, style="whole"),
            *(Column(head) for head in heads),
            Column("estimate withdrawn because", numeric=False, style="words"),
        ),
        texts=[
            (row[0], formats.count(row[1]), formats.count(row[2]), *(formats.metric(cell) for cell in row[3:7]), row[7])
            for row in rows
        ],
        values=rows,
    )


def flags(document: Document, periods: Sequence[Document]) -> tuple[tuple[float, str, str], ...]:
    """Return the incidents within some periods as flags: place, letter, kind."""
    if not periods:
        return ()
    start, end = periods[0]["start"], periods[-1]["end"]
    return tuple(
        (float(item["at"]), letter(place), item["kind"])
        for place, item in enumerate(document["incidents"])
        if start <= item["at"] < end
    )


def letter(place: int) -> str:
    """Return the letter of the incident at a place: A to Z, then AA and so on."""
    head, tail = divmod(place, len(LETTERS))
    return (LETTERS[head - 1] if head else "") + LETTERS[tail]


def weighing(document: Document, marks: Sequence[Document]) -> Pictured:
    """Return what waiting and stopping were expected to cost at each decision, and the releases of `marks`."""
    found = [item for item in reversed(document["decisions"]) if item["wait"] is not None and item["stop"] is not None]
    currency = document["currency"]
    title = "What waiting costs against what a stop costs"
    sentence = "Expected cost at each decision over what the plan looks ahead; where waiting costs more, a stop pays."
    if found:
        newest = found[-1]
        less = "a stop pays" if newest["stop"] < newest["wait"] else "waiting is cheaper"
        sentence = (
            f"At the last decision, {newest['when']}, waiting was expected to cost {formats.money(newest['wait'])} "
            f"{currency} and stopping {formats.money(newest['stop'])}: {less}."
        )
    chart = LineChart(
        title=title,
        description=sentence,
        unit=f"{currency}, expected",
        lines=(
            Line("wait", "never", tuple((float(item["at"]), item["wait"]) for item in found)),
            Line("stop", "realised", tuple((float(item["at"]), item["stop"]) for item in found)),
        ),
        labels=tuple((float(item["at"]), item["when"]) for item in found),
        marks=tuple(float(mark["at"]) for mark in marks),
    )
    return Pictured(
        name="weighing",
        title=title,
        sentence=sentence,
        drawings=(line_chart(chart, WIDE), line_chart(chart, NARROW)),
        legend=line_legend((("never", "wait"), ("realised", "stop and retrain")), backup=True),
        columns=(
            Column("decided", numeric=False, style="whole"),
            Column("action", numeric=False),
            Column("waiting"),
            Column("stopping"),
        ),
        texts=[
            (item["when"], item["action"], formats.money(item["wait"]), formats.money(item["stop"])) for item in found
        ],
        values=[(item["when"], item["action"], item["wait"], item["stop"]) for item in found],
    )


def policies(document: Document) -> Pictured | None:
    """Return what policies would have cost on this model's own history; None before two periods are known."""
    found, currency = document.get("policies", []), document["currency"]
    if not found:
        return None
    title = "What other policies would have cost on this history"
    least = min(found, key=lambda item: item["cost"])
    own = next((item for item in found if item["own"]), least)
    sentence = (
        f"What was done cost {formats.money(own['cost'])} {currency} in losses and releases; "
        f"in hindsight the best schedule would have cost {formats.money(least['cost'])}."
    )
    colours = {"never": "never", "every period": "monthly", "hindsight optimum": "oracle"}
    rows = [
        RankedRow(
            item["name"],
            item["cost"],
            f"{formats.money(item['cost'])}, {formats.plural(item['releases'], 'release')}",
            "realised" if item["own"] else colours.get(item["name"], "data"),
        )
        for item in found
    ]
    return Pictured(
        name="policies",
        title=title,
        sentence=sentence,
        drawings=(ranked_bars(title, sentence, rows),),
        columns=(Column("policy", numeric=False), Column(f"cost, {currency}"), Column("releases")),
        texts=[(item["name"], formats.money(item["cost"]), str(item["releases"])) for item in found],
        values=[(item["name"], item["cost"], item["releases"]) for item in found],
    )


SEGMENT_SIGNS = {"worse": "never", "no worse": "realised", "undecided": "estimated"}


def compared_segments(document: Document) -> Pictured | None:
    """Return how the challenger compares in each segment: of the running test, else of the newest comparison.

    None where no segment was ever compared.
    """
    running = [(item["version"], "", item["segments"]) for item in document["tests"] if item.get("segments")]
    over = [(item["challenger"], item["when"], item.get("segments")) for item in document["comparisons"]]
    found = next((item for item in (*running, *over) if item[2] and item[2]["standings"]), None)
    if found is None:
        return None
    version, when, segments = found
    currency, rows = document["currency"], segments["standings"]
    named = version if version[1:].isdigit() else capital(version)
    title = f"{named} against the champion, by segment" + (f": {when[:10]}" if when else "")
    signs = [
        IntervalRow(
            f"{item['column']}: {item['value']}",
            item["gain"],
            item["low"],
            item["high"],
            f"{item['verdict']}, {formats.count(item['rows'])} rows",
            SEGMENT_SIGNS[item["verdict"]],
        )
        for item in rows
    ]
    unit = f"saving a row, {currency}"
    sentence = _segments_sentence(segments, currency)
    drawings = tuple(
        interval_rows(title, sentence, signs, frame, limit=-segments["margin"], unit=unit) for frame in (WIDE, NARROW)
    )
    heads = ("labelled rows", "saving a row", "low", "high", "rows still needed")
    keys = ("rows", "gain", "low", "high", "needed")
    return Pictured(
        name="compared-segments",
        title=title,
        sentence=sentence,
        drawings=drawings,
        legend=line_legend([(sign, name) for name, sign in SEGMENT_SIGNS.items()], backup=False),
        columns=(
            Column("column", numeric=False),
            Column("value", numeric=False),
            Column("verdict", numeric=False),
            *(Column(head) for head in heads),
        ),
        texts=[
            (
                item["column"],
                item["value"],
                item["verdict"],
                formats.count(item["rows"]),
                *(formats.metric(item[key]) for key in ("gain", "low", "high")),
                formats.MISSING if item["needed"] is None else formats.count(item["needed"]),
            )
            for item in rows
        ],
        values=[(item["column"], item["value"], item["verdict"], *(item[key] for key in keys)) for item in rows],
    )


def _segments_sentence(segments: Document, currency: str) -> str:
    rows = segments["standings"]
    counts = [(sum(item["verdict"] == name for item in rows), name) for name in SEGMENT_SIGNS]
    told = formats.listed(f"{number} {name}" for number, name in counts if number)
    few = f"; {formats.plural(segments['left_out'], 'more segment')} had too few rows" if segments["left_out"] else ""
    return (
        f"Of {formats.plural(len(rows), 'segment')}: {told}. Worse is by more than "
        f"{formats.metric(segments['margin'])} {currency} a row (the dashed line); all verdicts together are "
        f"wrong with probability {formats.percent(segments['alpha'])} at most, each way{few}."
    )


def maturity(document: Document, unit: str) -> Pictured | None:
    """Return the share of labels that have come by age; None without any label."""
    points = document["maturity"]
    if not points:
        return None
    title = "How soon labels come"
    half = next((item for item in points if item["share"] >= 0.5), None)
    sentence = (
        f"Half of them have come after {half['age']:g} {unit}s."
        if half
        else "Fewer than half have come by any age yet."
    )
    chart = LineChart(
        title=title,
        description=sentence,
        unit="share of rows with a label",
        lines=(Line("", "realised", tuple((float(place), item["share"]) for place, item in enumerate(points))),),
        labels=tuple((float(place), f"{item['age']:g}") for place, item in enumerate(points)),
        zero=True,
    )
    return Pictured(
        name="maturity",
        title=title,
        sentence=sentence,
        drawings=(line_chart(chart, HALF), line_chart(chart, NARROW)),
        columns=(Column(f"age in {unit}s"), Column("share")),
        texts=[(f"{item['age']:g}", formats.percent(item["share"])) for item in points],
        values=[(item["age"], item["share"]) for item in points],
    )


def segments(document: Document) -> Pictured | None:
    """Return the worst segments by error; None where none has labels enough."""
    found = document["segments"]["segments"]
    if not found:
        return None
    overall = document["segments"]["error"]
    title = "Segments with the largest error"
    first = found[0]
    sentence = (
        f"{first['column']} = {first['value']}: {formats.percent(first['error'])} of decisions wrong, "
        f"{formats.percent(overall)} over all."
    )
    rows = [
        RankedRow(
            f"{item['value']}",
            item["error"],
            f"{formats.percent(item['error'])} ({formats.percent(item['low'])} to {formats.percent(item['high'])})",
            "never" if item["low"] > overall else "data",
        )
        for item in found
    ]
    heads = ("rows", "error", "low", "high")
    return Pictured(
        name="segments",
        title=title,
        sentence=sentence,
        drawings=(ranked_bars(title, sentence, rows),),
        columns=(Column("column", numeric=False), Column("value", numeric=False), *(Column(head) for head in heads)),
        texts=[
            (
                item["column"],
                item["value"],
                formats.count(item["rows"]),
                *(formats.percent(item[key]) for key in heads[1:]),
            )
            for item in found
        ],
        values=[(item["column"], item["value"], *(item[key] for key in heads)) for item in found],
    )


def capital(text: str) -> str:
    """Return a text that begins with a capital."""
    return text[:1].upper() + text[1:]


def _joined(spans: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return the spans with those that touch made one."""
    found: list[tuple[float, float]] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)


def _performance_sentence(periods: Sequence[Document], metric: str) -> str:
    known = [(item["name"], item["realised"][metric]) for item in periods if item["realised"].get(metric) is not None]
    share = next((item["labelled"] / item["rows"] for item in reversed(periods) if item["labelled"]), 1.0)
    early = f", where {formats.percent(share)} of the labels have come" if share < MATURE else ""
    if not known:
        return "No label has come yet for these periods."
    worst, best = (pick(known, key=lambda item: item[1]) for pick in (min, max))
    if metric == "mae":
        worst, best = best, worst
    name = METRIC_NAMES[metric]
    return (
        f"Realised {name} was lowest in {worst[0]} ({formats.metric(worst[1])}), "
        f"highest in {best[0]} ({formats.metric(best[1])}), "
        f"and {formats.metric(known[-1][1])} in {known[-1][0]}{early}."
    )
