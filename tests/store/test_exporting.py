"""Copies of the journal outside the home: a folder, a git repository, a mailbox; on schedule, and never changed."""

from __future__ import annotations

import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitstop.errors import ExportError
from pitstop.journal.exports import read_notes, signed_of, verify_export
from pitstop.store.home import Home

HOUR = 3_600_000_000


def put(home: Home, *names: str) -> None:
    with home.transaction() as store:
        for name in names:
            store.put_artifact({"v": name}, "alarm", name, 10, [], "m")


def test_a_copy_grows_by_what_is_new_and_verifies_alone(tmp_path: Path) -> None:
    place = tmp_path / "copy"
    with Home.open(tmp_path / "home") as home:
        put(home, "a", "b")
        assert home.export(str(place), 1) == 2
        assert home.export(str(place), 2) == 0, "the record of an export alone is no news"
        put(home, "c")
        assert home.export(str(place), 3) == 2, "c, and the record of the first export"
        entries = [entry.kind for entry in home.journal()]
        assert entries == ["alarm", "alarm", "export", "alarm", "export"]
        assert home.models() == ("m",)
        first = home.artifacts("export")[0].content
        assert (first["from"], first["size"], first["place"]) == (0, 2, str(place))
        assert home.verify(outside=signed_of(read_notes(place))[0]).ok
    found = verify_export(place)
    assert (found.ok, found.size, found.unprotected) == (True, 4, 0)
    assert sorted(path.name for path in (place / "entries").iterdir()) == [
        "000000000000-000000000001.jsonl",
        "000000000002-000000000003.jsonl",
    ]


def test_a_home_that_was_rewritten_is_found_by_its_copy(tmp_path: Path) -> None:
    """The key is in the home: whoever has both can sign another past, but not change the copy."""
    with Home.open(tmp_path / "home") as home:
        put(home, "a", "b")
        home.export(str(tmp_path / "copy"), 1)
        key = (tmp_path / "home" / "keys" / "journal.pem").read_bytes()
    (tmp_path / "forged" / "keys").mkdir(parents=True)
    (tmp_path / "forged" / "keys" / "journal.pem").write_bytes(key)
    with Home.open(tmp_path / "forged") as forged:
        put(forged, "a", "x")
        forged.checkpoint()
        assert forged.verify().ok
        kept, _ = signed_of(read_notes(tmp_path / "copy"))
        kinds = {fault.kind for fault in forged.verify(outside=kept).faults}
        assert kinds == {"forked", "deleted"}
        with pytest.raises(ExportError, match="says something else than this journal"):
            forged.export(str(tmp_path / "copy"), 2)
    assert verify_export(tmp_path / "copy").ok


def test_a_home_that_was_cut_short_is_found_by_its_copy(tmp_path: Path) -> None:
    with Home.open(tmp_path / "home") as home:
        put(home, "a", "b", "c")
        home.export(str(tmp_path / "copy"), 1)
        key = (tmp_path / "home" / "keys" / "journal.pem").read_bytes()
    (tmp_path / "forged" / "keys").mkdir(parents=True)
    (tmp_path / "forged" / "keys" / "journal.pem").write_bytes(key)
    with Home.open(tmp_path / "forged") as forged:
        put(forged, "a", "b")
        kept, _ = signed_of(read_notes(tmp_path / "copy"))
        (fault,) = forged.verify(outside=kept).faults
        assert (fault.kind, fault.first, fault.last) == ("truncated", 2, 2)


def test_places_are_due_by_their_own_clock(tmp_path: Path) -> None:
    often, daily = str(tmp_path / "often"), str(tmp_path / "daily")
    with Home.open(tmp_path / "home") as home:
        put(home, "a")
        home.export(often, 0, every=0)
        home.export(daily, 0, every=24 * HOUR)
        put(home, "b")
        assert home.export_due(HOUR) == (often,)
        assert home.export_due(24 * HOUR) == (daily, often)
        assert home.export_due(25 * HOUR) == (often,)
    with Home.open(tmp_path / "home") as home:
        assert home.export_due(49 * HOUR) == (daily, often)
    assert verify_export(tmp_path / "daily").ok


def test_a_place_that_cannot_be_written_stays_due(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    with Home.open(tmp_path / "home") as home:
        put(home, "a")
        with pytest.raises(ExportError, match="cannot write the journal"):
            home.export(str(blocked), 1)
        assert [entry.kind for entry in home.journal()] == ["alarm"]
        blocked.unlink()
        assert home.export(str(blocked), 2) == 1


def test_a_place_that_cannot_be_written_keeps_no_other_from_being_brought_up_to_date(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("1st", "2nd", "3rd")]
    with Home.open(tmp_path / "home") as home:
        put(home, "a")
        for place in places:
            home.export(str(place), 0, every=0)
        put(home, "b")
        for broken in (places[0], places[1]):
            broken.rename(tmp_path / f"{broken.name} elsewhere")
            broken.write_text("a file")
        with pytest.raises(ExportError, match=r"1st.*2nd"):
            home.export_due(HOUR)
    assert verify_export(places[2]).size == 5


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S607 - the test's own tool
    return done.stdout.strip()


def test_a_git_repository_gets_a_commit_for_each_copy_and_pushes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, remote = tmp_path / "work", tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    git(tmp_path, "clone", "--quiet", str(remote), str(work))
    for name, value in (("user.name", "auditor"), ("user.email", "auditor@example.org"), ("push.default", "current")):
        git(work, "config", name, value)
    with Home.open(tmp_path / "home") as home:
        put(home, "a")
        home.export(f"git:{work}", 1)
        put(home, "b")
        monkeypatch.chdir(tmp_path)
        home.export("git:work", 2)
        put(home, "c")
        monkeypatch.chdir("/")
        assert home.export_due(3) == (f"git:{work}",), "the same place, from wherever it is asked for"
    assert git(work, "log", "--format=%s").splitlines() == [f"Journal: {size} entries" for size in (5, 3, 1)]
    assert git(work, "status", "--porcelain") == ""
    git(tmp_path, "clone", "--quiet", str(remote), str(tmp_path / "auditor"))
    assert verify_export(tmp_path / "auditor").size == 5
    with Home.open(tmp_path / "home") as home:
        put(home, "c")
        (tmp_path / "plain").mkdir()
        with pytest.raises(ExportError, match="git add failed"):
            home.export(f"git:{tmp_path / 'plain'}", 3)


class Mailbox(socketserver.StreamRequestHandler):
    """A server that takes one mail at a time (RFC 5321, as far as a client needs it)."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    body += part
                self.server.mails.append(body.decode())  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def mailbox() -> Iterator[socketserver.TCPServer]:
    with socketserver.TCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.mails = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_checkpoint_is_mailed_and_binds_the_home(tmp_path: Path, mailbox: socketserver.TCPServer) -> None:
    place = f"smtp://127.0.0.1:{mailbox.server_address[1]}/auditor@example.org"
    with Home.open(tmp_path / "home") as home:
        put(home, "a")
        home.export(place, 1)
        (mail,) = mailbox.mails  # type: ignore[attr-defined]
        _, _, body = mail.replace("\r\n", "\n").partition("\n\n")
        assert "To: auditor@example.org" in mail
        verifier = home.notes()[-1][1]
        assert verifier in body
        put(home, "b")
        with pytest.raises(ExportError, match="cannot mail"):
            home.export("smtp://127.0.0.1:1/auditor@example.org", 2)
        for place in ("smtp://nobody", "smtp://host:port/auditor@example.org"):
            with pytest.raises(ExportError, match="expected smtp://HOST"):
                home.export(place, 3)
