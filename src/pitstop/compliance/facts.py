"""What is known of one model at one instant, as far as a policy pack can ask about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from pitstop.journal.verification import Verification
from pitstop.records.calendar import DAY, Calendar
from pitstop.releases import Release, ReleaseTimeline

Status = Literal["pass", "fail", "stale", "attested", "not applicable"]


@dataclass(frozen=True)
class Artifact:
    """An artifact as it was kept."""

    id: str
    kind: str
    at: int
    caused_by: tuple[str, ...]
    content: Mapping[str, Any]


@dataclass(frozen=True)
class People:
    """Who is named in `[rules]`: authors made the model, approvers release it, risk officers may override."""

    authors: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    risk_officers: tuple[str, ...] = ()

    def is_author(self, name: str) -> bool:
        """Whether a person made the model; case and blanks of names do not matter."""
        return _listed(name, self.authors)

    def holds(self, name: str, role: str) -> bool:
        """Whether a person holds the role `approver` or `risk_officer`."""
        return _listed(name, {"approver": self.approvers, "risk_officer": self.risk_officers}.get(role, ()))


def _listed(name: str, people: Iterable[str]) -> bool:
    plain = " ".join(name.split()).casefold()
    return any(plain == " ".join(other.split()).casefold() for other in people)


@dataclass(frozen=True)
class Facts:
    """What is known of one model at the instant `now`.

    `artifacts` in the order in which they were kept; `windows` in which rows were logged and are kept, ascending;
    `start`: the first window that was monitored, None before there was one. `check` verifies the journal, `logged`
    says of which windows the journal recorded rows; both are asked only where a query needs them. `candidate` is the id
    of the model that is to be released, "" where none is.
    """

    model: str
    calendar: Calendar
    now: int
    artifacts: tuple[Artifact, ...]
    windows: tuple[int, ...]
    start: int | None
    check: Callable[[], Verification] = field(compare=False)
    logged: Callable[[], tuple[int, ...]] = field(compare=False)
    candidate: str = ""

    def of(self, *kinds: str) -> tuple[Artifact, ...]:
        """Return the artifacts of some kinds."""
        return tuple(item for item in self.artifacts if item.kind in kinds)

    @cached_property
    def by_id(self) -> Mapping[str, Artifact]:
        """Artifacts by id."""
        return {item.id: item for item in self.artifacts}

    @cached_property
    def journal(self) -> Verification:
        """What a check of the journal found."""
        return self.check()

    @property
    def spec(self) -> Mapping[str, Any]:
        """The specification's sections, empty before the first model."""
        found = self.of("spec")
        return found[-1].content if found else {}

    @property
    def rules(self) -> Artifact | None:
        """The packs and people that bind the model, None where the specification never named any."""
        found = self.of("rules")
        return found[-1] if found else None

    @property
    def people(self) -> People:
        """Who is named in the rules."""
        content = self.rules.content if self.rules else {}
        names = (tuple(content.get(role, ())) for role in ("authors", "approvers", "risk_officers"))
        return People(*names)

    @cached_property
    def timeline(self) -> ReleaseTimeline:
        """The releases."""
        return ReleaseTimeline(tuple(Release.from_json(dict(item.content)) for item in self.of("release")))

    @property
    def champions(self) -> tuple[Release, ...]:
        """Every release from which on a model served."""
        return tuple(release for release in self.timeline.releases if release.stage == "champion")

    @property
    def waiting(self) -> Artifact | None:
        """The refusal of a release that still waits: neither released since, nor withdrawn."""
        closed = {cause for item in self.of("release", "withdrawal") for cause in item.caused_by}
        found = [item for item in self.of("refusal") if item.id not in closed]
        return found[-1] if found else None

    def days(self, since: int) -> int:
        """Return how many whole days have passed since an instant; with row-count windows, how many windows."""
        if self.calendar.by_rows:
            return self.calendar.window_at(self.now) - self.calendar.window_at(since)
        return (self.now - since) // DAY

    def name(self, instant: int) -> str:
        """Return an instant as text."""
        return self.calendar.name_instant(instant)


@dataclass(frozen=True)
class Answer:
    """What a query found: a sentence, and the ids of the artifacts behind it (those at fault, where it failed)."""

    status: Status
    sentence: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Query:
    """A way to look for evidence, asked with an item's id and limit; `measure` is the limit's unit, "" for none.

    A `manual` one can only ever answer that a person said so, or that nobody did.
    """

    name: str
    find: Callable[[Facts, str, int], Answer]
    measure: str = ""
    manual: bool = False


def ids(items: Iterable[Artifact]) -> tuple[str, ...]:
    """Return the ids of artifacts."""
    return tuple(item.id for item in items)


def many(things: Any, noun: str) -> str:
    """Return how many things there are, in words: `1 release`, `2 releases`."""
    count = things if isinstance(things, int) else len(things)
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
