"""Environments of peers: made once from a pinned list, found again by it, and asked for one line of JSON."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks are no part of the package
environments = importlib.import_module("benchmarks.environments")


def listed(folder: Path, text: str, name: str = "nothing") -> Path:
    (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_an_environment_is_made_once_and_again_for_another_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installs: list[tuple[str, ...]] = []
    monkeypatch.setattr(environments, "_pip", lambda _python, *arguments: installs.append(arguments))
    folder, cache = listed(tmp_path, "# a comment\nsome-package==1.0\n"), tmp_path / "cache"
    python = environments.environment("nothing", folder, cache)
    assert python.is_file()
    assert installs == [("install", "--requirement", str(folder / "nothing.txt"))]
    assert environments.environment("nothing", folder, cache) == python
    listed(tmp_path, "# another comment\nsome-package==1.0\n")
    assert environments.environment("nothing", folder, cache) == python
    assert len(installs) == 1
    listed(tmp_path, "some-package==1.1\n")
    assert environments.environment("nothing", folder, cache) != python
    assert len(installs) == 2


def test_an_environment_that_was_left_unfinished_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_python: Path, *_arguments: str) -> None:
        msg = "no such package"
        raise environments.PeerError(msg)

    folder, cache = listed(tmp_path, "some-package==1.0\n"), tmp_path / "cache"
    with monkeypatch.context() as patched:
        patched.setattr(environments, "_pip", fail)
        with pytest.raises(environments.PeerError, match="no such package"):
            environments.environment("nothing", folder, cache)
    monkeypatch.setattr(environments, "_pip", lambda *_: None)
    assert environments.environment("nothing", folder, cache).is_file()


def test_a_list_pins_versions_and_names_a_python_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(environments.PeerError, match="'numpy>=1' pins no version"):
        environments.peer("nothing", listed(tmp_path, "numpy>=1\n"))
    with pytest.raises(environments.PeerError, match="no peer is called 'absent'; known: nothing"):
        environments.peer("absent", tmp_path)
    listed(tmp_path, "# python: 2.0\nsome-package==1.0\n")
    with pytest.raises(environments.PeerError, match=r"asks for Python 2\.0"):
        environments.environment("nothing", tmp_path, tmp_path / "cache")
    inner = listed(tmp_path, "some-package==1.0\n", "inner")
    before = environments.peer("outer", listed(inner, "-r inner.txt\n", "outer")).digest
    listed(tmp_path, "some-package==1.1\n", "inner")
    assert environments.peer("outer", inner).digest != before


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print('working'); print('{\"seconds\": [1.5]}')", None),
        ("raise SystemExit('broken')", "ended with 1: broken"),
        ("print('no object')", "printed no JSON object last, but: no object"),
        ("import time; time.sleep(60)", "took longer than 2 s"),
    ],
)
def test_a_peer_answers_with_one_line_or_its_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, told: str | None
) -> None:
    def here(_name: str, *_: Any) -> Path:
        return Path(sys.executable)

    monkeypatch.setattr(environments, "environment", here)
    script = tmp_path / "peer.py"
    script.write_text(code, encoding="utf-8")
    seconds = 2.0 if told and "longer" in told else 60.0
    if told is None:
        assert environments.ask("nothing", script, seconds=seconds) == {"seconds": [1.5]}
    else:
        with pytest.raises(environments.PeerError, match=told):
            environments.ask("nothing", script, seconds=seconds)


def test_every_list_of_the_project_is_pinned() -> None:
    for path in environments.PEERS.glob("*.txt"):
        assert environments.peer(path.stem).digest
