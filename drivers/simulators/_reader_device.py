"""One simulated reader: its clock, its client, its events; joins antennas, ROSpecs, settings and reports.

Runs on the timeline, without sockets: bytes come in by `Connection.receive` and go out over a `Line`.
Not here: what a message means (`_reader_desk.py`), mishaps (`_reader_faults.py`), sockets (`_reader_serve.py`).
"""

import contextlib
import struct
from random import Random
from typing import Protocol

from drivers.simulators import _reader_settings as events
from drivers.simulators._reader_access import AccessSpecs
from drivers.simulators._reader_desk import Desk
from drivers.simulators._reader_inventory import TICK_S, Inventory
from drivers.simulators._reader_kind import MOST_ACCESS_SPECS, Kind
from drivers.simulators._reader_layout import Mount
from drivers.simulators._reader_radio import Antenna
from drivers.simulators._reader_reports import Outbox
from drivers.simulators._reader_settings import Settings
from drivers.simulators._reader_wire import Frames, LostStep, message, text, tlv
from drivers.simulators._reader_world import World

EVENT, KEEPALIVE = 63, 62
SUCCESS, BUSY, ANOTHER = 0, 2, 4  # ConnectionAttemptStatusType; 2 = a client initiated connection already exists
MOST_WAITING = 1 << 20  # bytes of a client that a stalled reader will still look at


class Line(Protocol):
    """The way to one client."""

    @property
    def full(self) -> bool:
        """Tell whether it takes no more for now."""

    def write(self, data: bytes) -> None:
        """Send, now or soon."""

    def close(self) -> None:
        """Hang up after what was written."""

    def abort(self) -> None:
        """Hang up at once, as a cut cable does."""


class Clock:
    """The reader's own time. `skew_s` = how wrong it is."""

    def __init__(self, world: World, epoch_s: float, *, utc: bool) -> None:
        self._timeline, self._utc = world.timeline, utc
        self.epoch_s = epoch_s
        self.skew_s = 0.0
        self._drift_ppm = self._since_s = 0.0

    def drift(self, ppm: float) -> None:
        """Run so much faster than time from now on; what it is wrong by now, stays."""
        self.skew_s += self._gained_s()
        self._drift_ppm, self._since_s = ppm, self._timeline.now_s

    def _gained_s(self) -> float:
        return (self._timeline.now_s - self._since_s) * self._drift_ppm / 1e6

    def us(self) -> int:
        """Return what the reader believes: UTC, or its uptime where it has no clock; never below 0."""
        here_s = self._timeline.now_s + self.skew_s + self._gained_s()
        return max(0, int((self.epoch_s + here_s if self._utc else here_s) * 1e6))


class Connection:
    """One client of a reader. `held`: events and reports wait for ENABLE_EVENTS_AND_REPORTS."""

    def __init__(self, reader: "Reader", line: Line, *, held: bool) -> None:
        self._reader, self.line, self.held = reader, line, held
        self._frames = Frames()
        self._waiting = bytearray()
        self.version = 1

    def receive(self, data: bytes) -> None:
        """Take bytes from the client; a stalled reader leaves them lying."""
        if self._reader.client is not self:
            return
        self._waiting += data
        if len(self._waiting) + self._frames.waiting > MOST_WAITING:
            self._reader.hang_up()
        elif not self._reader.stalled:
            self.catch_up()

    def catch_up(self) -> None:
        """Look at what came in, as long as answers go out: who asks and does not read, waits."""
        data = bytes(self._waiting)
        self._waiting.clear()
        try:
            with contextlib.closing(self._frames.feed(data)) as frames:
                while not self.line.full and (one := next(frames, None)) is not None:
                    self._reader.desk.take(self, one)
        except LostStep:
            self._reader.hang_up()

    def lost(self) -> None:
        """Learn that the client is gone."""
        if self._reader.client is self:
            self._reader.client = None


