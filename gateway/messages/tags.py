"""What RFID readers say of tags, and what follows: where an item is, what a count found, what left unsold.

Raw reads are `Reading`s: they are used once and never stored. An EPC is upper-case hex; what it says (GTIN, serial) is
told by `gateway/codes/epc.py` and may be nothing: an EPC that cannot be decoded is never refused.
No message here holds a terminal, a basket or a customer beside an EPC; only a sale line does, if its till sent `epcs`.
Who ordered something about a tag is named beside its EPC: `actor` of `tag.written`, and of the audit entries of
`tag_encode`, `tag_lock`, `tag_kill`, `clear_exit` and `forget_tag`.
"""

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import AwareDatetime, Field, SkipValidation

from gateway.messages.kinds import Fact, Gtin, Reading, Reason, Stream

Epc = Annotated[str, Field(pattern=r"^(?:[0-9A-F]{2}){1,62}$")]  # TDS: 96 to 496 bits; readers may give any length
ZoneId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
SessionId = Annotated[str, Field(min_length=1, max_length=120)]


class TagRead(NamedTuple):
    """One tag as one antenna heard it. `at_us`: UTC microseconds, by the reader's clock corrected to ours.

    `rssi_cdbm`: hundredths of a dBm, the best of `seen` reads; None when the reader's figure is no power in dBm.
    `phase`: 0 to 4095 for a whole turn (Impinj), None where the reader does not tell it.
    """

    epc: str
    antenna: int
    at_us: int
    rssi_cdbm: int | None = None
    seen: int = 1
    phase: int | None = None


class TagReads(Reading):
    """Reads of one reader (`source`), oldest first. Only our own decoders make them: they are not checked again."""

    reads: SkipValidation[tuple[TagRead, ...]]


class ReaderHeard(Reading):
    """The reader is reading on these antennas at this moment: what it does not report now, it does not hear.

    Said every few seconds. Between two of these the time counts for what is absent; while there are none it stands
    still, so that an outage of a reader makes nothing leave.
    """

    antennas: tuple[int, ...]


class ReaderInput(Reading):
    """A general purpose input of the reader changed (a light barrier, a door contact)."""

    port: int
    high: bool


class TagArrived(Fact):
    """A tag is in the shop now, in this zone: new, or back after it was absent. `share` is the confidence, 0 to 1."""

    type: ClassVar[str] = "tag.arrived"
    stream: ClassVar[Stream] = "telemetry"
    epc: Epc
    gtin: Gtin | None
    zone: ZoneId
    share: float
    back: bool = False


class TagMoved(Fact):
    """A tag is in another zone. `share`: how much of the power that was heard of it came from the new zone."""

    type: ClassVar[str] = "tag.moved"
    stream: ClassVar[Stream] = "telemetry"
    epc: Epc
    gtin: Gtin | None
    zone: ZoneId
    from_zone: ZoneId
    share: float


class TagAbsent(Fact):
    """A tag was not heard for longer than it is ever silent. An inference, not an observation: it may be hidden."""

    type: ClassVar[str] = "tag.absent"
    stream: ClassVar[Stream] = "telemetry"
    epc: Epc
    gtin: Gtin | None
    zone: ZoneId
    last_read_at: AwareDatetime
    silent_s: float


class GoodsReceived(Fact):
    """Items that came in at goods in went on into the shop: they are stock now."""

    type: ClassVar[str] = "goods.received"
    gtin: Gtin | None
    epcs: tuple[Epc, ...]
    zone: ZoneId
    document: str | None = None


class ExitRead(NamedTuple):
    """One read of the evidence: antenna as `reader:antenna`, seconds before the decision, power."""

    antenna: str
    ago_s: float
    rssi_dbm: float | None


class ExitAlarm(Fact):
    """An item that nobody sold went out by this door. What was heard, not who carried it.

    `score`: how sure the direction is, 0 to 1. `id` comes back in `ExitCleared.alarm`.
    """

    type: ClassVar[str] = "exit.alarm"
    epc: Epc
    gtin: Gtin | None
    zone: ZoneId
    left_at: AwareDatetime
    reads: int
    score: float
    evidence: tuple[ExitRead, ...]


class ExitCleared(Fact):
    """An alarm was none: a till that was cut off told of the sale later, the item came back, or a person says so."""

    type: ClassVar[str] = "exit.cleared"
    alarm: str
    epc: Epc
    reason: Literal["sold", "back", "person"]


class CountStarted(Fact):
    """A count began. `expected` items should be in these zones by what is known."""

    type: ClassVar[str] = "count.started"
    session: SessionId
    kind: Literal["count", "receiving"]
    zones: tuple[ZoneId, ...]
    expected: int


class CountProgress(Fact):
    """How far a count is. `coverage`: estimated share of what is there that has been heard, by capture-recapture."""

    type: ClassVar[str] = "count.progress"
    stream: ClassVar[Stream] = "telemetry"
    session: SessionId
    seen: int
    found: int
    expected: int
    coverage: float | None
    new_per_1000_reads: float | None


class CountRow(NamedTuple):
    """One product of a count. `confidence`: how likely a missing one is really missing, 0 to 1."""

    gtin: str | None
    expected: int
    found: int
    missing: int
    unexpected: int
    confidence: float


class CountResult(Fact):
    """What a count found, by product, in parts of at most 200 rows; `count.finished` comes after the last."""

    type: ClassVar[str] = "count.result"
    session: SessionId
    part: int
    parts: int
    rows: tuple[CountRow, ...]


class CountFinished(Fact):
    """A count ended: items by number. `ended` says why: `complete` = nothing new was heard any more."""

    type: ClassVar[str] = "count.finished"
    session: SessionId
    kind: Literal["count", "receiving"]
    zones: tuple[ZoneId, ...]
    started_at: AwareDatetime
    ended: Literal["command", "complete", "time_limit", "cancelled"]
    expected: int
    found: int
    missing: int
    unexpected: int
    undecoded: int
    products: int
    coverage: float | None


class ShrinkageFound(Fact):
    """More of a product is gone than was sold since the count before: `before + received - sold - counted`."""

    type: ClassVar[str] = "shrinkage.found"
    session: SessionId
    gtin: Gtin
    before: int
    received: int
    sold: int
    counted: int
    gone: int
    confidence: float


class TagWritten(Fact):
    """A tag was encoded, locked or killed by order of a person. The passwords are nowhere."""

    type: ClassVar[str] = "tag.written"
    action: Literal["encode", "lock", "kill"]
    epc: Epc
    new_epc: Epc | None = None
    actor: str
    result: Literal["done", "failed"]
    reason: Reason | None = None
