"""`aisled hq watch`: a bar from accepted to converged, stragglers by name. Ends with 0 when every label is proven.

The session at the broker was opened by `push`, so nothing that was said in between is lost; it is forgotten at the end.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from drivers._mqtt import Incoming, MqttOptions
from gateway.hq.line import Broker, forget_session, listen
from gateway.hq.progress import Progress, Wave
from gateway.hq.wire import parse_batch, stream_of, up

KEEP_S = 24 * 3600  # how long the answers to a wave wait for somebody to look
STRAGGLERS_SHOWN = 10


def watch_options(broker: Broker, store: str, wave_id: str) -> MqttOptions:
    """Return the connection that keeps the answers to one wave; `push` opens it, `watch` reads it."""
    name = hashlib.sha256(f"{store} {wave_id}".encode()).hexdigest()[:12]
    return broker.options(f"aisled-hq-watch-{name}", [up(store, "business"), up(store, "status")], keep_s=KEEP_S)


async def watch(broker: Broker, store: str, wave_id: str, *, timeout_s: float, as_json: bool) -> int:
    """Follow one wave to its end. Returns 0 converged, 1 anything else."""
    options = watch_options(broker, store, wave_id)
    progress = Progress()
    wave = progress.sent(wave_id)
    if as_json or not sys.stdout.isatty():
        ended = await _follow(options, progress, wave, timeout_s, _Lines(as_json=as_json).show)
    else:
        with Live(picture(wave), transient=True) as live:
            ended = await _follow(options, progress, wave, timeout_s, lambda one: live.update(picture(one)))
    await forget_session(options)
    if not as_json:
        _last_word(wave, timeout_s, ended=ended)
    return 0 if ended and wave.stage == "converged" else 1


async def _follow(
    options: MqttOptions, progress: Progress, wave: Wave, timeout_s: float, show: Callable[[Wave], None]
) -> bool:
    """Feed until the wave is over (True) or nothing was heard for `timeout_s` after it should have changed (False)."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s) as limit, aclosing(listen(options)) as arriving:
            async for link, messages in arriving:
                for message in messages:
                    _take(progress, wave, message)
                limit.reschedule(max(begun, loop.time() + _seconds_until_effective(wave)) + timeout_s)
                show(wave)
                link.ack(*messages)
                if wave.over:
                    return True
    return False


def _take(progress: Progress, wave: Wave, message: Incoming) -> None:
    gateway, stream = stream_of(message.topic)
    if stream == "status":  # retained: tells which gateways the shop has, so that none is forgotten
        wave.expected.add(gateway)
        return
    for event in parse_batch(message.payload, stream):
        progress.feed(event)


def _seconds_until_effective(wave: Wave) -> float:
    """Return how long to be patient: a wave for tomorrow is not late tonight. Negative once it is in effect."""
    known = [one.effective_at for one in wave.gateways.values() if one.effective_at]
    return max((at - datetime.now(UTC)).total_seconds() for at in known) if known else float("-inf")


class _Lines:
    """One line for each change of stage or count, for logs and programs."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._last: dict[str, Any] = {}

    def show(self, wave: Wave) -> None:
        now = {"wave": wave.id, "stage": wave.stage, "shown": wave.shown, "labels": wave.labels}
        if wave.over:
            now["stragglers"] = wave.stragglers()
        if now != self._last:
            text = (
                json.dumps(now) if self._as_json else f"{wave.id}: {wave.stage}, {wave.shown} of {wave.labels} labels"
            )
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
            self._last = now


def picture(wave: Wave) -> Table:
    """Return the bar and the stragglers, as rich draws them."""
    grid = Table.grid(padding=(0, 1))
    count = f"{wave.shown}/{wave.labels}"
    bar = ProgressBar(total=max(1, wave.labels), completed=wave.shown, width=30)
    grid.add_row(Text(wave.id, overflow="ellipsis", no_wrap=True), bar, count, wave.stage)
    for label, why in list(wave.stragglers().items())[:STRAGGLERS_SHOWN]:
        grid.add_row(Text(f"  {label}", style="yellow"), Text(why))
    return grid


def _last_word(wave: Wave, timeout_s: float, *, ended: bool) -> None:
    console = Console(highlight=False)
    if not ended:
        console.print(f"{wave.id}: not done {timeout_s:g} s after its time; it is {wave.stage}")
    for gateway, part in wave.gateways.items():
        took = f" in {part.duration_s:.1f} s" if part.duration_s is not None else ""
        why = f": {part.reason}" if part.reason else ""
        console.print(
            f"{wave.id} at {gateway}: {part.stage}{why}, {len(part.shown)} of {part.labels} labels shown{took}"
        )
    for label, why in wave.stragglers().items():
        console.print(f"  {label}: {why}")
