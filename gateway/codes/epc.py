"""EPC of an RFID tag (hex) -> GS1 key, serial, URN and Digital Link, by GS1's EPC Tag Data Standard (TDS) 2.3.

Decoded are the coding schemes of goods, boxes, places, returnable and other assets: SGTIN, SSCC, SGLN, GRAI, GIAI, each
of 96 bits and longer. Those of TDS 2 (headers E6 to FD) are named and kept as hex. Integers only; no text makes an
exception. Not here: who caches, and what an EPC means to the shop, where one that cannot be decoded is as good.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from gateway.codes.gtin import check_digit
from gateway.errors import Rejected

RESOLVER = "https://id.gs1.org"
MAX_DIGITS = 124  # Gen2: the length in the protocol control word ends at 31 words of 16 bits
# TDS Annex A, table A-1: the characters of serials, and those that a URN writes as percent and two hex digits.
CHARACTERS = frozenset("!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_IN_URN = str.maketrans({letter: f"%{ord(letter):02X}" for letter in '"%&/<>?'})
_IN_LINK = str.maketrans(
    {letter: f"%{ord(letter):02X}" for letter in CHARACTERS if not (letter.isalnum() or letter in "-._")}
)
# TDS 2.3, table 14-1: schemes without a partition, of variable length, with other data behind the EPC.
_PLUS = (
    "cpi gsrn gsrnp sgln gdti grai sgcn itip giai sscc",
    "cpi grai sgln itip gsrn gsrnp gdti sgtin sgcn sscc giai dsgtin",
)
PLUS_SCHEMES = {
    f"{header:02X}": scheme
    for header, scheme in enumerate(
        [*(f"{key}++" for key in _PLUS[0].split()), *(f"{key}+" for key in _PLUS[1].split()), "dsgtin++", "sgtin++"],
        0xE6,
    )
}


class EpcIdentity(NamedTuple):
    """What an EPC says. `gtin` (14 digits) and `serial` are None where the scheme has none.

    `key` is the GS1 key without application identifier: GTIN, SSCC, GLN, GRAI (13 digits and serial) or GIAI. Of a
    scheme with + only that is known: `key` is the hex, `uri` is `urn:epc:raw:`, and there is no Digital Link.
    """

    scheme: str
    gtin: str | None
    serial: str | None
    uri: str
    key: str
    digital_link: str | None


class _Split(NamedTuple):
    """One partition: where company prefix, reference and serial stand, and the limits of the first two."""

    digits: int  # of the company prefix
    shift: int
    mask: int
    limit: int
    reference_shift: int
    reference_mask: int
    reference_limit: int
    form: str  # of both as one number: a reference may have no digit at all
    serial_bits: int
    serial_mask: int
    letters: int  # of a serial that is text


_Serial = tuple[str, str, str]  # as it is, as a URN writes it, as a Digital Link does


class _Coding(NamedTuple):
    """One binary coding scheme: its splits by partition, how a serial is read and how the EPC is named."""

    bits: int
    splits: tuple[_Split, ...]
    serial: Callable[[int, _Split], _Serial | None]
    name: Callable[[str, int, _Serial], EpcIdentity]


def decode(epc_hex: str) -> EpcIdentity | None:
    """Decode an EPC, hex of either case; zeros may follow it, as readers fill up 198 bits to 208.

    Returns None for what is no EPC of these schemes: not hex, an odd number of digits, a partition or a number out of
    range, another character in a serial, other bits behind the end. Never raises.
    """
    value, header = _number(epc_hex), epc_hex[:2].upper()
    coding = _CODINGS.get(header)
    if value is None or coding is None:
        return None if value is None or header not in PLUS_SCHEMES else _plus(PLUS_SCHEMES[header], epc_hex)
    surplus = 4 * len(epc_hex) - coding.bits
    if surplus < 0 or value & ((1 << surplus) - 1):
        return None
    value >>= surplus
    partition = value >> (coding.bits - 14) & 7  # behind 8 bits of header and 3 of filter
    return None if partition == 7 else _read(coding, coding.splits[partition], value)


@lru_cache(maxsize=20_000)
def gtin_of(epc_hex: str) -> str | None:
    """Return the product of an item, None when its EPC tells none. Remembers the newest."""
    identity = decode(epc_hex)
    return None if identity is None else identity.gtin


def raw_uri(epc_hex: str) -> str:
    """Return the URN of an EPC as bits (TDS 12), which any EPC has. Takes an even number of hex digits."""
    return f"urn:epc:raw:{4 * len(epc_hex)}.x{epc_hex.upper()}"


def encode_sgtin96(gtin: str, company_prefix_length: int, serial: int, filter_value: int = 1) -> str:
    """Encode an SGTIN of 96 bits (TDS 14.6.1) as 24 hex digits. `filter_value` 1 = an item of a point of sale.

    Raises Rejected for a GTIN that has not 14 digits or a wrong check digit, and for what 96 bits cannot say.
    """
    if not (len(gtin) == 14 and gtin.isascii() and gtin.isdigit() and int(gtin[13]) == check_digit(gtin[:13])):
        raise Rejected("a GTIN has 14 digits, the last of them right")
    if not (6 <= company_prefix_length <= 12 and 0 <= serial < 1 << 38 and 0 <= filter_value < 8):
        raise Rejected("SGTIN-96: a company prefix has 6 to 12 digits, a serial is below 2^38, a filter 0 to 7")
    partition, end = 12 - company_prefix_length, 1 + company_prefix_length
    split = _CODINGS["30"].splits[partition]
    value = 0x30 << 88 | filter_value << 85 | partition << 82 | serial
    value |= int(gtin[1:end]) << split.shift | int(gtin[0] + gtin[end:13]) << split.reference_shift
    return f"{value:024X}"


def _number(epc_hex: str) -> int | None:
    if len(epc_hex) & 1 or len(epc_hex) > MAX_DIGITS or not (epc_hex.isascii() and epc_hex.isalnum()):
        return None  # int() would take signs, underscores, spaces and the digits of other scripts
    try:
        return int(epc_hex, 16)
    except ValueError:
        return None


def _plus(scheme: str, epc_hex: str) -> EpcIdentity:
    return EpcIdentity(scheme, None, None, raw_uri(epc_hex), epc_hex.upper(), None)


def _read(coding: _Coding, split: _Split, value: int) -> EpcIdentity | None:
    company = value >> split.shift & split.mask
    reference = value >> split.reference_shift & split.reference_mask
    if company >= split.limit or reference >= split.reference_limit:
        return None
    serial = coding.serial(value & split.serial_mask, split)
    if serial is None:
        return None
    return coding.name(split.form % (company * split.reference_limit + reference), split.digits, serial)


def _integer(value: int, _split: _Split) -> _Serial:
    text = str(value)
    return text, text, text


def _zeros(value: int, _split: _Split) -> _Serial | None:
    return None if value else ("", "", "")


def _text(value: int, split: _Split) -> _Serial | None:
    """Read characters of 7 bits; zeros fill the field up (TDS 14.4.2, 14.4.5)."""
    left, letters = split.serial_bits, bytearray()
    while left >= 7 and value:
        left -= 7
        letters.append(value >> left)
        value &= (1 << left) - 1
    text = letters.decode("ascii")
    if value or not 0 < len(text) <= split.letters or not CHARACTERS.issuperset(text):
        return None
    return text, text.translate(_IN_URN), text.translate(_IN_LINK)


def _sgtin(digits: str, prefix: int, serial: _Serial) -> EpcIdentity:
    gtin = _with_first(digits, prefix)
    uri = f"urn:epc:id:sgtin:{digits[:prefix]}.{digits[prefix:]}.{serial[1]}"
    return EpcIdentity("sgtin", gtin, serial[0], uri, gtin, f"{RESOLVER}/01/{gtin}/21/{serial[2]}")


def _sscc(digits: str, prefix: int, _serial: _Serial) -> EpcIdentity:
    key, uri = _with_first(digits, prefix), f"urn:epc:id:sscc:{digits[:prefix]}.{digits[prefix:]}"
    return EpcIdentity("sscc", None, None, uri, key, f"{RESOLVER}/00/{key}")


def _grai(digits: str, prefix: int, serial: _Serial) -> EpcIdentity:
    uri = f"urn:epc:id:grai:{digits[:prefix]}.{digits[prefix:]}.{serial[1]}"
    asset = f"{digits}{check_digit(digits)}"
    link = f"{RESOLVER}/8003/0{asset}{serial[2]}"
    return EpcIdentity("grai", None, serial[0], uri, asset + serial[0], link)


def _giai(digits: str, _prefix: int, serial: _Serial) -> EpcIdentity:
    uri, link = f"urn:epc:id:giai:{digits}.{serial[1]}", f"{RESOLVER}/8004/{digits}{serial[2]}"
    return EpcIdentity("giai", None, serial[0], uri, digits + serial[0], link)


def _sgln(digits: str, prefix: int, extension: _Serial) -> EpcIdentity:
    """Name a place. The extension "0" stands for none (TDS 6.3.3)."""
    uri = f"urn:epc:id:sgln:{digits[:prefix]}.{digits[prefix:]}.{extension[1]}"
    gln = f"{digits}{check_digit(digits)}"
    link = f"{RESOLVER}/414/{gln}"
    if extension[0] == "0":
        return EpcIdentity("sgln", None, None, uri, gln, link)
    return EpcIdentity("sgln", None, extension[0], uri, gln, f"{link}/254/{extension[2]}")


def _with_first(digits: str, prefix: int) -> str:
    """Return the key in which the reference's first digit (indicator, extension) comes before the company prefix."""
    body = digits[prefix] + digits[:prefix] + digits[prefix + 1 :]
    return f"{body}{check_digit(body)}"


