"""Releases as their page shows them: what serves, what waits, what was decided and compared, and what holds it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pitstop.loop.duels import Duel
from pitstop.records.spec import ModelSpec
from pitstop.releases import Release, ReleaseTimeline
from pitstop.replays.standing import running
from pitstop.store.home import ArtifactRecord

Kept = Mapping[str, Sequence[ArtifactRecord]]


def timeline_of(kept: Kept) -> ReleaseTimeline:
    """Return the releases that were kept."""
    return ReleaseTimeline(tuple(Release.from_json(dict(item.content)) for item in kept.get("release", ())))


def releases(spec: ModelSpec, kept: Kept, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of the page: newest first in every list."""
    calendar, timeline = spec.calendar, timeline_of(kept)
    names = {release.model: f"v{release.version}" for release in timeline.releases}
    champion, target = timeline.champion, timeline.rollback_target
    upkeep = state.get("upkeep", {})
    return {
        "currency": spec.value.currency,
        "trains": spec.trains,
        "canary_share": spec.canary.share,
        "champion": None if champion is None else _release(spec, champion),
        "target": None if target is None else f"v{target.version}",
        "waiting": [
            _release(spec, release) for release in timeline.versions.values() if release.stage in ("shadow", "canary")
        ],
        "tests": tests_of(spec, names, upkeep),
        "held": _held(spec, kept, upkeep, names),
        "timeline": [_release(spec, release) for release in reversed(timeline.releases)],
        "decisions": [
            {
                "id": item.id,
                "at": item.at,
                "when": calendar.name_instant(item.at),
                "action": item.content["action"],
                "reason": item.content["reason"],
                "policy": item.content["policy"],
                "wait": _cost(item.content, "keep"),
                "stop": _cost(item.content, "retrain"),
                "caused_by": list(item.caused_by),
            }
            for item in reversed(kept.get("decision", ()))
        ],
        "comparisons": [
            {
                "id": item.id,
                "when": calendar.name_instant(item.at),
                "challenger": names.get(item.content["challenger"], "a candidate of its recipe"),
                "champion": names.get(item.content["champion"], "a candidate"),
                **{key: item.content[key] for key in ("rows", "mean_difference", "low", "high", "evidence", "verdict")},
                "segments": item.content.get("segments"),
            }
            for item in reversed(kept.get("comparison", ()))
        ],
        "orders": [
            {"id": item.id, "when": calendar.name_instant(item.at), **item.content}
            for item in reversed(kept.get("order", ()))
        ],
    }


def tests_of(spec: ModelSpec, names: Mapping[str, str], upkeep: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how each running comparison stands: evidence, its interval, and about how long a verdict takes."""
    candidates = {int(number): names.get(item["id"], "v?") for number, item in upkeep.get("candidates", {}).items()}
    recipes = {int(number): str(item["recipe"]["name"]) for number, item in upkeep.get("candidates", {}).items()}
    found = []
    for item in upkeep.get("duels", ()):
        duel = Duel.from_state(item)
        stand = running(duel, candidates[duel.other], spec, recipes[duel.other])
        low, high = (None if abs(end) == float("inf") else end for end in (stand.low, stand.high))
        more = {"low": low, "high": high, "windows": duel.windows, "margin": duel.test.margin}
        found.append({**asdict(stand), **more})
    return found


def _release(spec: ModelSpec, release: Release) -> dict[str, Any]:
    return {
        "id": release.id,
        "at": release.at,
        "when": spec.calendar.name_instant(release.at),
        "version": f"v{release.version}",
        "number": release.version,
        "stage": release.stage.replace("_", " "),
        "rows": release.trained_on_rows,
        "reason": release.reason,
        "caused_by": list(release.caused_by),
        "model": release.model,
        "share": release.share,
    }


def _held(spec: ModelSpec, kept: Kept, upkeep: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the release that packs hold up, with the open items; None where none waits."""
    refusals = kept.get("refusal", ())
    if not upkeep.get("held") or not refusals:
        return None
    refusal = refusals[-1]
    model = refusal.content["challenger"]
    approvals = [item.content for item in kept.get("approval", ()) if item.content["challenger"] == model]
    overrides = [item.content for item in kept.get("override", ()) if item.content["challenger"] == model]
    return {
        "id": refusal.id,
        "model": model,
        "version": names.get(model, "the candidate"),
        "when": spec.calendar.name_instant(refusal.at),
        "sentence": refusal.content["sentence"],
        "items": [
            {**item, "overridden": next((said["by"] for said in overrides if said["item"] == item["item"]), "")}
            for item in refusal.content["open"]
        ],
        "approvals": [{"by": said["by"], "text": said["text"]} for said in approvals],
    }


def _cost(content: Mapping[str, Any], action: str) -> float | None:
    costs = [option["cost"] for option in content["alternatives"] if option["action"] == action]
    return float(costs[0]) if costs and abs(costs[0]) != float("inf") else None
