"""`pitstop feed` from a topic: once, up to where the topic ended, or for ever."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import typer

from pitstop.cli.showing import interrupted_quietly
from pitstop.cli.topic_rows import Kind, hand_over_run, open_door
from pitstop.integrations.feeding import Fed
from pitstop.integrations.kafka_settings import read_topic
from pitstop.integrations.kafka_source import KafkaSource

# How long one read waits for messages.
_READ_SECONDS = 0.25
# A single look gives up where nothing came for so long.
_PATIENCE_SECONDS = 30.0
# The same trouble is told again after this.
_REPEAT_SECONDS = 60.0


def feed_topic(
    kind: Kind,
    target: str,
    source: str,
    model: str,
    key: str,
    settings: Path | None,
    *,
    rows: int,
    every: float,
    tell: Callable[[Fed], None],
) -> None:
    """Hand over what a topic holds, to its end (`every` 0) or for ever.

    Raises `IngestError` for an address, a setting, a model that cannot be; `typer.Exit` with 1 after one look with
    problems.
    """
    with ExitStack() as stack:
        door = stack.enter_context(open_door(target, model, key))
        topic = read_topic(source, f"pitstop-{door.model}-{kind}", settings, os.environ)
        stack.enter_context(interrupted_quietly())
        reader = stack.enter_context(
            KafkaSource(topic, lambda run: hand_over_run(door, kind, run), rows=rows, linger=every)
        )
        if not every:
            found = _to_the_end(reader)
            tell(found)
            if found.problems:
                raise typer.Exit(1)
            return
        told: tuple[str, ...] = ()
        again = 0.0
        while True:
            found = reader.turn(min(every, _READ_SECONDS))
            fresh = found.problems and (found.problems != told or time.monotonic() > again)
            if fresh:
                told, again = found.problems, time.monotonic() + _REPEAT_SECONDS
            elif found.rows:
                told = ()
            if found.rows or fresh:
                tell(Fed(found.rows, 0, found.problems if fresh else ()))


def _to_the_end(reader: KafkaSource) -> Fed:
    """Return what a single look brought. What went wrong and was mended meanwhile is no problem."""
    rows, last = 0, Fed(0, 0)
    heard = time.monotonic()
    lasting: list[str] = []
    while not reader.done:
        found = reader.turn(_READ_SECONDS)
        rows += found.rows
        heard = max(heard, reader.heard) if not found.rows else time.monotonic()
        if found.problems:
            last = found
        if time.monotonic() - heard > _PATIENCE_SECONDS:
            lasting = list(last.problems) or ["nothing came, and the end of the topic was not reached"]
            break
    return Fed(rows, 0, tuple(dict.fromkeys([*reader.lasting, *lasting])))
