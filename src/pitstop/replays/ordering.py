"""Carries out what a person orders in a home, between two runs, and publishes what serves afterwards."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pitstop.errors import ReleaseError
from pitstop.loop.keeping import save
from pitstop.loop.loop import Loop
from pitstop.loop.orders import Order
from pitstop.records.spec import ModelSpec
from pitstop.replays.publishing import Publish, publication_of
from pitstop.replays.walk import open_loop
from pitstop.store.home import Home


@dataclass(frozen=True)
class Done:
    """What became of an order: its id, the instant that it is dated, and what serves now.

    `stages` are (version, stage, reason) of every release that followed. `open` is why a release is held up, `failure`
    why a fit failed; both empty where not. `champion` is like "v3", `digest` the hex SHA-256 of its file.
    """

    order: str
    at: str
    champion: str
    digest: str
    stages: tuple[tuple[int, str, str], ...]
    open: str = ""
    failure: str = ""

    @property
    def carried_out(self) -> bool:
        """Whether what was ordered came about."""
        return not self.open and not self.failure


def refuse_again(home: Home, loop: Loop, order: Order) -> None:
    """Raise `ReleaseError` where the same order was given before in this window, at another moment."""
    if not loop.upkeep.timeline.releases:
        return
    at = loop.calendar.window_start(loop.window)
    again = loop.upkeep.ordered(order, at)
    for known in home.artifacts("order", loop.spec.model.name):
        if known.id == again.id and known.content != again.content:
            msg = (
                f"{order.by.strip()} gave this order already, for the reason {order.reason.strip()!r}, in the window "
                f"that begins at {loop.calendar.name_instant(at)}; give another reason, or wait for the next window"
            )
            raise ReleaseError(msg)


def carry_out(
    home: Path | str, order: Order, *, spec: ModelSpec, base: Path | str = ".", publish: Publish | None = None
) -> Done:
    """Do what is ordered with the model of `spec` in a home, and commit it in one transaction.

    `publish` is called with the champion after the commit. Raises `ReleaseError` where the order cannot be carried out;
    nothing has changed then. `StoreError` where the home was made with another specification.
    """
    model, calendar = spec.model.name, spec.calendar
    with ExitStack() as stack:
        kept, loop = opened_loop(stack, home, spec, base)
        at = calendar.window_start(loop.window)
        refuse_again(kept, loop, order)
        found = loop.obey(order)
        with kept.transaction() as store:
            for item in found:
                store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, model)
            save(store, loop)
        champion = loop.upkeep.timeline.champion
        assert champion is not None  # noqa: S101 - obey() refuses before the first release; for the type checker
        if publish is not None:
            publish(publication_of(loop, champion))
        by_kind = {item.kind: item for item in found}
        return Done(
            order=by_kind["order"].id,
            at=calendar.name_instant(at),
            champion=f"v{champion.version}",
            digest=loop.upkeep.digests[champion.model],
            stages=tuple(
                (item.content["version"], item.content["stage"], item.content["reason"])
                for item in found
                if item.kind == "release"
            ),
            open=by_kind["refusal"].content["sentence"] if "refusal" in by_kind else "",
            failure=by_kind["failure"].content["message"] if "failure" in by_kind else "",
        )


def opened_loop(stack: ExitStack, home: Path | str, spec: ModelSpec, base: Path | str) -> tuple[Home, Loop]:
    """Open a home and the loop of a model in it, between two windows, until the stack ends.

    Raises `ReleaseError` where the model has not begun, `StoreError` where another specification made it.
    """
    model, calendar = spec.model.name, spec.calendar
    kept = stack.enter_context(Home.open(home, create=False))
    saved = kept.load_state(model)
    if saved is None:
        known = ", ".join(kept.models()) or "none"
        msg = f"{home} holds no model {model!r} (it has {known}); run `pitstop run` first"
        raise ReleaseError(msg)
    start = calendar.window_start(saved.values["start"])
    first = min((segment.window for segment in kept.segments("predictions", model)), default=saved.values["start"])
    return kept, open_loop(stack, kept, spec, Path(base), first=first, start=start)
