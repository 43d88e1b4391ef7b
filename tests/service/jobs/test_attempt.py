"""One try of a job: what its process prints, and how it dies, is told and nothing worse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from pitstop.service.jobs.attempt import attempt

ODD = """#!/bin/sh
printf '\\377\\376 no text\\n' >&2
printf '\\377 neither\\n' >&2
printf '%s' "$PITSTOP_SAYS"
exit 9
"""


@pytest.mark.parametrize("said", ["", '{"end": "done", "outcome": {"windows": 1'])
def test_a_process_that_prints_what_is_no_text_or_dies_in_a_word_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    program = tmp_path / "python"
    program.write_text(ODD, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("PITSTOP_SAYS", said)
    found: dict[str, Any] = attempt(tmp_path, {"id": "j"}, 30.0, lambda *_: False)
    assert (found["end"], found["outcome"]["error"]) == ("again", "Crash")
    assert "ended with 9" in found["outcome"]["message"]
    assert "neither" in found["outcome"]["message"]
