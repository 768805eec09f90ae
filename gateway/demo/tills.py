"""The demo's two tills: their tokens, their processes, what their shoppers truly paid, and how they end.

Not here: what a till does (`drivers/simulators/till.py`) and whether its sales were right (`sales.py`).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import aiohttp

from gateway.demo.stage import Child, Stage, end, free_port, start
from gateway.errors import LinkDown

MODES = {"sco-1": "ask", "sco-2": "cache"}  # one asks for each scan, one sells from its cache while it has a lease
SHOPPERS = ("--speed", "30", "--every", "10")  # some 150 lines a minute and till
LOOK_AGAIN_S = 0.05
CLOSE_S = 20.0  # the longest that a shopper takes at this speed is 15

Truth = Mapping[str, Any]
See = Callable[[str, Truth, datetime], None]  # till, its truth, when that was asked for


class Tills:
    """The tills on one stage: `sign_in` once the gateway runs, then `open`; `close` before the gateway stops."""

    def __init__(self, on: Stage) -> None:
        self._on = on
        self._children: dict[str, Child] = {}
        self._urls: dict[str, str] = {}
        self._token_files: dict[str, str] = {}

    async def sign_in(self) -> None:
        """Give each till its token, as a person would."""
        for name in MODES:
            self._token_files[name] = await self._token_file(name)

    async def open(self) -> None:
        """Start the tills; they sell when this returns."""
        for number, (name, mode) in enumerate(MODES.items(), 1):
            port = free_port()
            self._urls[name] = f"http://127.0.0.1:{port}/truth"
            words = ["simulate", "till", "--gateway", self._on.tills_url, "--truth-port", str(port)]
            words += ["--token-file", self._token_files[name], "--mode", mode, "--seed", str(number), *SHOPPERS]
            self._children[name] = self._on.children[name] = await start(self._on.stack, self._on.folder, name, words)
        await self._on.until_up(self._urls)

    async def _token_file(self, name: str) -> str:
        code, printed = await self._on.aisled("terminal", "add", name, "--config", str(self._on.config))
        if code:
            raise LinkDown(f"aisled terminal add {name} ended with {code}: {printed}")
        path = self._on.folder / f"{name}.token"
        path.touch(0o600)
        path.write_text(printed, "utf-8")
        return str(path)

    async def look(self, see: See) -> None:
        """Tell `see` what each till did, by its ground truth."""
        for name in self._children:
            await self._look(name, see)

    async def _look(self, name: str, see: See) -> Truth:
        asked_at = datetime.now(UTC)
        truth = await self._truth_of(name)
        see(name, truth, asked_at)
        return truth

    async def _truth_of(self, name: str) -> Truth:
        try:
            async with self._on.http.get(self._urls[name]) as answer:
                found: Truth = await answer.json()
        except aiohttp.ClientError as error:
            raise LinkDown(f"{name}: {error}; {self._children[name].last_words()}") from error
        return found

    async def close(self, see: See) -> None:
        """Switch each till off; `see` gets the last truth of each, which is all that it ever sold."""
        async with asyncio.TaskGroup() as group:
            for name in self._children:
                group.create_task(self._close(name, see), name=f"close {name}")

    async def _close(self, name: str, see: See) -> None:
        """End a till between two shoppers, when all it said was answered: a till that dies sends nothing more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                while True:
                    truth = await self._look(name, see)
                    if is_idle(truth["tills"][name]):
                        break
                    await asyncio.sleep(LOOK_AGAIN_S)
        self._on.children.pop(name)
        await end(self._children[name])


def is_idle(till: Truth) -> bool:
    """Say whether nobody stands at the till and the gateway has answered every event."""
    events = till["events"]
    return not till["unsent"] and (not events or events[-1]["type"] in {"session.closed", "terminal.status"})
