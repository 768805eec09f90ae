"""Facts about price waves and what the tills charge."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from gateway.messages.kinds import Currency, Fact, Gtin, PriceMinor, Reason


class WaveAccepted(Fact):
    """All parts of a wave are kept; `lines` good, `refused` bad, `labels` bound to its products.

    A `cancel` says in `supersedes` what it took back.
    """

    type: ClassVar[str] = "price.wave.accepted"
    wave: str
    kind: Literal["change", "cancel"]
    sequence: int
    issuer: str
    effective_at: AwareDatetime
    effective_local: str
    lines: int
    refused: int
    labels: int
    supersedes: str | None = None


class WaveRefused(Fact):
    """A whole wave was not taken."""

    type: ClassVar[str] = "price.wave.refused"
    wave: str | None
    reason: Reason


class LineRefused(Fact):
    """One line of a wave was not taken; the others are."""

    type: ClassVar[str] = "price.line.refused"
    wave: str
    part: int
    line: int
    gtin: str | None
    reason: Reason


class WaveStaged(Fact):
    """Faces are rendered and wait for the instant. `refused` faces could not hold their text or barcode."""

    type: ClassVar[str] = "price.wave.staged"
    wave: str
    faces: int
    refused: int


class WaveEffective(Fact):
    """The instant came: `products` change price, `overtaken` lines gave way to a newer sequence."""

    type: ClassVar[str] = "price.wave.effective"
    wave: str
    products: int
    labels: int
    overtaken: int


class WaveConverged(Fact):
    """Every bound label of the wave is proven to show it."""

    type: ClassVar[str] = "price.wave.converged"
    wave: str
    labels: int
    duration_s: float


class LabelException(BaseModel):
    """One label that does not show what it should."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    label: str
    gtin: str
    facing: str | None
    reason: Reason


class WaveExceptions(Fact):
    """After the deadline these labels (at most 200 named) still do not show the wave."""

    type: ClassVar[str] = "price.wave.exceptions"
    wave: str
    shown: int
    labels: int
    exceptions: tuple[LabelException, ...]


class PriceCharged(Fact):
    """From now on the tills may charge this price; a null price = the product has none.

    `version` counts the changes of this gateway: a till that sells from its own cache acknowledges by it.
    """

    type: ClassVar[str] = "price.charged"
    gtin: Gtin
    price_minor: PriceMinor | None
    currency: Currency | None
    wave: str | None
    reason: Literal["fall", "proven", "forced", "unbound"]
    version: int = 0
