"""The ML Test Score: 28 tests of readiness in four sections, of which the weakest counts.

Breck, Cai, Nielsen, Salib, Sculley: The ML Test Score, IEEE Big Data 2017. A test earns half a point where it is done
by hand and written down, and a whole one where it runs by itself and is repeated. A section's score is the sum of its
tests, the final score the smallest of the four.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from pitstop.compliance.facts import Answer, Facts
from pitstop.compliance.queries import QUERIES

SECTIONS = ("data", "model", "infrastructure", "monitoring")


@dataclass(frozen=True)
class ScoreTest:
    """One of the 28. `query` looks for evidence; `whole` says whether its pass is worth a point or half of one.

    Where a query covers half a test, or there is none, a person attests the rest. `next` says what earns more.
    """

    id: str
    section: str
    text: str
    query: str
    limit: int
    whole: bool
    next: str


@dataclass(frozen=True)
class Scored:
    """A test with its points (0, 0.5 or 1), the part of them that was observed, and what was found."""

    test: ScoreTest
    points: float
    observed: float
    found: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """All 28 tests, and what follows from them."""

    tests: tuple[Scored, ...]

    def section(self, name: str) -> float:
        """The sum of a section's points."""
        return sum(item.points for item in self.tests if item.test.section == name)

    @property
    def final(self) -> float:
        """The smallest of the four sections: readiness is that of the weakest part."""
        return min(self.section(name) for name in SECTIONS)

    @property
    def next(self) -> Scored | None:
        """The test of the weakest section whose next half point costs least: a check that failed, then a statement."""
        weakest = min(SECTIONS, key=self.section)
        missing = [item for item in self.tests if item.test.section == weakest and item.points < 1.0]
        return min(missing, key=lambda item: (item.points, not item.test.query, item.test.id), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain JSON types."""
        following = self.next
        return {
            "final": self.final,
            "sections": {name: self.section(name) for name in SECTIONS},
            "next": None if following is None else {"test": following.test.id, "do": following.test.next},
            "tests": [
                {
                    "id": item.test.id,
                    "text": item.test.text,
                    "points": item.points,
                    "observed": item.observed,
                    "found": item.found,
                    "evidence": list(item.ids),
                }
                for item in self.tests
            ],
        }


@cache
def score_tests() -> tuple[ScoreTest, ...]:
    """Return the 28 tests, in the paper's order."""
    text = resources.files("pitstop.compliance").joinpath("texts", "ml_test_score.toml").read_text(encoding="utf-8")
    return tuple(
        ScoreTest(
            entry["id"],
            entry["id"].partition(".")[0],
            entry["text"],
            entry.get("query", ""),
            entry.get("limit", 0),
            entry.get("whole", False),
            entry["next"],
        )
        for entry in tomllib.loads(text)["test"]
    )


def score(facts: Facts) -> Score:
    """Score a model's upkeep by what is on record."""
    return Score(tuple(_scored(facts, test) for test in score_tests()))


def _scored(facts: Facts, test: ScoreTest) -> Scored:
    answer = QUERIES[test.query].find(facts, test.id, test.limit) if test.query else Answer("fail", "not looked at")
    observed = (1.0 if test.whole else 0.5) if answer.status == "pass" else 0.0
    said = [item for item in facts.of("attestation") if item.content["item"] == test.id]
    standing = [item for item in said if item.content.get("until") is None or facts.now <= int(item.content["until"])]
    told, found, ids = 0.0, answer.sentence, answer.ids if observed else ()
    if standing:
        last = standing[-1].content
        # Half of it observed and the rest said to run by itself: a whole point, as for a test that only people see.
        told = 1.0 if last.get("automated") else 0.5
        words = "runs by itself" if last.get("automated") else "done by hand"
        found = f"{words}, says {last['by']}: {last['text']}" + (f"; {answer.sentence}" if test.query else "")
        ids = (*ids, standing[-1].id)
    return Scored(test, max(observed, told), observed, found, ids)
