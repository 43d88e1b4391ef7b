"""A process that is kept: whatever it prints, it is heard, and begun anew where it ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pitstop.service.kept import KeptProcess

NOISY = """
import json, sys, time
from pathlib import Path
times = Path(sys.argv[1])
times.write_text(times.read_text() + "x")
print("a library greets", flush=True)
print(json.dumps({"problem": "the disk is full"}), flush=True)
print("[1, 2]", flush=True)
sys.stdin.read() if len(times.read_text()) > 1 else print('{"prob', end="", flush=True)
"""


def test_what_a_library_prints_ends_no_keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "noisy.py").write_text(NOISY, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    times = tmp_path / "times"
    times.write_text("", encoding="utf-8")
    kept = KeptProcess("noisy", [str(times)], "works")
    kept.start()
    try:
        until = time.monotonic() + 60
        while (len(times.read_text()), kept.problem) != (2, "the disk is full") and time.monotonic() < until:
            time.sleep(0.05)
        assert (len(times.read_text()), kept.problem) == (2, "the disk is full")
    finally:
        kept.stop()
