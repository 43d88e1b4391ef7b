"""Questions about operation: is it watched, decided about, estimated, logged, and is the record intact."""

from __future__ import annotations

from itertools import pairwise

from pitstop.compliance.facts import Answer, Facts, Query, Status, ids, many


def _verifies(facts: Facts, _item: str, limit: int) -> Answer:
    """The journal is intact, and at most `limit` entries at its end are not signed."""
    journal = facts.journal
    if journal.faults:
        return Answer("fail", "; ".join(fault.sentence for fault in journal.faults))
    if journal.unprotected > limit:
        return Answer("stale", f"the last {journal.unprotected:,} entries are not signed, {limit:,} may be")
    return Answer("pass", f"{journal.size:,} entries, {journal.signed_size:,} of them signed")


def _no_gap(facts: Facts, _item: str, limit: int) -> Answer:
    """Since the start no more than `limit` windows in a row went by without any row, nor up to now."""
    if facts.start is None:
        return Answer("not applicable", "monitoring has not begun")
    now = facts.calendar.window_at(facts.now)
    seen = [window for window in facts.windows if facts.start <= window < now]
    gaps = [(left, right) for left, right in pairwise([facts.start - 1, *seen]) if right - left - 1 > limit]
    if gaps:
        left, right = max(gaps, key=lambda gap: gap[1] - gap[0])
        where = f"{facts.calendar.name_window(left + 1)} to {facts.calendar.name_window(right - 1)}"
        return Answer("fail", f"{many(gaps, 'gap')} of more than {limit} windows; the longest from {where}")
    last = seen[-1] if seen else facts.start - 1
    if now - last - 1 > limit:
        return Answer("stale", f"no row since {facts.calendar.name_window(last)}, {now - last - 1} windows ago")
    return Answer("pass", f"rows in {len(seen):,} windows since {facts.calendar.name_window(facts.start)}")


def _decided(facts: Facts, _item: str, limit: int) -> Answer:
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
        return Answer(status, f"{what}, {many(age, 'period')} ago", ids(decisions[-1:]))
    if not decisions:
        return Answer("not applicable", "the first period is not over")
    return Answer("pass", f"decided at {facts.name(last)}: {decisions[-1].content['action']}", (decisions[-1].id,))


def _alarms(facts: Facts, _item: str, _limit: int) -> Answer:
    """Every alarm belongs to an incident, and every incident says what is known of its cause."""
    incidents = facts.of("incident")
    alarms = ids(facts.of("alarm"))
    grouped = {name for item in (*incidents, *facts.of("incident-growth")) for name in item.content["alarms"]}
    if not alarms:
        return Answer("not applicable", "no alarm was raised")
    stray = tuple(name for name in alarms if name not in grouped)
    mute = ids(item for item in incidents if not str(item.content.get("cause", {}).get("sentence", "")).strip())
    if stray or mute:
        return Answer(
            "fail", f"{many(stray, 'alarm')} in no incident, {many(mute, 'incident')} without a cause", stray + mute
        )
    return Answer(
        "pass", f"{many(alarms, 'alarm')} in {many(incidents, 'incident')}, each with a cause", ids(incidents)
    )


def _disposed(facts: Facts, _item: str, limit: int) -> Answer:
    """Every incident older than `limit` days was weighed in a decision, or a person says what became of it."""
    incidents = [item for item in facts.of("incident") if facts.days(item.at) > limit]
    if not incidents:
        return Answer("not applicable", f"no incident is older than {limit} days")
    weighed = {cause for item in facts.of("decision") for cause in item.caused_by}
    told = {str(item.content["item"]) for item in facts.of("disposition")}
    bad = ids(item for item in incidents if item.id not in weighed | told)
    if bad:
        return Answer("fail", f"{many(bad, 'incident')} that nobody weighed or disposed of: pitstop attest", bad)
    return Answer("pass", f"{many(incidents, 'incident')}, each weighed in a decision or disposed of", ids(incidents))


def _promise(facts: Facts, _item: str, limit: int) -> Answer:
    """The budget of false alarms is at most `limit` a month: an alarm means something."""
    if not facts.of("spec"):
        return Answer("not applicable", "no specification is on record")
    budget = float(facts.spec["alarms"]["per_month"])
    sentence = f"at most {budget:g} false alarms a month are promised, {limit} may be"
    return Answer("pass" if budget <= limit else "fail", sentence, ids(facts.of("spec")))


def _estimated(facts: Facts, _item: str, limit: int) -> Answer:
    """Performance was estimated, with an interval, at most `limit` periods ago, and the estimate was not withdrawn."""
    if facts.start is None:
        return Answer("not applicable", "monitoring has not begun")
    found = facts.of("estimate")
    if not found:
        begun = facts.calendar.period_at(facts.calendar.window_start(facts.start))
        if facts.calendar.period_at(facts.now) - begun <= limit:
            return Answer("not applicable", "the first period is not over")
        return Answer("fail", "performance was never estimated")
    last = found[-1]
    age = facts.calendar.period_at(facts.now) - int(last.content["period"]) - 1
    name = facts.calendar.name_period(int(last.content["period"]))
    if age > limit:
        return Answer("stale", f"last estimated for {name}, {many(age, 'period')} ago", (last.id,))
    standing = [metric for metric in last.content["metrics"].values() if not metric["withdrawn"]]
    if not standing:
        return Answer("fail", f"no estimate of {name} stands: its assumption failed, or there was none", (last.id,))
    words = ", ".join(f"{item['metric']} {item['low']:.3f} to {item['high']:.3f}" for item in standing)
    return Answer("pass", f"{name}: {words}", (last.id,))


def _retained(facts: Facts, _item: str, limit: int) -> Answer:
    """Every window of the last `limit` days of which the journal recorded rows still has them."""
    now = facts.calendar.window_at(facts.now)
    recorded = [window for window in facts.logged() if window < now]
    if not recorded:
        return Answer("not applicable", "no row was logged")
    lately = [window for window in recorded if facts.days(facts.calendar.window_start(window)) <= limit]
    lost = sorted(set(lately) - set(facts.windows))
    if lost:
        first = facts.calendar.name_window(lost[0])
        return Answer("fail", f"rows of {many(lost, 'window')} of the last {limit} days are gone, from {first} on")
    oldest = facts.calendar.name_window(recorded[0])
    return Answer("pass", f"rows of {many(lately, 'window')} are kept; the log began with {oldest}")


def _minimised(facts: Facts, _item: str, limit: int) -> Answer:
    """No row is kept for longer than `limit` days."""
    if not facts.windows:
        return Answer("not applicable", "no row is kept")
    oldest = facts.windows[0]
    age = facts.days(facts.calendar.window_start(oldest))
    sentence = f"the oldest rows are of {facts.calendar.name_window(oldest)}, {age:,} days old; {limit:,} may be"
    return Answer("pass" if age <= limit else "fail", sentence)


QUERIES = (
    Query("journal_verifies", _verifies, "journal entries"),
    Query("monitoring_has_no_gap", _no_gap, "windows"),
    Query("a_decision_is_recent", _decided, "periods"),
    Query("alarms_have_a_cause", _alarms),
    Query("incidents_are_disposed_of", _disposed, "days"),
    Query("false_alarms_are_budgeted", _promise, "alarms a month"),
    Query("performance_is_estimated", _estimated, "periods"),
    Query("logs_are_kept", _retained, "days"),
    Query("rows_are_not_kept_longer", _minimised, "days"),
)
