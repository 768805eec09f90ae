"""Reads a shop's own code by its template: the product's GTIN, and the price, weight or count in the code.

A UPC-A is read as the EAN-13 that it also is (a zero in front). Not here: how a template is written and checked
(`templates.py`), and which template reads which code (`decode.py`).
"""

from dataclasses import dataclass

from gateway.codes.gtin import check_digit, left_check_digit, verifier_digit
from gateway.codes.measures import mg
from gateway.codes.templates import CodeTemplate
from gateway.errors import ConfigError, Rejected

_RULES = {"gs1": check_digit, "left": left_check_digit}


@dataclass(frozen=True, slots=True)
class Variable:
    """What a shop's own code says. A value of zero says nothing: it is the product's own number."""

    gtin: str
    price_minor: int | None
    weight_mg: int | None
    count: int | None


class Reader:
    """One template, made ready to read by. `minor_digits` are those of the shop's currency."""

    def __init__(self, template: CodeTemplate, minor_digits: int) -> None:
        zero = "0" if len(template.layout) == 12 else ""
        self.prefix = zero + template.prefix
        self._layout = template.layout.replace("P", "P" + zero, 1)
        self.length = len(self._layout)
        self._item = self._run("I")
        self._verified, self._verifier = self._run("V"), self._layout.find("K")
        self._price = self._run("V" if template.field == "price" else "A")
        self._weight = self._run("V" if template.field == "weight" else "W")
        self._count = self._run("V" if template.field == "count" else "-")
        self._price_factor = 10 ** (minor_digits - _price_decimals(template, minor_digits))
        self._weight_unit, self._weight_decimals = template.weight_unit, template.weight_decimals
        self._check = _RULES.get(template.check) if self.length == 18 else None
        self._head, self._tail = self._gtin_around(template.item_gtin)

    def read(self, code: str) -> Variable:
        """Read a code of this template; one of 13 digits was verified as a GTIN before.

        Raises Rejected for a wrong check digit of 18 digits, or a wrong verifier digit.
        """
        self._verify(code)
        body = self._head + code[self._item] + self._tail
        return Variable(
            gtin=body + str(check_digit(body)),
            price_minor=_number(code, self._price) * self._price_factor or None,
            weight_mg=mg(_number(code, self._weight), self._weight_unit, self._weight_decimals) or None,
            count=_number(code, self._count) or None,
        )

    def _verify(self, code: str) -> None:
        if self._check is not None and (right := self._check(code[:-1])) != int(code[-1]):
            raise Rejected(f"check digit is {code[-1]}, should be {right}")
        if self._verifier >= 0:
            right = verifier_digit(code[self._verified])
            if right != int(code[self._verifier]):
                raise Rejected(f"verifier digit of the value is {code[self._verifier]}, should be {right}")

    def _run(self, letter: str) -> slice:
        start = self._layout.find(letter)
        return slice(start, start + self._layout.count(letter))  # no such letter: an empty slice

    def _gtin_around(self, pattern: str | None) -> tuple[str, str]:
        """Return what stands before and after the item number in the first 13 digits of the GTIN."""
        if pattern is None:
            pattern = self._zeroed()
        head, _, tail = pattern.zfill(14)[:-1].partition("I")
        return head, tail.lstrip("I")

    def _zeroed(self) -> str:
        items = "I" * self._layout.count("I")
        if self.length == 18:
            return (self.prefix + items).ljust(12, "0") + "C"
        rest = "".join(letter if letter == "I" else "0" for letter in self._layout[len(self.prefix) : -1])
        return self.prefix + rest + "C"


def _price_decimals(template: CodeTemplate, minor_digits: int) -> int:
    decimals = minor_digits if template.price_decimals is None else template.price_decimals
    if decimals > minor_digits:
        raise ConfigError(
            f"price_decimals = {decimals}: the shop's currency has {minor_digits}; "
            f"a right value is price_decimals = {minor_digits}, or leave it out"
        )
    return decimals


def _number(code: str, place: slice) -> int:
    return int(code[place] or 0)
