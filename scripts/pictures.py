"""Draw docs/assets/replay.svg, the README's picture, from a replay of the demo: `make pictures`.

The replay is the one that `pitstop demo` makes; a home that holds it already is only read to its end again:
`scripts/pictures.py demo-home`. Nothing in the picture is drawn by hand, and nothing of it is fixed in this file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pitstop.data import hotel_bookings_path, hotel_bookings_spec
from pitstop.records.spec import parse_spec
from pitstop.replays.replay import replay
from pitstop.report.charts import LETTERS, WIDE, picture, standalone
from pitstop.report.lines import line_chart
from pitstop.report.markup import Markup, element
from pitstop.report.replay_figures import cumulated_chart, metric_chart
from pitstop.report.story import ReplayStory

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "assets" / "replay.svg"
MARGIN = 14.0
HEADING = 3 * LETTERS


def drawing(story: ReplayStory) -> Markup:
    """Return performance by month above the value that it earned, both for every policy."""
    charts = (metric_chart(story), cumulated_chart(story))
    parts: list[Markup] = []
    top = MARGIN
    for chart in charts:
        parts.append(element("text", {"x": MARGIN, "y": top + LETTERS, "font-weight": 600}, chart.title))
        place = {"x": MARGIN, "y": top + HEADING - LETTERS, "width": WIDE.width, "height": WIDE.height}
        parts.append(element("svg", place, line_chart(chart, WIDE)))
        top += HEADING + WIDE.height
    title = f"Replay of {story.model}: performance and value by policy"
    description = " ".join(f"{chart.title}. {chart.description}" for chart in charts)
    frame = type(WIDE)("wide", WIDE.width + 2 * MARGIN, WIDE.height, labelled=True)
    return picture(title, description, frame, top, parts)


def main() -> None:
    """Replay the demo, in the named home or in one that is removed afterwards, and draw it."""
    spec = parse_spec(hotel_bookings_spec(), "the demo's specification")
    with TemporaryDirectory() as folder:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "home"
        story = replay(hotel_bookings_path(), spec, home=home).story
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(standalone(drawing(story)), encoding="utf-8")
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()
