"""What is published is what serves, proven by its digest; a target that fails costs nothing but another try."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pitstop.cli.main import run as command_line
from pitstop.errors import ReleaseTargetError, SpecError, UnknownNameError
from pitstop.integrations import serving
from pitstop.integrations.command_target import CommandTarget
from pitstop.integrations.folder_target import FolderTarget, served_from
from pitstop.records.spec import ModelSpec, ServingSection, parse_spec
from pitstop.replays.publishing import Publication

FOLDER = ServingSection(folder="serving")


def publication(version: int = 1, content: bytes = b"weights") -> Publication:
    digest = hashlib.sha256(content).hexdigest()
    return Publication("m", version, f"release-{version}", digest, f"2024-01-{version:02}", content)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return each file's content, and when it was written."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_names_the_model_that_serves_and_keeps_those_before(tmp_path: Path) -> None:
    for version in (1, 2, 1):
        published = publication(version, f"weights {version}".encode())
        FolderTarget().publish(published, FOLDER, tmp_path)
        assert served_from(tmp_path / "serving") == published.facts()
        assert json.loads((tmp_path / "serving" / "champion.json").read_text())["version"] == version
        assert (tmp_path / "serving" / "models" / published.digest).read_bytes() == published.content
    assert len(list((tmp_path / "serving" / "models").iterdir())) == 2


def test_publishing_again_writes_nothing(tmp_path: Path) -> None:
    FolderTarget().publish(publication(), FOLDER, tmp_path)
    before = contents(tmp_path)
    FolderTarget().publish(publication(), FOLDER, tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("damage", ["cut", "other", "gone"])
def test_a_damaged_model_is_seen_and_published_anew(tmp_path: Path, damage: str) -> None:
    FolderTarget().publish(publication(), FOLDER, tmp_path)
    model = tmp_path / "serving" / "models" / publication().digest
    if damage == "gone":
        model.unlink()
        with pytest.raises(FileNotFoundError):
            served_from(tmp_path / "serving")
    else:
        model.write_bytes(b"weig" if damage == "cut" else b"veights")
        with pytest.raises(ReleaseTargetError, match="changed or damaged"):
            served_from(tmp_path / "serving")
    FolderTarget().publish(publication(), FOLDER, tmp_path)
    assert served_from(tmp_path / "serving") == publication().facts()


def test_two_models_in_one_folder_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else writes `champion.json` between our writing and our reading it back."""
    other = replace(publication(), model="another")
    real = Path.replace

    def beaten(path: Path, target: Path) -> Path:
        done = real(path, target)
        if target.name == "champion.json":
            target.write_text(json.dumps(other.facts()), encoding="utf-8")
        return done

    monkeypatch.setattr(Path, "replace", beaten)
    with pytest.raises(ReleaseTargetError, match="somebody else writes this folder"):
        FolderTarget().publish(publication(), FOLDER, tmp_path)


def test_a_folder_that_cannot_be_written_leaves_what_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FolderTarget().publish(publication(), FOLDER, tmp_path)
    before = contents(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReleaseTargetError, match=r"m v2 to .*No space left on device; make room"):
        FolderTarget().publish(publication(2, b"new"), FOLDER, tmp_path)
    assert contents(tmp_path) == before
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.undo()
    with pytest.raises(ReleaseTargetError, match="make room or give the right"):
        FolderTarget().publish(publication(), ServingSection(folder="file"), tmp_path)


READER = """
import json, sys
from pathlib import Path
facts = json.load(sys.stdin)
facts["content"] = Path(facts["file"]).read_bytes().decode()
Path(sys.argv[1]).write_text(json.dumps(facts))
"""


def program(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "publish.py").write_text(text, encoding="utf-8")
    return (sys.executable, "publish.py", "said.json")


def test_a_command_gets_the_facts_and_the_file_and_runs_in_the_spec_folder(tmp_path: Path) -> None:
    section = ServingSection(command=program(tmp_path, READER))
    CommandTarget().publish(publication(), section, tmp_path)
    said = json.loads((tmp_path / "said.json").read_text())
    assert said.pop("content") == "weights"
    assert not Path(said.pop("file")).exists()
    assert said == publication().facts()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("print('no such endpoint'); raise SystemExit(3)", "exit code 3; it said: no such endpoint. Mend it"),
        ("raise SystemExit(1)", "exit code 1; it said: nothing"),
        ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
        ("import time; time.sleep(60)", "did not end within 0.5 seconds"),
    ],
)
def test_a_command_that_fails_is_an_error_with_what_it_said(tmp_path: Path, text: str, words: str) -> None:
    section = ServingSection(command=program(tmp_path, text))
    seconds = 0.5 if "sleep" in text else 60.0
    with pytest.raises(ReleaseTargetError, match=words):
        CommandTarget(seconds=seconds).publish(publication(), section, tmp_path)


def test_a_command_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReleaseTargetError, match="cannot be started: No such file"):
        CommandTarget().publish(publication(), ServingSection(command=("no-such-program",)), tmp_path)


