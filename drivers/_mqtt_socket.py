"""One paho client on one socket, served by the event loop itself; what happens comes back as groups of events.

paho only codes packets here: its own thread would cost two switches of the interpreter lock for each message (measured:
several times the time of the work itself). Only the blocking part, name look-up, TCP and TLS, has a thread of its own,
a daemon, so that a name server that hangs cannot hold up a clean stop. When its owner has `MAX_HELD` messages (or twice
the largest payload) yet to take, reading stops, so that the sender's TCP window fills: real back-pressure also where no
Receive Maximum helps (QoS 0, MQTT 3.1.1). What the events mean for the link: `_mqtt.py`.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from drivers import _mqtt_wire as wire
from drivers._mqtt_lane import Lane, LaneClient, Puback, Splitter
from drivers._mqtt_wire import Incoming, MqttOptions

MAX_HELD = 2_000  # messages read from the socket and not yet taken by the owner
PACKETS_A_TURN = 250  # then the event loop's other work has its turn
KEEP_ALIVE_TICK_S = 1.0
V5 = MQTTProtocolVersion.MQTTv5


@dataclass(frozen=True, slots=True)
class Connack:
    """The broker's answer to CONNECT."""

    session_present: bool
    reason: ReasonCode
    window: int
    max_packet: int


@dataclass(frozen=True, slots=True)
class Suback:
    """The broker's answer to SUBSCRIBE, one reason for each topic."""

    reasons: list[ReasonCode]


@dataclass(frozen=True, slots=True)
class Ended:
    """The socket is closed. `problem`: what failed before CONNECT was sent; else `text` says why, if anything did."""

    problem: Exception | None
    text: str


Event = Connack | Suback | Puback | Ended | Incoming


