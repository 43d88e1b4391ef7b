"""Texts and embeddings as numbers: what a row measures depends on nothing but the row."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.errors import ColumnValueError, SpecError
from pitstop.records.batches import normalise
from pitstop.records.infer import infer_spec
from pitstop.records.measures import (
    PROJECTIONS,
    TEXT_MEASURES,
    UNKNOWN,
    VECTOR_MEASURES,
    known_words,
    measured_texts,
    measured_vectors,
)
from pitstop.records.spec import ColumnsSection, ModelSection, ModelSpec, parse_spec, spec_of
from pitstop.records.template import template

KNOWN = known_words(["the small dog", "the small cat", "The Small bird 42"] * 2)


def lists(columns: dict[str, pa.Array]) -> dict[str, list[Any]]:
    return {name.partition(": ")[2]: column.to_pylist() for name, column in columns.items()}


def test_a_text_measures_what_it_says() -> None:
    found = lists(measured_texts(pa.chunked_array([["Ab 12 \u00e9", "", None, "the SMALL zebra"]]), "t", KNOWN))
    assert found["length"] == [7.0, 0.0, None, 15.0]
    assert found["share of digits"] == [2 / 7, 0.0, None, 0.0]
    assert found["share of capitals"] == [1 / 7, 0.0, None, 5 / 15]
    assert found["share beyond ASCII"] == [1 / 7, 0.0, None, 0.0]
    assert found[UNKNOWN] == [1.0, 0.0, None, 1 / 3]


def test_words_of_few_texts_are_not_known_and_without_any_there_is_no_share() -> None:
    assert known_words(["one two", "one two"]) == ""
    assert list(lists(measured_texts(pa.chunked_array([["one"]]), "t"))) == list(TEXT_MEASURES)
    share = lists(measured_texts(pa.chunked_array([["dog", "small"]]), "t", KNOWN))[UNKNOWN]
    assert share == [1.0, 0.0]


@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=12), st.integers(0, 12))
def test_texts_measure_the_same_in_pieces(texts: list[str | None], cut: int) -> None:
    whole = lists(measured_texts(pa.chunked_array([texts], pa.string()), "t", KNOWN))
    parts = [
        lists(measured_texts(pa.chunked_array([part], pa.string()), "t", KNOWN)) for part in (texts[:cut], texts[cut:])
    ]
    assert whole == {name: parts[0][name] + parts[1][name] for name in whole}
    for share in (values for name, values in whole.items() if "share" in name):
        assert all(value is None or 0.0 <= value <= 1.0 for value in share)


NUMBERS = st.floats(-1e3, 1e3, width=32)


@given(st.lists(st.one_of(st.none(), st.lists(NUMBERS, max_size=5)), max_size=8), st.integers(0, 8))
def test_embeddings_measure_the_same_in_pieces_and_types(rows: list[Any], cut: int) -> None:
    def found(part: list[Any], kind: pa.DataType) -> dict[str, list[Any]]:
        return lists(measured_vectors(pa.chunked_array([part], kind), "v"))

    wide = pa.list_(pa.float64())
    whole = found(rows, wide)
    parts = [found(part, wide) for part in (rows[:cut], rows[cut:])]
    assert whole == {name: parts[0][name] + parts[1][name] for name in whole}
    assert whole == found(rows, pa.large_list(pa.float32()))
    for row, norm, size in zip(rows, whole["norm"], whole["dimensions"], strict=True):
        assert (norm is None) == (row is None)
        if row is not None:
            assert norm == pytest.approx(math.hypot(*row))
            assert size == len(row)


def test_a_value_that_is_not_finite_leaves_no_measure_and_fixed_lists_are_lists() -> None:
    fixed = pa.array([[1.0, 2.0], None, [np.nan, 1.0], [0.0, 0.0]], pa.list_(pa.float32(), 2))
    found = lists(measured_vectors(pa.chunked_array([fixed.slice(0, 1), fixed.slice(1)]), "v"))
    assert found["norm"] == [pytest.approx(math.sqrt(5)), None, None, 0.0]
    assert list(found) == list(VECTOR_MEASURES)
    nothing = lists(measured_vectors(pa.chunked_array([pa.nulls(2)]), "v"))
    assert nothing["norm"] == [None, None]


def test_projections_keep_how_far_means_lie_apart() -> None:
    random = np.random.default_rng(0)
    ratios = []
    for _ in range(200):
        shift = random.normal(size=64)
        one, two = (measured_vectors(pa.chunked_array([[side.tolist()]]), "v") for side in (np.zeros(64), shift))
        names = [f"v: projection {place + 1}" for place in range(PROJECTIONS)]
        gaps = [two[name][0].as_py() - one[name][0].as_py() for name in names]
        ratios.append(np.mean(np.square(gaps)) / np.mean(shift**2))
    # Each ratio is a chi-square of 8 degrees over 8: its mean over 200 has a standard error of .035.
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.12)


def test_other_columns_are_refused() -> None:
    for wrong in (pa.array([1.0]), pa.array([["a"]]), pa.array([[[1.0]]])):
        with pytest.raises(ColumnValueError, match="expected lists of numbers"):
            measured_vectors(pa.chunked_array([wrong]), "v")
    with pytest.raises(ColumnValueError, match="65536 at most"):
        measured_vectors(pa.chunked_array([[[0.0] * 65_537]]), "v")
    for known in ("not base64!", "AAAA", KNOWN[:-8]):
        with pytest.raises(SpecError, match="known_words of 't' are damaged"):
            ColumnsSection("at", (), texts=("t",), known_words=(known,))
    with pytest.raises(SpecError, match="another role"):
        ColumnsSection("at", ("t",), texts=("t",))
    with pytest.raises(SpecError, match="2 entries for 1 texts"):
        ColumnsSection("at", (), texts=("t",), known_words=("", ""))


def test_a_specification_names_them_and_rows_carry_their_measures() -> None:
    columns = ColumnsSection("at", ("x",), score="p", texts=("t",), embeddings=("v",), known_words=(KNOWN,))
    spec = ModelSpec(ModelSection("m", "binary"), columns)
    assert spec.columns.inputs == ("x", "t", "v")
    assert set(spec.numeric) == {"x", *spec.columns.measures}
    assert parse_spec(template(spec)) == spec
    assert spec_of(json.loads(json.dumps(spec.content))) == spec
    table = pa.table(
        {
            "at": ["2026-01-01", "2026-01-02"],
            "x": [1.0, 2.0],
            "p": [0.1, 0.2],
            "t": ["the small dog", None],
            "v": [[3.0, 4.0], None],
        }
    )
    rows = normalise(spec, table).table
    assert rows[f"t: {UNKNOWN}"].to_pylist() == [1 / 3, None]
    assert rows["v: norm"].to_pylist() == [5.0, None]
    assert "t" not in rows.column_names
    # A specification without them keeps its id.
    plain = ModelSpec(ModelSection("m", "binary"), ColumnsSection("at", ("x",)))
    assert not {"texts", "embeddings", "known_words"} & set(plain.content["columns"])


def test_init_recognises_them_and_knows_no_word_of_later_rows() -> None:
    random = np.random.default_rng(1)
    words = [f"{a}{b}" for a in ("ro", "cle", "qui") for b in ("om", "an", "et")]
    later = [f"{word}zz" for word in words]
    texts = [" ".join(random.choice(words if row < 500 else later, 6)) + f" {row}" for row in range(1000)]
    table = pa.table(
        {
            "at": np.datetime64("2026-01-01", "us") + np.arange(1000) * np.timedelta64(1, "h"),
            "note": texts,
            "vector": pa.array(random.normal(size=(1000, 8)).tolist(), pa.list_(pa.float32(), 8)),
            "prediction": random.integers(0, 2, 1000).astype(str),
        }
    )
    spec = infer_spec(table).spec
    assert (spec.columns.texts, spec.columns.embeddings) == (("note",), ("vector",))
    share = normalise(spec, table).table[f"note: {UNKNOWN}"].to_numpy()
    assert share[:500].mean() < 0.2
    assert share[500:].mean() > 0.75
