"""Faces to JPEG and back through the access point's encodings: every panel layout, byte by byte."""

import contextlib
import json
import zlib
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._oepl_jpeg import encode_jpeg, tag_indexes
from drivers._oepl_tagtype import PACKED_2BIT, TagType, decode_image, read_tag_type, tag_type_path
from drivers.simulators import _ap_image
from drivers.simulators._ap_types import TAG_TYPES
from gateway.errors import BadFrame, Rejected

RGB = {"white": (255, 255, 255), "black": (0, 0, 0), "red": (255, 0, 0), "yellow": (255, 255, 0)}
PLAIN = _ap_image.Drawing(dither=0, rotate=0, invert=False, psram=True, tag_version=0x28, timestamp="")


def kind(width: int, height: int, *, bpp: int = 2, turn: int = 0, colors: tuple[str, ...] = tuple(RGB)) -> TagType:
    return TagType(1, "test", width, height, bpp, turn, colors, tuple(RGB[name] for name in colors), 0, 0)


def test_one_plane_unrotated_is_msb_first() -> None:
    assert decode_image(bytes.fromhex("80 01"), kind(8, 2, bpp=1, colors=("white", "black"))) == bytes(
        [1, *[0] * 14, 1]
    )


def test_second_plane_is_red_and_both_planes_are_yellow() -> None:
    assert decode_image(bytes.fromhex("c0 a0"), kind(8, 1)) == bytes([3, 1, 2, 0, 0, 0, 0, 0])


