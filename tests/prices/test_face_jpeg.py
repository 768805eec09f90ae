"""The way over the air: JPEG 4:4:4 of quality 80 and back to the nearest palette colour loses not one pixel."""

import io
import random
from dataclasses import replace

import pytest
from PIL import Image

from gateway.prices.face import Panel, as_image, draw, stamp
from gateway.prices.face_content import RGB
from tests.prices.face_samples import CNY, COLORS, JUICE, OFFER, SPARE, with_check_digit

NAMES = [
    "苹果汁 1L",
    "Stabilo BOSS Textmarker, leuchtend gelb",
    "农夫山泉饮用天然水 塑料瓶装 1.5L 12瓶",
    "おいしい牛乳",
]
# How many bits of each channel an access point keeps when it decodes: all, or RGB565, or RGB332.
MASKS = {"RGB888": (0xFF, 0xFF, 0xFF), "RGB565": (0xF8, 0xFC, 0xF8), "RGB332": (0xE0, 0xE0, 0xC0)}


def over_jpeg(pixels: bytes, panel: Panel, masks: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    as_image(pixels, panel).convert("RGB").save(file, "JPEG", quality=80, subsampling=0)
    levels = iter(Image.open(file).convert("RGB").tobytes())
    palette = [RGB[name] for name in panel.colors]
    seen: dict[tuple[int, ...], int] = {}
    return bytes(
        seen[rgb] if rgb in seen else seen.setdefault(rgb, _nearest(rgb, palette, masks))
        for rgb in zip(levels, levels, levels, strict=True)
    )


def _nearest(rgb: tuple[int, ...], palette: list[tuple[int, int, int]], masks: tuple[int, int, int]) -> int:
    kept = [level & mask for level, mask in zip(rgb, masks, strict=True)]
    return min(
        range(len(palette)), key=lambda index: sum((a - b) ** 2 for a, b in zip(kept, palette[index], strict=True))
    )


@pytest.mark.parametrize("colors", list(COLORS))
@pytest.mark.parametrize("size", [(152, 152), (212, 104), (296, 128), (400, 300)])
def test_a_stamped_face_comes_back_exact(size: tuple[int, int], colors: str) -> None:
    chance = random.Random(f"{size}{colors}")
    panel = Panel(*size, COLORS[colors])
    for content in (JUICE, OFFER, OFFER, SPARE):
        gtin = with_check_digit(f"0{chance.randrange(10**12):012d}")
        named = content if content is SPARE else replace(content, name=chance.choice(NAMES), gtin=gtin)
        pixels = stamp(draw(named, panel, CNY), panel, chance.randrange(65_536))
        for masks in MASKS.values():
            assert over_jpeg(pixels, panel, masks) == pixels


def test_subsampled_colour_would_not_come_back() -> None:
    """The check itself: 4:2:0, the usual default, spoils small red on white."""
    panel = Panel(296, 128, COLORS["BWR"])
    pixels = draw(OFFER, panel, CNY)
    file = io.BytesIO()
    as_image(pixels, panel).convert("RGB").save(file, "JPEG", quality=80, subsampling=2)
    levels = iter(Image.open(file).convert("RGB").tobytes())
    palette = [RGB[name] for name in panel.colors]
    back = bytes(_nearest(rgb, palette, MASKS["RGB888"]) for rgb in zip(levels, levels, levels, strict=True))
    assert back != pixels
