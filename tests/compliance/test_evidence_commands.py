"""`pitstop evidence` and `pitstop journal verify` on a home: what they print, and how they end."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from pitstop.cli.main import app
from pitstop.errors import PackError, PitstopError, StoreError, UnknownNameError
from pitstop.records.calendar import DAY
from pitstop.releases import ReleaseTimeline
from pitstop.store.home import Home

START, END = 100, 130


def invoke(*argv: str | Path) -> Result:
    done = CliRunner().invoke(app, [str(part) for part in argv])
    if isinstance(done.exception, PitstopError):
        raise done.exception
    return done


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with a model of one release, watched for thirty days."""
    folder = tmp_path / "home"
    timeline = ReleaseTimeline().promote(START * DAY, "model-0", 10, ("model-0",))
    with Home.open(folder) as kept, kept.transaction() as store:
        for window in range(START - 5, END):
            rows = pa.table({"@id": [f"r{window}"], "x": [float(window)]})
            store.add_segment("predictions", "m", window, f"window-{window}", rows, at=window * DAY)
            if window >= START:
                store.put_profile("m", "predicted", window, b"counts", f"profile-{window}")
        store.put_artifact({"time": {"window": "day", "period": 10}}, "spec", "spec-1", START * DAY, (), "m")
        trained = {"rows": 10, "rows_digest": "rows-1"}
        store.put_artifact(trained, "challenger", "model-0", START * DAY, (), "m")
        for release in timeline.releases:
            content = release.to_json()
            store.put_artifact(content, "release", release.id, release.at, release.caused_by, "m")
            store.put_artifact({"owner": release.id}, "baseline", "baseline-1", release.at, (), "m")
        store.put_artifact({"action": "keep"}, "decision", "decision-1", 120 * DAY, (), "m")
    return folder


def statuses(done: Result) -> dict[str, str]:
    return {item["id"]: item["status"] for item in json.loads(done.stdout)["items"]}


def test_the_checklist_shows_each_obligation_and_the_exit_code_says_whether_one_is_open(home: Path) -> None:
    done = invoke("evidence", "m", "--home", home)
    assert done.exit_code == 1
    assert "House rules for a model in production" in done.stdout
    assert "not legal advice" in " ".join(done.stdout.split())
    found = statuses(invoke("evidence", "m", "--home", home, "--json"))
    assert found.pop("somebody-answers") == "fail"
    assert set(found.values()) == {"pass", "not applicable"}
    assert found["record-intact"] == "pass"


def test_a_person_attests_what_no_query_can_see(home: Path) -> None:
    said = ("--attest", "somebody-answers", "--by", "A. Person", "--text", "I answer for it.")
    done = invoke("evidence", "m", "--home", home, *said, "--json")
    assert done.exit_code == 0
    (line,) = [item for item in json.loads(done.stdout)["items"] if item["id"] == "somebody-answers"]
    assert line["status"] == "attested"
    assert "A. Person, at 1970-05-11: I answer for it." in line["found"]
    with Home.open(home, read_only=True) as kept:
        assert [item.id for item in kept.artifacts("attestation")] == line["evidence"]
        assert kept.verify().unprotected == 0
    # What was said later was not known before.
    assert (
        statuses(invoke("evidence", "m", "--home", home, "--as-of", "1970-05-10", "--json"))["somebody-answers"]
        == "fail"
    )


@pytest.mark.parametrize(
    "said", [("--attest", "first-proven", "--by", "X"), ("--attest", "somebody-answers"), ("--by", "X")]
)
def test_only_items_for_a_person_are_attested_and_by_a_name(home: Path, said: tuple[str, ...]) -> None:
    with pytest.raises(PackError, match="somebody-answers"):
        invoke("evidence", "m", "--home", home, *said)


def test_as_of_an_earlier_day_shows_what_was_known_then_and_a_later_day_what_is_stale(home: Path) -> None:
    early = statuses(invoke("evidence", "m", "--home", home, "--as-of", "1970-04-13", "--json"))
    assert early["decided-regularly"] == "not applicable"
    later = statuses(invoke("evidence", "m", "--home", home, "--as-of", "1970-08-01", "--json"))
    assert (later["decided-regularly"], later["watched-without-gap"]) == ("stale", "stale")
    before = statuses(invoke("evidence", "m", "--home", home, "--as-of", "1970-04-01", "--json"))
    assert before["training-data-known"] == "not applicable"


def test_a_pack_of_ones_own_is_a_path(home: Path, tmp_path: Path) -> None:
    pack = tmp_path / "ours.toml"
    pack.write_text(
        'name = "ours"\ntitle = "Ours"\ndated = 2026-01-31\nsource = "us"\nnotice = "none"\n'
        '[[item]]\nid = "a"\nobligation = "b"\nquery = "training_rows_are_digested"\n',
        encoding="utf-8",
    )
    done = invoke("evidence", "m", "--home", home, "--pack", pack, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["items"][0]["evidence"] == ["model-0"]
    with pytest.raises(PackError, match="cannot read the pack"):
        invoke("evidence", "m", "--home", home, "--pack", tmp_path / "none.toml")


def test_an_unknown_model_and_a_missing_home_are_errors(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no model is called 'n' in .*; known: m"):
        invoke("evidence", "n", "--home", home)
    with pytest.raises(StoreError, match="there is no Pitstop home"):
        invoke("evidence", "m", "--home", tmp_path / "none")
    with pytest.raises(StoreError, match="there is no Pitstop home"):
        invoke("journal", "verify", tmp_path / "none")


def test_an_intact_journal_is_said_to_be_tamper_evident(home: Path) -> None:
    done = invoke("journal", "verify", home, "--rows")
    assert done.exit_code == 0
    assert "The journal is intact, and tamper-evident since its first entry (predictions segment-" in done.stdout
    assert "all of them are signed for" in done.stdout
    document = json.loads(invoke("journal", "verify", home, "--json").stdout)
    assert document["ok"]
    assert document["unprotected"] == 0
    assert document["entries"] == document["signed"] == END - START + 5 + 5


TAMPER = {
    "an artifact": "update artifacts set content = replace(content, 'keep', 'retrain') where id = 'decision-1'",
    "an entry": "update journal set digest = replace(digest, '1', '2') where sequence = 7",
    "an entry that is none": "update journal set digest = 'aa' where sequence = 7",
    "an entry deleted": "delete from journal where sequence = 7",
}


@pytest.mark.parametrize("change", TAMPER.values(), ids=TAMPER)
def test_a_changed_record_is_named_with_exit_code_1_and_fails_the_checklist(home: Path, change: str) -> None:
    with closing(sqlite3.connect(home / "catalog.sqlite")) as catalog:
        assert catalog.execute(change).rowcount == 1
        catalog.commit()
    done = invoke("journal", "verify", home)
    assert done.exit_code == 1
    assert "The journal does NOT verify: " in done.stdout
    assert "\n- " in done.stdout
    document = json.loads(invoke("journal", "verify", home, "--json").stdout)
    assert not document["ok"]
    assert len(document["faults"]) >= 1
    assert statuses(invoke("evidence", "m", "--home", home, "--json"))["record-intact"] == "fail"


def test_an_empty_journal_is_no_fault(tmp_path: Path) -> None:
    Home.open(tmp_path / "home").close()
    done = invoke("journal", "verify", tmp_path / "home")
    assert done.exit_code == 0
    assert "The journal is empty" in done.stdout
