"""Head office's connection to the broker: how to send an order surely, and how to receive without losing an event.

Three rules make it loss-free. A fixed client id with a session that outlives the connection: the broker keeps what
comes meanwhile. QoS 1 with acknowledgement only after the event is safe on our side. Repeats are dropped by `id`.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from drivers._mqtt import Incoming, MqttLink, MqttOptions
from gateway.errors import ConfigError, LinkDown, Rejected
from gateway.hq.wire import MAX_BATCH_BYTES

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
PUBACK_S = 30.0  # a broker that does not acknowledge for so long has not taken the order


@dataclass(frozen=True)
class Broker:
    """Where the broker is and who we are to it."""

    url: str
    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def options(self, client_id: str, subscriptions: Iterable[str] = (), keep_s: int = 0) -> MqttOptions:
        """Return the options of one connection; `keep_s` > 0 = the broker keeps our session for so long."""
        options = MqttOptions(
            url=self.url,
            client_id=client_id,
            username=self.username,
            password=self.password,
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
            session_expiry_s=keep_s,
            subscriptions=tuple(subscriptions),
            max_payload=MAX_BATCH_BYTES,
        )
        options.address  # noqa: B018 - raises ConfigError for a bad address, before anything is tried
        return options


def read_password(path: Path | None) -> str | None:
    """Return the first line of a password file."""
    if path is None:
        return None
    lines = path.read_text("utf-8").splitlines()
    if not lines or not lines[0]:
        raise ConfigError(f"{path}: is empty; its first line must be the password")
    return lines[0]


async def send(link: MqttLink, topic: str, bodies: Iterable[bytes]) -> int:
    """Publish bodies in order and return how many, when the broker has acknowledged each."""
    count = 0
    for body in bodies:
        try:
            async with asyncio.timeout(PUBACK_S):
                await link.publish(topic, body, content_type="application/json")
        except TimeoutError:
            raise LinkDown(f"the broker did not acknowledge part {count + 1} within {PUBACK_S:g} s") from None
        except Rejected as error:
            raise LinkDown(f"the broker refused part {count + 1}: {error}") from error
        count += 1
    return count


async def forget_session(options: MqttOptions) -> None:
    """Tell the broker to keep nothing more for this client id."""
    async with MqttLink(replace(options, session_expiry_s=0, subscriptions=())):
        pass


async def listen(options: MqttOptions) -> AsyncGenerator[tuple[MqttLink, list[Incoming]]]:
    """Yield what arrives, over any number of connections; the first must succeed, later ones are tried for ever.

    An empty list says that a connection was made. The reader calls `link.ack(...)` when what it took is safe.
    """
    wait_s, was_up = FIRST_WAIT_S, False
    while True:
        try:
            async with MqttLink(options) as link:
                was_up, wait_s = True, FIRST_WAIT_S
                yield link, []
                while True:
                    yield link, await link.receive()
        except LinkDown:
            if not was_up:
                raise
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
