"""The commented text of a `pitstop.toml`: a reader learns from it what Pitstop does, and what was guessed for them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence

from pitstop.records.roles import TOLD, Guess
from pitstop.records.spec import ModelSpec, Outcome, ValueSection

_CELLS = {
    "binary": ("true_positive", "false_positive", "true_negative", "false_negative"),
    "multiclass": ("correct", "wrong"),
    "regression": ("per_unit_error",),
}


def template(spec: ModelSpec, guesses: Sequence[Guess] = (), warnings: Sequence[str] = ()) -> str:
    """Return the TOML text of `spec` with comments; the reason of a guess stands beside its key.

    `parse_spec(template(spec)) == spec` for every specification.
    """
    why = {guess.what: guess.why for guess in guesses}
    sections = (
        _head(warnings),
        _model(spec, why),
        _columns(spec, why),
        _time(spec, why),
        _decision(spec, why),
        _value(spec),
        _costs(spec, why),
        _alarms(spec),
        _trainer(spec, why),
        _policy(spec),
        _serving(spec),
        _elsewhere(spec),
        _rules(spec),
        _limits(spec),
        _canary(spec),
        _replay(spec),
    )
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _head(warnings: Sequence[str]) -> list[str]:
    lines = [
        "# What Pitstop knows about this model. Every key is checked: a typing mistake is an error, not a default.",
        "# Lines that were guessed say why; correct what is wrong.",
    ]
    if warnings:
        lines += ["#", "# Please look at these:", *(line for warning in warnings for line in _comment(f"- {warning}"))]
    return lines


def _model(spec: ModelSpec, why: Mapping[str, str]) -> list[str]:
    return [
        "[model]",
        f"name = {_text(spec.model.name)}",
        *_reason(why, "task", "binary, multiclass or regression"),
        f"task = {_text(spec.model.task)}",
    ]


def _columns(spec: ModelSpec, why: Mapping[str, str]) -> list[str]:
    columns = spec.columns
    optional = (
        ("id", columns.id, "names one prediction, so that its label can find it"),
        ("label", columns.label, "the true outcome, once it is known"),
        ("label_time", columns.label_time, "when the label became known; nothing is computed from a label before it"),
        ("prediction", columns.prediction, "the model's own output: a class or a number"),
        ("score", columns.score, "the model's own output: a probability between 0 and 1"),
        ("propensity", columns.propensity, "the chance that the label is revealed, where the decision hides some"),
        ("subject", columns.subject, "whom a row is about, so that a person's rows can be erased on request"),
    )
    lines = ["[columns]", *_reason(why, "time", "when the prediction is made"), f"time = {_text(columns.time)}"]
    for key, value, meaning in optional:
        lines += _reason(why, key, meaning)
        lines.append(f"# {key} = ..." if value is None else f"{key} = {_text(value)}")
    lines += ["# What the model sees and the drift monitors watch.", f"features = {_texts(columns.features)}"]
    lines += [
        "# The features that are categories; the others are numbers.",
        f"categorical = {_texts(columns.categorical)}",
    ]
    lines += [
        "# Free text, and lists of floats of one length: watched by measures, which are added to the features.",
        f"texts = {_texts(columns.texts)}",
        f"embeddings = {_texts(columns.embeddings)}",
        "# For each text the words that it held at the beginning, as a filter that `pitstop init` writes.",
        f"known_words = {_texts(columns.known_words)}",
        "# Groups of rows to tell apart; kept with the rows, not monitored by themselves yet.",
        f"segments = {_texts(columns.segments)}",
    ]
    lines += [
        "# Groups protected by law or by your rules: audited, and watched under the budget of alarms.",
        f"protected = {_texts(columns.protected)}",
    ]
    return lines


def _time(spec: ModelSpec, why: Mapping[str, str]) -> list[str]:
    time = spec.time
    return [
        "[time]",
        *_reason(why, "window", 'the unit of monitoring: "hour", "day", "week", or a number of rows'),
        f"window = {_text_or_number(time.window)}",
        '# The unit of decisions: "day", "week", "month", "quarter", "year", or a number of windows.',
        f"period = {_text_or_number(time.period)}",
        "# Without label_time: how many windows after the end of its own a label is known.",
        f"label_delay = {time.label_delay}",
    ]


def _decision(spec: ModelSpec, why: Mapping[str, str]) -> list[str]:
    return [
        "[decision]",
        *_reason(why, "positive", "binary: the label that the score is the probability of, as text"),
        f"positive = {_text(spec.decision.positive)}",
        "# Binary: the score from which the positive class is predicted.",
        f"threshold = {spec.decision.threshold!r}",
    ]


def _value(spec: ModelSpec) -> list[str]:
    value, default = spec.value, ValueSection()
    lines = [
        "[value]",
        "# What each outcome is worth. Points until you know the money: an error costs 1. An outcome may depend on",
        '# a numeric column: { constant = -10.0, factor = 0.2, amount = "price" } is worth 0.2 x price - 10.',
        f"currency = {_text(value.currency)}",
    ]
    for task, cells in _CELLS.items():
        for cell in cells:
            outcome: Outcome = getattr(value, cell)
            if task == spec.model.task or outcome != getattr(default, cell):
                lines.append(f"{cell} = {_outcome(outcome)}")
    return lines


def _costs(spec: ModelSpec, why: Mapping[str, str]) -> list[str]:
    return [
        "[costs]",
        *_reason(
            why, "costs.release", "one release of a retrained model: people, validation, risk, in the currency above"
        ),
        f"release = {spec.costs.release!r}",
        "# The compute of fitting a candidate, per training row.",
        f"fit_per_row = {spec.costs.fit_per_row!r}",
        "# While it serves: a prediction, a person's look at one that acts, a label, the people of one period.",
        *(
            f"{name} = {getattr(spec.costs, name)!r}"
            for name in ("inference_per_row", "review_per_row", "label_per_row", "people_per_period")
        ),
    ]


def _alarms(spec: ModelSpec) -> list[str]:
    return [
        "[alarms]",
        "# The promise: at most this many false alarms a month for the whole model, all monitors together.",
        f"per_month = {spec.alarms.per_month!r}",
        "# Rates of fewer rows are not judged, nor windows that begin in a quiet period (2026-12-24/2027-01-02).",
        f"minimum_rows = {spec.alarms.minimum_rows!r}",
        f"quiet = {_texts(spec.alarms.quiet)}",
    ]


def _trainer(spec: ModelSpec, why: Mapping[str, str]) -> list[str]:
    trainer = spec.trainer
    lines = [
        "[trainer]",
        '# Who fits a challenger: "gradient_boosting", "none" (monitor only), or your own program in any language,',
        '# name = "command" with command = ["python", "train.py"].',
    ]
    if "trainer" in why:
        lines += _comment(f'Guessed: {why["trainer"]}. Write "gradient_boosting" to let Pitstop retrain.')
    return [
        *lines,
        f"name = {_text(trainer.name)}",
        f"command = {_texts(trainer.command)}",
        f"seed = {trainer.seed}",
        "# Limits of one run: seconds, MiB of memory, MiB of files.",
        f"wall_seconds = {trainer.wall_seconds!r}",
        f"memory_mib = {trainer.memory_mib}",
        f"disk_mib = {trainer.disk_mib}",
        '# Files of models of scikit-learn: "native" (pickles, for the sandbox only) or "skops" (without code).',
        f"format = {_text(trainer.format)}",
        f"trusted = {_texts(trainer.trusted)}",
    ]


def _policy(spec: ModelSpec) -> list[str]:
    policy = spec.policy
    return [
        "[policy]",
        "# Who decides when to retrain, and which history a challenger is trained on.",
        f"name = {_text(policy.name)}",
        f"recipe = {_text(policy.recipe)}",
        "# Further recipes of which a challenger goes into shadow beside that one; they share alpha.",
        f"challengers = {_texts(policy.challengers)}",
        "# The largest probability of promoting a challenger that is no better.",
        f"alpha = {policy.alpha!r}",
        "# The largest share of rows on which a refitted challenger may decide otherwise and keep its proof.",
        f"agreement = {policy.agreement!r}",
        "# A candidate is fitted every so many periods.",
        f"fit_every = {policy.fit_every}",
        "# Whether rows from a broken pipeline are left out of training, and nothing is retrained while it is broken.",
        f"quarantine = {'true' if policy.quarantine else 'false'}",
    ]


def _serving(spec: ModelSpec) -> list[str]:
    serving = spec.serving
    return [
        "[serving]",
        "# Where `pitstop run` publishes the model that serves: a folder (champion.json and the model's file), a",
        "# command that reads the same facts as JSON from its standard input, a URL that they are posted to (signed",
        "# with the secret in that environment variable), an MLflow server and the alias of its registered model, a",
        "# file for KServe (models under that storage URI; percent of the traffic), or installed targets by name.",
        f"folder = {_text(serving.folder)}",
        f"command = {_texts(serving.command)}",
        f"webhook = {_text(serving.webhook)}",
        f"webhook_secret = {_text(serving.webhook_secret)}",
        f"mlflow = {_text(serving.mlflow)}",
        f"mlflow_alias = {_text(serving.mlflow_alias)}",
        f"mlflow_follow = {'true' if serving.mlflow_follow else 'false'}",
        f"kserve = {_text(serving.kserve)}",
        f"kserve_storage = {_text(serving.kserve_storage)}",
        f"kserve_format = {_text(serving.kserve_format)}",
        f"kserve_canary = {serving.kserve_canary}",
        f"targets = {_texts(serving.targets)}",
    ]


def _elsewhere(spec: ModelSpec) -> list[str]:
    elsewhere = spec.elsewhere
    return [
        "[elsewhere]",
        "# Another system that trains what people order at the service: where it is asked, signed with the secret in",
        "# that environment variable, and for how many hours its answer is waited for. Empty: trained here.",
        f"url = {_text(elsewhere.url)}",
        f"secret = {_text(elsewhere.secret)}",
        f"hours = {elsewhere.hours}",
    ]


def _rules(spec: ModelSpec) -> list[str]:
    rules = spec.rules
    return [
        "[rules]",
        "# Policy packs that bind this model: built-in names, or your own .toml files beside this one. An open item",
        "# that gates holds up a release until it passes, or until somebody who may override it says why.",
        f"packs = {_texts(rules.packs)}",
        "# Who made the model (and approves nothing of it), who may approve a release, who may override an item.",
        f"authors = {_texts(rules.authors)}",
        f"approvers = {_texts(rules.approvers)}",
        f"risk_officers = {_texts(rules.risk_officers)}",
    ]


def _limits(spec: ModelSpec) -> list[str]:
    limits = spec.limits
    return [
        "[limits]",
        "# What may happen by itself. A release outside this envelope waits for somebody who holds the role: without",
        "# `automatic` every one, one by another recipe (empty: any will do), one that decides more than this share of",
        "# rows otherwise than the champion, or one with less than this share of the champion's training rows.",
        f"automatic = {'true' if limits.automatic else 'false'}",
        f"recipes = {_texts(limits.recipes)}",
        f"most_changed = {limits.most_changed!r}",
        f"least_rows = {limits.least_rows!r}",
        "# What is asked of a release in each segment and protected group with rows enough: that it is not proven",
        "# worse (not_worse), that it is proven no worse (proven), or nothing (recorded). Worse is by more than this",
        "# share of what a row has lost lately.",
        f"segments = {_text(limits.segments)}",
        f"segment_margin = {limits.segment_margin!r}",
        f"approval = {_text(limits.approval)}",
        "# Periods after a release in which the policy releases nothing; what releases and fits may cost in a month,",
        "# in the currency of [value] (-1: no bound).",
        f"cool_down = {limits.cool_down}",
        f"budget_per_month = {limits.budget_per_month!r}",
    ]


def _canary(spec: ModelSpec) -> list[str]:
    canary = spec.canary
    return [
        "[canary]",
        "# The share of rows that a proven challenger serves before it is the champion (0: it serves all at once);",
        "# for how many windows with labels, and labelled rows, at least; and by which share of what a row has lost",
        "# lately it may be worse than the champion there before it is stopped.",
        f"share = {canary.share!r}",
        f"windows = {canary.windows}",
        f"least_rows = {canary.least_rows}",
        f"margin = {canary.margin!r}",
    ]


def _replay(spec: ModelSpec) -> list[str]:
    return [
        "[replay]",
        "# When a replay fits its first model. Empty: after three periods or a tenth of the history, if that is later.",
        f"start = {_text(spec.replay.start)}",
    ]


def _reason(why: Mapping[str, str], key: str, meaning: str) -> list[str]:
    guessed = f" Guessed: {why[key]}." if why.get(key, TOLD) != TOLD else ""
    return _comment(f"{meaning[0].upper()}{meaning[1:]}.{guessed}")


def _comment(text: str) -> list[str]:
    # Comments end at a line break and may hold no control characters, which column names may.
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return [f"# {line}" for line in textwrap.wrap(printable, 112)]


def _text(value: str) -> str:
    # JSON's escapes are TOML's, except that TOML also wants DEL escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _texts(values: Sequence[str]) -> str:
    line = f"[{', '.join(_text(value) for value in values)}]"
    if len(line) <= 100:
        return line
    return "[\n" + "".join(f"  {_text(value)},\n" for value in values) + "]"


def _text_or_number(value: str | int) -> str:
    return _text(value) if isinstance(value, str) else str(value)


def _outcome(outcome: Outcome) -> str:
    if outcome.factor == 0.0 and outcome.amount is None:
        return repr(outcome.constant)
    parts = [f"constant = {outcome.constant!r}", f"factor = {outcome.factor!r}"]
    if outcome.amount is not None:
        parts.append(f"amount = {_text(outcome.amount)}")
    return "{ " + ", ".join(parts) + " }"
