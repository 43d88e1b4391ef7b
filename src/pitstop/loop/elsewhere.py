"""A retrain that another system carries out: what it is given, and what becomes of what it brings.

Training rows with their labels are given away, and held-out rows without: those whose labels came since the champion
was fitted, of the last period at most. What comes back is checked as a trainer's answer is, compared with the champion
on the held-out rows, and, where it is a model, put in shadow. That comparison is for people: it neither releases the
model, as the other system may know those labels from elsewhere, nor keeps it out, as the relation may have turned
since. In shadow it is tested on labels that nobody has.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.errors import ReleaseError, TrainerOutputError, TrainingError
from pitstop.loop.contesting import Change
from pitstop.loop.duels import difference_bound, row_losses
from pitstop.loop.kept import Kept
from pitstop.loop.models import Predictions
from pitstop.loop.orders import Order, OrderedUpkeep
from pitstop.records.identity import artifact_id
from pitstop.retraining.comparison import LEAST_BOUND, Comparison, PairedTest
from pitstop.retraining.recipes import Options, options_of
from pitstop.retraining.trainer import Challenger, CommandTrainer, Model

Ints = NDArray[np.int64]

# Stands for the trainer in a challenger's id: which program trains elsewhere is not known here.
_TRAINER = CommandTrainer("elsewhere")
# Predictions that were brought and those that the model then makes may differ by float noise of two machines.
_SAME = 1e-6
# Without held-out rows a model is asked about a few of the newest rows: it must be able to answer.
_TRIED_ROWS = 100


@dataclass(frozen=True)
class Training:
    """What another system is asked: artifacts, the challenger to be, and the rows (@id, features, @label)."""

    kept: tuple[Kept, ...]
    challenger: Challenger
    rows: pa.Table
    held_out: pa.Table

    @property
    def asked(self) -> Kept:
        """The artifact of the training."""
        return self.kept[-1]


@dataclass(frozen=True)
class Delivery:
    """What was brought of a training: a model, or predictions of the held-out rows `held_out` (ids, in order).

    `record` is its artifact. `before` are predictions that the same training had brought earlier.
    """

    record: Kept
    challenger: Challenger
    held_out: tuple[str, ...]
    model: Model | None = None
    predictions: pa.Table | None = None
    before: pa.Table | None = None


class ElsewhereUpkeep(OrderedUpkeep):
    """Upkeep whose ordered models may be trained elsewhere."""

    def ask_elsewhere(self, order: Order, as_of: int, chain: str) -> Training:
        """Choose the rows of an ordered training at `as_of`, the opening of the next window. Nothing is changed.

        Raises `ReleaseError` where no model is trained, a canary serves, or the recipe finds no row.
        """
        if self.models is None:
            msg = "this model is only watched: there is no label, or no trainer whose program could run what is brought"
            raise ReleaseError(msg)
        self._refuse_beside_canary()
        recipe = order.recipe or self.spec.policy.recipe
        if options_of(recipe) != Options(recipe):
            msg = (
                f"the recipe {recipe!r} has options, and what another system does with the rows is its own affair; "
                f"order it with {options_of(recipe).base!r}"
            )
            raise ReleaseError(msg)
        since = max(self.candidates[self.champion].at, self.calendar.period_start(self.calendar.period_at(as_of) - 1))
        usable = self._training_rows(as_of, order.recipe)
        # By its first label: one that was corrected since is of a row that the champion was fitted on.
        came = self.log.first_label_at
        held = np.flatnonzero((came >= since) & (came < as_of))
        held = held[np.argsort(came[held], kind="stable")]
        rows = np.setdiff1d(usable, held)
        if not len(rows):
            rows, held = usable, held[:0]
        if not len(rows):
            msg = (
                f"the recipe {order.recipe or self.spec.policy.recipe!r} finds no labelled row before "
                f"{self.calendar.name_instant(as_of)}; choose another one, for instance all"
            )
            raise ReleaseError(msg)
        ordered = self.ordered(order, as_of)
        challenger = Challenger.of(
            at=as_of,
            recipe=self._recipe(order.recipe),
            rows=len(rows),
            rows_digest=artifact_id("rows", f"{chain}|{ordered.id}"),
            trainer=_TRAINER,
            section=self.spec.trainer,
            caused_by=(self.spec.id, ordered.id),
        )
        held_out = self._named(held)
        content = {
            "order": ordered.id,
            "challenger": challenger.to_json(),
            "held_out": len(held),
            "held_out_digest": digest_of_ids(held_out["@id"].to_pylist()),
        }
        name = artifact_id("training", content)
        asked = Kept("training", name, as_of, (ordered.id,), content)
        return Training((ordered, asked), challenger, self._named(rows, label=True), held_out)

    def take_elsewhere(self, delivery: Delivery, as_of: int) -> Change:
        """Check what was brought, compare it, and put a model in shadow.

        Raises `TrainingError` where it cannot be used, `ReleaseError` where this period holds another model that
        serves, or a canary serves; nothing has changed then.
        """
        assert self.models is not None  # noqa: S101 - nobody else is asked; for the type checker
        challenger, model = delivery.challenger, delivery.model
        held = self.log.ordinals(delivery.held_out)
        before = len(self.timeline.releases)
        kept = [delivery.record]
        if model is None:
            assert delivery.predictions is not None  # noqa: S101 - one of the two; for the type checker
            said = self.models.said(delivery.predictions)
            kept += [self._as_kept(challenger), *self._compared(challenger, held, said, as_of, delivery.record.id)]
            return Change(tuple(kept))
        self._refuse_beside_canary()
        now = self.calendar.period_at(as_of) - self.first_period
        if now == self.champion:
            msg = "the model that serves was fitted in this period, which holds one; order again in the next period"
            raise ReleaseError(msg)
        self.models.bring(challenger.id, model)
        try:
            said = self._tried(challenger, held)
            if delivery.before is not None:
                _require_same(self.models.said(delivery.before), said)
        except TrainingError:
            self.models.forget(challenger.id)
            raise
        kept += [] if delivery.before is not None else [self._as_kept(challenger)]
        kept += self._compared(challenger, held, said, as_of, delivery.record.id)
        why = (*challenger.caused_by[1:], delivery.record.id)
        self._make_way(as_of, why, kept)
        self.candidates[now] = replace(challenger, model_digest=model.digest)
        self.digests[challenger.id] = model.digest
        self._note_fit(now, challenger.rows, as_of)
        self._shadow(now, as_of, why, f"trained elsewhere, and brought by {delivery.record.content['by']}")
        return Change((*kept, *self._releases(before)))

    def _tried(self, challenger: Challenger, held: Ints) -> Predictions:
        """Return what a model that was brought says of the held-out rows, in the sandbox."""
        assert self.models is not None  # noqa: S101 - as above
        if len(held):
            return self.models.predict(challenger.id, self.log.features(held))
        newest = np.arange(max(len(self.log) - _TRIED_ROWS, 0), len(self.log), dtype=np.int64)
        self.models.predict(challenger.id, self.log.features(newest))
        return Predictions(np.zeros(0), np.zeros(0, dtype=object))

    def _compared(self, challenger: Challenger, held: Ints, said: Predictions, as_of: int, cause: str) -> list[Kept]:
        """Return the comparison with the champion on held-out rows; none where the champion knows their labels."""
        assert self.models is not None  # noqa: S101 - as above
        champion = self.candidates[self.champion]
        if not len(held) or champion.at > self.log.first_label_at[held].min():
            return []
        if self.spec.columns.propensity is not None:
            # Held-out rows are labelled ones, and the decision chose those; in shadow it meets whole cohorts.
            return []
        own = self.models.predict(champion.id, self.log.features(held))
        scale = difference_bound(self.spec, self.log, held, own, said)
        gap = row_losses(self.spec, self.log, held, own.decided) - row_losses(self.spec, self.log, held, said.decided)
        test = PairedTest(self.spec.policy.alpha, LEAST_BOUND).updated(gap, scale)
        proof = Comparison.of(
            test, at=as_of, champion=champion.id, challenger=challenger.id, caused_by=(cause, challenger.id)
        )
        return [Kept("comparison", proof.id, as_of, proof.caused_by, proof.to_json())]

    def _as_kept(self, challenger: Challenger) -> Kept:
        return Kept("challenger", challenger.id, challenger.at, challenger.caused_by, challenger.to_json())

    def _named(self, rows: Ints, *, label: bool = False) -> pa.Table:
        table = self.log.features(rows, label=label)
        return table.add_column(0, "@id", pa.array([self.log.ids[row] for row in rows], type=pa.string()))


def digest_of_ids(ids: list[str]) -> str:
    """Return the digest of ids in their order (SHA-256, hex)."""
    return hashlib.sha256("\0".join(ids).encode()).hexdigest()


def keep_delivery(training: str, at: int, *, by: str, what: str, digest: str, observed: dict[str, str]) -> Kept:
    """Return the artifact of what was brought: `what` is model or predictions, `digest` that of its bytes."""
    content = {"training": training, "by": by, "what": what, "digest": digest}
    name = artifact_id("delivery", content)
    return Kept("delivery", name, at, (training,), {**content, "observed": observed})


def keep_no_delivery(training: str, challenger: str, at: int, *, error: str, message: str) -> Kept:
    """Return the one record of a training that gave no model: what was brought is unusable, late, or unwanted."""
    content = {"challenger": challenger, "training": training, "error": error, "message": message}
    return Kept("failure", artifact_id("failure", {"training": training}), at, (training,), content)


def _require_same(before: Predictions, now: Predictions) -> None:
    """Raise `TrainerOutputError` where a model does not say what was said in its name."""
    numbers = [(before.scores, now.scores)]
    if before.decided.dtype.kind == "f":
        numbers.append((before.decided, now.decided))
        differing = np.zeros(len(now.decided), dtype=np.bool_)
    else:
        differing = before.decided != now.decided
    for one, other in numbers:
        differing = differing | ~np.isclose(one, other, rtol=_SAME, atol=_SAME, equal_nan=True)
    if differing.any():
        first = int(np.flatnonzero(differing)[0])
        msg = (
            f"the model says something else than the predictions that were brought before it in {int(differing.sum())} "
            f"of {len(differing)} held-out rows, first in row {first}; bring the model that made them"
        )
        raise TrainerOutputError(msg)