class Reader:
    """A reader in the shop. ROSpecs and settings outlive a client; what is heard meanwhile is kept for the next."""

    def __init__(
        self, name: str, kind: Kind, mounts: tuple[Mount, ...], world: World, epoch_s: float, reads_per_s: float
    ) -> None:
        self.name, self.kind, self.world = name, kind, world
        self.rng = Random(f"{name} {world.seed}")  # noqa: S311 (repeatable, not secret)
        self.reads_per_s = reads_per_s
        self.ghost_share = 0.0
        self.start_delay_s = 0.0
        self.stall_until_s = 0.0
        self.clock = Clock(world, epoch_s, utc=kind.utc)
        self.antennas = [Antenna(number, mount, self.rng) for number, mount in enumerate(mounts, 1)]
        self.settings = Settings(self.rng.randbytes(6), len(mounts))
        self.access = AccessSpecs(MOST_ACCESS_SPECS)
        self.inventory = Inventory(self)
        self.outbox = Outbox(self._write, self._is_open, kind.buffered, self._tell_level, self._tell_overflow)
        self.desk = Desk(self)
        self.client: Connection | None = None
        self.refused = self.keepalives = self.acknowledged = 0
        self._keepalive_s = 0.0
        self._number = 0

    def begin(self) -> None:
        """Let time pass from now on."""
        self.world.timeline.after(TICK_S, self._beat)

    @property
    def now_s(self) -> float:
        """Return the time of the timeline."""
        return self.world.timeline.now_s

    @property
    def stalled(self) -> bool:
        """Tell whether it hangs: its socket is open and nothing happens."""
        return self.now_s < self.stall_until_s

    # its client

    def connect(self, line: Line) -> Connection | None:
        """Greet a client; a second one is told that the place is taken, and hung up on."""
        if self.client is not None:
            self.refused += 1
            line.write(self._event(tlv(256, struct.pack(">H", BUSY))))
            line.close()
            self.outbox.offer(self._event(tlv(256, struct.pack(">H", ANOTHER))))
            return None
        self.client = Connection(self, line, held=self.settings.hold)
        self.outbox.version = 1
        self.set_keepalive()
        line.write(self._event(tlv(256, struct.pack(">H", SUCCESS))))
        self.outbox.drain()
        return self.client

    def answer(self, data: bytes) -> None:
        """Send an answer: it waits for nothing."""
        if self.client is not None:
            self._write(data)

    def hang_up(self) -> None:
        """End the connection from this side."""
        client, self.client = self.client, None
        if client is not None:
            client.line.close()

    def tell(self, kind: int, parameter: bytes) -> None:
        """Tell of an event, when the client wants to know of its kind."""
        if kind in self.settings.events and (self.client is not None or self.settings.hold):
            self.outbox.offer(self._event(parameter))

    def set_keepalive(self) -> None:
        """Begin a new period: the client changed it."""
        self._keepalive_s = self.now_s + self.settings.keepalive_ms / 1000

    def restart(self, *, keeps_specs: bool) -> None:
        """Forget what a reader forgets without power."""
        self.outbox.clear()
        if not keeps_specs:
            self.inventory.delete(0)
            self.access.delete(0)
            self.settings = Settings(self.settings.mac, len(self.antennas), cut=self.settings.cut)

    # inputs and outputs

    def set_input(self, port: int, *, high: bool) -> None:
        """Drive one of its inputs."""
        if self.settings.gpi_high[port] is high:
            return
        self.settings.gpi_high[port] = high
        if self.settings.gpi_on[port]:
            self.tell(events.GPI, tlv(248, struct.pack(">HB", port, 0x80 if high else 0)))
            self.inventory.edge(port, high=high)

    def set_cable(self, antenna: int, *, plugged: bool) -> None:
        """Plug or pull the cable of an antenna."""
        one = self.antennas[antenna - 1]
        if one.connected is not plugged:
            one.connected = plugged
            (self.settings.cut.discard if plugged else self.settings.cut.add)(antenna)
            self.tell(events.ANTENNA, tlv(255, struct.pack(">BH", plugged, antenna)))

    def complain(self, what: str) -> None:
        """Tell of an exception inside."""
        self.tell(events.EXCEPTION, tlv(252, text(what)))

    # inside

    def _beat(self) -> None:
        self.world.timeline.after(TICK_S, self._beat)
        if self.client is not None and not self.stalled:
            self.client.catch_up()
        self.outbox.drain()
        self.inventory.beat()
        period_ms = self.settings.keepalive_ms
        if period_ms and self.client is not None and not self.stalled and self.now_s >= self._keepalive_s:
            self._keepalive_s = self.now_s + period_ms / 1000
            self.keepalives += 1
            self._write(message(KEEPALIVE, self._next(), version=self.outbox.version))

    def _is_open(self) -> bool:
        client = self.client
        return client is not None and not client.held and not client.line.full and not self.stalled

    def _write(self, data: bytes) -> None:
        assert self.client is not None
        self.client.line.write(data)

    def _next(self) -> int:
        self._number = self._number + 1 & 0xFFFFFFFF
        return self._number

    def _event(self, parameter: bytes) -> bytes:
        stamp = tlv(128 if self.kind.utc else 129, struct.pack(">Q", self.clock.us()))
        return message(EVENT, self._next(), tlv(246, stamp, parameter), version=self.outbox.version)

    def _tell_level(self, percent: int) -> None:
        self.tell(events.BUFFER, tlv(250, bytes([percent])))

    def _tell_overflow(self) -> None:
        self.outbox.offer(self._event(tlv(251)))
