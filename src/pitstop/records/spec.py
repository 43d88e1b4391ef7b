"""The specification of a model: what its columns mean, how time runs, what outcomes are worth, what is allowed.

`pitstop.toml` is its text form; `parse_spec` reads it strictly (an unknown key is an error that names its
neighbours), so a typing mistake never becomes a silent default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from pitstop.errors import SpecError
from pitstop.records.alarms import AlarmsSection
from pitstop.records.calendar import Calendar, PeriodUnit, WindowUnit
from pitstop.records.columns_section import ColumnsSection
from pitstop.records.elsewhere import ElsewhereSection
from pitstop.records.identity import artifact_id
from pitstop.records.release_sections import CanarySection, LimitsSection, RulesSection, ServingSection
from pitstop.records.sections import built, given

__all__ = [
    "AlarmsSection",
    "CanarySection",
    "ColumnsSection",
    "CostsSection",
    "DecisionSection",
    "LimitsSection",
    "ModelSection",
    "ModelSpec",
    "Outcome",
    "PolicySection",
    "ReplaySection",
    "RulesSection",
    "ServingSection",
    "Task",
    "TimeSection",
    "TrainerSection",
    "ValueSection",
    "load_spec",
    "parse_spec",
    "spec_of",
]

Task = Literal["binary", "multiclass", "regression"]
# Settings that came after the first homes were made, with their defaults: unused, they leave the id alone.
_SINCE_FIRST: tuple[tuple[str, str, Any], ...] = (
    ("columns", "subject", None),
    ("columns", "propensity", None),
    ("columns", "texts", ()),
    ("columns", "embeddings", ()),
    ("columns", "known_words", ()),
    ("costs", "inference_per_row", 0.0),
    ("costs", "review_per_row", 0.0),
    ("costs", "label_per_row", 0.0),
    ("costs", "people_per_period", 0.0),
    ("policy", "quarantine", False),
    ("policy", "challengers", ()),
    ("trainer", "format", "native"),
    ("trainer", "trusted", ()),
    ("alarms", "minimum_rows", 1),
    ("alarms", "quiet", ()),
)


@dataclass(frozen=True)
class ModelSection:
    """`[model]`: its name, which is not empty, and kind of task."""

    name: str
    task: Task

    def __post_init__(self) -> None:
        """Refuse no name: what concerns no model is kept under it."""
        if not self.name.strip():
            msg = f"[model] name is {self.name!r}; give the model a name"
            raise SpecError(msg)


@dataclass(frozen=True)
class TimeSection:
    """`[time]`: windows of monitoring and periods of decision (see `Calendar`).

    `label_delay` is a number of windows, used where no label time is known: a label is then known at the end of its
    window plus this delay.
    """

    window: WindowUnit | int = "day"
    period: PeriodUnit | int = "month"
    label_delay: int = 0


@dataclass(frozen=True)
class DecisionSection:
    """`[decision]`: the positive label (binary; compared as text) and the score from which it is predicted."""

    positive: str = "1"
    threshold: float = 0.5


@dataclass(frozen=True)
class Outcome:
    """The worth of one outcome: `constant + factor * amount`; `amount` names a numeric column (missing counts as 0)."""

    constant: float = 0.0
    factor: float = 0.0
    amount: str | None = None

    @classmethod
    def of_number(cls, number: float) -> Outcome:
        """Return what a single number in a specification stands for."""
        return cls(constant=number)


@dataclass(frozen=True)
class ValueSection:
    """`[value]`: the worth of each outcome cell, in `currency`.

    Binary tasks use the four cells; multiclass tasks `correct` and `wrong`; regression `per_unit_error` (the worth
    of one unit of absolute error, normally negative).
    """

    currency: str = "points"
    true_positive: Outcome = Outcome()
    false_positive: Outcome = Outcome(constant=-1.0)
    true_negative: Outcome = Outcome()
    false_negative: Outcome = Outcome(constant=-1.0)
    correct: Outcome = Outcome()
    wrong: Outcome = Outcome(constant=-1.0)
    per_unit_error: Outcome = Outcome(constant=-1.0)


@dataclass(frozen=True)
class CostsSection:
    """`[costs]`, in the currency of `[value]`; charged from here, never by a stopwatch.

    `release` is one stop (people, validation, risk, compute of the final fit); `fit_per_row` is the compute price of
    fitting one candidate, per training row. The others are what the model costs while it serves, and no decision to
    retrain depends on them: `inference_per_row` each prediction, `review_per_row` a person's look at each prediction
    that acts (binary: the positive class; else every one), `label_per_row` each label, `people_per_period` the people
    who keep it going.
    """

    release: float = 0.0
    fit_per_row: float = 0.0
    inference_per_row: float = 0.0
    review_per_row: float = 0.0
    label_per_row: float = 0.0
    people_per_period: float = 0.0


@dataclass(frozen=True)
class TrainerSection:
    """`[trainer]`: the registered trainer `name`, or `command`, an argv list that speaks the trainer protocol.

    `none` monitors only. `format` is about the files of scikit-learn's trainers: `native` are pickles, which only the
    trainer's own process opens; `skops` are files without code, of types that skops knows or that `trusted` names (a
    fit that holds another one is refused, and says which). Limits hold for one run: wall seconds, MiB of memory of its
    process group, MiB of files.
    """

    name: str = "gradient_boosting"
    command: tuple[str, ...] = ()
    seed: int = 0
    wall_seconds: float = 600.0
    memory_mib: int = 4096
    disk_mib: int = 2048
    format: Literal["native", "skops"] = "native"
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True)
class PolicySection:
    """`[policy]`: who decides when to retrain, and on which history (`all`, or `last_6` for six periods).

    `challengers` are further recipes: where a challenger goes into shadow because nothing is proven yet, one of each
    goes with it. `alpha` bounds the probability of promoting a challenger that is not better; those that are in shadow
    together share it. `agreement` is the largest share of rows on which a refitted challenger may decide differently
    from the tested one and still inherit its proof. With `quarantine` rows from a broken pipeline are left out of
    training, and nothing is retrained while it is broken.
    """

    name: str = "shadow_plan"
    recipe: str = "all"
    alpha: float = 0.05
    agreement: float = 0.15
    fit_every: int = 1
    quarantine: bool = False
    challengers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplaySection:
    """`[replay]`: when the first model is fitted. Empty: after three periods, or a tenth of all, whichever is later."""

    start: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """Everything that Pitstop is told about one model. Equal specs have equal ids."""

    model: ModelSection
    columns: ColumnsSection
    time: TimeSection = TimeSection()
    decision: DecisionSection = DecisionSection()
    value: ValueSection = ValueSection()
    costs: CostsSection = CostsSection()
    alarms: AlarmsSection = field(default_factory=AlarmsSection)
    trainer: TrainerSection = field(default_factory=TrainerSection)
    policy: PolicySection = PolicySection()
    serving: ServingSection = field(default_factory=ServingSection)
    elsewhere: ElsewhereSection = field(default_factory=ElsewhereSection)
    rules: RulesSection = field(default_factory=RulesSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    canary: CanarySection = field(default_factory=CanarySection)
    replay: ReplaySection = ReplaySection()

    def __post_init__(self) -> None:
        """Refuse contradictions between sections."""
        columns = self.columns
        if not columns.features:
            msg = "[columns] features is empty; name at least one feature column"
            raise SpecError(msg)
        stray = [name for name in columns.categorical if name not in columns.features]
        if stray:
            msg = f"[columns] categorical names {stray[0]!r}, which is not among the features {list(columns.features)}"
            raise SpecError(msg)
        single = ("id", "label", "label_time", "prediction", "score", "subject", "propensity")
        roles = {getattr(columns, name) for name in single}
        clash = [name for name in columns.features if name in roles - {columns.time}]
        if clash:
            msg = f"[columns] {clash[0]!r} is a feature and has another role; give it one role"
            raise SpecError(msg)
        if columns.label_time and not columns.label:
            msg = f"[columns] label_time is {columns.label_time!r} but no label is named; add label = ..."
            raise SpecError(msg)
        if columns.propensity and not columns.label:
            msg = f"[columns] propensity is {columns.propensity!r}, the chance of a label, but no label is named"
            raise SpecError(msg)
        if not 0.0 < self.decision.threshold < 1.0:
            msg = f"[decision] threshold is {self.decision.threshold}; expected a number between 0 and 1"
            raise SpecError(msg)
        if self.alarms.quiet and isinstance(self.time.window, int):
            msg = "[alarms] quiet names days, and windows of rows have none; use windows of an hour, a day or a week"
            raise SpecError(msg)
        if not 0.0 < self.policy.alpha < 1.0:
            msg = f"[policy] alpha is {self.policy.alpha}; expected a probability such as 0.05"
            raise SpecError(msg)
        paid = asdict(self.costs).values()
        if self.policy.fit_every < 1 or self.time.label_delay < 0 or not all(price >= 0 for price in paid):
            msg = "[policy] fit_every must be at least 1, [time] label_delay and what is paid in [costs] at least 0"
            raise SpecError(msg)
        self._check_releases()
        _ = self.calendar

    def _check_releases(self) -> None:
        own, further = self.policy.recipe, self.policy.challengers
        if len({own, *further}) < 1 + len(further):
            msg = f"[policy] challengers names {list(further)} beside the recipe {own!r}; name each recipe once"
            raise SpecError(msg)
        if self.canary.share and not self.columns.id:
            msg = "[canary] chooses rows by their id, and [columns] names none; add id = ..."
            raise SpecError(msg)
        role = self.limits.approval
        people = self.rules.approvers if role == "approver" else self.rules.risk_officers
        # Without a role, whoever orders a release answers for a segment that is worse: there is a way.
        asked = replace(self.limits, segments="not_worse") if self.limits.segments == "recorded" else self.limits
        if asked.envelope != LimitsSection().envelope and not people:
            msg = (
                f"[limits] lets a release outside the envelope wait for a {role}, and [rules] {role}s names nobody; "
                "name one, or no release could ever be approved"
            )
            raise SpecError(msg)

    @property
    def calendar(self) -> Calendar:
        """How instants become windows and periods."""
        return Calendar(self.time.window, self.time.period)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Features taken as numbers, in the order of `features`."""
        return tuple(name for name in self.columns.features if name not in self.columns.categorical)

    @property
    def amounts(self) -> tuple[str, ...]:
        """Columns that the value function multiplies, without repetition."""
        outcomes = (getattr(self.value, item.name) for item in fields(self.value) if item.name != "currency")
        return tuple(dict.fromkeys(outcome.amount for outcome in outcomes if outcome.amount))

    @property
    def trains(self) -> bool:
        """Whether Pitstop may train challengers (a trainer and a label are named)."""
        return self.trainer.name != "none" and self.columns.label is not None

    @property
    def content(self) -> dict[str, Any]:
        """All that decides what is found out about the model, as plain types: where it serves and rules are apart."""
        apart = ("serving", "elsewhere", "rules", "limits")
        everything = {name: section for name, section in asdict(self).items() if name not in apart}
        for section, name, default in _SINCE_FIRST:
            if everything[section][name] == default:
                del everything[section][name]
        if self.canary == CanarySection():
            del everything["canary"]
        return everything

    @property
    def id(self) -> str:
        """Digest of `content`."""
        return artifact_id("spec", self.content)


def parse_spec(text: str, source: str = "pitstop.toml") -> ModelSpec:
    """Return the specification in `text` (TOML). Raises `SpecError` naming the section, the key and the way out."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{source} is not valid TOML: {error}"
        raise SpecError(msg) from error
    spec: ModelSpec = built(ModelSpec, document, source, "")
    return spec


def spec_of(content: Mapping[str, Any]) -> ModelSpec:
    """Return the specification whose `content` (as plain JSON types) was kept. Raises `SpecError` for another one."""
    spec: ModelSpec = built(ModelSpec, given(content), "a kept specification", "")
    return spec


def load_spec(path: Path | str) -> ModelSpec:
    """Return the specification in a file. Raises `SpecError` where it is missing or not usable."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the specification {path}: {error}; `pitstop init TABLE` writes one"
        raise SpecError(msg) from error
    return parse_spec(text, str(path))
