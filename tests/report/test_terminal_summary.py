"""The summary in a terminal: it fits, it has the numbers, colour adds nothing, data cannot command the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pitstop.report import formats
from pitstop.report.story import AlarmRow, IncidentCard, PeriodRow, ReleaseMark, ReplayStory, Totals
from pitstop.report.terminal import ReplayTable, replay_summary


def printed(story: ReplayStory, width: int, *, colour: bool = False, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    console = Console(file=file, width=width, force_terminal=colour, color_system="truecolor" if colour else None)
    for part in replay_summary(story):
        console.print(part)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [50, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(hotel_story: ReplayStory, width: int) -> None:
    lines = printed(hotel_story, width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width


@pytest.mark.parametrize("width", [80, 100, 140])
def test_each_period_is_one_line_with_all_its_numbers(hotel_story: ReplayStory, width: int) -> None:
    lines = printed(hotel_story, width).splitlines()
    for row in hotel_story.periods:
        (line,) = (
            line for line in lines if line.startswith(row.period + " ") and line.split()[1] == formats.count(row.rows)
        )
        expected = [formats.metric(value) for value in row.metric.values()]
        expected += [formats.money(value) for value in row.value.values()]
        assert line.split()[2:] == expected
    (costs,) = (line for line in lines if line.startswith("cost "))
    assert costs.split() == ["cost", "0", "27,000", "6,000", "4,500"]
    (retrains,) = (line for line in lines if line.startswith("retrains "))
    assert retrains.split() == ["retrains", "0", "18", "4", "3"]


def test_columns_stand_below_their_heads(hotel_story: ReplayStory) -> None:
    lines = printed(hotel_story, 100).splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("month"))
    ends = {
        position
        for position, letter in enumerate(lines[head] + " ")
        if letter == " " and lines[head][position - 1] != " "
    }
    for line in lines[head + 1 : head + 20]:
        padded = line.ljust(len(lines[head]) + 1)
        assert all(padded[end] == " " for end in ends if end > 7)


def test_colour_changes_no_character(hotel_story: ReplayStory) -> None:
    coloured = printed(hotel_story, 100, colour=True)
    assert "\x1b[" in coloured
    plain = Console(file=io.StringIO(), width=100)
    with plain.capture() as capture:
        for part in replay_summary(hotel_story):
            plain.print(part)
    assert capture.get() == printed(hotel_story, 100)


def test_an_old_terminal_gets_plain_letters(hotel_story: ReplayStory) -> None:
    gap = replace(hotel_story.periods[0], metric={}, value={})
    ascii_only = replace(hotel_story, releases=(), periods=(gap, *hotel_story.periods[1:]))
    assert "---- AUC ----" in printed(ascii_only, 100, encoding="ascii")


def test_data_cannot_command_the_terminal(hotel_story: ReplayStory) -> None:
    evil = "\x1b]0;owned\x07[red]x[/red]\u202e"
    alarm = AlarmRow("a", evil, evil, evil, evil, 1.0)
    incident = IncidentCard("i", evil, evil, evil, (), None, None, (alarm,))
    row = PeriodRow(evil, 1, {"pitstop": 0.5}, {"pitstop": 1.0})
    text = printed(replace(hotel_story, periods=(row,), incidents=(incident,), promise=evil, currency=evil), 140)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[red]x[/red]" in text  # brackets are data, not markup of the terminal library


def test_a_crowd_of_incidents_is_counted(hotel_story: ReplayStory) -> None:
    text = printed(replace(hotel_story, incidents=hotel_story.incidents * 10), 100)
    assert "and 18 more, in the report" in text


def test_an_empty_story_prints_a_sentence() -> None:
    story = ReplayStory("m", "AUC", higher_is_better=True, currency="EUR", periods=(), totals={})
    assert "There is nothing to report yet" in printed(story, 80)


@pytest.mark.parametrize("value", [-1e12, 1e12, 1e30, None, float("nan")])
def test_extreme_sums_stay_in_the_table(value: float | None) -> None:
    rows = (PeriodRow("2016-01", 10**12, {"never": 0.5, "pitstop": 0.6}, {"never": value, "pitstop": value}),)
    totals = {"never": Totals(0, 0, value, None), "pitstop": Totals(1, 1e12, value, None)}
    story = ReplayStory("m", "AUC", higher_is_better=True, currency="EUR", periods=rows, totals=totals)
    console = Console(file=io.StringIO(), width=80)
    lines = console.render_lines(ReplayTable(story), pad=False)
    assert all(sum(segment.cell_length for segment in line) <= 80 for line in lines)


def lines_below(title: str, text: str) -> list[str]:
    lines = text.splitlines()
    start = lines.index(title) + 1
    return lines[start : lines.index("", start)]


@pytest.mark.parametrize("width", [50, 80, 140])
def test_releases_and_incidents_are_one_line_each(hotel_story: ReplayStory, width: int) -> None:
    text = printed(hotel_story, width)
    assert [line.split()[0] for line in lines_below("Releases", text)] == [item.at for item in hotel_story.releases]
    assert [line.split()[0] for line in lines_below("Incidents", text)] == [item.at for item in hotel_story.incidents]


@pytest.mark.parametrize("width", [50, 80])
def test_a_long_name_is_cut_and_its_numbers_are_not(hotel_story: ReplayStory, width: int) -> None:
    brief = f"{'previous_bookings_not_canceled ' * 4}outside its usual range: 0.6% → 10.5%"
    long = replace(hotel_story.incidents[0], brief=brief)
    (line,) = lines_below("Incidents", printed(replace(hotel_story, incidents=(long,)), width))
    assert line.endswith("…: 0.6% → 10.5%")
    assert len(line) == width


def test_a_rollback_is_called_one(hotel_story: ReplayStory) -> None:
    why = "proven worse on 2,830 rows; the model before it serves again"
    back = ReleaseMark("2016-09-27", "v5", why, 23960, 51, "2016-09", instead_of="v6")
    text = printed(replace(hotel_story, releases=(*hotel_story.releases[:3], back)), 100)
    assert lines_below("Releases", text)[-1] == "  2016-09-27  rolled back to v5  v6 was proven worse on 2,830 rows"


def test_in_a_crowd_those_that_need_a_person_stay(hotel_story: ReplayStory) -> None:
    first, quiet = hotel_story.incidents[:2]
    crowd = (replace(first, brief="the model's error: 1% → 2%"), *[replace(quiet, brief=f"b{n}") for n in range(20)])
    text = printed(replace(hotel_story, incidents=crowd), 100)
    shown = lines_below("Incidents", text)
    assert "the model's error: 1% → 2%" in shown[0]
    assert [line.split()[-1] for line in shown[1:-1]] == [f"b{n}" for n in range(9, 20)]
    assert shown[-1] == "  and 9 more, in the report"
