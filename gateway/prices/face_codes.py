"""Bar codes and QR codes as exact bitmaps, proven readable before they may stand on a face.

Every symbol is drawn once per (text, module size, height) as a bitmap with its quiet zones, and zxing-cpp must read
that bitmap back. Drawing is deterministic, and a face pastes the proven bitmap, quiet zones included, untouched into a
box that nothing else may enter. So one read-back (0.1 ms) proves the symbol on every face that carries it, and a face
with the same product but a new price costs none.
Not here: which symbol stands where (`face_templates.py`), the tables of bars (`face_bars.py`).
"""

from functools import lru_cache
from typing import Any, NamedTuple

import segno
import zxingcpp
from PIL import Image
from segno import consts

from gateway.errors import Refused
from gateway.prices.face_bars import code_128, ean_8, ean_13, gs1_128

QR_QUIET = 4  # ISO/IEC 18004, 6.3.8: four modules on each side
QR_MODULE_PX = 2  # below this a phone does not read it from the glass
BARS_MIN_PX = 8  # lower bars cannot be hit with a scanner
_KEPT = 8192  # symbols of each kind in memory, a kilobyte for a QR code
_READ_AS = {
    "ean13": (zxingcpp.BarcodeFormat.EAN13, zxingcpp.BarcodeFormat.UPCA),
    "ean8": (zxingcpp.BarcodeFormat.EAN8,),
    "code128": (zxingcpp.BarcodeFormat.Code128,),
    "qr": (zxingcpp.BarcodeFormat.QRCode,),
}


class Symbol(NamedTuple):
    """A proven symbol, kept small (a byte a module: 1 = ink), so that all products of a shop can stay in memory."""

    modules: bytes
    modules_wide: int
    width: int
    height: int
    text: str

    def image(self, ink: int, paper: int) -> Image.Image:
        """Return the bitmap as proven, quiet zones inside, in two palette indices: mode "L"."""
        cells = self.modules if (paper, ink) == (0, 1) else self.modules.translate(bytes([paper, ink]) + bytes(254))
        size = (self.modules_wide, len(cells) // self.modules_wide)
        small = Image.frombuffer("L", size, cells, "raw", "L", 0, 1)
        return small.resize((self.width, self.height), Image.Resampling.NEAREST)


@lru_cache(maxsize=_KEPT)
def product_bars(gtin: str, width: int, height: int) -> Symbol:
    """Return the bar code of a 14-digit GTIN, as wide as whole modules allow. Raises Refused when it can't be read.

    GTIN-13 and GTIN-12 give EAN-13 (a UPC-A symbol is an EAN-13 symbol with a leading zero), GTIN-8 gives EAN-8, a
    GTIN-14 of a trade unit GS1-128.
    """
    if gtin.startswith("000000"):
        return _bars("ean8", gtin[6:], ean_8(gtin[6:]), width, height)
    if gtin.startswith("0"):
        return _bars("ean13", gtin[1:], ean_13(gtin[1:]), width, height)
    return _bars("code128", "01" + gtin, gs1_128("01" + gtin), width, height)


@lru_cache(maxsize=_KEPT)
def label_bars(text: str, width: int, height: int) -> Symbol:
    """Return a label's id for a technician's scanner: Code 128, or a QR code where the box is too narrow for bars."""
    modules = code_128(text)
    if len(modules) <= width:
        return _bars("code128", text, modules, width, height)
    return qr(text, width, height)


def _bars(kind: str, text: str, modules: str, width: int, height: int) -> Symbol:
    module_px = width // len(modules)
    if module_px < 1 or height < BARS_MIN_PX:
        raise Refused(
            f"bar code {text} needs {len(modules)} x {BARS_MIN_PX} pixels or more, its box has {width} x {height}"
        )
    symbol = Symbol(modules.encode().translate(_CELLS), len(modules), len(modules) * module_px, height, text)
    _prove(kind, symbol)
    return symbol


_CELLS = bytes(code == ord("1") for code in range(256))


def link_qr(base: str, gtin: str, width: int, height: int) -> Symbol:
    """Return the GS1 Digital Link of a product (`<base>/01/<GTIN-14>`) as a QR code."""
    return qr(f"{base}/01/{gtin}", width, height)


@lru_cache(maxsize=_KEPT)
def qr(text: str, width: int, height: int) -> Symbol:
    """Return `text` as a QR code of whole modules, at least 2 pixels each.

    The data mask is fixed, not chosen by ISO/IEC 18004 7.8.3 (which is meant for dirty print and takes five times
    as long); the read-back decides, and only when it fails another mask is tried.
    """
    for mask in range(8):
        matrix = segno.make_qr(_segments(text), error="L", boost_error=False, mask=mask).matrix
        modules = len(matrix) + 2 * QR_QUIET
        side = min(width, height) // modules * modules
        if side < modules * QR_MODULE_PX:
            raise Refused(f"QR code {text!r} needs {modules * QR_MODULE_PX} pixels, its box has {width} x {height}")
        symbol = Symbol(_with_quiet_zone(matrix), modules, side, side, text)
        try:
            _prove("qr", symbol)
        except Refused:
            continue
        return symbol
    raise Refused(f"QR code {text!r} does not read back")


def _segments(text: str) -> Any:  # noqa: ANN401 - segno takes segments, its type hints don't say so
    """Write a link's last 14 digits in numeric mode: 25 modules where plain bytes need 29."""
    head, tail = text[:-14], text[-14:]
    if head and tail.isdecimal() and tail.isascii():
        return [(head, consts.MODE_BYTE), (tail, consts.MODE_NUMERIC)]
    return text


def _with_quiet_zone(matrix: tuple[bytearray, ...]) -> bytes:
    side, edge = len(matrix) + 2 * QR_QUIET, bytes(QR_QUIET)
    blank = bytes(side * QR_QUIET)
    return blank + b"".join(edge + bytes(row) + edge for row in matrix) + blank


def _prove(kind: str, symbol: Symbol) -> None:
    found = read_codes(symbol.image(ink=0, paper=255), kind)
    if not was_read(symbol.text, found):
        raise Refused(f"bar code {symbol.text} does not read back (got {found or 'nothing'})")


def shown_digits(gtin: str) -> str:
    """Return a GTIN as people know it: with the 8, 12, 13 or 14 digits that it was given as."""
    padding = next((zeros for zeros in (6, 2, 1) if gtin.startswith("0" * zeros)), 0)
    return gtin[padding:]


def was_read(text: str, found: list[str]) -> bool:
    """Return whether a symbol's text is among those read; a reader may give EAN-13 with leading zero as UPC-A."""
    return text in found or (text.startswith("0") and text[1:] in found)


def read_codes(image: Image.Image, kind: str | None = None) -> list[str]:
    """Return the texts of all symbols that zxing-cpp finds (`kind` narrows the search; GS1 text without brackets)."""
    wanted = [f for known, formats in _READ_AS.items() if kind in (None, known) for f in formats]
    results = zxingcpp.read_barcodes(
        image,
        formats=zxingcpp.BarcodeFormats(wanted),
        try_rotate=False,
        try_downscale=False,
        try_invert=False,
        text_mode=zxingcpp.TextMode.Plain,
    )
    return [result.text.lstrip("\x1d") for result in results]
