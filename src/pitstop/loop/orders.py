"""What a person may order between two windows: retrain, release, roll back, retire; each is an entry of its own.

An order is dated at the opening of the next window, and everything it causes names it. It bends no proof: a model that
a person asks for starts in shadow like any other, and packs that bind a release bind an ordered one too. Only the way
back is never held up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pitstop.errors import ReleaseError, TrainingError
from pitstop.loop.contesting import Change
from pitstop.loop.kept import Kept
from pitstop.loop.upkeep import Upkeep
from pitstop.records.identity import artifact_id
from pitstop.releases import Release
from pitstop.retraining.fits import check_options

Action = Literal["retrain", "release", "rollback", "retire"]


@dataclass(frozen=True)
class Order:
    """What a person asks for: `by` whom and why (`reason`), never empty.

    `version` is what to release or retire. `recipe` is how to retrain (empty: the policy's). `observed`, when and by
    which login it was typed, is kept beside the order and is no part of its id.
    """

    action: Action
    by: str
    reason: str
    version: int | None = None
    recipe: str = ""
    observed: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an order that nobody signs, or that says no reason."""
        if not self.by.strip() or not self.reason.strip():
            msg = f"got by {self.by!r} and reason {self.reason!r}; an order needs a name and a reason, for the journal"
            raise ReleaseError(msg)


class OrderedUpkeep(Upkeep):
    """Upkeep that also does what people order."""

    def obey(self, order: Order, as_of: int, chain: str) -> Change:
        """Do what is ordered at `as_of`, the opening of the next window. Raises `ReleaseError` where it cannot be."""
        if self.models is None:
            msg = (
                "this model is only watched: no model is trained here; name a trainer and a label in its specification"
            )
            raise ReleaseError(msg)
        before = len(self.timeline.releases)
        kept = [self.ordered(order, as_of)]
        name = kept[0].id
        why = f"{order.by.strip()}: {order.reason.strip()}"
        released = False
        if order.action == "retrain":
            self._retrain(order, as_of, chain, kept)
        elif order.action == "rollback":
            self._go_back(as_of, (name,), f"rolled back by {why}", kept)
            released = True
        elif order.action == "release":
            self._may_release(order.by.strip())
            number = self._number(self._shadowed(order.version))
            released = self._admit(number, as_of, (name,), f"released by {why}", kept)
        else:
            number = self._number(self._shadowed(order.version))
            self._retire_waiting(number, as_of, (name,), f"retired by {why}")
            self.duels = tuple(duel for duel in self.duels if duel.other != number)
            if self.held is not None and self.held.number == number:
                self._withdraw(as_of, (name,), f"retired by {why}", kept)
        return Change((*kept, *self._releases(before)), released=released)

    def ordered(self, order: Order, as_of: int) -> Kept:
        """Return the artifact of an order that is given at `as_of`; there is a release before it."""
        last = self.timeline.releases[-1].id
        content = {
            "action": order.action,
            "by": order.by.strip(),
            "reason": order.reason.strip(),
            "version": order.version,
            "recipe": order.recipe or None,
        }
        if order.action == "release":
            # An order to release says which model it approves of.
            content["model"] = self._shadowed(order.version).model
        name = artifact_id("order", {**content, "at": as_of, "after": last})
        return Kept("order", name, as_of, (last,), {**content, "observed": dict(order.observed)})

    def _retrain(self, order: Order, as_of: int, chain: str, kept: list[Kept]) -> None:
        """Fit a model on the labels known now and put it in shadow; a fit that fails changes nothing."""
        now = self.calendar.period_at(as_of) - self.first_period
        self._refuse_beside_canary()
        in_use = {self.champion, *(duel.other for duel in self.duels), *([self.held.number] if self.held else ())}
        if now in in_use:
            known = {release.model: release for release in self.timeline.releases}[self.candidates[now].id]
            way = "release or retire it, or " if known.stage == "shadow" else ""
            msg = (
                f"v{known.version}, fitted in this period, is in use as {known.stage}, and a period holds one "
                f"challenger; {way}wait for the next period"
            )
            raise ReleaseError(msg)
        if order.recipe:
            check_options(order.recipe, self.spec)
        if not len(self._training_rows(as_of, order.recipe)):
            msg = (
                f"the recipe {order.recipe or self.spec.policy.recipe!r} finds no labelled row before "
                f"{self.calendar.name_instant(as_of)}; choose another one, for instance all"
            )
            raise ReleaseError(msg)
        ordered, before = kept[0].id, self.candidates.get(now)
        kept.append(self._ask(now, as_of, chain, order.recipe))
        try:
            self._finish(now)
        except TrainingError as error:
            self._fail(now, as_of, error, kept)
            if before is not None:
                self.candidates[now] = before
            return
        self._report(as_of, kept)
        self._make_way(as_of, (ordered,), kept)
        self._shadow(now, as_of, (ordered,), f"asked for by {order.by.strip()}: {order.reason.strip()}")

    def _refuse_beside_canary(self) -> None:
        """Raise `ReleaseError` where a canary serves: with newer challengers in its place it would never end."""
        canary = self.timeline.canary
        if canary is not None:
            msg = (
                f"v{canary.version} serves a share of the rows, and a newer challenger would take its place; release "
                "or retire it, or wait until its canary is over"
            )
            raise ReleaseError(msg)

    def _shadowed(self, version: int | None) -> Release:
        waiting = [item for item in self.timeline.versions.values() if item.stage in ("shadow", "canary")]
        for item in waiting:
            if item.version == version or (version is None and len(waiting) == 1):
                return item
        names = ", ".join(f"v{item.version}" for item in waiting) or "none"
        asked = f"v{version} is not in shadow or canary" if version is not None else "name a version"
        msg = (
            f"{asked}; waiting: {names}. `pitstop challenger` shows them, `pitstop retrain` makes one, "
            "`pitstop rollback` goes back to a version that served"
        )
        raise ReleaseError(msg)

    def _number(self, release: Release) -> int:
        return {item.id: number for number, item in self.candidates.items()}[release.model]

    def _may_release(self, by: str) -> None:
        rules = self.spec.rules
        if rules.approvers and (by not in rules.approvers or by in rules.authors):
            why = "an author of it" if by in rules.authors else "not among them"
            msg = (
                f"{by} may not release this model: [rules] approvers names {', '.join(rules.approvers)}, and {by} is "
                f"{why}; have one of them release it"
            )
            raise ReleaseError(msg)
