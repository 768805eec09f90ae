"""Tag types of the simulated access point: panel geometry, colours and encoding, as `GET /tagtypes/XX.json` tells them.

Numbers follow the field (what a client meets in a shop); 0xF0 and above are made up, so that every panel size comes in
every colour set. Not here: the encoding itself (`_ap_image.py`). Where to look next: `_ap_tag.py`.
"""

import json
from dataclasses import dataclass

WHITE, BLACK, RED, YELLOW = (255, 255, 255), (0, 0, 0), (255, 0, 0), (255, 255, 0)
RGB = {"white": WHITE, "black": BLACK, "red": RED, "yellow": YELLOW}
PACKED_2BIT = 5  # a `bpp` of 5 means: palette indices, four pixels a byte
ZLIB_FROM = 0x27  # tag firmware from which zlib is used, where a type has it
NEVER = 0xFFFF

BW, BWR, BWY = ("white", "black"), ("white", "black", "red"), ("white", "black", "yellow")
BWRY = ("white", "black", "red", "yellow")


@dataclass(frozen=True)
class TagType:
    """One kind of tag. `rotatebuffer` is the quarter turns between the picture and the panel's memory."""

    number: int
    name: str
    width: int
    height: int
    colors: tuple[str, ...]
    rotatebuffer: int = 0
    bpp: int = 2
    zlib_from: int = NEVER
    refresh_s: float = 15.0  # from stored to shown: about 2 s for black and white, 15-30 s with a colour
    led: bool = True

    @property
    def memory_size(self) -> tuple[int, int]:
        """Width and height of the panel's memory, in pixels."""
        return (self.height, self.width) if self.rotatebuffer % 2 else (self.width, self.height)

    @property
    def palette(self) -> tuple[tuple[int, int, int], ...]:
        """RGB by palette index."""
        return tuple(RGB[name] for name in self.colors)

    def as_json(self) -> bytes:
        """Return the file that the access point serves for this type."""
        table = {name: list(RGB[name]) for name in self.colors}
        body: dict[str, object] = {
            "version": 1,
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "rotatebuffer": self.rotatebuffer,
            "bpp": self.bpp,
            "colortable": table,
            "shortlut": 0,
            "options": ["button", "led"] if self.led else ["button"],
            "contentids": [22, 1, 4, 19, 20],
        }
        if self.zlib_from != NEVER:
            body["zlib_compression"] = f"{self.zlib_from:X}"
        return json.dumps(body).encode()


def _bw(number: int, size: tuple[int, int], turn: int, zlib_from: int = NEVER) -> TagType:
    name = f"{size[0]}x{size[1]} BW"
    return TagType(number, name, *size, BW, turn, bpp=1, zlib_from=zlib_from, refresh_s=2.0)


def _color(number: int, size: tuple[int, int], colors: tuple[str, ...], turn: int, zlib_from: int = NEVER) -> TagType:
    name = f"{size[0]}x{size[1]} {''.join(color[0] for color in colors).upper().replace('WB', 'BW', 1)}"
    return TagType(number, name, *size, colors, turn, zlib_from=zlib_from)


_ALL = (
    _color(0x00, (152, 152), BWR, 0),
    _color(0x01, (296, 128), BWR, 1),
    _color(0x02, (400, 300), BWR, 0),
    _color(0x03, (212, 104), BWR, 1),
    _color(0x07, (296, 128), BWRY, 3),
    _color(0x08, (400, 300), BWR, 2),
    _bw(0x21, (296, 128), 1),
    _color(0x34, (400, 300), BWR, 0, ZLIB_FROM),
    _color(0x36, (800, 480), BWR, 0, ZLIB_FROM),
    _color(0x3C, (400, 300), BWY, 0, ZLIB_FROM),
    _color(0x4C, (800, 480), BWRY, 0, ZLIB_FROM),
    _bw(0x5A, (212, 104), 1, ZLIB_FROM),
    _color(0x66, (800, 480), BWY, 2, ZLIB_FROM),
    _color(0x6E, (296, 128), BWRY, 1, ZLIB_FROM),
    _color(0x90, (400, 300), BWRY, 0, ZLIB_FROM),
    TagType(0xBB, "296x128 packed", 296, 128, ("black", "white", "yellow", "red"), 1, bpp=PACKED_2BIT, led=False),
    _bw(0xF0, (152, 152), 0),
    _color(0xF1, (152, 152), BWRY, 0),
    _color(0xF2, (212, 104), BWRY, 1),
    _bw(0xF3, (400, 300), 0, ZLIB_FROM),
    _bw(0xF4, (800, 480), 0, ZLIB_FROM),
)

TAG_TYPES: dict[int, TagType] = {kind.number: kind for kind in _ALL}
