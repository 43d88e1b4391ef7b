"""Statements that several documents make: about the model, its training, its performance, its releases."""

from __future__ import annotations

from collections.abc import Iterator

from pitstop.compliance.documents.parts import Grid, Statement, grid, note, seen
from pitstop.compliance.facts import Artifact, Facts, many

_MOST = 40


def identity(facts: Facts) -> Iterator[Statement]:
    """Say what the model is, by its specification."""
    spec = facts.of("spec")[-1]
    columns, model = spec.content["columns"], spec.content["model"]
    label = columns["label"] or "no label"
    yield seen(f"{model['name']} is a model for a {model['task']} task; it predicts {label}.", spec)
    yield seen(f"It sees {many(columns['features'], 'feature')}: {', '.join(columns['features'])}.", spec)
    if model["task"] == "binary":
        decision = spec.content["decision"]
        yield seen(f"It says {decision['positive']!r} from a score of {decision['threshold']:g} on.", spec)
    protected = ", ".join(columns["protected"]) or "none"
    yield seen(f"Protected columns: {protected}.", spec)


def serving(facts: Facts) -> Iterator[Statement]:
    """Say which version serves, since when, and why."""
    champion = facts.timeline.champion
    if champion is None:
        yield note("No model was released by Pitstop: it watches predictions that were logged.")
        return
    yield seen(f"Version {champion.version} serves since {facts.name(champion.at)}: {champion.reason}.", champion.id)
    trained = facts.by_id.get(champion.model)
    if trained is not None:
        yield training(trained)


def training(item: Artifact) -> Statement:
    """Say how one model was trained."""
    content = item.content
    recipe = content["recipe"]["name"] if isinstance(content["recipe"], dict) else content["recipe"]
    return seen(
        f"It was trained on {content['rows']:,} rows (digest {content['rows_digest']}), recipe {recipe!r}, trainer "
        f"{content['trainer']} {content['trainer_version']}, seed {content['seed']}.",
        item,
    )


def performance(facts: Facts) -> Grid:
    """Return what performance was estimated to be, period by period, before the labels came."""
    rows = []
    for item in facts.of("estimate")[-_MOST:]:
        period = facts.calendar.name_period(int(item.content["period"]))
        for metric in item.content["metrics"].values():
            standing = "withdrawn: " + metric["withdrawn"] if metric["withdrawn"] else "stands"
            cells = (period, metric["metric"], f"{metric['low']:.3f} to {metric['high']:.3f}", standing)
            rows.append((cells, (item.id,)))
    return grid("Estimated performance, with its interval", ("period", "metric", "interval", "estimate"), rows)


def releases(facts: Facts) -> Grid:
    """Return every change of what serves."""
    rows = [
        (
            (
                facts.name(item.at),
                f"v{item.content['version']}",
                item.content["stage"].replace("_", " "),
                item.content["reason"],
            ),
            (item.id,),
        )
        for item in facts.of("release")[-_MOST:]
    ]
    return grid("Releases", ("from", "version", "stage", "why"), rows)


def decisions(facts: Facts) -> Grid:
    """Return every decision about retraining."""
    rows = [
        ((facts.name(item.at), item.content["action"], item.content["reason"]), (item.id,))
        for item in facts.of("decision")[-_MOST:]
    ]
    return grid("Decisions about retraining", ("at", "decision", "reason"), rows)


def incidents(facts: Facts) -> Grid:
    """Return every incident with what is known of its cause."""
    told = {item.content["item"]: item for item in facts.of("disposition")}
    rows = []
    for item in facts.of("incident")[-_MOST:]:
        end = told.get(item.id)
        words = f"{end.content['by']}: {end.content['text']}" if end else ""
        cells = (facts.name(item.at), str(item.content["cause"]["sentence"]), words)
        rows.append((cells, (item.id, *([end.id] if end else []))))
    return grid("Incidents and their causes", ("at", "cause, as far as it is known", "disposition"), rows)


def comparisons(facts: Facts) -> Grid:
    """Return every paired comparison with its verdict."""
    rows = []
    for item in facts.of("comparison")[-_MOST:]:
        content = item.content
        gain = f"{_tidy(content['low'])} to {_tidy(content['high'])}"
        cells = (facts.name(item.at), content["verdict"], f"{content['rows']:,}", gain)
        parties = [name for name in (content["challenger"], content["champion"]) if name in facts.by_id]
        rows.append((cells, (item.id, *parties)))
    return grid(
        "Paired comparisons of a challenger with the champion",
        ("at", "the challenger is", "rows", "loss saved a row, interval"),
        rows,
    )


def exceptions(facts: Facts) -> Iterator[Statement]:
    """Say what was refused, withdrawn, approved, overridden and ordered."""
    found = facts.of("refusal", "override", "withdrawal", "approval", "order")
    for item in found[-_MOST:]:
        content, at = item.content, facts.name(item.at)
        if item.kind == "refusal":
            yield seen(f"At {at} a release was held up: {content['sentence']}.", item)
        elif item.kind == "withdrawal":
            yield seen(f"At {at} a release that was held up was given up: {content['reason']}.", item)
        elif item.kind == "order":
            text = f"At {at} {content['by']} ordered to {content['action']}: {content['reason']}"
            yield Statement(text, (item.id,), "attested")
        else:
            verb = "approved a release" if item.kind == "approval" else f"overrode {content['item']}"
            words = f": {content['text']}" if content["text"] else ""
            yield Statement(f"At {at} {content['by']} {verb}{words}", (item.id,), "attested")
    if not found:
        yield note("No release was held up, and no person approved, overrode or ordered one.")


def _tidy(value: object) -> str:
    """Return a number with four digits, and none that is minus nothing."""
    return f"{round(float(str(value)), 6) + 0.0:.4g}"
