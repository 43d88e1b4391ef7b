"""The gate in front of every release: asks the policy packs that bind a model, with what the loop knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from pitstop.compliance.facts import Artifact, Facts
from pitstop.compliance.gate import Verdict, judge
from pitstop.compliance.packs import Pack, load_packs
from pitstop.journal.verification import Verification
from pitstop.loop.envelope import ProposedChange, outside, with_limits
from pitstop.loop.kept import Kept
from pitstop.loop.recalling import KINDS, logged_windows, recall
from pitstop.records.identity import artifact_id
from pitstop.records.spec import LimitsSection, ModelSpec, RulesSection
from pitstop.store.home import Home


class Gate(Protocol):
    """Says whether a candidate may be released."""

    def judge(self, candidate: str, as_of: int, kept: Sequence[Kept], change: ProposedChange | None = None) -> Verdict:
        """Return what stands in the way of a release at `as_of`; `kept` is not in the store yet.

        `change` is what it would change, None where no envelope was agreed.
        """


@dataclass(frozen=True)
class Held:
    """A proven candidate whose release is refused: its number, the period, the record of it, and what led there.

    `why` would be the release's reason; `sentence` says what stands in its way, as it was when it was refused; `change`
    is what the release would change, where an envelope was agreed.
    """

    number: int
    since: int
    refusal: str
    caused_by: tuple[str, ...]
    why: str
    sentence: str
    change: ProposedChange | None = None

    def to_state(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return what `to_state` described."""
        change = state.get("change")
        proposed = ProposedChange.from_json(change) if change else None
        return cls(**{**state, "caused_by": tuple(state["caused_by"]), "change": proposed})


class Gatekeeper:
    """The gate of one model in a home: binding packs, and what the loop made that is not committed yet."""

    def __init__(self, home: Home, spec: ModelSpec, packs: Sequence[Pack], start: int) -> None:
        """Take the window `start` as the first that is monitored."""
        self.packs = tuple(packs)
        self._home = home
        self._spec = spec
        self._start = start
        self._fresh: dict[str, Artifact] = {}
        self._windows: set[int] = set()
        self._verified: Verification | None = None
        self._announced = False

    @property
    def binds(self) -> bool:
        """Whether anything could stand in a release's way: a pack, or an envelope that was agreed."""
        return bool(self.packs) or self._spec.limits.envelope != LimitsSection().envelope

    def saw(self, window: int, rows: int, kept: Sequence[Kept]) -> None:
        """Take note of a window that the loop took in and has not committed."""
        if rows:
            self._windows.add(window)
        self._fresh.update({item.id: _artifact(item) for item in kept if item.kind in KINDS})

    def announced(self, window: int, opening: int) -> tuple[Kept, ...]:
        """Return the record of the packs and people that bind from now on, where they are not those on record.

        Nothing before the first monitored window, and nothing after the first answer: rules change between openings.
        """
        if self._announced or window < self._start:
            return ()
        self._announced = True
        spec = self._spec
        before = self._home.artifacts("rules", spec.model.name)
        if spec.rules == RulesSection() and spec.limits == LimitsSection() and not before:
            return ()
        people = {name: list(names) for name, names in asdict(spec.rules).items() if name != "packs"}
        content: dict[str, Any] = {"packs": [{**pack.to_json(), "text": pack.text} for pack in self.packs], **people}
        if spec.limits != LimitsSection():
            content["limits"] = {**asdict(spec.limits), "recipes": list(spec.limits.recipes)}
        if before and {name: value for name, value in before[-1].content.items() if name != "after"} == content:
            return ()
        content["after"] = before[-1].id if before else None
        causes = tuple(item.id for item in before[-1:])
        return (Kept("rules", artifact_id("rules", content), opening, causes, content),)

    def judge(self, candidate: str, as_of: int, kept: Sequence[Kept], change: ProposedChange | None = None) -> Verdict:
        """Return what stands in the way of a release, by what is on record at `as_of` and by `kept`."""
        if not self.binds and (change is None or not outside(self._spec.limits, change)):
            return Verdict()
        facts = self._facts(candidate, as_of, kept)
        return with_limits(judge(self.packs, facts), self._spec.limits, change, facts)

    def _facts(self, candidate: str, as_of: int, kept: Sequence[Kept]) -> Facts:
        name, calendar = self._spec.model.name, self._spec.calendar
        # What people say between two windows is dated at the opening of the next, and was said before it opened.
        found = {item.id: item for item in recall(self._home, name, as_of + 1)}
        found.update({key: item for key, item in self._fresh.items() if item.at <= as_of})
        found.update({item.id: _artifact(item) for item in kept if item.kind in KINDS})
        windows = {item.window for item in self._home.segments("predictions", name) if item.rows} | self._windows
        return Facts(
            model=name,
            calendar=calendar,
            now=as_of,
            artifacts=tuple(found.values()),
            windows=tuple(sorted(windows)),
            start=self._start,
            check=self._check,
            logged=lambda: tuple(sorted({*logged_windows(self._home, name, calendar), *self._windows})),
            candidate=candidate,
        )

    def _check(self) -> Verification:
        # Once for each opening of the home: within it, only this loop adds to the journal. What is committed is signed
        # first, or a long replay, which signs when it ends, would be held up by its own length.
        if self._verified is None:
            self._home.checkpoint()
            self._verified = self._home.verify()
        return self._verified


def gate_of(home: Home, spec: ModelSpec, base: Path, start: int) -> Gatekeeper:
    """Return the gate of a model; paths of packs are relative to `base`. Raises `PackError`."""
    return Gatekeeper(home, spec, load_packs(spec.rules.packs, base), start)


def keep_refusal(challenger: str, at: int, caused_by: tuple[str, ...], verdict: Verdict) -> Kept:
    """Return the one record of a release that is held up."""
    held = [objection.to_json() for objection in verdict.objections]
    content = {"challenger": challenger, "open": held, "sentence": verdict.sentence}
    name = artifact_id("refusal", {"challenger": challenger, "at": at, "items": [item["item"] for item in held]})
    return Kept("refusal", name, at, caused_by, content)


def keep_withdrawal(challenger: str, at: int, caused_by: tuple[str, ...], why: str) -> Kept:
    """Return the record that a release which was held up will not be made."""
    content = {"challenger": challenger, "reason": why}
    name = artifact_id("withdrawal", {"challenger": challenger, "at": at, "refusal": caused_by[0]})
    return Kept("withdrawal", name, at, caused_by, content)


def _artifact(item: Kept) -> Artifact:
    return Artifact(item.id, item.kind, item.at, item.caused_by, item.content)
