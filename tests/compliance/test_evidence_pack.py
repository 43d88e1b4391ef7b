"""A sealed pack verifies anywhere, and whatever is changed in it is found."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pitstop.cli.main import app
from pitstop.compliance.documents import builders
from pitstop.compliance.documents.parts import Document, Grid, Statement
from pitstop.compliance.documents.pdf import pdf
from pitstop.compliance.evidence_pack import MANIFEST, RECORDS, SEAL, check_pack
from pitstop.compliance.facts import Facts
from pitstop.errors import EvidenceError
from pitstop.loop.auditing import write_evidence
from pitstop.store.home import Home

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty home, to be filled."""
    return tmp_path_factory.mktemp("evidence") / "home"


@pytest.fixture
def pack(home: Path, good: Facts) -> Files:
    """Return the files of a pack of the model that is kept well."""
    if not home.exists():
        with Home.open(home) as kept, kept.transaction() as store:
            for item in sorted(good.artifacts, key=lambda item: item.at):
                store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, "m")
            for window in range(good.start or 0, 135):
                store.put_profile("m", "predicted", window, b"counts", f"profile-{window}")
        write_evidence(home, "m", home.parent / "pack", at="1970-04-25T14:05", pdf=False)
    return {path.name: path.read_bytes() for path in (home.parent / "pack").iterdir()}


def test_a_pack_verifies_and_says_under_which_key(home: Path, pack: Files) -> None:
    found = check_pack(pack)
    assert found.faults == ()
    assert found.entries > 20
    with Home.open(home, read_only=True) as kept:
        note, key = kept.notes()[-1]
        assert f"{found.origin}\n{found.size}\n" in note
        assert check_pack(pack, key).faults == ()
        (export,) = kept.artifacts("export")
        assert kept.verify(rows=True).ok
    assert json.loads(pack[SEAL])["export"]["entry"]["id"] == export.id
    another = check_pack(pack, "pitstop/0000000000000000+00000000+AA==")
    assert "not by the key that was given" in another.faults[0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_of_any_file_is_found(pack: Files, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(pack)))
    place = data.draw(st.integers(0, len(pack[name]) - 1))
    flipped = bytearray(pack[name])
    flipped[place] ^= 1 << data.draw(st.integers(0, 6))
    assert broken({**pack, name: bytes(flipped)}) or same_json(pack[name], bytes(flipped), name)


def broken(files: Files) -> bool:
    try:
        return bool(check_pack(files).faults)
    except EvidenceError:
        return True


def same_json(one: bytes, two: bytes, name: str) -> bool:
    """Whether only blanks of the seal were changed: its form is not sealed, all that it says is."""
    return name == SEAL and json.loads(one) == json.loads(two)


def forged(files: Files) -> Files:
    page = files["served.html"] + b" "
    manifest = json.loads(files[MANIFEST])
    manifest["files"]["served.html"] = hashlib.sha256(page).hexdigest()
    return {**files, "served.html": page, MANIFEST: json.dumps(manifest).encode()}


def without_proof(files: Files) -> Files:
    sealed = json.loads(files[SEAL])
    sealed["proofs"].pop("approval-1")
    return {**files, SEAL: json.dumps(sealed).encode()}


TAMPER: dict[str, tuple[Callable[[Files], Files], str]] = {
    "a file deleted": (lambda files: {n: c for n, c in files.items() if n != "model-card.html"}, "is missing"),
    "a file added": (lambda files: {**files, "more.html": b"x"}, "more.html was added"),
    "a page edited": (
        lambda files: {**files, "served.html": files["served.html"].replace(b"version", b"Version", 1)},
        "served.html was changed",
    ),
    "a page edited, and the manifest with it": (
        forged,
        "is not the one that the journal recorded",
    ),
    "an entry left out": (
        lambda files: {**files, RECORDS: b"".join(files[RECORDS].splitlines(keepends=True)[1:])},
        "which is not in the record",
    ),
    "a proof left out": (without_proof, "is not proven"),
    "an approval renamed": (
        lambda files: {**files, RECORDS: files[RECORDS].replace(b'\\"by\\":\\"Ben\\"', b'\\"by\\":\\"Eve\\"')},
        "is not what entry",
    ),
}


@pytest.mark.parametrize(("change", "words"), TAMPER.values(), ids=TAMPER)
def test_what_was_done_to_a_pack_is_named(pack: Files, change: Callable[[Files], Files], words: str) -> None:
    changed = change(pack)
    assert changed != pack
    assert any(words in fault for fault in check_pack(changed).faults)


