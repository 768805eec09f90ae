"""What MQTT looks like to us: options, messages, and paho's codes and exceptions put into our errors. No I/O loop here.

For what speaks to a broker: the uplink (`gateway/uplink/`) and `sensor_mqtt`. The connection itself is `_mqtt.py`.
Source: OASIS MQTT 5.0 and 3.1.1; paho-mqtt 2. Grade: bench (Mosquitto 2.0.11, amqtt 0.12).
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.errors import ConfigError, GatewayError, LinkDown, Rejected

DEFAULT_PORT = {"mqtt": 1883, "mqtts": 8883}
UNSUPPORTED_VERSION = 0x84  # MQTT 5.0, 3.2.2.2: the broker knows only 3.1.1
PACKET_TOO_LARGE = 0x95
REFUSED_FROM = 0x80  # 2.4: reason codes from here on say that it failed
PUBLISH = 0x30
NO_PROPERTIES = b"\x00"
TAKEN_OVER = "Session taken over"  # 0x8E, as paho words it
# MQTT 5.0, 3.2.2.2: a retry with the same identity ends the same way, until a person changes something.
A_PERSON_MUST_ACT = {
    0x85: "the broker does not accept this client id",
    0x86: "the broker says: bad user name or password",
    0x87: "the broker says: not authorised",
    0x8A: "the broker has banned this client",
    0x8C: "the broker does not offer this way to sign in",
}
UNLIMITED_PACKET = 268_435_460  # 2.1.4: the largest packet that the length field can say
LARGEST_WINDOW = 65_535  # 3.2.2.3.3: what a broker that names no Receive Maximum takes


class TooLarge(Rejected):
    """The broker does not take a message of this size."""


class TurnedAway(LinkDown):
    """The broker answered and does not want us now: ask again, but slowly."""


@dataclass(frozen=True)
class Will:
    """What the broker publishes for us when the connection breaks."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


@dataclass(frozen=True)
class MqttOptions:
    """One connection. `session_expiry_s` 0 = clean session; else the broker keeps ours under the fixed `client_id`.

    `version5` False = MQTT 3.1.1 at once: paho spends three to five times as long on a message of MQTT 5, so choose
    that where many small messages come and neither response topics nor the broker's limits are of use.
    """

    url: str
    client_id: str
    version5: bool = True
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    session_expiry_s: int = 0
    keep_alive_s: int = 20
    connect_timeout_s: float = 5.0
    will: Will | None = None
    subscriptions: tuple[str, ...] = ()
    receive_maximum: int = 100
    send_window: int = 20
    max_payload: int = 1 << 20

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. Raises ConfigError when the URL is not `mqtt://host[:port]` or `mqtts://host[:port]`."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"broker address: {error}; write it like mqtts://broker.example:8883") from error
        if parts.scheme not in DEFAULT_PORT or not parts.hostname or parts.path not in {"", "/"}:
            raise ConfigError("broker address must look like mqtts://broker.example:8883")
        if parts.username or parts.password:
            raise ConfigError("broker address must not hold a user name or a password; they have fields of their own")
        return parts.hostname, port or DEFAULT_PORT[parts.scheme]

    @property
    def encrypted(self) -> bool:
        """Whether the connection is TLS."""
        return self.url.startswith("mqtts:")

    @property
    def where(self) -> str:
        """The broker's name in messages to people; holds no secret."""
        host, port = self.address
        return f"{host}:{port}"


class Incoming(NamedTuple):
    """One message from the broker. `size` is its true length: of one over `max_payload` the payload is dropped."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    retain: bool
    duplicate: bool
    size: int
    response_topic: str | None = None
    correlation: bytes | None = None

    @property
    def oversize(self) -> bool:
        """Whether the payload was too large to be kept."""
        return self.size > len(self.payload)


def incoming(message: paho.MQTTMessage, max_payload: int) -> Incoming:
    """Copy what we use of paho's message. A topic that is not UTF-8 is shown with replacement characters."""
    try:
        topic = message.topic
    except UnicodeDecodeError as error:
        topic = error.object.decode("utf-8", "replace")
    size = len(message.payload)
    properties = message.properties
    return Incoming(
        topic=topic,
        payload=bytes(message.payload) if size <= max_payload else b"",
        mid=message.mid,
        qos=message.qos,
        retain=message.retain,
        duplicate=message.dup,
        size=size,
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation=getattr(properties, "CorrelationData", None),
    )


