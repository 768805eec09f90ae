"""The command `aisled simulate reader` as a person runs it: ports, one shop for all, truth, hooks, a clean end."""

import asyncio
import contextlib
import re
import signal
import socket
import sys
import time

import aiohttp
import pytest
from llrpkit import Reader as Client

from drivers.simulators._reader_serve import LONGEST_LEAP_S, Served, serving
from gateway.cli import main
from tests.simulators.reader_peer import EPOCH_S, fleet_of

DEADLINE_S = 120.0


@contextlib.asynccontextmanager
async def command(*options):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", "simulate", "reader", *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def leave(http, epcs):
    """Carry items out as soon as the reader at the door reads."""
    while 2 not in (await (await http.get("/truth")).json())["readers"][2]["rospecs"].values():  # noqa: ASYNC110 (nothing tells of it)
        await asyncio.sleep(0.01)
    assert (await (await http.post("/walk", json={"epcs": epcs})).json())["epcs"] == epcs


async def test_three_readers_hear_one_shop():
    options = ["--port", "0", "--readers", "3", "--truth-port", "0", "--tags", "90", "--kind", "zebra"]
    async with asyncio.timeout(DEADLINE_S), command(*options, "--reads-per-s", "3000") as process:
        line = (await process.stdout.readline()).decode()
        assert line.startswith("3 LLRP readers over 90 tags on 127.0.0.1:")
        ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", line)]
        truth_url = f"http://127.0.0.1:{ports.pop()}"
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Client("127.0.0.1", port)) for port in ports]
            http = await stack.enter_async_context(aiohttp.ClientSession(truth_url))
            assert [client.max_antennas for client in clients] == [2, 4, 2]
            truth = await (await http.get("/truth")).json()
            assert [one["port"] for one in truth["readers"]] == ports
            assert all(one["client"] for one in truth["readers"])
            delivered = (await (await http.post("/deliver", json={"items": 1})).json())["epcs"]
            async for tag in clients[0].inventory(antennas=[1]):
                if tag.epc.hex().upper() in delivered:
                    break
            assert (await http.post("/walk", json={"items": 10_000})).status == 400
            assert (await http.post("/walk", data=b"{")).status == 400
            assert (await http.post("/walk", json=[])).status == 400
            leaving = asyncio.create_task(leave(http, delivered))
            async for tag in clients[2].inventory():
                if tag.epc.hex().upper() in delivered:
                    assert tag.antenna == 1  # the inner one first
                    break
            await leaving
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (["--port", "0", "--tags", "-1"], 2, "tags: -1 is not within"),
        (["--port", "0", "--readers", "99"], 2, "readers: 99"),
        (["--port", "65535", "--readers", "2"], 2, "port: 65536"),
        (["--port", "0", "--gtins", "/nowhere"], 2, "/nowhere"),
        (["--port", "0", "--faults", "/nowhere"], 2, "/nowhere"),
        (["--port", "0", "--reads-per-s", "nan"], 2, "reads per second"),
    ],
)
def test_wrong_options_are_said(options, code, why, capsys):
    assert main(["simulate", "reader", *options]) == code
    assert why in capsys.readouterr().err


def test_a_taken_port_is_said(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["simulate", "reader", "--port", str(taken.getsockname()[1])]) == 1
    assert "cannot listen" in capsys.readouterr().err


def test_a_machine_that_is_too_slow_keeps_the_right_time():
    fleet = fleet_of()
    served = Served(fleet)
    served._began_s -= 100  # a hundred seconds that nobody computed
    served.catch_up()
    assert fleet.timeline.now_s == pytest.approx(LONGEST_LEAP_S, abs=0.2)
    assert served.behind_s == pytest.approx(100 - LONGEST_LEAP_S, abs=0.2)
    assert fleet.readers[0].clock.us() / 1e6 == pytest.approx(EPOCH_S + 100, abs=0.5)


async def test_time_of_the_reader_is_the_time():
    fleet = fleet_of(epoch_s=time.time())
    async with asyncio.timeout(DEADLINE_S), serving(fleet) as ports, Client("127.0.0.1", ports.readers[0]) as client:
        async for tag in client.inventory():
            assert tag.last_seen_us / 1e6 == pytest.approx(time.time(), abs=5)
            break
