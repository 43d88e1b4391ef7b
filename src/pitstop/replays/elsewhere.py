"""Trainings elsewhere in a home: asked for, taken in, given up; each in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pitstop.errors import ReleaseError
from pitstop.loop.elsewhere import Delivery, Training, keep_no_delivery
from pitstop.loop.keeping import save
from pitstop.loop.orders import Order
from pitstop.records.spec import ModelSpec
from pitstop.replays.ordering import opened_loop, refuse_again
from pitstop.store.home import Home


@dataclass(frozen=True)
class Brought:
    """What became of a delivery: `stages` as in `ordering.Done`, `said` what the comparison says (empty: none)."""

    delivery: str
    champion: str
    stages: tuple[tuple[int, str, str], ...]
    said: str


def ask(
    home: Path | str, order: Order, *, spec: ModelSpec, base: Path | str, hand_over: Callable[[Training], None]
) -> Training:
    """Record that another system is asked to train; `hand_over` puts its rows where it finds them, before the commit.

    Raises `ReleaseError` where there is nothing to train on or the model has not begun, `StoreError` as `carry_out`.
    """
    with ExitStack() as stack:
        kept, loop = opened_loop(stack, home, spec, base)
        if loop.baseline is None:
            msg = f"{spec.model.name!r} has no first model yet; wait until its start"
            raise ReleaseError(msg)
        refuse_again(kept, loop, order)
        found = loop.upkeep.ask_elsewhere(order, spec.calendar.window_start(loop.window), loop.chain)
        hand_over(found)
        with kept.transaction() as store:
            for item in found.kept:
                store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, spec.model.name)
    return found


def take(home: Path | str, delivered: Callable[[int], Delivery], *, spec: ModelSpec, base: Path | str) -> Brought:
    """Take in what `delivered` returns of an instant of the model: the opening of the next window.

    Raises `TrainingError` where what was brought cannot be used, `ReleaseError` where it has no place; nothing has
    changed then (see `give_up`).
    """
    model, calendar = spec.model.name, spec.calendar
    with ExitStack() as stack:
        kept, loop = opened_loop(stack, home, spec, base)
        at = calendar.window_start(loop.window)
        delivery = delivered(at)
        change = loop.upkeep.take_elsewhere(delivery, at)
        found = [*change.kept, *loop.books.fits(at, loop.window, change.kept)]
        with kept.transaction() as store:
            for item in found:
                store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, model)
            save(store, loop)
        champion = loop.upkeep.timeline.champion
        assert champion is not None  # noqa: S101 - one was asked to be trained; for the type checker
        compared = [item.content for item in found if item.kind == "comparison"]
        return Brought(
            delivery.record.id,
            f"v{champion.version}",
            tuple(
                (item.content["version"], item.content["stage"], item.content["reason"])
                for item in found
                if item.kind == "release"
            ),
            f"{compared[0]['verdict']} on {compared[0]['rows']} held-out rows" if compared else "",
        )


def give_up(home: Path | str, model: str, training: str, *, error: str, message: str) -> str:
    """Record once that a training gave no model, and why; return the record's id."""
    with Home.open(home, create=False) as kept:
        saved = kept.load_state(model)
        asked = {item.id: item for item in kept.artifacts("training", model)}
        if saved is None or training not in asked:
            msg = f"{home} has asked nobody for {training}"
            raise ReleaseError(msg)
        challenger = str(asked[training].content["challenger"]["id"])
        made = keep_no_delivery(training, challenger, saved.as_of, error=error, message=message)
        if made.id not in {item.id for item in kept.artifacts("failure", model)}:
            with kept.transaction() as store:
                store.put_artifact(made.content, made.kind, made.id, made.at, made.caused_by, model)
    return made.id
