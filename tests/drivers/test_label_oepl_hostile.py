"""A hostile way to the access point, and random mishaps: slower perhaps, but never a wrong word about the glass.

Virtual time, in process; the last tests go over real loopback sockets, with a loop whose clock runs fast.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from aiohttp import web

from drivers._oepl_link import BODY_CAP, AiohttpLink
from drivers.label_oepl import Config, Driver
from drivers.simulators._ap_serve import serving
from drivers.simulators.access_point import AccessPoint, ApConfig
from gateway.driver import Services
from gateway.errors import LinkDown
from gateway.messages import Fact, LabelFailed, LabelSeen, LabelShown, Reading
from tests.drivers.oepl_shop import OTHER, SMALL_BWR, TAG, Shop, open_shop
from tests.virtual_time import eventually, run

Spoil = Callable[[Shop, random.Random], None]


def split(rng: random.Random) -> Callable[[str], list[str]]:
    def garble(text: str) -> list[str]:
        at = rng.randrange(len(text))
        return [text[:at], text[at:]] if rng.random() < 0.2 else [text]

    return garble


def garbage(rng: random.Random) -> Callable[[str], list[str]]:
    junk = ["", "{", "null", "\x00\xff", '{"tags":[{"mac":1}]}', '{"sys":[]}', '{"upload":{"src":"","current":-1}}']
    return lambda text: [rng.choice(junk), text, rng.choice(junk)]


def lossy(shop: Shop, rng: random.Random) -> None:
    shop.link.rng, shop.link.lose = rng, 0.2


def slow(shop: Shop, rng: random.Random) -> None:
    shop.link.rng, shop.link.delay_s = rng, (0.0, 4.0)


def cutting(shop: Shop, rng: random.Random) -> None:
    shop.link.rng, shop.link.cut = rng, 0.2


def splitting(shop: Shop, rng: random.Random) -> None:
    shop.link.garble = split(rng)


def littering(shop: Shop, rng: random.Random) -> None:
    shop.link.garble = garbage(rng)


@pytest.mark.parametrize("spoil", [lossy, slow, cutting, splitting, littering])
@pytest.mark.parametrize("seed", range(4))
def test_a_hostile_link_delays_but_never_deceives(spoil: Spoil, seed: int) -> None:
    async def main() -> None:
        async with open_shop(ApConfig(macs=(TAG,), types=(SMALL_BWR,), seed=seed)) as shop:
            spoil(shop, random.Random(seed))
            for revision in (1, 100, 200):
                face = await shop.converge(revision)
                assert shop.shows(face)
            assert shop.late == []
            assert [len(shop.terminal(face)) for face in shop.faces.values()] == [1] * len(shop.faces)

    run(main)


def test_garbage_is_counted_and_told_once() -> None:
    async def main() -> None:
        async with open_shop() as shop:
            shop.link.garble = garbage(random.Random(1))
            await eventually(lambda: "bad_records" in [reason for _, reason, _, _ in shop.health], 60)
            told = len(shop.health)
            await asyncio.sleep(60)
            assert len(shop.health) - told < 60

    run(main)


def mishap(shop: Shop, rng: random.Random) -> Callable[[], object]:
    """Return one of the things that happen in shops."""
    tag = rng.choice([TAG, OTHER])
    return rng.choice(
        [
            lambda: shop.fault("reboot_ap", crash=rng.random() < 0.5),
            lambda: shop.fault("drop_ws", silent=rng.random() < 0.5),
            lambda: shop.fault("reboot_tag", tag, watchdog=rng.random() < 0.5),
            lambda: shop.fault("lose_xfc", tag),
            lambda: shop.fault("lose_xfc_ack", tag),
            lambda: shop.fault("silence_tag", tag, silent=rng.random() < 0.5),
            lambda: shop.fault("http_timeout_next", rng.randrange(1, 4)),
            lambda: shop.fault("radio_reset"),
            lambda: shop.fault("foreign_upload", tag, seed=rng.randrange(99)),
            lambda: shop.fault("wake_tag", tag),
        ]
    )


class Sync:
    """Pushes wishes until they are proven and stay so, as the gateway does; a new revision each time."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.revision = 0
        self.newest: dict[str, int] = {}

    async def wish(self, label: str) -> None:
        self.revision += 1
        self.newest[label] = self.revision
        await self.shop.show(self.revision, label)

    async def mend(self) -> None:
        """Push anew what failed or is no longer proven."""
        for label, revision in [*self.newest.items()]:
            face = self.shop.faces[label, revision]
            ends = self.shop.terminal(face)
            if ends and (isinstance(ends[0], LabelFailed) or self.shop.taken_back(face)):
                await self.wish(label)

    def proven(self) -> bool:
        faces = [self.shop.faces[key] for key in self.newest.items()]
        ends = [(self.shop.terminal(face), self.shop.taken_back(face)) for face in faces]
        return all(found and isinstance(found[0], LabelShown) and not back for found, back in ends)

    async def until(self, done: Callable[[], bool], limit_s: float) -> None:
        end_s = asyncio.get_running_loop().time() + limit_s
        while not done() and asyncio.get_running_loop().time() < end_s:
            await self.mend()
            await asyncio.sleep(2)


