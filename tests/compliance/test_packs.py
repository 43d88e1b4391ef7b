"""Packs are read strictly: nothing in them is guessed, and nothing has a silent default."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pitstop.compliance.packs import BUILT_IN, built_in, load_packs, parse_pack
from pitstop.compliance.queries import QUERIES
from pitstop.errors import PackError
from pitstop.records.calendar import Calendar

GOOD = """
name = "ours"
version = "3"
title = "Our rules"
dated = 2026-01-31
source = "The committee"
notice = "Not legal advice."

[[item]]
id = "proven"
obligation = "Every model is proven."
query = "releases_were_compared"
gate = "release"

[[item]]
id = "decided"
obligation = "Decided every month."
query = "a_decision_is_recent"
limit = 1
"""


def test_a_pack_is_what_is_written() -> None:
    pack = parse_pack(GOOD, "ours.toml")
    assert (pack.name, pack.version, pack.dated) == ("ours", "3", date(2026, 1, 31))
    assert len(pack.digest) == 64
    assert parse_pack(GOOD + "\n", "ours.toml").digest != pack.digest
    assert [(item.id, item.limit, item.gate) for item in pack.items] == [
        ("proven", None, "release"),
        ("decided", 1, "none"),
    ]


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_pack_says_its_date_its_source_and_what_it_is_not(name: str) -> None:
    pack = built_in(name)
    assert pack.name == name
    assert "not legal advice" in pack.notice
    assert pack.source
    assert {item.query for item in pack.items} <= set(QUERIES)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "Our rules"', 'titel = "Our rules"', "unknown key 'titel'; did you mean 'title'?"),
        ('title = "Our rules"', "", "ours.toml lacks title"),
        ('notice = "Not legal advice."', 'notice = ""', "ours.toml lacks notice"),
        ("dated = 2026-01-31", 'dated = "2026-01-31"', "dated is '2026-01-31'; expected a date"),
        ("limit = 1", "", "item 2: 'a_decision_is_recent' needs a limit of 0 or more, in periods; got None"),
        ("limit = 1", "limit = -1", "got -1"),
        ("limit = 1", "limit = true", "limit is True; expected a whole number"),
        ("limit = 1", "limits = 1", "unknown key 'limits'; did you mean 'limit'?"),
        ('gate = "release"', "limit = 3", "item 1: 'releases_were_compared' has no limit, got limit = 3"),
        ('gate = "release"', 'gate = "always"', "gate is 'always'; expected one of none, release"),
        ('"releases_were_compared"', '"releases_are_compared"', "did you mean 'releases_were_compared'"),
        ('id = "decided"', 'id = "proven"', "two items have the id 'proven'"),
        ('id = "decided"', "", "item 2 lacks id"),
        ('gate = "release"', 'override = "anybody"', "override is 'anybody'; expected one of risk_officer"),
        ('version = "3"', "", "ours.toml lacks version"),
        ('version = "3"', 'version = "3"\ndigest = "ab"', "unknown key 'digest'"),
        ("limit = 1", 'limit = 1\neffective = "soon"', "effective is 'soon'; expected a date"),
        ("[[item]]", "[[entry]]", "has no obligations"),
        ("[[item]]", "[item", "not valid TOML"),
    ],
)
def test_a_mistake_is_an_error_that_says_where_and_what(old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(PackError, match=r".*") as caught:
        parse_pack(GOOD.replace(old, new), "ours.toml")
    assert words in str(caught.value)


def test_an_unknown_pack_names_the_known_ones() -> None:
    with pytest.raises(PackError, match="no pack is called 'eu'; built in: house_rules"):
        built_in("eu")


def test_the_checklist_has_thirty_items_and_the_acts_name_their_articles() -> None:
    items = built_in("evidence_checklist").items
    assert [int(item.reference.split()[-1]) for item in items] == list(range(1, 31))
    articles = " ".join(item.reference for item in built_in("eu_ai_act").items)
    for number in (9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 26, 72, 73):
        assert f"Art. {number}" in articles


def test_an_item_binds_from_its_day_to_the_packs_last(tmp_path: Path) -> None:
    text = GOOD.replace("dated = ", "effective = 2026-03-01\nuntil = 2027-01-01\ndated = ")
    text = text.replace('query = "releases_were_compared"', 'query = "releases_were_compared"\neffective = 2026-05-01')
    (tmp_path / "ours.toml").write_text(text)
    (pack,) = load_packs(["ours.toml"], tmp_path)
    days = Calendar("day", "month")

    def binding(day: str) -> list[bool]:
        return [pack.binds(item, days.parse_instant(day), days) for item in pack.items]

    found = {day: binding(day) for day in ("2026-02-28", "2026-03-01", "2026-05-01", "2026-12-31", "2027-01-01")}
    assert list(found.values()) == [[False, False], [False, True], [True, True], [True, True], [False, False]]
    rows = Calendar(50, 10)
    assert all(pack.binds(item, 0, rows) for item in pack.items)


def test_two_packs_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(GOOD.replace('"ours"', '"gdpr"'))
    with pytest.raises(PackError, match="two packs are called 'gdpr'"):
        load_packs(["gdpr", "ours.toml"], tmp_path)
