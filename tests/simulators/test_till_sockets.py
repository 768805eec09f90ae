"""Tills over real sockets: client, token file, what is on sale, GET /truth, and the command as a process."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from drivers.simulators import _till_client
from drivers.simulators._till_client import HttpLink
from drivers.simulators._till_link import Away
from drivers.simulators._till_serve import Where, learn, read_tokens, tills_at, truth_on
from drivers.simulators.till import TillConfig, Unwelcome
from tests.simulators.till_gateway import APPLES, PRICES, Gateway

ROOT = Path(__file__).parents[2]
TOKENS = {"sco-1": "one", "sco-2": "two"}


@contextlib.asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[str]:
    """Serve the small gateway on loopback; yields its URL."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") not in {f"Bearer {token}" for token in TOKENS.values()}:
            return web.Response(status=401, text="who are you?")
        if request.path.endswith("/stream"):
            return await stream(request)
        body = await request.read()
        assert not body or request.content_type == "application/json"
        found = gateway.handle(request.method, request.path_qs, body or None)
        return web.Response(status=found.status, body=found.body)

    async def stream(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for text in ("not JSON", "[]", json.dumps({"type": "price.changed"})):
            await socket.send_str(text)
        await socket.receive()
        return socket

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_tills_learn_what_is_on_sale_and_sell_it_and_the_truth_says_so() -> None:
    gateway = Gateway()
    config = TillConfig(mode="cache", speed=10_000, baskets=4)
    async with (
        listening(gateway) as url,
        tills_at(Where(url, TOKENS), config) as fleet,
        truth_on(fleet, 0) as port,
        aiohttp.ClientSession() as client,
    ):
        assert {article.gtin for article in fleet.config.articles} == set(PRICES)
        assert [article.gtin for article in fleet.config.articles if article.by_weight] == [APPLES]
        await asyncio.wait_for(fleet.run(), 20)
        async with client.get(f"http://127.0.0.1:{port}/truth") as answer:
            truth = await answer.json()
    assert truth["tills"].keys() == TOKENS.keys()
    for terminal, till in truth["tills"].items():
        assert till["unsent"] == 0
        assert [event["seq"] for event in till["events"]] == sorted(gateway.events[terminal])
    assert sum(truth["sums_minor"].values()) == sum(line["amount_minor"] for line in truth["lines"]) > 0
    assert truth["lines"][0]["paid_at"].endswith("Z")
    assert len({line["basket"] for line in truth["lines"]}) == truth["baskets"]


async def test_the_client_says_away_for_all_that_goes_wrong(monkeypatch) -> None:
    async with aiohttp.ClientSession() as session, listening(Gateway()) as url:
        nobody = HttpLink(session, "http://127.0.0.1:9", "one")
        with pytest.raises(Away, match="Cannot connect"):
            await nobody.request("GET", "/v1/prices?since=0", None, 5.0)
        with pytest.raises(Away):
            await nobody.listen("/v1/sco/sco-1/stream", print)
        link = HttpLink(session, url, "one")
        with pytest.raises(Away, match="TimeoutError"):
            await link.request("GET", "/v1/prices?since=0", None, 0.0)
        monkeypatch.setattr(_till_client, "MAX_ANSWER_BYTES", 10)
        with pytest.raises(Away, match="above 10 bytes"):
            await link.request("GET", "/v1/prices?since=0", None, 5.0)


async def test_the_stream_hands_on_every_text() -> None:
    heard: list[str] = []
    third = asyncio.Event()

    def hear(text: str) -> None:
        heard.append(text)
        if len(heard) == 3:
            third.set()

    async with aiohttp.ClientSession() as session, listening(Gateway()) as url:
        listen = asyncio.create_task(HttpLink(session, url, "one").listen("/v1/sco/sco-1/stream", hear))
        async with asyncio.timeout(5):
            await third.wait()
        listen.cancel()
        await asyncio.wait({listen})
    assert heard[:2] == ["not JSON", "[]"]


async def test_a_wrong_token_is_said_and_not_tried_again() -> None:
    config = TillConfig((await _articles())[:1], baskets=1)
    async with listening(Gateway()) as url, tills_at(Where(url, {"sco-1": "stolen"}), config) as fleet:
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(fleet.run(), 5)
    assert caught.group_contains(Unwelcome, match="status 401")


async def _articles() -> tuple:
    async with aiohttp.ClientSession() as session, listening(Gateway()) as url:
        return await learn(HttpLink(session, url, "one"))


OWN = "ait_till-7_" + "x" * 43


def test_a_token_file_names_its_terminals(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# of the shop\nsco-1 one\n\n{OWN}  # new\n")
    assert read_tokens(path) == {"sco-1": "one", "till-7": OWN}


@pytest.mark.parametrize(("text", "said"), [("nonsense\n", "line 1"), ("a b\nSCO-1 x", "line 2"), (None, "No such")])
def test_a_bad_token_file_is_refused(tmp_path: Path, text, said) -> None:
    path = tmp_path / "tokens"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_tokens(path)


async def command(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "drivers.simulators.till",
        *words,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
def tokens(tmp_path: Path) -> str:
    path = tmp_path / "tokens"
    path.write_text("sco-1 one\nsco-2 two\n")
    return str(path)


async def test_the_command_serves_its_shoppers_and_ends(tokens) -> None:
    gateway = Gateway()
    async with listening(gateway) as url:
        words = ("--gateway", url, "--token-file", tokens, "--truth-port", "0", "--speed", "10000", "--baskets", "2")
        process = await command(*words)
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (0, b"")
    assert out.decode().startswith(f"2 tills at {url}, 4 products on sale, truth on http://127.0.0.1:")
    assert gateway.ack("sco-1") > 0
    assert gateway.ack("sco-2") > 0


async def test_the_command_ends_when_the_gateway_does_not_know_it(tmp_path) -> None:
    path = tmp_path / "stolen"
    path.write_text("sco-1 stolen\n")
    async with listening(Gateway()) as url:
        process = await command("--gateway", url, "--token-file", str(path))
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (2, b"")
    assert err.startswith(b"till: status 401")


async def test_the_command_stops_when_told(tokens) -> None:
    async with listening(Gateway()) as url:
        process = await command("--gateway", url, "--token-file", tokens)
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 30)
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gateway", "gateway"), "is not a URL"),
        (("--speed", "0"), "speed"),
        (("--baskets", "-1"), "baskets"),
        (("--every", "0"), "every_s"),
        (("--token-file", "/nowhere"), "No such file"),
        (("--faults", "/nowhere"), "No such file"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(tokens, words, said, capsys) -> None:
    import argparse

    from drivers.simulators import till

    parser = argparse.ArgumentParser()
    till.add_arguments(parser)
    args = parser.parse_args(["--gateway", "http://127.0.0.1:9", "--token-file", tokens, *words])
    assert till.main(args) == 2
    assert said in capsys.readouterr().err
