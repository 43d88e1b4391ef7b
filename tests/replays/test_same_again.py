"""The same history gives the same artifacts: again, in another order of rows, in steps, and after kill -9."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pitstop.records.spec import ModelSpec
from pitstop.store.home import Home

PITSTOP = (sys.executable, "-c", "from pitstop.cli.main import run; run()")


def test_rows_in_another_order_give_the_same_artifacts(
    small: Any, workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    table = history()
    shuffled = table.take(np.random.default_rng(3).permutation(table.num_rows))
    again = workshop.replay(shuffled, spec, "shuffled")
    assert again.artifacts == small.artifacts
    assert again.document == small.document


@pytest.mark.parametrize(
    "steps",
    [
        ("2024-01-10", "2024-01-17", "2024-01-28", "2024-02-11", "2024-02-13", "2025-01-01"),
        pytest.param((*(f"2024-01-{day:02}" for day in range(2, 32)), "2025-01-01"), marks=pytest.mark.slow),
    ],
    ids=["some", "daily"],
)
def test_running_in_steps_is_replaying(
    steps: tuple[str, ...], small: Any, workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    name = f"steps-{len(steps)}"
    table = history()
    taken = [workshop.run(table, spec, name, as_of) for as_of in steps]
    assert sum(taken) == 55
    assert workshop.run(table, spec, name, steps[-1]) == 0
    assert workshop.artifacts(name) == small.artifacts
    # A finished home has nothing left to walk, and still tells the whole story.
    told = workshop.replay(table, spec, name)
    assert told.document == small.document


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_at_random_moments_it_ends_the_same(
    seed: int, small: Any, workshop: Any, spec: ModelSpec, history: Callable[..., pa.Table]
) -> None:
    chance = random.Random(seed)
    home = workshop.folder / f"killed-{seed}"
    command = _command(workshop.folder, home, spec, history())
    killed = 0
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            _wait_for_windows(process, home, chance.randrange(1, 20))
            time.sleep(chance.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += process.returncode == -signal.SIGKILL
    assert killed >= 2
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(small.document))
    assert workshop.artifacts(home.name) == small.artifacts
    with Home.open(home) as kept:
        found = kept.verify(rows=True)
        assert found.faults == ()
        assert found.size > 0


def _command(folder: Path, home: Path, spec: ModelSpec, table: pa.Table) -> tuple[str, ...]:
    pq.write_table(table, folder / "history.parquet")
    (folder / "pitstop.toml").write_text(_toml(spec))
    arguments = ("replay", folder / "history.parquet", "--spec", folder / "pitstop.toml", "--home", home, "--json")
    return (*PITSTOP, *(str(part) for part in arguments))


def _toml(spec: ModelSpec) -> str:
    """Return a specification as TOML: JSON texts, numbers and lists are TOML as well."""
    lines = []
    for section, content in asdict(spec).items():
        lines.append(f"[{section}]")
        for key, value in content.items():
            if isinstance(value, dict):
                inside = ", ".join(f"{name} = {json.dumps(item)}" for name, item in value.items() if item is not None)
                lines.append(f"{key} = {{ {inside} }}")
            elif value is not None:
                lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines)


def _wait_for_windows(process: subprocess.Popen[str], home: Path, more: int) -> None:
    """Wait until a replay has committed some windows more than the home holds, or has ended."""
    wanted = _windows(home) + more
    limit = time.monotonic() + 120
    while process.poll() is None and _windows(home) < wanted and time.monotonic() < limit:
        time.sleep(0.05)


def _windows(home: Path) -> int:
    return len(list((home / "segments").rglob("*predictions*.parquet"))) if home.exists() else 0
