"""Orders of head office as they travel, and the commands that they become.

Unknown members are refused, so that a misspelt `expires_at` cannot pass. What tills say is in `tills.py`.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from gateway.messages.kinds import Command, Currency, Digest, Gtin, Label, Order, PriceMinor, Reason


class PriceLine(Order):
    """One price of a wave. Money in minor units. `gtin`'s check digit is verified in `prices/waves.py`."""

    gtin: Gtin
    price_minor: PriceMinor
    currency: Currency
    sku: str | None = None
    unit_price_minor: PriceMinor | None = None
    unit: str | None = Field(default=None, max_length=16)
    was_minor: PriceMinor | None = None
    promo: str | None = Field(default=None, max_length=80)
    template: str | None = Field(default=None, max_length=40)


class Wave(Order):
    """Head of a price wave. A `cancel` names its target in `supersedes`."""

    id: str = Field(min_length=1, max_length=120)
    kind: Literal["change", "cancel"] = "change"
    issued_at: AwareDatetime
    issuer: str = Field(min_length=1, max_length=120)
    sequence: int = Field(ge=0)
    effective_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    supersedes: str | None = None
    parts: int = Field(default=1, ge=1, le=10_000)


class LineRefusal(Order):
    """Why one line was not taken. `line` counts from 0 within its part."""

    line: int
    gtin: str | None
    reason: Reason


class Product(Order):
    """Master data of one product; `name` by language tag."""

    gtin: Gtin
    name: dict[str, str] = Field(min_length=1)
    sku: str | None = None
    unit: str | None = None
    net_content: str | None = None
    weight_mg: int | None = Field(default=None, ge=0)
    category: str | None = None
    minimum_age: int | None = Field(default=None, ge=1, le=99)
    recalled: bool = False


class Binding(Order):
    """Which product a label stands for; `gtin` null = none."""

    label: Label
    gtin: Gtin | None
    facing: str | None = Field(default=None, max_length=80)


class Facing(Order):
    """One place on a shelf."""

    facing: str = Field(min_length=1, max_length=80)
    gtin: Gtin | None = None
    shelf: str | None = None
    position: int | None = None
    quantity: int | None = Field(default=None, ge=0)


class PricePart(Command):
    """One part of a wave, parsed: good lines and refused ones."""

    wave: Wave
    part: int
    lines: tuple[PriceLine, ...]
    refused: tuple[LineRefusal, ...] = ()


class WaveRejected(Command):
    """A wave whose head could not be used."""

    wave: str | None
    reason: Reason


class ProductsUpdate(Command):
    """Master data; `full` replaces all."""

    sequence: int
    full: bool
    products: tuple[Product, ...]


class BindingsUpdate(Command):
    """Label bindings; `full` replaces all."""

    sequence: int
    full: bool
    bindings: tuple[Binding, ...]


class PlanogramUpdate(Command):
    """Places of products; `full` replaces all."""

    sequence: int
    full: bool
    facings: tuple[Facing, ...]


class Request(Command):
    """A command by name (`blink`, `sign_off`, `force`, `refresh` ...) with its arguments."""

    id: str
    name: str
    issuer: str
    issued_at: datetime
    args: dict[str, Any] = Field(default_factory=dict)


class ShowFace(Command):
    """LabelSync asks leave to put a face on a label. `LabelSent` in the answer means: kept, now act."""

    label: Label
    gtin: Gtin | None
    price_minor: PriceMinor | None
    currency: Currency | None
    wave: str | None
    content: str
    digest: Digest
    revision: int


class PriceWanted(Command):
    """The book's price of a product changed (null: it has none any more). For the journal; said by Pricing."""

    gtin: Gtin
    price_minor: PriceMinor | None
    currency: Currency | None
    wave: str | None