@pytest.mark.parametrize("seed", range(50))
def test_random_mishaps_never_lead_to_a_wrong_word(seed: int) -> None:
    rng = random.Random(seed)
    config = ApConfig(
        macs=(TAG, OTHER),
        types=(SMALL_BWR, rng.choice((0x00, 0x01, 0xBB))),
        seed=seed,
        caching=rng.random() < 0.5,
        checkin_s=rng.choice(((5.0, 5.0), (40.0, 60.0))),
        loss=rng.choice((0.0, 0.0, 0.3)),
    )

    async def main() -> None:
        async with open_shop(config) as shop:
            sync = Sync(shop)
            for label in (TAG, OTHER):
                await sync.wish(label)
            for _ in range(rng.randrange(3, 12)):
                await sync.until(lambda: False, rng.choice((0.3, 1, 3, 10, 40, 100, 400)))
                await _disturb(shop, sync, rng)
            for label in (TAG, OTHER):
                shop.fault("silence_tag", label, silent=False)
            shop.ap.loss = 0.0
            await sync.until(sync.proven, 86_400)
            await sync.until(lambda: False, 900)
            assert sync.proven()
            assert [key for key in sync.newest.items() if not shop.shows(shop.faces[key])] == []
            assert [len(shop.terminal(face)) for face in shop.faces.values()] == [1] * len(shop.faces)
            assert shop.late == []

    run(main)


async def _disturb(shop: Shop, sync: Sync, rng: random.Random) -> None:
    match rng.randrange(4):
        case 0:
            await sync.wish(rng.choice([TAG, OTHER]))
        case 1 if rng.random() < 0.3:
            await shop.stop()
            await asyncio.sleep(rng.choice((0, 1, 30)))
            shop.start()
        case _:
            mishap(shop, rng)()


# Real sockets.

SPEED = 20.0


class FastLoop(asyncio.SelectorEventLoop):
    """Real sockets, but a second of the loop is a twentieth of a real one."""

    def time(self) -> float:
        return time.monotonic() * SPEED


class _WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Heard:
    """What a driver said."""

    messages: list[Reading | Fact] = field(default_factory=list)

    async def emit(self, *messages: Reading | Fact) -> None:
        self.messages += messages


def fast(main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60 * SPEED):
            await main()

    with asyncio.Runner(loop_factory=FastLoop) as runner:
        runner.run(limited())


def test_over_real_sockets_a_face_is_shown_and_read_back() -> None:
    async def main() -> None:
        config = ApConfig(macs=(TAG,), types=(0x07,), speed=SPEED, epoch_s=time.time(), checkin_s=(25.0, 30.0))
        ap, heard = AccessPoint(config), Heard()
        async with serving(ap, 0) as (port, _):
            driver = Driver(
                Config(id="ap-1", driver="label_oepl", url=f"http://127.0.0.1:{port}", request_timeout_s=60),
                Services(clock=_WallClock(), report=lambda *_: None),
            )
            assert "1 tags" in await driver.check()
            running = asyncio.create_task(driver.run(heard.emit))
            shop = Shop.__new__(Shop)
            shop.messages, shop.faces, shop.driver, shop.ap = heard.messages, {}, driver, ap
            await eventually(lambda: [m for m in heard.messages if isinstance(m, LabelSeen)], 120)
            face = await shop.converge(1)
            assert shop.shows(face)
            running.cancel()
            await asyncio.wait([running])

    fast(main)


async def _served(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], test: Callable[[str], Awaitable[None]]
) -> None:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await test(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


async def _ask(url: str, deadline_s: float = 5.0) -> tuple[int, bytes]:
    async with AiohttpLink(url) as link:
        return await link.request("GET", "/get_db?pos=0", headers={}, body=b"", deadline_s=deadline_s)


async def test_an_answer_that_is_too_big_is_not_kept() -> None:
    async def big(_: web.Request) -> web.Response:
        return web.Response(body=bytes(BODY_CAP + 1))

    async def test(url: str) -> None:
        with pytest.raises(LinkDown, match="more than"):
            await _ask(url)

    await _served(big, test)


async def test_an_answer_that_is_cut_short_is_a_broken_link() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return answer

    async def test(url: str) -> None:
        with pytest.raises(LinkDown):
            await _ask(url)

    await _served(cut, test)


async def test_an_answer_that_does_not_come_ends_at_the_deadline() -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async def test(url: str) -> None:
        with pytest.raises(LinkDown, match="no answer"):
            await _ask(url, 0.05)

    await _served(never, test)


async def test_nobody_at_the_address_is_a_broken_link(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(LinkDown):
        await _ask(url)
    async with AiohttpLink(url) as link:
        with pytest.raises(LinkDown):
            async with link.listen():
                pass


async def test_a_stream_text_beyond_the_cap_ends_the_stream() -> None:
    async def huge(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("x" * 400_000)
        await socket.receive()
        return socket

    async def test(url: str) -> None:
        async with AiohttpLink(url) as link, link.listen() as texts:
            assert [text async for text in texts] == []

    await _served(huge, test)
