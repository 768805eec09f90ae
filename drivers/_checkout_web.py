"""One request from its header to its answer: the route, who asks, the body within its bounds, problems as RFC 9457.

Not here: what the calls do (`_checkout_calls.py`), connections (`_checkout_gate.py`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from aiohttp import web

from drivers._checkout_auth import Doorkeeper
from drivers._checkout_cards import mask
from drivers._checkout_gate import IDLE_S, REQUEST_S, Gate, Seat
from drivers._checkout_problem import CONTENT_TYPE, Problem
from drivers._checkout_routes import Asked, Route, find
from drivers._terminal_tokens import TERMINAL
from gateway.errors import GatewayError, NotForSale, Refused

BODY_S = 20.0
TRUST_S = 1.0  # a token found good is not looked up again for so long on the same connection
RETRY_AFTER_S = "5"
LINGER_S = 0.5  # to read what is left of a body that was refused
CARRY_ON = b"HTTP/1.1 100 Continue\r\n\r\n"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request that was let in. `terminal` asks; "" where nobody must say who they are."""

    request: web.BaseRequest
    seat: Seat
    route: Route
    terminal: str
    values: tuple[str, ...]


Call = Callable[[Ask], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may come at all. `terminals` None = all that have a token; `rtsf` None = no such calls here."""

    terminals: frozenset[str] | None
    rtsf: tuple[IPv4Network | IPv6Network, ...] | None


class Web:
    """Answers every request."""

    def __init__(self, device: str, doorkeeper: Doorkeeper, rules: Rules, calls: Mapping[str, Call]) -> None:
        self._device, self._doorkeeper, self._rules, self._calls = device, doorkeeper, rules, calls
        self.gate: Gate | None = None

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer to one request, whatever it is."""
        assert self.gate is not None
        seat = self.gate.seats.get(request.protocol)
        if seat is None:
            raise ConnectionResetError("gone already")
        loop, path = asyncio.get_running_loop(), request.rel_url.raw_path
        now_s = loop.time()
        seat.until_s = now_s + REQUEST_S
        try:
            return await self._answer(request, seat, path, now_s)
        except Problem as problem:
            return answer_of(problem, path)
        except GatewayError as error:
            return answer_of(problem_of(error), path)
        finally:
            seat.until_s = loop.time() + IDLE_S

    async def _answer(self, request: web.BaseRequest, seat: Seat, path: str, now_s: float) -> web.StreamResponse:
        asked = find(request.method, path)
        terminal = self._admit(asked, request, seat, now_s)
        call = self._calls.get(asked.route.call)
        if call is None:
            raise Problem(503, "not-here", "this gateway does not know its shop's currency and time zone")
        return await call(Ask(request, seat, asked.route, terminal, asked.values))

    def _admit(self, asked: Asked, request: web.BaseRequest, seat: Seat, now_s: float) -> str:
        """Return who asks. Raises Problem (401, 403, 404, 429)."""
        match asked.route.access:
            case "anybody":
                return ""
            case "allowed_address":
                self._allow_address(request, seat)
                return ""
            case "own_terminal":
                terminal = self._terminal(request, seat, asked.values[0], now_s)
                self._must_be(terminal, asked.values[0])
                return terminal
            case "any_terminal":
                return self._terminal(request, seat, "", now_s)

    def _terminal(self, request: web.BaseRequest, seat: Seat, asked: str, now_s: float) -> str:
        header = request.headers.get("Authorization")
        known = seat.credential
        if known is not None and known[0] == header and now_s < known[1]:
            return known[2]
        if header is None and "Origin" in request.headers:
            raise Problem(403, "web-page", "this interface is not for web pages")
        self._doorkeeper.reload()
        certificate = request.transport.get_extra_info("peercert") if request.transport is not None else None
        named = mask(asked) if TERMINAL.fullmatch(asked) else ""
        terminal = self._doorkeeper.terminal(header, certificate, seat.address, named, now_s)
        seat.credential = (header, now_s + TRUST_S, terminal)
        return terminal

    def _must_be(self, terminal: str, asked: str) -> None:
        known = self._rules.terminals
        if not TERMINAL.fullmatch(asked) or (known is not None and asked not in known):
            raise Problem(
                404, "no-such-terminal", "this gateway has no such terminal; see `terminals` in its configuration"
            )
        if terminal != asked:
            extra = {"device": self._device, "once": f"other {terminal}"}
            log.warning("refused %s: its token was used for another terminal, %s", terminal, mask(asked), extra=extra)
            raise Problem(403, "other-terminal", "this token belongs to another terminal")

    def _allow_address(self, request: web.BaseRequest, seat: Seat) -> None:
        if self._rules.rtsf is None:
            raise Problem(404, "no-such-path", "there is no such path here; /v1/openapi.json lists all")
        address = ip_address(seat.address.partition("%")[0])
        if "Origin" in request.headers or not any(address in network for network in self._rules.rtsf):
            extra = {"device": self._device, "once": f"rtsf {seat.address}"}
            log.warning("refused %s: it is not in `rtsf_networks`", seat.address, extra=extra)
            raise Problem(403, "address-not-allowed", "this address may not send events without a token")


class Http(web.RequestHandler):
    """aiohttp's side of one connection. Its own words for what goes wrong would repeat the bytes that were sent."""

    __slots__ = ("_device",)

    def __init__(self, server: web.Server, device: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # None = no log of requests, says its documentation
            lingering_time=LINGER_S,
            keepalive_timeout=IDLE_S,
            auto_decompress=False,
        )
        self._device = device

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer malformed HTTP, or a bug of ours, which is logged in full."""
        del message
        kind = type(exc).__name__
        if status >= 500:
            log.error("a bug: %s", kind, exc_info=exc, extra={"device": self._device})
            problem = Problem(500, "bug", "a mistake of ours; the log of the gateway has it")
        else:
            log.warning("malformed HTTP: %s", kind, extra={"device": self._device, "once": f"malformed {kind}"})
            problem = Problem(400, "malformed", f"no good HTTP request: {kind}")
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        response = answer_of(problem, request.path)
        response.force_close()
        return response


def answer_of(problem: Problem, path: str) -> web.Response:
    """Return a problem as an answer. After a body that was not read to its end the connection cannot go on."""
    response = web.Response(
        status=problem.status,
        body=problem.body(path),
        headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", **problem.headers},
    )
    if problem.status in (408, 413):
        response.force_close()
    return response


def problem_of(error: GatewayError) -> Problem:
    """Return an error of the gateway's own as a problem."""
    match error:
        case NotForSale():
            return Problem(404, "not-for-sale", str(error))
        case Refused():
            return Problem(422, "refused", str(error))
        case _:
            return Problem(503, "not-now", str(error), headers={"Retry-After": RETRY_AFTER_S})


async def body_of(ask: Ask) -> bytes:
    """Return the whole body of a JSON call. Raises Problem (400, 408, 413, 415)."""
    request, most = ask.request, ask.route.body_max
    must_be_json(request)
    try:
        if request.content.is_eof():  # it came with its header, as small ones do: there is nothing to wait for
            return await request.read()
        await welcome(request, most)
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise Problem(408, "slow-body", f"the body did not come within {BODY_S:.0f} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise too_large(most) from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Problem(400, "cut-off", f"the body is not whole: {type(error).__name__}") from None


async def welcome(request: web.BaseRequest, most: int) -> None:
    """Refuse a body that says of itself that it is too large; ask for it if the client waits to be asked."""
    if (request.content_length or 0) > most:
        raise too_large(most)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(CARRY_ON)
        request.writer.output_size = 0


def too_large(most: int) -> Problem:
    """Return what is said to a body that is too large."""
    return Problem(413, "too-large", f"a body may have {most} bytes here")


def must_be_json(request: web.BaseRequest) -> None:
    """Raise Problem (415) when the body is something else."""
    if request.headers.get("Content-Type") != "application/json" and request.content_type != "application/json":
        raise Problem(415, "wrong-content-type", "send Content-Type: application/json")
    must_be_plain(request)


def must_be_plain(request: web.BaseRequest) -> None:
    """Raise Problem (415) for a compressed body: nobody here unpacks what could be a thousand times as large."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "compressed", "send the body as it is, without Content-Encoding")
