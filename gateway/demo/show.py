"""`aisled demo`: sets the stage, plays head office's script, and says in the end whether every promise held.

With `--json` there is no screen; the figures come at the end, and the exit code is 1 when a promise broke.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from contextlib import aclosing, nullcontext
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from rich.console import Console
from rich.live import Live

from drivers._mqtt import MqttLink
from gateway.demo.proof import prove_one
from gateway.demo.readers import Readers
from gateway.demo.screen import Screen
from gateway.demo.script import Scene, Script
from gateway.demo.stage import Stage, stage
from gateway.demo.tills import MODES, Tills
from gateway.demo.verdict import Ending, figures
from gateway.demo.view import View
from gateway.errors import GatewayError, LinkDown
from gateway.hq.line import Broker, listen, send
from gateway.hq.wire import down, parse_batch, stream_of, up

STORE = "demo"
PACE_S = 4.0  # between two waves: long enough to read, short enough to overlap
TRUTH_EVERY_S = 0.2
TILLS_EVERY_S = 0.5
TILLS_SHARE = 20  # what tills tell grows with what they sold: looking at it may take a twentieth of the time
SETTLE_S = 60.0  # after the last wave
FLUSH_S = 5.0
THIEVES_S = 15.0  # eight metres at a walk
ALARM_S = 6.0  # the door hears an item for some metres more


def demo(*, seconds: float | None, as_json: bool, labels: int, speed: float) -> int:
    """Play, print, return 0 when every promise held."""
    return asyncio.run(_demo(seconds, labels, speed, as_json=as_json))


async def _demo(seconds: float | None, labels: int, speed: float, *, as_json: bool) -> int:
    async with stage(labels, speed) as on:
        truth = await on.truth()
        view = View(Script([label for tags in truth.values() for label in tags]))
        play = Play(on, view, seconds)
        quiet = as_json or not sys.stdout.isatty()
        with nullcontext() if quiet else Live(get_renderable=play.screen, screen=True, refresh_per_second=4):
            try:
                found = await play.run()
            except* GatewayError as errors:
                raise _first(errors) from None
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        _tell(found, view)
    return 0 if found["ok"] else 1


class Play:
    """One performance."""

    def __init__(self, on: Stage, view: View, seconds: float | None) -> None:
        self._on, self._view, self._seconds = on, view, seconds
        self._tills = Tills(on)
        self._readers = Readers(on, view.items)
        self._broker = Broker(on.broker_url)
        self._began = datetime.now(UTC)
        self._listens = asyncio.Event()
        self._curtain = asyncio.Event()

    def screen(self) -> Screen:
        """Return what people see now."""
        now = datetime.now(UTC)
        return Screen(self._view, now, now - self._began, self._seconds)

    async def run(self) -> dict[str, Any]:
        """Play to the end and return the figures."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._curtain.set)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(), name="listen")
            watching = group.create_task(self._watch(), name="truth")
            await self._listens.wait()
            await self._readers.open([product.gtin for product in self._view.script.products])
            await self._on.start_gateway()
            await self._play(group)
            ending = Ending(*await self._on.stop_gateway())
            await self._settled(lambda: self._view.stopped, FLUSH_S)
            watching.cancel()
            listening.cancel()
        return figures(self._view, ending, (datetime.now(UTC) - self._began).total_seconds())

    async def _play(self, group: asyncio.TaskGroup) -> None:
        async with MqttLink(self._broker.options("aisled-demo-hq")) as link:
            if not await self._settled(lambda: self._view.started, SETTLE_S):
                raise LinkDown(
                    "the gateway does not report to the broker; " + self._on.children["gateway"].last_words()
                )
            for what, bodies in zip(("products", "bindings"), self._view.script.master(datetime.now(UTC)), strict=True):
                await send(link, down(STORE, what), bodies)
            await self._settled(lambda: {"products", "bindings"} <= self._view.masters, SETTLE_S)
            await self._send(link, self._view.script.opening(datetime.now(UTC)))
            selling = group.create_task(self._sell(), name="tills")
            living = group.create_task(self._readers.live(), name="readers")
            await self._settled(self._is_mostly_shown, SETTLE_S)
            proofs = group.create_task(self._show_proofs(), name="proofs")
            for title in self._view.script.scenes():
                if self._is_late() or await self._settled(self._curtain.is_set, PACE_S):
                    break
                await self._send(link, self._view.script.scene(title, datetime.now(UTC)))
            living.cancel()  # the last thief needs some seconds to the door, and shows what was done by then
            await self._settled(self._all_is_well, SETTLE_S)
            await self._thieves_left()
            proofs.cancel()
            selling.cancel()
            await self._tills.close(self._view.see_till)
            await self._settled(lambda: not self._view.sales.missing(), SETTLE_S)
            await self._see_truth()

    async def _thieves_left(self) -> None:
        """Wait until whoever is on the way out was heard or is gone."""
        deadline = asyncio.get_running_loop().time() + THIEVES_S
        while asyncio.get_running_loop().time() < deadline:
            await self._readers.look()
            if not self._view.items.pending():
                break
            await asyncio.sleep(TILLS_EVERY_S)
        await self._settled(lambda: self._view.items.stolen <= self._view.items.alarms.keys(), ALARM_S)

    def _is_mostly_shown(self) -> bool:
        """Say whether the opening prices can be seen: the slow labels with colour need not hold up the play."""
        wave = self._view.progress.waves[next(iter(self._view.scenes))]
        return (wave.labels > 0 and wave.shown >= 0.9 * wave.labels) or self._curtain.is_set()

    def _is_late(self) -> bool:
        """Say whether to stop: the last quarter of the time is left for the labels to catch up."""
        return self._seconds is not None and datetime.now(UTC) - self._began > timedelta(seconds=0.75 * self._seconds)

    def _all_is_well(self) -> bool:
        view = self._view
        unsettled = view.unfinished() or view.untold() or view.wrong_charges() or view.wrong_labels()
        return not (unsettled or view.sales.idle())

    async def _send(self, link: MqttLink, scene: Scene) -> None:
        self._view.sent(scene)
        await send(link, down(STORE, "prices"), scene.bodies)

    async def _listen(self) -> None:
        options = self._broker.options("aisled-demo-observer", [up(STORE, "business"), up(STORE, "telemetry")])
        async with aclosing(listen(options)) as arriving:
            async for link, messages in arriving:
                self._listens.set()
                for message in messages:
                    for event in parse_batch(message.payload, stream_of(message.topic)[1]):
                        self._view.feed(event)
                link.ack(*messages)

    async def _watch(self) -> None:
        while True:
            self._on.all_must_live()
            await self._see_truth()
            await asyncio.sleep(TRUTH_EVERY_S)

    async def _see_truth(self) -> None:
        for tags in (await self._on.truth()).values():
            for label, (since, digest) in tags.items():
                self._view.audit.see(label, since, digest)

    async def _sell(self) -> None:
        """Open the tills when there is something on the shelf, and watch them sell."""
        loop = asyncio.get_running_loop()
        self._view.sales.modes |= MODES
        await self._tills.sign_in()
        await self._settled(self._is_mostly_shown, SETTLE_S)
        await self._tills.open()
        while True:
            began = loop.time()
            await self._tills.look(self._view.see_till)
            await asyncio.sleep(max(TILLS_EVERY_S, TILLS_SHARE * (loop.time() - began)))

    async def _show_proofs(self) -> None:
        """Take a label at random now and then, and prove what it showed."""
        random = Random(3)  # noqa: S311 - a play, no secret
        while True:
            label = random.choice(sorted(self._view.audit.glass))
            self._view.proof = await prove_one(self._on, self._view, label)
            await asyncio.sleep(2 * PACE_S)

    async def _settled(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        """Wait until the condition holds; False when it does not by the deadline."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        while loop.time() < deadline:
            if condition():
                return True
            await asyncio.sleep(0.05)
        return condition()


def _first(errors: BaseExceptionGroup[GatewayError]) -> GatewayError:
    """Return what went wrong first; the rest is what came of it."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _tell(found: dict[str, Any], view: View) -> None:
    console = Console(highlight=False)
    for line in view.proof:
        console.print(line)
    for name, value in found.items():
        if name != "broken":
            console.print(f"{name.replace('_', ' '):28} {value}")
    for line in found["broken"]:
        console.print(f"BROKEN: {line}")
