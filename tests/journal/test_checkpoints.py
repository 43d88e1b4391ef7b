"""Signed notes and checkpoints."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import JournalError
from pitstop.journal.checkpoints import Checkpoint, open_checkpoint, open_note, origin_of, sign, verifier_key
from pitstop.journal.merkle import leaf_hash

# Timing belongs to benchmarks, not to laws.
quick = settings(deadline=None, max_examples=40)


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ORIGIN = origin_of(KEY.public_key())
VERIFIER = verifier_key(ORIGIN, KEY.public_key())
CHECKPOINT = Checkpoint(ORIGIN, 1042, leaf_hash(b"x"))

# The example of golang.org/x/mod/sumdb/note, from which the C2SP format was taken.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_published_note_opens_and_a_changed_one_does_not() -> None:
    assert open_note(PETERS_NOTE, PETER).startswith("If you think")
    with pytest.raises(JournalError, match="changed after it was signed"):
        open_note(PETERS_NOTE.replace("problem is", "question is"), PETER)


def test_a_signed_checkpoint_opens_as_itself() -> None:
    note = sign(CHECKPOINT, KEY)
    assert note.startswith(f"{ORIGIN}\n1042\n")
    assert open_checkpoint(note, VERIFIER) == CHECKPOINT


def test_a_second_signature_beside_ours_does_no_harm() -> None:
    note = sign(CHECKPOINT, KEY) + PETERS_NOTE.rpartition("\n\n")[2]
    assert open_checkpoint(note, VERIFIER) == CHECKPOINT


@quick
@given(st.data())
def test_any_changed_character_of_the_text_is_found(data: st.DataObject) -> None:
    note = sign(CHECKPOINT, KEY)
    place = data.draw(st.integers(0, len(CHECKPOINT.text) - 1))
    other = data.draw(st.sampled_from("0Az\n").filter(lambda letter: letter != note[place]))
    with pytest.raises(JournalError):
        open_checkpoint(note[:place] + other + note[place + 1 :], VERIFIER)


def test_the_signature_of_another_key_is_refused() -> None:
    with pytest.raises(JournalError, match="not signed by"):
        open_checkpoint(sign(CHECKPOINT, OTHER), VERIFIER)
    foreign = Checkpoint("pitstop/elsewhere", 1, leaf_hash(b"y"))
    with pytest.raises(JournalError, match="not signed by"):
        open_checkpoint(sign(foreign, KEY), VERIFIER)


def test_a_note_of_this_key_about_another_journal_is_refused() -> None:
    text = Checkpoint("pitstop/elsewhere", 1, leaf_hash(b"y")).text
    # Signed under our own name, as a key that serves two logs would.
    mine = sign(Checkpoint(ORIGIN, 1, leaf_hash(b"y")), KEY)
    with pytest.raises(JournalError):
        open_checkpoint(text + "\n" + mine.rpartition("\n\n")[2], VERIFIER)


@pytest.mark.parametrize(
    "note", ["", "no blank line", "a\n\nb\n", f"a\n\n\u2014 {ORIGIN} ???\n", f"a\n\n\u2014 {ORIGIN} é\n", "\n\n"]
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(JournalError):
        open_note(note, VERIFIER)


@pytest.mark.parametrize("text", ["", "o\n", "o\n-1\nAA==\n", "o\n1\nAA==\n", "o\n1\n!\n", "\n1\n" + "A" * 43 + "=\n"])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(JournalError, match="expected a checkpoint"):
        Checkpoint.from_text(text)


@pytest.mark.parametrize("key", ["", "name", "name+00000000+AA==", f"{VERIFIER}é", VERIFIER.replace("+", "x+", 1)])
def test_what_is_no_verifier_key_is_refused(key: str) -> None:
    with pytest.raises(JournalError, match="expected"):
        open_note(sign(CHECKPOINT, KEY), key)
