"""EPCs for simulated tags: SGTINs of given products, and the others that a shop really has.

Pure. From the EPC Tag Data Standard 1.13, 14.5.1; only what makes tags: reading EPCs is the gateway's business.
"""

from pathlib import Path
from random import Random

# company prefix digits -> partition, bits of the prefix (SGTIN, table 14-2); the rest of 44 bits is the item reference
_PARTITIONS = {12: (0, 40), 11: (1, 37), 10: (2, 34), 9: (3, 30), 8: (4, 27), 7: (5, 24), 6: (6, 20)}
MOST_GTINS = 1_000_000
PREFIX_DIGITS = 7


def check_digit(digits: str) -> int:
    """Return the GS1 check digit of the digits before it."""
    return -sum(int(digit) * (3, 1)[at % 2] for at, digit in enumerate(reversed(digits))) % 10


def _product(gtin: str, prefix_digits: int) -> int:
    """Return partition, company prefix and item reference as 47 bits."""
    partition, prefix_bits = _PARTITIONS[prefix_digits]
    prefix, item = gtin[1 : 1 + prefix_digits], gtin[0] + gtin[1 + prefix_digits : 13]
    return (partition << prefix_bits | int(prefix)) << 44 - prefix_bits | int(item)


def sgtin96(gtin: str, serial: int, prefix_digits: int = PREFIX_DIGITS) -> bytes:
    """Return the 96 bits of an item of a GTIN-14; serial below 2**38."""
    return ((0x30 << 3 | 1) << 85 | _product(gtin, prefix_digits) << 38 | serial).to_bytes(12, "big")


def sgtin198(gtin: str, serial: str, prefix_digits: int = PREFIX_DIGITS) -> bytes:
    """Return an SGTIN-198 as readers give it: padded with zeros to 208 bits. Serial: up to 20 characters."""
    value = 0
    for character in serial.ljust(20, "\0"):
        value = value << 7 | ord(character)
    return (((0x36 << 3 | 1) << 47 | _product(gtin, prefix_digits)) << 150 | value << 10).to_bytes(26, "big")


def made_gtins(count: int) -> list[str]:
    """Return as many made-up GTIN-14s of one made-up company."""
    bodies = (f"0690123{number:06d}" for number in range(1, count + 1))
    return [body + str(check_digit(body)) for body in bodies]


def read_gtins(path: Path) -> list[str]:
    """Read products from a file, one GTIN of 8 to 14 digits a line, `#` begins a remark. Raises ValueError."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    found = []
    for number, line in enumerate(lines[:MOST_GTINS], 1):
        gtin = line.partition("#")[0].strip()
        if not gtin:
            continue
        if not (gtin.isdecimal() and 8 <= len(gtin) <= 14 and check_digit(gtin[:-1]) == int(gtin[-1])):
            raise ValueError(f"{path}: line {number} is no GTIN: {gtin[:40]!r}")
        found.append(gtin.zfill(14))
    if not found:
        raise ValueError(f"{path}: there is no GTIN in it")
    return found


def item_epc(gtin: str, serial: int, rng: Random, odd_share: float) -> bytes:
    """Return the EPC of one item; a share of them is long, or nothing that GS1 knows."""
    if rng.random() >= odd_share:
        return sgtin96(gtin, serial)
    match serial % 4:
        case 0:
            return sgtin198(gtin, f"A{serial}")
        case 1:
            return bytes.fromhex("e280689400005000") + serial.to_bytes(4, "big")  # a TID in the place of the EPC
        case 2:
            return bytes.fromhex("f7") + rng.randbytes(11) + serial.to_bytes(4, "big")  # 128 bits, TDS 2's SGTIN+
        case _:
            return b"\x00" + rng.randbytes(7) + serial.to_bytes(4, "big")
