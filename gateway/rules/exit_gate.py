"""What may leave: an item that nobody sold and that goes out by a door is an alarm; one that was sold is forgotten.

Decided here, from what the shop knows, with head office away too. It waits `exit_grace_s` for a till that is about to
tell of the sale. A late sale, the item's return, or a person (`clear_exit`) takes an alarm back; while one is open, or
the item is outside, it alarms no more. What left minutes ago, told in a burst after an outage, is absent, not an alarm.
Of an item that was sold nothing is said, and nothing kept when it has left. Not here: the direction, `exit_watch.py`.
"""

from collections.abc import Callable
from datetime import datetime

from gateway.messages import GATEWAY, Message, SaleLine
from gateway.rules import items_facts as facts
from gateway.rules.exit_credits import Credits, pieces_of
from gateway.rules.exit_direction import SECOND_US, DoorRead, Verdict
from gateway.rules.exit_watch import ExitWatch, Passage
from gateway.rules.items_book import ItemBook
from gateway.rules.tag_chatter import SILENT_CDBM, DoorHabit
from gateway.rules.tag_place import share, start_over
from gateway.rules.tag_state import Ear, Tag

LATE_US = 300 * SECOND_US  # nobody can run after who left longer ago
STILL_INSIDE_US = 5 * SECOND_US  # heard in the shop so long after it "left": it did not
LATE_SALE_US = 60 * SECOND_US  # a sale may seem that much later than the exit: tills' clocks
HEARD_AT_DOOR = 0.25  # share of the power: the shop itself hears what lies in it better than the door does
SETTLE_US = 60 * SECOND_US  # what arrived so short ago may lie near a door; nothing is learnt of it yet ...
STRONG_CDB = 2_000  # ... unless it clearly came and went
LEAST_HOLD_US = SECOND_US // 2
MOST_ALARMS = 1_000  # open ones; the oldest can then be cleared no more
WATCHED = ("present", "left", "sold")


