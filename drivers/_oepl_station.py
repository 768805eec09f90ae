"""One access point as we know it: its tags, what goes on for each, and whether what we hear is complete.

State only, no I/O and no waiting: `label_oepl.py` feeds it with what was heard, pushes (`_oepl_push.py`) look at it and
are woken by it. What an event means for a push is `_oepl_trace.py`'s.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from drivers._oepl_health import AP_STATE_ONLINE, FLASH_FLOOR_BYTES, RUN_STATE_RUN, Evidence
from drivers._oepl_record import NEVER_EPOCH, TagRecord
from drivers._oepl_tagtype import TagType
from drivers._oepl_trace import Gap, Stage, Trace
from drivers._oepl_wire import (
    BlockRequest,
    Event,
    FileMissing,
    NewImage,
    Progress,
    Rebooting,
    SameImage,
    SystemState,
    TransferTimeout,
    Updating,
)
from gateway.driver import Face
from gateway.messages import Fact

TABLE_MAX = 300  # an access point lists 256 at most: more labels than this are a fault, not a shop
NEVER_S = float("-inf")
BOOT_S = 20.0  # an access point answers again within this time of its restart
LEFT_S = 1_500.0  # after 20 minutes without a check-in the access point has dropped what it held (esl T6)
COMMAND_LIFE_S = 1_260.0  # the radio announces a command for 20 minutes, then gives it up


@dataclass(slots=True)
class Tag:
    """One tag. Monotonic times: of its last block transfer; until when a lost upload may still arrive; of a command."""

    record: TagRecord
    transfer_s: float = NEVER_S
    doubt_until_s: float = NEVER_S
    command_s: float = NEVER_S
    push: Trace | None = None
    shown: Face | None = None
    watch: Trace | None = None  # the trace of `shown`, fed on for as long as it is the last one
    heard_s: float = NEVER_S
    unconverted: bool = True  # an upload may lie there (full flash, sleep hours) and be queued whenever it likes
    health_told_s: float = NEVER_S
    low_told: bool = False
    blank_told: bool = False
    written: bool = False  # by somebody else, while we did not know its face; until it is told


@dataclass(slots=True)
class Lane:
    """The work on one label: the newest wish, the face in hand, and those that were replaced before their turn."""

    label: str
    wish: Face | None = None
    current: Face | None = None
    began: bool = False  # a byte of `current` may have left us
    running: bool = False
    verdict: Fact | None = None  # the terminal fact of `current`, until it is told
    overtaken: deque[Face] = field(default_factory=deque)
    signal: asyncio.Event = field(default_factory=asyncio.Event)


class Station:
    """What is known of the access point.

    `due` are labels of which a reading is to be told, `doubted` those whose proof is gone; an event goes with each.
    """

    def __init__(self, url: str, low_mv: int) -> None:
        self.low_mv = low_mv
        self.evidence = Evidence(url)
        self.tags: dict[str, Tag] = {}
        self.lanes: dict[str, Lane] = {}
        self.types: dict[int, TagType] = {}
        self.listening_since_s: float | None = None
        self.due: dict[str, None] = {}
        self.news = asyncio.Event()
        self.doubted: dict[str, None] = {}
        self.doubt = asyncio.Event()
        self._updating = ""
        self._uptime_s = 0
        self._heard_s = 0.0

    def opened(self) -> None:
        """Take the event stream as open; nothing counts before the first life sign."""
        self.evidence.link_error = self.evidence.system = None
        self.evidence.silent = False

    def lost(self) -> None:
        """Take the event stream as broken."""
        self.listening_since_s = None
        self._gap(Gap("stream_lost"))

    def hear(self, event: Event, now_s: float) -> None:
        """Take the next event of the stream."""
        heard_s, self._heard_s = self._heard_s, now_s
        match event:
            case SystemState():
                self._system(event, heard_s, now_s)
            case TagRecord():
                self.note(event)
                if event.ours and (tag := self.tags.get(event.label)):
                    tag.heard_s = now_s
                self._feed(event.label, event, now_s)
            case Rebooting():
                self._gap(Gap("ap_rebooted", restarted=True))
            case Updating(label=label):
                self._updating = label
            case SameImage():
                self._feed(self._updating, event, now_s)
            case _:
                self._note_transfer(event, now_s)
                self._feed(event.label, event, now_s)

    def note(self, record: TagRecord) -> None:
        """Keep the newest record of a tag."""
        tag = self.tags.get(record.label)
        if tag is None:
            self._discover(record)
            return
        before, tag.record = tag.record, record
        if not record.blank:
            tag.blank_told = False
        if self.written_unknown(tag, before):
            tag.written = True
            self.tell(record.label)
        other = (before.hw_type, before.ours) != (record.hw_type, record.ours)
        if other or self.is_low(record) != tag.low_told or self.restarted_unknown(tag):
            self.tell(record.label)

    def keep_only(self, labels: set[str]) -> None:
        """Forget tags that the access point no longer lists (nothing tells of a deletion), unless at work on them."""
        for label in [*self.tags]:
            if label not in labels and label not in self.lanes:
                del self.tags[label]
        self.evidence.tags = len(self.tags)

    def holds_nothing(self, tag: Tag, now_s: float) -> bool:
        """Whether nothing that was ever pushed to the tag from here can still be drawn: it was silent for too long."""
        since_s = self.listening_since_s
        if since_s is None or tag.unconverted or tag.record.label in self.lanes:
            return False
        return now_s - max(since_s, tag.heard_s) >= LEFT_S

    def restarted_unknown(self, tag: Tag) -> bool:
        """Whether the tag restarted while we do not know its face: it was shown before this process began."""
        return tag.record.blank and not self._knows_face(tag) and not tag.blank_told

    def written_unknown(self, tag: Tag, before: TagRecord) -> bool:
        """Whether somebody else's image came to a tag whose face we do not know (an LED command counts as one too)."""
        now = tag.record
        moved_on = now.update_count != before.update_count or (now.hash != before.hash and not now.blank)
        return moved_on and now.ours and before.ours and not self._knows_face(tag)

    def _knows_face(self, tag: Tag) -> bool:
        return tag.watch is not None or tag.push is not None or tag.record.label in self.lanes

    def is_low(self, record: TagRecord) -> bool:
        """Whether the last battery reading, if there is one, is below the limit."""
        return record.battery_mv is not None and record.battery_mv < self.low_mv

    def read_again(self, record: TagRecord, now_s: float) -> None:
        """Keep a record that we asked for; only a trace with a gap learns from it, others have heard newer things."""
        self.note(record)
        tag = self.tags.get(record.label)
        if tag is not None and tag.push is None and record.next_update_epoch == NEVER_EPOCH:
            tag.unconverted = False
        if tag is not None and any(trace.gapped for trace in (tag.push, tag.watch) if trace):
            self._feed(record.label, record, now_s)

    def tell(self, label: str) -> None:
        """Put a label on the list of those of which a reading is to be told."""
        self.due[label] = None
        self.news.set()

    def wake_all(self) -> None:
        """Let every push look again."""
        for lane in self.lanes.values():
            lane.signal.set()

    def refusal(self) -> str | None:
        """Return why nothing can be sent now, as a reason code, or None."""
        system = self.evidence.system
        if self.listening_since_s is None or system is None:
            return "ap_unreachable"
        if system.ap_state != AP_STATE_ONLINE:
            return "no_radio"
        return None if system.run_state == RUN_STATE_RUN else "ap_stopped"

    def lacks_flash_for(self, size_bytes: int) -> bool:
        """Whether the access point would not convert an image of this size for want of space."""
        system = self.evidence.system
        return system is not None and system.flash_free_bytes < FLASH_FLOOR_BYTES + size_bytes

    def _discover(self, record: TagRecord) -> None:
        if len(self.tags) < TABLE_MAX:
            self.tags[record.label] = Tag(record)
            self.tell(record.label)
            self.evidence.tags = len(self.tags)

    def _system(self, system: SystemState, heard_s: float, now_s: float) -> None:
        """Take a life sign. A smaller uptime is a restart; what came unheard before it is forgotten for ever."""
        self.evidence.system = system
        if system.uptime_s < self._uptime_s:
            unheard_s = now_s - system.uptime_s - heard_s
            self._gap(Gap("ap_rebooted", restarted=True, unheard=unheard_s > BOOT_S))
        self._uptime_s = system.uptime_s
        if self.listening_since_s is None:
            self.listening_since_s = now_s
            self.wake_all()

    def _note_transfer(self, event: Event, now_s: float) -> None:
        if isinstance(event, BlockRequest | Progress) and (tag := self.tags.get(event.label)):
            tag.transfer_s = now_s

    def _feed(self, label: str, event: Event, now_s: float) -> None:
        """Hand an event to what goes on for the label. Before the first life sign nothing is known for sure."""
        tag = self.tags.get(label)
        if tag is None or self.listening_since_s is None:
            return
        if isinstance(event, NewImage | FileMissing | SameImage):
            tag.unconverted = False
        if tag.push is not None:
            tag.push.feed(event, now_s)
            if lane := self.lanes.get(label):
                lane.signal.set()
        if tag.watch is not None:
            _take_command(tag, tag.watch, event, now_s)
            tag.watch.feed(event, now_s)
            self.look_at_watch(label, tag)

    def _gap(self, gap: Gap) -> None:
        for label, tag in self.tags.items():
            for trace in (tag.push, tag.watch):
                if trace is not None:
                    trace.feed(gap, 0.0)
            self.look_at_watch(label, tag)
        self.wake_all()

    def look_at_watch(self, label: str, tag: Tag) -> None:
        """Put a label on the list of the doubted when its proof is gone."""
        if tag.watch is not None and tag.watch.stage is Stage.LOST:
            self.doubted[label] = None
            self.doubt.set()

    def complain(self, text: str) -> None:
        """Count something that was not understood, for the health report."""
        self.evidence.bad_records += 1
        self.evidence.last_bad = text


def _take_command(tag: Tag, watch: Trace, event: Event, now_s: float) -> None:
    """Know the end of our own LED command: it counts as an update and leaves its own hash (esl T7)."""
    if now_s - tag.command_s > COMMAND_LIFE_S:
        return
    match event:
        case TagRecord(pending=0, update_count=count) if count == watch.updates + 1 and not event.blank:
            watch.expect_update(event)
            tag.command_s = NEVER_S
        case TransferTimeout():
            tag.command_s = NEVER_S
