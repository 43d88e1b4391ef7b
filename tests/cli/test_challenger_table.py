"""`pitstop challenger`: the table of segments is printed when it says something."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from pitstop.cli.order_commands import _by_segment


def printed(rows: int) -> str:
    unknown: dict[str, Any] = {"gain": None, "low": None, "high": None, "needed": None}
    standing = {"column": "plant", "value": "Graz", "verdict": "undecided", "rows": rows, **unknown}
    file = io.StringIO()
    _by_segment(
        Console(file=file, width=80), "v2", {"standings": [standing], "left_out": 0, "margin": 2.5, "alpha": 0.05}
    )
    return file.getvalue()


def test_segments_are_shown_from_their_first_label_on() -> None:
    assert printed(0) == ""
    assert "plant = Graz" in printed(1)
