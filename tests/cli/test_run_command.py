"""`pitstop run`: what is due is done once, from what the home remembers; and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pitstop.store.home import Home


@pytest.fixture(scope="module")
def home(pitstop: Callable[..., Any], loans: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Return a home that has seen the history up to 2024-05-15, and what that run said."""
    place = tmp_path_factory.mktemp("run") / "home"
    words = ["--source", loans / "loans.csv", "--spec", loans / "pitstop.toml"]
    return place, pitstop("run", "--home", place, *words, "--as-of", "2024-05-15", "--json")


def test_a_first_run_takes_in_every_closed_window(home: tuple[Path, Any]) -> None:
    _, ran = home
    assert ran.code == 0, ran.err
    done = ran.document
    assert done["windows"] == 19
    assert done["until"] == "2024-05-13"
    assert done["champion"] == "v1"
    assert len(done["decisions"]) == 1


def test_running_again_does_nothing_and_later_goes_on(pitstop: Callable[..., Any], home: tuple[Path, Any]) -> None:
    """The home remembers where the rows come from: one short line is enough in a crontab."""
    place, _ = home
    again = pitstop("run", "--home", place, "--as-of", "2024-05-15")
    assert again.code == 0, again.err
    assert again.out.startswith("Took in 0 windows, up to 2024-05-13: 0 alarms, 0 new incidents, 0 decisions.")
    later = pitstop("run", "--home", place, "--as-of", "2024-05-20")
    # The relation turned round on 6 May; labels take three days.
    assert later.out.startswith("Took in 1 window, up to 2024-05-20: 1 alarm, 1 new incident,"), later.err
    rest = pitstop("run", "--home", place, "--json")
    assert rest.code == 0, rest.err
    assert rest.document["windows"] == 8
    assert rest.document["incidents"] == 0  # it stands, and is not told again
    assert pitstop("run", "--home", place, "--json").document["windows"] == 0


def test_incidents_are_told_as_the_newest_alarm_left_them(pitstop: Callable[..., Any], home: tuple[Path, Any]) -> None:
    place, _ = home
    assert pitstop("run", "--home", place).code == 0
    with Home.open(place, read_only=True) as kept:
        (opened,), (*_, grown) = kept.artifacts("incident", "loans"), kept.artifacts("incident-growth", "loans")
    newest = json.loads(json.dumps(dict(grown.content)))
    assert (newest["id"], len(newest["alarms"])) == (opened.id, 2)
    assert newest["cause"]["sentence"] != opened.content["cause"]["sentence"]
    (told,) = pitstop("incidents", "loans", "--home", place, "--json").document["incidents"]
    assert (told["id"], told["content"]) == (opened.id, newest)
    line = pitstop("incidents", "loans", "--home", place).out.strip()
    stands = f"since {told['since']}, {told['condition']}"
    assert line == f"{told['at']}  {opened.id}  {stands}  {newest['cause']['sentence']}"


def test_a_home_that_knows_no_source_asks_for_it(pitstop: Callable[..., Any], tmp_path: Path) -> None:
    ran = pitstop("run", "--home", tmp_path / "empty")
    assert (ran.code, ran.out) == (2, "")
    assert "--source TABLE --spec pitstop.toml" in ran.err
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("memory", ['{"source": ', "null"])
def test_a_damaged_memory_names_the_file_and_the_way_out(
    pitstop: Callable[..., Any], tmp_path: Path, memory: str
) -> None:
    (tmp_path / "source.json").write_text(memory, encoding="utf-8")
    ran = pitstop("run", "--home", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "source.json" in ran.err
    assert "delete it" in ran.err
    assert "Traceback" not in ran.err


def test_a_time_that_is_none_is_refused(pitstop: Callable[..., Any], loans: Path, tmp_path: Path) -> None:
    words = ["--source", loans / "loans.csv", "--spec", loans / "pitstop.toml", "--as-of", "tomorrow"]
    ran = pitstop("run", "--home", tmp_path / "home", *words)
    assert (ran.code, ran.out) == (2, "")
    assert "tomorrow" in ran.err
    with pytest.raises(json.JSONDecodeError):
        json.loads(ran.out)
