"""Any store sensor that speaks MQTT on a local broker: its JSON events become facts, unchanged.

Nothing is lost: the session is persistent under a fixed client id, and the broker gets its PUBACK only when the facts
are on disk. With `id_pointer` a redelivery after a crash has the same id, so head office drops it. Bad messages are
acknowledged (they would come for ever), counted, and named in the log once a kind.
Not here: what is a good event (`_sensor_events.py`), the connection (`_mqtt.py`).
Source: OASIS MQTT 5.0 and 3.1.1. Grade: bench (Mosquitto 2.0.11).
"""

import asyncio
import ipaddress
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from drivers._mqtt import Incoming, MqttLink, MqttOptions
from drivers._sensor_events import MAX_PAYLOAD, Parsed, Recipe, ValueType, parse, pointer_tokens
from gateway.driver import DeviceConfig, Emit, Services
from gateway.errors import ConfigError, LinkDown
from gateway.messages import SensorEvent, SensorEventKept, Stream

KEEP_SESSION_S = 1  # MQTT 3.1.1 knows only yes and no; how long is the broker's own setting
GROUP_BYTES = 400_000  # about 2 000 events
FINISH_S = 2.0  # within the supervisor's deadline for a stop
REPORT_S = 1.0
RENEW_S = 60.0
BAD_HOLD_S = 300.0  # how long the last bad event keeps the device degraded

log = logging.getLogger(__name__)


def _is_pointer(pointer: str) -> str:
    pointer_tokens(pointer)
    return pointer


def _is_topic(topic: str) -> str:
    levels = topic.split("/")
    if (
        "#" in "".join(levels[:-1])
        or any(len(level) > 1 and set(level) & {"#", "+"} for level in levels)
        or "\0" in topic
    ):
        raise ValueError('"+" stands for one whole level, "#" for all levels at the end, like "sensors/+/events"')
    return topic


Pointer = Annotated[str, AfterValidator(_is_pointer)]


