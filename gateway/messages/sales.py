"""Facts about sales, baskets and terminals. What tills say is in `tills.py`; money is never rounded or made up here."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from gateway.messages.kinds import Currency, Fact, Gtin, PriceMinor, Reason, Stream
from gateway.messages.tags import Epc
from gateway.messages.tills import AmountMinor, BasketId, ShelfThen, TenderSum, Terminal, Version, WeightMg


class SaleLine(Fact):
    """One line of a paid basket: what was charged, what the labels showed when it was scanned, the wave behind it.

    `at` is when it was scanned. `pending`: the labels did not all show the charged price yet, by the safe switch.
    `origin`: the till's events, or an imported POSLog. A return has a negative amount. One piece is 1 000 thousandths.
    `epcs`: the tags of the pieces, where the till read them.
    """

    type: ClassVar[str] = "sale.line"
    terminal: Terminal
    basket: BasketId
    line: int
    kind: Literal["sale", "return"] = "sale"
    gtin: Gtin | None
    item: str | None = None
    quantity_thousandths: int
    weight_mg: WeightMg | None
    unit_price_minor: AmountMinor
    amount_minor: AmountMinor
    discount_minor: AmountMinor
    currency: Currency
    price_version: Version | None
    shelf: ShelfThen | None
    wave: str | None
    pending: bool
    origin: Literal["events", "poslog", "rtsf"] = "events"
    epcs: tuple[Epc, ...] = ()


class SaleBasket(Fact):
    """A basket ended. `amount_minor` is the exact sum of its lines; `opened_at` is null: its start was not heard."""

    type: ClassVar[str] = "sale.basket"
    terminal: Terminal
    basket: BasketId
    outcome: Literal["paid", "abandoned", "voided"]
    opened_at: AwareDatetime | None
    closed_at: AwareDatetime
    lines: int
    voided: int
    amount_minor: AmountMinor
    currency: Currency | None
    tenders: tuple[TenderSum, ...]
    origin: Literal["events", "poslog", "rtsf"] = "events"


class PriceMismatch(Fact):
    """A till charged another price than it should have, at the instant of the scan.

    `over`: more than a label showed or could show. `under`: less than the gateway's price and than any label.
    `shelf` is the evidence of both sides; `aisled prove` prints it in full.
    """

    type: ClassVar[str] = "price.mismatch"
    terminal: Terminal
    basket: BasketId | None
    line: int
    gtin: Gtin
    direction: Literal["over", "under"]
    charged_minor: PriceMinor
    shown_minor: PriceMinor | None
    price_version: Version | None
    from_cache: bool
    shelf: ShelfThen


class TillGap(Fact):
    """Events `first_seq` .. `last_seq` of a terminal have not come; what follows was taken without them."""

    type: ClassVar[str] = "till.gap"
    terminal: Terminal
    first_seq: int
    last_seq: int


class ReviewSuggested(Fact):
    """Somebody should look at this basket: what was seen, not who did what. Never an accusation.

    `score` is a log-likelihood ratio in thousandths; `signals` are (name, thousandths, evidence).
    """

    type: ClassVar[str] = "review.suggested"
    terminal: Terminal
    basket: BasketId
    score: int
    signals: tuple[tuple[str, int, str], ...]
    advice: Literal["look", "recount"]


class TerminalMinute(Fact):
    """How one minute of a terminal was used: seconds in use, baskets, lines, people waiting if known."""

    type: ClassVar[str] = "terminal.minute"
    stream: ClassVar[Stream] = "telemetry"
    terminal: Terminal
    busy_s: int
    baskets: int
    abandoned: int
    lines: int
    queue_max: int | None
    wait_s: int | None


class StockChanged(Fact):
    """Stock on hand of a product changed. `on_hand` is null while no count has been told. Weighed goods count in mg."""

    type: ClassVar[str] = "stock.changed"
    gtin: Gtin
    change: int
    on_hand: int | None
    unit: Literal["piece", "mg"]
    reason: Literal["sale", "return", "count", "received"]


class PoslogImported(Fact):
    """A POSLog document was read: what it brought, what was known already, what was refused or not understood."""

    type: ClassVar[str] = "poslog.imported"
    document: str
    transactions: int
    duplicates: int
    lines: int
    refused: int
    unknown: tuple[tuple[str, int], ...]
    first_refusal: Reason | None = None
