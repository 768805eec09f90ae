"""What a shop's own scales print: one `[[code]]` table for each layout of a code that carries a price or a weight.

A layout names each digit by a letter:

    P  prefix, as in `prefix`             A  price (amount)          K  verifier digit of V (4 or 5 digits, GS1 7.9.2)
    I  item number                        W  weight                  X  a digit that means nothing here
    V  the value that `field` names       C  check digit, the last

    PPIIIIIVVVVVC        EAN-13, prefix 02 or 20 to 29 (China: F W5 E5 C with two flags)
    PIIIIIIVVVVVC        EAN-13 with one flag
    PPIIIIKVVVVVC        EAN-13 with a verifier digit (Germany, Great Britain with four V)
    PIIIIIVVVVVC         UPC-A, number system 2
    PPIIIIIAAAAAWWWWWC   China, 18 digits (some scales print WWWWWAAAAA)

Not here: reading a code by it (`variable.py`), and conflicts between templates (`decode.py`).
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LENGTHS = (12, 13, 18)
GTIN_LENGTHS = (8, 12, 13, 14)


class CodeTemplate(BaseModel):
    """One layout of the shop's own codes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = Field(
        pattern=r"^[0-9]{1,11}$", description="digits that a code of this layout begins with", examples=["21"]
    )
    layout: str = Field(
        pattern=r"^[PIVAWKXC]{12,18}$",
        description="a letter for each of its 12 (UPC-A), 13 (EAN-13) or 18 digits: P prefix, I item, V value, "
        "A price, W weight, K verifier digit of V, X without meaning, C check digit",
        examples=["PPIIIIIVVVVVC"],
    )
    field: Literal["price", "weight", "count"] | None = Field(
        default=None, description="what V is: price of the piece in hand, its weight, or its count", examples=["price"]
    )
    price_decimals: int | None = Field(
        default=None,
        ge=0,
        le=4,
        description="decimals of the price in the code; not set = as many as the shop's currency has",
        examples=[2],
    )
    weight_decimals: int = Field(
        default=3, ge=0, le=6, description="decimals of the weight in the code; 3 of a kg are grams", examples=[3]
    )
    weight_unit: Literal["kg", "lb", "oz"] = Field(
        default="kg", description="unit of the weight before its decimals", examples=["kg"]
    )
    check: Literal["gs1", "left", "none"] = Field(
        default="gs1",
        description="rule of the check digit of 18 digits: gs1 (weights 3, 1 from the right), left (1, 3 from the "
        "left), or none; scales differ, so try one label; shorter codes are always gs1",
        examples=["left"],
    )
    item_gtin: str | None = Field(
        default=None,
        pattern=r"^[0-9]*I+[0-9]*C$",
        description="GTIN of the product, I where its item number goes and C for the check digit; not set = the code "
        "with zeros in the place of its values (18 digits: prefix and item, filled up with zeros to 12)",
        examples=["6901234IIIIIC"],
    )
    allow_any_prefix: bool = Field(
        default=False,
        description="let the prefix lie outside of 02, 04 and 20 to 29, where it hides products of other makers",
        examples=[False],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = list(self._layout_faults()) or list(self._value_faults()) or list(self._item_faults())
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _layout_faults(self) -> Iterator[str]:
        layout, runs = self.layout, [letter for letter, _ in groupby(self.layout) if letter != "X"]
        if len(layout) not in LENGTHS:
            yield f'layout has {len(layout)} letters; a code has 12, 13 or 18 digits, for example "PPIIIIIVVVVVC"'
        if len(runs) != len(set(runs)):
            yield 'layout must keep equal letters together, for example "PPIIIIIVVVVVC"'
        right = "P" * len(self.prefix)
        if not layout.startswith(right) or layout.count("P") != len(right):
            yield f'layout must begin with a P for each digit of prefix = "{self.prefix}", that is "{right}..."'
        if layout.find("C") != len(layout) - 1:
            yield 'layout must end with one C, the check digit, for example "PPIIIIIVVVVVC"'
        if "I" not in layout:
            yield 'layout needs the item number I, for example "PPIIIIIVVVVVC"'

    def _value_faults(self) -> Iterator[str]:
        layout = self.layout
        if not {"V", "A", "W"} & set(layout):
            yield "layout carries no V, A or W; a code without a value is read as a GTIN and needs no [[code]]"
        if ("V" in layout) != (self.field is not None):
            yield 'field says what V is: set field = "price", "weight" or "count" where layout has a V, and only there'
        if (self.field == "price" and "A" in layout) or (self.field == "weight" and "W" in layout):
            yield f'field = "{self.field}" stands in V and in a letter of its own; keep one of them'
        if "K" in layout and (layout.count("K") != 1 or layout.count("V") not in (4, 5)):
            yield 'layout with a verifier digit needs one K and 4 or 5 V, for example "PPIIIIKVVVVVC"; else write X'
        if self.check != "gs1" and len(layout) != 18:
            yield f'check = "{self.check}" is for 18 digits only; leave it out'

    def _item_faults(self) -> Iterator[str]:
        items = self.layout.count("I")
        if self.item_gtin is None:
            if len(self.prefix) + items > 12:
                yield f'item_gtin is needed, for example "{"I" * min(items, 13)}C": prefix and item are longer than 12'
        elif len(self.item_gtin) not in GTIN_LENGTHS:
            yield f'item_gtin has {len(self.item_gtin)} characters, not 8, 12, 13 or 14, for example "02IIIII00000C"'
        elif self.item_gtin.count("I") != items:
            yield f"item_gtin has {self.item_gtin.count('I')} I; layout has {items}; they must be as many"