def test_a_command_may_hold_a_script_that_is_too_long_for_a_path(tmp_path: Path) -> None:
    script = f"cat > said.json # {'x' * 300}"
    CommandTarget().publish(publication(), ServingSection(command=("sh", "-c", script)), tmp_path)
    assert json.loads((tmp_path / "said.json").read_text())["digest"] == publication().digest


def test_a_server_that_the_command_starts_is_not_waited_for(tmp_path: Path) -> None:
    text = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])"
    began = time.monotonic()
    CommandTarget().publish(publication(), ServingSection(command=program(tmp_path, text)), tmp_path)
    assert time.monotonic() - began < 15


def test_targets_are_those_that_the_spec_gives() -> None:
    section = ServingSection(folder="a", command=("b",), targets=("command",))
    assert [target.name for target in serving.targets_of(section)] == ["folder", "command"]
    assert serving.targets_of(ServingSection()) == ()
    with pytest.raises(UnknownNameError, match="no release target is called 'mlfow'"):
        serving.targets_of(ServingSection(targets=("mlfow",)))


# The loop that publishes. A trainer that answers the share of positives: it starts at once.
TRAINER = """
import json, sys
import pyarrow as pa

def read(name):
    with pa.OSFile(name, "rb") as source:
        return pa.ipc.open_file(source).read_all()

for line in sys.stdin:
    ask = json.loads(line)
    table = read(ask["data"])
    if ask["action"] == "train":
        labels = table[ask["label"]].to_pylist()
        json.dump(labels.count(ask["positive"]) / len(labels), open(ask["model"], "w"))
    else:
        result = pa.table({"score": [json.load(open(ask["model"]))] * table.num_rows})
        with pa.OSFile(ask["output"], "wb") as sink, pa.ipc.new_file(sink, result.schema) as writer:
            writer.write_table(result)
    print(json.dumps({"ok": True, "rows": table.num_rows}), flush=True)
"""
SPEC = """
[model]
name = "m"
task = "binary"
[columns]
time = "at"
id = "id"
label = "y"
features = ["x"]
[time]
window = "day"
period = 5
[trainer]
command = ["PYTHON", "trainer.py"]
[serving]
SERVING
[replay]
start = "2024-01-07"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a trainer and a history."""
    (tmp_path / "trainer.py").write_text(TRAINER, encoding="utf-8")
    lines = [
        f"2024-01-{1 + number // 20:02}T{number % 20:02}:00:00,r{number},{number % 7},{number % 3 % 2}"
        for number in range(200)
    ]
    lines = ["at,id,x,y", *lines]
    (tmp_path / "history.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def spec_of(section: str) -> ModelSpec:
    return parse_spec(SPEC.replace("PYTHON", sys.executable).replace("SERVING", section))


def test_a_run_publishes_its_champion_and_a_failing_target_loses_nothing(project: Path) -> None:
    failing = spec_of(f'folder = "serving"\ncommand = ["{sys.executable}", "refuse.py"]')
    (project / "refuse.py").write_text("raise SystemExit('closed')", encoding="utf-8")
    given: dict[str, Any] = {"source": project / "history.csv", "base": project}
    with pytest.raises(ReleaseTargetError, match="closed"):
        serving.run(project / "home", spec=failing, **given)
    # Mended: nothing is left to take in, and the model is published.
    (project / "refuse.py").write_text("import sys; open('heard.json', 'w').write(sys.stdin.read())", encoding="utf-8")
    done = serving.run(project / "home", spec=failing, **given)
    assert done.windows == 0
    assert done.champion == "v1"
    heard = json.loads((project / "heard.json").read_text())
    served = served_from(project / "serving")
    assert {**served, "file": heard["file"]} == heard
    assert served["version"] == 1
    # Another target is no other specification: the home goes on.
    assert serving.run(project / "home", spec=spec_of('folder = "elsewhere"'), **given).windows == 0
    assert served_from(project / "elsewhere") == served


def test_a_run_without_a_target_publishes_nothing_and_a_monitored_model_cannot_be_published(project: Path) -> None:
    given: dict[str, Any] = {"source": project / "history.csv", "base": project}
    before = {path.name for path in project.iterdir()}
    serving.run(project / "home", spec=spec_of(""), **given)
    assert {path.name for path in project.iterdir()} - before == {"home"}
    text = SPEC.replace("SERVING", 'folder = "serving"').replace('command = ["PYTHON", "trainer.py"]', 'name = "none"')
    monitored = parse_spec(text.replace('label = "y"', 'label = "y"\nprediction = "y2"'))
    with pytest.raises(SpecError, match="no model is trained here"):
        serving.run(project / "other", spec=monitored, **given)


def test_the_command_line_says_that_publishing_failed_and_exits_with_2(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SPEC.replace("PYTHON", sys.executable).replace("SERVING", 'command = ["no-such-program"]')
    (project / "pitstop.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(project)
    argv = ["run", "--home", "home", "--source", "history.csv", "--spec", "pitstop.toml", "--as-of", "2024-01-11"]
    monkeypatch.setattr(sys, "argv", ["pitstop", *argv])
    with pytest.raises(SystemExit) as ended:
        command_line()
    assert ended.value.code == 2
    assert "pitstop: [serving] command 'no-such-program' for m v1 cannot be started" in capsys.readouterr().err
