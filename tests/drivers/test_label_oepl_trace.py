"""The trace of one push, as a table: what was heard, in order, and what may be believed after it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from drivers._oepl_record import TagRecord
from drivers._oepl_trace import Gap, Stage, Trace
from drivers._oepl_wire import (
    BlockRequest,
    FileMissing,
    NewImage,
    Progress,
    Rebooting,
    SameImage,
    TransferComplete,
    TransferTimeout,
    Updating,
)

MAC = "00000218A1B2C3D4"
FILE, OLD_FILE = f"/current/{MAC}_2.pending", f"/current/{MAC}_1.pending"
OLD_HASH, HASH = "aa" * 8 + "0" * 16, "bb" * 8 + "0" * 16
BEFORE = TagRecord(
    label=MAC,
    hash=OLD_HASH,
    last_seen_epoch=1000,
    next_check_in_epoch=1060,
    next_update_epoch=3216153600,
    pending=0,
    content_mode=24,
    lqi=200,
    rssi_dbm=-60,
    temperature_c=21,
    battery_mv=2800,
    hw_type=0,
    wakeup_reason=0,
    capabilities=1,
    file="/temp/old.jpg",
    external=False,
    update_count=7,
    version=40,
)
REFRESH_S = 30.0


def now(**changed: Any) -> TagRecord:
    """Return the tag's record after our upload."""
    return replace(BEFORE, file="/temp/ours.jpg", **changed)


ECHO, SAME = now(), SameImage()
NEW, LISTED = NewImage(MAC, FILE), now(pending=1)
BLOCKS = [BlockRequest(MAC, FILE, 0), Progress(MAC, 1, 2), BlockRequest(MAC, FILE, 1), Progress(MAC, 2, 2)]
COMPLETE = TransferComplete(MAC)
DONE = now(hash=HASH, update_count=8)
CHECK_IN = replace(DONE, last_seen_epoch=1100)
STORED = [ECHO, Updating(MAC), NEW, LISTED, *BLOCKS, COMPLETE, DONE]


def after(*heard: Any, step_s: float = 1.0) -> Trace:
    """Return the trace after these events, one a second."""
    trace = Trace(BEFORE, REFRESH_S)
    for at, event in enumerate(heard):
        trace.feed(event, at * step_s)
    return trace


@pytest.mark.parametrize(
    ("heard", "stage"),
    [
        ([], Stage.SENDING),
        ([BEFORE], Stage.SENDING),
        ([replace(BEFORE, last_seen_epoch=1001)], Stage.SENDING),
        ([ECHO], Stage.ECHOED),
        ([ECHO, ECHO, Updating(MAC)], Stage.ECHOED),
        ([ECHO, NEW], Stage.QUEUED),
        ([ECHO, NEW, ECHO], Stage.QUEUED),  # a check-in between "new image" and the record that counts it
        ([ECHO, NEW, LISTED, *BLOCKS, COMPLETE], Stage.QUEUED),
        (STORED, Stage.STORED),
        ([ECHO, NEW, LISTED, BLOCKS[0], *BLOCKS, DONE], Stage.STORED),  # a block asked for twice
        ([*STORED, DONE], Stage.STORED),  # no new check-in
        ([*STORED, Gap("stream_lost")], Stage.STORED),
    ],
)
def test_stages(heard: list[Any], stage: Stage) -> None:
    assert after(*heard).stage is stage


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        ([NEW], "older_image"),
        ([ECHO, SAME], "same_image"),
        ([ECHO, FileMissing(MAC, "/temp/ours.jpg")], "upload_forgotten"),
        ([ECHO, replace(ECHO, file="/temp/theirs.jpg")], "foreign_write"),
        ([ECHO, BlockRequest(MAC, OLD_FILE, 0)], "other_image"),
        ([ECHO, NEW, LISTED, BlockRequest(MAC, OLD_FILE, 0)], "other_image"),
        ([ECHO, NEW, LISTED, NewImage(MAC, OLD_FILE)], "other_image"),
        ([ECHO, NEW, now(pending=2)], "queue_shared"),
        ([ECHO, NEW, LISTED, TransferTimeout(MAC)], "transfer_timeout"),
        ([ECHO, NEW, LISTED, now()], "dropped"),  # T3b, T6: the queue is empty, the hash is the old one
        ([ECHO, NEW, LISTED, now(hash="0" * 32)], "dropped"),
        ([ECHO, NEW, LISTED, DONE], "weak_trace"),  # T3c: credited, but not one block was asked for
        ([ECHO, NEW, LISTED, *BLOCKS[:2], DONE], "weak_trace"),  # only one block of two
        ([ECHO, NEW, LISTED, *BLOCKS, replace(DONE, update_count=9)], "weak_trace"),  # something else completed too
        ([ECHO, NEW, LISTED, *BLOCKS, replace(DONE, update_count=7)], "weak_trace"),
        ([Gap("stream_lost")], "stream_lost"),
        ([ECHO, Gap("stream_lost")], "stream_lost"),
        ([ECHO, NEW, LISTED, *BLOCKS, Gap("stream_lost")], "stream_lost"),
        ([ECHO, NEW, LISTED, *BLOCKS, Rebooting()], "ap_rebooted"),
        ([*STORED, Rebooting()], "ap_rebooted"),  # whether the tag came through its drawing is not known
        ([*STORED, Gap("ap_rebooted", restarted=True)], "ap_rebooted"),
        ([*STORED, replace(CHECK_IN, wakeup_reason=0xFE)], "tag_rebooted"),
        ([*STORED, replace(CHECK_IN, hash="0" * 32)], "tag_rebooted"),
        ([*STORED, replace(DONE, hash=OLD_HASH)], "foreign_write"),
        ([*STORED, replace(DONE, update_count=9)], "foreign_write"),
        ([*STORED, NewImage(MAC, OLD_FILE)], "foreign_write"),
        ([ECHO, NEW, now(pending=1, external=True)], "moved"),
        ([*STORED, replace(CHECK_IN, content_mode=12)], "moved"),
    ],
)
def test_losses(heard: list[Any], reason: str) -> None:
    trace = after(*heard)
    assert (trace.stage, trace.reason) == (Stage.LOST, reason)


