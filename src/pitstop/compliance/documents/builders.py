"""The documents of an evidence pack, each from the facts alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pitstop.compliance.checklist import Checklist, Line
from pitstop.compliance.clocks import serious_incidents
from pitstop.compliance.documents import sentences
from pitstop.compliance.documents.parts import Chapter, Document, Grid, Origin, Statement, grid, note, said, seen
from pitstop.compliance.facts import Artifact, Facts, many
from pitstop.compliance.queries import QUERIES
from pitstop.compliance.score import SECTIONS, Score
from pitstop.compliance.served import Served

NO_ADVICE = "It says what is on record. It is not legal advice, and no proof of compliance with any law."


def model_card(facts: Facts) -> Document:
    """Return the model card: what it is, what it was trained on, how well it does, what is not known."""
    chapters = (
        _chapter("The model", sentences.identity(facts)),
        _chapter("What serves", sentences.serving(facts)),
        _chapter(
            "Intended use and limits",
            (
                said(facts, "inventory-entry", "Purpose, owner and jurisdiction are written down"),
                said(facts, "conceptual-soundness", "Concept, limits and assumptions were reviewed"),
            ),
        ),
        _chapter("Performance", (sentences.performance(facts),)),
        _chapter("Groups", _groups(facts)),
        _chapter("What went wrong, and why", (sentences.incidents(facts),)),
    )
    return Document("model-card", f"Model card: {facts.model}", _lede(facts), chapters)


def dossier(facts: Facts) -> Document:
    """Return the technical documentation in the nine sections of Annex IV to Regulation (EU) 2024/1689."""
    people, rules = facts.people, facts.rules
    makers = (
        [seen(f"Authors: {', '.join(people.authors)}; approvers: {', '.join(people.approvers) or 'none'}.", rules)]
        if rules and people.authors
        else [Statement("No authors are named in [rules].", (), "open")]
    )
    trained = facts.of("challenger")
    chapters = (
        _chapter("1. General description", (*sentences.identity(facts), *sentences.serving(facts), *makers)),
        _chapter(
            "2. Elements and process of development",
            (
                said(facts, "data-provenance", "Collection, origin and preparation of the data are written down"),
                seen(f"{many(trained, 'model')} trained, each with the digest of its rows.", *trained),
                sentences.comparisons(facts),
            ),
        ),
        _chapter(
            "3. Monitoring, functioning and control",
            (
                *_answers(facts, ("monitoring_has_no_gap", 7), ("alarms_have_a_cause", 0), ("people_are_named", 0)),
                *sentences.exceptions(facts),
            ),
        ),
        _chapter(
            "4. Appropriateness of the performance metrics",
            (
                note("Performance is estimated with an interval before labels come, and compared with them after."),
                sentences.performance(facts),
            ),
        ),
        _chapter("5. Risk management", (said(facts, "risk-file", "Risks and controls are listed and reviewed"),)),
        _chapter("6. Changes through the lifecycle", (sentences.releases(facts),)),
        _chapter("7. Standards applied", (said(facts, "quality-management", "Standards and procedures are listed"),)),
        _chapter(
            "8. Declaration of conformity",
            (said(facts, "declaration-of-conformity", "The EU declaration of conformity is attached"),),
        ),
        _chapter(
            "9. Monitoring after placing on the market",
            (*_answers(facts, ("a_decision_is_recent", 2), ("logs_are_kept", 183)), *_clocks(facts)),
        ),
    )
    return Document("technical-documentation", f"Technical documentation: {facts.model}", _lede(facts), chapters)


def monitoring_plan(facts: Facts) -> Document:
    """Return the plan for monitoring after release, against what was done."""
    spec = facts.of("spec")[-1]
    time, alarms, policy = (spec.content[name] for name in ("time", "alarms", "policy"))
    plan = (
        seen(f"Rows are watched in windows of {_unit(time['window'], 'row')}.", spec),
        seen(
            f"Retraining is decided once in {_unit(time['period'], 'window')}, by the policy {policy['name']!r}.", spec
        ),
        seen(f"False alarms promised: at most {alarms['per_month']:g} a month, over all monitors together.", spec),
    )
    done = _answers(
        facts,
        ("monitoring_has_no_gap", 7),
        ("a_decision_is_recent", 2),
        ("performance_is_estimated", 1),
        ("alarms_have_a_cause", 0),
        ("incidents_are_disposed_of", 60),
    )
    chapters = (
        _chapter("What is planned", plan),
        _chapter("What was done", done),
        _chapter("Decisions", (sentences.decisions(facts),)),
        _chapter("Incidents", (sentences.incidents(facts),)),
    )
    return Document("monitoring-plan", f"Post-market monitoring: {facts.model}", _lede(facts), chapters)


def validation_memo(facts: Facts) -> Document:
    """Return what was compared, what was released, and who challenged it."""
    checks = _answers(
        facts,
        ("releases_were_compared", 0),
        ("release_is_approved", 0),
        ("training_can_be_repeated", 0),
        ("champions_have_a_baseline", 0),
        ("a_rollback_target_exists", 0),
    )
    chapters = (
        _chapter("Findings", checks),
        _chapter("Outcomes", (sentences.comparisons(facts),)),
        _chapter("Releases", (sentences.releases(facts),)),
        _chapter("Held up, approved, overridden", sentences.exceptions(facts)),
    )
    return Document("validation-memo", f"Validation memo: {facts.model}", _lede(facts), chapters)


def fairness_summary(facts: Facts) -> Document:
    """Return the newest audit of selection rates and impact ratios."""
    chapters = (_chapter("Selection rates and impact ratios", _groups(facts)),)
    return Document("fairness-audit", f"Fairness audit: {facts.model}", _lede(facts), chapters)


def incident_report(facts: Facts) -> Document:
    """Return the serious incidents with their clocks, and the incidents that Pitstop found by itself."""
    chapters = (
        _chapter("Serious incidents and their clocks", _clocks(facts)),
        _chapter("Incidents that were found", (sentences.incidents(facts),)),
    )
    return Document("incident-report", f"Incident report: {facts.model}", _lede(facts), chapters)


def served_page(found: Served) -> Document:
    """Return what served at one instant, why, and who approved it."""
    chapters = (
        _chapter("What served", (seen(found.sentence, found.release), *map(sentences.training, _one(found)))),
        _chapter(
            "Who allowed it",
            (
                Statement(
                    found.who,
                    tuple(item.id for item in found.statements) or (found.release.id,),
                    "attested" if found.statements else "observed",
                ),
            ),
        ),
        _chapter(
            "Why: what led there, nearest first",
            (
                grid(
                    "Causes",
                    ("kind", "what it says"),
                    [((item.kind, _gist(item.content)), (item.id,)) for item in found.why],
                ),
            ),
        ),
    )
    return Document("served", f"What served at {found.at}", f"Model {found.model}.", chapters)


def checklist(found: Checklist) -> Document:
    """Return a pack's obligations with what was found."""
    groups = (
        ("Open", ("fail", "stale")),
        ("Met, as observed", ("pass",)),
        ("Met, as a person says", ("attested",)),
        ("Not applicable", ("not applicable",)),
    )
    chapters = [
        Chapter(title, (_obligations([line for line in found.lines if line.answer.status in statuses]),))
        for title, statuses in groups
        if any(line.answer.status in statuses for line in found.lines)
    ]
    counts = ", ".join(f"{count} {status}" for status, count in sorted(found.counts.items()))
    pack = found.pack
    lede = f"{found.model} as of {found.as_of}: {counts}. {pack.notice}"
    about = (
        note("Attested: a person said so. An item marked manual can only be attested, and never counts as a pass."),
        note(f"{pack.title}, version {pack.version} of {pack.dated}. Source: {pack.source}"),
    )
    chapters.append(Chapter("About this list", about))
    return Document(f"checklist-{pack.name.replace('_', '-')}", pack.title, lede, tuple(chapters))


