"""An asyncio loop whose time jumps to the next timer, and a link that joins a driver to a simulated access point.

For tests that live through hours in milliseconds: no sockets, no threads, no waiting; the same seed gives the same run.
`run(main)` runs a coroutine in such a loop. `AirTime` lets a simulator's timeline pass along with the loop's time.
`InProcessLink` is what `Driver(config, services, link)` takes, with losses and delays on request.
"""

import asyncio
import random
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from drivers.simulators.access_point import AccessPoint, ApDown, Response
from gateway.errors import LinkDown

Result = TypeVar("Result")


class Stuck(Exception):
    """Everything waits and no timer is set: a wait without a deadline, or a deadlock."""


class _Jump(selectors.BaseSelector):
    """A selector that never waits: it lets the loop's time jump instead. The loop's own wake-up pipe is ignored."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, 0, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("everything waits and no timer is set")
        self.now_s += timeout
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time begins at 0 and moves only when nothing is ready."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._jump.now_s


def run(main: Callable[[], Coroutine[Any, Any, Result]], limit_s: float = 10 * 86_400.0) -> Result:
    """Run `main()` in virtual time; TimeoutError when it takes longer than `limit_s` of it."""

    async def limited() -> Result:
        async with asyncio.timeout(limit_s):
            return await main()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(limited())


@dataclass(frozen=True)
class VirtualClock:
    """Wall clock that goes with the loop; `epoch_s` at the loop's second 0. The gateway's `Clock`."""

    epoch_s: float = 1_795_000_000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.epoch_s, UTC) + timedelta(seconds=asyncio.get_running_loop().time())


class AirTime:
    """Lets a simulator's timeline pass with the running loop. Call `catch_up` before and `arm` after touching it."""

    def __init__(self, timeline: Any) -> None:
        self._timeline = timeline
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self.arm()

    def catch_up(self) -> None:
        self._timeline.run_until(self._loop.time())

    def arm(self) -> None:
        """Wake up for the next event. An earlier one may have come up since."""
        due_s = self._timeline.next_event_at()
        if self._handle is not None:
            if self._handle.when() == due_s and not self._handle.cancelled():
                return
            self._handle.cancel()
            self._handle = None
        if due_s != float("inf"):
            self._handle = self._loop.call_at(due_s, self._pass)

    def _pass(self) -> None:
        self._handle = None
        self._timeline.run_until(self._loop.time())
        self.arm()


@dataclass
class InProcessLink:
    """The driver's way to a simulated access point. Create it inside the loop.

    `lose`: chance that a request, or its answer, gets lost. `delay_s`: range of one way. `garble`: what becomes of a
    text of the event stream (split, cut, doubled). `cut`: chance that an answer arrives cut short. `down`: no network.
    `late_upload_s`: uploads arrive so late, also when the driver has given them up, and are not answered.
    """

    ap: AccessPoint
    air: AirTime
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    lose: float = 0.0
    cut: float = 0.0
    delay_s: tuple[float, float] = (0.002, 0.002)
    garble: Callable[[str], list[str]] | None = None
    down: bool = False
    late_upload_s: float = 0.0
    requests: list[tuple[str, str]] = field(default_factory=list)

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes, deadline_s: float
    ) -> tuple[int, bytes]:
        self.requests.append((method, path))
        try:
            async with asyncio.timeout(deadline_s):
                return await self._exchange(method, path, headers, body)
        except TimeoutError as error:
            raise LinkDown(f"{method} {path}: no answer in {deadline_s:g} s") from error

    async def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        await self._way()
        if self.late_upload_s and path == "/imgupload":
            asyncio.get_running_loop().call_later(self.late_upload_s, self._handle, method, path, headers, body)
            await _for_ever()
        answer = self._handle(method, path, headers, body)
        if answer.fate == "refused":
            raise LinkDown(f"{method} {path}: connection refused")
        if answer.fate == "lost":
            await _for_ever()
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        await self._way()
        if self.cut and self.rng.random() < self.cut:
            raise LinkDown(f"{method} {path}: answer cut short")
        return answer.status, answer.body

    def _handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        self.air.catch_up()
        try:
            return self.ap.handle(method, path, headers, body)
        finally:
            self.air.arm()

    async def _way(self) -> None:
        await asyncio.sleep(self._one_way_s())
        if self.down:
            raise LinkDown("no network")
        if self.lose and self.rng.random() < self.lose / 2:
            await _for_ever()

    def _one_way_s(self) -> float:
        low, high = self.delay_s
        return low if low == high else self.rng.uniform(low, high)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[str]]:
        await asyncio.sleep(self._one_way_s())
        texts: asyncio.Queue[str | None] = asyncio.Queue()
        listener = self._connect(texts)
        try:
            yield _until_none(texts)
        finally:
            listener.close()

    def _connect(self, texts: "asyncio.Queue[str | None]") -> Any:
        if self.down:
            raise LinkDown("no network")
        self.air.catch_up()
        try:
            return self.ap.connect_ws(lambda text: self._heard(texts, text), lambda: texts.put_nowait(None))
        except ApDown as error:
            raise LinkDown(str(error)) from error
        finally:
            self.air.arm()

    def _heard(self, texts: "asyncio.Queue[str | None]", text: str) -> None:
        for piece in [text] if self.garble is None else self.garble(text):
            texts.put_nowait(piece)


async def _until_none(texts: "asyncio.Queue[str | None]") -> AsyncIterator[str]:
    while (text := await texts.get()) is not None:
        yield text


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def eventually(condition: Callable[[], object], limit_s: float = 7_200.0) -> None:
    """Wait in virtual time until `condition()` holds; looks at every half second."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 (time jumps: looking costs nothing)
            await asyncio.sleep(0.5)


async def stopped(task: "asyncio.Task[Any]") -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    await asyncio.wait([task])


Waits = Awaitable[None]
