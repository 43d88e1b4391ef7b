"""The Merkle tree against a naive reading of RFC 6962 and the test vectors of Certificate Transparency."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.errors import JournalError
from pitstop.journal.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# Timing belongs to benchmarks, not to laws.
quick = settings(deadline=None, max_examples=40)


# The leaves and roots of certificate-transparency's merkle_tree_test.cc, which RFC 9162 implementations share.
VECTOR_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
VECTOR_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (leaf, tree size, path) and (old size, new size, path) of the same file.
VECTOR_PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
]
VECTOR_PROOFS = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
]

leaf_lists = st.lists(st.binary(max_size=8), min_size=1, max_size=40).map(
    lambda items: [leaf_hash(item) for item in items]
)


def split(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def naive_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = split(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:middle]) + naive_root(leaves[middle:])).digest()


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]) of RFC 6962, section 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    middle = split(len(leaves))
    if index < middle:
        return [*naive_path(index, leaves[:middle]), naive_root(leaves[middle:])]
    return [*naive_path(index - middle, leaves[middle:]), naive_root(leaves[:middle])]


def naive_subproof(old: int, leaves: Sequence[bytes], known: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b) of RFC 6962, section 2.1.2, word for word."""
    if old == len(leaves):
        return [] if known else [naive_root(leaves)]
    middle = split(len(leaves))
    if old <= middle:
        return [*naive_subproof(old, leaves[:middle], known), naive_root(leaves[middle:])]
    return [*naive_subproof(old - middle, leaves[middle:], False), naive_root(leaves[:middle])]  # noqa: FBT003 - b of the RFC


@pytest.mark.parametrize("size", range(1, 9))
def test_root_is_that_of_the_published_vectors(size: int) -> None:
    assert tree_root(leaf_hash(data) for data in VECTOR_LEAVES[:size]).hex() == VECTOR_ROOTS[size - 1]


def test_empty_root_is_that_of_the_published_vectors() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert CompactRange().root == EMPTY_ROOT


@pytest.mark.parametrize(("index", "size", "path"), VECTOR_PATHS)
def test_inclusion_proof_is_that_of_the_published_vectors(index: int, size: int, path: list[str]) -> None:
    leaves = [leaf_hash(data) for data in VECTOR_LEAVES[:size]]
    proof = inclusion_proof(leaves, index)
    assert [node.hex() for node in proof] == path
    assert verify_inclusion(leaves[index], index, size, proof, bytes.fromhex(VECTOR_ROOTS[size - 1]))


@pytest.mark.parametrize(("old", "new", "path"), VECTOR_PROOFS)
def test_consistency_proof_is_that_of_the_published_vectors(old: int, new: int, path: list[str]) -> None:
    leaves = [leaf_hash(data) for data in VECTOR_LEAVES[:new]]
    proof = consistency_proof(leaves, old)
    assert [node.hex() for node in proof] == path
    roots = [bytes.fromhex(VECTOR_ROOTS[size - 1]) for size in (old, new)]
    assert verify_consistency(old, new, roots[0], roots[1], proof)


@quick
@given(leaf_lists, st.data())
def test_compact_range_grows_to_the_naive_root_however_it_is_cut(leaves: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(leaves)))
    first = CompactRange().extended(leaves[:cut])
    stored = CompactRange.from_bytes(first.size, first.to_bytes())
    assert stored == first
    assert stored.extended(leaves[cut:]).root == naive_root(leaves)
    assert len(stored.peaks) == cut.bit_count()


@quick
@given(leaf_lists, st.data())
def test_inclusion_proof_is_the_naive_path_and_proves_only_its_own_leaf(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    size, root = len(leaves), naive_root(leaves)
    proof = inclusion_proof(leaves, index)
    assert list(proof) == naive_path(index, leaves)
    assert verify_inclusion(leaves[index], index, size, proof, root)
    # Of the root, as two equal leaves beside this one have the hash of this one twice.
    other = node_hash(root, leaves[index])
    assert not verify_inclusion(other, index, size, proof, root)
    assert not verify_inclusion(leaves[index], index, size, (*proof, other), root)
    assert not verify_inclusion(leaves[index], size, size, proof, root)
    if proof:
        assert not verify_inclusion(leaves[index], index, size, proof[:-1], root)
        assert not verify_inclusion(leaves[index], index, size, (other, *proof[1:]), root)


@quick
@given(leaf_lists, st.data())
def test_consistency_proof_is_the_naive_one_and_finds_a_rewritten_past(
    leaves: list[bytes], data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, len(leaves)))
    roots = naive_root(leaves[:old]), naive_root(leaves)
    proof = consistency_proof(leaves, old)
    assert list(proof) == (naive_subproof(old, leaves, True) if old < len(leaves) else [])  # noqa: FBT003 - b of the RFC
    assert verify_consistency(old, len(leaves), *roots, proof)
    rewritten = naive_root([leaf_hash(b"rewritten"), *leaves[1:old]])
    if rewritten != roots[0]:
        assert not verify_consistency(old, len(leaves), rewritten, roots[1], proof)
        assert not verify_consistency(old, len(leaves), roots[0], rewritten, proof)
    assert not verify_consistency(old, len(leaves), *roots, (*proof, roots[0]))
    assert not verify_consistency(len(leaves) + 1, len(leaves), *roots, proof)


def test_the_empty_tree_is_a_prefix_of_every_tree() -> None:
    leaves = [leaf_hash(b"a"), leaf_hash(b"b")]
    assert consistency_proof(leaves, 0) == ()
    assert verify_consistency(0, 2, EMPTY_ROOT, tree_root(leaves), ())
    assert not verify_consistency(0, 2, tree_root(leaves), tree_root(leaves), ())
    assert not verify_consistency(3, 4, tree_root(leaves), tree_root(leaves), ())


@pytest.mark.parametrize("wrong", [-1, 2])
def test_a_proof_of_what_is_not_there_says_what_is(wrong: int) -> None:
    leaves = [leaf_hash(b"a"), leaf_hash(b"b")]
    with pytest.raises(JournalError, match="entries 0 to 1"):
        inclusion_proof(leaves, wrong)
    with pytest.raises(JournalError, match="2 entries"):
        consistency_proof(leaves, wrong if wrong < 0 else 3)


def test_a_damaged_head_is_refused() -> None:
    with pytest.raises(JournalError, match="multiple of 32"):
        CompactRange.from_bytes(1, b"short")
    with pytest.raises(JournalError, match="2 peaks"):
        CompactRange.from_bytes(3, bytes(32))
