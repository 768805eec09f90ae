"""The demo's MQTT broker: amqtt, in this process, on loopback. Never for a shop: it forgets what comes for the absent.

amqtt speaks MQTT 3.1.1 and hangs on a CONNECT of MQTT 5, so our own listener looks at the first packet and tells such a
client the truth: unsupported version (MQTT 5.0, 3.2.2.2). Clients then come again with 3.1.1.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.errors import ConfigError

try:
    from amqtt.adapters import ReaderAdapter, StreamWriterAdapter
    from amqtt.broker import Broker
    from amqtt.errors import AMQTTError
except ImportError as missing:  # in the extra `demo` only
    raise ConfigError("the demo needs its broker; run: pip install 'aisled[demo]'") from missing

LISTENER = "loopback"
FIRST_PACKET_S = 5.0
UNSUPPORTED_VERSION = bytes([0x20, 3, 0, 0x84, 0])  # CONNACK of MQTT 5.0
NEWEST_UNDERSTOOD = 4  # protocol level of MQTT 3.1.1


@asynccontextmanager
async def demo_broker() -> AsyncIterator[int]:
    """Run the broker and yield its port."""
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    broker = Broker(
        {"listeners": {"default": {"type": "external"}, LISTENER: {"type": "external"}}, "plugins": anonymous}
    )
    await broker.start()
    door = await asyncio.start_server(_Door(broker).enter, "127.0.0.1", 0)
    try:
        yield door.sockets[0].getsockname()[1]
    finally:
        door.close()
        await broker.shutdown()


class _Door:
    """Lets clients in that speak a version which the broker understands."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, TimeoutError, AMQTTError):
            async with asyncio.timeout(FIRST_PACKET_S):
                head = await _connect_head(reader)
            if head[-1] > NEWEST_UNDERSTOOD:
                writer.write(UNSUPPORTED_VERSION)
                await writer.drain()
            else:
                await self._broker.external_connected(_Replay(head, reader), StreamWriterAdapter(writer), LISTENER)
        writer.close()


async def _connect_head(reader: asyncio.StreamReader) -> bytes:
    """Read a CONNECT up to and with its protocol level (3.1.1, 3.1.2.2)."""
    head = await reader.readexactly(2)
    while head[-1] & 0x80:  # the remaining length has up to four bytes
        head += await reader.readexactly(1)
    return head + await reader.readexactly(2 + 4 + 1)  # length, "MQTT", level


class _Replay(ReaderAdapter):  # type: ignore[misc]  # amqtt has no type information
    """The client's bytes from the first one on, although the door has read some."""

    def __init__(self, head: bytes, rest: asyncio.StreamReader) -> None:
        self._head, self._rest = head, rest

    async def read(self, n: int = -1) -> bytes:
        if not self._head:
            return await (self._rest.read(n) if n == -1 else self._rest.readexactly(n))
        wanted = len(self._head) if n == -1 else n
        taken, self._head = self._head[:wanted], self._head[wanted:]
        return taken if len(taken) == wanted else taken + await self.read(wanted - len(taken))

    def feed_eof(self) -> None:
        self._rest.feed_eof()
