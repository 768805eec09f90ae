"""The interface of self-checkouts: events, prices, leases and bagging checks by HTTPS and WebSocket, one token a till.

Its OpenAPI document is `config/checkout-openapi.json`; `python -m drivers.checkout_http` prints it. A till keeps its
events and sends them until they are answered; what is answered is on disk. Not here: prices and baskets (`Tills`).
Next: `_checkout_routes.py` for what can be asked, `_checkout_web.py` for a request's way, `_checkout_calls.py` for what
each does, `_checkout_stream.py` for the WebSocket, `_checkout_gate.py` for connections and TLS.
Source: our own interface; Intel RTSF's checkout events for the aliases. Grade: `simulated` (against our own tills).
"""

import asyncio
import ipaddress
import logging
import ssl
import sys
from pathlib import Path
from typing import Self

from aiohttp import web
from pydantic import Field, IPvAnyAddress, IPvAnyNetwork, model_validator

from drivers._checkout_auth import Doorkeeper
from drivers._checkout_bodies import AssistFrame, ConfigFrame
from drivers._checkout_calls import Calls
from drivers._checkout_gate import Gate, listen_on
from drivers._checkout_health import Evidence, judge
from drivers._checkout_lanes import Lanes
from drivers._checkout_openapi import document
from drivers._checkout_poslog import Documents
from drivers._checkout_rtsf import Money
from drivers._checkout_stream import Streams
from drivers._checkout_web import Call, Http, Rules, Web
from drivers._terminal_tokens import TerminalTokens
from drivers._terminal_tokens import known as known_tokens
from gateway.driver import DeviceConfig, Emit, Services, Tills
from gateway.errors import ConfigError, DeviceError
from gateway.messages.tills import Terminal

TICK_S = 1.0
RENEW_S = 3600.0  # a certificate that was renewed serves new connections within the hour
FINISH_S = 0.8  # for requests in hand at a stop; aiohttp may take it twice

log = logging.getLogger(__name__)


class Config(DeviceConfig):
    """The address that tills of this shop call."""

    host: IPvAnyAddress = Field(
        default=ipaddress.IPv4Address(0), description="address to listen on; 0.0.0.0 = all", examples=["10.20.0.2"]
    )
    port: int = Field(default=8443, ge=0, le=65535, description="port to listen on", examples=[8443])
    certificate_file: Path | None = Field(
        default=None,
        description="our certificate (PEM); not set = one of the store's own authority",
        examples=["tills.pem"],
    )
    key_file: Path | None = Field(default=None, description="key of that certificate", examples=["tills.key"])
    client_ca_file: Path | None = Field(
        default=None,
        description="authority of the tills' client certificates; with it a certificate can replace a token",
        examples=["tills-ca.pem"],
    )
    plaintext: bool = Field(
        default=False, description="http instead of https; only for this machine itself", examples=[False]
    )
    allow_plaintext_lan: bool = Field(
        default=False, description="allow `plaintext` for other machines: all in the network can read and change it"
    )
    tokens_file: Path | None = Field(
        default=None, description="file of the tills' tokens; not set = in `data_dir`", examples=["terminals.json"]
    )
    terminals: tuple[Terminal, ...] | None = Field(
        default=None, description="ids of the tills there are; not set = each that has a token", examples=[["till-1"]]
    )
    silent_after_s: float = Field(
        default=900, gt=0, description="seconds without a word after which a till counts as silent", examples=[900]
    )
    rtsf: bool = Field(default=False, description="take events of Intel RTSF clients, which cannot say who they are")
    rtsf_networks: tuple[IPvAnyNetwork, ...] = Field(
        default=(), description="networks that those may come from", examples=[["10.20.3.0/24"]]
    )
    rtsf_lanes: dict[str, Terminal] = Field(
        default={},
        description="terminal of each of their lanes; not named = `lane-<lane_id>`",
        examples=[{"1": "till-1"}],
    )
    connections_max: int = Field(default=500, ge=1, le=5000, description="open connections in all")
    connections_per_address_max: int = Field(default=64, ge=1, le=5000, description="open connections of one address")

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.plaintext and not self.host.is_loopback and not self.allow_plaintext_lan:
            raise ValueError(
                'plaintext is for this machine itself: set host = "127.0.0.1", or allow_plaintext_lan = true'
            )
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        if self.rtsf and not self.rtsf_networks:
            raise ValueError("rtsf takes events without a token: name in rtsf_networks where they may come from")
        return self


