"""The rule of sales: till events and imported transactions in; what was sold, odd, and busy out.

It joins the parts and decides nothing itself: order and repeats `till_log.py`, baskets `open_baskets.py` and
`basket.py`, what follows when one ends `settling.py`, imports `pos_import.py`, minutes `terminals.py`.
The answers come back among what follows, as a note (`TillOutcomes`), so that a till hears them after the commit and
never before. `store/apply_sales.py` keeps the notes and gives `KeptSales` back at start.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from pydantic import ValidationError

from gateway.messages import (
    GATEWAY,
    BaggingVerdict,
    ExpectedWeight,
    ItemAdded,
    ItemRepriced,
    Message,
    Outcome,
    PosTransaction,
    ProductsUpdate,
    Tick,
    TillEvent,
    TillEvents,
    Wire,
)
from gateway.rules.bag_check import BagCheck, unknown
from gateway.rules.bagging_choices import Scale
from gateway.rules.basket import Settled, Stage
from gateway.rules.event_bodies import read, read_kept, why_refused
from gateway.rules.loss import LossPolicy
from gateway.rules.open_baskets import Living, OpenBaskets, begins
from gateway.rules.pos_import import KEEP_DAYS, PosImport
from gateway.rules.sale_facts import mismatch
from gateway.rules.settling import Settling
from gateway.rules.terminals import Terminals
from gateway.rules.till_log import Ready, TillLog
from gateway.sale_notes import (
    BasketBegun,
    BasketOver,
    EventApplied,
    EventKept,
    KeptSales,
    Replayed,
    SalesPruned,
    TillLogKept,
    TillOutcomes,
)

KEEP_EVENTS = timedelta(days=14)
PRUNE_EVERY = timedelta(hours=1)
STEP_EVENTS = 10  # about half a millisecond, two when they are payments
PRICED = (ItemAdded, ItemRepriced)  # what says a price


@dataclass(frozen=True)
class Policy:
    """What a shop may set."""

    loss: LossPolicy = field(default_factory=LossPolicy)
    scale: Scale = field(default_factory=Scale)


class Sales:
    """The rule. Pure: time comes with the messages."""

    hears: tuple[type[Message], ...] = (TillEvents, PosTransaction, ProductsUpdate, Tick)

    def __init__(self, policy: Policy, kept: KeptSales) -> None:
        self._policy, self._noise_mg = policy, policy.scale.noise_mg
        self.load(kept)

    def load(self, kept: KeptSales) -> None:
        """Forget everything, and go on from what the store has."""
        self._log = TillLog(kept.logs)
        self._terminals = Terminals(kept.terminals)
        self._imports = PosImport(kept)
        self._bag = BagCheck(self._policy.scale, kept.weights, kept.catalogue)
        self._settling = Settling(self._policy.loss, self._bag)
        self._baskets = OpenBaskets()
        self._pruned: datetime | None = None
        begun = {(one.terminal, one.basket): one for one in kept.baskets}
        for terminal, events in kept.replay.items():
            for replayed in events:
                self._replay(replayed, begun.get((terminal, replayed.basket or "")))

    def feed(self, message: Message) -> Sequence[Message]:
        """Return the facts and notes that follow."""
        return [one for step in self.steps(message) for one in step]

    def steps(self, message: Message) -> Iterator[Sequence[Message]]:
        """Yield the same step by step: a till may send hundreds of events, and others wait for one step."""
        if isinstance(message, TillEvents):
            yield from self._take(message)
        elif isinstance(message, Tick):
            yield self._tick(message.at)
        elif isinstance(message, PosTransaction):
            yield self._import(message)
        elif isinstance(message, ProductsUpdate):
            self._bag.seed(message)

    def ack_seq(self, terminal: str) -> int:
        """Return the number up to which all events of a terminal have come."""
        return self._log.ack_seq(terminal)

    def expect(self, gtin: str) -> ExpectedWeight | None:
        """Return what one piece of a product weighs, as far as that is known."""
        return self._bag.expect(gtin)

    def verify(self, terminal: str, basket: str) -> BaggingVerdict:
        """Return whether lines and bagging area agree now."""
        one = self._baskets.living(terminal, basket)
        if one is None:
            return unknown("this basket is not known")
        return self._bag.answer(one.basket, one.watch.deltas)

    def _take(self, batch: TillEvents) -> Iterator[Sequence[Message]]:
        kept, outcomes = _Kept(), list[Outcome]()
        for start in range(0, len(batch.events), STEP_EVENTS):
            out: list[Message] = []
            outcomes += [self._judge(event, kept, out) for event in batch.events[start : start + STEP_EVENTS]]
            yield out
        at, source, terminal = batch.at, batch.source, batch.terminal
        answer = TillOutcomes(at=at, source=source, terminal=terminal, outcomes=tuple(outcomes))
        yield [*kept.notes(at, source, terminal, self._log), answer]

    def _judge(self, event: TillEvent, kept: "_Kept", out: list[Message]) -> Outcome:
        """Take one event, and apply all whose turn has come by it."""
        body, refusal = None, None
        try:
            body = read(event)
        except ValidationError as error:
            refusal = Outcome(event_id=event.event_id, seq=event.seq, result="rejected", reason=why_refused(error))
            event = event._replace(data={})
        outcome, ready, notes = self._log.take(event)
        out += notes
        waits = outcome.result == "accepted"
        for one in ready:
            if one.event is event:
                self._apply(one, body, kept, out)
                waits = False
            else:
                self._apply(one, read_kept(one.event), kept, out)
        if waits:
            kept.new.append(EventKept(event, None, None))
        # The number of a refused event is used up, so that those after it need not wait.
        return outcome if refusal is None or outcome.result != "accepted" else refusal

    def _apply(self, ready: Ready, body: Wire | None, kept: "_Kept", out: list[Message]) -> None:
        turn, event, late, waited = ready
        name, one = self._baskets.find(event, late=late)
        if one is None and name is not None and begins(event):
            one = self._begin(event, name, turn, out)
        self._baskets.hear(event)
        basket = None if one is None else name
        if waited:
            kept.applied.append(EventApplied(event.seq, turn, basket))
        else:
            kept.new.append(EventKept(event, turn, basket, late))
        self._terminals.hear(event, body, turn, late=late)
        if one is not None:
            self._within(one, ready, body, out)

    def _begin(self, event: TillEvent, name: str, turn: int, out: list[Message]) -> Living:
        bag_mg = self._terminals.bag_mg(event.terminal)
        begun = BasketBegun(
            at=event.at, source=event.source, terminal=event.terminal, basket=name, turn=turn, bag_mg=bag_mg
        )
        out.append(begun)
        one = self._baskets.begin(event, begun)
        if (crowded := self._baskets.crowded(event.terminal)) is not None:
            out += self._end(crowded, event.received_at)
        return one

    def _within(self, one: Living, ready: Ready, body: Wire | None, out: list[Message]) -> None:
        event = ready.event
        settled = self._hear(one, event, body, ready.turn, late=ready.late)
        if isinstance(body, PRICED):
            line = one.basket.lines.get(body.line)
            wrong = None if line is None else mismatch(event, one.name, line.item, body)
            if wrong is not None:
                out.append(wrong)
        if settled is not None:
            out += self._settling.settled(one, settled)
        if one.basket.stage is Stage.CLOSED:
            out += self._settling.after_payment(one)

    def _hear(self, one: Living, event: TillEvent, body: Wire | None, turn: int, *, late: bool) -> Settled | None:
        if not late:
            paid = one.basket.settled_seq is not None
            one.watch.hear(event, body, paid=paid, noise_mg=self._noise_mg)
        settled = one.basket.hear(event, body, late=late)
        self._baskets.touch(one, event, turn)
        return settled

    def _leave(self, one: Living, at: datetime) -> list[Message]:
        """Take a basket for abandoned, once, and keep its lines: they are sold if it is paid later."""
        out = self._settling.ended(one, one.basket.leave())
        self._baskets.leave(one)
        one.begun = one.begun.model_copy(update={"at": at, "left": (*one.begun.left, one.turn)})
        return [*out, one.begun]

    def _end(self, one: Living, at: datetime) -> list[Message]:
        """Let go of a basket: abandoned, if nobody said how it ended."""
        out = self._settling.ended(one, one.basket.abandon())
        self._baskets.forget(one)
        return [*out, BasketOver(at=at, source=GATEWAY, terminal=one.last.terminal, basket=one.name)]

    def _tick(self, at: datetime) -> list[Message]:
        ready, out = self._log.tick(at)
        for terminal, of_terminal in groupby(ready, lambda one: one.event.terminal):
            kept = _Kept()
            for one in of_terminal:
                self._apply(one, read_kept(one.event), kept, out)
            out += kept.notes(at, GATEWAY, terminal, self._log)
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
        for _, lines, basket in sales:
            out += [*lines, basket]
        return out

    def _replay(self, replayed: Replayed, begun: BasketBegun | None) -> None:
        """Apply an event again, as it was applied. What follows from it is kept already."""
        turn, name, event, late = replayed
        body = read_kept(event)
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


class _Kept:
    """What the log of one terminal gets from one message."""

    def __init__(self) -> None:
        self.new: list[EventKept] = []
        self.applied: list[EventApplied] = []

    def notes(self, at: datetime, source: str, terminal: str, log: TillLog) -> Iterable[Message]:
        """Return the note, if there is anything to keep."""
        if self.new or self.applied:
            (ack, turn), new, applied = log.applied(terminal), tuple(self.new), tuple(self.applied)
            yield TillLogKept(at=at, source=source, terminal=terminal, ack=ack, turn=turn, kept=new, applied=applied)
