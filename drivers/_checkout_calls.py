"""What each call of the tills' interface does, once who asks is known. One method for each line of the route table.

Not here: letting in (`_checkout_web.py`), the socket both ways (`_checkout_stream.py`), reading events
(`_checkout_events.py`), sales documents (`_checkout_poslog.py`), RTSF (`_checkout_rtsf.py`).
"""

import asyncio
import hashlib
from collections.abc import Coroutine, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from aiohttp import web
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic_core import to_json

from drivers import _checkout_bodies as bodies
from drivers._checkout_cards import is_product_code, looks_like_card
from drivers._checkout_events import CARD, Batch, read_batch, write_results
from drivers._checkout_health import Evidence
from drivers._checkout_openapi import document
from drivers._checkout_problem import Problem, unreadable
from drivers._checkout_web import Ask, body_of, problem_of
from gateway.driver import Clock, Tills
from gateway.errors import GatewayError, Refused
from gateway.messages import BaggingVerdict, Outcome, PriceAnswer, PriceChange
from gateway.messages.tills import Version, Wire

PAGE = 500  # lines of the feed in one piece
SEND_S = 20.0  # for one piece to be taken
CODES_A_TURN = 25  # then the event loop's other work has its turn
JSON = {"Content-Type": "application/json", "Cache-Control": "no-store"}
NDJSON = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}

_VERSION = TypeAdapter[int](Version)
_TIME = TypeAdapter[datetime](AwareDatetime)
Body = TypeVar("Body", bound=Wire)


class Calls:
    """The calls, for one gateway."""

    def __init__(self, device: str, tills: Tills, clock: Clock, evidence: Evidence) -> None:
        self._device, self._tills, self._clock, self._evidence = device, tills, clock, evidence

    async def health(self, _: Ask) -> web.Response:
        """Say that somebody listens, and nothing else."""
        return _json(b'{"status":"ok"}')

    async def openapi(self, _: Ask) -> web.Response:
        """Return the document of this interface."""
        return _json(document())

    async def events(self, ask: Ask) -> web.Response:
        """Keep one event or a batch."""
        batch = read_batch(await body_of(ask))
        sent_at = _sent_at(ask.request.headers.get("Sent-At"))
        [outcomes], ack_seq = await self.take(ask.terminal, [batch], sent_at)
        if batch.single and outcomes[0].result in ("conflict", "rejected"):
            raise _single(outcomes[0], ack_seq, batch.wrong)
        return _json(write_results(outcomes, ack_seq).encode())

    async def take(
        self, terminal: str, batches: Sequence[Batch], sent_at: datetime | None
    ) -> tuple[list[list[Outcome]], int]:
        """Keep what is good of batches in one commit; return the outcomes of each, and up to where all is kept."""
        events = [event for batch in batches for event in batch.events]
        kept: Sequence[Outcome] = ()
        if events:
            kept = await self._tills.take(self._device, terminal, events, sent_at)
            now_s, newest = asyncio.get_running_loop().time(), max(event.at for event in events)
            self._evidence.took(terminal, newest, len(events), sent_at, self._clock.now(), now_s)
        rest = iter(kept)
        each = [batch.outcomes([*islice(rest, len(batch.events))]) for batch in batches]
        return each, self._tills.ack_seq(terminal)

    async def ack(self, ask: Ask) -> web.Response:
        """Say where to resume."""
        self.hear(ask.terminal)
        return _json(f'{{"ack_seq":{self._tills.ack_seq(ask.terminal)}}}'.encode())

    async def lease(self, ask: Ask) -> web.Response:
        """Take a terminal's word for what its cache holds."""
        asked = _read(bodies.LeaseAsked, await body_of(ask))
        self.hear(ask.terminal)
        lease = await self._tills.lease(self._device, ask.terminal, asked.version)
        return _json(lease.model_dump_json().encode())

    async def verify(self, ask: Ask) -> web.Response:
        """Compare basket and bagging area."""
        asked = _read(bodies.VerifyAsked, await body_of(ask))
        self.hear(ask.terminal)
        return _json(self.verdict(ask.terminal, asked.basket_id).model_dump_json().encode())

    def verdict(self, terminal: str, basket: str) -> BaggingVerdict:
        """Return the verdict. What we cannot tell is `unknown`: no customer is held up by a fault of ours."""
        try:
            return self._tills.verify(terminal, basket)
        except GatewayError as error:
            return BaggingVerdict(
                verdict="unknown",
                z=None,
                tolerance_mg=0,
                missing_lines=(),
                unexplained_mg=0,
                expected=(),
                reason=str(error),
            )

    async def price(self, ask: Ask) -> web.Response:
        """Return the price of a scanned code."""
        self.hear(ask.terminal)
        code, symbology = ask.values[0], ask.request.rel_url.query.get("symbology")
        if not 0 < len(code) <= 2048:
            raise Problem(422, "refused", "a code has 1 to 2048 characters")
        answer = self._look_up(code, symbology)
        # Weak: the age of the last word of head office grows while the answer stays the same.
        same = hashlib.blake2b(answer.model_dump_json(exclude={"upstream_age_s"}).encode(), digest_size=12)
        headers = {"Content-Type": "application/json", "Cache-Control": "no-cache", "ETag": f'W/"{same.hexdigest()}"'}
        if _has(ask.request.headers.get("If-None-Match"), same.hexdigest()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=answer.model_dump_json().encode(), headers=headers)

    async def prices_of(self, ask: Ask) -> web.Response:
        """Return the prices of several codes, in order."""
        asked = _read(bodies.CodesAsked, await body_of(ask))
        self.hear(ask.terminal)
        answers = []
        for at, code in enumerate(asked.codes):
            answers.append(self._price(code))
            if at % CODES_A_TURN == CODES_A_TURN - 1:
                await asyncio.sleep(0)
        return _json(b'{"prices":[' + b",".join(answers) + b"]}")

    def _price(self, code: str) -> bytes:
        try:
            return self._look_up(code).model_dump_json().encode()
        except Refused as error:
            problem = problem_of(error)
            return to_json({"status": problem.status, "detail": problem.detail})

    def _look_up(self, code: str, symbology: str | None = None) -> PriceAnswer:
        if looks_like_card(code) and not is_product_code(code):
            raise Refused(CARD)
        return self._tills.look_up(code, symbology)

    async def feed(self, ask: Ask) -> web.StreamResponse:
        """Stream the changes after a version, and at the end the version that they lead to."""
        self.hear(ask.terminal)
        since = read_since(ask.request.rel_url.query.get("since"), 0)
        changes, version = changes_after(self._tills, since)
        response = web.StreamResponse(headers=NDJSON)
        await response.prepare(ask.request)
        try:
            for page in pages(changes):
                await asyncio.sleep(0)  # a page is some milliseconds of work, and others wait too
                await _within(response.write(b"".join(one.model_dump_json().encode() + b"\n" for one in page)))
            await _within(response.write(b'{"version":%d}\n' % version))
        except (TimeoutError, ConnectionError):
            ask.seat.cut()  # without its last line the feed counts as cut
        return response

    def hear(self, terminal: str) -> None:
        """Note that a terminal was heard."""
        self._evidence.heard(terminal, asyncio.get_running_loop().time())


