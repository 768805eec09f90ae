"""What a face says and for what glass: `Content`, `Panel`, `Style`. Plain values: hashable, picklable, no pixels.

Not here: how it is drawn (`face.py`), where things stand (`face_templates.py`), how money is written (`face_money.py`).
"""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property

from gateway.errors import Refused

RGB = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "red": (255, 0, 0),
    "yellow": (255, 255, 0),
    "orange": (255, 128, 0),
    "blue": (0, 0, 255),
    "green": (0, 255, 0),
}


@dataclass(frozen=True)
class Panel:
    """One kind of glass: pixels as a person sees them, and the palette's colour names in index order."""

    width: int
    height: int
    colors: tuple[str, ...]

    def index(self, *names: str) -> int:
        """Return the palette index of the first of `names` that this glass has."""
        for name in names:
            if name in self.colors:
                return self.colors.index(name)
        raise Refused(f"the panel has no {' or '.join(names)}, only {', '.join(self.colors)}")


@dataclass(frozen=True)
class Content:
    """Everything a face says. Money in minor units of `currency`; a null price makes a spare face."""

    gtin: str | None
    name: str
    price_minor: int | None
    currency: str | None
    unit_price_minor: int | None = None
    unit: str | None = None
    was_minor: int | None = None
    promo: str | None = None
    template: str | None = None
    net_content: str | None = None
    sku: str | None = None
    label: str | None = None

    @cached_property
    def key(self) -> str:
        """Short stable name of all that is said: 16 hex digits, the same in every process and on every day."""
        text = json.dumps([getattr(self, one.name) for one in fields(self)])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Style:
    """How this shop writes: one currency, one first language. Made by `face_money.style_for`."""

    language: str = "en"
    currency: str = "USD"
    symbol: str = "$"
    symbol_after: bool = False
    minor_digits: int = 2
    decimal: str = "."
    group: str = ","
    link_base: str = "https://id.gs1.org"
