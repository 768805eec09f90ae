"""Simulated tills on the real clock and real sockets: sessions, TLS, what is on sale, `GET /truth`, the command.

No behaviour of a till is here. Whoever embeds tills (a demo) takes `tills_at`; `aisled simulate till` takes `serve`.
"""

import asyncio
import contextlib
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
from aiohttp import web

from drivers.simulators import _till_wire as wire
from drivers.simulators._till_cache import PriceCache
from drivers.simulators._till_client import HttpLink
from drivers.simulators._till_clock import Utc, utc_now
from drivers.simulators._till_life import TillConfig
from drivers.simulators._till_link import Away, Link
from drivers.simulators._till_prices import FEED_S, read_feed
from drivers.simulators._till_script import load_script
from drivers.simulators._till_shopper import Article, Shopper
from drivers.simulators.till import TillFleet

LOOPBACK = "127.0.0.1"
AT_ONCE = 100  # codes in one question
MOST_ARTICLES = 2000  # more do not make shoppers any livelier
ASK_AGAIN_S = 1.0
_OWN_TOKEN = re.compile(r"ait_([a-z0-9][a-z0-9_-]{0,39})_[A-Za-z0-9_-]{43}")  # it names its terminal
_TOKEN_OF = re.compile(r"([a-z0-9][a-z0-9_-]{0,39})\s+(\S+)")


@dataclass(frozen=True)
class Where:
    """The gateway that the tills talk to. `tokens`: terminal -> its bearer token; `ca`: the shop's own authority."""

    base_url: str
    tokens: Mapping[str, str]
    ca: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be a gateway, with the reason."""
        if not re.match(r"https?://[^/]", self.base_url):
            raise ValueError(f"gateway: {self.base_url!r} is not a URL such as https://gateway.shop:8443")
        if not self.tokens:
            raise ValueError("tokens: there is none, so there is no till")


def read_tokens(path: Path) -> dict[str, str]:
    """Read a token file: one token a line, or a terminal and its token; `#` begins a remark. Raises ValueError."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    tokens: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        if own := _OWN_TOKEN.fullmatch(line):
            tokens[own[1]] = line
        elif pair := _TOKEN_OF.fullmatch(line):
            tokens[pair[1]] = pair[2]
        else:
            raise ValueError(f"{path}: line {number} is neither a token nor a terminal and its token")
    return tokens


@contextlib.asynccontextmanager
async def tills_at(
    where: Where,
    config: TillConfig,
    shoppers: Mapping[str, Iterable[Shopper]] | None = None,
    utc: Utc = utc_now,
) -> AsyncIterator[TillFleet]:
    """Yield tills that talk to a gateway over sockets. Without articles they learn what is on sale, however long.

    Call `run` within; leaving the context ends the connections. Raises OSError when the authority cannot be read.
    """
    tls = ssl.create_default_context(cafile=None if where.ca is None else str(where.ca))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        links = {terminal: HttpLink(session, where.base_url, token) for terminal, token in where.tokens.items()}
        if not config.articles:
            config = replace(config, articles=await learn(next(iter(links.values()))))
        yield TillFleet(links, config, shoppers, utc)


async def learn(link: Link) -> tuple[Article, ...]:
    """Return what the gateway has prices for, waiting until that is something. Raises Unwelcome."""
    while True:
        with contextlib.suppress(Away, wire.BadAnswer):
            cache = PriceCache()
            await read_feed(cache, link)
            if articles := await _articles(link, cache.on_sale()[:MOST_ARTICLES]):
                return tuple(articles)
        await asyncio.sleep(ASK_AGAIN_S)


async def _articles(link: Link, gtins: Sequence[str]) -> list[Article]:
    found: list[Article] = []
    for at in range(0, len(gtins), AT_ONCE):
        some = [Article(gtin) for gtin in gtins[at : at + AT_ONCE]]
        codes = [article.scan for article in some]
        answer = await link.request("POST", wire.BATCH_PATH, wire.batch_body(codes), FEED_S)
        quotes = wire.read_batch(codes, answer.body, utc_now())
        found += [replace(one, by_weight=q.by_weight) for one, q in zip(some, quotes, strict=True) if q is not None]
    return found


@contextlib.asynccontextmanager
async def truth_on(fleet: TillFleet, port: int) -> AsyncIterator[int]:
    """Serve `GET /truth` on loopback while the context lasts; yields the port (0 asks the system for one)."""

    async def truth(_: web.Request) -> web.Response:
        return web.json_response(fleet.truth())

    app = web.Application()
    app.router.add_get("/truth", truth)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def serve(where: Where, config: TillConfig, truth_port: int | None = None, faults: Path | None = None) -> None:
    """Run tills until their shoppers are served, SIGTERM or ctrl-C.

    Raises BadScript, OSError (port taken, no such file), Unwelcome in a group.
    """
    script = load_script(faults, where.tokens) if faults else []
    running = asyncio.current_task()
    assert running is not None
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        async with tills_at(where, config) as fleet, contextlib.AsyncExitStack() as stack:
            line = f"{len(fleet.tills)} tills at {where.base_url}, {len(fleet.config.articles)} products on sale"
            if truth_port is not None:
                bound = await stack.enter_async_context(truth_on(fleet, truth_port))
                line += f", truth on http://{LOOPBACK}:{bound}/truth"
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
            await fleet.run(script)