class ExitGate:
    """All doors of the shop. `new` makes a tag of an EPC that was never heard."""

    def __init__(
        self,
        book: ItemBook,
        credits_: Credits,
        new: Callable[[str, str, int], Tag],
        grace_us: int,
        sold_us: int,
        settle_us: int = SETTLE_US,
    ) -> None:
        self._book, self._credits, self._new = book, credits_, new
        self._sold_us, self._settle_us = sold_us, settle_us
        self.watch = ExitWatch(max(grace_us, LEAST_HOLD_US))
        self.alarms: dict[str, Tag] = {}

    def hear(self, tag: Tag, ear: Ear, read: DoorRead, now_us: int, at: datetime) -> list[Message]:
        """Take a read at a door."""
        if tag.state not in WATCHED:
            return []
        out = self._learn(tag, ear, read, at)
        habit = tag.habit
        if habit is not None and habit.learnt and tag.epc not in self.watch and not _stands_out(habit, ear, read):
            return out
        passage = self.watch.at(tag, ear, now_us)
        if passage.is_past(read.at_us):  # several passages at once, told late
            out += self._judge(passage, now_us, at, quiet=True)
            passage = self.watch.at(tag, ear, now_us)
        passage.add(read)
        if tag.state == "present" and (so_far := passage.news()) is not None:
            tag.passage = so_far
            out.append(facts.kept(tag, at))
        return out

    def due(self, now_us: int, at: datetime) -> list[Message]:
        """Decide what can be decided now."""
        out: list[Message] = []
        for passage, quiet in self.watch.due(now_us):
            out += self._judge(passage, now_us, at, quiet=quiet)
        return out

    def sold(self, line: SaleLine, now_us: int, at: datetime) -> list[Message]:
        """Take a line of a paid basket: these pieces may leave, or came back. What is said of them names no till."""
        rest = pieces_of(line) - len(line.epcs)
        out: list[Message] = []
        if line.kind == "return":
            for epc in line.epcs:
                out += self._returned(epc, facts.micros(line.at), at)
            return [*out, *(self._credits.take_back(line.gtin, rest, at) if line.gtin and rest > 0 else ())]
        sold_us = facts.micros(line.at)
        for epc in line.epcs:
            out += self._sold_item(epc, sold_us, at)
        if line.gtin is not None and rest > 0:
            out += self._sold_pieces(line.gtin, rest, sold_us, now_us, at)
        return out

    def expire(self, now_us: int, at: datetime) -> list[Message]:
        """Forget sales by number whose time is over."""
        return list(self._credits.expire(now_us, at))

    def clear(self, tag: Tag, source: str, cause: str, at: datetime) -> list[Message]:
        """Take an alarm back: a person says so."""
        del self.alarms[tag.epc]
        return [facts.cleared(tag, "person", at, source, cause), facts.kept(tag, at)]

    def back(self, tag: Tag, zone: str, at_us: int, source: str) -> list[Message]:
        """Say that an item which had left is in the shop again."""
        out: list[Message] = []
        if self.alarms.pop(tag.epc, None) is not None:
            out.append(facts.cleared(tag, "back", facts.instant(at_us), source))
        self.watch.forget(tag)
        return [*out, *self._book.arrive(tag, zone, at_us, source, back=True)]

    def _learn(self, tag: Tag, ear: Ear, read: DoorRead, at: datetime) -> list[Message]:
        habit = tag.habit
        if habit is None:
            habit = tag.habit = DoorHabit()
        tells = ear.outside or not ear.two_sided
        changed = habit.hear(read.at_us, read.cdbm if tells and read.cdbm is not None else SILENT_CDBM)
        return [facts.kept(tag, at)] if changed and tag.state == "present" else []

    def _judge(self, passage: Passage, now_us: int, at: datetime, *, quiet: bool) -> list[Message]:
        verdict = passage.verdict(quiet=quiet)
        tag = passage.tag
        if verdict is None:
            return []
        self.watch.forget(tag)
        if self._book.get(tag.epc) is not tag:
            return []
        match verdict.way, tag.state:
            case "in", "left":
                tag.habit = None
                return self.back(tag, passage.zone, verdict.at_us, verdict.reader)
            case "out", "sold":
                return self._book.let_go(tag, tag.since_us, at)
            case "out", "present" if not self._is_inside(passage, verdict):
                tag.habit = None  # what was usual at this door is over
                return self._unsold(passage, verdict, now_us, at)
        return []

    def _is_inside(self, passage: Passage, verdict: Verdict) -> bool:
        """Tell whether the item lies near the door, or was heard in the shop after it seemed to leave."""
        tag, loudest = passage.tag, passage.loudest_cdbm()
        habit = tag.habit
        if habit is not None and (habit.learnt if loudest is None else habit.explains(loudest)):
            return True
        if tag.hearings and share(tag, passage.zone) < HEARD_AT_DOOR:  # else it was not heard since a restart
            return True
        if verdict.at_us - tag.since_us < self._settle_us and verdict.swell_cdb < STRONG_CDB:
            return True
        return tag.indoors_us > verdict.at_us + (STILL_INSIDE_US if passage.two_sided else 0)

    def _unsold(self, passage: Passage, verdict: Verdict, now_us: int, at: datetime) -> list[Message]:
        """Let a piece go that was sold by number; else say that it left."""
        tag = passage.tag
        used = self._credits.use(tag.gtin, verdict.at_us, at)
        if used is not None:
            return [used, *self._book.let_go(tag, now_us + self._sold_us, at)]
        if now_us - verdict.at_us > LATE_US:
            missed = facts.absent(tag, passage.zone, at, now_us - tag.last_us)
            self._leave(tag, verdict)
            return [missed, facts.kept(tag, at)]
        self._leave(tag, verdict)
        told = facts.alarm(tag, passage.zone, verdict, at)
        tag.alarm = told.id
        self.alarms[tag.epc] = tag
        out: list[Message] = [told, facts.kept(tag, at)]
        if len(self.alarms) > MOST_ALARMS:
            oldest = self.alarms.pop(next(iter(self.alarms)))
            oldest.alarm = None
            out.append(facts.kept(oldest, at))
        return out

    def _leave(self, tag: Tag, verdict: Verdict) -> None:
        self._book.settle(tag, "left", tag.zone)
        tag.since_us, tag.inbound = verdict.at_us, False
        start_over(tag)

    def _sold_item(self, epc: str, sold_us: int, at: datetime) -> list[Message]:
        tag = self._book.get(epc)
        if tag is None:
            tag = self._new(epc, "sold", sold_us)
            self._book.add(tag)
        until_us = sold_us + self._sold_us
        out: list[Message] = []
        if self.alarms.pop(epc, None) is not None:
            out.append(facts.cleared(tag, "sold", at, GATEWAY))
        if tag.state in ("left", "gone"):
            return [*out, *self._book.let_go(tag, until_us, at)]
        self._book.settle(tag, "sold", tag.zone)
        tag.since_us, tag.inbound = until_us, False
        return [*out, facts.kept(tag, at)]

    def _sold_pieces(self, gtin: str, pieces: int, sold_us: int, now_us: int, at: datetime) -> list[Message]:
        """Take the alarms back that a late sale explains, oldest first; the other pieces may leave."""
        out: list[Message] = []
        for epc, tag in list(self.alarms.items()):
            late = -LATE_SALE_US <= tag.since_us - sold_us <= self._sold_us
            if pieces and tag.gtin == gtin and late:
                pieces -= 1
                del self.alarms[epc]
                out.append(facts.cleared(tag, "sold", at, GATEWAY))
                out += self._book.let_go(tag, sold_us + self._sold_us, at)
        if pieces and sold_us + self._sold_us > now_us:
            out.append(self._credits.add(gtin, pieces, sold_us + self._sold_us, at))
        return out

    def _returned(self, epc: str, back_us: int, at: datetime) -> list[Message]:
        """Take an item back into stock: it is there as soon as it is heard."""
        tag = self._book.get(epc)
        if tag is None:
            tag = self._new(epc, "absent", back_us)
            self._book.add(tag)
        elif tag.state == "present":
            return []
        out: list[Message] = []
        if self.alarms.pop(epc, None) is not None:
            out.append(facts.cleared(tag, "back", at, GATEWAY))
        self._book.settle(tag, "absent", tag.zone)
        start_over(tag)
        return [*out, facts.kept(tag, at)]


def _stands_out(habit: DoorHabit, ear: Ear, read: DoorRead) -> bool:
    tells = ear.outside or not ear.two_sided
    return tells and read.cdbm is not None and not habit.explains(read.cdbm)
