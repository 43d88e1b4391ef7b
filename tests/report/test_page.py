"""The HTML report: it carries every number, runs nothing, loads nothing, and lets no text of the data become markup."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET  # our own output is parsed, not a stranger's

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.report import formats
from pitstop.report.markup import VOID, Markup, element, escaped, printable
from pitstop.report.narrative import headline, summary
from pitstop.report.page import replay_frame, replay_page
from pitstop.report.story import DecisionRow, IncidentCard, PeriodRow, ReleaseMark, ReplayStory, Totals

# No deadline: a busy machine is not a defect of the code under test.
QUICK = settings(max_examples=40, deadline=None)

EVIL = "<script>alert(1)</script>\"'&amp;]]><!-- \x00\x1b[31m\u202e javascript:x"


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed in order; keeps tags, attributes and texts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, key, value or "") for key, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def poisoned(value: Any) -> Any:
    """Return `value` with every text in it replaced by an attack (keys and the task's own words stay)."""
    if isinstance(value, IncidentCard):
        # The kind is one of our own words: it chooses the style and what is open.
        texts = {item.name: poisoned(getattr(value, item.name)) for item in fields(value) if item.name != "kind"}
        return replace(value, **texts)
    if isinstance(value, str):
        return EVIL
    if isinstance(value, tuple):
        return tuple(poisoned(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: poisoned(getattr(value, item.name)) for item in fields(value)})
    return value


def test_the_page_is_one_light_file_without_script_or_network(hotel_story: ReplayStory) -> None:
    page = replay_page(hotel_story)
    assert len(page.encode()) < 400_000
    reader = read(page)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(reader.tags)
    for tag, key, value in reader.attributes:
        assert not key.startswith("on"), (tag, key)
        assert key not in {"src", "srcset", "action", "style"}, (tag, key)
        if key == "href":
            assert value.startswith("#")
    assert not re.findall(r"(?:https?:|//)[\w.]+", page.replace("http://www.w3.org/2000/svg", ""))
    assert "url(" not in page
    assert "@import" not in page


def test_every_picture_is_well_formed_xml(hotel_story: ReplayStory) -> None:
    drawings = re.findall(r"<svg.*?</svg>", replay_page(hotel_story), re.DOTALL)
    assert len(drawings) > 15
    for drawing in drawings:
        root = ET.fromstring(drawing)  # noqa: S314 (made by the code under test)
        assert root.get("role") == "img" or root.get("aria-hidden") == "true"


def test_links_lead_to_sections_and_ids_are_unique(hotel_story: ReplayStory) -> None:
    reader = read(replay_page(hotel_story))
    ids = Counter(value for _, key, value in reader.attributes if key == "id")
    assert set(ids.values()) == {1}
    targets = {value[1:] for _, key, value in reader.attributes if key == "href"}
    labels = {value for _, key, value in reader.attributes if key == "aria-labelledby"}
    assert targets | labels <= set(ids)
    assert {"table", "performance", "value", "incidents", "distributions", "decisions", "ledger", "reading"} <= targets


def test_the_page_is_deterministic(hotel_story: ReplayStory) -> None:
    assert replay_page(hotel_story) == replay_page(hotel_story)


def test_no_text_of_the_data_becomes_markup(hotel_story: ReplayStory) -> None:
    clean = read(replay_page(hotel_story))
    page = replay_page(poisoned(hotel_story))
    assert "<script" not in page
    assert "<!--" not in page
    assert "\x00" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    reader = read(page)
    assert set(reader.tags) == set(clean.tags)
    assert {key for _, key, _ in reader.attributes} == {key for _, key, _ in clean.attributes}
    assert any(printable(EVIL) in text for text in reader.texts)


def test_a_notebook_gets_the_same_page_behind_glass(hotel_story: ReplayStory) -> None:
    reader = read(replay_frame(poisoned(hotel_story)))
    assert set(reader.tags) == {"iframe"}
    attributes = {key: value for _, key, value in reader.attributes}
    assert attributes["srcdoc"] == replay_page(poisoned(hotel_story))
    assert attributes["sandbox"] == ""


def test_keys_of_policies_are_escaped_too(hotel_story: ReplayStory) -> None:
    strange = replace(hotel_story, totals={EVIL: Totals(0, 0, 1.0, 0.5), **hotel_story.totals})
    assert "<script" not in replay_page(strange)


@QUICK
@given(st.text(max_size=40))
def test_escaped_text_reads_as_itself(text: str) -> None:
    reader = read(element("p", {"title": text}, text))
    shown = printable(text)
    assert "".join(reader.texts) == shown.replace("\r", "\n")
    assert reader.attributes == [("p", "title", shown)]


@QUICK
@given(st.text(max_size=40))
def test_any_text_is_well_formed_in_xml(text: str) -> None:
    root = ET.fromstring(element("text", {"data": text}, text))  # noqa: S314 (made by the code under test)
    assert (root.text or "") == printable(text)


def test_markup_is_not_escaped_twice() -> None:
    assert escaped(escaped("a < b")) == "a &lt; b"
    assert isinstance(element("p", None, Markup("<b>x</b>")), Markup)
    assert element("p", None, Markup("<b>x</b>")) == "<p><b>x</b></p>"


def test_tables_carry_every_number(hotel_story: ReplayStory) -> None:
    texts = set(read(replay_page(hotel_story)).texts)
    for row in hotel_story.periods:
        assert {row.period, formats.count(row.rows)} <= texts
        assert {formats.metric(value) for value in row.metric.values()} <= texts
        assert {formats.money(value) for value in row.value.values()} <= texts
    for total in hotel_story.totals.values():
        assert {formats.money(total.value), formats.money(total.cost), formats.metric(total.mean_metric)} <= texts
    for point in hotel_story.bands:
        numbers = (point.estimated, point.low, point.high, point.realised)
        assert {point.name, *(formats.metric(number) for number in numbers)} <= texts
    for entry in hotel_story.ledger:
        sums = (entry.realised, entry.estimated, entry.release_cost, entry.fit_cost, entry.net)
        assert {*(formats.money(number) for number in sums), formats.percent(entry.coverage)} <= texts
    for pair in hotel_story.distributions:
        assert {*pair.cells, *(formats.percent(share) for share in (*pair.before, *pair.after))} <= texts
    for incident in hotel_story.incidents:
        assert {incident.headline, incident.explanation} <= texts if incident.headline else incident.sentence in texts
        for cause in incident.causes:
            assert {cause.column, formats.size(cause.importance), formats.size(cause.distance)} <= texts
        for alarm in incident.alarms:
            assert {alarm.monitor, formats.size(alarm.size)} <= texts
    for decision in hotel_story.decisions:
        assert any(decision.at in text for text in texts)
    for words in (hotel_story.promise, hotel_story.started_from, hotel_story.data_note):
        assert words in texts


def test_ledger_sums_are_exact(hotel_story: ReplayStory) -> None:
    page = replay_page(hotel_story)
    assert formats.money(sum((row.net for row in hotel_story.ledger if row.net is not None), start=0)) in page


def test_waiting_is_folded_and_acting_is_not(hotel_story: ReplayStory) -> None:
    page = replay_page(hotel_story)
    assert page.count('<li class="act">') == 4
    assert "wait, 4 times" in page
    unknown = replace(hotel_story, decisions=(DecisionRow("2016-01-01", "abstain", "why", None, None),) * 2)
    assert replay_page(unknown).count('<li class="act">') == 2


def empty_story() -> ReplayStory:
    return ReplayStory("m", "AUC", higher_is_better=True, currency="EUR", periods=(), totals={})


def test_an_empty_story_says_so() -> None:
    page = replay_page(empty_story())
    read(page)
    assert "There is nothing to report yet" in page


def test_a_monitored_model_has_one_policy_and_no_contest() -> None:
    rows = tuple(
        PeriodRow(f"2016-0{index + 1}", 100, {"champion": metric}, {"champion": None})
        for index, metric in enumerate((0.8, None, 0.6))
    )
    story = replace(empty_story(), periods=rows)
    assert headline(story) == "AUC was 0.800 in 2016-01 and fell to 0.600 in 2016-03."
    page = replay_page(story)
    read(page)
    assert "hindsight" not in page
    assert formats.MISSING in read(page).texts
    assert 'id="value"' not in page


@pytest.mark.parametrize("count", [1, 200])
def test_one_period_and_two_hundred(hotel_story: ReplayStory, count: int) -> None:
    rows = tuple(replace(hotel_story.periods[index % 19], period=f"p{index}") for index in range(count))
    page = replay_page(replace(hotel_story, periods=rows))
    read(page)
    assert len(page.encode()) < 400_000


def with_values(story: ReplayStory, values: Sequence[float | None]) -> ReplayStory:
    totals = {
        policy: Totals(retrains, 0.0, value, 0.7)
        for (policy, retrains), value in zip((("never", 0), ("monthly", 18), ("pitstop", 3)), values, strict=True)
    }
    return replace(story, totals=totals)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            (100.0, 200.0, 500.0),
            (
                "Pitstop earned 500 EUR with 3 retrains: "
                "400 more than never retraining and 300 more than retraining every month."
            ),
        ),
        (
            (900.0, 200.0, 500.0),
            "Never retraining did best: it earned 900 EUR. Pitstop earned 500 EUR with 3 retrains, 400 behind.",
        ),
        (
            (-900.0, -200.0, -500.0),
            "Retraining every month did best: it lost 200 EUR. Pitstop lost 500 EUR with 3 retrains, 300 behind.",
        ),
        (
            (-900.0, -700.0, -500.0),
            (
                "Pitstop lost 500 EUR with 3 retrains: "
                "400 better than never retraining and 200 better than retraining every month."
            ),
        ),
        (
            (500.0, 200.0, 500.0),
            (
                "Pitstop earned 500 EUR with 3 retrains: "
                "300 more than retraining every month and the same as never retraining."
            ),
        ),
        ((None, 200.0, 500.0), "Pitstop earned 500 EUR with 3 retrains: 300 more than retraining every month."),
        ((1.0, 2.0, None), "AUC was 0.853 in 2015-10 and fell to 0.765 in 2017-04."),
    ],
)
def test_the_headline_names_whoever_won(
    hotel_story: ReplayStory, values: Sequence[float | None], sentence: str
) -> None:
    assert headline(with_values(hotel_story, values)) == sentence


