"""Every layout: JPEG to planes to glass must give back the pixels that were meant."""

import io
import zlib
from random import Random

import pytest
from PIL import Image

from drivers.simulators import _ap_color, _ap_image
from drivers.simulators._ap_types import TAG_TYPES

KINDS = sorted(TAG_TYPES)


def drawn(kind, seed):
    rng = Random(seed)
    small = Image.new("P", (kind.width // 8, kind.height // 8))
    small.putpalette([band for color in kind.palette for band in color])
    small.putdata([rng.randrange(len(kind.palette)) for _ in range(small.width * small.height)])
    return small.resize((kind.width, kind.height), Image.Resampling.NEAREST)


@pytest.mark.parametrize("number", KINDS)
@pytest.mark.parametrize("psram", [True, False])
def test_round_trip_of_every_layout(shop, number, psram):
    kind = TAG_TYPES[number]
    picture = drawn(kind, number)
    encoded = _ap_image.encode(shop.jpeg(picture.convert("RGB")), kind, _ap_image.Drawing(psram=psram))
    assert _ap_image.glass(number, encoded.kind, encoded.data) == picture.tobytes()


def test_layouts_cover_every_turn_and_encoding():
    assert {kind.rotatebuffer for kind in TAG_TYPES.values()} == {0, 1, 2, 3}
    assert {kind.bpp for kind in TAG_TYPES.values()} == {1, 2, 5}
    assert {len(kind.colors) for kind in TAG_TYPES.values()} == {2, 3, 4}


def test_raw_bits_are_planes_msb_first_turned_to_the_left():
    """By hand: 296x128, rotatebuffer 1: memory is 128 wide, its first row is the picture's right edge."""
    kind = TAG_TYPES[0x01]
    picture = Image.new("RGB", (296, 128), "white")
    picture.paste((0, 0, 0), (288, 0, 296, 8))  # top right corner: black
    picture.paste((255, 0, 0), (0, 120, 8, 128))  # bottom left corner: red
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90, subsampling=0)
    encoded = _ap_image.encode(out.getvalue(), kind, _ap_image.Drawing())
    assert encoded.kind == _ap_image.RAW_2BPP
    black, red = encoded.data[:4736], encoded.data[4736:]
    assert black[:16] == b"\xff" + bytes(15)
    assert sum(map(bool, black)) == 8
    assert red[-16:] == bytes(15) + b"\xff"
    assert sum(map(bool, red)) == 8


def test_second_plane_only_with_color(shop):
    kind = TAG_TYPES[0x02]
    plain = _ap_image.encode(shop.jpeg(shop.picture(kind, 0)), kind, _ap_image.Drawing())
    colored = _ap_image.encode(shop.jpeg(shop.picture(kind, 2)), kind, _ap_image.Drawing())
    assert (plain.kind, len(plain.data)) == (_ap_image.RAW_1BPP, 15_000)
    assert (colored.kind, len(colored.data)) == (_ap_image.RAW_2BPP, 30_000)


def test_zlib_has_size_small_window_and_header(shop):
    kind = TAG_TYPES[0x6E]
    encoded = _ap_image.encode(shop.jpeg(shop.picture(kind, 7)), kind, _ap_image.Drawing())
    assert encoded.kind == _ap_image.ZLIB
    assert encoded.data[4] >> 4 == 4  # 2 ** (8 + 4) = 4 KiB
    plain = zlib.decompress(encoded.data[4:])
    assert int.from_bytes(encoded.data[:4], "little") == len(plain) == 6 + 2 * 4736
    assert plain[:6] == bytes([6]) + (128).to_bytes(2, "little") + (296).to_bytes(2, "little") + bytes([2])


def test_old_tags_get_raw(shop):
    kind = TAG_TYPES[0x6E]
    encoded = _ap_image.encode(shop.jpeg(shop.picture(kind, 7)), kind, _ap_image.Drawing(tag_version=0x26))
    assert encoded.kind == _ap_image.RAW_2BPP


def test_packed_pixels_are_four_a_byte(shop):
    kind = TAG_TYPES[0xBB]
    encoded = _ap_image.encode(shop.jpeg(drawn(kind, 3).convert("RGB")), kind, _ap_image.Drawing())
    assert len(encoded.data) == 296 * 128 // 4


def test_chroma_subsampling_spoils_pixels_and_full_chroma_does_not(shop):
    kind = TAG_TYPES[0x01]
    rng = Random(2)
    mosaic = Image.new("RGB", (296, 128), "white")
    for at in range(0, 296 * 128, 7):
        mosaic.putpixel((at % 296, at // 296), rng.choice(kind.palette))
    right, wrong = (
        _ap_image.encode(shop.jpeg(mosaic, subsampling=chroma), kind, _ap_image.Drawing()) for chroma in (0, 2)
    )
    shown = _ap_image.glass(kind.number, right.kind, right.data)
    assert shown == bytes(kind.palette.index(color) for color in mosaic.get_flattened_data())
    assert right.data != wrong.data


@pytest.mark.parametrize("psram", [True, False])
def test_quick_mapping_equals_the_definition(psram):
    """The table of cells and the rule pixel by pixel must agree on any colour."""
    rng = Random(7)
    picture = Image.frombytes("RGB", (100, 40), rng.randbytes(12_000))
    for kind in TAG_TYPES.values():
        rgb = picture.tobytes()
        want = bytes(
            _ap_color.nearest(_ap_color.seen(*rgb[at : at + 3], psram=psram), kind.palette)
            for at in range(0, len(rgb), 3)
        )
        assert _ap_color.indices(picture, kind.palette, psram=psram) == want


def test_grey_never_becomes_a_color():
    assert _ap_color.nearest((140, 128, 128), TAG_TYPES[1].palette) in (0, 1)
    assert _ap_color.nearest((200, 60, 60), TAG_TYPES[1].palette) == 2


@pytest.mark.parametrize("dither", [1, 2])
def test_dithering_leaves_hard_colors_and_mixes_grey(shop, dither):
    kind = TAG_TYPES[0x00]
    drawing = _ap_image.Drawing(dither=dither)
    flat = Image.new("RGB", (kind.width, kind.height), (0, 0, 0))
    encoded = _ap_image.encode(shop.jpeg(flat), kind, drawing)
    assert set(_ap_image.glass(0, encoded.kind, encoded.data)) == {1}
    grey = Image.new("RGB", (kind.width, kind.height), (128, 128, 128))
    encoded = _ap_image.encode(shop.jpeg(grey), kind, drawing)
    shown = _ap_image.glass(0, encoded.kind, encoded.data)
    assert 0.3 < shown.count(1) / len(shown) < 0.7


@pytest.mark.parametrize("bad", [b"", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n"])
def test_what_is_no_jpeg_is_refused(bad):
    with pytest.raises(_ap_image.NotAJpeg):
        _ap_image.encode(bad, TAG_TYPES[1], _ap_image.Drawing())


def test_progressive_and_cut_off_are_refused(shop):
    picture = shop.picture(TAG_TYPES[1], 9)
    whole = shop.jpeg(picture)
    for bad in (shop.jpeg(picture, progressive=True), whole[: len(whole) // 2]):
        with pytest.raises(_ap_image.NotAJpeg):
            _ap_image.encode(bad, TAG_TYPES[1], _ap_image.Drawing())


def test_damaged_files_still_give_a_full_panel():
    for kind in TAG_TYPES.values():
        for data in (b"", b"\x01\x02", b"\xff" * 50_000):
            shown = _ap_image.glass(kind.number, _ap_image.ZLIB, data)
            assert len(shown) == kind.width * kind.height
            assert max(shown) < len(kind.colors)
