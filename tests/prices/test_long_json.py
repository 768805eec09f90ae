"""Cutting an array out of an object loses nothing and reorders nothing; what is not plain is not cut."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.prices import long_json
from gateway.prices.long_json import ITEMS_A_SLICE, cut
from gateway.prices.work import finished

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BLANKS = st.sampled_from([None, 1, "\t"])


@pytest.fixture(autouse=True)
def nothing_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_json, "SHORT_BYTES", 0)


@given(
    st.dictionaries(st.text().filter(lambda name: name != "lines"), VALUES, max_size=4),
    st.lists(VALUES, max_size=5),
    st.integers(0, 120),
    st.integers(0, 4),
    BLANKS,
    st.booleans(),
)
def test_head_and_slices_together_are_the_object(
    others: dict[str, Any],
    some: list[Any],
    repeats: int,
    place: int,
    indent: Any,
    ascii_only: bool,  # noqa: FBT001 - drawn
) -> None:
    lines = some * repeats
    members = list(others.items())
    members.insert(place, ("lines", lines))
    payload = json.dumps(dict(members), indent=indent, ensure_ascii=ascii_only)
    found = finished(cut(payload.encode(errors="surrogatepass"), "lines"))
    if found is None:  # a lone half of a pair is no UTF-8: no parser takes it
        with pytest.raises(UnicodeEncodeError):
            payload.encode()
        return
    slices = [json.loads(one) for one in found.slices]
    assert json.loads(found.head) == {**others, "lines": []}
    assert list(json.loads(found.head)) == [name for name, _ in members]
    assert [item for one in slices for item in one] == lines
    assert all(0 < len(one) <= ITEMS_A_SLICE for one in slices)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"lines":{}}',
        b'{"lines":[1]',
        b'{"lines":[1]} x',
        b'{"lines":[1,]}',
        b'{"lines":[1 2]}',
        b'{"lines":[1],}',
        b'{"lines":[1],"lines":[2]}',
        b'{"lines" [1]}',
        b'\xff{"lines":[1]}',
        b'{"lines":[' + b"[" * 200_000 + b"]}",
    ],
)
def test_what_is_not_plain_is_not_cut(payload: bytes) -> None:
    assert finished(cut(payload, "lines")) is None
