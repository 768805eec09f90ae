"""paho's network thread for one connection: it connects, serves, and reports events to the event loop in groups.

One `call_soon_threadsafe` carries however many events have come. Past `MAX_HELD` messages (or twice the largest
payload) that nobody has taken yet, the thread stops reading the socket, so that the sender's TCP window fills: real
back-pressure also where no Receive Maximum helps (QoS 0, MQTT 3.1.1). What the events mean for the link: `_mqtt.py`.
"""

import asyncio
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from drivers import _mqtt_wire as wire
from drivers._mqtt_wire import Incoming, MqttOptions

MAX_HELD = 4_000  # messages read from the socket and not yet taken by the owner
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
class Puback:
    """The broker has (or refuses) our message `mid`."""

    mid: int
    reason: ReasonCode


@dataclass(frozen=True, slots=True)
class Ended:
    """The thread is over. `problem`: what failed before CONNECT was sent; else `text` says why, if anything did."""

    problem: Exception | None
    text: str


Event = Connack | Suback | Puback | Ended | Incoming


class _Client(paho.Client):
    """paho's client whose thread also makes the connection, and always says that it ended, even by a bug."""

    dial: Callable[[], object]
    ended: Callable[[Exception | None], None]

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:  # noqa: FBT001, FBT002, ARG002  (paho's signature)
        """Connect, serve until the connection ends, report the end."""
        problem: Exception | None = None
        try:
            self.dial()
            return super().loop_forever(timeout)
        except (OSError, ValueError) as error:
            problem = error
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        finally:
            self.ended(problem)
            self._unhook()

    def _unhook(self) -> None:
        """Break the reference cycles, so that paho closes its sockets now and not when the collector comes by."""
        del self.dial, self.ended
        self.on_connect = self.on_subscribe = self.on_publish = self.on_message = self.on_disconnect = None


class _LastError(logging.Handler):
    """Keeps the last error that paho logs: the only place where it says why a connection broke."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.text = record.getMessage()


class NetworkThread:
    """One connection's thread. Methods are for the event loop; `sink` is called there with each group of events."""

    def __init__(self, options: MqttOptions, protocol: MQTTProtocolVersion) -> None:
        self._options = options
        self._protocol = protocol
        self._sink: Callable[[list[Event]], None]
        self._loop: asyncio.AbstractEventLoop
        self._client: _Client
        self._posted: deque[Event] = deque()
        self._hop_pending = False
        self._stopping = False
        self._room = threading.Event()
        self._read = self._read_bytes = 0  # written by the thread alone
        self._taken = self._taken_bytes = 0  # written by the event loop alone
        self._farewell = ""
        self._evidence = _LastError(logging.ERROR)

    def start(self, sink: Callable[[list[Event]], None]) -> None:
        """Begin to connect. Raises ConfigError for a bad address or certificate file."""
        self._loop = asyncio.get_running_loop()
        self._sink = sink
        self._client = self._new_client()
        self._client.loop_start()

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """Subscribe at QoS 1."""
        if self._protocol == V5:
            self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])
        else:
            self._client.subscribe([(topic, 1) for topic in topics])

    def publish(
        self, topic: str, payload: bytes, qos: int, properties: Properties | None, *, retain: bool
    ) -> int | str:
        """Hand over to the socket; returns the message id, or why it could not be sent."""
        info = self._client.publish(topic, payload, qos, retain, properties)
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else paho.error_string(info.rc)

    def ack(self, message: Incoming) -> None:
        """Send PUBACK."""
        self._client.ack(message.mid, message.qos)

    def taken(self, messages: list[Incoming]) -> None:
        """Make room for more: the owner has these messages now."""
        self._taken += len(messages)
        self._taken_bytes += sum(len(message.payload) for message in messages)
        self._room.set()

    def goodbye(self) -> None:
        """Send DISCONNECT; the last will is not published then."""
        self._stopping = True
        self._room.set()
        self._client.disconnect()

    def abandon(self) -> None:
        """Shut the socket, as a cut cable would, and hear no more events. Does not wait."""
        self._stopping = True
        self._sink = lambda _events: None
        self._room.set()
        sock = self._client.socket()
        if sock is not None:
            # On a copy of the descriptor: a TLS object is in use by the thread, and the end of file wakes it.
            with suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as twin:
                twin.shutdown(socket.SHUT_RDWR)

    def _new_client(self) -> _Client:
        options, is_v5 = self._options, self._protocol == V5
        host, port = options.address
        client = _Client(
            callback_api_version=CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            clean_session=None if is_v5 else options.session_expiry_s == 0,
            protocol=self._protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        wire.configure(client, options)
        client.enable_logger(self._error_log())
        client.on_connect = self._on_connect
        client.on_subscribe = lambda _c, _u, _mid, reasons, _p: self._post(Suback(reasons))
        client.on_publish = lambda _c, _u, mid, reason, _p: self._post(Puback(mid, reason))
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.ended = lambda problem: self._post(Ended(problem, self._evidence.text or self._farewell))
        version5: dict[str, Any] = {}
        if is_v5:
            version5 = {"clean_start": options.session_expiry_s == 0, "properties": wire.connect_properties(options)}
        client.dial = lambda: self._dial(client, host, port, version5)
        return client

    def _error_log(self) -> logging.Logger:
        logger = logging.Logger("paho", logging.ERROR)  # noqa: LOG001  (outside the tree: its debug lines reach nobody)
        logger.addHandler(self._evidence)
        return logger

    # From here on: in paho's thread. Look, copy, post; nothing else.

    def _dial(self, client: _Client, host: str, port: int, version5: dict[str, Any]) -> None:
        client.connect(host, port, self._options.keep_alive_s, **version5)
        if self._stopping:
            raise ConnectionAbortedError

    def _post(self, event: Event) -> None:
        self._posted.append(event)
        if not self._hop_pending:
            self._hop_pending = True
            with suppress(RuntimeError):  # the event loop is closed: nobody is left to be told
                self._loop.call_soon_threadsafe(self._drain)

    def _on_connect(
        self, _c: paho.Client, _u: object, flags: paho.ConnectFlags, reason: ReasonCode, given: Properties | None
    ) -> None:
        window = getattr(given, "ReceiveMaximum", wire.LARGEST_WINDOW)
        max_packet = getattr(given, "MaximumPacketSize", wire.UNLIMITED_PACKET)
        self._post(Connack(flags.session_present, reason, window, max_packet))

    def _on_disconnect(
        self, _c: paho.Client, _u: object, flags: paho.DisconnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        by_broker = flags.is_disconnect_packet_from_server
        self._farewell = f"the broker said: {reason}" if by_broker else "the connection broke"

    def _on_message(self, _c: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        arrived = wire.incoming(message, self._options.max_payload)
        while self._is_full() and not self._stopping:
            self._room.clear()
            if self._is_full():
                self._room.wait(1.0)
        self._read += 1
        self._read_bytes += len(arrived.payload)
        self._post(arrived)

    def _is_full(self) -> bool:
        held_bytes = self._read_bytes - self._taken_bytes
        return self._read - self._taken >= MAX_HELD or held_bytes > 2 * self._options.max_payload

    # Back in the event loop.

    def _drain(self) -> None:
        self._hop_pending = False  # before the first look: what is posted from now on calls again
        events: list[Event] = []
        while self._posted:
            events.append(self._posted.popleft())
        self._sink(events)
