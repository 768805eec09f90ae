"""The way in: listens, counts connections before TLS, does TLS with a deadline, and ends connections that hang.

aiohttp accepts by itself, but bounds neither connections nor how long a header may take. Here every connection has a
`Seat` with a deadline, moved on as it gets along; who misses it is cut off. Not here: HTTP (aiohttp), who may do what
(`_checkout_auth.py`).
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import LinkDown

HANDSHAKE_S = 5.0
HEADER_S = 10.0  # from the connection to its first whole request
REQUEST_S = 60.0  # from the header of a request to the end of its answer
IDLE_S = 75.0  # between requests of a connection that is kept open
SWEEP_S = 1.0
BACKLOG = 128
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
FULL_WAIT_S = 1.0

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Seat:
    """One connection. `until_s` (loop time) is when it is cut off unless it got further; None = it may stay."""

    address: str
    until_s: float | None
    transport: asyncio.BaseTransport | None = None
    credential: tuple[str | None, float, str] | None = None  # the header that was good, until when, whose it is

    def cut(self) -> None:
        """End it now; what was not sent yet is lost."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


class _Watched(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol, and notes when the connection comes and goes."""

    def __init__(
        self, inner: asyncio.Protocol, came: Callable[[asyncio.Protocol, asyncio.BaseTransport], None]
    ) -> None:
        self._inner, self._came = inner, came
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._came(self._inner, transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)
        self.gone.set()


class Gate:
    """Accepts connections for `make` (aiohttp's server). `tls` is asked for each, as it may be renewed."""

    def __init__(
        self,
        device: str,
        listening: socket.socket,
        make: Callable[[], asyncio.Protocol],
        tls: Callable[[], ssl.SSLContext | None],
        limits: tuple[int, int],
    ) -> None:
        self._device, self._listening, self._make, self._tls = device, listening, make, tls
        self._most, self._most_per_address = limits
        self.seats: dict[asyncio.Protocol, Seat] = {}
        self._by_address: Counter[str] = Counter()
        self._accepting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Accept until cancelled; connections that are open then are cut off."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep(), name=f"{self._device} sweep")
            self._accepting = group.create_task(self._accept(group), name=f"{self._device} accept")

    def shut(self) -> None:
        """Accept nobody more; who is inside may finish."""
        if self._accepting is not None:
            self._accepting.cancel()
        self._listening.close()

    async def _accept(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, peer = await loop.sock_accept(self._listening)
            except OSError as error:
                if error.errno not in FULL:
                    raise LinkDown(f"{self._device}: no more connections: {error}") from error
                self._say("full", "no connection more can be accepted: %s", error)
                await asyncio.sleep(FULL_WAIT_S)
                continue
            address = peer[0]
            if self._by_address.total() >= self._most or self._by_address[address] >= self._most_per_address:
                sock.close()
                self._say(f"crowd {address}", "refused a connection of %s: too many are open", address)
                continue
            self._by_address[address] += 1
            group.create_task(self._serve(sock, address), name=f"{self._device} {address}")

    async def _serve(self, sock: socket.socket, address: str) -> None:
        """Hold one connection's seat from here to its end."""
        loop = asyncio.get_running_loop()
        seat = Seat(address, loop.time() + HANDSHAKE_S + HEADER_S)
        inner = self._make()

        def came(protocol: asyncio.Protocol, transport: asyncio.BaseTransport) -> None:
            seat.transport, seat.until_s = transport, loop.time() + HEADER_S
            self.seats[protocol] = seat

        watched = _Watched(inner, came)
        try:
            await self._connect(sock, watched)
            await watched.gone.wait()
        except ssl.SSLError as error:
            self._say(f"tls {address} {error.reason}", "refused %s: %s", address, _tls_reason(error))
        except OSError:
            log.debug("%s went away before it was let in", address)
        finally:
            self.seats.pop(inner, None)
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
            seat.cut()

    async def _connect(self, sock: socket.socket, watched: _Watched) -> None:
        context, loop = self._tls(), asyncio.get_running_loop()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            await loop.connect_accepted_socket(lambda: watched, sock)
        else:
            await loop.connect_accepted_socket(
                lambda: watched, sock, ssl=context, ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=1.0
            )

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = loop.time()
            for seat in [*self.seats.values()]:
                if seat.until_s is not None and seat.until_s < now_s:
                    self._say(f"slow {seat.address}", "cut off %s: it did not get on in time", seat.address)
                    seat.cut()

    def _say(self, once: str, text: str, *values: object) -> None:
        log.warning(text, *values, extra={"device": self._device, "once": once})


def listen_on(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raises LinkDown: the port may be free again soon."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise LinkDown(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    listening.setblocking(False)
    return listening


def _tls_reason(error: ssl.SSLError) -> str:
    if error.reason == "HTTP_REQUEST":
        return "it speaks plain HTTP; this port is for https only"
    return f"TLS failed ({error.reason or 'closed'})"
