"""The answer in words: who won and by how much, since when the model decayed, what was done about it."""

from __future__ import annotations

from collections.abc import Sequence

from pitstop.report import formats
from pitstop.report.story import ReleaseMark, ReplayStory, known
from pitstop.report.wording import continued

_RIVALS = ("never", "monthly")
_MANY = 6  # dates in a sentence beyond which a number says more


def headline(story: ReplayStory) -> str:
    """Return the answer in one sentence. It names the winner, whoever that is."""
    if not story.periods:
        return "There is nothing to report yet: no period is complete."
    sums = {name: value for name, total in story.totals.items() if (value := known(total.value)) is not None}
    rivals = [name for name in _RIVALS if name in sums]
    if "pitstop" not in sums or not rivals:
        return _course(story)
    return _contest(story, sums, rivals)


def summary(story: ReplayStory) -> tuple[str, ...]:
    """Return the sentences below the headline: decay, first cause, what was done, the optimum and the price range."""
    parts = (_decay(story), _first_incident(story), _releases(story), _optimum(story), price_sentence(story))
    return tuple(part for part in parts if part)


def price_sentence(story: ReplayStory) -> str:
    """Return in which range of prices of a release Pitstop earns the most, or an empty text where that is not known."""
    if story.price_range is None or isinstance(story.price_range, str):
        return story.price_range or ""
    low, high = story.price_range
    if known(high) is None:
        span = f"costs {formats.money(low)} {story.currency} or more"
    else:
        span = f"costs between {formats.money(low)} and {formats.money(high)} {story.currency}"
    return f"Pitstop's schedule earns the most as long as a release {span}."


def release_name(release: ReleaseMark) -> str:
    """Return what happened to which version: a release, or the way back to an earlier one."""
    return f"rolled back to {release.version}" if release.instead_of else release.version


def release_reason(release: ReleaseMark, *, brief: bool = False) -> str:
    """Return why, and on how many rows the model was trained; `brief` leaves details out."""
    reason = release.reason.rstrip(".")
    reason = reason.partition(";")[0] if brief else reason
    if release.instead_of:
        return f"{release.instead_of} was {reason}" if reason else f"{release.instead_of} was given up"
    rows = f"{formats.count(release.trained_on_rows)} training rows"
    return " · ".join(part for part in (reason, rows) if part)


def _contest(story: ReplayStory, sums: dict[str, float], rivals: Sequence[str]) -> str:
    mine, unit = sums["pitstop"], story.currency
    retrains = story.totals["pitstop"].retrains
    best = max(rivals, key=lambda name: sums[name])
    ahead = [name for name in rivals if mine > sums[name] and not _equal(mine, sums[name])]
    level = [name for name in rivals if _equal(mine, sums[name])]
    work = f"with {formats.plural(retrains, 'retrain')}" if retrains else "without a single retrain"
    if len(ahead) + len(level) == len(rivals):
        gaps = [f"{_gap(mine, sums[name])} than {_doing(name, story.period_unit)}" for name in ahead]
        gaps += [f"the same as {_doing(name, story.period_unit)}" for name in level]
        return f"Pitstop {_earned(mine, unit)} {work}: {formats.listed(gaps)}."
    name = _doing(best, story.period_unit)
    return (
        f"{name[0].upper()}{name[1:]} did best: it {_earned(sums[best], unit)}. "
        f"Pitstop {_earned(mine, unit)} {work}, {formats.money(sums[best] - mine)} behind."
    )


def _course(story: ReplayStory) -> str:
    policy = next((name for name in ("pitstop", "champion", *story.policies) if name in story.policies), "")
    course = _known_course(story, policy)
    if not course:
        return f"{formats.plural(len(story.periods), story.period_unit)} replayed; no labels have arrived yet."
    (first, before), (last, after) = course[0], course[-1]
    if len(course) == 1:
        return f"{story.metric_name} was {formats.metric(before)} in {first}."
    change = "stayed at" if _equal(before, after) else "rose to" if after > before else "fell to"
    if change == "stayed at":
        return f"{story.metric_name} stayed at {formats.metric(after)} from {first} to {last}."
    return (
        f"{story.metric_name} was {formats.metric(before)} in {first} and {change} {formats.metric(after)} in {last}."
    )


def _decay(story: ReplayStory) -> str:
    course = _known_course(story, "never")
    if len(course) < 2:
        return ""
    first, before = course[0]
    choose = min if story.higher_is_better else max
    worst, after = choose(course[1:], key=lambda item: item[1])
    loss = before - after if story.higher_is_better else after - before
    if loss <= 0.02 * abs(before):
        return (
            f"The first model kept its {story.metric_name} without any retrain ({formats.metric(before)} in {first})."
        )
    return (
        f"Left alone, the first model went from {story.metric_name} {formats.metric(before)} in {first} "
        f"to {formats.metric(after)} in {worst}."
    )


def _first_incident(story: ReplayStory) -> str:
    if not story.incidents:
        return ""
    grave = [item for item in story.incidents if item.kind == "error"]
    first = (*grave, *story.incidents)[0]
    more = len(story.incidents) - 1
    what = (first.headline or first.sentence).rstrip(".")
    tail = f" {formats.plural(more, 'other incident')} {'is' if more == 1 else 'are'} told below." if more else ""
    return f"Noticed on {first.at}: {continued(what)}, since about {first.since}.{tail}"


def _releases(story: ReplayStory) -> str:
    if not story.releases:
        return ""
    new = [release for release in story.releases if not release.instead_of]
    back = [release for release in story.releases if release.instead_of]
    parts = []
    if len(new) > _MANY:
        parts.append(f"{len(new)} models were released, from {new[0].at} to {new[-1].at}.")
    elif new:
        parts.append(f"{formats.plural(len(new), 'model')} released: {formats.listed(item.at for item in new)}.")
    if len(back) > 2:
        parts.append(f"{len(back)} releases were rolled back.")
    elif back:
        told = formats.listed(f"{item.at} ({item.instead_of} to {item.version})" for item in back)
        parts.append(f"Rolled back: {told}.")
    return " ".join(parts)


def _optimum(story: ReplayStory) -> str:
    mine, best = (known(story.totals[name].value) if name in story.totals else None for name in ("pitstop", "oracle"))
    if mine is None or best is None:
        return ""
    retrains = formats.plural(story.totals["oracle"].retrains, "retrain")
    if _equal(mine, best):
        return f"Nothing better was possible even in hindsight ({retrains})."
    return f"In hindsight {formats.money(best)} {story.currency} were possible, with {retrains}."


def _known_course(story: ReplayStory, policy: str) -> list[tuple[str, float]]:
    rows = ((row.period, known(row.metric.get(policy))) for row in story.periods)
    return [(period, value) for period, value in rows if value is not None]


def _doing(policy: str, period_unit: str) -> str:
    return "never retraining" if policy == "never" else f"retraining every {period_unit}"


def _earned(value: float, currency: str) -> str:
    return f"earned {formats.money(value)} {currency}" if value >= 0 else f"lost {formats.money(-value)} {currency}"


def _gap(mine: float, other: float) -> str:
    return f"{formats.money(mine - other)} {'more' if mine >= 0 else 'better'}"


def _equal(one: float, other: float) -> bool:
    return abs(one - other) <= max(abs(one), abs(other)) * 1e-9
