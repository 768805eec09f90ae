"""Tag types and pixel read-back: what a tag type file says, and an access point's encoded image as palette indexes.

Pure. The layouts (raw planes, zlib with a 6-byte header, packed 2 bit; rotatebuffer 0-3) are the firmware's. G5 is not
decoded: a tag whose firmware gets it cannot be proven by pixels. Next: `_oepl_jpeg.py` for the way to the tag.
"""

import math
import re
import zlib
from dataclasses import dataclass
from typing import Any

from PIL import Image

from drivers._oepl_record import read_object
from gateway.errors import BadFrame

PACKED_2BIT = 5  # `bpp` 5: four palette indexes a byte, MSB first, in the order of the colour table
SIDE_MAX = 4096
_ZLIB_HEADER_BYTES = 6  # length of itself, two sizes as u16, number of planes
_ONE_BIT = bytes(range(256))
_PACKED = [bytes((byte >> 6, byte >> 4 & 3, byte >> 2 & 3, byte & 3)) for byte in range(256)]
_UNROTATE = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}


@dataclass(frozen=True, slots=True)
class TagType:
    """How a model of tags draws. `colors`, `rgb` in palette order; `zlib_from`, `g5_from`: tag firmware, 0 = never."""

    hw_type: int
    name: str
    width: int
    height: int
    bpp: int
    rotate_buffer: int
    colors: tuple[str, ...]
    rgb: tuple[tuple[int, int, int], ...]
    zlib_from: int
    g5_from: int

    @property
    def unsupported(self) -> str | None:
        """Why this type cannot be driven, or None."""
        if self.bpp not in (1, 2, PACKED_2BIT):
            return f"{self.bpp} bits per pixel"
        row = self.height if self.rotate_buffer % 2 else self.width
        if self.bpp != PACKED_2BIT and row % 8:
            return f"rows of {row} pixels do not fill whole bytes"
        return None

    def encodes_g5(self, version: int) -> bool:
        """Whether the access point will use G5 for this version of tag firmware (zlib goes first when both apply)."""
        return not 0 < self.zlib_from <= version and 0 < self.g5_from <= version

    @property
    def refresh_s(self) -> float:
        """Time to grant the panel after it has all bytes: 2-5 s black and white, 15-30 s with colour, more when big."""
        size_s = 10.0 if self.width * self.height > 250_000 else 0.0
        return (5.0 if len(self.colors) <= 2 else 30.0) + size_s


def tag_type_path(hw_type: int) -> str:
    """Return where the access point keeps a type: two hex digits, four for the newer big numbers."""
    return f"/tagtypes/{hw_type:0{2 if hw_type <= 0xFF else 4}X}.json"


def read_tag_type(body: bytes, hw_type: int) -> TagType:
    """Return the type in a `/tagtypes/XX.json` answer. Raises BadFrame."""
    found = read_object(body)
    rgb_by_name = _color_table(found.get("colortable"))
    bpp = _number(found, "bpp", 0, 16)
    kept = 2 if bpp == 1 else 4 if bpp in (2, PACKED_2BIT) else 16
    return TagType(
        hw_type=hw_type,
        name=str(found.get("name") or f"type {hw_type:02X}")[:80],
        width=_number(found, "width", 1, SIDE_MAX),
        height=_number(found, "height", 1, SIDE_MAX),
        bpp=bpp,
        rotate_buffer=_number(found, "rotatebuffer", 0, 3),
        colors=tuple(rgb_by_name)[:kept],
        rgb=tuple(rgb_by_name.values())[:kept],
        zlib_from=_version(found.get("zlib_compression")),
        g5_from=_version(found.get("g5_compression")),
    )


def decode_image(raw: bytes, kind: TagType) -> bytes:
    """Return the palette indexes, row by row as a person sees them. Raises BadFrame for an unknown encoding."""
    if kind.unsupported:
        raise BadFrame(f"{kind.name}: {kind.unsupported}")
    body = _unpacked(raw, kind)
    size = (kind.height, kind.width) if kind.rotate_buffer % 2 else (kind.width, kind.height)
    indexes = _packed_indexes(body, size) if kind.bpp == PACKED_2BIT else _plane_indexes(body, size)
    if not kind.rotate_buffer:
        return indexes
    return Image.frombytes("L", size, indexes).transpose(_UNROTATE[kind.rotate_buffer]).tobytes()


def _unpacked(raw: bytes, kind: TagType) -> bytes:
    """Return plane bytes: as they are, or out of zlib (u32 size, stream of header and planes)."""
    sizes = _body_sizes(kind)
    if len(raw) in sizes:
        return raw
    promised = int.from_bytes(raw[:4], "little")
    if promised - _ZLIB_HEADER_BYTES not in sizes:
        raise BadFrame(f"{kind.name}: unknown encoding, {len(raw)} bytes: {raw[:16].hex()}")
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(raw[4:], promised + 1)
    except zlib.error as error:
        raise BadFrame(f"{kind.name}: {error}: {raw[:16].hex()}") from error
    if len(body) != promised or not unpacker.eof or body[0] != _ZLIB_HEADER_BYTES:
        raise BadFrame(f"{kind.name}: zlib gave {len(body)} of {promised} bytes: {body[:8].hex()}")
    return body[_ZLIB_HEADER_BYTES:]


def _body_sizes(kind: TagType) -> tuple[int, ...]:
    pixels = kind.width * kind.height
    if kind.bpp == PACKED_2BIT:
        return (math.ceil(pixels / 4),)
    plane = pixels // 8
    return (plane,) if kind.bpp == 1 else (plane, 2 * plane)


def _plane_indexes(body: bytes, size: tuple[int, int]) -> bytes:
    """Bit planes, MSB first: index = black bit + 2 x colour bit. A missing second plane is all zero."""
    plane_bytes = size[0] * size[1] // 8
    indexes = _spread(body[:plane_bytes], size, 1)
    if len(body) == plane_bytes:
        return indexes
    both = int.from_bytes(indexes, "little") | int.from_bytes(_spread(body[plane_bytes:], size, 2), "little")
    return both.to_bytes(len(indexes), "little")


def _spread(plane: bytes, size: tuple[int, int], value: int) -> bytes:
    """Return one byte a pixel, `value` where the bit is set."""
    return Image.frombytes("1", size, plane).convert("L").tobytes().translate(_ONE_BIT[:255] + bytes((value,)))


def _packed_indexes(body: bytes, size: tuple[int, int]) -> bytes:
    return b"".join([_PACKED[byte] for byte in body])[: size[0] * size[1]]


def _color_table(table: object) -> dict[str, tuple[int, int, int]]:
    if not isinstance(table, dict) or not 2 <= len(table) <= 16:
        raise BadFrame(f"colortable: {table!r:.80}")
    return {str(name): _rgb(value) for name, value in table.items()}


def _rgb(value: object) -> tuple[int, int, int]:
    if not isinstance(value, list) or len(value) != 3 or not all(type(v) is int and 0 <= v <= 255 for v in value):
        raise BadFrame(f"colour: {value!r:.80}")
    return value[0], value[1], value[2]


def _number(found: dict[str, Any], name: str, low: int, high: int) -> int:
    value = found.get(name)
    if type(value) is not int or not low <= value <= high:
        raise BadFrame(f"{name}: {value!r:.80}, expected {low} to {high}")
    return value


def _version(value: object) -> int:
    """Tag firmware from which an encoding is used: hex text, 0 or nothing = never."""
    if isinstance(value, str) and re.fullmatch(r"(0x)?[0-9A-Fa-f]{1,8}", value):
        return int(value, 16)
    return value if type(value) is int and value > 0 else 0
