"""Framing: the same messages whatever the pieces; only a length that cannot be ends the stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._llrp_frames import KEEPALIVE, MAX_LENGTH, MAX_TAKEN, Frame, Frames, bare, with_id
from gateway.errors import BadFrame


def made(kind: int, number: int, body: bytes) -> bytes:
    return (0x400 | kind).to_bytes(2) + (10 + len(body)).to_bytes(4) + number.to_bytes(4) + body


bodies = st.lists(st.tuples(st.integers(1, 1023), st.integers(0, 2**32 - 1), st.binary(max_size=40)), max_size=8)


@given(bodies, st.lists(st.integers(1, 30)))
def test_any_pieces_give_the_same_messages(sent: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(made(*one) for one in sent)
    frames, found, at = Frames(), list[Frame](), 0
    for size in [*cuts, len(stream)]:
        found += frames.feed(stream[at : at + size])
        at += size
    assert [(one.kind, one.message_id, one.data[10:]) for one in found] == sent


def test_byte_by_byte() -> None:
    frames = Frames()
    stream = made(61, 1, b"abc") + bare(KEEPALIVE, 2)
    found = [frame for byte in stream for frame in frames.feed(bytes([byte]))]
    assert [one.kind for one in found] == [61, KEEPALIVE]


@pytest.mark.parametrize("length", [0, 9, MAX_LENGTH + 1, 2**32 - 1])
def test_a_length_that_cannot_be_ends_it(length: int) -> None:
    with pytest.raises(BadFrame, match=str(length)):
        list(Frames().feed(b"\x04\x3d" + length.to_bytes(4) + bytes(4)))


@pytest.mark.parametrize("piece", [1_000, MAX_TAKEN, 10**9])
@pytest.mark.parametrize("size", [MAX_TAKEN + 1, MAX_LENGTH])
def test_what_is_too_large_is_skipped_without_being_kept(size: int, piece: int) -> None:
    frames, found = Frames(), list[Frame]()
    stream = bare(KEEPALIVE, 1) + made(61, 2, bytes(size - 10)) + bare(KEEPALIVE, 3)
    for at in range(0, len(stream), piece):
        found += frames.feed(stream[at : at + piece])
        assert len(frames._held) <= 10
    assert [one.message_id for one in found] == [1, 3]
    assert frames.skipped == 1


def test_the_largest_message_is_taken() -> None:
    stream = made(61, 2, bytes(MAX_TAKEN - 10))
    assert [len(one.data) for one in Frames().feed(stream)] == [MAX_TAKEN]


def test_another_id() -> None:
    assert with_id(made(61, 0, b"abc"), 0x01020304) == made(61, 0x01020304, b"abc")