def changes_after(tills: Tills, since: int) -> tuple[Sequence[PriceChange], int]:
    """Return all changes after a version and the version that they lead to, both of one instant.

    A version below `since` says that the gateway was put back to an older state: its tills begin again.
    """
    version = tills.version
    return () if since >= version else tills.changes(since), version


def pages(changes: Sequence[PriceChange]) -> Iterator[Sequence[PriceChange]]:
    """Cut the changes into pieces."""
    return (changes[start : start + PAGE] for start in range(0, len(changes), PAGE))


async def _within(writing: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(SEND_S):
        await writing


def _single(outcome: Outcome, ack_seq: int, wrong: list[dict[str, str]]) -> Problem:
    status, kind = (409, "conflict") if outcome.result == "conflict" else (422, "rejected")
    results = [outcome.model_dump()]
    problem = Problem(status, kind, outcome.reason or outcome.result, results=results, ack_seq=ack_seq)
    if wrong:
        problem.extra["errors"] = wrong
    return problem


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, headers=JSON)


def _read(model: type[Body], body: bytes) -> Body:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise unreadable(error) from None


def read_since(text: str | None, default: int) -> int:
    """Return the version in a query. Raises Problem."""
    try:
        return default if text is None else _VERSION.validate_python(int(text))
    except ValueError:
        raise Problem(422, "wrong-query", "since: a version, 0 or more") from None


def _sent_at(text: str | None) -> datetime | None:
    try:
        return None if text is None else _TIME.validate_python(text)
    except ValidationError:
        raise Problem(422, "wrong-header", "Sent-At: RFC 3339 with an offset") from None


def _has(header: str | None, tag: str) -> bool:
    return header is not None and (header.strip() == "*" or f'"{tag}"' in header)