class Config(DeviceConfig):
    """One subscription on one broker."""

    url: str = Field(
        description="address of the sensors' broker, `mqtt://` or `mqtts://`", examples=["mqtt://127.0.0.1:1883"]
    )
    topic: Annotated[str, AfterValidator(_is_topic)] = Field(
        min_length=1, max_length=1000, description="topic pattern of the events", examples=["sensors/+/events"]
    )
    id_pointer: Pointer | None = Field(
        default=None,
        description="JSON pointer to the sensor's own id of an event; with it a redelivery is not counted twice",
        examples=["/id"],
    )
    time_pointer: Pointer | None = Field(
        default=None,
        description="JSON pointer to the event's time: RFC 3339 text, or seconds or milliseconds since 1970",
        examples=["/time"],
    )
    value_pointer: Pointer | None = Field(
        default=None, description="JSON pointer to a value that each event must have", examples=["/value"]
    )
    value_type: ValueType = Field(default="number", description="what that value must be", examples=["number"])
    stream: Stream = Field(
        default="telemetry", description="`business` events are never dropped to save disk", examples=["telemetry"]
    )
    silent_after_s: float = Field(
        default=900, gt=0, description="seconds without any event after which the state is unknown", examples=[900]
    )
    client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="MQTT client id; not set = `aisled-` and the device's id",
        examples=["aisled-sensors"],
    )
    username: str | None = Field(default=None, description="user name at the broker", examples=["aisled"])
    password_file: Path | None = Field(
        default=None, description="file with the password", examples=["sensors.password"]
    )
    ca_file: Path | None = Field(
        default=None, description="certificate authority of the broker; not set = the system's", examples=["ca.pem"]
    )
    cert_file: Path | None = Field(default=None, description="our client certificate", examples=["gw1.pem"])
    key_file: Path | None = Field(default=None, description="key of our client certificate", examples=["gw1.key"])
    allow_plaintext: bool = Field(
        default=False,
        description="allow `mqtt://` to another machine, readable for the whole network",
        examples=[False],
    )

    @model_validator(mode="after")
    def _address_fits(self) -> Self:
        try:
            host, _ = MqttOptions(url=self.url, client_id="x").address
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if not self.url.startswith("mqtts:") and not self.allow_plaintext and not _is_loopback(host):
            raise ValueError(f"{host} is another machine: use mqtts://, or set allow_plaintext = true")
        return self

    @cached_property
    def recipe(self) -> Recipe:
        """What `parse` needs of it."""
        id_at, time_at, value_at = (
            None if pointer is None else pointer_tokens(pointer)
            for pointer in (self.id_pointer, self.time_pointer, self.value_pointer)
        )
        kind = SensorEventKept if self.stream == "business" else SensorEvent
        return Recipe(self.id, kind, id_at, time_at, value_at, self.value_type)


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class Driver:
    """Takes what has arrived, keeps it in one commit, acknowledges it, and again."""

    def __init__(self, config: Config, services: Services) -> None:
        self._config, self._services = config, services
        self._in_hand: asyncio.Future[None] | None = None  # one group is on its way to the disk
        self._events = 0
        self._last_event_s: float | None = None
        self._bad: Counter[str] = Counter()
        self._last_bad_s = float("-inf")
        self._last_bad_kind = ""
        self._reported_s = float("-inf")
        self._renewal: asyncio.TimerHandle

    async def run(self, emit: Emit) -> None:
        """Serve one connection until it breaks."""
        try:
            async with MqttLink(self._options(KEEP_SESSION_S, (self._config.topic,))) as link:
                self._renew()
                try:
                    while True:
                        await self._serve(link, emit)
                finally:
                    self._renewal.cancel()
                    await self._finish()
        except LinkDown as error:
            step = "check the broker, its power and the cable; it is tried again by itself"
            self._services.report("offline", "broker_unreachable", str(error), step)
            raise

    async def check(self) -> str:
        """Connect without a session and subscribe to nothing."""
        async with MqttLink(self._options(0, (), "-check")) as link:
            return f"{link.options.where}: the broker lets us in"

    def _options(self, expiry_s: int, topics: tuple[str, ...], suffix: str = "") -> MqttOptions:
        config = self._config
        return MqttOptions(
            url=config.url,
            client_id=(config.client_id or f"aisled-{config.id}") + suffix,
            username=config.username,
            password=_secret(config.password_file),
            ca_file=config.ca_file,
            cert_file=config.cert_file,
            key_file=config.key_file,
            session_expiry_s=expiry_s,
            subscriptions=topics,
            version5=False,  # paho spends several times as long on a message of MQTT 5
            max_payload=MAX_PAYLOAD,
        )

    async def _serve(self, link: MqttLink, emit: Emit) -> None:
        messages = await link.receive()
        for group in _groups(messages):
            events = self._events_of(group, known=link.session_present)
            await self._settle()  # the group before was committed while this one was read
            self._in_hand = asyncio.ensure_future(_keep(link, emit, group, events))
        if not link.waiting:
            await self._settle()
        if asyncio.get_running_loop().time() - self._reported_s >= REPORT_S:
            self._report()

    async def _settle(self) -> None:
        if self._in_hand is not None:
            await asyncio.shield(self._in_hand)
            self._in_hand = None

    async def _finish(self) -> None:
        """Finish the write in hand also at a stop: else its messages would come a second time."""
        task, self._in_hand = self._in_hand, None
        if task is not None:
            await asyncio.wait({task}, timeout=FINISH_S)
            if not task.cancel() and not task.cancelled():
                task.exception()  # it was raised already, or the link is gone

    def _events_of(self, messages: Sequence[Incoming], *, known: bool) -> list[SensorEvent]:
        """Read the messages. What a broker retained was seen before, unless it does not know us yet."""
        now, events = self._services.clock.now(), list[SensorEvent]()
        for message in messages:
            if message.oversize:
                self._refuse("too_large", f"{message.size} bytes, at most {MAX_PAYLOAD}", message.topic)
            elif not (message.retain and known):
                parsed = parse(message.payload, self._config.recipe, now)
                events += parsed.events
                if parsed.refused or parsed.wrong_times:
                    self._note(parsed, message.topic)
        if events:
            self._events += len(events)
            self._last_event_s = asyncio.get_running_loop().time()
        return events

    def _note(self, parsed: Parsed, topic: str) -> None:
        for kind, reason in parsed.refused:
            self._refuse(kind, reason, topic)
        if parsed.wrong_times:
            self._count("wrong_time", parsed.wrong_times)
            extra = {"device": self._config.id, "once": "wrong_time"}
            log.warning("a sensor's clock on %s is wrong; our own time is used for its events", topic, extra=extra)

    def _refuse(self, kind: str, reason: str, topic: str) -> None:
        self._count(kind, 1)
        log.warning("not taken from %s: %s", topic, reason, extra={"device": self._config.id, "once": kind})

    def _count(self, kind: str, count: int) -> None:
        self._bad[kind] += count
        self._last_bad_s, self._last_bad_kind = asyncio.get_running_loop().time(), kind

    def _renew(self) -> None:
        """Report while nothing comes; what waits for the disk is no evidence for anything."""
        if self._in_hand is None:
            self._report()
        self._renewal = asyncio.get_running_loop().call_later(RENEW_S, self._renew)

    def _report(self) -> None:
        now = asyncio.get_running_loop().time()
        self._reported_s = now
        report, config = self._services.report, self._config
        silent_s = None if self._last_event_s is None else now - self._last_event_s
        if now - self._last_bad_s < BAD_HOLD_S:
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(self._bad.items()))
            step = "look at what the sensor sends; the log of the gateway names the topic and the reason"
            report("degraded", "bad_events", f"since start {self._events} good events; bad: {counts}", step)
        elif silent_s is None:
            step = f"see whether a sensor is on and publishes to {config.topic}"
            report("unknown", "no_events", "the broker answers, no event came yet", step)
        elif silent_s > config.silent_after_s:
            step = f"see whether the sensors of {config.topic} have power"
            report("unknown", "silent", f"the broker answers, the last event came {silent_s:.0f} s ago", step)
        else:
            evidence = f"{self._events} events since start, the last {silent_s:.0f} s ago"
            report("online", "events", evidence, "nothing to do")


def _groups(messages: Sequence[Incoming]) -> Iterator[Sequence[Incoming]]:
    """Cut what has arrived into groups for one commit each: what is in memory at once stays small."""
    begin = size = 0
    for end, message in enumerate(messages):
        size += len(message.payload)
        if size > GROUP_BYTES:
            yield messages[begin : end + 1]
            begin, size = end + 1, 0
    if begin < len(messages):
        yield messages[begin:]


async def _keep(link: MqttLink, emit: Emit, messages: Sequence[Incoming], events: Sequence[SensorEvent]) -> None:
    if events:
        await emit(*events)
    link.ack(*messages)


def _secret(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"password_file {path}: {error}") from error