def test_what_is_lost_stays_lost() -> None:
    assert after(Gap("stream_lost"), *STORED).reason == "stream_lost"


def test_a_check_in_during_the_drawing_proves_nothing() -> None:
    trace = after(*STORED)
    trace.feed(CHECK_IN, trace.stored_s + REFRESH_S - 1)
    assert trace.stage is Stage.STORED
    trace.feed(replace(CHECK_IN, last_seen_epoch=1200), trace.stored_s + REFRESH_S)
    assert trace.stage is Stage.SEEN


def shown() -> Trace:
    trace = after(*STORED)
    trace.feed(CHECK_IN, trace.stored_s + 60)
    assert trace.stage is Stage.SEEN
    return trace


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        ([replace(CHECK_IN, wakeup_reason=0xFC)], "tag_rebooted"),
        ([replace(CHECK_IN, hash="0" * 32)], "tag_rebooted"),
        ([replace(CHECK_IN, hash=OLD_HASH)], "foreign_write"),
        ([NewImage(MAC, OLD_FILE)], "foreign_write"),
        ([Gap("ap_rebooted", restarted=True), replace(CHECK_IN, hash=OLD_HASH)], "ap_forgot"),
        ([Gap("ap_rebooted", restarted=True, unheard=True)], "ap_rebooted"),
    ],
)
def test_a_shown_face_loses_its_proof(heard: list[Any], reason: str) -> None:
    trace = shown()
    for event in heard:
        trace.feed(event, 1000.0)
    assert (trace.stage, trace.reason) == (Stage.LOST, reason)


@pytest.mark.parametrize(
    "heard",
    [
        [Gap("stream_lost"), CHECK_IN],
        [Gap("ap_rebooted", restarted=True), CHECK_IN],
        [Rebooting(), CHECK_IN],
        [replace(CHECK_IN, wakeup_reason=4)],  # somebody pressed its button
        [SAME, Updating(MAC), FileMissing(MAC, "/temp/ours.jpg")],
    ],
)
def test_a_shown_face_keeps_its_proof(heard: list[Any]) -> None:
    trace = shown()
    for event in heard:
        trace.feed(event, 1000.0)
    assert trace.stage is Stage.SEEN


def test_a_command_of_ours_moves_the_hash() -> None:
    trace = shown()
    blinked = replace(CHECK_IN, hash="813c" * 8, update_count=9)
    trace.expect_update(blinked)
    trace.feed(blinked, 1000.0)
    assert trace.stage is Stage.SEEN


def test_progress_tells_how_far_it_came() -> None:
    assert after(ECHO, NEW, LISTED, *BLOCKS[:2]).progress == "queued, 1 of 2 blocks"
    assert json.dumps(after().progress) == '"sending, 0 of ? blocks"'
