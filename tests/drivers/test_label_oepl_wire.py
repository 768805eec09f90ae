"""What the access point says, as values: records, pages, event texts, request bodies. Hostile input is refused."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._oepl_body import form_body, upload_body
from drivers._oepl_calls import Calls
from drivers._oepl_record import TagRecord, read_page, read_record
from drivers._oepl_wire import (
    BlockRequest,
    FileMissing,
    NewImage,
    Progress,
    Rebooting,
    SameImage,
    SystemState,
    TransferComplete,
    TransferTimeout,
    Updating,
    read_ws,
)
from drivers.simulators._ap_request import read_request
from gateway.errors import BadFrame

MAC = "00000218A1B2C3D4"
RECORD: dict[str, Any] = {
    "mac": MAC, "hash": "0011223344556677" + "0" * 16, "lastseen": 1795000000, "nextupdate": 3216153600,
    "nextcheckin": 1795000060, "pending": 1, "alias": "", "contentMode": 24, "LQI": 200, "RSSI": -61, "temperature": 21,
    "batteryMv": 2600, "hwType": 1, "wakeupReason": 0, "capabilities": 1, "isexternal": False, "apip": "0.0.0.0",
    "modecfgjson": '{"filename":"/temp/00000218A1B2C3D4_77.jpg","dither":"0"}', "rotate": 0, "lut": 0, "invert": 0,
    "updatecount": 3, "updatelast": 1794999999, "ch": 11, "ver": 40,
}  # fmt: skip


def record(**changed: object) -> TagRecord:
    return read_record(RECORD | changed)


def test_a_record_as_the_access_point_sends_it() -> None:
    found = record()
    assert (found.label, found.pending, found.rssi_dbm, found.update_count) == (MAC, 1, -61, 3)
    assert found.file == "/temp/00000218A1B2C3D4_77.jpg"
    assert found.ours
    assert not found.blank


@pytest.mark.parametrize("reading", [0, 1337])
def test_no_battery_reading_is_none(reading: int) -> None:
    assert record(batteryMv=reading).battery_mv is None


def test_markers() -> None:
    assert record(nextcheckin=3216153600).asleep
    assert record(hash="0" * 32).blank
    assert record(wakeupReason=0xFC).rebooted
    assert not record(wakeupReason=4).rebooted
    assert not record(isexternal=True).ours
    assert record(contentMode=12).ours
    assert record(contentMode=12).was_away
    assert record(modecfgjson="not json").file == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"mac": "00"},
        {"mac": None},
        {"mac": MAC.lower()},
        {"hash": "00"},
        {"pending": "many"},
        {"RSSI": None},
        {"ver": 1.5},
    ],
)
def test_a_bad_member_names_itself(changed: dict[str, object]) -> None:
    name = next(iter(changed))
    with pytest.raises(BadFrame, match=name):
        record(**changed)


def test_one_bad_record_does_not_hide_the_others() -> None:
    text = json.dumps({"tags": [RECORD | {"pending": None}, RECORD, 7]})
    events, bad = read_ws(text)
    assert [event.label for event in events if isinstance(event, TagRecord)] == [MAC]
    assert len(bad) == 2


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ({"logMsg": f"new image: /current/{MAC}_4711.pending"}, NewImage(MAC, f"/current/{MAC}_4711.pending")),
        (
            {"logMsg": f"{MAC} block request /current/{MAC}_4711.pending block 2, len 1280 checksum 99"},
            BlockRequest(MAC, f"/current/{MAC}_4711.pending", 2),
        ),
        ({"logMsg": f"{MAC} reports xfer complete\r\n"}, TransferComplete(MAC)),
        ({"logMsg": f"Updating {MAC}"}, Updating(MAC)),
        ({"logMsg": "new image is the same as current image. not updating tag."}, SameImage()),
        ({"errMsg": f"< {MAC} xfer timeout\r\n"}, TransferTimeout(MAC)),
        ({"errMsg": f"Not found: /temp/{MAC}_77.jpg"}, FileMissing(MAC, f"/temp/{MAC}_77.jpg")),
        ({"errMsg": "REBOOTING"}, Rebooting()),
        ({"upload": {"src": MAC, "current": 1, "total": 3}}, Progress(MAC, 1, 3)),
    ],
)
def test_events(said: dict[str, object], event: object) -> None:
    assert read_ws(json.dumps(said)) == ([event], [])


def test_the_life_sign_takes_numbers_in_strings_too() -> None:
    sys = {"currtime": 1795000000, "apstate": "1", "runstate": 2, "littlefsfree": 5, "recordcount": 9, "uptime": 60}
    assert read_ws(json.dumps({"sys": sys})) == ([SystemState(1795000000, 1, 2, 5, 9, 60)], [])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"sys":{}}', '{"upload":{"src":5}}', '{"tags":5}', "[" * 100_000]
)
def test_bad_texts_are_counted_not_fatal(text: str) -> None:
    events, bad = read_ws(text)
    assert events == []
    assert len(bad) == 1


@pytest.mark.parametrize("text", ['{"apitem":{}}', '{"console":"x"}', '{"logMsg":"hello"}', '{"errMsg":"odd"}', "{}"])
def test_other_texts_are_no_fault(text: str) -> None:
    assert read_ws(text) == ([], [])


def test_a_text_beyond_the_cap_is_refused() -> None:
    assert read_ws(json.dumps({"logMsg": "x" * 300_000}))[1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.text(max_size=300))
def test_any_text_gives_events_or_complaints(text: str) -> None:
    read_ws(text)


@given(st.sampled_from(["tags", "sys", "upload", "logMsg", "errMsg"]), JSON)
def test_any_json_gives_events_or_complaints(key: str, value: object) -> None:
    read_ws(json.dumps({key: value}))


@given(st.sampled_from(sorted(RECORD)), JSON)
def test_any_member_gives_a_record_or_is_refused(name: str, value: object) -> None:
    with contextlib.suppress(BadFrame):
        assert record(**{name: value}).label == MAC


@given(st.binary(max_size=200))
def test_any_page_is_read_or_refused(body: bytes) -> None:
    with pytest.raises(BadFrame):
        read_page(body)


def test_a_page_with_a_continuation() -> None:
    records, following, bad = read_page(json.dumps({"tags": [RECORD], "continu": 10}).encode())
    assert ([found.label for found in records], following, bad) == ([MAC], 10, [])


class Pages:
    """A link whose list has these pages, by position."""

    def __init__(self, following: dict[int, int]) -> None:
        self.following = following
        self.asked: list[int] = []

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes, deadline_s: float
    ) -> tuple[int, bytes]:
        del method, headers, body, deadline_s
        self.asked.append(int(path.partition("pos=")[2]))
        assert len(self.asked) < 9, "it runs for ever"
        page = {"tags": [RECORD], "continu": self.following[self.asked[-1]]}
        return 200, json.dumps(page).encode()

    def listen(self) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("following", "asked"), [({0: 10, 10: 10}, [0, 10]), ({0: 200, 200: 4}, [0, 200]), ({0: 250, 250: 260}, [0, 250])]
)
async def test_a_list_that_runs_in_circles_is_left(following: dict[int, int], asked: list[int]) -> None:
    pages = Pages(following)
    records, _ = await Calls(pages, 1.0).records()
    assert pages.asked == asked
    assert [found.label for found in records] == [MAC]


def test_the_error_page_is_refused() -> None:
    with pytest.raises(BadFrame):
        read_page(b'{"error": "malformatted parameter"}')


def test_text_parts_of_an_upload_carry_no_content_type() -> None:
    headers, body = upload_body({"mac": MAC, "dither": "0"}, b"\xff\xd8jpeg\xff\xd9")
    assert body.count(b"Content-Type") == 1
    read = read_request("POST", "/imgupload", headers, body)
    assert read.fields == {"mac": MAC, "dither": "0"}
    assert read.files[0].fields["mac"] == MAC  # it comes before the first byte of the file
    assert read.files[0].data == b"\xff\xd8jpeg\xff\xd9"


@given(st.binary(max_size=400))
def test_any_picture_survives_the_multipart_body(jpeg: bytes) -> None:
    headers, body = upload_body({"mac": MAC}, jpeg)
    assert read_request("POST", "/imgupload", headers, body).files[0].data == jpeg


def test_a_field_cannot_smuggle_a_header() -> None:
    with pytest.raises(ValueError, match="plain form field"):
        upload_body({"mac": "x\r\nContent-Type: text/html"}, b"")


def test_a_form() -> None:
    assert form_body({"mac": MAC, "cmd": "clear"})[1] == f"mac={MAC}&cmd=clear".encode()