def test_a_pack_of_a_time_before_the_first_record_is_refused(home: Path, pack: Files, tmp_path: Path) -> None:
    del pack
    with pytest.raises(EvidenceError, match="nothing of m was on record at 1970-01-02; ask for a later instant"):
        write_evidence(home, "m", tmp_path / "early", as_of="1970-01-02", pdf=False)


@pytest.mark.parametrize("content", ["\ud800", ["a list"], None])
def test_a_pack_of_which_nothing_can_be_made_is_refused_as_one(pack: Files, content: object) -> None:
    lines = pack[RECORDS].splitlines()
    first = json.loads(lines[0])
    first["content" if isinstance(content, str) else "entry"] = content
    with pytest.raises(EvidenceError, match="this is no evidence pack"):
        check_pack({**pack, RECORDS: b"\n".join([json.dumps(first).encode(), *lines[1:]])})
    with pytest.raises(EvidenceError, match="this is no evidence pack"):
        check_pack({**pack, SEAL: b"[" * 100_000})


def test_another_home_cannot_vouch_for_the_same_pages(pack: Files, tmp_path: Path, good: Facts) -> None:
    with Home.open(tmp_path / "other") as kept, kept.transaction() as store:
        for item in good.artifacts:
            store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, "m")
    write_evidence(tmp_path / "other", "m", tmp_path / "pack", pdf=False)
    seal = (tmp_path / "pack" / SEAL).read_bytes()
    assert check_pack({**pack, SEAL: seal}).faults


def test_the_command_ends_with_0_1_or_2(pack: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in pack.items():
        (tmp_path / name).write_bytes(content)
    done = CliRunner().invoke(app, ["evidence", "verify", str(tmp_path)])
    assert (done.exit_code, "is as it was sealed" in done.stdout) == (0, True)
    (tmp_path / "index.html").write_bytes(pack["index.html"] + b" ")
    done = CliRunner().invoke(app, ["evidence", "verify", str(tmp_path), "--json"])
    assert (done.exit_code, json.loads(done.stdout)["faults"]) == (1, ["index.html was changed"])
    (tmp_path / SEAL).unlink()
    done = CliRunner().invoke(app, ["evidence", "verify", str(tmp_path)])
    assert isinstance(done.exception, EvidenceError)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EvidenceError, match="is not an empty folder"):
        write_evidence(tmp_path, "m", tmp_path)


OFFLINE = """
import sys
def refuse(event, _):
    if event.startswith("socket."):
        raise OSError("no network here: " + event)
sys.addaudithook(refuse)
from pitstop.cli.main import run
run()
"""


def test_it_verifies_in_another_process_without_network_or_home(home: Path, pack: Files, tmp_path: Path) -> None:
    for name, content in pack.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", OFFLINE, "evidence", "verify", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(home) not in b"".join(pack.values()).decode()


BUILDERS = (
    builders.model_card,
    builders.dossier,
    builders.monitoring_plan,
    builders.validation_memo,
    builders.fairness_summary,
    builders.incident_report,
)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_each_statement_that_was_seen_or_said_cites_what_is_on_record(
    good: Facts, build: Callable[[Facts], Document]
) -> None:
    document = build(good)
    cited = 0
    for chapter in document.chapters:
        for part in chapter.parts:
            if isinstance(part, Statement) and part.origin in ("observed", "attested"):
                cited += 1
                assert part.ids or "rows in" in part.text or "rows of" in part.text, part.text
            elif isinstance(part, Grid):
                assert all(part.ids)
    assert cited
    assert set(document.ids) <= set(good.by_id)


def test_the_dossier_has_the_nine_sections_of_annex_iv(good: Facts) -> None:
    assert [chapter.title[:2] for chapter in builders.dossier(good).chapters] == [f"{n}." for n in range(1, 10)]


def test_a_document_is_a_pdf_whose_text_is_never_markup(good: Facts) -> None:
    odd = Statement('#panic("read as markup") *bold* $x$ <b> \\ ünï', ("a",))
    document = builders.model_card(good)
    document = Document("odd", "#panic()", "*", (document.chapters[0], type(document.chapters[0])("#let", (odd,))))
    made = pdf(document, "foot")
    assert made.startswith(b"%PDF-")
    assert made == pdf(document, "foot")