def tls_context(options: MqttOptions) -> ssl.SSLContext:
    """Trust `ca_file` alone when given, else the system's authorities. Raises ConfigError that names the file."""
    name = options.ca_file
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
        name = options.cert_file
        if options.cert_file:
            context.load_cert_chain(options.cert_file, options.key_file)
    except (OSError, ValueError) as error:
        raise ConfigError(f"certificate file {name}: {error}") from error
    return context


def configure(client: paho.Client, options: MqttOptions) -> None:
    """Set what must be known before the connection is made. Raises ConfigError."""
    client.max_inflight_messages_set(0)  # the window is ours: paho's scans all that is in flight on every PUBACK
    client.connect_timeout = options.connect_timeout_s
    if options.username is not None:
        client.username_pw_set(options.username, options.password)
    if options.encrypted:
        client.tls_set_context(tls_context(options))
    if options.will:
        client.will_set(options.will.topic, options.will.payload, options.will.qos, options.will.retain)


def connect_properties(options: MqttOptions) -> Properties:
    """Return the MQTT 5 properties of CONNECT."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = options.session_expiry_s
    properties.ReceiveMaximum = options.receive_maximum
    # Twice the cap: what is a little too large comes and is refused with a reason; worse stays at the broker.
    properties.MaximumPacketSize = min(2 * options.max_payload + 65_536, UNLIMITED_PACKET)
    return properties


def publish_properties(correlation: bytes | None, content_type: str | None, expiry_s: int | None) -> bytes:
    """Return the MQTT 5 properties of PUBLISH as they travel (3.3.2.3)."""
    if correlation is None and content_type is None and expiry_s is None:
        return NO_PROPERTIES
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if correlation is not None:
        properties.CorrelationData = correlation
    if content_type is not None:
        properties.ContentType = content_type
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    packed: bytes = properties.pack()  # type: ignore[no-untyped-call]
    return packed


def publish_packet(topic: str, payload: bytes, mid: int, properties: bytes, *, qos: int, retain: bool) -> bytes:
    """Return a PUBLISH of QoS 0 or 1. `properties`: with their length before them in MQTT 5, empty in 3.1.1."""
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name + (mid.to_bytes(2, "big") if qos else b"") + properties
    size, length = len(head) + len(payload), bytearray()
    while size > 0x7F:  # 1.5.5: seven bits at a time, the lowest first
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((PUBLISH | qos << 1 | retain, *length, size)) + head + payload


def puback_refusal(code: int) -> Rejected:
    """Put the broker's reason for refusing a message into our words."""
    if code == PACKET_TOO_LARGE:  # not in the standard's list for PUBACK, but sent
        return TooLarge("Packet too large")
    try:
        return Rejected(str(ReasonCode(PacketTypes.PUBACK, identifier=code)))
    except (KeyError, ValueError):
        return Rejected(f"reason code 0x{code:02x}")


def refusal(reason: ReasonCode, where: str) -> GatewayError:
    """Put the broker's reason for refusing a connection into our words."""
    code = reason.value
    if code in A_PERSON_MUST_ACT:
        return ConfigError(f"{where}: {A_PERSON_MUST_ACT[code]}")
    return TurnedAway(f"{where}: the broker refused: {reason}")


def dial_failure(error: Exception, options: MqttOptions) -> GatewayError:
    """Put what went wrong before CONNACK into our words: a certificate needs a person, the rest needs time."""
    where = options.where
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"{where}: its certificate is not trusted: {error.verify_message}"
        return ConfigError(f"{text} (check ca_file, the host name, and this machine's clock)")
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return ConfigError(f"{where}: the broker refused our certificate or TLS version: {error.reason}")
    if isinstance(error, TimeoutError):
        return LinkDown(f"{where}: no answer within {options.connect_timeout_s:g} s")
    return LinkDown(f"{where}: {getattr(error, 'strerror', None) or error}")
