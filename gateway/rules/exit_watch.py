"""Passages through doors that are going on: what each side heard of an item, thinned, and when to judge it.

Reads live here for seconds and nowhere else. A passage is judged `hold` after the outer side heard it, again while it
goes on, `hold` after the last read, and is over when ten seconds brought nothing. By the clock of the messages;
when it is set back, deadlines follow.
Not here: the direction (`exit_direction.py`), what follows (`exit_gate.py`).
"""

from collections.abc import Iterator

from gateway.rules.exit_direction import SECOND_US, UNTOLD, DoorRead, Verdict, judge
from gateway.rules.tag_state import Ear, Tag
from gateway.tag_notes import PassageSoFar

OVER_US = 10 * SECOND_US
AGAIN_US = SECOND_US // 2
SLICE_US = SECOND_US // 8  # the loudest read of an antenna in this time stands for all
MOST_READS = 64  # both sides of a door for four seconds without a pause
MOST_PASSAGES = 5_000
COUNTED = 3  # more reads of one side make no difference
NOTES = 12  # of one passage at most
NEVER = 1 << 62


class Passage:
    """One tag at one door.

    `heard_us` and `crossed_us` (first heard outside) are by our clock, `last_us` by that of the reads. `noted`: what
    was kept of it last.
    """

    __slots__ = ("_reads", "crossed_us", "due_us", "heard_us", "last_us", "noted", "notes", "tag", "two_sided", "zone")

    def __init__(self, tag: Tag, zone: str, *, two_sided: bool, due_us: int) -> None:
        self.tag, self.zone, self.two_sided = tag, zone, two_sided
        self.due_us, self.heard_us, self.last_us = due_us, due_us, 0
        self.noted = PassageSoFar(zone, 0, 0, 0, 0)
        self.notes, self.crossed_us = 0, NEVER
        self._reads: list[DoorRead] = []

    def add(self, read: DoorRead) -> None:
        """Take a read."""
        self.last_us = max(self.last_us, read.at_us)
        if self.crossed_us == NEVER and (read.outside or not self.two_sided):
            self.crossed_us = self.heard_us
        slice_ = read.at_us // SLICE_US
        for number in range(len(self._reads) - 1, -1, -1):
            one = self._reads[number]
            if one.antenna == read.antenna and one.at_us // SLICE_US == slice_:
                louder = max(one, read, key=lambda each: (each.cdbm or 0, each.at_us))
                self._reads[number] = louder._replace(seen=one.seen + read.seen)
                return
        self._reads.append(read)
        if len(self._reads) > MOST_READS:
            self._reads.remove(min(self._reads, key=lambda one: one.at_us))

    def is_past(self, at_us: int) -> bool:
        """Tell whether a read is so much later that it is of another passage."""
        return bool(self._reads) and at_us - self.last_us > OVER_US

    def restore(self, so_far: PassageSoFar) -> None:
        """Take up what was kept of a passage: its reads are gone, their number and order are known."""
        _, inner, inner_us, outer, outer_us = self.noted = so_far
        self.last_us = max(inner_us, outer_us)
        self._reads = [DoorRead(inner_us, False, None, UNTOLD, inner)] if inner else []
        self._reads += [DoorRead(outer_us, True, None, UNTOLD, outer)] if outer else []

    def verdict(self, *, quiet: bool) -> Verdict | None:
        """Judge what was heard within the last ten seconds of it."""
        self._reads = [read for read in self._reads if read.at_us >= self.last_us - OVER_US]
        return judge(self._reads, two_sided=self.two_sided, quiet=quiet)

    def news(self) -> PassageSoFar | None:
        """Return what to keep of it, when that changed: a side was heard for the first times, or last."""
        inner = _summed([read for read in self._reads if not read.outside])
        outer = _summed([read for read in self._reads if read.outside])
        now, before = PassageSoFar(self.zone, *inner, *outer), self.noted
        turned = (now.inner_us > now.outer_us) != (before.inner_us > before.outer_us)
        if self.notes >= NOTES or not (turned or (now.inner, now.outer) != (before.inner, before.outer)):
            return None
        self.noted, self.notes = now, self.notes + 1
        return now

    def loudest_cdbm(self) -> int | None:
        """Return the loudest read of the side that tells a leaving item; None when no power is known."""
        levels = [read.cdbm for read in self._reads if read.outside or not self.two_sided]
        return max((level for level in levels if level is not None), default=None)


class ExitWatch:
    """All passages. `next_us`: when `due` has work."""

    def __init__(self, hold_us: int) -> None:
        self._hold_us = hold_us
        self._by_epc: dict[str, Passage] = {}
        self.next_us = NEVER

    def __contains__(self, epc: str) -> bool:
        return epc in self._by_epc

    def at(self, tag: Tag, ear: Ear, now_us: int) -> Passage:
        """Return the passage of a tag through this door; one begins if there is none."""
        one = self._by_epc.get(tag.epc)
        if one is None or one.zone != ear.zone:
            one = Passage(tag, ear.zone, two_sided=ear.two_sided, due_us=now_us + self._hold_us)
            self._by_epc[tag.epc] = one
            if len(self._by_epc) > MOST_PASSAGES:
                self.forget(next(iter(self._by_epc.values())).tag)
        one.heard_us = now_us
        one.due_us = min(one.due_us, now_us + self._hold_us)
        self.next_us = min(self.next_us, one.due_us)
        return one

    def restore(self, tag: Tag, ear: Ear, so_far: PassageSoFar) -> None:
        """Take up a passage after a restart; it is judged when `begin` has told the time."""
        self.at(tag, ear, NEVER).restore(so_far)

    def begin(self, now_us: int) -> None:
        """Tell the time for the first time."""
        self.set_back(now_us)

    def forget(self, tag: Tag) -> None:
        """End the passage of a tag, if it is in one."""
        self._by_epc.pop(tag.epc, None)
        tag.passage = None

    def due(self, now_us: int) -> Iterator[tuple[Passage, bool]]:
        """Yield each passage to judge now, and whether it is quiet. Those that are over end."""
        if now_us < self.next_us:
            return
        for one in list(self._by_epc.values()):
            if one.due_us > now_us:
                continue
            quiet = now_us - one.heard_us >= self._hold_us
            if now_us - one.heard_us >= OVER_US:
                self.forget(one.tag)
            decides_us = one.crossed_us + self._hold_us
            again_us = min(one.heard_us + self._hold_us, max(now_us + AGAIN_US, decides_us))
            one.due_us = one.heard_us + OVER_US if quiet else again_us
            if quiet or now_us >= decides_us:
                yield one, quiet
        self.next_us = min((one.due_us for one in self._by_epc.values()), default=NEVER)

    def set_back(self, now_us: int) -> None:
        """Follow a clock that was set back: nothing waits longer than it would have."""
        for one in self._by_epc.values():
            one.heard_us = min(one.heard_us, now_us)
            one.crossed_us = NEVER if one.crossed_us == NEVER else min(one.crossed_us, now_us)
            one.due_us = min(one.due_us, now_us + self._hold_us)
            self.next_us = min(self.next_us, one.due_us)


def _summed(reads: list[DoorRead]) -> tuple[int, int]:
    return min(COUNTED, sum(read.seen for read in reads)), max((read.at_us for read in reads), default=0)
