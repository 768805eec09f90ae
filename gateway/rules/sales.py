"""The rule of sales: till events and imported transactions in; what was sold, odd, out of stock, and busy out.

It joins the parts and decides nothing itself: order and repeats `till_log.py`, baskets `open_baskets.py` and
`basket.py`, facts `sale_facts.py`, imports `pos_import.py`, what looks odd `loss.py`, minutes `terminals.py`, and
`stock.py`. The answer to each event comes back among what follows from it, as a note (`TillOutcome`), so that a till
hears it after the commit and never before. `store/apply_sales.py` keeps the notes and gives `KeptSales` back at start.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError

from gateway.messages import (
    EVENT_DATA,
    GATEWAY,
    BaggingVerdict,
    ExpectedWeight,
    ItemAdded,
    ItemRepriced,
    Message,
    Nothing,
    Outcome,
    PosTransaction,
    ProductsUpdate,
    Tick,
    TillEvent,
    Wire,
)
from gateway.rules import loss
from gateway.rules.bag_check import BagCheck, unknown
from gateway.rules.bagging_choices import Scale
from gateway.rules.basket import Settled, Stage
from gateway.rules.loss import LossPolicy
from gateway.rules.open_baskets import Living, OpenBaskets, begins
from gateway.rules.pos_import import KEEP_DAYS, PosImport
from gateway.rules.sale_facts import mismatch, review, sale
from gateway.rules.stock import Stock
from gateway.rules.terminals import Terminals
from gateway.rules.till_log import Ready, TillLog
from gateway.sale_notes import (
    BasketBegun,
    BasketOver,
    KeptSales,
    Replayed,
    SalesPruned,
    StockCounted,
    TillEventApplied,
    TillEventKept,
    TillOutcome,
)

KEEP_EVENTS = timedelta(days=14)
PRUNE_EVERY = timedelta(hours=1)
PRICED = (ItemAdded, ItemRepriced)  # what says a price


@dataclass(frozen=True)
class Policy:
    """What a shop may set."""

    loss: LossPolicy = field(default_factory=LossPolicy)
    scale: Scale = field(default_factory=Scale)


class Sales:
    """The rule. Pure: time comes with the messages."""

    hears: tuple[type[Message], ...] = (TillEvent, PosTransaction, StockCounted, ProductsUpdate, Tick)

    def __init__(self, policy: Policy, kept: KeptSales) -> None:
        self._policy, self._noise_mg = policy, policy.scale.noise_mg
        self.load(kept)

    def load(self, kept: KeptSales) -> None:
        """Forget everything, and go on from what the store has."""
        self._log = TillLog(kept.logs)
        self._terminals = Terminals(kept.terminals)
        self._stock = Stock(kept.stock)
        self._imports = PosImport(kept)
        self._bag = BagCheck(self._policy.scale, kept.weights, kept.catalogue)
        self._baskets = OpenBaskets()
        self._pruned: datetime | None = None
        begun = {(one.terminal, one.basket): one for one in kept.baskets}
        for terminal, events in kept.replay.items():
            for replayed in events:
                self._replay(replayed, begun.get((terminal, replayed.basket or "")))

    def feed(self, message: Message) -> Sequence[Message]:
        """Return the facts and notes that follow."""
        if isinstance(message, TillEvent):
            return self._take(message)
        if isinstance(message, Tick):
            return self._tick(message.at)
        if isinstance(message, PosTransaction):
            return self._import(message)
        if isinstance(message, StockCounted):
            return [self._stock.counted(message)]
        if isinstance(message, ProductsUpdate):
            self._bag.seed(message)
        return []

    def ack_seq(self, terminal: str) -> int:
        """Return the number up to which all events of a terminal have come."""
        return self._log.ack_seq(terminal)

    def on_hand(self, gtin: str) -> int | None:
        """Return how many pieces are on hand, None when nobody has counted."""
        return self._stock.on_hand(gtin)

    def expect(self, gtin: str) -> ExpectedWeight | None:
        """Return what one piece of a product weighs, as far as that is known."""
        return self._bag.expect(gtin)

    def verify(self, terminal: str, basket: str) -> BaggingVerdict:
        """Return whether lines and bagging area agree now."""
        one = self._baskets.living(terminal, basket)
        if one is None:
            return unknown("this basket is not known")
        return self._bag.answer(one.basket, one.watch.deltas)

    def _take(self, event: TillEvent) -> list[Message]:
        event, body, refusal = _judge(event)
        outcome, ready, notes, ack = self._log.take(event)
        out, waits = list(notes), outcome.result == "accepted"
        for one in ready:
            if one.event is event:
                self._apply(one, body, ack, out)
                waits = False
            else:
                self._apply(one, _read_kept(one.event), ack, out)
        if waits:
            out.append(TillEventKept(at=event.at, source=event.source, event=event, turn=None, basket=None, ack=ack))
        if refusal is not None and outcome.result == "accepted":
            outcome = refusal  # its number is used up, so that those after it need not wait
        out.append(_answer(event, outcome))
        return out

    def _apply(self, ready: Ready, body: Wire | None, ack: int, out: list[Message]) -> None:
        event = ready.event
        name, one = self._baskets.find(event, late=ready.late)
        if one is None and name is not None and begins(event):
            one = self._baskets.begin(event, _begun(event, name, ready.turn, self._terminals.bag_mg(event.terminal)))
            out.append(one.begun)
            if (crowded := self._baskets.crowded(event.terminal)) is not None:
                out += self._end(crowded, event.received_at)
        self._baskets.hear(event)
        out.append(_kept(ready, None if one is None else name, ack))
        self._terminals.hear(event, body, ready.turn, late=ready.late)
        if one is not None:
            self._within(one, ready, body, out)

    def _within(self, one: Living, ready: Ready, body: Wire | None, out: list[Message]) -> None:
        event = ready.event
        settled = self._hear(one, event, body, ready.turn, late=ready.late)
        if isinstance(body, PRICED):
            line = one.basket.lines.get(body.line)
            wrong = None if line is None else mismatch(event, one.name, line.item, body)
            if wrong is not None:
                out.append(wrong)
        if settled is not None:
            out += self._settled(one, settled)
        if one.basket.stage is Stage.CLOSED:
            out += self._after_payment(one)

    def _hear(self, one: Living, event: TillEvent, body: Wire | None, turn: int, *, late: bool) -> Settled | None:
        if not late:
            paid = one.basket.settled_seq is not None
            one.watch.hear(event, body, paid=paid, noise_mg=self._noise_mg)
        settled = one.basket.hear(event, body, late=late)
        self._baskets.touch(one, event, turn)
        return settled

    def _settled(self, one: Living, settled: Settled) -> list[Message]:
        place = one.place
        lines, basket = sale(place, one.basket, settled)
        stock = self._stock.sold(lines, place.at, place.id("stock"))
        return [*lines, basket, *stock, *self._judged(one, settled)]

    def _judged(self, one: Living, settled: Settled) -> list[Message]:
        """Look at a basket that was settled; of one that is right, learn what its items weigh."""
        signs = [] if settled.problem is None else [loss.sums_differ(settled.problem, self._policy.loss)]
        learnt: list[Message] = []
        if settled.outcome == "paid" and not one.judged:
            one.judged, at, deltas = True, one.last.at, one.watch.deltas
            weighed = self._bag.weigh(one.basket, deltas, closing=True)
            signs += loss.judge(one.basket, one.watch, weighed, self._policy.loss)
            if weighed is not None:
                learnt += self._bag.learn(one.basket, weighed, deltas, at)
                learnt += self._bag.watch_scale(one.last.terminal, one.basket, weighed, at)
        return [*self._review(one, signs), *learnt]

    def _after_payment(self, one: Living) -> list[Message]:
        """Look once at what came after the payment of a basket that has ended."""
        if one.judged_after or one.basket.settled_seq is None:
            return []
        one.judged_after = True
        return self._review(one, loss.after_payment(one.basket, one.watch, self._policy.loss), "after")

    def _review(self, one: Living, signs: list[loss.Sign], what: str = "review") -> list[Message]:
        suggestion = loss.suggest(signs, self._policy.loss)
        return [] if suggestion is None else [review(one.place, suggestion, what)]

    def _leave(self, one: Living, at: datetime) -> list[Message]:
        """Take a basket for abandoned, once, and keep its lines: they are sold if it is paid later."""
        settled = one.basket.leave()
        out = self._after_payment(one) if settled is None else self._settled(one, settled)
        self._baskets.leave(one)
        one.begun = one.begun.model_copy(update={"at": at, "left": (*one.begun.left, one.turn)})
        return [*out, one.begun]

    def _end(self, one: Living, at: datetime) -> list[Message]:
        """Let go of a basket: abandoned, if nobody said how it ended."""
        settled = one.basket.abandon()
        out = self._after_payment(one) if settled is None else self._settled(one, settled)
        self._baskets.forget(one)
        return [*out, BasketOver(at=at, source=GATEWAY, terminal=one.last.terminal, basket=one.name)]

    def _tick(self, at: datetime) -> list[Message]:
        ready, out = self._log.tick(at)
        for one in ready:
            self._apply(one, _read_kept(one.event), self._log.applied(one.event.terminal), out)
        for basket in self._baskets.left(at):
            out += self._leave(basket, at)
        for basket in self._baskets.over(at):
            out += self._end(basket, at)
        out += self._terminals.tick(at)
        if self._pruned is None or at - self._pruned >= PRUNE_EVERY:
            self._pruned = at
            days = (at - timedelta(days=KEEP_DAYS)).date()
            self._imports.forget(days)
            out.append(SalesPruned(at=at, source=GATEWAY, events_before=at - KEEP_EVENTS, days_before=days))
        return out

    def _import(self, transaction: PosTransaction) -> list[Message]:
        notes, sales = self._imports.take(transaction)
        out = list(notes)
        for key, lines, basket in sales:
            out += [*lines, basket, *self._stock.sold(lines, basket.at, f"pos:{key}:stock")]
        return out

    def _replay(self, replayed: Replayed, begun: BasketBegun | None) -> None:
        """Apply an event again, as it was applied. What follows from it is kept already."""
        turn, name, event, late = replayed
        body = _read_kept(event)
        if begun is not None and name is not None and turn >= begun.turn:
            one = self._baskets.living(event.terminal, name) or self._baskets.begin(event, begun)
            settled = self._hear(one, event, body, turn, late=late)
            one.judged |= settled is not None and settled.outcome == "paid"
            if turn in begun.left:
                one.basket.leave()
                self._baskets.leave(one)
            ended = one.basket.stage in (Stage.CLOSED, Stage.LEFT)
            one.judged_after |= ended and one.basket.settled_seq is not None
        self._baskets.hear(event)
        if turn > self._terminals.turn(event.terminal):
            self._terminals.hear(event, body, turn, late=late)


def _judge(event: TillEvent) -> tuple[TillEvent, Wire | None, Outcome | None]:
    """Return the event with what it says more, or, without that, why it cannot be taken."""
    try:
        return event, _read(event), None
    except ValidationError as error:
        refusal = Outcome(event_id=event.event_id, seq=event.seq, result="rejected", reason=_first(error))
        return event.model_copy(update={"data": {}}), None, refusal


def _read(event: TillEvent) -> Wire | None:
    """Return what an event says more; None when that is nothing, or its kind is not known. Raises ValidationError."""
    kind = EVENT_DATA.get(event.kind)
    if kind is None or (kind is Nothing and not event.data):
        return None
    return kind.model_validate(event.data)


def _read_kept(event: TillEvent) -> Wire | None:
    """Return what a kept event says; one that a newer version would refuse says nothing any more."""
    try:
        return _read(event)
    except ValidationError:
        return None


def _first(error: ValidationError) -> str:
    what = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"data.{'.'.join(map(str, what['loc']))}: {what['msg']}"


def _answer(event: TillEvent, outcome: Outcome) -> TillOutcome:
    return TillOutcome(at=event.at, source=event.source, terminal=event.terminal, outcome=outcome)


def _begun(event: TillEvent, basket: str, turn: int, bag_mg: int) -> BasketBegun:
    return BasketBegun(
        at=event.at, source=event.source, terminal=event.terminal, basket=basket, turn=turn, bag_mg=bag_mg
    )


def _kept(ready: Ready, basket: str | None, ack: int) -> TillEventKept | TillEventApplied:
    turn, event, late, waited = ready
    at, source = event.at, event.source
    if not waited:
        return TillEventKept(at=at, source=source, event=event, turn=turn, basket=basket, ack=ack, late=late)
    return TillEventApplied(
        at=at, source=source, terminal=event.terminal, seq=event.seq, turn=turn, basket=basket, ack=ack
    )
