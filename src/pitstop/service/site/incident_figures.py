"""The charts of an incident's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pitstop.report import formats
from pitstop.report.bars import RankedRow, paired_bars, ranked_bars
from pitstop.report.charts import NARROW, WIDE
from pitstop.report.lines import Line, LineChart, line_chart
from pitstop.report.pictured import Pictured
from pitstop.report.story import DistributionPair
from pitstop.report.tables import Column

Document = Mapping[str, Any]


def trouble(document: Document, marks: Sequence[Document], name: Callable[[int], str]) -> Pictured:
    """Return the series that an incident is about, with its onset, when it was noticed, and the releases around it.

    `name` writes an instant.
    """
    chart, points = document["chart"], document["chart"]["points"]
    start, end = (points[0][0], points[-1][0]) if points else (0, 0)
    around = [mark for mark in marks if start <= mark["at"] <= end]
    rate = chart["unit"].startswith("share")
    written: Callable[[Any], str] = formats.percent if rate else formats.size
    sentence = f"{document['headline']}: began about {document['since']}, noticed {document['noticed']}."
    if document["fixed"]:
        sentence += f" {document['fixed']} was released for it."
    drawn = LineChart(
        title=chart["title"],
        description=sentence,
        unit=chart["unit"],
        lines=(Line("", "realised", tuple((float(item[0]), item[1]) for item in points)),),
        labels=tuple((float(item[0]), name(item[0])) for item in points),
        band=tuple((float(item[0]), item[2], item[3]) for item in points if item[2] is not None),
        marks=tuple(float(mark["at"]) for mark in around),
        events=(
            (float(document["since_instant"]), "1", "plain"),
            (float(document["at"]), "2", document["kind"]),
        )
        if points
        else (),
        first_mark=1 + sum(mark["at"] < start for mark in marks),
    )
    return Pictured(
        name=f"incident-{document['id']}",
        title=chart["title"],
        sentence=sentence,
        drawings=(line_chart(drawn, WIDE), line_chart(drawn, NARROW)),
        columns=(Column("from", numeric=False, style="whole"), Column("value"), Column("low"), Column("high")),
        texts=[(name(item[0]), *(written(cell) for cell in item[1:])) for item in points],
        values=[(name(item[0]), *item[1:]) for item in points],
    )


def shares(document: Document) -> Pictured | None:
    """Return the suspects of an incident: how much of the movement, weighed by importance, is whose."""
    suspects = document["suspects"]
    if not suspects:
        return None
    title = "Inputs that moved, by importance x distance"
    first = suspects[0]
    sentence = f"{first['column']} makes up {formats.percent(first['share'])} of the weighed movement."
    rows = [RankedRow(item["column"], item["share"], formats.percent(item["share"])) for item in suspects]
    heads = ("share", "importance", "distance")
    return Pictured(
        name=f"suspects-{document['id']}",
        title=title,
        sentence=sentence,
        drawings=(ranked_bars(title, sentence, rows),),
        columns=(Column("column", numeric=False), *(Column(head) for head in heads)),
        texts=[
            (
                item["column"],
                formats.percent(item["share"]),
                formats.metric(item["importance"]),
                formats.metric(item["distance"]),
            )
            for item in suspects
        ],
        values=[(item["column"], item["share"], item["importance"], item["distance"]) for item in suspects],
    )


def sides(document: Document) -> list[Pictured]:
    """Return the suspects' distributions, since the onset against the baseline, side by side."""
    found = []
    for pair in document["pairs"]:
        since = f"since {document['since']}"
        shown = DistributionPair(
            pair["column"], "baseline", since, tuple(pair["cells"]), tuple(pair["before"]), tuple(pair["after"])
        )
        moved = max(
            zip(*(pair[key] for key in ("cells", "before", "after")), strict=True),
            key=lambda item: abs(item[2] - item[1]),
        )
        sentence = (
            f"{moved[0]}: {formats.percent(moved[1])} of rows in the baseline, {formats.percent(moved[2])} {since}."
        )
        rows = list(zip(pair["cells"], pair["before"], pair["after"], strict=True))
        picture = Pictured(
            name=f"column-{pair['column']}-{document['id']}",
            title=pair["column"],
            sentence=sentence,
            drawings=(paired_bars(pair["column"], sentence, shown),),
            columns=(Column(pair["column"], numeric=False), Column("baseline"), Column(since)),
            texts=[(cell, formats.percent(old), formats.percent(new)) for cell, old, new in rows],
            values=rows,
        )
        found.append(picture)
    return found
