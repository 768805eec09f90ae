"""From an uploaded JPEG to the file that a tag downloads, and from that file to what its glass shows.

Pure: bytes in, bytes out. `encode` is the access point's part (decode, palette, turn, planes, zlib or raw), `glass` is
the tag's part. A JPEG of the wrong size is not refused: its planes have the wrong length, so the tag shows garbage.
Not here: colours (`_ap_color.py`), types (`_ap_types.py`), who sends what when (`_ap_firmware.py`).
"""

import hashlib
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from PIL import Image, ImageChops

from drivers.simulators import _ap_color
from drivers.simulators._ap_types import PACKED_2BIT, TagType

RAW_1BPP: Final = 0x20
RAW_2BPP: Final = 0x21
ZLIB: Final = 0x30
HEADER_BYTES = 6
WINDOW_BITS = 12  # 4 KiB, what a tag's memory holds
MAX_PIXELS = 4_000_000  # more than the board's memory: it cannot decode that

_TURNS = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}  # clockwise
_MAPPERS: dict[int, Callable[..., bytes]] = {0: _ap_color.indices, 1: _ap_color.burkes, 2: _ap_color.ordered}
_BLACK_BIT = [255 if index & 1 else 0 for index in range(256)]
_COLOR_BIT = [255 if index & 2 else 0 for index in range(256)]


@dataclass(frozen=True)
class Encoded:
    """A file for a tag: `kind` is the protocol's data type."""

    kind: int
    data: bytes

    @property
    def version(self) -> bytes:
        """First 8 bytes of the MD5: the name of this picture on the air and, in hex, in the record's `hash`."""
        return hashlib.md5(self.data, usedforsecurity=False).digest()[:8]


@dataclass(frozen=True)
class Drawing:
    """How the access point shall treat an upload: fields of the request and of the tag's record."""

    dither: int = 0
    rotate: int = 0
    invert: bool = False
    psram: bool = True
    tag_version: int = 0x28
    timestamp: str = ""  # text of the overlay option, drawn into the picture before it is mapped


class NotAJpeg(ValueError):
    """The access point's decoder takes baseline JPEG only."""


@lru_cache(maxsize=128)
def encode(jpeg: bytes, kind: TagType, drawing: Drawing) -> Encoded:
    """Turn an upload into what the tag gets. Raises NotAJpeg."""
    picture = _decode(jpeg)
    if drawing.timestamp:
        _stamp(picture, drawing.timestamp)
    mapped = _map(picture, kind, drawing)
    turn = (drawing.rotate + (4 - kind.rotatebuffer if kind.rotatebuffer % 2 else kind.rotatebuffer)) % 4
    memory = _turned(Image.frombytes("L", picture.size, mapped), turn)
    if kind.bpp == PACKED_2BIT:
        return Encoded(RAW_1BPP, _pack(memory.tobytes()))
    planes = [_plane(memory, _BLACK_BIT)]
    if kind.bpp == 2 and (b"\x02" in mapped or b"\x03" in mapped):
        planes.append(_plane(memory, _COLOR_BIT))
    if drawing.psram and drawing.tag_version >= kind.zlib_from:
        return Encoded(ZLIB, _zlib(planes, picture.size, kind))
    return Encoded(RAW_1BPP if len(planes) == 1 else RAW_2BPP, b"".join(planes))


