"""Questions about groups of people: was the selection audited, and how far apart are its rates."""

from __future__ import annotations

from pitstop.compliance.facts import Answer, Facts, Query, many


def _audited(facts: Facts, _item: str, limit: int) -> Answer:
    """Selection rates and impact ratios by protected column were computed at most `limit` days ago."""
    audits = facts.of("fairness-audit")
    if not audits:
        if facts.spec and not facts.spec["columns"]["protected"]:
            return Answer("fail", "[columns] protected names no column, so nothing can be audited")
        return Answer("fail", "selection was never audited: pitstop audit")
    last = audits[-1]
    age = facts.days(last.at)
    tables = many(last.content["tables"], "table")
    if age > limit:
        return Answer("stale", f"last audited at {facts.name(last.at)}, {age:,} days ago", (last.id,))
    return Answer("pass", f"{tables} over {last.content['rows']:,} rows, at {facts.name(last.at)}", (last.id,))


def _ratios(facts: Facts, _item: str, limit: int) -> Answer:
    """The smallest impact ratio of the newest audit, small groups left out, is at least `limit` percent."""
    audits = facts.of("fairness-audit")
    if not audits:
        return Answer("fail", "selection was never audited: pitstop audit")
    last = audits[-1]
    ratios = [
        (float(group["impact_ratio"]), f"{table['name']} {group['name']}")
        for table in last.content["tables"]
        for group in table["groups"]
        if group["impact_ratio"] is not None and not group["small"]
    ]
    if not ratios:
        return Answer("fail", "no group of the newest audit is large enough to compare", (last.id,))
    least, who = min(ratios)
    sentence = f"the smallest impact ratio is {least:.2f} ({who}), {limit / 100:.2f} may be"
    # A ratio that is exactly the limit may be a last bit below it: 9 of 35 against 9 of 28 is 0.7999999999999998.
    return Answer("pass" if round(least * 100, 9) >= limit else "fail", sentence, (last.id,))


QUERIES = (
    Query("selection_was_audited", _audited, "days"),
    Query("impact_ratios_are_at_least", _ratios, "percent"),
)
