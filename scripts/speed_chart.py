"""Draw docs/assets/speed.svg from benchmarks/results/speed.json: times as bars on a logarithmic scale."""

from __future__ import annotations

import json
import math
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "speed.json"
CHART = ROOT / "docs" / "assets" / "speed.svg"
# What is drawn, per million rows, with the words of the chart.
SHOWN = {
    "hand-written C, counts by day alone": "a hand-written C pass, counts only",
    "ours: drift by day": "Pitstop: drift by day",
    "ours: drift by day, plain strings": "Pitstop: drift by day, plain strings",
    "ours: estimated performance by day": "Pitstop: estimated performance by day",
    "NannyML: KS by day, dictionary strings": "NannyML: drift by day",
    "NannyML: CBPE by day": "NannyML: estimated performance by day",
    "popmon: stability by day": "popmon: stability by day",
    "whylogs: profile, whole": "whylogs: profile of the whole",
    "frouros: KS and chi-squared by day": "frouros: drift by day",
    "Evidently: drift, whole": "Evidently: drift of the whole",
}
WIDTH, LABELS, LINE = 760, 300, 26


def chart(rows: list[dict[str, Any]]) -> str:
    """Return the chart of the rows that were measured."""
    found = {row["what"]: row["ms"] / row["rows"] * 1e3 for row in rows if "ms" in row and "rows" in row}
    shown = [(text, found[what]) for what, text in SHOWN.items() if what in found]
    low = math.floor(math.log10(min(value for _, value in shown)))
    high = math.ceil(math.log10(max(value for _, value in shown)))
    scale = (WIDTH - LABELS - 90) / (high - low)
    height = LINE * len(shown) + 30
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            'font-family="sans-serif" font-size="13">'
        ),
        "<title>Seconds for a million rows of 30 columns, logarithmic</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for place, (text, seconds) in enumerate(shown):
        top = LINE * place + 8
        length = max(2.0, scale * (math.log10(seconds) - low))
        colour = "#1f6f78" if text.startswith("Pitstop") else "#9aa5ab"
        lines += [
            f'<text x="{LABELS - 8}" y="{top + 14}" text-anchor="end" fill="#222222">{escape(text)}</text>',
            f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="18" fill="{colour}"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{top + 14}" fill="#222222">{seconds:.3g} s</text>',
        ]
    caption = "seconds for a million rows of 30 columns; each step to the right is a factor"
    lines += [f'<text x="{LABELS}" y="{height - 6}" fill="#555555">{caption}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the chart."""
    CHART.write_text(chart(json.loads(RESULT.read_text(encoding="utf-8"))["rows"]), encoding="utf-8")


if __name__ == "__main__":
    main()