def _decode(jpeg: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as opened:
            if opened.info.get("progressive") or opened.width * opened.height > MAX_PIXELS:
                raise NotAJpeg(f"progressive or too big: {opened.width}x{opened.height}")
            opened.load()
            return opened if opened.mode == "RGB" else opened.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAJpeg(str(error)) from error


def _map(picture: Image.Image, kind: TagType, drawing: Drawing) -> bytes:
    palette = kind.palette
    if drawing.invert:
        palette = (palette[1], palette[0], *palette[2:])
    mapper = _MAPPERS.get(drawing.dither)
    if mapper is None:  # an unknown number maps every pixel to the first colour
        return bytes(picture.width * picture.height)
    return mapper(picture, palette, psram=drawing.psram)


def _stamp(picture: Image.Image, text: str) -> None:
    """Overlay the time, bottom right: black blocks on white stand for its letters."""
    wide = 6 * len(text)
    left, top = max(0, picture.width - wide - 2), max(0, picture.height - 10)
    picture.paste((255, 255, 255), (left, top, picture.width, picture.height))
    for at, letter in enumerate(text):
        for bit in range(7):
            if ord(letter) >> bit & 1:
                picture.paste((0, 0, 0), (left + 6 * at, top + bit, left + 6 * at + 4, top + bit + 1))


def _turned(picture: Image.Image, quarters: int) -> Image.Image:
    return picture.transpose(_TURNS[quarters]) if quarters else picture


def _plane(memory: Image.Image, bit: list[int]) -> bytes:
    return memory.point(bit, "1").tobytes()


def _pack(indices: bytes) -> bytes:
    padded = indices + bytes(-len(indices) % 4)
    quads = zip(padded[0::4], padded[1::4], padded[2::4], padded[3::4], strict=True)
    return bytes((a & 3) << 6 | (b & 3) << 4 | (c & 3) << 2 | d & 3 for a, b, c, d in quads)


def _zlib(planes: list[bytes], size: tuple[int, int], kind: TagType) -> bytes:
    first, second = reversed(size) if kind.rotatebuffer % 2 else size
    header = bytes([HEADER_BYTES]) + first.to_bytes(2, "little") + second.to_bytes(2, "little") + bytes([len(planes)])
    plain = header + b"".join(planes)
    packer = zlib.compressobj(6, zlib.DEFLATED, WINDOW_BITS)
    return len(plain).to_bytes(4, "little") + packer.compress(plain) + packer.flush()


@lru_cache(maxsize=512)
def glass(kind_number: int, data_type: int, data: bytes) -> bytes:
    """Return palette indices row by row, as a person sees them, that a tag of this type draws from a stored file."""
    from drivers.simulators._ap_types import TAG_TYPES  # noqa: PLC0415 (only a number makes a cheap cache key)

    kind = TAG_TYPES[kind_number]
    width, height = kind.memory_size
    planes = _unzip(data) if data_type == ZLIB else data
    if kind.bpp == PACKED_2BIT:
        quads = planes.ljust(width * height // 4, b"\0")[: width * height // 4]
        memory = Image.frombytes("L", (width, height), b"".join(_UNPACK[quad] for quad in quads))
    else:
        memory = _from_planes(planes, width, height)
    upright = _turned(memory, kind.rotatebuffer)
    return upright.tobytes().translate(_within(len(kind.colors)))


def _unzip(data: bytes) -> bytes:
    try:
        plain = zlib.decompressobj(15).decompress(data[4:], int.from_bytes(data[:4], "little"))
    except zlib.error:
        return b""
    return plain[HEADER_BYTES:]


def _from_planes(planes: bytes, width: int, height: int) -> Image.Image:
    """Read two planes; what is missing is read as zeros, as a tag's erased buffer is."""
    each = (width + 7) // 8 * height
    padded = planes.ljust(2 * each, b"\0")
    black, color = (
        Image.frombytes("1", (width, height), part).convert("L").point(level)
        for part, level in ((padded[:each], _ONE), (padded[each : 2 * each], _TWO))
    )
    return ImageChops.add(black, color)


_ONE = [0] * 255 + [1]
_TWO = [0] * 255 + [2]
_UNPACK = [bytes((quad >> 6, quad >> 4 & 3, quad >> 2 & 3, quad & 3)) for quad in range(256)]


@lru_cache(maxsize=8)
def _within(colors: int) -> bytes:
    """Let a panel of fewer colours show black where both planes are set, and its colour or white else."""
    return bytes(index if index < colors else index & 1 for index in range(256))
