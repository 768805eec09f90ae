"""The guard of `conftest.py` guards: each way out is tried."""

import asyncio
import socket
from collections.abc import Callable
from urllib.request import urlopen

import pytest

OUTSIDE = ("192.0.2.1", 80)  # RFC 5737: an address that belongs to nobody


@pytest.mark.parametrize(
    "reach_out",
    [
        lambda: socket.socket().connect(OUTSIDE),
        lambda: socket.socket().connect_ex(OUTSIDE),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", OUTSIDE),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, OUTSIDE),
        lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 80)),
        lambda: socket.create_connection(OUTSIDE),
        lambda: socket.getaddrinfo("example.com", 80),
        lambda: urlopen("http://example.com"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_way_out(reach_out: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError, match="this machine only"):
        reach_out()


async def test_no_way_out_of_asyncio() -> None:
    with pytest.raises(RuntimeError, match="this machine only"):
        await asyncio.open_connection(*OUTSIDE)


async def test_loopback_is_open() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
