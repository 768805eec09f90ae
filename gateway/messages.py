"""Every Reading, Fact and Command: the schema of what flows and of the wire to head office, in one place.

A `Reading` is used once and never stored. A `Fact` is kept and sent upstream as a CloudEvent `aisled.<type>.v1`; `data`
is its fields less `at`, `source`, `id` and `cause`. A `Command` is an order from above: its effect is kept, it is not
sent back.
Not here: how they are stored (`store/`), how they travel (`uplink/`). A type is never changed, only given a `.v2`.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

GATEWAY = "gateway"  # source of what no device said: the gateway itself

Stream = Literal["business", "telemetry"]
Gtin = Annotated[str, Field(pattern=r"^[0-9]{14}$")]
Label = Annotated[str, Field(pattern=r"^[0-9A-F]{16}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PriceMinor = Annotated[int, Field(ge=0, le=10**12)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Reason = Annotated[str, Field(min_length=1)]

_NOT_DATA = {"at", "source", "id", "cause"}


class Message(BaseModel):
    """What flows through the core. `at` is the UTC instant when it happened in the shop, `source` a device id."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", ser_json_timedelta="float")

    at: AwareDatetime
    source: str


class Reading(Message):
    """A sample: used once, never stored."""


class Fact(Message):
    """Something that happened. The store gives an `id` (`<gateway>-<b|t>-<sequence>`) unless the origin has one."""

    type: ClassVar[str]
    stream: ClassVar[Stream] = "business"

    id: str | None = None
    cause: str | None = None

    def data_json(self) -> str:
        """Return the CloudEvents `data` member as JSON text."""
        return self.model_dump_json(exclude=_NOT_DATA)


class Command(Message):
    """An order from above (`source` says by which way it came). Its effect is kept; it is not sent upstream itself."""


# Orders of head office, as they travel: unknown members are refused, so that a misspelt `expires_at` cannot pass.


class Order(BaseModel):
    """Base of the bodies that head office sends. JSON rules: instants are RFC 3339 with an offset."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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


# Readings


class LabelSeen(Reading):
    """A label checked in at access point `source`. `colors` are palette names in index order (white, black, ...)."""

    label: Label
    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)
    colors: tuple[str, ...]
    model: str
    last_seen: AwareDatetime | None
    battery_mv: int | None
    rssi_dbm: int | None
    lqi: int | None
    temperature_c: int | None


class Tick(Reading):
    """Time went on: schedules and deadlines are looked at."""


class LabelLeft(Reading):
    """Nothing that this access point (`source`) was ever given for the label can still be drawn.

    Said of a label that has been silent there for longer than the access point keeps anything for it.
    """

    label: Label


class LabelDoubted(Reading):
    """The label restarted, by what its access point knows, and the driver does not know which face was on its glass.

    Said of faces that were proven before the driver started; of others it says `LabelFailed`. No news for a label that
    was never proven to show anything.
    """

    label: Label
    reason: Reason


# Facts: prices


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
    """From now on the tills may charge this price; a null price = the product has none."""

    type: ClassVar[str] = "price.charged"
    gtin: Gtin
    price_minor: PriceMinor | None
    currency: Currency | None
    wave: str | None
    reason: Literal["fall", "proven", "forced", "unbound"]


# Facts: labels


class LabelBound(Fact):
    """A label now stands for a product (null: for none)."""

    type: ClassVar[str] = "label.bound"
    label: Label
    gtin: Gtin | None
    facing: str | None


class LabelFact(Fact):
    """What all facts of one face on one label say. A null `gtin` is a face without a price (spare label)."""

    label: Label
    gtin: Gtin | None
    price_minor: PriceMinor | None
    currency: Currency | None
    wave: str | None
    digest: Digest
    revision: int


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


# Facts: the rest


class MasterApplied(Fact):
    """Products, bindings or planogram of this sequence are kept."""

    type: ClassVar[str] = "master.applied"
    kind: Literal["products", "bindings", "planogram"]
    sequence: int
    count: int


class MasterRefused(Fact):
    """Master data, or one item of it, was not taken."""

    type: ClassVar[str] = "master.refused"
    kind: Literal["products", "bindings", "planogram"]
    sequence: int | None
    item: str | None
    reason: Reason


class AlarmRaised(Fact):
    """A person should look. `alarm` is stable, so that raise and clear pair up."""

    type: ClassVar[str] = "alarm.raised"
    alarm: str
    text: str
    next_step: str
    subjects: tuple[str, ...] = ()


class AlarmCleared(Fact):
    """The alarm's cause is gone."""

    type: ClassVar[str] = "alarm.cleared"
    alarm: str


class DeviceState(Fact):
    """State of a device (`source`) changed: reason code, evidence, what to do next."""

    type: ClassVar[str] = "device.state"
    state: Literal["unknown", "online", "degraded", "offline", "parked", "stopped"]
    reason: str
    evidence: str
    next_step: str


class CommandDone(Fact):
    """A command of head office or of a technician was carried out."""

    type: ClassVar[str] = "command.done"
    command: str
    name: str
    result: dict[str, Any] = Field(default_factory=dict)


class CommandRefused(Fact):
    """A command was not carried out."""

    type: ClassVar[str] = "command.refused"
    command: str | None
    name: str
    reason: Reason


class AuditEntry(Fact):
    """Who did what: every act of a person that changes a price's safety, a binding or the configuration."""

    type: ClassVar[str] = "audit.entry"
    actor: str
    action: str
    subject: str


class BufferDropped(Fact):
    """Rows left the outbox unsent: `count` of `first_sequence` .. `last_sequence` of `about` will never arrive.

    All of them, or every second one where telemetry was thinned. After damage also numbers that were never used.
    """

    type: ClassVar[str] = "buffer.dropped"
    about: Stream
    count: int
    first_sequence: int
    last_sequence: int
    reason: Reason


class GatewayStarted(Fact):
    """The daemon runs."""

    type: ClassVar[str] = "gateway.started"
    version: str
    clean: bool


class GatewayStopped(Fact):
    """The daemon was asked to stop."""

    type: ClassVar[str] = "gateway.stopped"
    reason: str


class GatewayHealth(Fact):
    """The daemon's own figures, once a minute."""

    type: ClassVar[str] = "gateway.health"
    stream: ClassVar[Stream] = "telemetry"
    unsent_business: int
    unsent_telemetry: int
    buffer_hours_left: float | None
    disk_free_mib: int
    rss_mib: int
    loop_lag_ms: float
    timequality: Literal["synced", "holdover", "unknown"]


class SensorEvent(Fact):
    """One event of a foreign sensor; `data` is the sensor's own JSON object, byte for byte."""

    type: ClassVar[str] = "sensor.event"
    stream: ClassVar[Stream] = "telemetry"
    body: str

    def data_json(self) -> str:
        """Return the sensor's own object, unchanged."""
        return self.body


class SensorEventKept(SensorEvent):
    """The same, for a sensor whose events matter for business (`stream = "business"` in its configuration)."""

    stream: ClassVar[Stream] = "business"


def fact_types() -> dict[str, type[Fact]]:
    """Return every fact type by its name on the wire."""
    found: dict[str, type[Fact]] = {}
    pending = list(Fact.__subclasses__())
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        if hasattr(kind, "type"):
            found.setdefault(kind.type, kind)
    return dict(sorted(found.items()))
