"""The link to head office, kept alive: one connection for events up and orders down, on the first broker that answers.

`Uplink.run()` connects, runs publisher and orders over the link, and when it breaks waits by `backoff.py` and tries the
next broker. After a link that worked the preferred broker comes first again. What head office sees of us between
events: `up/status` (retained; the last will says offline) and `up/health` (retained, once a minute).
Not here: what is published (`publisher.py`), what orders do (`commands.py`), packets (`drivers/_mqtt.py`).
"""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from drivers._mqtt import MqttLink, MqttOptions, TurnedAway, Will
from gateway.driver import ReportHealth
from gateway.errors import ConfigError, GatewayError, LinkDown
from gateway.messages import GatewayHealth
from gateway.prices.waves import MAX_BYTES
from gateway.uplink.backoff import PERSON_S, TURNED_AWAY_S, BackOff
from gateway.uplink.commands import Orders, TrustedClock
from gateway.uplink.publisher import PATIENCE_S, SUSPECT_S, Outbox, Publisher, Submit
from gateway.uplink.settings import HqConfig, read_secret
from gateway.uplink.topics import Topics

ORDERS_IN_FLIGHT = 4  # each may be MAX_BYTES large
GOODBYE_S = 1.0
HEARTBEAT_S = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """Every wait of the uplink; tests shorten them. `scale` shortens the back-off."""

    patience_s: float = PATIENCE_S
    suspect_s: float = SUSPECT_S
    connect_timeout_s: float = 5.0
    worked_s: float = 10.0
    scale: float = 1.0


class Uplink:
    """One gateway's link. `measure` gives the figures of `up/health`."""

    def __init__(
        self,
        config: HqConfig,
        topics: Topics,
        outbox: Outbox,
        submit: Submit,
        clock: TrustedClock,
        report: ReportHealth,
        *,
        measure: Callable[[], Awaitable[GatewayHealth]] | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._config = config
        self._topics = topics
        self._clock = clock
        self._report = report
        self._measure = measure
        self._timing = timing or Timing()
        self._backoff = BackOff(random.random, self._timing.scale)
        self._orders = Orders(topics, submit, clock)
        self.publisher = Publisher(
            outbox,
            topics.streams,
            submit,
            clock,
            max_message=config.max_message_kib * 1024,
            patience_s=self._timing.patience_s,
            suspect_s=self._timing.suspect_s,
        )

    async def run(self) -> None:
        """Keep a link until cancelled."""
        loop = asyncio.get_running_loop()
        which = 0
        while True:
            started, published = loop.time(), self.publisher.published
            failure = await self._one_link(self._config.urls[which % len(self._config.urls)])
            worked = self.publisher.published > published or loop.time() - started > self._timing.worked_s
            if worked:
                self._backoff.worked()
            which = 0 if worked else which + 1
            self._tell_offline(failure)
            await asyncio.sleep(self._backoff.delay_s(loop.time(), _slower(failure)))

    async def _one_link(self, url: str) -> GatewayError:
        """Serve one link to its end, and return why it ended."""
        try:
            async with MqttLink(self._options(url)) as link:
                return await self._serve(link)
        except GatewayError as error:
            return error

    async def _serve(self, link: MqttLink) -> GatewayError:
        link.publish(self._topics.up("status"), self._status("online", "connected"), retain=True)
        # No TaskGroup: when a task fails at the moment of our own cancellation, it tells only of the failure.
        tasks = (
            asyncio.create_task(self.publisher.serve(link), name="hq-publisher"),
            asyncio.create_task(self._orders.serve(link), name="hq-orders"),
            asyncio.create_task(self._heartbeat(link), name="hq-heartbeat"),
        )
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            with suppress(TimeoutError, GatewayError):
                async with asyncio.timeout(GOODBYE_S):
                    await link.publish(self._topics.up("status"), self._status("offline", "stopped"), retain=True)
            raise
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        return _worst(ends)

    async def _heartbeat(self, link: MqttLink) -> None:
        version = "5" if link.protocol == 5 else "3.1.1"
        session = "kept" if link.session_present else "new"
        while True:
            self._report("online", "connected", f"{link.options.where}, MQTT {version}, session {session}", "")
            if self._measure is not None:
                health = await self._measure()
                link.publish(self._topics.up("health"), health.data_json().encode(), retain=True)
            await asyncio.sleep(HEARTBEAT_S)

    def _options(self, url: str) -> MqttOptions:
        config = self._config
        return MqttOptions(
            url=url,
            client_id=config.client_id or f"aisled-{self._topics.store}-{self._topics.gateway}",
            username=config.username,
            password=read_secret(config.password_file) if config.password_file else None,
            ca_file=config.ca_file,
            cert_file=config.cert_file,
            key_file=config.key_file,
            session_expiry_s=config.session_expiry_h * 3600,
            keep_alive_s=config.keep_alive_s,
            connect_timeout_s=self._timing.connect_timeout_s,
            will=Will(self._topics.up("status"), self._status("offline", "connection lost")),
            subscriptions=(f"{self._topics.down}#",),
            receive_maximum=ORDERS_IN_FLIGHT,
            max_payload=MAX_BYTES,
        )

    def _status(self, status: str, why: str) -> bytes:
        """Return the body of `up/status`; `at` of a last will is when the link that broke was made."""
        body = {"gateway": self._topics.gateway, "status": status, "why": why, "at": self._clock.now().isoformat()}
        return json.dumps(body).encode()

    def _tell_offline(self, failure: GatewayError) -> None:
        reason, next_step = "hq_unreachable", "Nothing to do here: the shop runs alone and everything is kept."
        if isinstance(failure, ConfigError):
            reason, next_step = "hq_refuses", "Correct what is named, in [hq] of the configuration or at the broker."
        elif not isinstance(failure, LinkDown):
            reason, next_step = "hq_waits_for_store", "See the alarms about this gateway's disk."
        log.warning("no link to head office", extra={"reason": str(failure), "once": f"{reason} {failure}"})
        self._report("offline", reason, str(failure), next_step)


def _slower(failure: GatewayError) -> float:
    """Return how high on the ladder the waits begin after this failure."""
    if isinstance(failure, TurnedAway):
        return TURNED_AWAY_S
    return 0.0 if isinstance(failure, LinkDown) else PERSON_S


def _worst(ends: Sequence[BaseException | None]) -> GatewayError:
    """Return what a person must hear of; anything that is not ours is a bug and is raised."""
    failures = [end for end in ends if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError)]
    ours = [failure for failure in failures if isinstance(failure, GatewayError)]
    if bugs := [failure for failure in failures if not isinstance(failure, GatewayError)]:
        raise bugs[0]
    return next((failure for failure in ours if isinstance(failure, ConfigError)), ours[0])
