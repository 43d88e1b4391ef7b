"""Questions about serious incidents: reported in time, evidence frozen, and put right."""

from __future__ import annotations

from pitstop.compliance.clocks import serious_incidents
from pitstop.compliance.facts import Answer, Facts, Query, ids, many


def _reported(facts: Facts, _item: str, _limit: int) -> Answer:
    """Every serious incident was reported before its clock ran out, or its clock still runs."""
    known = serious_incidents(facts)
    if not known:
        return Answer("not applicable", "no serious incident was declared")
    late = [item for item in known if item.overdue(facts.now)]
    if late:
        words = "; ".join(item.sentence(facts) for item in late)
        return Answer("fail", words, ids(item.declared for item in late))
    return Answer("pass", "; ".join(item.sentence(facts) for item in known), ids(item.declared for item in known))


def _frozen(facts: Facts, _item: str, _limit: int) -> Answer:
    """The evidence of every open serious incident was frozen when it was declared, and all of it is still kept."""
    known = [item for item in serious_incidents(facts) if item.closed is None]
    if not known:
        return Answer("not applicable", "no serious incident is open")
    loose = [item.declared for item in known if item.freeze is None]
    if loose:
        return Answer("fail", f"{many(loose, 'serious incident')} without a freeze of its evidence", ids(loose))
    kept = set(facts.windows)
    lost = [item.freeze for item in known if item.freeze and set(item.freeze.content["windows"]) - kept]
    if lost:
        return Answer("fail", f"rows that {many(lost, 'freeze')} protects are gone", ids(lost))
    holds = [item.freeze for item in known if item.freeze]
    return Answer("pass", f"{many(holds, 'freeze')}, all of their rows kept", ids(holds))


def _corrected(facts: Facts, _item: str, limit: int) -> Answer:
    """Every serious incident was closed with a corrective action at most `limit` days after it became known."""
    known = serious_incidents(facts)
    if not known:
        return Answer("not applicable", "no serious incident was declared")
    late = [item.declared for item in known if item.closed is None and facts.days(item.aware_at) > limit]
    if late:
        return Answer("fail", f"{many(late, 'serious incident')} open for more than {limit} days", ids(late))
    return Answer(
        "pass", f"{many(known, 'serious incident')}, none open for longer", ids(item.declared for item in known)
    )


QUERIES = (
    Query("serious_incidents_are_reported", _reported),
    Query("incident_evidence_is_frozen", _frozen),
    Query("corrective_actions_are_closed", _corrected, "days"),
)
