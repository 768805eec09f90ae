"""UHFReader288 frames: published answers of readers, and any garbage: good frames come out, in order, only they."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._uhf288_frames import (
    GET_INFO,
    INVENTORY,
    MAX_FRAME,
    Block,
    Frame,
    antennas_of,
    blocks_of,
    cutter,
    encode,
    info_of,
    pushed_of,
    status_text,
)
from drivers.rfid_uhf288 import band
from gateway.errors import BadFrame
from tests.drivers.frame_fuzz import fuzz
from tests.drivers.uhf288_peer import TID, answer, crc16

CAPTURES = json.loads((Path(__file__).parent / "captures" / "uhf288" / "frames.json").read_text("utf-8"))
EPC = bytes.fromhex("3034257BF7194E4000001A85")

frames = st.builds(Frame, st.just(0), st.sampled_from([0x01, 0x21, 0xEE]), st.integers(0, 255), st.binary(max_size=60))


def as_bytes(one: Frame) -> bytes:
    return answer(one.command, one.status, one.data)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture["hex"][:24])
def test_captures(capture: dict[str, Any]) -> None:
    (got,) = cutter().feed(bytes.fromhex(capture["hex"]))
    assert got.status == capture["status"]
    if "tags" in capture:
        assert got.command == INVENTORY
        assert [[*block] for block in blocks_of(got.data, plain=capture.get("plain", False))] == capture["tags"]
    else:
        assert [*info_of(got.data)] == capture["info"]


def test_a_broken_capture_is_none() -> None:
    taken = cutter()
    assert taken.feed(bytes.fromhex("1500010301010c0000000000000000000003136bb1a6")) + taken.idle() == []


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture["hex"][:24])
def test_no_broken_bit_gets_past_the_crc(capture: dict[str, Any]) -> None:
    good = bytes.fromhex(capture["hex"])
    for at in range(len(good)):
        for bit in range(8):
            taken = cutter()
            assert taken.feed(good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :]) + taken.idle() == []


def test_commands_are_the_manuals_own() -> None:
    assert encode(GET_INFO).hex(" ") == "04 ff 21 19 95"  # as vendors' demos send it


@given(st.binary(max_size=90), st.integers(0, 255))
def test_the_crc_is_the_manuals(data: bytes, command: int) -> None:
    whole = encode(command, data, 0)
    assert crc16(whole[:-2]) == whole[-2:]


@pytest.mark.parametrize(
    ("data", "block"),
    [
        (b"\x0c" + EPC + b"\x50", Block(EPC.hex().upper(), 4, 0x50)),
        (b"\x98" + EPC + TID + b"\x51", Block(EPC.hex().upper(), 4, 0x51)),
        (b"\x4c" + EPC + b"\x52" + bytes(7), Block(EPC.hex().upper(), 4, 0x52)),
        (b"\x3e" + bytes(62) + b"\x53", Block("00" * 62, 4, 0x53)),
    ],
    ids=["EPC", "EPC and TID", "EPC and phase", "longest EPC"],
)
def test_kinds_of_a_tag(data: bytes, block: Block) -> None:
    assert pushed_of(b"\x04" + data, plain=False) == block
    assert list(blocks_of(b"\x04\x02" + data + data, plain=False)) == [block, block]
    for cut in range(len(data)):
        with pytest.raises(BadFrame):
            pushed_of(b"\x04" + data[:cut], plain=False)
        with pytest.raises(BadFrame):
            list(blocks_of(b"\x04\x01" + data[:cut], plain=False))
    with pytest.raises(BadFrame):
        pushed_of(b"\x04" + data + b"\0", plain=False)


@given(st.binary(max_size=120), st.booleans())
def test_no_data_is_too_odd(data: bytes, plain: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    for read in (lambda: list(blocks_of(data, plain=plain)), lambda: [pushed_of(data, plain=plain)]):
        with suppress(BadFrame):
            assert all(block.epc for block in read())
    with suppress(BadFrame):
        info_of(data)


def test_antennas_are_bits_or_an_index() -> None:
    assert antennas_of(0x04, 4) == (3,)
    assert antennas_of(0x05, 4) == (1, 3)
    assert antennas_of(0x80, 8) == (8,)
    assert antennas_of(0x0B, 12) == (12,)
    assert antennas_of(0x00, 16) == (1,)
    assert antennas_of(0x00, 4) == ()


def test_bands_are_two_bits_in_each_byte() -> None:
    assert band("eu") == (0x4E, 0x00)  # as a real reader tells it, see the captures
    assert band("china_900") == (0x13, 0x40)
    assert band("us") == (0x31, 0x80)
    assert band("china_800") == (0x93, 0x00)


def test_statuses_have_words() -> None:
    assert status_text(Frame(0, 0x03, 0xFC, b"\x04")) == "the tag refuses: memory is locked"
    assert status_text(Frame(0, 0x03, 0xFC, b"")) == "the tag refuses: other error"
    assert status_text(Frame(0, 0x03, 0xFB, b"")) == "no tag answers"
    assert status_text(Frame(0, 0x03, 0x77, b"")) == "status 77"


def test_what_cannot_be_an_answer_is_not_waited_for() -> None:
    taken = cutter()
    taken.feed(b"\xf0\x00\x77")  # 241 bytes long, but to a command that nobody gives
    assert taken.held == 1


@given(st.lists(frames, max_size=6), st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_frames_come_out_however_they_are_cut(sent: list[Frame], cuts: list[int]) -> None:
    stream, taken, got = b"".join(map(as_bytes, sent)), cutter(), []
    at = 0
    while at < len(stream):
        for size in cuts:
            got += taken.feed(stream[at : at + size])
            at += size
    assert got == sent
    assert (taken.skipped, taken.held) == (0, 0)


@given(st.lists(st.tuples(st.binary(max_size=30), frames), max_size=5))
def test_junk_between_frames_costs_no_frame(parts: list[tuple[bytes, Frame]]) -> None:
    taken = cutter()
    got = taken.feed(b"".join(junk + as_bytes(one) for junk, one in parts)) + taken.idle()
    wanted = [one for _, one in parts]
    assert [one for one in got if one in wanted] == wanted
    assert taken.held == 0


def read(got: Frame) -> None:
    for plain in (False, True):
        with suppress(BadFrame):
            list(blocks_of(got.data, plain=plain))
        with suppress(BadFrame):
            pushed_of(got.data, plain=plain)


def run_fuzz(count: int) -> None:
    pool = [bytes.fromhex(capture["hex"]) for capture in CAPTURES]
    fuzz(cutter(), pool, answer(0xEE, 0, b"still in step"), read, MAX_FRAME, count)


def test_fuzz() -> None:
    run_fuzz(2_000)


@pytest.mark.soak
def test_fuzz_a_million() -> None:
    run_fuzz(1_000_000)