def test_the_summary_tells_decay_incident_releases_optimum_and_price(hotel_story: ReplayStory) -> None:
    text = " ".join(summary(hotel_story))
    assert "from AUC 0.853 in 2015-10 to 0.624 in 2016-11" in text
    assert "Noticed on 2016-01-14: the model's error rose by 14 points, since about 2016-01-03." in text
    assert "2016-01-29, 2016-03-18, 2016-09-02 and 2016-12-09" in text
    assert "between 310 and 6,400 EUR" in text
    assert "72,867 EUR were possible" in text


def test_a_rollback_is_told_as_one(hotel_story: ReplayStory) -> None:
    why = "proven worse on 2,830 rows; the model before it serves again"
    back = ReleaseMark("2016-09-27", "v3", why, 23960, 51, "2016-09", instead_of="v4")
    story = replace(hotel_story, releases=(*hotel_story.releases[:3], back))
    told = " ".join(summary(story))
    assert "3 models released: 2016-01-29, 2016-03-18 and 2016-09-02. Rolled back: 2016-09-27 (v4 to v3)." in told
    text = "".join(read(replay_page(story)).texts)
    assert f"2016-09-27 · rolled back to v3 · v4 was {why}" in text
    only = replace(hotel_story, releases=(back,) * 3)
    assert "3 releases were rolled back." in " ".join(summary(only))


