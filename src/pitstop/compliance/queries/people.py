"""Questions about people: who is named, and what they say that no query can see."""

from __future__ import annotations

from pitstop.compliance.facts import Answer, Facts, Query, many


def _named(facts: Facts, _item: str, _limit: int) -> Answer:
    """Authors are named, and an approver who is none of them."""
    people, rules = facts.people, facts.rules
    behind = (rules.id,) if rules else ()
    if not people.authors:
        return Answer("fail", "[rules] names no authors", behind)
    others = [name for name in people.approvers if not people.is_author(name)]
    if not others:
        return Answer("fail", "[rules] names no approver who is not an author", behind)
    return Answer("pass", f"made by {', '.join(people.authors)}; released by {', '.join(others)}", behind)


def _said(facts: Facts, item: str, limit: int) -> Answer:
    """A person said so at most `limit` days ago, and until a day that has not passed: what no query can see."""
    said = [found for found in facts.of("attestation") if found.content["item"] == item]
    if not said:
        return Answer("fail", "nobody has attested this")
    last = said[-1]
    words = ", ".join(part for part in (str(last.content["by"]), str(last.content.get("role", ""))) if part)
    words = f"{words}, at {facts.name(last.at)}"
    until = last.content.get("until")
    if until is not None and facts.now > int(until):
        return Answer("stale", f"attested by {words}, until {facts.name(int(until))}", (last.id,))
    age = facts.days(last.at)
    if age > limit:
        return Answer("stale", f"last attested by {words}, {many(age, 'day')} ago", (last.id,))
    note = f": {last.content['text']}" if last.content["text"] else ""
    return Answer("attested", f"by {words}{note}", (last.id,))


QUERIES = (
    Query("people_are_named", _named),
    Query("attestation", _said, "days", manual=True),
)
