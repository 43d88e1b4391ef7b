"""kill -9 among two processes that answer, two that store and the database server, in any order, while rows come in.

The form that CI runs has a few kills. All 200 of the promise:

    PITSTOP_KILLS=200 python -m pytest tests/faults/test_kills_on_postgres.py -m slow -n 0
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.faults.sending import Sender
from tests.faults.test_kills import KILLS, free_port, verified
from tests.faults.victims import Victims

from pitstop.store.location import Location, write_location

PARTS = ("api", "api", "worker", "worker")


@pytest.mark.slow
def test_kills_of_any_of_two_of_each_and_of_the_database_lose_and_double_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database: Any = request.getfixturevalue("postgres")
    workspace, draw = tmp_path / "workspace", random.Random(23)
    write_location(workspace / "records", Location(database.url("kills")))
    ports = [free_port(), free_port()]
    killed: Counter[str] = Counter()
    with Victims() as victims:

        def begun(place: int) -> int:
            more = (ports[place],) if PARTS[place] == "api" else ()
            return victims.make(PARTS[place], workspace, *more)

        lives = [begun(place) for place in range(len(PARTS))]
        senders = [Sender(ports, start, 4, pause=0.1) for start in range(4)]
        for sender in senders:
            sender.start()
        for _ in range(KILLS):
            time.sleep(draw.uniform(0.02, 0.7))
            place = draw.randrange(len(PARTS) + 1)
            if place == len(PARTS):
                killed["database"] += 1
                database.kill()
                time.sleep(draw.uniform(0.0, 0.5))
                database.start()
            else:
                killed[PARTS[place]] += 1
                victims.kill(lives[place])
                lives[place] = begun(place)
        for sender in senders:
            sender.stopping.set()
        for sender in senders:
            sender.join(60)
            assert not sender.is_alive()
        for life in lives:
            victims.kill(life)
        assert victims.wait(victims.make("step", workspace, 0)) == 0
    assert set(killed) == {"api", "worker", "database"}
    sys.stdout.write(f"{dict(killed)}, {verified(workspace, senders)}\n")
