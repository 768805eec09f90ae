"""Orders of head office: parsed, given to the core, acknowledged after its commit, answered to the response topic.

An order that cannot be used is refused with the reason, acknowledged, and logged once: it would not get better by
coming again. Only a store that cannot keep it just now (disk full) delays the PUBACK, and with it what is behind.
Not here: what an order means (`orders.py`, the rules), the connection (`mqtt.py`).
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal, Protocol

from drivers._mqtt import Incoming, MqttLink
from gateway.errors import GatewayError, StoreError
from gateway.messages import GATEWAY, Fact, PricePart, Request, WaveRejected
from gateway.uplink.orders import Arrival, Parsed, parsing, refuse_whole, refused_command
from gateway.uplink.publisher import Submit
from gateway.uplink.topics import Topics

FACTS_IN_ANSWER = 200  # all of them go upstream anyway; an answer is for a person or a script that waits
STORE_RETRY_S = 5.0
ANSWER_EXPIRY_S = 3600

log = logging.getLogger(__name__)


class TrustedClock(Protocol):
    """The one clock, which knows how good it is."""

    def now(self) -> datetime:
        """Return UTC, time zone aware."""

    @property
    def quality(self) -> Literal["synced", "holdover", "unknown"]:
        """Return whether the time is to be believed."""


class Orders:
    """Takes orders from one link after another."""

    def __init__(self, topics: Topics, submit: Submit, clock: TrustedClock, *, retry_s: float = STORE_RETRY_S) -> None:
        self._topics = topics
        self._submit = submit
        self._clock = clock
        self._retry_s = retry_s

    async def serve(self, link: MqttLink) -> None:
        """Take orders one by one, in order, until the link fails: raises LinkDown."""
        while True:
            for message in await link.receive():
                await self._take(link, message)

    async def _take(self, link: MqttLink, message: Incoming) -> None:
        kind = self._topics.kind(message.topic)
        if kind is None:
            log.warning("a message that is no order", extra={"topic": message.topic[:200]})
            link.ack(message)
            return
        now = self._clock.now()
        arrival = Arrival(at=now, source=GATEWAY, trusted_now=None if self._clock.quality == "unknown" else now)
        parsed = await self._parse(kind, message, arrival)
        facts, refusal = await self._carry_out(kind, parsed, arrival)
        link.ack(message)
        if refusal is not None:
            log.warning("order refused", extra={"topic": message.topic[:200], "reason": refusal})
        if message.response_topic is not None:
            self._answer(link, message, facts, refusal)

    async def _parse(self, kind: str, message: Incoming, arrival: Arrival) -> Parsed:
        if message.oversize:
            return refuse_whole(kind, f"{message.size} bytes; send it in smaller parts", arrival)
        work = parsing(kind, message.payload, arrival)
        while True:
            try:
                next(work)
            except StopIteration as end:
                parsed: Parsed = end.value
                return parsed
            await asyncio.sleep(0)  # not in a thread: who waits for the interpreter waits longer than for a step

    async def _carry_out(self, kind: str, parsed: Parsed, arrival: Arrival) -> tuple[Sequence[Fact], str | None]:
        """Return the facts that followed, and why the order was refused if it was."""
        while True:
            try:
                return await self._submit(*parsed.facts, *parsed.commands), parsed.refusal
            except StoreError as error:
                log.warning("an order waits for the disk", extra={"kind": kind, "reason": str(error)})
                await asyncio.sleep(self._retry_s)
            except GatewayError as error:
                refused = _refuse(kind, parsed, str(error), arrival)
                with suppress(GatewayError):  # said upstream if that is possible; the answer says it in any case
                    return await self._submit(*refused.facts, *refused.commands), str(error)
                return (), str(error)

    def _answer(self, link: MqttLink, message: Incoming, facts: Sequence[Fact], refusal: str | None) -> None:
        topic = message.response_topic or ""
        if not self._topics.may_answer_on(topic):
            log.warning("no answer is sent to this response topic", extra={"topic": topic[:200]})
            return
        # Nobody waits for its PUBACK: should the link break now, the facts upstream say the same.
        link.publish(
            topic,
            answer_body(facts, refusal),
            correlation=message.correlation,
            content_type="application/json",
            expiry_s=ANSWER_EXPIRY_S,
        )


def _refuse(kind: str, parsed: Parsed, reason: str, arrival: Arrival) -> Parsed:
    """Refuse an order that was well formed but could not be carried out, by its name."""
    for command in parsed.commands:
        if isinstance(command, PricePart):
            rejected = WaveRejected(at=arrival.at, source=arrival.source, wave=command.wave.id, reason=reason)
            return Parsed((rejected,), (), reason)
        if isinstance(command, Request):
            return refused_command(command.id, command.name, reason, arrival)
    return refuse_whole(kind, reason, arrival)


def answer_body(facts: Sequence[Fact], refusal: str | None) -> bytes:
    """Return the answer to an order: taken or refused, and the facts it led to, the first ones when there are many."""
    told = ",".join(f'{{"type":"aisled.{fact.type}.v1","data":{fact.data_json()}}}' for fact in facts[:FACTS_IN_ANSWER])
    more = max(0, len(facts) - FACTS_IN_ANSWER)
    outcome = "taken" if refusal is None else "refused"
    reason = json.dumps(refusal, ensure_ascii=False)
    return f'{{"outcome":"{outcome}","reason":{reason},"facts":[{told}],"more":{more}}}'.encode()
