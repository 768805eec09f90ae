"""Facts about the gateway itself, its devices, its alarms and what persons told it to do."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from gateway.messages.kinds import Digest, Fact, Reason, Stream


class MasterApplied(Fact):
    """Products, bindings or planogram of this sequence are kept."""

    type: ClassVar[str] = "master.applied"
    kind: Literal["products", "bindings", "planogram"]
    sequence: int
    count: int


class MasterRefused(Fact):
    """Master data, or one item of it, was not taken."""

    type: ClassVar[str] = "master.refused"
    kind: Literal["products", "bindings", "planogram"]
    sequence: int | None
    item: str | None
    reason: Reason


class AlarmRaised(Fact):
    """A person should look. `alarm` is stable, so that raise and clear pair up."""

    type: ClassVar[str] = "alarm.raised"
    alarm: str
    text: str
    next_step: str
    subjects: tuple[str, ...] = ()


class AlarmCleared(Fact):
    """The alarm's cause is gone."""

    type: ClassVar[str] = "alarm.cleared"
    alarm: str


class DeviceState(Fact):
    """State of a device (`source`) changed: reason code, evidence, what to do next."""

    type: ClassVar[str] = "device.state"
    state: Literal["unknown", "online", "degraded", "offline", "parked", "stopped"]
    reason: str
    evidence: str
    next_step: str


class CommandDone(Fact):
    """A command of head office or of a technician was carried out."""

    type: ClassVar[str] = "command.done"
    command: str
    name: str
    result: dict[str, Any] = Field(default_factory=dict)


class CommandRefused(Fact):
    """A command was not carried out."""

    type: ClassVar[str] = "command.refused"
    command: str | None
    name: str
    reason: Reason


class AuditEntry(Fact):
    """Who did what: every act of a person that changes a price's safety, a binding or the configuration."""

    type: ClassVar[str] = "audit.entry"
    actor: str
    action: str
    subject: str


class BufferDropped(Fact):
    """Rows left the outbox unsent: `count` of `first_sequence` .. `last_sequence` of `about` will never arrive.

    All of them, or every second one where telemetry was thinned. After damage also numbers that were never used.
    """

    type: ClassVar[str] = "buffer.dropped"
    about: Stream
    count: int
    first_sequence: int
    last_sequence: int
    reason: Reason


class GatewayStarted(Fact):
    """The daemon runs."""

    type: ClassVar[str] = "gateway.started"
    version: str
    clean: bool


class GatewayStopped(Fact):
    """The daemon was asked to stop."""

    type: ClassVar[str] = "gateway.stopped"
    reason: str


class GatewayHealth(Fact):
    """The daemon's own figures, once a minute.

    `journal_rows` and `journal_head` name the end of the price journal: who keeps them can tell a rewritten chain.
    """

    type: ClassVar[str] = "gateway.health"
    stream: ClassVar[Stream] = "telemetry"
    unsent_business: int
    unsent_telemetry: int
    buffer_hours_left: float | None
    disk_free_mib: int
    rss_mib: int
    loop_lag_ms: float
    timequality: Literal["synced", "holdover", "unknown"]
    journal_rows: int | None = None
    journal_head: Digest | None = None


class SensorEvent(Fact):
    """One event of a foreign sensor; `data` is the sensor's own JSON object, byte for byte."""

    type: ClassVar[str] = "sensor.event"
    stream: ClassVar[Stream] = "telemetry"
    body: str

    def data_json(self) -> str:
        """Return the sensor's own object, unchanged."""
        return self.body


class SensorEventKept(SensorEvent):
    """The same, for a sensor whose events matter for business (`stream = "business"` in its configuration)."""

    stream: ClassVar[Stream] = "business"