def _split(digits: int, bits: int, more_digits: int, more_bits: int, serial_bits: int, letters: int = 0) -> _Split:
    return _Split(
        digits,
        more_bits + serial_bits,
        (1 << bits) - 1,
        10**digits,
        serial_bits,
        (1 << more_bits) - 1,
        10**more_digits,
        f"%0{digits + more_digits}d",
        serial_bits,
        (1 << serial_bits) - 1,
        letters,
    )


def _splits(both_digits: int, both_bits: int, serial_bits: int, letters: int = 0) -> tuple[_Split, ...]:
    """Return the seven splits of one length of company prefix and reference together; the serial has its own."""
    return tuple(
        _split(digits, bits, both_digits - digits, both_bits - bits, serial_bits, letters) for digits, bits in _PREFIXES
    )


def _asset_splits(both_bits: int) -> tuple[_Split, ...]:
    """Return those of GIAI: no reference, and a serial that fills the rest; at most 30 characters in all."""
    return tuple(_split(digits, bits, 0, 0, both_bits - bits, 30 - digits) for digits, bits in _PREFIXES)


_PREFIXES = tuple(zip(range(12, 5, -1), (40, 37, 34, 30, 27, 24, 20), strict=True))  # digits and bits, by partition
_CODINGS = {
    "30": _Coding(96, _splits(13, 44, 38), _integer, _sgtin),
    "31": _Coding(96, _splits(17, 58, 24), _zeros, _sscc),
    "32": _Coding(96, _splits(12, 41, 41), _integer, _sgln),
    "33": _Coding(96, _splits(12, 44, 38), _integer, _grai),
    "34": _Coding(96, _asset_splits(82), _integer, _giai),
    "36": _Coding(198, _splits(13, 44, 140, 20), _text, _sgtin),
    "37": _Coding(170, _splits(12, 44, 112, 16), _text, _grai),
    "38": _Coding(202, _asset_splits(188), _text, _giai),
    "39": _Coding(195, _splits(12, 41, 140, 20), _text, _sgln),
}
