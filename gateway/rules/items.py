"""The rule of items: reads of RFID readers in; what is in the shop, in which zone, and what left unsold out.

It joins the parts: ghosts `tag_guard.py`, place `tag_place.py`, absence `tag_presence.py`, doors `exit_gate.py`, goods
in `items_goods.py`, commands `items_commands.py`; the items themselves are in `items_book.py`. A read is used once and
never kept. A read is judged by its own time: an old one, told after an outage, never undoes what is known since.
`store/apply_items.py` keeps the notes and gives `KeptItems` back at start. `next_at` says when a `Tick` is wanted.

A tag that is first heard at a door is a visitor's: nothing is said of it, and nothing kept, until it has stayed for
`visit_s`. What is worn or was bought elsewhere is nobody's business.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.messages import (
    GoodsReceived,
    Message,
    ProductsUpdate,
    ReaderHeard,
    Request,
    SaleLine,
    TagReads,
    TagWritten,
    Tick,
)
from gateway.rules import tag_place
from gateway.rules.exit_credits import Credits
from gateway.rules.exit_direction import DoorRead
from gateway.rules.exit_gate import ExitGate
from gateway.rules.items_book import Item, ItemBook
from gateway.rules.items_commands import COMMANDS, ItemCommands
from gateway.rules.items_facts import instant, kept, micros
from gateway.rules.items_goods import GoodsIn
from gateway.rules.tag_chatter import DoorHabit
from gateway.rules.tag_guard import Guard
from gateway.rules.tag_presence import HEARING_US, RECHECK_US, SECOND_US, SETTLED, Ears, learn, still_us, window_us
from gateway.rules.tag_state import Ear, Mark, Tag
from gateway.rules.zones import Zones
from gateway.tag_notes import KeptItems, KeptTag

UNKNOWN_CDBM = -6_500  # stands for the power where a reader tells none in dBm
AHEAD_US = 5 * SECOND_US  # no read is from the future: a clock was set
DECIDED = 500  # deadlines looked at in one message; the others are next
CAME = 12  # hearings at goods in, or it was never there: of a zone next door fewer than 1 in 1000 keep it there so long
RETURN_US = 5 * SECOND_US  # a zone near the door may hear an item so long after it left
SWEEP_US = 600 * SECOND_US
GAPS_KEPT = 2_000  # notes of one sweep that only keep the pace of a tag
CHANGED = 1.5  # a pace that changed by this factor is kept


@dataclass(frozen=True)
class Policy:
    """What a shop may set. `visit_s`: a tag first heard at a door is no item for so long.

    `settle_s`: an item that arrived so short ago may lie near a door.
    """

    absent_after_s: float = 60.0
    absent_within_s: float = 3600.0
    exit_grace_s: float = 1.0
    sold_for_s: float = 4 * 3600.0
    visit_s: float = 4 * 3600.0
    settle_s: float = 60.0
    keep_days: int = 30


class Items:
    """The rule. Pure: time comes with the messages."""

    hears: tuple[type[Message], ...] = (TagReads, ReaderHeard, Tick, ProductsUpdate, Request, TagWritten)
    follows: tuple[type[Message], ...] = (SaleLine, GoodsReceived)

    def __init__(
        self, policy: Policy, zones: Zones, kept_items: KeptItems, gtin_of: Callable[[str], str | None]
    ) -> None:
        self._policy, self._zones, self._gtin_of = policy, zones, gtin_of
        self._least_us, self._most_us = int(policy.absent_after_s * 1e6), int(policy.absent_within_s * 1e6)
        self._sold_us = int(policy.sold_for_s * 1e6)
        self.load(kept_items)

    def load(self, kept_items: KeptItems) -> None:
        """Forget everything, and go on from what the store has. Nobody is absent before readers were heard again."""
        self._now_us = self._swept_us = 0
        self._at: datetime | None = None
        self._ears = Ears(self._zones)
        self._book = ItemBook(self._zones)
        self._guard = Guard(kept_items.products, self._gtin_of)
        grace_us, settle_us = int(self._policy.exit_grace_s * 1e6), int(self._policy.settle_s * 1e6)
        credits_ = Credits(kept_items.credits)
        self._gate = ExitGate(self._book, credits_, self._guard.new, grace_us, self._sold_us, settle_us)
        self._goods = GoodsIn(self._book)
        self._commands = ItemCommands(self._book, self._gate, kept_items.requests)
        for one in kept_items.tags:
            self._restore(one)

    # What others may ask

    @property
    def next_at(self) -> datetime | None:
        """Return when a `Tick` is wanted at the latest: something waits to be decided or told."""
        due_us = min(self._gate.watch.next_us, self._goods.next_us)
        return instant(due_us) if due_us < 1 << 60 else None

    def items(self) -> Iterator[Item]:
        """Yield all items."""
        return self._book.items()

    def item(self, epc: str) -> Item | None:
        """Return what is known of an item."""
        return self._book.item(epc)

    def tag(self, epc: str) -> Tag | None:
        """Return all that is known of a tag, also of a visitor's or a sold one that left. Not to be changed."""
        return self._book.get(epc)

    def stock(self) -> Mapping[tuple[str | None, str], int]:
        """Return the number of present items by product (None: unknown) and zone. A view: it changes."""
        return self._book.stock()

    # The rule

    def feed(self, message: Message) -> Sequence[Message]:
        """Return the facts and notes that follow."""
        if isinstance(message, SaleLine):
            return self._gate.sold(message, self._now_us or micros(message.at), self._at or message.at)
        if isinstance(message, GoodsReceived):
            return self._goods.told_otherwise(message)
        if isinstance(message, TagWritten):
            return self._commands.written(message, self._now_us or micros(message.at), self._at or message.at)
        out = self._pass_time(message.at)
        if isinstance(message, TagReads):
            self._ears.heard(message.source, self._now_us)
            self._hear(message, out)
        elif isinstance(message, ReaderHeard):
            self._ears.heard(message.source, self._now_us, message.antennas)
        elif isinstance(message, Tick):
            out += self._sweep(message) if message.trusted else []
        elif isinstance(message, ProductsUpdate):
            self._guard.update(message)
        elif isinstance(message, Request) and message.name in COMMANDS:
            out += self._commands.take(message)
        return out

    def _pass_time(self, at: datetime) -> list[Message]:
        now_us = micros(at)
        if now_us < self._now_us or self._at is None:
            self._gate.watch.set_back(now_us)
            self._goods.set_back(now_us)
        self._now_us, self._at = now_us, at
        self._ears.tick(now_us)
        self._book.uptime_us = self._ears.uptime_us
        out = [*self._gate.due(now_us, at), *self._goods.due(now_us, at)]
        for tag in self._book.deadlines.due(self._ears.uptime_us, DECIDED):
            out += self._look_at(tag, at)
        return out

    def _look_at(self, tag: Tag, at: datetime) -> list[Message]:
        """See whether a tag was silent for too long."""
        tag.watched = False
        if self._book.get(tag.epc) is not tag or tag.state != "present":
            return []
        left_us = still_us(tag, self._least_us, self._most_us)
        if left_us > 0:
            tag.watched = True
            if tag.hearings < SETTLED and left_us > self._least_us:
                left_us = self._least_us  # its pace is being learnt, and may be quicker than it looks
            self._book.deadlines.put(tag, self._ears.uptime_us + max(left_us, RECHECK_US))
            return []
        return self._book.miss(tag, at)

    def _hear(self, message: TagReads, out: list[Message]) -> None:
        """Take the reads of one message: the one loop that must be fast."""
        now_us, known = self._now_us, self._book.tags
        ears = self._ears.of(message.source)
        for epc, antenna, at_us, rssi_cdbm, seen, _ in message.reads:
            ear = ears.get(antenna)
            if ear is None:
                continue
            cdbm = UNKNOWN_CDBM if rssi_cdbm is None else rssi_cdbm + ear.offset_cdb
            if cdbm < ear.floor_cdbm:
                continue
            read_us = at_us if at_us <= now_us + AHEAD_US else now_us
            tag = known.get(epc)
            if tag is not None:
                self._take(tag, ear, cdbm, read_us, out)
                if ear.is_door:
                    power = None if rssi_cdbm is None else cdbm
                    read = DoorRead(read_us, ear.outside, power, ear.name, seen)
                    out += self._gate.hear(tag, ear, read, now_us, message.at)
            elif (tag := self._guard.hear(epc, ear, cdbm, read_us, seen)) is not None:
                out += self._appear(tag, ear, read_us)

    def _take(self, tag: Tag, ear: Ear, cdbm: int, read_us: int, out: list[Message]) -> None:
        """Take one read of a tag that is known."""
        if tag.last_us > self._now_us + AHEAD_US:  # the clock was set back: what was the newest is in the future
            tag.last_us = tag.hearing_us = tag.indoors_us = read_us - 1
        if read_us - tag.hearing_us >= HEARING_US:
            learn(tag, read_us)
        newest = read_us > tag.last_us
        tag_place.hear(tag, ear, cdbm, read_us)
        if newest and not ear.is_door:
            tag.indoors_us = read_us
        if tag.state == "present":
            if ear.zone != tag.zone and tag_place.beats(tag, ear.zone):
                out += self._move(tag, ear, read_us)
        elif newest:
            out += self._reappear(tag, ear, read_us)

    def _appear(self, tag: Tag, ear: Ear, at_us: int) -> list[Message]:
        """Take in a tag that is believed and was not known: an item, or what a visitor brought."""
        if self._now_us - at_us > self._most_us:
            return []  # told so late that it says nothing of now
        zone, _ = tag_place.loudest(tag)
        found = self._zones.get(zone)
        if found is not None and found.kind == "exit" and self._policy.visit_s:
            tag.state, tag.since_us = "visitor", at_us
            self._book.add(tag)
            return []
        return self._book.arrive(tag, zone, at_us, ear.reader, back=False)

    def _reappear(self, tag: Tag, ear: Ear, at_us: int) -> list[Message]:
        """Judge a new read of a tag that is not present."""
        match tag.state:
            case "absent" if not ear.outside:
                late_us = self._now_us - at_us
                if late_us <= window_us(tag.gap_us, self._least_us, self._most_us):
                    return self._book.arrive(tag, ear.zone, at_us, ear.reader, back=True)
            case "left" if not ear.is_door and at_us > tag.since_us + RETURN_US:
                if tag_place.reads_in(tag, ear.zone) > tag_place.MORE_THAN_READS:
                    return self._gate.back(tag, ear.zone, at_us, ear.reader)
            case "visitor" if not ear.is_door and at_us - tag.since_us >= self._policy.visit_s * 1e6:
                if tag_place.reads_in(tag, ear.zone) > tag_place.MORE_THAN_READS:
                    return self._book.arrive(tag, ear.zone, at_us, ear.reader, back=False)
        return []

    def _move(self, tag: Tag, ear: Ear, at_us: int) -> list[Message]:
        if tag.inbound and 0 < tag.hearings < CAME:
            tag.inbound = False  # goods in heard it first, through the wall: it has been in the shop all the time
        out = self._book.move(tag, ear.zone, at_us, ear.reader)
        if tag.inbound:
            self._goods.settled(tag, ear.kind, self._now_us, ear.reader)
        return out

    def _sweep(self, tick: Tick) -> list[Message]:
        """Look at everything now and then: forget what is too old, keep what changed since."""
        if self._now_us - self._swept_us < SWEEP_US and self._now_us >= self._swept_us:
            return []
        self._swept_us = self._now_us
        old: list[Tag] = []
        changed: list[Tag] = []
        for tag in self._book.tags.values():
            if tag.state == "present":
                if not 1 / CHANGED < tag.gap_us / tag.kept_gap_us < CHANGED and len(changed) < GAPS_KEPT:
                    changed.append(tag)
            elif self._is_over(tag):
                old.append(tag)
            elif tag.state == "sold" and tag.since_us < self._now_us:
                tag.since_us = tag.last_us + self._sold_us  # still here; forgotten, it would arrive unsold
                changed.append(tag)
        for tag in old:
            self._gate.alarms.pop(tag.epc, None)
        forgotten = self._book.forget(old, tick.at)
        return [*forgotten, *(kept(tag, tick.at) for tag in changed), *self._gate.expire(self._now_us, tick.at)]

    def _is_over(self, tag: Tag) -> bool:
        match tag.state:
            case "sold":
                return max(tag.since_us, tag.last_us + self._sold_us) < self._now_us
            case "gone":
                return tag.since_us < self._now_us
            case "visitor":
                return tag.last_us < self._now_us - self._policy.visit_s * 1e6
        return tag.last_us < self._now_us - self._policy.keep_days * 86_400 * SECOND_US

    def _restore(self, one: KeptTag) -> None:
        """Take up an item from the store. Its place counts as heard a few times; its silence begins anew."""
        tag = self._guard.restored(one)
        ear = self._ears.named(one.antenna, one.zone)
        if ear is not None:
            tag.marks.append(Mark(ear, 0.0))
        elif tag.state == "present":
            tag.state = "absent"  # its zone is not in the configuration any more
        if one.door_cdbm is not None:
            tag.habit = DoorHabit(one.door_cdbm)
        self._book.add(tag)
        if one.alarm is not None:
            self._gate.alarms[one.epc] = tag
        door = None if one.passage is None else self._ears.named(None, one.passage.zone)
        if door is not None and one.passage is not None:
            self._gate.watch.restore(tag, door, one.passage)
        zone = self._zones.get(one.zone or "")
        if tag.inbound and zone is not None:
            self._goods.settled(tag, zone.kind, 0, ear.reader if ear else "")
