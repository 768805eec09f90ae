"""Facts about shelf labels: what was sent to a glass, and what it was proven to show."""

from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol, Self

from pydantic import AwareDatetime

from gateway.messages.kinds import Currency, Digest, Fact, Gtin, Label, PriceMinor, Reason, Stream


class LabelBound(Fact):
    """A label now stands for a product (null: for none)."""

    type: ClassVar[str] = "label.bound"
    label: Label
    gtin: Gtin | None
    facing: str | None


class _OneFace(Protocol):
    """A face for one label, as a driver is given it or as leave is asked for it."""

    @property
    def label(self) -> str: ...
    @property
    def gtin(self) -> str | None: ...
    @property
    def price_minor(self) -> int | None: ...
    @property
    def currency(self) -> str | None: ...
    @property
    def wave(self) -> str | None: ...
    @property
    def digest(self) -> str: ...
    @property
    def revision(self) -> int: ...


class LabelFact(Fact):
    """What all facts of one face on one label say. A null `gtin` is a face without a price (spare label)."""

    label: Label
    gtin: Gtin | None
    price_minor: PriceMinor | None
    currency: Currency | None
    wave: str | None
    digest: Digest
    revision: int

    @classmethod
    def of(cls, face: _OneFace, at: datetime, source: str, **more: Any) -> Self:  # noqa: ANN401 - its own fields
        """Return the fact of a face, caused by its wave."""
        return cls(
            at=at,
            source=source,
            cause=face.wave,
            label=face.label,
            gtin=face.gtin,
            price_minor=face.price_minor,
            currency=face.currency,
            wave=face.wave,
            digest=face.digest,
            revision=face.revision,
            **more,
        )


class LabelSent(LabelFact):
    """The face may reach the label from now on; committed before the first byte leaves."""

    type: ClassVar[str] = "label.sent"


class LabelStored(LabelFact):
    """The label holds all bytes of the face; its panel has not been proven yet."""

    type: ClassVar[str] = "label.stored"


class LabelShown(LabelFact):
    """Proof: the glass shows this face, and nothing that this access point was given before can still be drawn."""

    type: ClassVar[str] = "label.shown"
    proof: Literal["pixels", "hash", "report"]
    image: str | None = None


class LabelFailed(LabelFact):
    """The face did not come to be proven.

    `outcome`: `never_sent` = no byte of it left us; `settled` = it may have been drawn but can no more be drawn from
    now on; `unsettled` = it may still be drawn later.
    """

    type: ClassVar[str] = "label.failed"
    reason: Reason
    outcome: Literal["never_sent", "settled", "unsettled"]


class FaceRefused(Fact):
    """A face could not be drawn so that it is right: text does not fit, barcode does not read back, a missing glyph."""

    type: ClassVar[str] = "label.refused"
    label: Label
    gtin: Gtin | None
    wave: str | None
    reason: Reason


class LabelHealth(Fact):
    """Radio and battery of one label, at most once an hour or on a change worth telling."""

    type: ClassVar[str] = "label.health"
    stream: ClassVar[Stream] = "telemetry"
    label: Label
    battery_mv: int | None
    rssi_dbm: int | None
    lqi: int | None
    temperature_c: int | None
    last_seen: AwareDatetime | None
