"""Follows the alias of an MLflow registry: a release made there is taken over here, before the next rows are taken in.

Of a model that is only watched, another version under the alias is a release. Of one that is trained here, an alias
that was moved back to the version before is the order to roll back; any other move is undone when it is published next.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from pitstop.errors import StoreError
from pitstop.integrations.mlflow_registry import CONFIRMED, RegisteredVersion, aliased
from pitstop.integrations.mlflow_target import version_of
from pitstop.loop.adopting import adopt
from pitstop.loop.keeping import save
from pitstop.loop.orders import Order
from pitstop.records.spec import ModelSpec
from pitstop.releases import Release, ReleaseTimeline
from pitstop.replays.ordering import carry_out, opened_loop
from pitstop.store.home import Home

BY = "mlflow"


def follow(home: Path | str, spec: ModelSpec, base: Path | str) -> str:
    """Take over what the registry says; return it in one sentence, empty where nothing is new.

    Nothing before the model has begun here. Raises `ReleaseTargetError` where the registry does not answer.
    """
    serving = spec.serving
    if not (serving.mlflow and serving.mlflow_follow):
        return ""
    try:
        with Home.open(home, read_only=True) as kept:
            begun = kept.load_state(spec.model.name) is not None
            stages = tuple(Release.from_json(dict(item.content)) for item in kept.artifacts("release", spec.model.name))
            known = {item.id: item.content for item in kept.artifacts("registered-model", spec.model.name)}
    except StoreError:
        return ""  # there is no home yet
    named = aliased(serving.mlflow, spec.model.name, serving.mlflow_alias) if begun else None
    if named is None:
        return ""
    timeline = ReleaseTimeline(stages)
    if spec.trains:
        return _rolled_back(home, spec, base, timeline, named)
    serves = known.get(timeline.champion.model, {}) if timeline.champion else {}
    same = (serves.get("version"), serves.get("run")) == (named.version, named.run)
    return "" if same else _adopted(home, spec, base, named)


def _adopted(home: Path | str, spec: ModelSpec, base: Path | str, named: RegisteredVersion) -> str:
    """Take over that another version serves; return why."""
    why = f"the alias {spec.serving.mlflow_alias!r} names version {named.version} in MLflow"
    with ExitStack() as stack:
        opened, loop = opened_loop(stack, home, spec, base)
        if loop.baseline is None:
            return ""
        found = adopt(loop, named.to_json(), why=why)
        with opened.transaction() as store:
            for item in found:
                store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, spec.model.name)
            save(store, loop)
    return why


def _rolled_back(
    home: Path | str, spec: ModelSpec, base: Path | str, timeline: ReleaseTimeline, named: RegisteredVersion
) -> str:
    """Roll back where somebody moved the alias to the version before; return why."""
    champion, target = timeline.champion, timeline.rollback_target
    if champion is None or target is None or named.tags.get("pitstop.version") != str(target.version):
        return ""
    ours = version_of(spec.serving.mlflow, spec.model.name, champion.id)
    if ours is None or CONFIRMED not in ours.tags:
        return ""  # not moved: what serves here has not been published yet
    why = f"the alias {spec.serving.mlflow_alias!r} was moved back to version {named.version} in MLflow"
    carry_out(home, Order("rollback", BY, why), spec=spec, base=base)
    return why
