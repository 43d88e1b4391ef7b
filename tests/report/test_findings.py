"""Findings of `check`: worst first, complete, escaped, on a page and in a terminal."""

from __future__ import annotations

import io
from dataclasses import dataclass

from rich.console import Console

from pitstop.report.findings import Severity, findings_page, findings_text, verdict, worst_first
from pitstop.report.story import ReplayStory


@dataclass(frozen=True)
class Found:
    """A finding as `check` makes them."""

    column: str
    kind: str
    severity: Severity
    size: float
    sentence: str


FOUND = (
    Found("adr", "drift", "info", 0.04, "adr drifted a little."),
    Found("lead_time", "unit_change", "critical", 24.0, "lead_time is 24 times larger: days became hours."),
    Found("", "volume", "warning", 0.4, "There are 40% fewer rows."),
    Found("<script>", "new_nulls", "critical", 0.19, "Nulls in <script> rose from 2% to 21%."),
)


def printed(found: tuple[Found, ...], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(findings_text(found, 10_000, 1))
    return capture.get()


def test_findings_come_worst_first_and_keep_their_order_within() -> None:
    assert [item.column for item in worst_first(FOUND)] == ["lead_time", "<script>", "", "adr"]


def test_the_verdict_counts() -> None:
    assert verdict(FOUND) == "4 findings: 2 critical, 1 warning and 1 info."
    assert verdict(FOUND[:1]) == "1 finding: 1 info."
    assert verdict(()) == "Nothing found: the two tables differ no more than chance allows."


def test_the_page_tells_all_and_escapes(hotel_story: ReplayStory) -> None:
    notes = ("agent is text on one side: <i>not compared</i>",)
    page = findings_page(FOUND, 10_000, 1, hotel_story.distributions, "a.csv and <b>.csv", notes=notes)
    assert "&lt;i&gt;not compared" in page
    assert "<script" not in page
    assert "<b>.csv" not in page
    assert page.index("lead_time is 24 times larger") < page.index("40% fewer") < page.index("adr drifted")
    for text in ("Reference: 10,000 rows. Current: 1 row.", "&lt;script&gt;", "unit change", "market_segment", "24"):
        assert text in page


def test_a_page_without_findings_says_so() -> None:
    page = findings_page((), 5, 5)
    assert "Nothing found" in page
    assert 'id="findings"' not in page


def test_the_terminal_tells_all_within_its_width() -> None:
    for width in (60, 80, 140):
        text = printed(FOUND, width)
        assert max(len(line) for line in text.splitlines()) <= width
        assert "Reference: 10,000 rows. Current: 1 row." in text
        flat = " ".join(text.split())
        for item in FOUND:
            assert item.severity in flat
            assert item.sentence.split()[0] in flat
    assert "(table)" in printed(FOUND, 80)
    assert "Nothing found" in printed((), 80)