def test_an_incident_about_the_error_is_open_and_others_are_a_line(hotel_story: ReplayStory) -> None:
    heads = re.findall(r'<details class="incident"( open="")?>.*?<h3>(.*?)</h3>', replay_page(hotel_story))
    opened = {head: bool(mark) for mark, head in heads}
    assert opened["The model&#x27;s error rose by 14 points"]
    assert not opened["Bookings through agents grew from 31% to 49%"]
    assert len(opened) == len(hotel_story.incidents)
    page = replay_page(hotel_story)
    assert page.count("The model&#x27;s error rose by 14 points") == 1, "the headline is not said again below it"
    assert "Before and after: lead_time and market_segment" in page


def test_alarms_say_what_changed_and_are_folded(hotel_story: ReplayStory) -> None:
    first = hotel_story.incidents[0]
    alarm = replace(first.alarms[0], change="the model's error: 20.0% → 34.1%", amount="+14.1 points")
    page = replay_page(replace(hotel_story, incidents=(replace(first, alarms=(alarm,)),)))
    assert {"the model's error: 20.0% → 34.1%", "+14.1 points"} <= set(read(page).texts)
    assert "<details><summary>1 alarm</summary>" in page


def test_no_line_breaks_inside_a_date(hotel_story: ReplayStory) -> None:
    page = replay_page(hotel_story)
    lede = page[page.index('<p class="lede">') : page.index('<ul class="cards">')]
    assert len(re.findall(r'<span class="whole">\d{4}-\d{2}(?:-\d{2})?</span>', lede)) >= 8
    assert not re.search(r"\d{4}-\d{2}", re.sub(r'<span class="whole">.*?</span>', "", lede))


