"""What tills say and hear: events of a terminal, the price that it is told, and what the gateway keeps of both.

The wire of `drivers/checkout_http.py` is made of these models, and its OpenAPI document is generated from them. Facts
about sales are in `sales.py`. No member of any of them can carry a card number or a person's identity.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SkipValidation

from gateway.messages.kinds import Command, Currency, Gtin, PriceMinor
from gateway.messages.tags import Epc

Terminal = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
BasketId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
EventId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z._:-]+$")]
Version = Annotated[int, Field(ge=0, le=2**53)]
AmountMinor = Annotated[int, Field(ge=-(10**12), le=10**12)]
WeightMg = Annotated[int, Field(ge=-(10**10), le=10**10)]
LineNumber = Annotated[int, Field(ge=1, le=10_000)]
Quantity = Annotated[int, Field(ge=1, le=10_000)]
Text = Annotated[str, Field(max_length=200)]
Scan = Annotated[str, Field(min_length=1, max_length=2048)]
Tender = Literal["cash", "card", "mobile", "voucher", "other"]


class Wire(BaseModel):
    """Base of what travels between till and gateway. JSON rules; unknown members are refused with their name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EventIn(Wire):
    """One event of a terminal. `data` is by `type` (see `EVENT_DATA`); a type that is not known is kept unread."""

    event_id: EventId = Field(description="name of this event, unique for ever; UUIDv7 recommended")
    seq: int = Field(ge=1, le=2**53, description="number of the event at its terminal, +1 each; never reused")
    type: str = Field(pattern=r"^[a-z][a-z0-9_.]{0,39}$", description="for example item.added")
    at: AwareDatetime = Field(description="when it happened by the terminal's clock, RFC 3339 with an offset")
    basket_id: BasketId | None = Field(default=None, description="the shopper's basket, unique at its terminal")
    data: dict[str, Any] = Field(default_factory=dict, description="what the type says more; at most 8 KiB of JSON")


class ItemAdded(Wire):
    """A line of the basket: what was scanned and what is charged for it. `amount_minor` is for all of the line."""

    line: LineNumber
    scan: Scan | None = Field(default=None, description="what the scanner read, unchanged")
    gtin: Gtin | None = Field(default=None, description="14 digits; null when the till could not tell")
    quantity: Quantity = 1
    weight_mg: WeightMg | None = Field(default=None, description="for lines sold by weight")
    unit_price_minor: PriceMinor = Field(description="charged for one piece, or for 1 kg of a weighed line")
    amount_minor: AmountMinor
    discount_minor: AmountMinor = Field(default=0, description="already taken off amount_minor")
    currency: Currency
    price_version: Version | None = Field(default=None, description="as the look-up or the feed gave it")
    from_cache: bool = Field(default=False, description="true: the price came from the till's own cache")
    epcs: tuple[Epc, ...] = Field(
        default=(), strict=False, max_length=100, description="tags of the pieces, upper-case hex, if read"
    )


class ItemVoided(Wire):
    """The line is taken out of the basket."""

    line: LineNumber


class ItemQuantityChanged(Wire):
    """The line has another quantity."""

    line: LineNumber
    quantity: Quantity
    amount_minor: AmountMinor


class ItemRepriced(Wire):
    """The line has another price: open lines are re-priced down at payment."""

    line: LineNumber
    gtin: Gtin | None = None
    unit_price_minor: PriceMinor
    amount_minor: AmountMinor
    price_version: Version | None = None


class ProduceWeighed(Wire):
    """The till's own, verified scale weighed something. Its figure is kept as it is, never rounded or averaged."""

    weight_mg: WeightMg
    stable: bool
    gtin: Gtin | None = None
    scale: Text | None = Field(default=None, description="serial number of the scale")


class BagWeight(Wire):
    """What lies in the bagging area now, in all."""

    weight_mg: WeightMg
    stable: bool = True


class Payment(Wire):
    """Payment started, or succeeded with one tender. Outcomes only: no member takes a card number."""

    amount_minor: AmountMinor
    currency: Currency
    tender: Tender | None = None


class PaymentFailed(Wire):
    """Payment did not succeed."""

    reason: Text


class Why(Wire):
    """Assistance was called for or given, a basket was left; the reason in the till's words."""

    reason: Text | None = None


class TerminalStatus(Wire):
    """How the terminal is."""

    state: Literal["idle", "busy", "attended", "out_of_service"]
    version: Text | None = None
    queue: int | None = Field(default=None, ge=0, le=1000, description="people who wait, if the till can tell")


class Nothing(Wire):
    """No more to say."""


class Region(Wire):
    """An item entered or left a place that a camera or a reader watches."""

    roi: Text
    item: Text
    by: Literal["camera", "rfid"]


EVENT_DATA: dict[str, type[Wire]] = {
    "session.opened": Nothing,
    "session.closed": Nothing,
    "basket.opened": Nothing,
    "item.added": ItemAdded,
    "item.voided": ItemVoided,
    "item.quantity_changed": ItemQuantityChanged,
    "item.repriced": ItemRepriced,
    "produce.weighed": ProduceWeighed,
    "bag.weight": BagWeight,
    "payment.started": Payment,
    "payment.succeeded": Payment,
    "payment.failed": PaymentFailed,
    "basket.closed": Nothing,
    "basket.abandoned": Why,
    "assist.raised": Why,
    "assist.cleared": Why,
    "terminal.status": TerminalStatus,
    "roi.entered": Region,
    "roi.exited": Region,
}


