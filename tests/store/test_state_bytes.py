"""Loop state and artifact content survive their bytes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pitstop.errors import StoreError
from pitstop.store.content import content_digest, exact_json, same_content
from pitstop.store.state import decode_state, encode_state

quick = settings(deadline=None, max_examples=50)
kinds = hnp.integer_dtypes() | hnp.floating_dtypes() | hnp.boolean_dtypes() | hnp.unicode_string_dtypes(max_len=4)
arrays = kinds.flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=3), inner, max_size=3),
    max_leaves=6,
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["json", "array.x", "a/b", "file"]
)


@quick
@given(st.dictionaries(names, arrays | json_values, max_size=5))
def test_state_comes_back_bit_for_bit(state: dict[str, Any]) -> None:
    read = decode_state(encode_state(state))
    assert read.keys() == state.keys()
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            assert read[name].dtype == value.dtype
            assert read[name].tobytes() == value.tobytes()
            assert read[name].shape == value.shape
        else:
            assert repr(read[name]) == repr(value)


def test_state_bytes_are_the_same_each_time() -> None:
    state = {"a": np.arange(3), "b": [1, 2]}
    assert encode_state(state) == encode_state(state)


def test_state_that_would_need_pickle_is_refused() -> None:
    with pytest.raises(StoreError, match="Python objects"):
        encode_state({"a": np.array([{}], dtype=object)})
    with pytest.raises(StoreError, match="neither an array nor JSON"):
        encode_state({"a": {1, 2}})


@pytest.mark.parametrize("data", [b"", b"PK", encode_state({"a": 1})[:-30], b"\x80\x04."])
def test_damaged_state_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        decode_state(data)


finite = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('aé"\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=6,
)


@quick
@given(st.dictionaries(st.text("abé", max_size=3), finite, max_size=3))
def test_content_keeps_every_bit_of_finite_numbers(content: dict[str, Any]) -> None:
    text = exact_json(content)
    # repr tells 1 from 1.0 and 0.0 from -0.0, which == does not.
    assert repr(sorted(json.loads(text).items())) == repr(
        sorted(json.loads(json.dumps(content, sort_keys=True)).items())
    )
    assert json.loads(text) == content
    assert exact_json(dict(reversed(content.items()))) == text
    assert same_content(text, json.dumps(content))


def test_content_takes_what_stages_hold_and_refuses_the_rest() -> None:
    content = {"n": np.float64(0.1), "i": np.int64(3), "m": Decimal("1.5000"), "t": (1, None), "x": float("nan")}
    assert exact_json(content | {"a": np.array([1.0])}) == (
        '{"a":[1.0],"i":3,"m":"1.5000","n":0.1,"t":[1,null],"x":"nan"}'
    )
    with pytest.raises(StoreError, match=r"content\.a\[1\] is a set"):
        exact_json({"a": [1, {2}]})
    with pytest.raises(StoreError, match=r"content\.a is a bytes"):
        exact_json({"a": b"x"})


def test_content_is_the_same_up_to_the_digits_of_an_id() -> None:
    assert same_content(exact_json({"v": 0.1 + 0.2}), exact_json({"v": 0.3}))
    assert not same_content(exact_json({"v": 0.3000001}), exact_json({"v": 0.3}))
    assert content_digest("{}") == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
