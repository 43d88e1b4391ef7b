"""Questions about releases: proven before, approved by somebody else, and a way back."""

from __future__ import annotations

from pitstop.compliance.facts import Answer, Facts, Query, ids, many


def _compared(facts: Facts, _item: str, _limit: int) -> Answer:
    """Every model but the first was proven better before it served, or was gone back to because it was."""
    champions = facts.champions
    if not champions:
        return Answer("not applicable", "no model was released")
    proofs, bad = [], []
    for release in champions[1:]:
        found = [cause for cause in release.caused_by if _proves(facts, cause, release.model)]
        proofs += found[:1]
        if not found:
            bad.append(release.id)
    if facts.candidate:
        found = [item.id for item in facts.of("comparison") if _proves(facts, item.id, facts.candidate)]
        proofs += found[-1:]
        bad += [] if found else [facts.candidate]
    if bad:
        return Answer("fail", f"{many(bad, 'release')} without a comparison that proves the model better", tuple(bad))
    sentence = f"{many(champions, 'release')}: the first, and {len(proofs)} with a comparison won"
    return Answer("pass", sentence, (champions[0].id, *proofs))


def _proves(facts: Facts, cause: str, model: str) -> bool:
    proof = facts.by_id.get(cause)
    if proof is None or proof.kind != "comparison" or proof.content["verdict"] != "better":
        return False
    # The refit of a proven recipe is no party of the comparison, but its cause.
    return model in {proof.content["challenger"], *proof.caused_by}


def _baselines(facts: Facts, _item: str, _limit: int) -> Answer:
    """What healthy means was recorded when each model began to serve, not afterwards."""
    found = {(item.content["owner"], item.at): item.id for item in facts.of("baseline")}
    wanted = [(release.id, release.at) for release in facts.champions]
    if not wanted:
        wanted = [(item.id, item.at) for item in facts.of("spec") if facts.start is not None]
    if not wanted:
        return Answer("not applicable", "monitoring has not begun")
    bad = tuple(owner for owner, at in wanted if (owner, at) not in found)
    if bad:
        return Answer("fail", f"{many(bad, 'model')} began to serve without a baseline recorded at that moment", bad)
    sentence = f"{many(wanted, 'baseline')}, each recorded when its model began to serve"
    return Answer("pass", sentence, tuple(found[key] for key in wanted))


def _way_back(facts: Facts, _item: str, _limit: int) -> Answer:
    """There is a model to go back to that served before and was not found worse."""
    if len({release.version for release in facts.champions}) < 2:
        return Answer("not applicable", "no model was replaced yet")
    target = facts.timeline.rollback_target
    if target is None:
        last = tuple(release.id for release in facts.champions[-1:])
        return Answer("fail", "every other model that served was rolled back", last)
    return Answer("pass", f"version {target.version}, which served before", (target.id,))


def _approved(facts: Facts, _item: str, _limit: int) -> Answer:
    """The model that is to replace another, or did last, was approved by somebody who did not make it.

    The first model is the owner's own act of starting: nothing served before it that could be put at risk.
    """
    models = {release.model: release for release in facts.champions}
    asked = facts.candidate or (facts.champions[-1].model if len(models) > 1 else "")
    if not asked or (not facts.candidate and asked == facts.champions[0].model):
        return Answer("not applicable", "no model has replaced another, or is to")
    said = [item for item in facts.of("approval") if item.content["challenger"] == asked]
    if not facts.candidate:
        began = max(release.at for release in facts.champions if release.model == asked)
        said = [item for item in said if item.at <= began]
    if not said:
        return Answer("fail", "nobody approved this model before it served", (asked,))
    good = [item for item in said if _by_another(facts, str(item.content["by"]))]
    if not good:
        who = ", ".join(sorted({str(item.content["by"]) for item in said}))
        return Answer("fail", f"approved only by {who}, who is an author or no approver", ids(said))
    return Answer("pass", f"approved by {good[-1].content['by']} at {facts.name(good[-1].at)}", (good[-1].id,))


def _by_another(facts: Facts, name: str) -> bool:
    return facts.people.holds(name, "approver") and not facts.people.is_author(name)


def _overrides(facts: Facts, _item: str, limit: int) -> Answer:
    """At most `limit` releases of the last 365 days were made against an open item."""
    lately = [item for item in facts.of("override") if facts.days(item.at) <= 365]
    if len(lately) > limit:
        return Answer("fail", f"{many(lately, 'override')} within 365 days, {limit} may be", ids(lately))
    return Answer("pass", f"{many(lately, 'override')} within 365 days, each with a name and a reason", ids(lately))


def _drilled(facts: Facts, item: str, limit: int) -> Answer:
    """Going back was done for real, or a person says that it was drilled, at most `limit` days ago.

    What a person says counts until the day that was said with it, as every attestation does.
    """
    real = [found for found in facts.of("release") if found.content["stage"] == "rolled_back"]
    if real and facts.days(real[-1].at) <= limit:
        sentence = f"version {real[-1].content['version']} was rolled back at {facts.name(real[-1].at)}"
        return Answer("pass", sentence, (real[-1].id,))
    said = [found for found in facts.of("attestation") if found.content["item"] == item]
    until = said[-1].content.get("until") if said else None
    if said and facts.days(said[-1].at) <= limit and (until is None or facts.now <= int(until)):
        by = f"{said[-1].content['by']}, at {facts.name(said[-1].at)}"
        return Answer("attested", f"a drill, says {by}: {said[-1].content['text']}", (said[-1].id,))
    if real or said:
        last = max((*real, *said), key=lambda found: found.at)
        return Answer("stale", f"last at {facts.name(last.at)}, {facts.days(last.at)} days ago", (last.id,))
    return Answer("fail", "never rolled back, and nobody says that it was drilled")


QUERIES = (
    Query("releases_were_compared", _compared),
    Query("champions_have_a_baseline", _baselines),
    Query("a_rollback_target_exists", _way_back),
    Query("release_is_approved", _approved),
    Query("overrides_are_rare", _overrides, "overrides in 365 days"),
    Query("a_rollback_was_drilled", _drilled, "days"),
)
