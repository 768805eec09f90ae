"""How the access point turns RGB into palette indices: nearest colour, Burkes and ordered dithering.

Pure. The access point sees RGB565 (boards with PSRAM) or RGB332; a grey-ish pixel may not become a colour. Nearest
colour is quick: whole cells of the colour cube map at once, only pixels in a cell that a border crosses are looked at.
Not here: JPEG and planes (`_ap_image.py`).
"""

import re
from functools import lru_cache

from PIL import Image, ImageChops

Rgb = tuple[int, int, int]
Palette = tuple[Rgb, ...]

_GREY = 20  # channels closer than this make a grey
_FORBIDDEN = 1 << 32
_UNSURE = 255
_HIGH3 = [value & 0xE0 for value in range(256)]
_MID3 = [value >> 5 << 2 for value in range(256)]
_LOW2 = [value >> 6 for value in range(256)]
_UNSURE_PIXELS = re.compile(b"\xff")


def seen(red: int, green: int, blue: int, *, psram: bool) -> Rgb:
    """Return the colour that is left after the access point's own frame buffer (RGB565 or RGB332)."""
    if psram:
        return (red & 0xF8) | red >> 5, (green & 0xFC) | green >> 6, (blue & 0xF8) | blue >> 5
    return (red >> 5) * 255 // 7, (green >> 5) * 255 // 7, (blue >> 6) * 85


def distance(pixel: Rgb, color: Rgb, error: Rgb = (0, 0, 0)) -> float:
    """Weighted distance; a grey pixel is infinitely far from a colour, whatever error dithering carries to it."""
    red, green, blue = pixel
    if abs(red - green) < _GREY and abs(blue - green) < _GREY:
        colorful = abs(color[0] - color[1]) > _GREY or abs(color[2] - color[1]) > _GREY
        if colorful:
            return _FORBIDDEN
    dr, dg, db = red + error[0] - color[0], green + error[1] - color[1], blue + error[2] - color[2]
    return 3 * dr * dr + 5.47 * dg * dg + 1.53 * db * db


def nearest(pixel: Rgb, palette: Palette, error: Rgb = (0, 0, 0)) -> int:
    """Return the palette index; the first of equals wins."""
    return min(range(len(palette)), key=lambda index: (int(distance(pixel, palette[index], error)), index))


def indices(picture: Image.Image, palette: Palette, *, psram: bool) -> bytes:
    """Map an RGB picture to palette indices, one byte a pixel, without dithering."""
    red, green, blue = picture.split()
    cells = ImageChops.add(ImageChops.add(red.point(_HIGH3), green.point(_MID3)), blue.point(_LOW2)).tobytes()
    mapped = cells.translate(_cell_table(palette, psram))
    if _UNSURE not in mapped:
        return mapped
    exact = bytearray(mapped)
    rgb = picture.tobytes()
    for match in _UNSURE_PIXELS.finditer(mapped):
        at = match.start()
        exact[at] = _exact(rgb[3 * at : 3 * at + 3], palette, psram)
    return bytes(exact)


@lru_cache(maxsize=1 << 16)
def _exact(rgb: bytes, palette: Palette, psram: bool) -> int:  # noqa: FBT001 (a cache key)
    return nearest(seen(*rgb, psram=psram), palette)


@lru_cache(maxsize=64)
def _cell_table(palette: Palette, psram: bool) -> bytes:  # noqa: FBT001 (a cache key)
    """Return palette index by RGB332 cell, or `_UNSURE` where one cell holds several answers."""
    return bytes(_cell(cell, palette, psram=psram) for cell in range(256))