def test_lower_is_better_turns_the_words_round(hotel_story: ReplayStory) -> None:
    errors = tuple(
        replace(row, metric={"never": 40.0 + 5 * index, "pitstop": 41.0})
        for index, row in enumerate(hotel_story.periods)
    )
    story = replace(hotel_story, metric_name="MAE", higher_is_better=False, periods=errors)
    assert "went from MAE 40.00 in 2015-10 to 130.0 in 2017-04" in " ".join(summary(story))
    assert "lower is better" in replay_page(story)


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (formats.money, 1234.56, "1,235"),
        (formats.money, -12.4, "-12.40"),
        (formats.money, 0, "0"),
        (formats.money, None, "–"),  # noqa: RUF001 (the mark for a missing number)
        (formats.money, float("nan"), "–"),  # noqa: RUF001 (the mark for a missing number)
        (formats.money, 1e18, "1e+18"),
        (formats.metric, 0.8531, "0.853"),
        (formats.metric, 57.123, "57.12"),
        (formats.metric, 345.67, "345.7"),
        (formats.metric, 12345.0, "12.3k"),
        (formats.percent, 0.0949, "9.5%"),
        (formats.percent, 0.5, "50%"),
        (formats.size, -0.14123, "-0.141"),
        (formats.compact, 999_999.0, "1M"),
        (formats.compact, 999.9, "1k"),
    ],
)
def test_numbers_read_well(write: Any, value: Any, text: str) -> None:
    assert write(value) == text


def test_two_years_of_daily_windows_and_decisions_stay_light(hotel_story: ReplayStory) -> None:
    days = 578
    bands = tuple(replace(hotel_story.bands[index % 82], order=index, name=f"day {index:04d}") for index in range(days))
    reason = "Waiting costs less than a stop: debt 310 of 1,500."
    decisions = tuple(DecisionRow(f"day {index:04d}", "keep", reason, 310.0, 1500.0) for index in range(days))
    page = replay_page(replace(hotel_story, bands=bands, decisions=decisions))
    assert len(page.encode()) < 400_000
    assert f"keep, {days} times" in page
