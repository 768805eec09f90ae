"""One push to one tag as its access point tells of it: the state machine that decides what may be believed.

Pure: events and times in, a stage out. The access point's own acknowledgement cannot be trusted (it credits whatever
lies first in its queue, and status 200 proves nothing), so a push counts as stored only after its *whole* trace was
heard: our upload's echo, "new image", a request for every block of just that file, and then the record with one more
update, a new hash and an empty queue. Whatever is missing or foreign ends the push as `LOST`; it is then pushed anew
with another revision mark. A picture that was shown is watched on for as long as it is the last one.
Not here: requests and waiting (`_oepl_push.py`), what the texts look like (`_oepl_wire.py`).
"""

from dataclasses import dataclass, field
from enum import Enum

from drivers._oepl_record import TagRecord
from drivers._oepl_wire import (
    BlockRequest,
    Event,
    FileMissing,
    NewImage,
    Progress,
    Rebooting,
    SameImage,
    TransferTimeout,
)

CONTENT_EXTERNAL_IMAGE = 24  # contentMode of a tag whose picture was uploaded


class Stage(Enum):
    """How far a push has come. `SEEN`: the tag checked in, unharmed, after its panel had time to draw."""

    SENDING = "sending"
    ECHOED = "echoed"
    QUEUED = "queued"
    STORED = "stored"
    SEEN = "seen"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something may have been missed: the event stream broke, or the access point `restarted`.

    `unheard`: it lived on between the break and the restart, and forgot what it saw meanwhile.
    """

    reason: str
    restarted: bool = False
    unheard: bool = False


@dataclass(slots=True)
class Trace:
    """One push. `before` is the tag's record after the queue was cleared, `refresh_s` the panel's drawing time."""

    before: TagRecord
    refresh_s: float
    stage: Stage = Stage.SENDING
    reason: str = ""
    hash: str = ""
    stored_s: float = 0.0
    updates: int = 0
    gapped: bool = False  # something may have been missed since; the next record clears it up
    _file: str = ""
    _listed: bool = False
    _blocks: set[int] = field(default_factory=set)
    _total: int = 0
    _last_seen_epoch: int = 0
    _restarted: bool = False

    def feed(self, event: Event | Gap, now_s: float) -> None:
        """Take the next event of this tag, in the order of arrival. `now_s` is monotonic time."""
        match self.stage, event:
            case Stage.LOST, _:
                return
            case _, Gap():
                self._on_gap(event)
            case _, Rebooting():
                self._on_gap(Gap("ap_rebooted", restarted=True))
            case _, TagRecord(was_away=True):
                self._lose("moved")  # another access point writes to this tag from now on (esl T12)
            case Stage.SENDING, _:
                self._while_sending(event)
            case Stage.ECHOED, _:
                self._while_echoed(event)
            case Stage.QUEUED, _:
                self._while_queued(event, now_s)
            case _:
                self._while_stored(event, now_s)

    def expect_update(self, record: TagRecord) -> None:
        """Take a command of our own (LED) as the cause of the tag's new hash: it goes through the same counters."""
        self.hash, self.updates = record.hash, record.update_count

    @property
    def progress(self) -> str:
        """What of the trace has been heard, for the text of a failure."""
        return f"{self.stage.value}, {len(self._blocks)} of {self._total or '?'} blocks"

    def _lose(self, reason: str) -> None:
        self.stage, self.reason = Stage.LOST, reason

    def _on_gap(self, gap: Gap) -> None:
        """Lose what a break may hide. What is stored already is read again and survives, unless all restarted."""
        seen, stored = self.stage is Stage.SEEN, self.stage is Stage.STORED
        if (seen and not gap.unheard) or (stored and not gap.restarted):
            self.gapped = True
            self._restarted |= gap.restarted
        else:
            self._lose(gap.reason)

    def _while_sending(self, event: Event) -> None:
        match event:
            case TagRecord() if event.file != self.before.file and event.content_mode == CONTENT_EXTERNAL_IMAGE:
                self.stage = Stage.ECHOED
                self._file = event.file
            case NewImage():
                self._lose("older_image")  # an upload before ours was still being converted: it lies in front of ours

    def _while_echoed(self, event: Event) -> None:
        match event:
            case NewImage(file=file):
                self.stage, self._file = Stage.QUEUED, file
            case TagRecord() if event.file != self._file:
                self._lose("foreign_write")
            case FileMissing():
                self._lose("upload_forgotten")
            case SameImage():
                self._lose("same_image")
            case BlockRequest():
                self._lose("other_image")

    def _while_queued(self, event: Event, now_s: float) -> None:
        match event:
            case BlockRequest(file=file, block=block) if file == self._file:
                self._blocks.add(block)
            case Progress(total=total):
                self._total = total
            case BlockRequest() | NewImage():
                self._lose("other_image")
            case TransferTimeout():
                self._lose("transfer_timeout")
            case TagRecord(pending=0) if self._listed:
                self._judge(event, now_s)
            case TagRecord(pending=pending) if pending:
                self._listed = True
                if pending > 1:
                    self._lose("queue_shared")

    def _judge(self, record: TagRecord, now_s: float) -> None:
        """Decide, now that the queue ran empty, whether it was our file that the tag took, and all of it."""
        if record.hash == self.before.hash or record.blank:
            self._lose("dropped")
        elif record.update_count != self.before.update_count + 1 or not self._complete:
            self._lose("weak_trace")
        else:
            self.stage, self.stored_s = Stage.STORED, now_s
            self.hash, self.updates = record.hash, record.update_count
            self._last_seen_epoch = record.last_seen_epoch

    @property
    def _complete(self) -> bool:
        return self._total > 0 and self._blocks >= set(range(self._total))

    def _while_stored(self, event: Event, now_s: float) -> None:
        match event:
            case NewImage() | BlockRequest():
                self._lose("foreign_write")
            case TagRecord() if event.rebooted or event.blank:
                self._lose("tag_rebooted")
            case TagRecord() if event.hash != self.hash or event.update_count != self.updates:
                # its database is saved every 5 minutes: after a crash the access point may have forgotten our image
                self._lose("ap_forgot" if self._restarted else "foreign_write")
            case TagRecord():
                self._note_check_in(event, now_s)

    def _note_check_in(self, record: TagRecord, now_s: float) -> None:
        """Take a check-in after the panel's drawing time as proof that the tag came through it."""
        self.gapped = self._restarted = False
        if record.last_seen_epoch != self._last_seen_epoch:
            self._last_seen_epoch = record.last_seen_epoch
            if now_s - self.stored_s >= self.refresh_s:
                self.stage = Stage.SEEN
