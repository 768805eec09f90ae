"""Which barcode it was: by the scanner's AIM identifier, else by the name that the till sends, else unknown.

The same digits mean different things in different barcodes (eight may be EAN-8 or UPC-E), so this comes first. Not
here: what they mean (`decode.py`).
"""

from enum import Enum

from gateway.errors import Rejected

MAX_CHARS = 2048  # the largest GS1 DataMatrix holds 2 335 characters; goods for sale carry less than 200
GS = "\x1d"  # what a scanner sends for FNC1 between two element strings
MAX_NAME = 64


class Carrier(Enum):
    """What a barcode may hold."""

    EAN = "EAN-13 or UPC"
    EAN_8 = "EAN-8"
    UPC_E = "UPC-E"
    ADD_ON = "EAN-13 with add-on"
    ITF = "ITF-14"
    GS1 = "GS1"
    ANY = "any"


# ISO/IEC 15424 and GS1 General Specifications, 5.1.2. What is not listed may hold anything: its shape decides.
AIM = {
    "E0": Carrier.EAN,
    "E3": Carrier.ADD_ON,
    "E4": Carrier.EAN_8,
    "I0": Carrier.ITF,
    "I1": Carrier.ITF,
    "C1": Carrier.GS1,
    "J1": Carrier.GS1,
    "Q3": Carrier.GS1,
    "d2": Carrier.GS1,
    "e0": Carrier.GS1,
    "e1": Carrier.GS1,
    "e2": Carrier.GS1,
}
# Names that tills and scanner libraries send, without case and punctuation. A QR code or DataMatrix without "GS1" in
# its name may hold anything, and so may DataBar 14: some scanners send it without its (01).
NAMES = {
    "ean13": Carrier.EAN,
    "jan13": Carrier.EAN,
    "upca": Carrier.EAN,
    "ean8": Carrier.EAN_8,
    "jan8": Carrier.EAN_8,
    "upce": Carrier.UPC_E,
    "itf14": Carrier.ITF,
    "gs1128": Carrier.GS1,
    "ean128": Carrier.GS1,
    "ucc128": Carrier.GS1,
    "gs1datamatrix": Carrier.GS1,
    "gs1qr": Carrier.GS1,
    "gs1qrcode": Carrier.GS1,
    "gs1databarexpanded": Carrier.GS1,
    "databarexpanded": Carrier.GS1,
    "rssexpanded": Carrier.GS1,
}


def identify(scan: str, symbology: str | None) -> tuple[Carrier, str]:
    """Return the barcode and what it held, without the AIM identifier. An unknown name is no name.

    Raises Rejected for what no barcode of goods holds: nothing, too much, control characters, letters beyond ASCII.
    """
    if not (0 < len(scan) <= MAX_CHARS and scan.isascii() and scan.isprintable()):
        _refuse_odd_characters(scan)
    if scan[0] == "]" and len(scan) > 3:
        return AIM.get(scan[1:3], Carrier.ANY), scan[3:]
    return Carrier.ANY if symbology is None else _named(symbology), scan


def _named(symbology: str) -> Carrier:
    if symbology.startswith("]"):
        return AIM.get(symbology[1:3], Carrier.ANY)
    name = "".join(filter(str.isalnum, symbology[:MAX_NAME])).lower()
    return NAMES.get(name, Carrier.ANY)


def _refuse_odd_characters(scan: str) -> None:
    if not scan:
        raise Rejected("nothing was read")
    if len(scan) > MAX_CHARS:
        raise Rejected(f"{len(scan)} characters; a code has at most {MAX_CHARS}")
    for place, char in enumerate(scan, 1):
        if not (char.isascii() and char.isprintable()) and char != GS:
            raise Rejected(f"character {place} is U+{ord(char):04X}; a code has printable ASCII and GS (U+001D) only")