class Driver:
    """Serves the tills of one gateway."""

    def __init__(self, config: Config, services: Services) -> None:
        self._config, self._services = config, services
        self._evidence = Evidence()
        self._tls: ssl.SSLContext | None = None
        self._streams: Streams | None = None
        self._gate: Gate | None = None
        self.port: int | None = None  # where it listens, once it does

    async def run(self, emit: Emit) -> None:
        """Serve until cancelled. Events go through `Tills`, which answers after the commit."""
        config, services = self._config, self._services
        if services.tills is None:
            raise ConfigError("this gateway has no prices and keeps no events: checkout_http cannot serve tills")
        await self._renew()
        tokens = TerminalTokens(self._tokens_file)
        doorkeeper = Doorkeeper(config.id, tokens, services.clock, services.certificates)
        doorkeeper.reload()
        known = None if config.terminals is None else frozenset(config.terminals)
        calls = Calls(config.id, services.tills, services.clock, self._evidence)
        streams = self._streams = Streams(config.id, services.tills, calls, self._evidence)
        rules = Rules(known, config.rtsf_networks if config.rtsf else None)
        table: dict[str, Call] = {name: getattr(calls, name) for name in CALLS} | {"stream": streams.serve}
        table |= self._of_the_shop(services.tills, calls, known, emit)
        await self._serve(Web(config.id, doorkeeper, rules, table), streams, doorkeeper)

    async def check(self) -> str:
        """Try the certificate, the tokens and the port. A gateway that runs has the port already."""
        config = self._config
        await self._renew()
        tills = len(known_tokens(self._tokens_file))
        try:
            listen_on(str(config.host), config.port).close()
        except DeviceError as error:
            return f"{tills} tills have tokens; {error} (the running gateway?)"
        return f"{tills} tills have tokens; {config.host} port {config.port} is free"

    @property
    def _tokens_file(self) -> Path:
        return self._config.tokens_file or self._services.data_dir / "terminals.json"

    def _of_the_shop(self, tills: Tills, calls: Calls, known: frozenset[str] | None, emit: Emit) -> dict[str, Call]:
        """Return the calls for which currency and time zone must be known."""
        config, shop, clock = self._config, self._services.shop, self._services.clock
        if shop is None:
            return {}
        money = Money(shop.currency, shop.minor_digits)
        lanes = Lanes(calls, tills, clock, money, config.rtsf_lanes, known)
        return {"rtsf": lanes.take, "poslog": Documents(config.id, tills, shop, clock, emit).take}

    def tell(self, terminal: str, frame: AssistFrame | ConfigFrame) -> bool:
        """Send a till a frame over its stream; return whether it has one."""
        return self._streams is not None and self._streams.tell(terminal, frame)

    async def _serve(self, site: Web, streams: Streams, doorkeeper: Doorkeeper) -> None:
        config = self._config
        try:
            listening = listen_on(str(config.host), config.port)
        except DeviceError as error:
            step = "see which other program has this port, or set another one"
            self._services.report("offline", "cannot_listen", str(error), step)
            raise
        server = web.Server(site.serve)
        loop = asyncio.get_running_loop()
        limits = (config.connections_max, config.connections_per_address_max)
        site.gate = self._gate = gate = Gate(
            config.id, listening, lambda: Http(server, config.id, loop), lambda: self._tls, limits
        )
        self.port = listening.getsockname()[1]
        self._evidence.where = f"listening on {config.host} port {self.port}"
        async with asyncio.TaskGroup() as group:
            group.create_task(gate.run(), name=f"{config.id} gate")
            try:
                await self._watch(streams, doorkeeper)
            finally:
                self.port = None
                gate.shut()
                streams.end()
                server.pre_shutdown()  # those that ask nothing just now
                await server.shutdown(FINISH_S)

    async def _watch(self, streams: Streams, doorkeeper: Doorkeeper) -> None:
        """Tell our state, look at the tokens, and take a renewed certificate over, for ever."""
        loop = asyncio.get_running_loop()
        renew_s = loop.time() + RENEW_S
        while True:
            doorkeeper.reload()
            streams.look(doorkeeper)
            self._evidence.trouble, self._evidence.refused = doorkeeper.trouble, doorkeeper.refused
            said = judge(self._evidence, loop.time(), self._config.silent_after_s)
            self._services.report(said.state, said.reason, said.evidence, said.next_step)
            if loop.time() >= renew_s:
                renew_s = loop.time() + RENEW_S
                await self._renew()
            await asyncio.sleep(TICK_S)

    async def _renew(self) -> None:
        """Read the certificate, off the event loop: it may be made, and that syncs the disk."""
        config = self._config
        if config.plaintext:
            return
        if self._services.certificates is None:
            raise ConfigError(
                "no certificates here: set `plaintext` for this machine itself, or give the gateway its own"
            )
        ask = self._services.certificates.server_context
        try:
            self._tls = await asyncio.to_thread(ask, config.certificate_file, config.key_file, config.client_ca_file)
        except ConfigError as error:
            if self._tls is None:
                raise
            log.warning("the certificate stays as it is: %s", error, extra={"device": config.id, "once": "tls"})


CALLS = ("health", "openapi", "events", "ack", "lease", "verify", "price", "prices_of", "feed")


if __name__ == "__main__":
    sys.stdout.buffer.write(document())
