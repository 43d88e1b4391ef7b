"""The section `[columns]` of a specification: the role of each column."""

from __future__ import annotations

from dataclasses import dataclass

from pitstop.errors import SpecError
from pitstop.records.measures import check_known, text_columns, vector_columns


@dataclass(frozen=True)
class ColumnsSection:
    """`[columns]`: the role of each column. A column without a role is not used.

    `features` are what the trainer and the drift monitors see; those also named in `categorical` are taken as
    categories, the others as numbers. `prediction` (a class or a number) and `score` (the probability of the positive
    class) are the model's own logged output, where the table has it; without a trainer they are needed. `subject` says
    whom a row is about, so that a person's rows can be erased on request (default: each row's `id`). `propensity` is
    the chance, from 0 to 1, that the row's label will be revealed, where the decision hides outcomes and some rows are
    decided the other way at random; models are then compared by it.

    `texts` are free text and `embeddings` lists of floats of one length. Neither is kept: each becomes a few numbers
    (`pitstop.records.measures`), which are features like any other and are added to them. `known_words`: for each text
    the filter of known words that `pitstop init` writes, "" for none; empty: none of them has one.
    """

    time: str
    features: tuple[str, ...]
    id: str | None = None
    label: str | None = None
    label_time: str | None = None
    prediction: str | None = None
    score: str | None = None
    categorical: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    subject: str | None = None
    propensity: str | None = None
    texts: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    known_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Add the measures of texts and embeddings to the features. Raises `SpecError` for a second role."""
        wide = (*self.texts, *self.embeddings)
        roles = (
            self.time,
            self.id,
            self.label,
            self.label_time,
            self.prediction,
            self.score,
            self.subject,
            self.propensity,
        )
        for key in ("features", "categorical"):
            listed = getattr(self, key)
            again = next((name for place, name in enumerate(listed) if name in listed[:place]), None)
            if again is not None:
                msg = f"[columns] {key} names {again!r} twice; name each column once"
                raise SpecError(msg)
        taken = {*self.features, *self.segments, *self.protected, *roles}
        twice = [name for place, name in enumerate(wide) if name in taken or name in wide[:place]]
        if twice:
            msg = f"[columns] {twice[0]!r} is a text or an embedding and has another role; give it one role"
            raise SpecError(msg)
        if self.known_words and len(self.known_words) != len(self.texts):
            msg = (
                f"[columns] known_words has {len(self.known_words)} entries for {len(self.texts)} texts; give one each"
            )
            raise SpecError(msg)
        for name, known in self.words_of_texts:
            if known:
                check_known(name, known)
        added = tuple(name for name in self.measures if name not in self.features)
        if added:
            object.__setattr__(self, "features", (*self.features, *added))

    @property
    def words_of_texts(self) -> tuple[tuple[str, str], ...]:
        """Each text with its known words."""
        return tuple(zip(self.texts, self.known_words or ("",) * len(self.texts), strict=True))

    @property
    def measures(self) -> tuple[str, ...]:
        """The features that are measures of texts and embeddings."""
        texts = (name for text, known in self.words_of_texts for name in text_columns(text, known))
        return (*texts, *(name for vector in self.embeddings for name in vector_columns(vector)))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The feature columns as they come: texts and embeddings themselves in place of their measures."""
        measures = set(self.measures)
        return (*(name for name in self.features if name not in measures), *self.texts, *self.embeddings)
