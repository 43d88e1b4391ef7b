"""The report of a replay as one HTML page: the answer first, then the evidence, then how to read it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from pitstop.report import formats, replay_figures
from pitstop.report.charts import sample
from pitstop.report.document import Section, document
from pitstop.report.markup import Markup, element, joined
from pitstop.report.narrative import headline, price_sentence, release_name, release_reason, summary
from pitstop.report.story import (
    GRAVE,
    DecisionRow,
    DistributionPair,
    IncidentCard,
    Number,
    ReleaseMark,
    ReplayStory,
    known,
)
from pitstop.report.tables import Column, Group, table

_QUIET_ACTIONS = frozenset({"wait", "keep", "none", "hold"})
_DATE = re.compile(r"(\b\d{4}-\d{2}(?:-\d{2})?\b)", re.ASCII)
_KINDS = {
    "error": ("error", "critical"),
    "break": ("broken data", "critical"),
    "quality": ("data quality", "warning"),
    "fairness": ("groups", "warning"),
    "score": ("predictions", "info"),
    "drift": ("inputs", "info"),
    "volume": ("volume", "info"),
}


def replay_page(story: ReplayStory) -> str:
    """Return the report as a self-contained HTML page (no network, no script). Every text of the story is escaped."""
    span = f"{story.periods[0].period} to {story.periods[-1].period}" if story.periods else "no complete period"
    eyebrow = element("p", {"class": "eyebrow"}, element("b", None, "Pitstop"), f" · {story.model} · {span}")
    lede = (element("p", {"class": "lede"}, _unbroken(sentence)) for sentence in _paragraphs(summary(story)))
    head = [eyebrow, element("h1", None, headline(story)), *lede, _cards(story)]
    sections = [section for section in _sections(story) if section is not None]
    return document(f"{story.model} · Pitstop replay", head, sections, "")


def replay_frame(story: ReplayStory) -> str:
    """Return the report as a frame for a notebook: its style does not leak out, and nothing in it may run."""
    place = {"srcdoc": replay_page(story), "sandbox": "", "title": f"Pitstop replay of {story.model}"}
    return element("iframe", {**place, "width": "100%", "height": "720", "frameborder": "0"})


def period_table(story: ReplayStory) -> Markup:
    """Return the table of periods: rows, metric and value of every policy, and the totals below."""
    policies, unit = story.policies, story.period_unit
    columns = [Column(unit, numeric=False, style="whole"), Column("rows")]
    for _ in range(2):
        columns += [
            Column(formats.policy_name(policy, unit), style=_column_style(policy, first=index == 0))
            for index, policy in enumerate(policies)
        ]
    rows = [
        (
            row.period,
            formats.count(row.rows),
            *(formats.metric(row.metric.get(policy)) for policy in policies),
            *(formats.money(row.value.get(policy)) for policy in policies),
        )
        for row in story.periods
    ]
    groups = [Group("", 2)]
    if policies:
        groups += [
            Group(story.metric_name, len(policies), "apart"),
            Group(f"value, {story.currency}", len(policies), "apart"),
        ]
    caption = (
        f"{story.metric_name} and value per {unit}, before costs. "
        f"Overall: mean {story.metric_name}, and value after the cost of retraining."
    )
    return table(caption, columns, rows, groups=groups, foot=_totals_rows(story))


def _sections(story: ReplayStory) -> list[Section | None]:
    unit = story.period_unit
    return [
        Section("table", f"Every {unit}, every policy", (replay_figures.metric_figure(story), period_table(story))),
        _performance(story),
        _value(story),
        _incidents(story),
        _distributions(story),
        _decisions(story),
        _ledger(story),
        _reading(story),
    ]


def _performance(story: ReplayStory) -> Section | None:
    if not story.bands:
        return None
    note = element(
        "p",
        None,
        "The estimate was made before the labels came, the realised value is with them. "
        "Labels of earlier periods correct it; where they contradict it too much for that, it is withdrawn.",
    )
    parts = [note, replay_figures.band_figure(story)]
    if story.releases:
        parts.append(_release_list(story.releases))
    return Section("performance", "Performance in production", tuple(parts))


def _value(story: ReplayStory) -> Section | None:
    if not any(known(value) is not None for row in story.periods for value in row.value.values()):
        return None
    parts = [replay_figures.cumulated_figure(story), replay_figures.value_figure(story)]
    if price_sentence(story):
        parts.insert(0, element("p", None, price_sentence(story)))
    return Section("value", "What it earned", tuple(parts))


def _incidents(story: ReplayStory) -> Section:
    if not story.incidents:
        return Section("incidents", "Incidents", (element("p", None, "No incident was opened."),))
    grave = sum(item.kind in GRAVE for item in story.incidents)
    words = f"{formats.plural(len(story.incidents), 'incident')}, in the order in which they were noticed."
    if 0 < grave < len(story.incidents):
        words += f" Open {'is' if grave == 1 else 'are'} the {formats.count(grave)} about the model's error or a break."
    cards = element("div", {"class": "incidents"}, *(_incident(item) for item in story.incidents))
    return Section("incidents", "Incidents and their causes", (element("p", None, words), cards))


def _incident(incident: IncidentCard) -> Markup:
    """Return one incident: a line with what happened, and behind it why, the suspects and the alarms."""
    name, style = _KINDS.get(incident.kind, ("", "info"))
    badge = element("span", {"class": f"badge {style}"}, name) if name else ""
    head = element(
        "summary",
        None,
        element("span", {"class": "whole when"}, incident.at),
        element("h3", None, incident.headline or incident.sentence),
        badge,
    )
    meta = f"noticed {incident.at} · began about {incident.since} · {formats.plural(len(incident.alarms), 'alarm')}"
    parts = [element("p", {"class": "meta"}, meta)]
    if incident.explanation:
        parts.append(element("p", None, incident.explanation))
    split = replay_figures.split_figure(incident)
    causes = replay_figures.cause_figure(incident) if incident.causes else ""
    pictures = [part for part in (causes, split) if part]
    if pictures:
        parts.append(element("div", {"class": "grid2"}, *pictures))
    if incident.distributions:
        parts.append(_before_and_after(incident.distributions))
    if incident.alarms:
        parts.append(_alarms(incident))
    opened = {"open": ""} if incident.kind in GRAVE or not incident.kind else {}
    return element("article", None, element("details", {"class": "incident", **opened}, head, *parts))


def _before_and_after(pairs: Sequence[DistributionPair]) -> Markup:
    names = formats.listed(pair.column for pair in pairs)
    figures = (replay_figures.distribution_figure(pair, table_too=False) for pair in pairs)
    summary = element("summary", None, f"Before and after: {names}")
    return element("details", None, summary, element("div", {"class": "grid2"}, *figures))


def _alarms(incident: IncidentCard) -> Markup:
    columns = [
        Column("noticed", numeric=False, style="whole"),
        Column("what changed", numeric=False, style="words"),
        Column("size"),
        Column("since", numeric=False, style="whole"),
        Column("monitor", numeric=False),
    ]
    rows = [
        (
            alarm.at,
            alarm.change or alarm.column or "whole model",
            alarm.amount or formats.size(alarm.size),
            alarm.since,
            alarm.monitor,
        )
        for alarm in incident.alarms
    ]
    caption = formats.plural(len(incident.alarms), "alarm")
    listing = table(f"{caption} in this incident", columns, rows)
    name = element("p", {"class": "note"}, incident.id)
    return element("details", None, element("summary", None, caption), listing, name)


def _distributions(story: ReplayStory) -> Section | None:
    if not story.distributions:
        return None
    figures = (replay_figures.distribution_figure(pair) for pair in story.distributions)
    return Section("distributions", "What changed in the data", (element("div", {"class": "grid2"}, *figures),))


def _decisions(story: ReplayStory) -> Section | None:
    if not story.decisions:
        return None
    items: list[Markup] = []
    for quiet, run in itertools.groupby(story.decisions, key=lambda item: item.action.lower() in _QUIET_ACTIONS):
        rows = list(run)
        if quiet and len(rows) > 1:
            items.append(_folded_decisions(story, rows))
        else:
            items += [_decision(story, row, acted=not quiet) for row in rows]
    return Section("decisions", "Decisions", (element("ol", {"class": "timeline"}, *items),))


def _decision(story: ReplayStory, row: DecisionRow, *, acted: bool) -> Markup:
    sums = []
    if known(row.expected_gain) is not None:
        sums.append(f"expected gain {formats.money(row.expected_gain)} {story.currency}")
    if known(row.cost) is not None:
        sums.append(f"cost {formats.money(row.cost)} {story.currency}")
    parts = [
        element("p", None, element("b", None, f"{row.at} · {row.action}")),
        element("p", None, row.reason),
    ]
    if sums:
        parts.append(element("p", {"class": "meta"}, " · ".join(sums)))
    return element("li", {"class": "act" if acted else None}, *parts)


def _folded_decisions(story: ReplayStory, rows: Sequence[DecisionRow]) -> Markup:
    names = formats.listed(dict.fromkeys(row.action for row in rows))
    summary_text = f"{rows[0].at} to {rows[-1].at} · {names}, {len(rows)} times"
    columns = [
        Column("at", numeric=False, style="whole"),
        Column("action", numeric=False),
        Column("expected gain"),
        Column("cost"),
        Column("reason", numeric=False, style="words"),
    ]
    cells = [
        (row.at, row.action, formats.money(row.expected_gain), formats.money(row.cost), row.reason) for row in rows
    ]
    listing = table(f"Sums in {story.currency}", columns, cells)
    return element("li", None, element("details", None, element("summary", None, summary_text), listing))


def _ledger(story: ReplayStory) -> Section | None:
    if not story.ledger:
        return None
    columns = [Column(story.period_unit, numeric=False, style="whole")]
    columns += [Column(name) for name in ("realised", "estimated", "release cost", "fit cost", "net", "labels known")]
    rows = [
        (
            row.period,
            formats.money(row.realised),
            formats.money(row.estimated),
            formats.money(row.release_cost),
            formats.money(row.fit_cost),
            formats.money(row.net),
            formats.percent(row.coverage),
        )
        for row in story.ledger
    ]
    foot = [
        (
            "sum",
            formats.money(_sum(row.realised for row in story.ledger)),
            formats.money(_sum(row.estimated for row in story.ledger)),
            formats.money(_sum(row.release_cost for row in story.ledger)),
            formats.money(_sum(row.fit_cost for row in story.ledger)),
            formats.money(_sum(row.net for row in story.ledger)),
            "",
        )
    ]
    listing = table(f"All sums in {story.currency}.", columns, rows, foot=foot)
    note = element("p", None, "Estimates stand in for labels that have not arrived, and are reversed when they do.")
    return Section("ledger", "Ledger", (note, listing))


def _reading(story: ReplayStory) -> Section:
    entries = [
        ("Policies", _policy_explanation(story)),
        ("No look-ahead", "Nothing was computed from a label before the day on which it became known."),
        ("Start", story.started_from),
        ("Promise about alarms", story.promise),
        ("Price of a stop", price_sentence(story)),
        ("Data", story.data_note),
    ]
    items = (part for name, text in entries if text for part in (element("dt", None, name), element("dd", None, text)))
    return Section("reading", "How to read this", (element("dl", None, *items),))


def _policy_explanation(story: ReplayStory) -> str:
    unit = story.period_unit
    texts = {
        "never": "“never” keeps the first model",
        "monthly": f"“{formats.policy_name('monthly', unit)}” fits and releases a new one every {unit}",
        "pitstop": "“pitstop” decides by itself",
        "oracle": "“optimum” is the best schedule in hindsight with the same recipes, delays and decision days",
        "champion": "the model is monitored only: nothing was trained or released",
    }
    named = [texts[policy] for policy in story.policies]
    return f"{formats.listed(named)}." if named else ""


def _cards(story: ReplayStory) -> Markup:
    items = []
    for policy, total in story.totals.items():
        name = element(
            "span", {"class": f"who p-{policy}"}, sample(policy), formats.policy_phrase(policy, story.period_unit)
        )
        amount = element(
            "span", {"class": "sum"}, formats.money(total.value), element("small", None, f" {story.currency}")
        )
        retrains = f"{formats.plural(total.retrains, 'retrain')}, cost {formats.money(total.cost)}"
        mean = f"mean {story.metric_name} {formats.metric(total.mean_metric)}"
        rest = [element("span", {"class": "rest"}, text) for text in (retrains, mean)]
        items.append(element("li", None, name, amount, *rest))
    return element("ul", {"class": "cards"}, *items) if items else Markup()


def _totals_rows(story: ReplayStory) -> list[tuple[str, ...]]:
    totals = [story.totals.get(policy) for policy in story.policies]
    if not any(totals):
        return []
    blank = [""] * len(totals)
    rows = formats.count(sum(row.rows for row in story.periods))
    means = [formats.metric(total.mean_metric) if total else formats.MISSING for total in totals]
    values = [formats.money(total.value) if total else formats.MISSING for total in totals]
    costs = [formats.money(total.cost) if total else formats.MISSING for total in totals]
    retrains = [formats.count(total.retrains) if total else formats.MISSING for total in totals]
    return [
        ("overall", rows, *means, *values),
        ("cost", "", *blank, *costs),
        ("retrains", "", *blank, *retrains),
    ]


def _release_list(releases: Sequence[ReleaseMark]) -> Markup:
    items = (
        element(
            "li",
            None,
            element("span", {"class": "num back" if release.instead_of else "num"}, str(number)),
            element(
                "span",
                None,
                element("span", {"class": "whole"}, release.at),
                " · ",
                element("b", None, release_name(release)),
                f" · {release_reason(release)}",
            ),
        )
        for number, release in enumerate(releases, start=1)
    )
    return joined(
        [element("h4", None, "Releases, as numbered in the pictures"), element("ol", {"class": "releases"}, *items)]
    )


def _column_style(policy: str, *, first: bool) -> str:
    return " ".join(part for part in ("apart" if first else "", "mine" if policy == "pitstop" else "") if part)


def _unbroken(text: str) -> Markup:
    """Return a text in which no line breaks inside a date."""
    parts = _DATE.split(text)
    return joined(element("span", {"class": "whole"}, part) if _DATE.fullmatch(part) else part for part in parts)


def _paragraphs(sentences: Sequence[str]) -> tuple[str, ...]:
    half = (len(sentences) + 1) // 2
    return tuple(" ".join(part) for part in (sentences[:half], sentences[half:]) if part)


def _sum(values: object) -> Number | None:
    numbers = [known(value) for value in values]  # type: ignore[attr-defined]
    given = [number for number in numbers if number is not None]
    return sum(given) if given else None
