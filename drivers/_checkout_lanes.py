"""Keeps what RTSF clients send: their events have no numbers, so one at a time is numbered for each lane.

Not here: what an event means (`_checkout_rtsf.py`), who may send (`_checkout_web.py`).
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from aiohttp import web

from drivers._checkout_calls import Calls
from drivers._checkout_events import Batch
from drivers._checkout_problem import Problem
from drivers._checkout_rtsf import Lane, Money, Said, as_event, read, terminal_of_lane
from drivers._checkout_web import Ask, body_of
from gateway.driver import Clock, Tills

MAX_LANES = 200
MAX_RECENT = 500  # events whose numbers are remembered, so that a repeat is a repeat


@dataclass(slots=True)
class _Turn:
    lane: Lane = field(default_factory=Lane)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    recent: OrderedDict[str, int] = field(default_factory=OrderedDict)


class Lanes:
    """The lanes of RTSF clients, for one gateway."""

    def __init__(
        self,
        calls: Calls,
        tills: Tills,
        clock: Clock,
        money: Money,
        table: dict[str, str],
        known: frozenset[str] | None,
    ) -> None:
        self._calls, self._tills, self._clock, self._money = calls, tills, clock, money
        self._table, self._known = table, known
        self._turns: dict[str, _Turn] = {}

    async def take(self, ask: Ask) -> web.Response:
        """Keep one event. These clients stop for ever unless they read exactly 200."""
        device, name = ask.values
        said = read(device, name, await body_of(ask))
        terminal = terminal_of_lane(said.lane, self._table)
        if self._known is not None and terminal not in self._known:
            raise Problem(404, "no-such-terminal", "this gateway has no such lane; see `terminals` and `rtsf_lanes`")
        if terminal not in self._turns and len(self._turns) >= MAX_LANES:
            raise Problem(422, "too-many-lanes", f"{MAX_LANES} lanes are known already")
        turn = self._turns.setdefault(terminal, _Turn())
        async with turn.lock:
            await self._keep(terminal, turn, said)
        return web.Response(body=b"{}", headers={"Content-Type": "application/json"})

    async def _keep(self, terminal: str, turn: _Turn, said: Said) -> None:
        if said.digest in turn.recent:
            return
        seq = self._tills.ack_seq(terminal) + 1
        event = as_event(said, turn.lane, seq, self._money, self._clock.now())
        [[outcome]], _ = await self._calls.take(terminal, [Batch([event])], None)
        if outcome.result == "rejected":
            raise Problem(422, "rejected", outcome.reason or outcome.result)
        if outcome.result == "accepted":
            turn.lane.took(said, event)
        turn.recent[said.digest] = seq
        if len(turn.recent) > MAX_RECENT:
            turn.recent.popitem(last=False)