def _obligations(lines: Sequence[Line]) -> Grid:
    rows = []
    for line in lines:
        item, answer = line.item, line.answer
        marks = [item.reference, "manual" if item.manual else "", "" if line.binding else "not in effect at that time"]
        words = "; ".join(mark for mark in marks if mark)
        rows.append(((answer.status, item.obligation, answer.sentence, words), answer.ids))
    return grid(many(lines, "obligation"), ("status", "obligation", "found", "reference"), rows)


def score_page(facts: Facts, found: Score) -> Document:
    """Return the ML Test Score: four sections, the smallest of which counts."""
    following = found.next
    about = [note(f"Score {found.final:g}: the smallest of four sections of seven tests each.")]
    if following is not None:
        about.append(note(f"The cheapest next half point: {following.test.id}. {following.test.next}"))
    about.append(note("Breck, Cai, Nielsen, Salib, Sculley: The ML Test Score, IEEE Big Data 2017."))
    chapters = [Chapter("Score", tuple(about))]
    for name in SECTIONS:
        points = found.section(name)
        mark = ", the section that counts" if points == found.final else ""
        rows = [
            ((item.test.id, f"{item.points:g}", item.test.text, item.found), item.ids)
            for item in found.tests
            if item.test.section == name
        ]
        table = grid("Seven tests", ("test", "points", "what it asks", "found"), rows)
        chapters.append(Chapter(f"{name.capitalize()}: {points:g} of 7{mark}", (table,)))
    return Document("ml-test-score", f"ML Test Score: {facts.model}", _lede(facts), tuple(chapters))