class _LastError(logging.Handler):
    """Keeps the last error that paho logs: the only place where it says why a connection broke."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.text = record.getMessage()


class MqttSocket:
    """One connection's socket and packets. `sink` is called in the event loop with each group of events."""

    def __init__(self, options: MqttOptions, protocol: MQTTProtocolVersion) -> None:
        self._options = options
        self._protocol = protocol
        self._sink: Callable[[list[Event]], None]
        self._loop: asyncio.AbstractEventLoop
        self._client: LaneClient
        self._lane: Lane
        self._flush_due = False
        self._reading = self._writing = False  # what the event loop watches
        self._events: list[Event] = []
        self._descriptor = -1  # while it is served by the event loop
        self._tick: asyncio.TimerHandle | None = None
        self._abandoned = False
        self._held = self._held_bytes = 0
        self._farewell = "the connection broke"
        self._evidence = _LastError(logging.ERROR)

    def start(self, sink: Callable[[list[Event]], None]) -> None:
        """Begin to connect. Raises ConfigError for a bad address or certificate file."""
        self._loop = asyncio.get_running_loop()
        self._sink = sink
        self._client = self._new_client()
        threading.Thread(target=self._dial, name=f"mqtt-dial-{self._options.client_id}", daemon=True).start()

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """Subscribe at QoS 1."""
        if self._protocol == V5:
            self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])
        else:
            self._client.subscribe([(topic, 1) for topic in topics])

    def publish(self, packet: bytes) -> None:
        """Put on the wire, together with others of this turn of the event loop."""
        self._lane.publish(packet)
        self._flush_soon()

    def ack(self, messages: Iterable[Incoming]) -> None:
        """Send PUBACKs, together with others of this turn of the event loop."""
        if self._protocol == V5:
            for message in messages:
                if message.qos:
                    self._client.ack(message.mid, message.qos)
        else:
            self._lane.ack([message.mid for message in messages if message.qos])
            self._flush_soon()

    def taken(self, messages: list[Incoming]) -> None:
        """Make room for more: the owner has these messages now."""
        self._held -= len(messages)
        self._held_bytes -= sum([len(message.payload) for message in messages])
        if self._descriptor >= 0:
            self._watch(reading=not self._is_full(), writing=self._writing)

    def goodbye(self) -> None:
        """Send DISCONNECT; the last will is not published then."""
        self._client.disconnect()
        self._flush()

    def abandon(self) -> None:
        """Close the socket without a word, and report no more."""
        self._abandoned = True
        if self._descriptor >= 0:
            self._hang_up()

    def _hang_up(self) -> None:
        # paho's one documented way to close at once: "any already established connection will be terminated".
        self._client.connect_async(*self._options.address)

    def _new_client(self) -> LaneClient:
        client = LaneClient(
            callback_api_version=CallbackAPIVersion.VERSION2,
            client_id=self._options.client_id,
            clean_session=None if self._protocol == V5 else self._options.session_expiry_s == 0,
            protocol=self._protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.splitter = Splitter(self._options.max_payload, version5=self._protocol == V5)
        wire.configure(client, self._options)
        log = logging.Logger("paho", logging.ERROR)  # noqa: LOG001  (outside the tree: its debug lines reach nobody)
        log.addHandler(self._evidence)
        client.enable_logger(log)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda _c, _u, _mid, reasons, _p: self._events.append(Suback(reasons))
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_socket_close = lambda _c, _u, _s: self._unserve()
        client.on_socket_register_write = lambda _c, _u, _s: self._flush_soon()
        return client

    def _dial(self) -> None:
        """Connect. In its own thread: all of this blocks."""
        version5: dict[str, Any] = {}
        if self._protocol == V5:
            clean = self._options.session_expiry_s == 0
            version5 = {"clean_start": clean, "properties": wire.connect_properties(self._options)}
        problem: Exception | None = None
        try:
            self._client.connect(*self._options.address, self._options.keep_alive_s, **version5)
        except (OSError, ValueError) as error:
            problem = error.with_traceback(None)  # its frames hold the socket that paho leaves open
        try:
            self._loop.call_soon_threadsafe(self._serve, problem)
        except RuntimeError:  # the event loop is closed: nobody waits any more
            self._hang_up()

    def _serve(self, problem: Exception | None) -> None:
        """Take the connected socket over into the event loop."""
        sock = self._client.socket()
        if problem is not None or not isinstance(sock, Lane) or self._abandoned:
            self._hang_up()
            self._events.append(Ended(problem, self._farewell))
            self._deliver()
            return
        self._lane, self._descriptor = sock, sock.fileno()
        self._watch(reading=True, writing=False)
        self._flush()
        self._keep_alive()

    def _unserve(self) -> None:
        if self._descriptor >= 0:
            self._watch(reading=False, writing=False)
            self._descriptor = -1
        if self._tick is not None:
            self._tick.cancel()

    def _is_full(self) -> bool:
        return self._held >= MAX_HELD or self._held_bytes > 2 * self._options.max_payload

    def _watch(self, *, reading: bool, writing: bool) -> None:
        """Let the event loop look for what we can use now; it takes its time for each change."""
        if reading != self._reading:
            self._reading = reading
            if reading:
                self._loop.add_reader(self._descriptor, self._readable)
            else:
                self._loop.remove_reader(self._descriptor)
        if writing != self._writing:
            self._writing = writing
            if writing:
                self._loop.add_writer(self._descriptor, self._flush)
            else:
                self._loop.remove_writer(self._descriptor)

    def _readable(self) -> None:
        more = True
        while more and self._descriptor >= 0:
            for_paho = self._lane.fill()
            self._take_quick()
            while for_paho and self._descriptor >= 0:
                for_paho = self._client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS and self._lane.waiting
            more = self._lane.more()
        if self._descriptor >= 0 and self._is_full():
            self._watch(reading=False, writing=self._writing)
        self._deliver()

    def _take_quick(self) -> None:
        received, self._lane.received = self._lane.received, []
        for one in received:
            if isinstance(one, Incoming):
                self._held += 1
                self._held_bytes += len(one.payload)
        self._events += received

    def _flush_soon(self) -> None:
        if self._descriptor >= 0 and not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self._descriptor >= 0 and self._client.want_write():
            self._client.loop_write()
        if self._descriptor >= 0:
            self._watch(reading=self._reading, writing=not self._lane.flush())
        self._deliver()

    def _keep_alive(self) -> None:
        if not self._is_full() and not self._lane.exchanged():  # while we do not read, silence is no evidence
            self._client.loop_misc()
        self._deliver()
        if self._descriptor >= 0:
            self._tick = self._loop.call_later(KEEP_ALIVE_TICK_S, self._keep_alive)

    def _deliver(self) -> None:
        if self._events and not self._abandoned:
            events, self._events = self._events, []
            self._sink(events)

    def _on_connect(
        self, _c: paho.Client, _u: object, flags: paho.ConnectFlags, reason: ReasonCode, given: Properties | None
    ) -> None:
        window = getattr(given, "ReceiveMaximum", wire.LARGEST_WINDOW)
        max_packet = getattr(given, "MaximumPacketSize", wire.UNLIMITED_PACKET)
        self._events.append(Connack(flags.session_present, reason, window, max_packet))

    def _on_disconnect(
        self, _c: paho.Client, _u: object, flags: paho.DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._farewell = f"the broker said: {reason}"
        self._events.append(Ended(None, self._evidence.text or self._farewell))

    def _on_message(self, _c: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        arrived = wire.incoming(message, self._options.max_payload)
        self._held += 1
        self._held_bytes += len(arrived.payload)
        self._events.append(arrived)
