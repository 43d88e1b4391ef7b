"""Packs are read strictly: nothing in them is guessed, and nothing has a silent default."""

from __future__ import annotations

from datetime import date

import pytest

from pitstop.compliance.evidence import QUERIES
from pitstop.compliance.packs import BUILT_IN, built_in, parse_pack
from pitstop.errors import PackError

GOOD = """
name = "ours"
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
    assert (pack.name, pack.dated) == ("ours", date(2026, 1, 31))
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
