"""The table of a shop's codes: one scan in, one product out, or a reason that the till's vendor understands.

The barcode decides first (`carriers.py`), then the shape: the same digits can be several things. A number of a GTIN's
length is the shop's own code if a template reads its prefix, else a GTIN; neither of them goes near the GS1 grammar,
for they are nearly all that a till asks for. Two readings that both hold are refused, never guessed: a wrong product
has a wrong price. Not here: prices, products, and what was scanned before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from gateway.codes import measures
from gateway.codes.carriers import GS, Carrier, identify
from gateway.codes.conflicts import make_readers
from gateway.codes.elements import read_bracketed, read_elements, read_link
from gateway.codes.gtin import gtin_14, upc_a
from gateway.codes.templates import CodeTemplate
from gateway.codes.variable import Reader
from gateway.errors import Rejected

LENGTHS: dict[Carrier, tuple[int, ...]] = {
    Carrier.EAN: (8, 12, 13, 14),  # 8: a UPC-E; an EAN-8 has a name of its own. 14: a till that fills up with zeros
    Carrier.EAN_8: (8,),
    Carrier.UPC_E: (6, 7, 8, 12, 13),  # 12, 13: a scanner that made it long
    Carrier.ADD_ON: (15, 18),  # an EAN-13, and the issue or price of a magazine
    Carrier.ITF: (14, 18),
}

Kind = Literal["gtin", "gs1", "digital_link", "variable"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one scan says. `gtin` has 14 digits; weight in mg, price in minor units, None = the code does not say."""

    gtin: str
    scan: str  # as it was read, at most 2 048 characters
    kind: Kind
    weight_mg: int | None = None
    price_minor: int | None = None
    count: int | None = None
    serial: str | None = None
    batch: str | None = None
    expires: date | None = None


class CodeTable:
    """All codes that a shop reads: GS1's, and its own by `templates`.

    `minor_digits` are those of its currency (2 for CNY, 0 for JPY), `currency` its ISO 4217 number ("156"), by which a
    price with a currency (393n) is known to be its own. Raises ConfigError, a line for each conflict of templates.
    """

    def __init__(
        self, templates: Sequence[CodeTemplate] = (), *, minor_digits: int = 2, currency: str | None = None
    ) -> None:
        self._minor_digits, self._currency = minor_digits, currency
        self._readers: dict[tuple[int, str], list[Reader]] = {}
        for reader in make_readers(templates, minor_digits):
            for head in _heads(reader.prefix):
                self._readers.setdefault((reader.length, head), []).append(reader)

    def decode(self, scan: str, symbology: str | None = None) -> Decoded:
        """Read one scan. `symbology` is the barcode's name or AIM identifier, if the scan does not begin with it.

        Raises Rejected with the reason, in which the scan itself does not stand: it may be a customer's card.
        """
        carrier, text = identify(scan, symbology)
        if carrier is Carrier.ANY:
            return self._by_shape(text, scan)
        if carrier is Carrier.GS1:
            return self._link(text, scan) if _is_link(text) else self._gs1(read_elements(text), scan, "gs1")
        return self._digits(carrier, text, scan)

    def _by_shape(self, text: str, scan: str) -> Decoded:
        if text.isdigit() and len(text) <= 14:
            return self._short(text, scan)
        if text[0] in "([":
            return self._gs1(read_bracketed(text), scan, "gs1")
        if _is_link(text):
            return self._link(text, scan)
        if len(text) == 18 and text.isdigit() and not (text.startswith("01") and self._reader(text) is None):
            return self._eighteen(text, scan)
        if GS in text or (text.startswith("01") and len(text) >= 16):
            return self._gs1(read_elements(text), scan, "gs1")
        raise Rejected(_shapeless(text))

    def _digits(self, carrier: Carrier, text: str, scan: str) -> Decoded:
        lengths = LENGTHS[carrier]
        if not (text.isdigit() and len(text) in lengths):
            wanted = ", ".join(map(str, lengths))
            raise Rejected(f"{carrier.value} has {wanted} digits; {len(text)} characters were read")
        if carrier is Carrier.ITF and len(text) == 18:
            return self._eighteen(text, scan)
        if carrier is Carrier.ADD_ON:
            text = text[:13]
        elif len(text) <= 8 and carrier is not Carrier.EAN_8:
            text = upc_a(text)
        return self._number(text, scan)

    def _short(self, text: str, scan: str) -> Decoded:
        if len(text) not in (8, 12, 13, 14):
            raise Rejected(_shapeless(text))
        if len(text) == 8 and text[0] in "01" and _holds(upc_a(text)):
            if _holds(text):
                raise Rejected("may be EAN-8 or UPC-E, both check digits are right; send the symbology")
            text = upc_a(text)
        return self._number(text, scan)

    def _eighteen(self, code: str, scan: str) -> Decoded:
        reader = self._reader(code)
        if reader is None:
            raise Rejected(f"18 digits, and no [[code]] of that length begins with {code[:2]}")
        return _variable(reader, code, scan)

    def _number(self, digits: str, scan: str) -> Decoded:
        gtin = gtin_14(digits)
        reader = self._reader(gtin[1:]) if gtin[0] == "0" and len(digits) != 8 else None
        return Decoded(gtin, scan, "gtin") if reader is None else _variable(reader, gtin[1:], scan)

    def _link(self, text: str, scan: str) -> Decoded:
        return self._gs1(read_link(text), scan, "digital_link")

    def _gs1(self, found: dict[str, str], scan: str, kind: Kind) -> Decoded:
        if "01" not in found:
            raise Rejected("names no product: application identifier (01) is missing")
        number = self._number(found["01"], scan)  # a shop's own code stays one, in whatever barcode it stands
        price_minor = measures.price_minor(found, self._minor_digits, self._currency)
        return Decoded(
            number.gtin,
            scan,
            kind,
            weight_mg=measures.weight_mg(found) or number.weight_mg,
            price_minor=price_minor or number.price_minor,
            count=measures.count(found) or number.count,
            serial=found.get("21"),
            batch=found.get("10"),
            expires=measures.expires(found),
        )

    def _reader(self, code: str) -> Reader | None:
        readers = self._readers.get((len(code), code[:2]), ())
        return next((reader for reader in readers if code.startswith(reader.prefix)), None)


def _variable(reader: Reader, code: str, scan: str) -> Decoded:
    said = reader.read(code)
    return Decoded(said.gtin, scan, "variable", said.weight_mg, said.price_minor, said.count)


def _holds(digits: str) -> bool:
    try:
        gtin_14(digits)
    except Rejected:
        return False
    return True


def _is_link(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def _shapeless(text: str) -> str:
    if text.isdigit():
        return f"{len(text)} digits; a GTIN has 8, 12, 13 or 14"
    return "neither a GTIN, nor GS1 element strings (with ]C1, GS, brackets or (01) first), nor a Digital Link"


def _heads(prefix: str) -> list[str]:
    return [prefix[:2]] if len(prefix) > 1 else [f"{prefix}{digit}" for digit in range(10)]
