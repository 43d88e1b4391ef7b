"""The text of a specification is the specification."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import SpecError
from pitstop.records.alarms import AlarmsSection
from pitstop.records.roles import Guess
from pitstop.records.spec import (
    ColumnsSection,
    CostsSection,
    DecisionSection,
    LimitsSection,
    ModelSection,
    ModelSpec,
    Outcome,
    PolicySection,
    ReplaySection,
    RulesSection,
    ServingSection,
    TimeSection,
    TrainerSection,
    ValueSection,
    parse_spec,
)
from pitstop.records.template import template

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
MONEY = st.floats(-1e9, 1e9, allow_nan=False)
QUIET = st.lists(st.dates(max_value=date(9999, 12, 30)).map(str), max_size=2).map(tuple)
COSTS = st.floats(0, 1e9)
OUTCOMES = st.builds(Outcome, MONEY, MONEY, st.none() | NAMES)
TIMES = st.one_of(
    st.builds(TimeSection, st.just("day"), st.sampled_from(["week", "month", "quarter", "year"]), st.integers(0, 9)),
    st.builds(TimeSection, st.integers(1, 999), st.integers(1, 99), st.integers(0, 9)),
)


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    names = draw(st.lists(NAMES, min_size=6, max_size=12, unique=True))
    features = tuple(names[5:])
    optional = [draw(st.none() | st.just(name)) for name in names[1:5]]
    time = draw(TIMES)
    quiet = st.just(()) if isinstance(time.window, int) else QUIET
    return ModelSpec(
        model=ModelSection(draw(NAMES), draw(st.sampled_from(["binary", "multiclass", "regression"]))),
        columns=ColumnsSection(
            time=names[0],
            features=features,
            id=optional[0],
            label=optional[1],
            label_time=optional[2] if optional[1] else None,
            score=optional[3],
            categorical=features[: draw(st.integers(0, len(features)))],
            segments=features[:1],
        ),
        time=time,
        decision=DecisionSection(draw(NAMES), draw(st.floats(0.01, 0.99))),
        value=draw(st.builds(ValueSection, NAMES, *[OUTCOMES] * 7)),
        costs=draw(st.builds(CostsSection, COSTS, COSTS)),
        alarms=draw(st.builds(AlarmsSection, st.floats(0.001, 100), st.integers(1, 9), quiet)),
        trainer=draw(st.builds(TrainerSection, NAMES, st.lists(NAMES, max_size=3).map(tuple), st.integers(0, 99))),
        policy=draw(st.builds(PolicySection, NAMES, NAMES, fit_every=st.integers(1, 9))),
        rules=draw(st.builds(RulesSection, *[st.lists(NAMES, min_size=1, max_size=3).map(tuple)] * 4)),
        limits=draw(
            st.builds(
                LimitsSection,
                st.booleans(),
                st.lists(NAMES, max_size=2).map(tuple),
                st.floats(0.0, 1.0),
                st.floats(0.0, 2.0),
                st.sampled_from(["recorded", "not_worse", "proven"]),
                st.floats(0.0, 1.0),
                st.sampled_from(["approver", "risk_officer"]),
                st.integers(0, 9),
                st.floats(-1.0, 1e6),
            )
        ),
        serving=draw(st.builds(ServingSection, NAMES, st.lists(NAMES, max_size=3).map(tuple))),
        replay=draw(st.builds(ReplaySection, st.text(max_size=10))),
    )


@settings(max_examples=30, deadline=None)
@given(specs(), st.lists(st.builds(Guess, st.sampled_from(["label", "time", "trainer"]), NAMES, st.text())))
def test_parsing_the_text_gives_the_specification_whatever_is_in_the_comments(
    spec: ModelSpec, guesses: list[Guess]
) -> None:
    assert parse_spec(template(spec, guesses, [guess.why for guess in guesses])) == spec


def test_every_key_stands_in_the_text() -> None:
    spec = ModelSpec(
        ModelSection("m", "binary"),
        ColumnsSection(
            "t", ("x",), id="i", label="y", label_time="l", prediction="p", score="s", subject="w", propensity="c"
        ),
        value=ValueSection(correct=Outcome(2.0), wrong=Outcome(2.0), per_unit_error=Outcome(2.0)),
    )
    document = tomllib.loads(template(spec))
    assert list(document) == [item.name for item in fields(spec)]
    for section, keys in document.items():
        assert set(keys) == {item.name for item in fields(getattr(spec, section))}


@pytest.mark.parametrize(
    ("section", "line", "words"),
    [
        ("alarms", "per_month = nan", "alarms.per_month is nan; expected a finite number"),
        ("costs", "release = inf", "costs.release is inf; expected a finite number"),
        ("value", "true_positive = nan", "expected a finite number or a table"),
        ("value", "wrong = { constant = -inf }", "value.wrong.constant is -inf"),
        ("trainer", f"wall_seconds = 1{'0' * 400}", "expected a finite number"),
        ("columns", 'categorical = ["x", "x"]', "categorical names 'x' twice"),
        ("columns", 'features = ["x", "y", "x"]', "features names 'x' twice"),
        ("model", 'name = " "', "give the model a name"),
    ],
)
def test_what_no_model_can_mean_is_refused(section: str, line: str, words: str) -> None:
    given = {"model": {"name": 'name = "m"', "task": 'task = "binary"'}}
    given["columns"] = {"time": 'time = "t"', "features": 'features = ["x"]'}
    given.setdefault(section, {})[line.partition(" = ")[0]] = line
    text = "\n".join(f"[{name}]\n" + "\n".join(lines.values()) for name, lines in given.items())
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert words in str(caught.value)


def test_a_reason_stands_beside_its_key_and_what_was_told_is_no_guess() -> None:
    spec = ModelSpec(ModelSection("m", "binary"), ColumnsSection("t", ("x",), label="y"))
    text = template(spec, [Guess("label", "y", "it stands last"), Guess("time", "t", "you said so")])
    assert 'Guessed: it stands last.\nlabel = "y"' in text
    assert "you said so" not in text
