"""`pitstop value`, `journal`, `erase` and `hold` on the home of one replay: what they say, and how they end."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pitstop.journal.entries import KINDS
from pitstop.store.home import Home


@pytest.fixture(scope="module")
def walked(pitstop: Callable[..., Any], loans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of a replay in which the relation turned, and a retrain was called for."""
    folder = tmp_path_factory.mktemp("value")
    text = (loans / "pitstop.toml").read_text(encoding="utf-8")
    spec = folder / "pitstop.toml"
    text = text.replace("release = 20.0", "release = 20.0\nreview_per_row = 0.1\npeople_per_period = 2.0")
    # Days, and a recipe that forgets: what was learnt before the turn is wrong after it.
    text = text.replace('window = "week"\nperiod = 4', 'window = "day"\nperiod = 14')
    spec.write_text(text + '\n[policy]\nrecipe = "last_2"\n')
    ran = pitstop("run", "--home", folder / "home", "--source", loans / "loans.csv", "--spec", spec)
    assert ran.code == 0, ran.err
    return folder / "home"


@pytest.fixture
def home(walked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(walked, tmp_path / "home"))


def test_the_ledger_adds_up_in_every_view(pitstop: Callable[..., Any], walked: Path) -> None:
    ran = pitstop("value", "loans", "--home", walked, "--json")
    assert ran.code == 0, ran.err
    found = ran.document
    accounts = {name: Decimal(amount) for name, amount in found["accounts"].items()}
    assert sum(accounts.values()) == 0
    assert Decimal(found["net"]) == -accounts["model"] == sum(Decimal(item["net"]) for item in found["periods"])
    assert accounts["people"] < 0
    assert accounts["review"] < 0
    assert accounts["inference"] == 0
    assert sum(Decimal(item["running"]) for item in found["periods"]) == accounts["people"] + accounts["review"]
    # The relation turned: whatever was released since earned more than the model that it replaced.
    assert found["releases"], "nothing was released"
    assert Decimal(found["upkeep"]["gain"]) > 0
    assert found["upkeep"]["causal"] is False
    gains = [Decimal(item["gain"]) for item in found["releases"]]
    assert max(gains) > 0
    assert len(found["threshold"]["curve"]) == 51
    assert found["value_models"][0]["from"] == "the beginning"


def test_the_table_says_the_same_in_words(pitstop: Callable[..., Any], walked: Path) -> None:
    ran = pitstop("value", "loans", "--home", walked)
    assert ran.code == 0, ran.err
    for words in ("Value of loans in EUR", "What retraining brought", "not causal", "Staleness", "net"):
        assert words in ran.out
    every = pitstop("value", "--home", walked)
    assert every.out.splitlines()[-1].startswith("Net of all models in EUR")


def test_what_was_known_then_is_what_is_shown(pitstop: Callable[..., Any], walked: Path) -> None:
    early = pitstop("value", "loans", "--home", walked, "--as-of", "2024-05-01", "--json").document
    late = pitstop("value", "loans", "--home", walked, "--json").document
    assert len(early["periods"]) < len(late["periods"])
    assert early["as_of"] == "2024-05-01"


def test_another_currency_needs_rates_of_that_time(pitstop: Callable[..., Any], walked: Path, tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text("date,from,to,rate\n2024-01-01,EUR,USD,2\n")
    words = ["value", "loans", "--home", walked, "--currency", "USD", "--rates", rates]
    found = pitstop(*words, "--json").document
    assert Decimal(found["converted"]["net"]) == 2 * Decimal(found["net"])
    assert "Net in USD" in pitstop(*words).out
    rates.write_text("date,from,to,rate\n2024-06-01,EUR,USD,2\n")
    assert pitstop(*words).code == 2
    assert pitstop("value", "loans", "--home", walked, "--currency", "USD").code == 2


def test_a_model_that_is_not_there_is_named(pitstop: Callable[..., Any], walked: Path) -> None:
    ran = pitstop("value", "nobody", "--home", walked)
    assert ran.code == 2
    assert "known: loans" in ran.err


def test_a_copy_is_made_kept_up_to_date_and_binds_the_home(
    pitstop: Callable[..., Any], home: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    ran = pitstop("journal", "export", home, "--to", copy, "--every", "run")
    assert ran.out.endswith(f"entries were copied to {copy}.\n"), ran.err
    assert pitstop("journal", "export", home, "--to", copy).out == f"{copy} is up to date.\n"
    assert pitstop("erase", "r100", "--home", home, "--because", "asked").code == 0
    assert f"The journal was copied to {copy}" in pitstop("run", "--home", home).out
    assert pitstop("journal", "verify", copy).code == 0
    assert pitstop("journal", "verify", home, "--against", copy, "--rows").code == 0
    connection = sqlite3.connect(home / "catalog.sqlite")
    connection.execute("DELETE FROM journal WHERE sequence = 7")
    connection.commit()
    connection.close()
    ran = pitstop("journal", "verify", home, "--against", copy, "--json")
    assert ran.code == 1
    assert "deleted: entry 7 is missing" in [fault["sentence"] for fault in ran.document["faults"]]
    assert pitstop("journal", "verify", tmp_path / "nothing").code == 2


def test_a_proof_is_checked_without_the_home(pitstop: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    release = pitstop("value", "loans", "--home", home, "--json").document["releases"][0]["id"]
    proof = pitstop("journal", "prove", home, release).document
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof))
    shutil.rmtree(home)
    ran = pitstop("journal", "verify", path, "--key", f" {proof['key']}\n", "--json")
    assert ran.code == 0
    assert ran.document["entry"]["id"] == release
    path.write_text(json.dumps(proof | {"entry": proof["entry"].replace("release", "Release", 1)}))
    assert pitstop("journal", "verify", path).code == 1
    path.write_text("rust")
    assert pitstop("journal", "verify", path).code == 2


def test_whatever_a_run_records_is_of_a_kind_that_is_described(walked: Path) -> None:
    with Home.open(walked, read_only=True) as kept:
        kinds = {entry.kind for entry in kept.entries()}
    assert {"value-model", "appraisal", "transaction", "release"} <= kinds <= set(KINDS)


def test_a_hold_outranks_an_erasure(pitstop: Callable[..., Any], home: Path) -> None:
    words = ["--home", home, "--because", "a reason"]
    assert pitstop("hold", "r50", "--lift", *words).code == 1
    assert pitstop("hold", "r50", *words).out.startswith("Held: hold-")
    ran = pitstop("erase", "r50", *words)
    assert (ran.code, ran.out.startswith("Nothing was erased: the legal hold")) == (1, True)
    assert pitstop("hold", "r50", "--lift", *words).code == 0
    done = pitstop("erase", "r50", *words, "--json")
    assert (done.code, done.document["rows"], done.document["labels"]) == (0, 1, 1)
    assert pitstop("erase", "r50", *words).code == 1
    assert pitstop("journal", "verify", home, "--rows", "--json").document["erased"] > 0


def test_a_checkpoint_is_printed_to_be_kept(pitstop: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    assert pitstop("erase", "r51", "--home", home, "--because", "asked").code == 0
    note = pitstop("journal", "sign", home).out
    assert note.startswith("pitstop/")
    assert "\nprevious " in note
    (tmp_path / "empty").mkdir()
    assert pitstop("journal", "verify", tmp_path / "empty").code == 2
