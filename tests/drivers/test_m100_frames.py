"""M100 frames: published ones of modules and the manual, and any garbage: good frames come out, in order, only they."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._m100_frames import (
    FAILED,
    GET_QUERY,
    MAX_PARAMETERS,
    NOTICE,
    POLL_MANY,
    SET_POWER,
    SET_SELECT,
    Frame,
    cutter,
    encode,
    error_text,
    tag_of,
    with_query,
)
from gateway.errors import BadFrame
from tests.drivers.frame_fuzz import fuzz
from tests.drivers.gen2_chip import Chip
from tests.drivers.m100_peer import frame, notice

CAPTURES = json.loads((Path(__file__).parent / "captures" / "m100" / "frames.json").read_text("utf-8"))
LONGEST = MAX_PARAMETERS + 7

frames = st.builds(Frame, st.integers(0, 2), st.integers(0, 255), st.binary(max_size=40))


def as_bytes(one: Frame) -> bytes:
    return frame(one.kind, one.command, one.parameters)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture["hex"][:26])
def test_captures(capture: dict[str, Any]) -> None:
    (got,) = cutter().feed(bytes.fromhex(capture["hex"]))
    assert encode(got.command, got.parameters, got.kind) == bytes.fromhex(capture["hex"])
    if "tag" in capture:
        tag = tag_of(got.parameters)
        assert got.kind == NOTICE
        assert [tag.epc, tag.rssi_dbm, tag.antenna] == capture["tag"]
    elif "error" in capture:
        assert got.command == FAILED
        assert error_text(got.parameters[0]) == capture["error"]
    else:
        assert [got.command, got.parameters.hex().upper()] == capture["answer"]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda capture: capture["hex"][:26])
def test_no_broken_bit_gets_past_the_sum(capture: dict[str, Any]) -> None:
    good = bytes.fromhex(capture["hex"])
    for at in range(len(good)):
        for bit in range(8):
            taken = cutter()
            assert taken.feed(good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :]) + taken.idle() == []


def test_commands_are_the_manuals_own() -> None:
    assert encode(POLL_MANY, bytes((0x22,)) + (10_000).to_bytes(2)).hex(" ") == "bb 00 27 00 03 22 27 10 83 7e"
    assert encode(SET_POWER, (2000).to_bytes(2)).hex(" ") == "bb 00 b6 00 02 07 d0 8f 7e"
    assert encode(GET_QUERY).hex(" ") == "bb 00 0d 00 00 0d 7e"
    select = bytes.fromhex("01 00 00 00 20 60 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70")
    assert encode(SET_SELECT, select)[-2:].hex() == "ad7e"


def test_the_query_word_changes_only_what_is_asked() -> None:
    assert with_query(0x1020, None, None) == 0x1020
    assert with_query(0x1020, 1, None) == 0x1120
    assert with_query(0x13A0, 0, 7) == 0x1038  # target B becomes A with a new session
    assert with_query(0x1DA0, None, 15) == 0x1DF8


def test_errors_of_a_tag_are_told_as_such() -> None:
    assert error_text(0xB4) == "the tag refuses the write: memory is locked"
    assert error_text(0xD0) == "the tag refuses the kill: other error"
    assert error_text(0x77) == "error 77"


@pytest.mark.parametrize("words", [0, 1, 6, 8, 13, 31])
def test_the_epc_is_as_long_as_its_pc_says(words: int) -> None:
    epc = bytes(range(2 * words))
    (got,) = cutter().feed(notice(Chip(epc)))
    if words == 0:
        with pytest.raises(BadFrame):
            tag_of(got.parameters)
    else:
        assert tag_of(got.parameters).epc == epc.hex().upper()


@given(st.binary(max_size=80))
def test_no_parameters_of_a_notice_are_too_odd(parameters: bytes) -> None:
    try:
        assert len(tag_of(parameters).epc) >= 4
    except BadFrame as error:
        assert parameters.hex() in str(error)  # noqa: PT017 - the other outcome is right as well


def test_a_broken_bit_in_a_notice_is_found_though_the_sum_fits() -> None:
    good = cutter().feed(notice(Chip(bytes.fromhex("30751FEB705C5904E3D50D70"))))[0].parameters
    for at in range(1, len(good)):  # not the RSSI: the tag's CRC does not cover it
        for bit in range(8):
            with pytest.raises(BadFrame):
                tag_of(good[:at] + bytes((good[at] ^ 1 << bit,)) + good[at + 1 :] if at else good)


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


@given(st.lists(st.tuples(st.binary(max_size=30).filter(lambda junk: 0xBB not in junk), frames), max_size=6))
def test_junk_between_frames_costs_no_frame(parts: list[tuple[bytes, Frame]]) -> None:
    taken = cutter()
    got = taken.feed(b"".join(junk + as_bytes(one) for junk, one in parts))
    assert got == [one for _, one in parts]
    assert taken.skipped == sum(len(junk) for junk, _ in parts)


@given(st.binary(max_size=60), frames)
def test_a_false_beginning_hides_a_good_frame_until_the_line_is_silent(junk: bytes, sent: Frame) -> None:
    taken = cutter()
    got = taken.feed(b"\xbb\x01\x22\x00\x50" + as_bytes(sent)) + taken.idle()
    assert sent in got
    assert taken.held == 0
    taken.feed(junk)
    taken.idle()
    assert taken.held == 0


def read(got: Frame) -> None:
    if got.kind == NOTICE:
        with suppress(BadFrame):
            tag_of(got.parameters)


def run_fuzz(count: int) -> None:
    pool = [bytes.fromhex(capture["hex"]) for capture in CAPTURES]
    fuzz(cutter(), pool, frame(1, 0x03, b"\x00still in step"), read, LONGEST, count)


def test_fuzz() -> None:
    run_fuzz(2_000)


@pytest.mark.soak
def test_fuzz_a_million() -> None:
    run_fuzz(1_000_000)
