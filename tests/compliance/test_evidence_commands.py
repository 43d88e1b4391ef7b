"""`pitstop evidence` and `pitstop journal verify` on a home: what they print, and how they end."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

import pitstop
from pitstop.cli.main import app
from pitstop.compliance.clocks import frozen_windows
from pitstop.errors import (
    EvidenceError,
    PackError,
    PitstopError,
    ReleaseError,
    StatementError,
    StoreError,
    UnknownNameError,
)
from pitstop.loop.recalling import facts_of
from pitstop.records.calendar import DAY
from pitstop.releases import ReleaseTimeline
from pitstop.store.home import Home

START, END = 100, 130
SPEC = {
    "model": {"name": "m", "task": "binary"},
    "columns": {"features": ["x"], "protected": ["sex"], "label": "y"},
    "decision": {"positive": "1", "threshold": 0.5},
    "time": {"window": "day", "period": 10},
    "alarms": {"per_month": 1.0},
    "policy": {"name": "shadow_plan"},
}


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
            rows = pa.table(
                {
                    "@id": [f"r{window}", f"s{window}"],
                    "x": [float(window), 0.0],
                    "sex": ["f", "m"],
                    "@prediction": ["1", "1" if window % 2 else "0"],
                    "@score": [0.9, 0.4],
                }
            )
            store.add_segment("predictions", "m", window, f"window-{window}", rows, at=window * DAY)
            if window >= START:
                store.put_profile("m", "predicted", window, b"counts", f"profile-{window}")
        store.put_artifact(SPEC, "spec", "spec-1", START * DAY, (), "m")
        people = {"packs": [], "authors": ["Ada"], "approvers": ["Ben"], "risk_officers": ["Cleo"]}
        store.put_artifact(people, "rules", "rules-1", START * DAY, (), "m")
        trained = {"rows": 10, "rows_digest": "d", "recipe": {"name": "all"}, "trainer": "t", "trainer_version": "1"}
        trained["seed"] = 0
        store.put_artifact(trained, "challenger", "model-0", START * DAY, (), "m")
        for release in timeline.releases:
            content = release.to_json()
            store.put_artifact(content, "release", release.id, release.at, release.caused_by, "m")
            store.put_artifact({"owner": release.id}, "baseline", "baseline-1", release.at, (), "m")
        decided = {"action": "keep", "reason": "It does not pay."}
        store.put_artifact(decided, "decision", "decision-1", 120 * DAY, (), "m")
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
    said = ("--by", "A. Person", "--role", "owner", "--text", "I answer for it.", "--until", "1970-09-01")
    done = invoke("attest", "m", "somebody-answers", "--home", home, *said)
    assert done.stdout.startswith("A. Person attests somebody-answers of m, as of 1970-05-11: attestation-")
    done = invoke("evidence", "m", "--home", home, "--json")
    assert done.exit_code == 0
    (line,) = [item for item in json.loads(done.stdout)["items"] if item["id"] == "somebody-answers"]
    assert line["status"] == "attested"
    assert "A. Person, owner, at 1970-05-11: I answer for it." in line["found"]
    with Home.open(home, read_only=True) as kept:
        (found,) = kept.artifacts("attestation")
        assert [found.id] == line["evidence"]
        assert set(found.content["observed"]) == {"login", "recorded"}
        assert kept.verify().unprotected == 0
    # What was said later was not known before, and what it held until is over after.
    for day, status in (("1970-05-10", "fail"), ("1970-09-02", "stale")):
        shown = invoke("evidence", "m", "--home", home, "--as-of", day, "--json")
        assert statuses(shown)["somebody-answers"] == status
    # Saying it again is another statement.
    invoke("attest", "m", "somebody-answers", "--home", home, *said)
    with Home.open(home, read_only=True) as kept:
        assert len(kept.artifacts("attestation")) == 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("attest", "m", "first-proven", "--by", "X"), "expected one that a person attests"),
        (("attest", "m", "somebody-answers", "--by", " "), "needs the name"),
        (("attest", "m", "somebody-answers", "--by", "X", "--until", "1970-01-02"), "is not after"),
        (("approve", "m", "--by", "Ben"), "no release of m is held up"),
        (("approve", "m", "--by", "Ben", "--challenger", "x"), "no model 'x' is known"),
        (("approve", "m", "--by", "Dan", "--challenger", "model-0"), "Dan may not approve a release"),
        (("override", "m", "x", "--by", "Cleo", "--text", "y"), "no release is held up"),
        (("incident", "declare", "m", "--by", "B", "--text", "x", "--severity", "bad"), "expected one of serious"),
        (("incident", "report", "m", "x", "--by", "B", "--text", "y"), "no serious incident 'x'"),
    ],
)
def test_a_statement_that_nobody_may_make_is_refused_and_leaves_nothing(
    home: Path, argv: tuple[str, ...], words: str
) -> None:
    with Home.open(home, read_only=True) as kept:
        before = kept.journal_head().size
    with pytest.raises(StatementError) as caught:
        invoke(*argv, "--home", home)
    assert words in str(caught.value)
    with Home.open(home, read_only=True) as kept:
        assert kept.journal_head().size == before


def test_a_serious_incident_runs_on_its_clock_and_freezes_its_evidence(home: Path) -> None:
    told = ("--by", "Ben", "--text", "A wrong refusal.", "--severity", "widespread", "--aware-at", "1970-05-10T12:00")
    done = invoke("incident", "declare", "m", "--home", home, *told, "--json")
    declared, freeze = json.loads(done.stdout)["recorded"]
    assert (declared["kind"], freeze["kind"]) == ("serious-incident", "freeze")
    assert freeze["windows"] == list(range(START - 1, END))
    assert invoke("incident", "list", "m", "--home", home, "--as-of", "1970-05-12T11:00").exit_code == 0
    late = invoke("incident", "list", "m", "--home", home, "--as-of", "1970-05-13")
    assert late.exit_code == 1
    assert "overdue by 0.5 days" in late.stdout
    said = ("--by", "Ben", "--text", "To the authority.", "--at", "1970-05-12")
    invoke("incident", "report", "m", declared["id"], "--home", home, *said)
    assert invoke("incident", "list", "m", "--home", home, "--as-of", "1970-05-13").exit_code == 0
    with pytest.raises(StatementError, match="was reported by Ben already"):
        invoke("incident", "report", "m", declared["id"], "--home", home, *said)
    with Home.open(home, read_only=True) as kept:
        assert frozen_windows(facts_of(kept, "m")) == frozenset(range(START - 1, END))
    invoke("incident", "report", "m", declared["id"], "--home", home, *said, "--closes")
    with Home.open(home, read_only=True) as kept:
        assert not frozen_windows(facts_of(kept, "m"))


def test_what_served_is_one_command_and_one_call(home: Path) -> None:
    done = invoke("served", "m", "--home", home, "--at", "1970-04-20T14:05")
    assert "At 1970-04-20 14:05 UTC version 1 of m served (since 1970-04-11, and still does)" in done.stdout
    assert "Nobody approved it" in done.stdout
    document = json.loads(invoke("served", "m", "--home", home, "--at", "1970-04-20T14:05", "--json").stdout)
    assert document == pitstop.served(home, "m", "1970-04-20T14:05").to_json()
    assert (document["version"], document["challenger"]) == (1, "model-0")
    with pytest.raises(ReleaseError, match="nothing served at 1970-04-01"):
        invoke("served", "m", "--home", home, "--at", "1970-04-01")


def test_an_audit_of_selection_is_kept_and_meets_what_asks_for_it(home: Path) -> None:
    before = invoke("evidence", "m", "--home", home, "--pack", "nyc_ll144", "--json")
    assert statuses(before)["bias-audit"] == "fail"
    document = json.loads(invoke("audit", "m", "--home", home, "--json").stdout)
    assert (document["rows"], document["selected"]) == (60, 45)
    assert [(group["name"], group["rate"], group["impact_ratio"]) for group in document["tables"][0]["groups"]] == [
        ("f", 1.0, 1.0),
        ("m", 0.5, 0.5),
    ]
    after = invoke("evidence", "m", "--home", home, "--pack", "nyc_ll144", "--json")
    assert statuses(after)["bias-audit"] == "pass"
    assert "impact ratio" in invoke("audit", "m", "--home", home).stdout


def test_the_score_says_which_section_counts_and_what_to_do(home: Path) -> None:
    shown = invoke("evidence", "m", "--home", home, "--score").stdout
    assert "the smallest of four sections" in shown
    assert "Next half point: " in shown
    document = json.loads(invoke("evidence", "m", "--home", home, "--score", "--json").stdout)
    assert document["final"] == min(document["sections"].values())


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
        'name = "ours"\nversion = "1"\ntitle = "Ours"\ndated = 2026-01-31\nsource = "us"\nnotice = "none"\n'
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


def test_a_pack_that_cannot_be_put_anywhere_is_no_export(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for out in (tmp_path / "file" / "pack", tmp_path / "file"):
        with pytest.raises(EvidenceError, match=r"cannot write an evidence pack into .*; name another folder"):
            pitstop.write_evidence(home, "m", out, pdf=False)
    with Home.open(home, read_only=True) as kept:
        assert not kept.artifacts("export", "m")
    pitstop.write_evidence(home, "m", tmp_path / "pack", pdf=False)
    with Home.open(home, read_only=True) as kept:
        assert len(kept.artifacts("export", "m")) == 1


def test_an_intact_journal_is_said_to_be_tamper_evident(home: Path) -> None:
    done = invoke("journal", "verify", home, "--rows")
    assert done.exit_code == 0
    assert "The journal is intact, and tamper-evident since its first entry (predictions segment-" in done.stdout
    assert "all of them are signed for" in done.stdout
    document = json.loads(invoke("journal", "verify", home, "--json").stdout)
    assert document["ok"]
    assert document["unprotected"] == 0
    assert document["entries"] == document["signed"] == END - START + 5 + 6


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
