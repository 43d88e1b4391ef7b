"""Evidence queries: each looks in what was kept of one model for one thing that a policy may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from pitstop.journal.verification import Verification
from pitstop.records.calendar import Calendar
from pitstop.releases import Release, ReleaseTimeline

Status = Literal["pass", "fail", "stale", "attested", "not applicable"]


@dataclass(frozen=True)
class Artifact:
    """An artifact as it was kept."""

    id: str
    kind: str
    at: int
    caused_by: tuple[str, ...]
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """What is known of one model at the instant `now`.

    `artifacts` in the order in which they were kept; `windows` in which rows were logged, ascending; `start`: the first
    window that was monitored, None before there was one; `journal`: what its check found.
    """

    model: str
    calendar: Calendar
    now: int
    artifacts: tuple[Artifact, ...]
    windows: tuple[int, ...]
    start: int | None
    journal: Verification

    def of(self, kind: str) -> tuple[Artifact, ...]:
        """Return the artifacts of a kind."""
        return tuple(item for item in self.artifacts if item.kind == kind)

    @cached_property
    def by_id(self) -> Mapping[str, Artifact]:
        """Artifacts by id."""
        return {item.id: item for item in self.artifacts}

    @property
    def timeline(self) -> ReleaseTimeline:
        """The releases."""
        return ReleaseTimeline(tuple(Release.from_json(dict(item.content)) for item in self.of("release")))

    @property
    def champions(self) -> tuple[Release, ...]:
        """Every release from which on a model served."""
        return tuple(release for release in self.timeline.releases if release.stage == "champion")

    def name(self, instant: int) -> str:
        """Return an instant as text."""
        return self.calendar.name_instant(instant)


@dataclass(frozen=True)
class Answer:
    """What a query found: a sentence, and the ids of the artifacts behind it (those at fault, where it failed)."""

    status: Status
    sentence: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Query:
    """A way to look for evidence, asked with an item's id and limit; `measure` is the limit's unit, "" for none."""

    name: str
    find: Callable[[Facts, str, int], Answer]
    measure: str = ""


def _releases_were_compared(facts: Facts, _item: str, _limit: int) -> Answer:
    """Every model but the first was proven better before it served, or was gone back to because it was."""
    champions = facts.champions
    if not champions:
        return Answer("not applicable", "no model was released")
    proofs, bad = [], []
    for release in champions[1:]:
        found = [cause for cause in release.caused_by if _proves(facts, cause, release)]
        proofs += found[:1]
        if not found:
            bad.append(release.id)
    if bad:
        return Answer("fail", f"{_many(bad, 'release')} without a comparison that proves the model better", tuple(bad))
    sentence = f"{_many(champions, 'release')}: the first, and {len(proofs)} with a comparison won"
    return Answer("pass", sentence, (champions[0].id, *proofs))


def _proves(facts: Facts, cause: str, release: Release) -> bool:
    proof = facts.by_id.get(cause)
    if proof is None or proof.kind != "comparison" or proof.content["verdict"] != "better":
        return False
    # The refit of a proven recipe is no party of the comparison, but its cause.
    return release.model in {proof.content["challenger"], *proof.caused_by}


def _training_rows_are_digested(facts: Facts, _item: str, _limit: int) -> Answer:
    """Every model that was trained says on how many rows, and on which."""
    trained = facts.of("challenger")
    if not trained:
        return Answer("not applicable", "no model was trained")
    bad = _ids(item for item in trained if not item.content.get("rows_digest") or not item.content.get("rows"))
    if bad:
        return Answer("fail", f"{_many(bad, 'trained model')} without a digest of the training rows", bad)
    return Answer("pass", f"{_many(trained, 'trained model')}, each with a digest of its rows", _ids(trained))


def _champions_have_a_baseline(facts: Facts, _item: str, _limit: int) -> Answer:
    """What healthy means was recorded when each model began to serve, not afterwards."""
    found = {(item.content["owner"], item.at): item.id for item in facts.of("baseline")}
    wanted = [(release.id, release.at) for release in facts.champions]
    if not wanted:
        specs = [item for item in facts.of("spec") if facts.start is not None]
        wanted = [(item.id, item.at) for item in specs]
    if not wanted:
        return Answer("not applicable", "monitoring has not begun")
    bad = tuple(owner for owner, at in wanted if (owner, at) not in found)
    if bad:
        return Answer("fail", f"{_many(bad, 'model')} began to serve without a baseline recorded at that moment", bad)
    sentence = f"{_many(wanted, 'baseline')}, each recorded when its model began to serve"
    return Answer("pass", sentence, tuple(found[key] for key in wanted))


def _journal_verifies(facts: Facts, _item: str, limit: int) -> Answer:
    """The journal is intact, and at most `limit` entries at its end are not signed."""
    journal = facts.journal
    if journal.faults:
        return Answer("fail", "; ".join(fault.sentence for fault in journal.faults))
    if journal.unprotected > limit:
        return Answer("stale", f"the last {journal.unprotected:,} entries are not signed, {limit:,} may be")
    return Answer("pass", f"{journal.size:,} entries, {journal.signed_size:,} of them signed")


def _monitoring_has_no_gap(facts: Facts, _item: str, limit: int) -> Answer:
    """Since the start no more than `limit` windows in a row went by without any row, nor up to now."""
    if facts.start is None:
        return Answer("not applicable", "monitoring has not begun")
    now = facts.calendar.window_at(facts.now)
    seen = [window for window in facts.windows if facts.start <= window < now]
    gaps = [(left, right) for left, right in pairwise([facts.start - 1, *seen]) if right - left - 1 > limit]
    if gaps:
        left, right = max(gaps, key=lambda gap: gap[1] - gap[0])
        where = f"{facts.calendar.name_window(left + 1)} to {facts.calendar.name_window(right - 1)}"
        return Answer("fail", f"{_many(gaps, 'gap')} of more than {limit} windows; the longest from {where}")
    last = seen[-1] if seen else facts.start - 1
    if now - last - 1 > limit:
        return Answer("stale", f"no row since {facts.calendar.name_window(last)}, {now - last - 1} windows ago")
    return Answer("pass", f"rows in {len(seen):,} windows since {facts.calendar.name_window(facts.start)}")


def _a_decision_is_recent(facts: Facts, _item: str, limit: int) -> Answer:
    """Whether to retrain was decided at most `limit` periods ago."""
    if facts.start is None:
        return Answer("not applicable", "monitoring has not begun")
    decisions = facts.of("decision")
    begun = facts.calendar.window_start(facts.start)
    last = decisions[-1].at if decisions else begun
    age = facts.calendar.period_at(facts.now) - facts.calendar.period_at(last)
    if age > limit:
        status: Status = "stale" if decisions else "fail"
        what = (
            f"the last decision is of {facts.name(last)}" if decisions else f"nothing decided since {facts.name(begun)}"
        )
        return Answer(status, f"{what}, {_many(range(age), 'period')} ago", _ids(decisions[-1:]))
    if not decisions:
        return Answer("not applicable", "the first period is not over")
    return Answer("pass", f"decided at {facts.name(last)}: {decisions[-1].content['action']}", (decisions[-1].id,))


def _a_rollback_target_exists(facts: Facts, _item: str, _limit: int) -> Answer:
    """There is a model to go back to that served before and was not found worse."""
    timeline = facts.timeline
    if len({release.version for release in facts.champions}) < 2:
        return Answer("not applicable", "no model was replaced yet")
    target = timeline.rollback_target
    if target is None:
        return Answer("fail", "every other model that served was rolled back", _last(facts.champions))
    return Answer("pass", f"version {target.version}, which served before", (target.id,))


def _alarms_have_a_cause(facts: Facts, _item: str, _limit: int) -> Answer:
    """Every alarm belongs to an incident, and every incident says what is known of its cause."""
    incidents = facts.of("incident")
    alarms = _ids(facts.of("alarm"))
    grouped = {name for item in (*incidents, *facts.of("incident-growth")) for name in item.content["alarms"]}
    if not alarms:
        return Answer("not applicable", "no alarm was raised")
    stray = tuple(name for name in alarms if name not in grouped)
    mute = _ids(item for item in incidents if not str(item.content.get("cause", {}).get("sentence", "")).strip())
    if stray or mute:
        return Answer(
            "fail", f"{_many(stray, 'alarm')} in no incident, {_many(mute, 'incident')} without a cause", stray + mute
        )
    return Answer(
        "pass", f"{_many(alarms, 'alarm')} in {_many(incidents, 'incident')}, each with a cause", _ids(incidents)
    )


def _failures_did_no_harm(facts: Facts, _item: str, _limit: int) -> Answer:
    """No model whose training failed ever served or shadowed."""
    failed = {item.content["challenger"]: item.id for item in facts.of("failure")}
    if not failed:
        return Answer("not applicable", "no training failed")
    bad = tuple(release.id for release in facts.timeline.releases if release.model in failed)
    if bad:
        return Answer("fail", f"{_many(bad, 'release')} of a model whose training failed", bad)
    return Answer("pass", f"{_many(failed, 'failed training')}, none of it released", tuple(failed.values()))


def _attestation(facts: Facts, item: str, limit: int) -> Answer:
    """A person said so, at most `limit` periods ago: what no query can see."""
    said = [found for found in facts.of("attestation") if found.content["item"] == item]
    if not said:
        return Answer("fail", f"nobody has attested this; pitstop evidence {facts.model} --attest {item} --by NAME")
    last = said[-1]
    age = facts.calendar.period_at(facts.now) - facts.calendar.period_at(last.at)
    words = f"{last.content['by']}, at {facts.name(last.at)}"
    if age > limit:
        return Answer("stale", f"last attested by {words}, {_many(range(age), 'period')} ago", (last.id,))
    note = f": {last.content['text']}" if last.content["text"] else ""
    return Answer("attested", f"by {words}{note}", (last.id,))


def _ids(items: Iterable[Artifact]) -> tuple[str, ...]:
    return tuple(item.id for item in items)


def _last(releases: tuple[Release, ...]) -> tuple[str, ...]:
    return tuple(release.id for release in releases[-1:])


def _many(things: Any, noun: str) -> str:
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"


QUERIES: Mapping[str, Query] = {
    query.name: query
    for query in (
        Query("releases_were_compared", _releases_were_compared),
        Query("training_rows_are_digested", _training_rows_are_digested),
        Query("champions_have_a_baseline", _champions_have_a_baseline),
        Query("journal_verifies", _journal_verifies, "journal entries"),
        Query("monitoring_has_no_gap", _monitoring_has_no_gap, "windows"),
        Query("a_decision_is_recent", _a_decision_is_recent, "periods"),
        Query("a_rollback_target_exists", _a_rollback_target_exists),
        Query("alarms_have_a_cause", _alarms_have_a_cause),
        Query("failures_did_no_harm", _failures_did_no_harm),
        Query("attestation", _attestation, "periods"),
    )
}