def _lede(facts: Facts) -> str:
    return f"As known at {facts.name(facts.now)}. {NO_ADVICE}"


def _chapter(title: str, parts: Iterable[Statement | Grid]) -> Chapter:
    return Chapter(title, tuple(parts))


_TITLES: Mapping[str, str] = {
    "monitoring_has_no_gap": "Gaps in monitoring",
    "a_decision_is_recent": "Latest decision",
    "performance_is_estimated": "Estimated performance",
    "alarms_have_a_cause": "Causes of alarms",
    "incidents_are_disposed_of": "What became of incidents",
    "logs_are_kept": "Retention of logs",
    "people_are_named": "People",
    "releases_were_compared": "Proof before release",
    "release_is_approved": "Approval by another",
    "training_can_be_repeated": "Repeatability of training",
    "champions_have_a_baseline": "Baselines",
    "a_rollback_target_exists": "Way back",
}
_ORIGIN: Mapping[str, Origin] = {"pass": "observed", "attested": "attested", "not applicable": "note"}


def _answers(facts: Facts, *asked: tuple[str, int]) -> tuple[Statement, ...]:
    found = []
    for query, limit in asked:
        answer = QUERIES[query].find(facts, query, limit)
        text = f"{_TITLES[query]}: {answer.sentence}."
        found.append(Statement(text, answer.ids, _ORIGIN.get(answer.status, "open")))
    return tuple(found)


def _groups(facts: Facts) -> Iterable[Statement | Grid]:
    audits = facts.of("fairness-audit")
    if not audits:
        yield Statement("Selection rates were never audited (pitstop audit).", (), "open")
        return
    last = audits[-1]
    yield seen(
        f"Audited at {facts.name(last.at)} over {last.content['rows']:,} rows, {last.content['selected']:,} of them "
        f"selected; rate: {last.content['rate']}.",
        last,
    )
    for item in last.content["tables"]:
        rows = [
            (
                (
                    group["name"] + (" (small)" if group["small"] else ""),
                    f"{group['rows']:,}",
                    f"{group['rate']:.1%}",
                    "-" if group["impact_ratio"] is None else f"{group['impact_ratio']:.3f}",
                ),
                (last.id,),
            )
            for group in item["groups"]
        ]
        caption = f"By {item['name']}; {item['unknown']:,} rows of unknown category"
        yield grid(caption, ("category", "rows", "rate", "impact ratio"), rows)
        yield from _outcomes_by_group(item, last)
    yield note(
        "Impact ratio: the rate divided by that of the category with the highest rate among those that are not small "
        f"(below {last.content['small_share']:.0%} of rows). New York City's Local Law 144 names no smallest ratio."
    )


def _outcomes_by_group(item: Mapping[str, Any], last: Artifact) -> Iterable[Grid]:
    """Return error rates and calibration by group, where an audit has any; older ones have none."""
    names = ("tpr", "fpr", "tpr_gap", "fpr_gap", "calibration", "estimated_tpr", "estimated_fpr")
    groups = [group for group in item["groups"] if any(group.get(name) for name in names)]
    if groups:
        rows = [((group["name"], *(_figure(group.get(name)) for name in names)), (last.id,)) for group in groups]
        heads = ("category", "TPR", "FPR", "TPR gap", "FPR gap", "calibration", "TPR, estimated", "FPR, estimated")
        yield grid(f"Outcomes by {item['name']}: 95% intervals; a gap is to all other categories together", heads, rows)


def _figure(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "-"
    text = f"{figure['value']:.1%}"
    return text if figure["low"] is None else f"{text} ({figure['low']:.1%} to {figure['high']:.1%})"


def _clocks(facts: Facts) -> Iterable[Statement]:
    found = serious_incidents(facts)
    for item in found:
        behind = [part.id for part in (item.declared, item.freeze, item.report, item.closed) if part is not None]
        yield Statement(f"{item.sentence(facts)}. {item.declared.content['text']}", tuple(behind), "attested")
    if not found:
        yield note("No serious incident was declared.")


def _one(found: Served) -> tuple[Artifact, ...]:
    return () if found.challenger is None else (found.challenger,)


def _unit(value: object, noun: str) -> str:
    return many(value, noun) if isinstance(value, int) else f"one {value}"


def _gist(content: object) -> str:
    """Return the words of an artifact that say most: its sentence, reason, verdict or text."""
    if isinstance(content, dict):
        if content.get("verdict"):
            return f"the challenger was {content['verdict']}, on {int(content['rows']):,} rows"
        for name in ("reason", "sentence", "text"):
            if content.get(name):
                words = str(content[name])
                return f"{content['by']}: {words}" if content.get("by") else words
        if isinstance(content.get("cause"), dict):
            return str(content["cause"].get("sentence", ""))
        if content.get("rows"):
            return f"{int(content['rows']):,} rows"
    return ""
