"""One MQTT connection under asyncio. `async with MqttLink(options) as link:` is one connection, used once.

When it breaks, every call raises LinkDown, and the owner makes a new link after its own back-off: nothing reconnects
here. The broker gets a PUBACK only by `ack`, so what was not acknowledged comes again on the next link (persistent
session). MQTT 5 is tried first, then 3.1.1. Publications are done at PUBACK, in the order given.
Not here: what messages mean. Options and error texts are in `_mqtt_wire.py`, the socket in `_mqtt_socket.py`.
Users: `sensor_mqtt`, `gateway/uplink/`.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Self

from paho.mqtt.enums import MQTTProtocolVersion

from drivers import _mqtt_wire as wire
from drivers._mqtt_lane import Puback
from drivers._mqtt_socket import Connack, Ended, Event, MqttSocket, Suback
from drivers._mqtt_wire import Incoming, MqttOptions, TooLarge, TurnedAway, Will
from gateway.errors import ConfigError, GatewayError, LinkDown

__all__ = ["Incoming", "MqttLink", "MqttOptions", "TooLarge", "TurnedAway", "Will"]

MAX_WAITING = 1_000  # publications that wait for room in the send window
HANG_UP_S = 2.0  # a connection that broke later than this before CONNACK was the network's fault, not the version's
FIRST_MID, LAST_MID = 2, 65_535
GOODBYE_S = 1.0  # how long a polite DISCONNECT may take before the socket is shut


class _OlderBroker(LinkDown):
    """The broker did not understand MQTT 5: try 3.1.1."""


class MqttLink:
    """One connection to one broker. All methods belong to the event loop that entered it."""

    def __init__(self, options: MqttOptions) -> None:
        self.options = options
        self.session_present = False
        self.protocol = MQTTProtocolVersion.MQTTv5
        self.max_packet = wire.UNLIMITED_PACKET
        self._socket: MqttSocket | None = None
        self._opened_at = 0.0
        self._window = options.send_window
        self._inbound: list[Incoming] = []
        self._arrived = asyncio.Event()
        self._mid = 1
        self._in_flight: dict[int, asyncio.Future[None]] = {}
        self._waiting: deque[tuple[asyncio.Future[None], tuple[Any, ...]]] = deque()
        self._connected: asyncio.Future[None]
        self._subscribed: asyncio.Future[None]
        self._ended: asyncio.Future[GatewayError]

    async def __aenter__(self) -> Self:
        """Connect and subscribe. Raises LinkDown (try later) or ConfigError (a person must act)."""
        if self.options.version5:
            with suppress(_OlderBroker):
                await self._open(MQTTProtocolVersion.MQTTv5)
                return self
        await self._open(MQTTProtocolVersion.MQTTv311)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Say goodbye (the last will is not published then), at most `GOODBYE_S`."""
        if self._socket is not None and not self._ended.done():
            self._socket.goodbye()
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await asyncio.shield(self._ended)
        self._abandon("closed by us")

    async def receive(self) -> list[Incoming]:
        """Return all that has arrived, at least one message. Waits as long as the link lives, then raises LinkDown."""
        while not self._inbound:
            if self._subscribed.done():
                self._subscribed.result()  # raises ConfigError when the broker refused the topic
            if self._ended.done():
                raise self._ended.result()
            self._arrived.clear()
            await self._arrived.wait()
        batch, self._inbound = self._inbound, []
        if self._socket is not None:
            self._socket.taken(batch)
        return batch

    @property
    def waiting(self) -> int:
        """Messages that `receive` would return at once."""
        return len(self._inbound)

    def ack(self, *messages: Incoming) -> None:
        """Send PUBACK for messages of this link. Nothing happens when the link is gone: they will come again."""
        if self._socket is None or self._ended.done():
            return
        self._socket.ack(messages)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        correlation: bytes | None = None,
        content_type: str | None = None,
        expiry_s: int | None = None,
    ) -> "asyncio.Future[None]":
        """Publish; the future is done at PUBACK (QoS 0: when sent). It raises LinkDown, or Rejected with the reason.

        At most `send_window`, or the broker's Receive Maximum if that is less, are in flight; the rest waits in order.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        properties = b""
        if self.protocol == MQTTProtocolVersion.MQTTv5:
            properties = wire.publish_properties(correlation, content_type, expiry_s)
        if self._ended.done():
            _fail(future, self._ended.result())
        elif len(payload) + len(topic) + 64 > self.max_packet:
            _fail(future, TooLarge(f"{len(payload)} bytes are more than the broker takes ({self.max_packet})"))
        elif len(self._waiting) >= MAX_WAITING:
            _fail(future, LinkDown(f"{MAX_WAITING} messages already wait for the broker"))
        else:
            self._waiting.append((future, (topic, payload, qos, retain, properties)))
            self._send_waiting()
        return future

    async def wait_closed(self) -> str:
        """Return when the link has ended, with the reason in plain words."""
        return str(await asyncio.shield(self._ended))

    def drop(self, reason: str) -> None:
        """End the link without a word, as a cut cable would: its owner found it dead."""
        self._abandon(reason)

    async def _open(self, protocol: MQTTProtocolVersion) -> None:
        loop = asyncio.get_running_loop()
        self.protocol, self._opened_at = protocol, loop.time()
        self._connected, self._subscribed, self._ended = (
            loop.create_future(),
            loop.create_future(),
            loop.create_future(),
        )
        self._socket = MqttSocket(self.options, protocol)
        self._socket.start(self._take)
        try:
            async with asyncio.timeout(2 * self.options.connect_timeout_s):
                await self._connected
                if self.options.subscriptions:
                    self._socket.subscribe(self.options.subscriptions)
                    if (
                        not self.session_present
                    ):  # else a backlog comes first, which stops the reading until it is taken
                        await self._subscribed
        except TimeoutError:
            self._abandon("MQTT does not answer")
            raise LinkDown(f"{self.options.where}: MQTT does not answer") from None
        except (GatewayError, asyncio.CancelledError):
            self._abandon("not connected")
            raise

    def _abandon(self, reason: str) -> None:
        if self._socket is not None:
            self._socket.abandon()
            self._socket = None
        self._finish(LinkDown(reason))

    def _take(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Incoming():
                    self._inbound.append(event)
                case Puback():
                    self._take_puback(event)
                case Connack():
                    self._take_connack(event)
                case Suback():
                    self._take_suback(event)
                case Ended():
                    self._finish(self._end_error(event))
        if self._inbound:
            self._arrived.set()
        self._send_waiting()

    def _take_connack(self, answer: Connack) -> None:
        if answer.reason.value == wire.UNSUPPORTED_VERSION and self.protocol == MQTTProtocolVersion.MQTTv5:
            _fail(self._connected, _OlderBroker(self.options.where))
        elif answer.reason.is_failure:
            _fail(self._connected, wire.refusal(answer.reason, self.options.where))
        elif not self._connected.done():
            self.session_present = answer.session_present
            self._window = min(self.options.send_window, answer.window)
            self.max_packet = answer.max_packet
            self._connected.set_result(None)

    def _take_suback(self, answer: Suback) -> None:
        answers = zip(self.options.subscriptions, answer.reasons, strict=False)
        refused = [topic for topic, reason in answers if reason.is_failure]
        if refused:
            text = f"{self.options.where}: the broker does not let us subscribe to {', '.join(refused)}"
            _fail(self._subscribed, ConfigError(text))
        elif not self._subscribed.done():
            self._subscribed.set_result(None)

    def _take_puback(self, answer: Puback) -> None:
        future = self._in_flight.pop(answer.mid, None)
        if future is None or future.done():
            return
        if answer.code >= wire.REFUSED_FROM:
            _fail(future, wire.puback_refusal(answer.code))
        else:
            future.set_result(None)

    def _finish(self, error: GatewayError) -> None:
        if self._ended.done():
            return
        self._ended.set_result(error)
        self._arrived.set()
        for future in (self._connected, self._subscribed, *self._in_flight.values(), *(f for f, _ in self._waiting)):
            _fail(future, error)
        self._in_flight.clear()
        self._waiting.clear()

    def _end_error(self, end: Ended) -> GatewayError:
        where = self.options.where
        if end.problem is not None:
            return wire.dial_failure(end.problem, self.options)
        if "ALERT" in end.text.upper():  # TLS 1.3: a client certificate is refused only after the handshake
            return ConfigError(f"{where}: the broker refused our certificate: {end.text}")
        at_once = asyncio.get_running_loop().time() - self._opened_at < HANG_UP_S
        if at_once and not self._connected.done() and self.protocol == MQTTProtocolVersion.MQTTv5:
            return _OlderBroker(f"{where}: {end.text}")  # some old brokers just hang up on MQTT 5
        if wire.TAKEN_OVER in end.text:
            return wire.TurnedAway(f"{where}: another machine signed in with our client id {self.options.client_id}")
        return LinkDown(f"{where}: {end.text or 'the connection broke'}")

    def _send_waiting(self) -> None:
        while self._socket is not None and self._waiting and len(self._in_flight) < self._window:
            future, (topic, payload, qos, retain, properties) = self._waiting.popleft()
            if future.cancelled():
                continue
            mid = self._next_mid() if qos else 0
            self._socket.publish(wire.publish_packet(topic, payload, mid, properties, qos=qos, retain=retain))
            if qos:
                self._in_flight[mid] = future
            else:
                future.set_result(None)

    def _next_mid(self) -> int:
        """Return a packet id that is free. The first one is left to paho, for its SUBSCRIBE."""
        while True:
            self._mid = self._mid + 1 if self._mid < LAST_MID else FIRST_MID
            if self._mid not in self._in_flight:
                return self._mid


def _fail(future: "asyncio.Future[None]", error: GatewayError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # marks it as seen: that its owner has gone is no bug
