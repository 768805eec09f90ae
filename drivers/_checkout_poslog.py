"""Sales documents (POSLog) that are sent over HTTP: read in pieces as they come, kept in small commits.

What was complete before a document breaks is kept: send it again, and what is known is counted as a duplicate.
Not here: the reading (`_poslog.py`), how large a commit is (`_poslog_batch.py`), documents in a folder
(`checkout_poslog.py`).
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web
from pydantic_core import to_json

from drivers._checkout_problem import Problem
from drivers._checkout_web import BODY_S, Ask, must_be_plain, too_large, welcome
from drivers._poslog import PoslogParser
from drivers._poslog_batch import batches
from drivers._poslog_sales import as_message
from drivers._poslog_types import PoslogLimits, PosTransaction
from gateway.driver import Clock, Emit, ShopFacts, Tills
from gateway.messages import PoslogImported

DOCUMENT_S = 900.0
NAMED = 20  # refusals and unknown elements that are named
TYPES = ("application/xml", "text/xml")


@dataclass(slots=True)
class _Count:
    results: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        self.results["rejected"] += 1
        if len(self.refused) < NAMED:
            self.refused.append(reason[:200])

    def members(self) -> dict[str, object]:
        said: dict[str, object] = {name: self.results[one] for name, one in _MEMBERS.items()}
        return said | {"refused": self.refused}


_MEMBERS = {"accepted": "accepted", "duplicates": "duplicate", "conflicts": "conflict", "rejected": "rejected"}


class Documents:
    """Takes sales documents for one gateway, one at a time: each may fill the memory that one may use."""

    def __init__(self, device: str, tills: Tills, shop: ShopFacts, clock: Clock, emit: Emit) -> None:
        self._device, self._tills, self._shop, self._clock, self._emit = device, tills, shop, clock, emit
        self._busy = asyncio.Lock()

    async def take(self, ask: Ask) -> web.Response:
        """Import one document."""
        if ask.request.content_type not in TYPES and not ask.request.content_type.endswith("+xml"):
            raise Problem(415, "wrong-content-type", "send Content-Type: application/xml")
        must_be_plain(ask.request)
        await welcome(ask.request, ask.route.body_max)
        if self._busy.locked():
            raise Problem(503, "busy", "another document is being read", headers={"Retry-After": "5"})
        async with self._busy:
            ask.seat.until_s = asyncio.get_running_loop().time() + DOCUMENT_S
            return await self._import(ask)

    async def _import(self, ask: Ask) -> web.Response:
        limits = PoslogLimits(document_bytes=ask.route.body_max)
        parser = PoslogParser(
            self._shop.zone, minor_digits=self._shop.minor_digits, currency=self._shop.currency, limits=limits
        )
        count, broken = _Count(), None
        try:
            await self._read(ask, parser, count)
        except Problem as problem:
            broken = problem
        if parser.error is not None:
            broken = Problem(422, "bad-document", f"kept up to there: {parser.error}")
        for one in parser.refused:
            count.refuse(f"transaction {one.index}, line {one.line}: {one.reason}")
        count.unknown.update(parser.unknown)
        await self._tell(ask.terminal, count, broken.detail if broken else "")
        if broken is not None:
            broken.extra["document"] = count.members()
            raise broken
        return web.Response(body=to_json(count.members()), headers={"Content-Type": "application/json"})

    async def _read(self, ask: Ask, parser: PoslogParser, count: _Count) -> None:
        waiting: list[PosTransaction] = []
        size = 0
        while parser.error is None and (piece := await _piece(ask)):
            size += len(piece)
            if size > ask.route.body_max:
                raise too_large(ask.route.body_max)
            waiting += await asyncio.to_thread(parser.feed, piece)
            for batch in batches(waiting):
                await self._keep(batch, count)
        waiting += parser.close()
        for batch in batches(waiting, rest=True):
            await self._keep(batch, count)

    async def _keep(self, sales: list[PosTransaction], count: _Count) -> None:
        now = self._clock.now()
        messages = [as_message(sale, self._device, now, self._shop.currency) for sale in sales]
        outcomes = await self._tills.import_sales(messages)
        for sale, outcome in zip(sales, outcomes, strict=True):
            count.unknown.update(dict(sale.unknown))
            if outcome.result == "rejected":
                count.refuse(f"{outcome.event_id or sale.sequence}: {outcome.reason}")
                continue
            count.results[outcome.result] += 1
            count.lines += len(sale.lines) if outcome.result == "accepted" else 0

    async def _tell(self, terminal: str, count: _Count, trouble: str) -> None:
        """Report the document to head office, as far as it was read."""
        reason = trouble or next(iter(count.refused), None)
        await self._emit(
            PoslogImported(
                at=self._clock.now(),
                source=self._device,
                document=f"sent by {terminal}",
                transactions=count.results["accepted"],
                duplicates=count.results["duplicate"],
                lines=count.lines,
                refused=count.results["rejected"] + count.results["conflict"] + bool(trouble),
                unknown=tuple(count.unknown.most_common(NAMED)),
                first_refusal=reason,
            )
        )


async def _piece(ask: Ask) -> bytes:
    try:
        async with asyncio.timeout(BODY_S):
            return await ask.request.content.readany()
    except TimeoutError:
        raise Problem(408, "slow-body", f"nothing came for {BODY_S:.0f} s") from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Problem(400, "cut-off", f"the document is not whole: {type(error).__name__}") from None