def _cell(cell: int, palette: Palette, *, psram: bool) -> int:
    low = (cell & 0xE0, cell << 3 & 0xE0, cell << 6 & 0xC0)
    high = (low[0] + 31, low[1] + 31, low[2] + 63)
    corners = [
        seen(red, green, blue, psram=psram)
        for red in (low[0], high[0])
        for green in (low[1], high[1])
        for blue in (low[2], high[2])
    ]
    # Without the grey rule regions are half-spaces, so corners that agree speak for the whole cell.
    plain = {min(range(len(palette)), key=lambda at: _plain(corner, palette[at])) for corner in corners}
    if len(plain) > 1:
        return _UNSURE
    (answer,) = plain
    colorful = max(palette[answer]) - min(palette[answer]) > _GREY
    grey_possible = low[0] < high[1] + _GREY and low[1] < high[0] + _GREY
    grey_possible = grey_possible and low[2] < high[1] + _GREY and low[1] < high[2] + _GREY
    return _UNSURE if colorful and grey_possible else answer


def _plain(pixel: Rgb, color: Rgb) -> float:
    dr, dg, db = pixel[0] - color[0], pixel[1] - color[1], pixel[2] - color[2]
    return 3 * dr * dr + 5.47 * dg * dg + 1.53 * db * db


_BURKES_NEXT = ((-2, 16), (-1, 8), (0, 4), (1, 8), (2, 16))  # (offset, divisor) on the row below
_BURKES_SAME = ((1, 4), (2, 8))


def burkes(picture: Image.Image, palette: Palette, *, psram: bool) -> bytes:
    """Map with Burkes error diffusion: what an upload without a `dither` field gets. Slow (a pixel at a time)."""
    width, height = picture.size
    rgb = picture.tobytes()
    out = bytearray(width * height)
    row = [[0, 0, 0] for _ in range(width + 4)]
    for y in range(height):
        below = [[0, 0, 0] for _ in range(width + 4)]
        for x in range(width):
            at = y * width + x
            pixel = seen(*rgb[3 * at : 3 * at + 3], psram=psram)
            carried = row[x]
            index = nearest(pixel, palette, (carried[0], carried[1], carried[2]))
            out[at] = index
            error = [pixel[band] + carried[band] - palette[index][band] for band in range(3)]
            if any(error):
                _spread(error, x, row, below)
        row = below
    return bytes(out)


def _spread(error: list[int], x: int, row: list[list[int]], below: list[list[int]]) -> None:
    limit = max(abs(band) for band in error)
    if limit > 255:
        error = [int(band * 255 / limit) for band in error]
    for line, shares in ((row, _BURKES_SAME), (below, _BURKES_NEXT)):
        for offset, divisor in shares:
            if x + offset >= 0:
                cell = line[x + offset]
                for band in range(3):
                    cell[band] += int(error[band] / divisor)


def ordered(picture: Image.Image, palette: Palette, *, psram: bool) -> bytes:
    """Map with the access point's ordered pattern between the two nearest colours (`dither` = 2)."""
    width, height = picture.size
    rgb = picture.tobytes()
    out = bytearray(width * height)
    for at in range(width * height):
        pair, weight = _pair(rgb[3 * at : 3 * at + 3], palette, psram)
        out[at] = pair[_pattern(at % width, at // width, weight)]
    return bytes(out)


@lru_cache(maxsize=1 << 16)
def _pair(rgb: bytes, palette: Palette, psram: bool) -> tuple[tuple[int, int], float]:  # noqa: FBT001 (a cache key)
    pixel = seen(*rgb, psram=psram)
    first, second = sorted(range(len(palette)), key=lambda index: (distance(pixel, palette[index]), index))[:2]
    if palette[second] > palette[first]:
        first, second = second, first
    near, far = distance(pixel, palette[first]), distance(pixel, palette[second])
    return (first, second), near / (near + far) if near + far else 0.0


def _pattern(x: int, y: int, weight: float) -> int:
    sparse = bool(y % 2 and (y // 2 + x) % 2)
    if weight <= 0.03:
        return 0
    if weight < 0.30:
        return int(sparse)
    if weight < 0.70:
        return (x + y) % 2
    return int(not sparse) if weight < 0.97 else 1
