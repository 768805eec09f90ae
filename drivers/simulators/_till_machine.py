"""One till without its network: what a shopper does becomes lines, events and ground truth. Pure.

Prices come in as `Quote`s; asking for them, waiting and sending is `_till_lane.py`. Time and chance are handed in, so
the same shoppers at the same times give the same events, to the last letter.
"""

from random import Random
from typing import Any

from drivers.simulators._till_basket import Basket, Line, Quote
from drivers.simulators._till_clock import TillClock, uuid7
from drivers.simulators._till_log import Event, EventLog
from drivers.simulators._till_truth import Ledger


class OutOfTurn(ValueError):
    """A script asked for something that this till cannot do now, such as paying without a basket."""


class TillMachine:
    """One till: its basket, its event log, and the ledger of what its shoppers paid."""

    def __init__(self, terminal: str, clock: TillClock, rng: Random, log: EventLog, ledger: Ledger) -> None:
        self.terminal = terminal
        self.clock = clock
        self.log = log
        self.basket: Basket | None = None
        self._rng = rng
        self._ledger = ledger

    # a basket from end to end

    def open(self) -> None:
        """Begin a basket."""
        if self.basket is not None:
            raise OutOfTurn(f"{self.terminal}: the basket before is still open")
        self._say("session.opened")
        self.basket = Basket(f"b-{uuid7(self.clock.wall(), self._rng)}")
        self._say("basket.opened")

    def scan(
        self, scan: str, quote: Quote, *, quantity: int = 1, weight_mg: int | None = None, returned: bool = False
    ) -> Line:
        """Add a line at the price that was quoted. `weight_mg` is what the till's own scale says."""
        basket = self._open_basket()
        if weight_mg is not None:
            self._say("produce.weighed", weight_mg=weight_mg, stable=True, gtin=quote.gtin, scale=f"{self.terminal}-1")
        number, now = len(basket.lines) + 1, self.clock.true()
        line = Line(number, scan, quote, now, quantity, weight_mg, returned)
        basket.lines.append(line)
        self._say("item.added", **_added(line))
        return line

    def void(self, number: int) -> None:
        """Take a line out."""
        self._line(number).voided = True
        self._say("item.voided", line=number)

    def recount(self, number: int, quantity: int) -> None:
        """Change how many pieces a line has."""
        line = self._line(number)
        line.quantity = quantity
        self._say("item.quantity_changed", line=number, quantity=quantity, amount_minor=line.amount_minor)

    def bag(self, change_mg: int) -> None:
        """Put something into the bagging area, or take it away."""
        basket = self._open_basket()
        basket.bag_mg = max(0, basket.bag_mg + change_mg)
        self._say("bag.weight", weight_mg=basket.bag_mg, stable=True)

    def reprice(self, number: int, quote: Quote) -> bool:
        """Take a lower price over for an open line; tell whether it was lower."""
        line = self._line(number)
        if not line.falls_to(quote):
            return False
        line.now = quote
        told = _without_none(price_version=quote.version)
        amount = line.amount_minor
        self._say("item.repriced", line=number, unit_price_minor=quote.unit_price_minor, amount_minor=amount, **told)
        return True

    def start_payment(self) -> int:
        """Close the lines; return what is due."""
        basket = self._open_basket()
        currency = self._currency(basket)
        basket.state = "paying"
        self._say("payment.started", amount_minor=basket.sum_minor, currency=currency)
        return basket.sum_minor

    def fail_payment(self, reason: str) -> None:
        """Let a payment fail; the basket is open again."""
        basket = self._paying()
        basket.state = "open"
        self._say("payment.failed", reason=reason)

    def pay(self, tender: str, amount_minor: int) -> None:
        """Take one tender; negative = change, or money given back. The basket is paid when nothing is due."""
        basket = self._paying()
        basket.paid_minor += amount_minor
        currency = self._currency(basket)
        self._say("payment.succeeded", amount_minor=amount_minor, currency=currency, tender=tender)

    def close(self) -> None:
        """End a basket that is paid."""
        basket = self._paying()
        if basket.due_minor:
            raise OutOfTurn(f"{self.terminal}: {basket.due_minor} are still due")
        basket.state = "paid"
        self._say("basket.closed")
        self._ledger.charge(self.terminal, basket, self.clock.true())
        self.basket = None
        self._say("session.closed")

    def abandon(self, reason: str) -> None:
        """Leave the basket as it is."""
        if self.basket is None:
            raise OutOfTurn(f"{self.terminal}: no basket to leave")
        self._say("basket.abandoned", reason=reason)
        self.basket = None
        self._say("session.closed")

    # beside the basket

    def assist(self, reason: str) -> None:
        """Call for somebody."""
        self._say("assist.raised", reason=reason)

    def assisted(self, reason: str) -> None:
        """Somebody came."""
        self._say("assist.cleared", reason=reason)

    def status(self, state: str) -> None:
        """Tell how the terminal is."""
        self._say("terminal.status", state=state, version="simulated 1")

    # inside

    def _open_basket(self) -> Basket:
        if self.basket is None or self.basket.state != "open":
            raise OutOfTurn(f"{self.terminal}: no open basket")
        return self.basket

    def _paying(self) -> Basket:
        if self.basket is None or self.basket.state != "paying":
            raise OutOfTurn(f"{self.terminal}: no payment has started")
        return self.basket

    def _line(self, number: int) -> Line:
        lines = self._open_basket().lines
        if not 1 <= number <= len(lines) or lines[number - 1].voided:
            raise OutOfTurn(f"{self.terminal}: there is no line {number}")
        return lines[number - 1]

    def _currency(self, basket: Basket) -> str:
        lines = basket.open_lines()
        if not lines:
            raise OutOfTurn(f"{self.terminal}: nothing to pay")
        return lines[0].now.currency

    def _say(self, type_: str, **data: Any) -> None:  # noqa: ANN401 (what JSON takes)
        at = self.clock.wall()
        basket = None if self.basket is None else self.basket.id
        name = uuid7(at, self._rng)
        self.log.append(Event(name, self.log.next_seq, type_, at, self.clock.true(), basket, data))


def _added(line: Line) -> dict[str, Any]:
    quote = line.quote
    return _without_none(
        line=line.number,
        scan=line.scan,
        gtin=quote.gtin,
        quantity=line.quantity,
        weight_mg=line.weight_mg if line.weight_mg is not None else quote.weight_mg,
        unit_price_minor=quote.unit_price_minor,
        amount_minor=line.amount_minor,
        currency=quote.currency,
        price_version=quote.version,
        from_cache=quote.from_cache,
    )


def _without_none(**members: Any) -> dict[str, Any]:  # noqa: ANN401 (what JSON takes)
    return {name: value for name, value in members.items() if value is not None}
