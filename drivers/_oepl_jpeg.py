"""A face as the JPEG that an OpenEPaperLink access point turns back into exactly these pixels.

Pure. The access point takes nothing but a baseline JPEG of the native size and maps each pixel to the nearest colour of
the tag type; full chroma (4:4:4) and no dithering bring every pixel back. Each file is decoded again before it leaves:
when a pixel strays too far, the quality goes up. Next: `_oepl_tagtype.py` for the way back.
"""

import io

from PIL import Image, ImageChops

from drivers._oepl_tagtype import TagType
from gateway.errors import Rejected

QUALITIES = (80, 90, 95, 100)  # 80 came back exact in all measured faces; the others are for the unmeasured
# The access point first cuts a pixel to RGB565, or to RGB332 on small boards: up to 32 in red and green (blue has its
# steps at 64, its middle is exact). What is left of half the distance of two palette colours may be JPEG noise.
CUT = 37


def tag_indexes(pixels: bytes, colors: tuple[str, ...], kind: TagType) -> bytes:
    """Return `pixels` (indexes into `colors`) as indexes into the tag's palette. Raises Rejected for other colours."""
    used = range(len(colors))
    if pixels.translate(None, bytes(used)):
        raise Rejected(f"pixels use colours beyond the {len(colors)} named")
    if colors == kind.colors[: len(colors)]:
        return pixels
    table = bytearray(256)
    for index in used:
        if colors[index] in kind.colors:
            table[index] = kind.colors.index(colors[index])
        elif index in pixels:
            raise Rejected(f"{kind.name} has no {colors[index]}, only {', '.join(kind.colors)}")
    return pixels.translate(bytes(table))


def encode_jpeg(indexes: bytes, kind: TagType) -> bytes:
    """Return a JPEG that comes back as `indexes`. Raises Rejected when no quality does (never seen)."""
    picture = _picture(indexes, kind)
    limit = _noise_limit(kind)
    for quality in QUALITIES:
        jpeg = _saved(picture, quality)
        if _noise(jpeg, picture) <= limit:
            return jpeg
    raise Rejected(f"no JPEG quality brings this face back within {limit} steps a channel")


def _picture(indexes: bytes, kind: TagType) -> Image.Image:
    image = Image.frombytes("P", (kind.width, kind.height), indexes)
    image.putpalette([channel for rgb in kind.rgb for channel in rgb])
    return image.convert("RGB")


def _saved(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()


def _noise(jpeg: bytes, picture: Image.Image) -> int:
    """Return the widest error of any channel of any pixel."""
    with Image.open(io.BytesIO(jpeg)) as back:
        difference = ImageChops.difference(back, picture)
    return max(int(high) for _, high in difference.getextrema())  # type: ignore[misc]


def _noise_limit(kind: TagType) -> int:
    """Half of the smallest distance of two colours in a channel where they differ, less what the access point cuts."""
    gaps = [abs(a - b) for one in kind.rgb for other in kind.rgb for a, b in zip(one, other, strict=True) if a != b]
    return max(8, min(gaps, default=255) // 2 - CUT)
