"""Composition root: the one file that knows everything, and nobody but `cli.py` imports it.

Start: store, rules from the store, core; then devices, head office, figures. Stop: devices first, then what is in hand
is kept, then the file is closed; it loses nothing and takes less than 5 s. A part that ends by itself ends the daemon
(systemd starts it again): half a gateway is worse than none.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from gateway import __version__, garbage, logs
from gateway import messages as m
from gateway.archivist import Archivist
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.core import Core
from gateway.driver import Driver, Labels, Services, ShopFacts, TagWriter
from gateway.driver_index import load_driver
from gateway.epcis.exporter import Exporter, composer
from gateway.epcis.mapping import Steps
from gateway.errors import ConfigError, GatewayError
from gateway.health import HealthBoard
from gateway.pauses import Pauses
from gateway.prices.answers import PriceAnswers, Upstream
from gateway.prices.board import PriceBoard
from gateway.prices.face_money import style_for
from gateway.prices.labels import LabelSync
from gateway.prices.salvaged import alarm, doubted, doubts
from gateway.prices.studio import Studio
from gateway.requests import Requests
from gateway.rulebook import KeptState, Rulebook, load_state
from gateway.rules.zones import Zones
from gateway.sdnotify import Notifier
from gateway.shop_tls import ShopTls
from gateway.store.apply_counts import CountTables
from gateway.store.apply_epcis import EpcisRows, EpcisTables
from gateway.store.apply_items import ItemTables
from gateway.store.apply_prices import PriceTables
from gateway.store.apply_sales import SaleTables
from gateway.store.journal import Journal
from gateway.store.ledger import Projection
from gateway.store.quota import MIB, Quota
from gateway.store.store import Store
from gateway.supervisor import Supervisor
from gateway.tag_requests import TagRequests
from gateway.ticker import Ticker
from gateway.till_desk import TillDesk
from gateway.till_evidence import Evidence
from gateway.till_leases import TillLeases
from gateway.uplink.mqtt import Uplink
from gateway.uplink.topics import Topics
from gateway.vitals import Backlog, Vitals

BEFORE_THE_CORE = ("devices", "labels", "leases", "ticker", "vitals", "clock", "journal", "health", "pauses")
STOP_STEP_S = 0.5  # each of the short steps of the stop; the whole stays below 5 s
DEVICES_STOP_S = 2.3
GOODBYE_S = 1.1  # the line to head office says that we leave

log = logging.getLogger(__name__)


def run(config: Config) -> int:
    """Run the gateway until SIGTERM or SIGINT. Returns the exit code."""
    logs.set_up()
    garbage.look_seldom()
    return asyncio.run(App(config).run())


class App:
    """One gateway."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._alarm: asyncio.Task[list[m.Fact]] | None = None
        self._batches = -1
        self._zones = Zones(config.zones)
        self._disk_trouble = False
        self._items_due: datetime | None = None

    async def run(self) -> int:
        """Start, work until told to stop, stop."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await self.start()
        self._spawn("stop", stop.wait)
        ended, _ = await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in ended if task is not self._tasks["stop"]]
        for task in failed:
            log.critical("%s ended by itself: the gateway stops", task.get_name(), exc_info=task.exception())
        await self.stop("failure" if failed else "asked to")
        return 1 if failed else 0

    async def start(self) -> None:
        """Open the store, build everything, start the tasks."""
        config = self._config
        _make_data_dir(config)
        self.clock = SystemClock.load(config.gateway.data_dir)
        self.store = Store(
            config.gateway.database,
            store_id=config.store.id,
            gateway_id=config.gateway.id,
            clock=self.clock,
            projections=(Journal(), PriceTables(), SaleTables(), ItemTables(), CountTables(), *self._epcis_tables()),
            quota=Quota(config.quota.business_mib * MIB, config.quota.telemetry_mib * MIB),
            on_trouble=self._on_trouble,
        )
        report = await self.store.open()
        doubtful = await self._build(report.doubt)
        self._spawn("core", self.core.run)
        if report.doubt is not None:
            await self.core.submit(*doubtful, alarm(report.doubt, self.clock.now()))
            await self.store.settle_doubt()
        started = m.GatewayStarted(at=self.clock.now(), source=m.GATEWAY, version=__version__, clean=report.clean)
        await self.core.emit(*report.facts, started)
        self._start_tasks()
        self.notifier.ready(f"{len(self.drivers)} devices, store {config.store.id}, gateway {config.gateway.id}")
        log.info("gateway started", extra={"version": __version__, "clean": report.clean})

    async def _build(self, doubt: str | None) -> list[m.Command]:
        """Build everything from the store; return what must be kept because its rows are in doubt."""
        config = self._config
        state = await self.store.write(self._load)  # may take its time
        if doubt is not None:
            caching = any(device.driver == "checkout_http" for device in config.devices)
            state = state._replace(prices=doubted(state.prices, self.clock.now(), caching=caching))
        self.board = HealthBoard(self.clock)
        style = style_for(config.store.currency, config.store.languages, config.prices.link_base)
        self.rules = Rulebook(config, self._zones, state, self._wake)
        self.desk = self._desk(state)
        self.drivers = self._drivers()
        labels = {device: driver for device, driver in self.drivers.items() if isinstance(driver, Labels)}
        self.labels = LabelSync(self.rules.pricing, self._submit, labels, Studio(style), self.clock)
        self.core = Core(self.store, self.rules.in_order(self.labels), rebuild=self._rebuild, committed=self._committed)
        self.ticker = Ticker(self.rules.pricing, self.core.submit, self.clock, lambda: self.rules.items.next_at)
        self.supervisor = Supervisor(self.drivers, self.core.emit, self.board, self.clock)
        readers = {device: driver for device, driver in self.drivers.items() if isinstance(driver, TagWriter)}
        tags = TagRequests(self.core.submit, readers, config.rfid.writers, state.prices.requests)
        requests = Requests(self.core.submit, self.labels, labels, self.supervisor.resume, self.clock.confirm, tags)
        self.vitals = Vitals(self.clock, config.gateway.data_dir, self._backlog)
        self.notifier = Notifier.from_environment()
        self.epcis = self._epcis()
        self.uplink = None
        if config.hq is not None:
            self.uplink = Uplink(
                config.hq,
                Topics(config.store.id, config.gateway.id),
                self.store,
                requests.submit,
                self.clock,
                self.board.reporter("hq"),
                measure=self.vitals.measure,
            )
        return [] if doubt is None else doubts(state.prices, self.clock.now())

    def _epcis_tables(self) -> Sequence[Projection]:
        """Return the tables of the export, behind those that they read; none when it is off."""
        config = self._config.epcis
        if config is None:
            return ()
        return (EpcisTables(Steps(self._zones, arrivals=config.arrivals, baskets=config.baskets), config.max_items),)

    def _epcis(self) -> Exporter | None:
        config, store = self._config.epcis, self._config.store
        if config is None:
            return None
        rows = EpcisRows(self.store, config.max_items)
        make = partial(composer, config, store.id, self._zones, store.zone)
        return Exporter(config, make, rows, self.clock, self.board.reporter("epcis"))

    def _desk(self, state: KeptState) -> TillDesk:
        config, clock, kept = self._config, self.clock, state.prices
        self.prices = PriceBoard(kept, clock.now())
        self.leases = TillLeases(
            self._ask,
            clock,
            lambda: self.prices.version,
            {terminal: kept.lease_s.get(terminal) or config.tills.lease_min * 60 for terminal in kept.leases},
            lease_s=config.tills.lease_min * 60,
        )
        answers = PriceAnswers(
            self.rules.pricing, self.prices, config.code_table(), self.rules.sales.expect, self._upstream
        )
        evidence = Evidence(self.prices, self.store.read)
        return TillDesk(answers, self.rules.sales, self._ask, evidence, self.leases, clock, state.sales.logs)

    def _upstream(self) -> Upstream:
        """Return when head office was last heard. A shop that runs alone has nothing newer to wait for."""
        status = self.board.of("hq")
        if self._config.hq is None or (status is not None and status.state == "online"):
            return Upstream(age_s=0, stale=False)
        if status is None:
            return Upstream(age_s=None, stale=True)
        age_s = int((self.clock.now() - status.since).total_seconds())
        return Upstream(age_s=age_s, stale=age_s >= self._config.tills.stale_after_min * 60)

    def _start_tasks(self) -> None:
        self._spawn("health", self.board.run, self.core.emit)
        self._spawn("devices", self.supervisor.run)
        self._spawn("labels", self.labels.run)
        self._spawn("leases", self.leases.run)
        self._spawn("ticker", self.ticker.run)
        self._spawn("vitals", self.vitals.run, self.core.emit)
        self._spawn("clock", self.clock.run)
        self._spawn("pauses", Pauses(lambda: self.core.batches).run)
        folder, keep_days = self._config.gateway.data_dir / "journal", self._config.journal.keep_days
        self._spawn("journal", Archivist(self.store, self.clock, folder, keep_days).run)
        self._tasks["watchdog"] = asyncio.create_task(self._watchdog(), name="watchdog")
        if self.uplink is not None:
            self._spawn("uplink", self.uplink.run)
        if self.epcis is not None:
            self._spawn("epcis", self.epcis.run)

    async def stop(self, reason: str) -> None:
        """Stop in order: devices, orders, what is in hand, the file."""
        self.notifier.stopping()
        log.info("gateway stops", extra={"reason": reason})
        await self._end(*BEFORE_THE_CORE, within_s=DEVICES_STOP_S)
        stopped = m.GatewayStopped(at=self.clock.now(), source=m.GATEWAY, reason=reason)
        with contextlib.suppress(TimeoutError, GatewayError):
            async with asyncio.timeout(STOP_STEP_S):
                await self.board.flush(self.core.emit, STOP_STEP_S)
                await self.core.emit(stopped)
        await self._end("uplink", "epcis", "watchdog", "stop", within_s=GOODBYE_S)
        await self._end("core")
        with contextlib.suppress(TimeoutError, GatewayError):
            async with asyncio.timeout(STOP_STEP_S):
                await self.core.drain()
        await self.store.close()
        log.info("gateway stopped", extra={"abandoned": self.supervisor.abandoned})
        if self.supervisor.abandoned:
            os._exit(1)  # a driver that ignores its end would hold the process for ever; all is on disk

    def _drivers(self) -> dict[str, Driver]:
        built: dict[str, Driver] = {}
        store = self._config.store
        shop = ShopFacts(store.zone, store.currency, style_for(store.currency).minor_digits)
        tls = ShopTls(self._config.gateway.data_dir, store.id, self.clock)
        for device in self._config.devices:
            if device.enabled:
                services = Services(
                    clock=self.clock,
                    report=self.board.reporter(device.id),
                    tills=self.desk,
                    certificates=tls,
                    data_dir=self._config.gateway.data_dir,
                    shop=shop,
                )
                built[device.id] = load_driver(device.driver).Driver(device, services)
        return built

    def _wake(self) -> None:
        self.labels.wake()
        self.ticker.wake()

    async def _submit(self, *commands: m.Command | m.Fact) -> list[m.Fact]:
        return await self.core.submit(*commands)

    async def _ask(self, *commands: m.Command) -> list[m.Message]:
        return await self.core.ask(*commands)

    def _committed(self, messages: Sequence[m.Message]) -> None:
        self.prices.committed(messages)
        self.desk.committed(messages)
        if self.rules.items.next_at != self._items_due:
            self._items_due = self.rules.items.next_at
            self.ticker.wake()

    def _load(self, connection: sqlite3.Connection) -> KeptState:
        return load_state(connection, self.clock.now())

    async def _rebuild(self) -> None:
        self.rules.load(await self.store.write(self._load))
        self._wake()

    async def _backlog(self) -> Backlog:
        waiting, hours = self.store.waiting(), [h for h in self.store.hours_left().values() if h is not None]
        rows, head = await self.store.journal_head()
        return Backlog(waiting["business"], waiting["telemetry"], min(hours, default=None), rows, head.hex())

    def _on_trouble(self, text: str | None) -> None:
        self._disk_trouble = text is not None
        common: dict[str, Any] = {"at": self.clock.now(), "source": m.GATEWAY, "alarm": "store"}
        if text is None:
            log.warning("the disk takes data again")
            fact: m.Fact = m.AlarmCleared(**common)
        else:
            log.error("the disk does not take data: %s", text)
            self.notifier.status(f"the disk does not take data: {text}")
            step = "free space on the disk, or replace it; nothing is acknowledged until then"
            fact = m.AlarmRaised(text=text, next_step=step, **common)
        self._alarm = asyncio.create_task(self.core.submit(fact), name="store-alarm")

    def _healthy(self) -> bool:
        """Tell whether the core makes progress, or stands still for a reason that is known and told."""
        before, self._batches = self._batches, self.core.batches
        return self.core.waiting == 0 or self.core.batches != before or self._disk_trouble

    async def _watchdog(self) -> None:
        await self.notifier.run(self._healthy)
        await asyncio.Event().wait()

    def _spawn(self, name: str, work: Callable[..., Awaitable[Any]], *arguments: object) -> None:
        async def task() -> None:
            await work(*arguments)

        coroutine: Coroutine[Any, Any, None] = task()
        self._tasks[name] = asyncio.create_task(coroutine, name=name)

    async def _end(self, *names: str, within_s: float = STOP_STEP_S) -> None:
        ending = [task for name in names if (task := self._tasks.pop(name, None)) is not None]
        for task in ending:
            task.cancel()
        if ending:
            _, stuck = await asyncio.wait(ending, timeout=within_s)
            for task in stuck:
                log.error("%s ignores the stop", task.get_name())


def _make_data_dir(config: Config) -> None:
    try:
        config.gateway.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"[gateway] data_dir: cannot make {config.gateway.data_dir}: {error.strerror}") from error