def test_a_missing_second_plane_means_no_colour() -> None:
    assert decode_image(bytes.fromhex("c0"), kind(8, 1)) == bytes([1, 1, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("turn", "raw"),
    [
        (0, "80 00 00 00 00 00 00 00"),  # top left stays top left
        (1, "00 00 00 00 00 00 00 80"),  # memory row 7 is our column 0
        (2, "00 00 00 00 00 00 00 01"),  # upside down
        (3, "01 00 00 00 00 00 00 00"),
    ],
)
def test_each_rotation_brings_the_top_left_pixel_home(turn: int, raw: str) -> None:
    assert decode_image(bytes.fromhex(raw), kind(8, 8, turn=turn)) == bytes([1]) + bytes(63)


def test_packed_two_bit_pixels() -> None:
    assert decode_image(bytes.fromhex("1b e4"), kind(8, 1, bpp=PACKED_2BIT)) == bytes([0, 1, 2, 3, 3, 2, 1, 0])


def test_zlib_with_its_header() -> None:
    planes = bytes.fromhex("c0 a0")
    stream = zlib.compress(bytes([6, 8, 0, 1, 0, 2]) + planes)
    assert decode_image((8).to_bytes(4, "little") + stream, kind(8, 1)) == bytes([3, 1, 2, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01\x02\x03",
        (8).to_bytes(4, "little") + b"not zlib",
        (8).to_bytes(4, "little") + zlib.compress(bytes(500_000)),  # a bomb is not unpacked
        (8).to_bytes(4, "little") + zlib.compress(bytes([6, 8, 0, 1, 0, 2, 0, 0]))[:-3],
        (8).to_bytes(4, "little") + zlib.compress(bytes([7, 8, 0, 1, 0, 2, 0, 0])),
    ],
    ids=["empty", "short", "no zlib", "bomb", "cut", "other header"],
)
def test_other_encodings_are_refused(raw: bytes) -> None:
    with pytest.raises(BadFrame):
        decode_image(raw, kind(8, 1))


@given(raw=st.binary(max_size=64), turn=st.integers(0, 3), bpp=st.sampled_from([1, 2, 5]))
def test_any_bytes_are_decoded_or_refused(raw: bytes, turn: int, bpp: int) -> None:
    with contextlib.suppress(BadFrame):
        assert len(decode_image(raw, kind(16, 8, bpp=bpp, turn=turn))) == 128


@pytest.mark.parametrize("number", sorted(TAG_TYPES))
@pytest.mark.parametrize("psram", [True, False])
def test_every_simulated_panel_gives_back_what_was_sent(number: int, *, psram: bool) -> None:
    theirs = TAG_TYPES[number]
    ours = read_tag_type(theirs.as_json(), number)
    assert ours.unsupported is None
    rng = Random(number)
    pixels = bytes(rng.choices(range(len(ours.colors)), k=ours.width * ours.height))
    drawing = _ap_image.Drawing(dither=0, rotate=0, invert=False, psram=psram, tag_version=0x28, timestamp="")
    encoded = _ap_image.encode(encode_jpeg(pixels, ours), theirs, drawing)
    assert decode_image(encoded.data, ours) == pixels


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_noise_of_any_size_comes_back_exact(data: st.DataObject) -> None:
    turn = data.draw(st.integers(0, 3))
    width, height = 8 * data.draw(st.integers(1, 6)), 8 * data.draw(st.integers(1, 6))
    ours = kind(width, height, turn=turn, colors=("white", "black", "red"))
    pixels = Random(data.draw(st.integers(0, 999))).choices(range(3), k=width * height)
    theirs = next(t for t in TAG_TYPES.values() if t.colors == ours.colors)
    twin = type(theirs)(0, "twin", width, height, theirs.colors, turn)
    encoded = _ap_image.encode(encode_jpeg(bytes(pixels), ours), twin, PLAIN)
    assert decode_image(encoded.data, ours) == bytes(pixels)


def test_a_jpeg_is_baseline_and_keeps_full_chroma() -> None:
    jpeg = encode_jpeg(bytes(16 * 8), kind(16, 8))
    at = jpeg.index(b"\xff\xc0")  # SOF0: baseline
    assert jpeg[at + 9] == 3
    assert [jpeg[at + 11 + 3 * part] for part in range(3)] == [0x11, 0x11, 0x11]


def test_face_colours_are_matched_by_name() -> None:
    panel = kind(4, 1, bpp=PACKED_2BIT, colors=("black", "white", "yellow", "red"))
    assert tag_indexes(bytes([0, 1, 2, 2]), ("white", "black", "red"), panel) == bytes([1, 0, 3, 3])


def test_a_colour_that_is_named_but_not_used_does_no_harm() -> None:
    assert tag_indexes(bytes([0, 1]), ("white", "black", "red"), kind(2, 1, colors=("white", "black"))) == bytes([0, 1])


@pytest.mark.parametrize("pixels", [bytes([0, 2]), bytes([0, 7])], ids=["not on this tag", "not named"])
def test_colours_the_tag_cannot_show_are_refused(pixels: bytes) -> None:
    with pytest.raises(Rejected):
        tag_indexes(pixels, ("white", "black", "red"), kind(2, 1, colors=("white", "black")))


@pytest.mark.parametrize(
    ("change", "why"),
    [({"bpp": 4}, "4 bits"), ({"bpp": 16}, "16 bits"), ({"width": 250, "rotatebuffer": 0}, "rows of 250")],
)
def test_types_we_cannot_drive_say_why(change: dict[str, int], why: str) -> None:
    body = json.loads(TAG_TYPES[0x00].as_json()) | change
    found = read_tag_type(json.dumps(body).encode(), 1)
    assert why in str(found.unsupported)
    with pytest.raises(BadFrame):
        decode_image(bytes(100), found)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": "x"},
        {"bpp": None},
        {"rotatebuffer": 4},
        {"colortable": {}},
        {"colortable": {"a": [1], "b": 2}},
    ],
)
def test_a_broken_type_file_is_refused(change: dict[str, object]) -> None:
    body = json.loads(TAG_TYPES[0x00].as_json()) | change
    with pytest.raises(BadFrame):
        read_tag_type(json.dumps(body).encode(), 1)


@given(body=st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_any_bytes_are_a_type_or_refused(body: bytes) -> None:
    with pytest.raises(BadFrame):
        read_tag_type(body, 1)


def test_paths_of_small_and_big_type_numbers() -> None:
    assert tag_type_path(0x0A) == "/tagtypes/0A.json"
    assert tag_type_path(0x1A2) == "/tagtypes/01A2.json"


@pytest.mark.parametrize(
    ("zlib_from", "g5_from", "version", "g5"),
    [
        (0, 0x20, 0x28, True),
        (0, 0x20, 0x1F, False),
        (0x28, 0x20, 0x28, False),
        (0x29, 0x20, 0x28, True),
        (0, 0, 9, False),
    ],
)
def test_g5_is_used_from_its_firmware_on(*, zlib_from: int, g5_from: int, version: int, g5: bool) -> None:
    assert replace(kind(8, 1), zlib_from=zlib_from, g5_from=g5_from).encodes_g5(version) is g5


def test_g5_and_zlib_versions_are_hexadecimal() -> None:
    body = json.loads(TAG_TYPES[0x00].as_json()) | {"g5_compression": "20", "zlib_compression": "30"}
    found = read_tag_type(json.dumps(body).encode(), 1)
    assert (found.g5_from, found.zlib_from) == (0x20, 0x30)
