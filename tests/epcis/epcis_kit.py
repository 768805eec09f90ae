"""What the tests of the EPCIS export share: a shop with zones, facts of items, our schema, a repository to send to."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema_rs
from aiohttp import web

from gateway import messages as m
from gateway.codes.epc import encode_sgtin96
from gateway.epcis.capture import Capture
from gateway.epcis.compose import Composer
from gateway.epcis.exporter import Exporter, composer
from gateway.epcis.settings import EpcisConfig
from gateway.rules.zones import Zone, Zones
from gateway.store.apply_epcis import EpcisRows
from gateway.store.store import Store
from tests.store.store_kit import SetClock

AT = datetime(2026, 11, 22, 8, 0, 0, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
GTIN = "06901234567892"
NO_GS1 = "E28011700000020F1234ABCD"
ZONES = Zones(
    [
        Zone(id="dock", kind="goods_in", antennas=("back:1",)),
        Zone(id="store-room", kind="backroom", antennas=("back:2",)),
        Zone(id="floor", kind="floor", antennas=("front:1",), read_point="https://id.gs1.org/414/6901234567892/254/f1"),
        Zone(id="try-on", kind="fitting", antennas=("front:2",)),
        Zone(id="till", kind="till", antennas=("till:1", "till:2")),
        Zone(id="door", kind="exit", antennas=("door:1",), outside=("door:2",)),
    ]
)
SCHEMA = jsonschema_rs.validator_for(json.loads(Path(__file__).with_name("schema.json").read_text("utf-8")))


def epc(serial: int) -> str:
    return encode_sgtin96(GTIN, 7, serial)


def arrived(zone: str = "floor", serial: int = 1, at: datetime = AT, **more: Any) -> m.TagArrived:
    return m.TagArrived(at=at, source="front", epc=epc(serial), gtin=GTIN, zone=zone, share=0.9, **more)


def moved(to: str, before: str, serial: int = 1, at: datetime = AT) -> m.TagMoved:
    return m.TagMoved(at=at, source="front", epc=epc(serial), gtin=GTIN, zone=to, from_zone=before, share=0.9)


def received(*serials: int, document: str | None = None, at: datetime = AT) -> m.GoodsReceived:
    epcs = tuple(map(epc, serials))
    return m.GoodsReceived(at=at, source=m.GATEWAY, gtin=GTIN, epcs=epcs, zone="dock", document=document)


def sold(*serials: int, at: datetime = AT, **more: Any) -> m.SaleLine:
    line: dict[str, Any] = {
        "terminal": "sco-1",
        "basket": "B/1",
        "line": 1,
        "gtin": GTIN,
        "quantity_thousandths": 1000 * len(serials),
        "weight_mg": None,
        "unit_price_minor": 500,
        "amount_minor": 500 * len(serials),
        "discount_minor": 0,
        "currency": "CNY",
        "price_version": 1,
        "shelf": None,
        "wave": None,
        "pending": False,
        "epcs": tuple(map(epc, serials)),
    }
    return m.SaleLine(at=at, source="sco-1", **line | more)


def left(serial: int = 1, at: datetime = AT, **more: Any) -> m.ExitAlarm:
    more = {"epc": epc(serial), "id": f"exit:{serial}"} | more
    return m.ExitAlarm(
        at=at, source="door", gtin=None, zone="door", left_at=at, reads=4, score=0.9, evidence=(), **more
    )


def written(action: Any = "kill", source: str = "till", result: Any = "done") -> m.TagWritten:
    return m.TagWritten(at=AT, source=source, action=action, epc=epc(1), actor="hq/anna", result=result)


def finished(kind: Any = "count", ended: Any = "complete", at: datetime = AT) -> m.CountFinished:
    numbers = dict.fromkeys(("expected", "found", "missing", "unexpected", "undecoded", "products"), 1)
    return m.CountFinished(
        at=at,
        source=m.GATEWAY,
        session="night",
        kind=kind,
        zones=("floor",),
        started_at=at,
        ended=ended,
        coverage=None,
        **numbers,
    )


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def take(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=202)


@dataclass
class Repository:
    """A capture interface. `answer` decides what becomes of a document; all that came is in `documents`, as bytes."""

    answer: Answer = take
    url: str = ""
    documents: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def capture(self, request: web.Request) -> web.StreamResponse:
        document = json.loads(await request.read())
        self.documents.append(document)
        self.headers.append(dict(request.headers))
        answer = await self.answer(request)
        if answer.status in (200, 201, 202):
            self.taken += document["epcisBody"]["eventList"]
        return answer

    async def job(self, request: web.Request) -> web.StreamResponse:
        states = self.jobs[request.match_info["job"]]
        return web.json_response(states.pop(0) if len(states) > 1 else states[0])

    def events(self) -> list[dict[str, Any]]:
        return [event for document in self.documents for event in document["epcisBody"]["eventList"]]

    def ids(self) -> list[str]:
        return [event["eventID"] for event in self.events()]


@contextlib.asynccontextmanager
async def repository(answer: Answer = take, tls: ssl.SSLContext | None = None) -> AsyncIterator[Repository]:
    """Serve on loopback until the end of the block."""
    peer = Repository(answer)
    app = web.Application(client_max_size=64 * 2**20)
    app.add_routes([web.post("/capture", peer.capture), web.get("/capture/{job}", peer.job)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    peer.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}/capture"
    try:
        yield peer
    finally:
        await runner.cleanup()


@dataclass
class Reports:
    """What the exporter said of itself."""

    said: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, state: str, reason: str, evidence: str, next_step: str) -> None:
        assert next_step
        self.said.append((state, reason, evidence))

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.said]


def config(url: str = "http://127.0.0.1:1/capture", **more: Any) -> EpcisConfig:
    return EpcisConfig(url=url, **{"allow_plaintext": True, "bucket_s": 1} | more)


def make(of: EpcisConfig) -> Composer:
    return composer(of, "0421", ZONES, SHANGHAI)


def exporter(of: EpcisConfig, store: Store, clock: SetClock, reports: Reports, **more: Any) -> Exporter:
    capture = Capture(of, job_poll_s=0.01, attempt_s=more.pop("attempt_s", 5.0))
    rows = EpcisRows(store, of.max_items)
    return Exporter(of, lambda: make(of), rows, clock, reports, capture=capture, scale=0.005, **more)


@contextlib.asynccontextmanager
async def running(one: Exporter) -> AsyncIterator[None]:
    task = asyncio.create_task(one.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()
