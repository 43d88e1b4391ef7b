"""A proof of one entry holds on its own, and nothing but the very entry that it was made for."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import JournalError
from pitstop.journal.checkpoints import Checkpoint, origin_of, sign, verifier_key
from pitstop.journal.entries import Entry
from pitstop.journal.merkle import inclusion_proof, tree_root
from pitstop.journal.proofs import Proof

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = origin_of(KEY.public_key())
VERIFIER = verifier_key(ORIGIN, KEY.public_key())


def entry(number: int) -> Entry:
    return Entry(number, "release", number, "hotel", f"release-{number}", ("a",), hashlib.sha256(b"x").hexdigest())


def proven(size: int, index: int) -> tuple[bytes, Proof]:
    entries = [entry(number) for number in range(size)]
    leaves = [item.leaf for item in entries]
    note = sign(Checkpoint(ORIGIN, size, tree_root(leaves)), KEY)
    return entries[index].to_bytes(), Proof(index, inclusion_proof(leaves, index), note)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.data())
def test_a_proof_survives_its_text_and_holds_for_its_entry_only(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    content, proof = proven(size, index)
    again = Proof.from_text(proof.to_text())
    assert again == proof
    assert again.require(content, VERIFIER).size == size
    with pytest.raises(JournalError, match="does not lead from entry"):
        again.require(entry(size).to_bytes(), VERIFIER)
    place = data.draw(st.integers(0, len(content) - 1))
    changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    with pytest.raises(JournalError, match="does not lead from entry"):
        again.require(changed, VERIFIER)


def test_a_proof_of_another_key_or_place_is_refused() -> None:
    content, proof = proven(8, 3)
    other = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(JournalError, match="not signed by"):
        proof.require(content, verifier_key(origin_of(other), other))
    with pytest.raises(JournalError, match="does not lead"):
        Proof(4, proof.hashes, proof.note).require(content, VERIFIER)
    with pytest.raises(JournalError, match="does not lead"):
        Proof(3, proof.hashes[:-1], proof.note).require(content, VERIFIER)


@pytest.mark.parametrize(
    "text",
    ["", "c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2\nindex 1\n\nx", "c2sp.org/tlog-proof@v1\nindex -1\n\nx",
     "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx", "c2sp.org/tlog-proof@v1\nindex 1\n!\n\nx"],
)  # fmt: skip
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(JournalError, match="expected a proof"):
        Proof.from_text(text)
