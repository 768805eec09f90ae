"""How head office proves that it has everything. Pure bookkeeping; `verify.py` feeds it from the broker.

Each stream of a gateway counts 1, 2, 3 ... without a gap. A number may come twice (at least once delivery): that is a
repeat, dropped by `id`. A number that never came is a gap, unless a `buffer.dropped` fact says that it never will. A
number that comes twice with different ids is a conflict, and means that two gateways share a name.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gateway.hq.wire import Event

REMEMBERED_IDS = 50_000  # far more than a broker redelivers after a lost connection (20 messages of 100 events)

Range = tuple[int, int]  # first and last sequence, both included


@dataclass
class StreamLedger:
    """What has come of one stream of one gateway."""

    seen: list[Range] = field(default_factory=list)
    dropped: list[Range] = field(default_factory=list)
    events: int = 0
    repeats: int = 0
    conflicts: list[int] = field(default_factory=list)
    out_of_order: int = 0
    ids: OrderedDict[int, str] = field(default_factory=OrderedDict)

    def feed(self, sequence: int, event_id: str) -> bool:
        """Note one event; True = new, False = a repeat that the reader must drop."""
        if contains(self.seen, sequence):
            self.repeats += 1
            if self.ids.get(sequence, event_id) != event_id:
                self.conflicts.append(sequence)
            return False
        self.out_of_order += bool(self.seen) and sequence < self.seen[-1][1]
        self.seen = add(self.seen, (sequence, sequence))
        self.events += 1
        self.ids[sequence] = event_id
        if len(self.ids) > REMEMBERED_IDS:
            self.ids.popitem(last=False)
        return True

    def gaps(self) -> list[Range]:
        """Return what is missing between the first and the last number seen, less what was dropped."""
        covered = self.seen
        for lost in self.dropped:
            covered = add(covered, lost)
        first, last = (self.seen[0][0], self.seen[-1][1]) if self.seen else (0, 0)
        holes = [(before[1] + 1, after[0] - 1) for before, after in pairwise(covered)]
        return [hole for hole in holes if hole[0] >= first and hole[1] <= last]


@dataclass
class Ledger:
    """What has come of all streams of a shop."""

    streams: dict[tuple[str, str], StreamLedger] = field(default_factory=dict)

    def feed(self, event: Event) -> bool:
        """Note one event; True = new."""
        new = self._stream(event.gateway, event.stream).feed(event.sequence, event.id)
        if new and event.type == "buffer.dropped":
            lost = (int(event.data["first_sequence"]), int(event.data["last_sequence"]))
            about = self._stream(event.gateway, event.data["about"])
            about.dropped = add(about.dropped, lost)
        return new

    def complete(self) -> bool:
        """Say whether something came, nothing of it is missing, and nothing contradicts itself."""
        return bool(self.streams) and not any(stream.gaps() or stream.conflicts for stream in self.streams.values())

    def report(self) -> list[dict[str, Any]]:
        """Return one row for each stream, for people and programs."""
        return [
            {
                "gateway": gateway,
                "stream": name,
                "first": stream.seen[0][0] if stream.seen else None,
                "last": stream.seen[-1][1] if stream.seen else None,
                "events": stream.events,
                "repeats": stream.repeats,
                "out_of_order": stream.out_of_order,
                "dropped": sum(last - first + 1 for first, last in stream.dropped),
                "gaps": [list(gap) for gap in stream.gaps()],
                "conflicts": stream.conflicts,
            }
            for (gateway, name), stream in sorted(self.streams.items())
        ]

    def to_json(self) -> dict[str, Any]:
        """Return what a state file must hold to go on after a restart."""
        return {
            f"{gateway}/{name}": {
                "seen": one.seen,
                "dropped": one.dropped,
                "events": one.events,
                "repeats": one.repeats,
                "conflicts": one.conflicts,
                "out_of_order": one.out_of_order,
                "ids": list(one.ids.items())[-2000:],
            }
            for (gateway, name), one in self.streams.items()
        }

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "Ledger":
        """Rebuild from a state file."""
        ledger = cls()
        for key, one in state.items():
            gateway, _, name = key.rpartition("/")
            ledger.streams[gateway, name] = StreamLedger(
                seen=_ranges(one["seen"]),
                dropped=_ranges(one["dropped"]),
                events=one["events"],
                repeats=one["repeats"],
                conflicts=one["conflicts"],
                out_of_order=one["out_of_order"],
                ids=OrderedDict((int(sequence), event_id) for sequence, event_id in one["ids"]),
            )
        return ledger

    def _stream(self, gateway: str, name: str) -> StreamLedger:
        return self.streams.setdefault((gateway, name), StreamLedger())


def contains(ranges: list[Range], number: int) -> bool:
    """Say whether a number is in sorted, disjoint ranges. The newest range is the likely one: look there first."""
    return any(first <= number <= last for first, last in reversed(ranges))


def add(ranges: list[Range], new: Range) -> list[Range]:
    """Return sorted, disjoint ranges with one more, neighbours joined."""
    if ranges and new[0] == ranges[-1][1] + 1:  # the usual case: the next number
        return [*ranges[:-1], (ranges[-1][0], new[1])]
    before = [one for one in ranges if one[1] + 1 < new[0]]
    after = [one for one in ranges if one[0] > new[1] + 1]
    touching = [one for one in ranges if one[1] + 1 >= new[0] and one[0] <= new[1] + 1]
    joined = (min([new[0], *(one[0] for one in touching)]), max([new[1], *(one[1] for one in touching)]))
    return [*before, joined, *after]


def _ranges(pairs: list[list[int]]) -> list[Range]:
    return [(int(first), int(last)) for first, last in pairs]
