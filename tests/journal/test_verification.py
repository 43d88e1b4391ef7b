"""Whatever is done to a journal is found, and named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pitstop
from pitstop.errors import JournalError
from pitstop.journal.checkpoints import Checkpoint
from pitstop.journal.entries import KINDS, Entry
from pitstop.journal.merkle import leaf_hash, tree_root
from pitstop.journal.verification import Verification, verify

# Timing belongs to benchmarks, not to laws.
quick = settings(deadline=None, max_examples=40)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def entry(number: int, text: str = "") -> Entry:
    return Entry(
        number, "alarm", number * 10, "hotel", f"alarm-{number}", ("window-1",), digest_of(text or str(number))
    )


def log(size: int) -> list[Entry]:
    return [entry(number) for number in range(size)]


def head_of(entries: Sequence[Entry], size: int) -> Checkpoint:
    return Checkpoint("here", size, tree_root(item.leaf for item in entries[:size]))


def named(found: Verification) -> set[tuple[str, int, int]]:
    return {(fault.kind, fault.first, fault.last) for fault in found.faults}


sizes = st.integers(2, 24)


@quick
@given(st.integers(0, 24), st.data())
def test_an_untouched_journal_verifies(size: int, data: st.DataObject) -> None:
    entries = log(size)
    signed = data.draw(st.lists(st.integers(0, size), max_size=4))
    found = verify(
        entries,
        [head_of(entries, item) for item in signed],
        leaves=[item.leaf for item in entries],
        head=head_of(entries, size),
    )
    assert found.ok
    assert found.root == tree_root(item.leaf for item in entries)
    assert found.signed_size == max(signed, default=0)
    assert found.unprotected == size - found.signed_size
    found.require()


@quick
@given(sizes, st.data())
def test_an_edit_is_found_by_the_root_and_named_by_the_leaf(size: int, data: st.DataObject) -> None:
    entries = log(size)
    leaves, signed = [item.leaf for item in entries], head_of(entries, size)
    place = data.draw(st.integers(0, size - 1))
    change = data.draw(st.sampled_from(["digest", "at", "kind", "model", "id", "caused_by"]))
    values = {"digest": digest_of("x"), "at": None, "kind": "release", "model": "m", "id": "z", "caused_by": ()}
    entries[place] = replace(entries[place], **{change: values[change]})  # type: ignore[arg-type] # one field of its own type
    assert named(verify(entries, [signed])) == {("edited", 0, size - 1)}
    assert named(verify(entries, [signed], leaves=leaves)) == {("edited", place, place)}
    half = head_of(log(size), place)
    assert named(verify(entries, [half, signed])) == {("edited", place, size - 1)}
    with pytest.raises(JournalError, match="edited"):
        verify(entries, [signed]).require()


@quick
@given(sizes, st.data())
def test_an_edit_with_its_leaf_rewritten_is_found_between_checkpoints(size: int, data: st.DataObject) -> None:
    entries = log(size)
    signed = [head_of(entries, size // 2), head_of(entries, size)]
    place = data.draw(st.integers(0, size - 1))
    entries[place] = replace(entries[place], digest=digest_of("x"))
    found = verify(entries, signed, leaves=[item.leaf for item in entries], head=head_of(entries, size))
    assert [fault.kind for fault in found.faults] == ["edited"] * len(found.faults)
    assert any(fault.first <= place <= fault.last for fault in found.faults)
    assert found.signed_size <= place


@quick
@given(sizes, st.data())
def test_a_deleted_entry_is_named(size: int, data: st.DataObject) -> None:
    entries = log(size)
    signed = head_of(entries, size)
    place = data.draw(st.integers(0, size - 2))
    del entries[place]
    assert named(verify(entries, [signed])) == {("deleted", place, place)}


@quick
@given(sizes, st.data())
def test_a_deletion_that_renumbers_the_rest_is_found(size: int, data: st.DataObject) -> None:
    entries = log(size)
    signed = head_of(entries, size)
    place = data.draw(st.integers(0, size - 1))
    del entries[place]
    entries = [replace(item, sequence=number) for number, item in enumerate(entries)]
    assert not verify(entries, [signed]).ok


@quick
@given(sizes, st.data())
def test_a_cut_off_end_is_named(size: int, data: st.DataObject) -> None:
    entries = log(size)
    signed = head_of(entries, size)
    left = data.draw(st.integers(0, size - 1))
    assert named(verify(entries[:left], [signed])) == {("truncated", left, size - 1)}
    assert named(verify(entries[:left], [], head=signed)) == {("truncated", left, size - 1)}


@quick
@given(sizes, st.data())
def test_swapped_entries_are_named(size: int, data: st.DataObject) -> None:
    entries = log(size)
    signed = head_of(entries, size)
    place = data.draw(st.integers(0, size - 2))
    entries[place], entries[place + 1] = entries[place + 1], entries[place]
    assert named(verify(entries, [signed])) == {("reordered", place, place)}


@quick
@given(sizes, st.data())
def test_swapped_contents_are_found(size: int, data: st.DataObject) -> None:
    entries = log(size)
    leaves, signed = [item.leaf for item in entries], head_of(entries, size)
    place = data.draw(st.integers(0, size - 2))
    one, two = entries[place], entries[place + 1]
    entries[place : place + 2] = [replace(two, sequence=place), replace(one, sequence=place + 1)]
    assert named(verify(entries, [signed], leaves=leaves)) == {("edited", place, place + 1)}


@quick
@given(sizes, st.data())
def test_an_inserted_entry_is_named(size: int, data: st.DataObject) -> None:
    entries = log(size)
    signed = head_of(entries, size)
    place = data.draw(st.integers(0, size - 1))
    number = data.draw(st.integers(0, place))
    entries.insert(place + 1, entry(number, "forged"))
    assert ("inserted", number, number) in named(verify(entries, [signed]))


@quick
@given(sizes)
def test_an_entry_added_past_the_recorded_end_is_named(size: int) -> None:
    entries = log(size)
    head = head_of(entries, size)
    assert named(verify([*entries, entry(size)], [], head=head)) == {("inserted", size, size)}


def test_two_signed_roots_of_one_size_are_a_fork() -> None:
    entries = log(5)
    other = Checkpoint("here", 5, leaf_hash(b"other"))
    found = verify(entries, [head_of(entries, 5), other])
    assert named(found) == {("forked", 0, 4)}
    assert found.signed_size == 5


def test_a_number_far_beyond_the_end_is_a_gap_and_no_burden() -> None:
    entries = log(3)
    found = verify([entries[0], entry(10**15)], [head_of(entries, 3)])
    assert ("deleted", 1, 10**15 - 1) in named(found)


def test_leaves_have_to_be_as_many_as_entries() -> None:
    with pytest.raises(JournalError, match="2 entries but 1 leaf"):
        verify(log(2), [], leaves=[entry(0).leaf])


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@quick
@given(st.integers(0, 2**53 - 1), names, st.none() | st.integers(-(2**53) + 1, 2**53 - 1), st.lists(names, max_size=3))
def test_an_entry_survives_its_bytes(sequence: int, text: str, at: int | None, causes: list[str]) -> None:
    made = Entry(sequence, text, at, text, text, tuple(causes), digest_of(text))
    assert Entry.from_bytes(made.to_bytes()) == made
    assert made.leaf == hashlib.sha256(b"\x00" + made.to_bytes()).digest()


def test_an_entry_is_canonical_json() -> None:
    assert entry(3).to_bytes() == (
        b'{"at":30,"caused_by":["window-1"],"digest":"'
        + digest_of("3").encode()
        + b'","id":"alarm-3","kind":"alarm","model":"hotel","sequence":3}'
    )


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"{}", b'{"at":1}', b"\xff", b"[" * 100_000, entry(0).to_bytes().replace(b"a", b"g")),
        *(
            entry(0).to_bytes().replace(old, new)
            for old, new in ((b'"alarm-0"', b'["x"]'), (b'"alarm-0"', b'"\\ud800"'), (b'["window-1"]', b'"window-1"'))
        ),
        entry(0).to_bytes().replace(b'"sequence":0', b'"sequence":0.0'),
    ],
)
def test_what_is_no_entry_is_refused(data: bytes) -> None:
    with pytest.raises(JournalError):
        Entry.from_bytes(data)


def test_every_kind_that_is_described_is_written_somewhere() -> None:
    """The list of kinds promises nothing that no code records."""
    source = Path(pitstop.__file__).parent
    code = [path for path in source.rglob("*.py") if path != source / "journal" / "entries.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in code)
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []


@quick
@given(st.integers(0, 2**53 - 1), names, st.none() | st.integers(-(2**53) + 1, 2**53 - 1), st.lists(names, max_size=3))
def test_the_bytes_of_a_row_are_those_of_its_entry(sequence: int, text: str, at: int | None, causes: list[str]) -> None:
    """The fast way from the catalog's columns and the way through an entry agree, whatever the names are."""
    made = Entry(sequence, text, at, text, text, tuple(causes), digest_of(text))
    row = (sequence, text, at, text, text, json.dumps(causes), digest_of(text))
    assert Entry.canonical(row) == made.to_bytes()


@pytest.mark.parametrize("digest", ["", "0" * 63, "G" * 64, "A" * 64])
def test_an_entry_needs_a_digest(digest: str) -> None:
    with pytest.raises(JournalError, match="64 hex digits"):
        Entry(0, "alarm", None, "m", "id", (), digest)