class TenderSum(Wire):
    """What was paid one way; change given is negative."""

    tender: Tender
    amount_minor: AmountMinor


class Outcome(Wire):
    """What became of one event. `conflict`: the same id or number was already used for another event."""

    event_id: str | None
    seq: int | None
    result: Literal["accepted", "duplicate", "conflict", "rejected"]
    reason: str | None = None


class ExpectedWeight(Wire):
    """What one piece of a product weighs, and how sure that is."""

    mean_mg: int
    sd_mg: int
    samples: int


class Restrictions(Wire):
    """What must be looked at before the product is sold."""

    minimum_age: int | None = None
    recalled: bool = False


class PriceAnswer(Wire):
    """The price of a scanned code now. `price_minor` is for one piece, or for 1 kg when `unit` is KG."""

    gtin: Gtin
    name: str | None
    price_minor: PriceMinor
    currency: Currency
    unit: str | None
    amount_minor: AmountMinor = Field(
        description="of what was scanned: equals price_minor, or follows weight and price in the code"
    )
    weight_mg: WeightMg | None = Field(description="from a variable-measure code")
    price_version: Version
    wave: str | None = Field(description="head office's wave behind this price")
    valid_from: AwareDatetime | None
    valid_to: AwareDatetime | None
    label_pending: bool = Field(
        description="true: labels do not agree with the new price yet; this is the lower of the two"
    )
    labels: Literal["proven", "pending", "none"]
    restrictions: Restrictions
    expected_weight: ExpectedWeight | None
    stale: bool = Field(description="true: head office has not been heard for a while; the price is the last one known")
    upstream_age_s: int | None = Field(description="seconds since head office was heard; null: not since the start")


class PriceChange(Wire):
    """One line of the feed: what a product costs from this version on; a null price = it is not for sale."""

    version: Version
    gtin: Gtin
    price_minor: PriceMinor | None
    currency: Currency | None
    name: str | None = None


class Lease(Wire):
    """Leave to sell from one's own cache for `lease_s` seconds, counted from before the request was sent.

    0 = none: apply the feed up to `version`, acknowledge it, and ask again. Until then ask per scan.
    """

    version: Version
    lease_s: int


class BaggingVerdict(Wire):
    """Answer to a bagging check: whether the lines of the basket and the weight in the bagging area agree.

    `z`: how many standard deviations off; `missing_lines`: scanned and not placed; `unexplained_mg`: placed and not
    scanned; `expected`: what one piece of each missing line weighs.
    """

    verdict: Literal["match", "under", "over", "unknown"]
    z: float | None
    tolerance_mg: int
    missing_lines: tuple[int, ...]
    unexplained_mg: int
    expected: tuple[tuple[int, ExpectedWeight], ...]
    reason: str


class ShownPrice(Wire):
    """A face that a label showed or could show. `state`: sent (may be drawn), settled (may be on it), proven."""

    label: str
    price_minor: PriceMinor
    wave: str | None
    via: str
    revision: int
    state: Literal["sent", "settled", "proven"]


class ShelfThen(Wire):
    """What the labels of a product could show, and what its tills could charge, at one instant.

    `basis`: from memory, from the journal, or unknown (the instant is before all that is kept).
    """

    at: AwareDatetime
    gtin: Gtin
    lowest_minor: PriceMinor | None
    charged_minor: PriceMinor | None
    version: Version | None
    wave: str | None
    faces: tuple[ShownPrice, ...]
    basis: Literal["memory", "journal", "unknown"]


class TillEvent(NamedTuple):
    """One event of a terminal, read. `at` is the terminal's time; `digest` names its body; `shelf` is our evidence.

    Made of an `EventIn`, so it is valid already: no model, which would look at it all again.
    """

    at: datetime
    source: str
    terminal: str
    seq: int
    event_id: str
    kind: str
    basket: str | None
    data: dict[str, Any]
    digest: str
    received_at: datetime
    shelf: ShelfThen | None = None


class TillEvents(Command):
    """Events that a terminal sent together, in the order sent. They are answered together, once all are on disk."""

    terminal: Terminal
    events: SkipValidation[tuple[TillEvent, ...]]

    @property
    def weight(self) -> int:
        """Return how many messages this counts for."""
        return len(self.events)


class TillLeased(Command):
    """A terminal that sells from its own cache acknowledges the feed up to `version` and may go on for `lease_s`."""

    terminal: Terminal
    version: Version
    lease_s: int = 900


class TillLeaseOver(Command):
    """The lease of a terminal ran out, by a clock that cannot be set: it charges nothing from its cache. Kept."""

    terminal: Terminal


class PosLine(Wire):
    """One line of an imported transaction. `item` is what the document called it when that is no GTIN."""

    line: int
    kind: Literal["sale", "return"]
    gtin: Gtin | None
    item: str | None
    quantity_thousandths: int
    weight_mg: WeightMg | None
    unit_price_minor: AmountMinor
    amount_minor: AmountMinor
    discount_minor: AmountMinor
    voided: bool


class PosTransaction(Command):
    """One transaction of a POSLog. Its natural key is store, workstation, business day and sequence. Kept once."""

    store: str
    workstation: str
    business_day: date
    sequence: str
    kind: Literal["sale", "return", "void", "other"]
    voids: str | None = None
    currency: Currency
    lines: tuple[PosLine, ...]
    tenders: tuple[TenderSum, ...]
    problems: tuple[str, ...] = ()
