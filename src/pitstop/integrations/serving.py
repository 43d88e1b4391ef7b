"""A live run: one tick of the loop, then the champion published where the specification says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pitstop.errors import ReleaseTargetError, SpecError
from pitstop.integrations.base import ReleaseTarget
from pitstop.integrations.command_target import CommandTarget
from pitstop.integrations.folder_target import FolderTarget
from pitstop.integrations.following import follow
from pitstop.integrations.kserve_target import KserveTarget
from pitstop.integrations.mlflow_target import MlflowTarget
from pitstop.integrations.webhook_target import WebhookTarget
from pitstop.loop.orders import Order
from pitstop.records.spec import ModelSpec, ServingSection
from pitstop.registry import Registry
from pitstop.replays import ordering, replay
from pitstop.replays.ordering import Done
from pitstop.replays.publishing import Publication, Publish
from pitstop.replays.walk import Progress, no_progress

BUILT_IN: tuple[ReleaseTarget, ...] = (
    FolderTarget(),
    CommandTarget(),
    WebhookTarget(),
    MlflowTarget(),
    KserveTarget(),
)
TARGETS: Registry[ReleaseTarget] = Registry("release target", "pitstop.targets", BUILT_IN)


def targets_of(section: ServingSection) -> tuple[ReleaseTarget, ...]:
    """Return where a spec publishes: what its keys name, the folder first, then installed targets.

    Raises `UnknownNameError` for one that is not installed.
    """
    names = [target.name for target in BUILT_IN if getattr(section, target.name)]
    return tuple(TARGETS.get(name) for name in dict.fromkeys((*names, *section.targets)))


def run(
    home: Path | str,
    *,
    spec: ModelSpec,
    source: Any,
    labels: Any = None,
    as_of: str = "",
    start: str = "",
    base: Path | str = ".",
    progress: Progress = no_progress,
) -> replay.Tick:
    """Do everything that is due at `as_of`: take in every window that has closed by then, commit each, and publish.

    `source` is the table (path, folder or object) to which rows and labels are added, or the `Received` rows and labels
    of a workspace; `labels` is a table of labels of its own (id, label, label time). `as_of` is an ISO instant or,
    with row-count windows, a number of rows; empty means all windows that are full. The other arguments are those
    of `replay`. Calling again with nothing new does nothing.

    The champion is published to each target of `[serving]` after the last commit, at every run, so a target that
    failed is tried again. Raises a `PitstopError` for input that cannot be used, and `ReleaseTargetError` where a model
    could not be published; what was taken in is then kept. With `mlflow_follow` a release made in the registry is taken
    over first.
    """
    problem: ReleaseTargetError | None = None
    try:
        follow(home, spec, base)
    except ReleaseTargetError as error:
        # A registry that is away holds no rows up. Nothing is published either, as a release there may be unheard of.
        problem = error
    done = replay.run(
        home,
        spec=spec,
        source=source,
        labels=labels,
        as_of=as_of,
        start=start,
        base=base,
        progress=progress,
        publish=_publisher(spec, Path(base)) if problem is None else None,
    )
    if problem is not None:
        raise problem
    return done


def carry_out(home: Path | str, order: Order, *, spec: ModelSpec, base: Path | str = ".") -> Done:
    """Do what a person orders, then publish what serves, each target verifying by digest that it does.

    `base` is the folder that the spec's paths are relative to. Raises what `replays.ordering.carry_out` raises, and
    `ReleaseTargetError` where the model could not be published; the order stands then, and the next run tries again.
    """
    return ordering.carry_out(home, order, spec=spec, base=base, publish=_publisher(spec, Path(base)))


def _publisher(spec: ModelSpec, base: Path) -> Publish | None:
    """Return what publishes to every target of a spec; None without any. Raises `SpecError` without a trainer."""
    targets = targets_of(spec.serving)
    if spec.serving.mlflow_follow and not spec.trains:
        # Who serves is decided there.
        targets = tuple(target for target in targets if target.name != "mlflow")
    if targets and not spec.trains:
        msg = (
            "[serving] names a target, but no model is trained here that could be published; add a trainer and a label"
        )
        raise SpecError(msg)

    def publish(publication: Publication) -> None:
        for target in targets:
            target.publish(publication, spec.serving, base)

    return publish if targets else None
