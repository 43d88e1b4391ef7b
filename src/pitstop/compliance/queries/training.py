"""Questions about training: on which rows, by which program, without which columns."""

from __future__ import annotations

from pitstop.compliance.facts import Answer, Facts, Query, ids, many


def _digested(facts: Facts, _item: str, _limit: int) -> Answer:
    """Every model that was trained says on how many rows, and on which."""
    trained = facts.of("challenger")
    if not trained:
        return Answer("not applicable", "no model was trained")
    bad = ids(item for item in trained if not item.content.get("rows_digest") or not item.content.get("rows"))
    if bad:
        return Answer("fail", f"{many(bad, 'trained model')} without a digest of the training rows", bad)
    return Answer("pass", f"{many(trained, 'trained model')}, each with a digest of its rows", ids(trained))


def _repeatable(facts: Facts, _item: str, _limit: int) -> Answer:
    """Every model that was trained names its recipe, trainer, the trainer's version and its seed."""
    trained = facts.of("challenger")
    if not trained:
        return Answer("not applicable", "no model was trained")
    wanted = ("recipe", "trainer", "trainer_version", "seed")
    bad = ids(item for item in trained if any(item.content.get(name) in (None, "") for name in wanted))
    if bad:
        return Answer("fail", f"{many(bad, 'trained model')} without recipe, trainer, its version or seed", bad)
    return Answer(
        "pass", f"{many(trained, 'trained model')}, each with recipe, trainer, version and seed", ids(trained)
    )


def _harmless(facts: Facts, _item: str, _limit: int) -> Answer:
    """No model whose training failed ever served or shadowed."""
    failed = {item.content["challenger"]: item.id for item in facts.of("failure")}
    if not failed:
        return Answer("not applicable", "no training failed")
    bad = tuple(release.id for release in facts.timeline.releases if release.model in failed)
    if bad:
        return Answer("fail", f"{many(bad, 'release')} of a model whose training failed", bad)
    return Answer("pass", f"{many(failed, 'failed training')}, none of it released", tuple(failed.values()))


def _specified(facts: Facts, _item: str, _limit: int) -> Answer:
    """The specification is on record, and was before anything was trained or released from it."""
    specs = facts.of("spec")
    made = facts.of("challenger", "release", "baseline")
    if not specs:
        return Answer("fail" if made else "not applicable", "no specification is on record", ids(made))
    early = [item for item in made if item.at < specs[0].at]
    if early:
        return Answer("fail", f"{many(early, 'artifact')} from before the specification was recorded", ids(early))
    return Answer("pass", f"on record since {facts.name(specs[0].at)}", ids(specs))


def _columns(facts: Facts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    columns = facts.spec.get("columns", {})
    return tuple(columns.get("protected", ())), tuple(columns.get("features", ()))


def _named(facts: Facts, _item: str, _limit: int) -> Answer:
    """The specification names the protected columns by which groups are compared."""
    protected, _ = _columns(facts)
    if not facts.of("spec"):
        return Answer("not applicable", "no specification is on record")
    if not protected:
        return Answer("fail", "[columns] protected names no column, so no group can be compared", ids(facts.of("spec")))
    return Answer("pass", f"groups by {', '.join(protected)}", ids(facts.of("spec")))


def _unused(facts: Facts, _item: str, _limit: int) -> Answer:
    """No protected column is a feature: the model does not see it."""
    protected, features = _columns(facts)
    if not protected:
        return Answer("not applicable", "no protected column is named")
    seen = [name for name in protected if name in features]
    if seen:
        return Answer("fail", f"the model sees {', '.join(seen)}", ids(facts.of("spec")))
    return Answer("pass", f"the model does not see {', '.join(protected)}", ids(facts.of("spec")))


QUERIES = (
    Query("training_rows_are_digested", _digested),
    Query("training_can_be_repeated", _repeatable),
    Query("failures_did_no_harm", _harmless),
    Query("specification_is_on_record", _specified),
    Query("protected_columns_are_named", _named),
    Query("protected_columns_are_not_used", _unused),
)
