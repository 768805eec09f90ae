"""A till's WebSocket, both ways: events and questions up, acknowledgements and prices down, and how it ends."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from drivers import _checkout_stream
from drivers import _terminal_tokens as tokens
from drivers._checkout_bodies import AssistFrame
from drivers._checkout_frames import read_frame
from drivers._checkout_problem import Problem
from gateway.errors import StoreError
from tests.drivers.checkout_shop import MILK, OTHER, TILL, Shop, event, goodbye, hear, item, open_shop, until


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as shop:
        yield shop


async def test_it_greets_with_how_to_speak_and_where_to_resume(shop: Shop) -> None:
    await shop.ask("POST", f"/v1/sco/{TILL}/events", [event(1), event(2), event(4)])
    async with shop.stream() as till:
        assert await hear(till) == {"type": "config", "ping_s": 15, "max_events": 500, "max_frame_bytes": 1 << 20}
        assert await hear(till) == {"type": "ack", "results": [], "ack_seq": 2}


async def test_events_up_one_or_many_each_frame_is_acknowledged(shop: Shop) -> None:
    async with shop.stream() as till:
        await till.send_json(item(1))
        await till.send_json([event(2), event(3, "item.added"), event(4)])
        await till.send_bytes(json.dumps(event(5)).encode())
        await hear(till, "config")
        await hear(till, "ack")
        acks = [await hear(till, "ack") for _ in range(3)]
    assert [[one["result"] for one in ack["results"]] for ack in acks] == [
        ["accepted"],
        ["accepted", "rejected", "accepted"],
        ["accepted"],
    ]
    assert acks[-1]["ack_seq"] == 5
    assert shop.tills.kept[TILL][3].type == "terminal.refused"


async def test_a_refused_event_is_answered_in_an_ack_and_its_number_is_used_up(shop: Shop) -> None:
    async with shop.stream() as till:
        await hear(till, "ack")
        await till.send_json(event(1, "item.voided"))
        await till.send_json({"type": "events", "events": [event(2, "item.voided"), event(3)]})
        first, second = await hear(till), await hear(till)
    assert first["ack_seq"] in (1, 3)  # both frames may share a commit
    assert "data.line" in first["results"][0]["reason"]
    assert [one["result"] for one in second["results"]] == ["rejected", "accepted"]
    assert second["ack_seq"] == 3


async def test_events_with_the_clock_of_the_till(shop: Shop) -> None:
    async with shop.stream() as till:
        await hear(till, "ack")
        sent_at = "2026-11-23T09:00:07Z"
        await till.send_json({"type": "events", "sent_at": sent_at, "events": [event(1)]})
        assert [one["result"] for one in (await hear(till, "ack"))["results"]] == ["accepted"]
        await till.send_json({"sent_at": sent_at, "events": [event(2), event(3, at="?")], "type": "events"})
        assert [one["result"] for one in (await hear(till, "ack"))["results"]] == ["accepted", "rejected"]
    assert [at.isoformat() for at in shop.tills.sent_at if at] == ["2026-11-23T09:00:07+00:00"] * 2


async def test_frames_that_come_during_a_commit_share_the_next_one(shop: Shop) -> None:
    shop.tills.hold = asyncio.Event()
    async with shop.stream() as till:
        await hear(till, "ack")
        await till.send_json(event(1))
        await until(lambda: shop.tills.takes == 1)
        for seq in range(2, 30):
            await till.send_json(event(seq))
        stream = shop.driver._streams._open[TILL]
        await until(lambda: stream._held == 29)
        shop.tills.hold.set()
        acks = [await hear(till, "ack") for _ in range(29)]
    assert shop.tills.takes == 2
    assert [ack["results"][0]["seq"] for ack in acks] == list(range(1, 30))


async def test_what_waits_for_a_commit_is_bounded(shop: Shop) -> None:
    shop.tills.hold = asyncio.Event()
    async with shop.stream() as till:
        await hear(till, "ack")
        for first in range(1, 5000, 500):
            await till.send_json([event(seq) for seq in range(first, first + 500)])
        stream = shop.driver._streams._open[TILL]
        await until(lambda: stream._held > _checkout_stream.MAX_HELD)
        assert stream._held <= _checkout_stream.MAX_HELD + 500
        shop.tills.hold.set()
        acks = [await hear(till, "ack") for _ in range(10)]
    assert acks[-1]["ack_seq"] == 5000


async def test_what_waits_for_a_commit_is_bounded_by_bytes_too(shop: Shop) -> None:
    shop.tills.hold = asyncio.Event()
    async with shop.stream() as till:
        await hear(till, "ack")
        stream = shop.driver._streams._open[TILL]
        large = [
            json.dumps([event(seq, "x", data={"a": "x" * 8000}) for seq in range(n, n + 100)])
            for n in range(1, 1001, 100)
        ]
        sending = asyncio.gather(*(till.send_str(text) for text in large))
        await until(lambda: stream._held_bytes > _checkout_stream.MAX_HELD_BYTES)
        for _ in range(50):
            await asyncio.sleep(0)
        assert stream._held_bytes <= _checkout_stream.MAX_HELD_BYTES + len(large[-1])
        assert stream._held < 1000
        shop.tills.hold.set()
        acks = [await hear(till, "ack") for _ in range(10)]
        await sending
        assert (stream._held, stream._held_bytes) == (0, 0)
    assert acks[-1]["ack_seq"] == 1000


async def test_changed_prices_come_down(shop: Shop) -> None:
    async with shop.stream() as till:
        await hear(till, "ack")
        shop.tills.charge(MILK, 1190)
        said = await hear(till, "price.changed")
        assert (said["version"], said["changes"][0]["price_minor"]) == (2, 1190)


async def test_prices_since_a_version_in_pieces_the_last_names_the_version(shop: Shop) -> None:
    for number in range(1200):
        shop.tills.charge(f"{number:014d}", number)
    async with shop.stream("?since=1") as till:
        frames = [await hear(till, "price.changed") for _ in range(3)]
        assert [len(frame["changes"]) for frame in frames] == [500, 500, 200]
        assert [frame["version"] for frame in frames] == [None, None, 1201]


async def test_a_till_ahead_of_us_is_told_to_begin_again(shop: Shop) -> None:
    async with shop.stream("?since=77") as till:
        assert await hear(till, "price.changed") == {"type": "price.changed", "changes": [], "version": 1}


async def test_a_lease_and_a_bagging_check(shop: Shop) -> None:
    async with shop.stream() as till:
        await till.send_json({"type": "lease", "version": 1})
        assert await hear(till, "lease") == {"type": "lease", "version": 1, "lease_s": 900}
        await till.send_json({"type": "verify", "basket_id": "b-1"})
        assert (await hear(till, "verdict"))["verdict"] == "match"


async def test_a_person_is_called(shop: Shop) -> None:
    frame = AssistFrame(type="assist.request", basket_id="b-1", reason="the bag is heavier than the basket")
    assert not shop.driver.tell(TILL, frame)
    async with shop.stream() as till:
        await hear(till, "ack")
        assert shop.driver.tell(TILL, frame)
        assert (await hear(till, "assist.request"))["reason"] == frame.reason


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("{", 400),
        ("", 400),
        ("[1", 400),
        ("7", 422),
        ("{}", 422),
        ('{"type":"lease"}', 422),
        ('{"type":"lease","version":-1}', 422),
        ('{"type":"verify","basket_id":"a b"}', 422),
        ('{"type":"events","events":7}', 422),
        (json.dumps(event(0)), 422),
        (json.dumps([event(n) for n in range(1, 502)]), 413),
        ("\ud800", 400),
    ],
)
def test_a_bad_frame_is_a_problem(text: str, status: int) -> None:
    said = read_frame(text.encode("utf-8", "surrogatepass")).said
    assert isinstance(said, Problem)
    assert said.status == status


async def test_a_bad_frame_is_answered_and_the_stream_goes_on(shop: Shop) -> None:
    async with shop.stream() as till:
        await hear(till, "ack")
        await till.send_str('{"type":"lease","version":"1"}')
        said = await hear(till, "problem")
        assert (said["problem"]["status"], said["problem"]["errors"][0]["at"]) == (422, "version")
        await till.send_json(event(1))
        assert (await hear(till, "ack"))["ack_seq"] == 1


async def test_what_the_store_refuses_is_to_be_sent_again(shop: Shop) -> None:
    async with shop.stream() as till:
        await hear(till, "ack")
        shop.tills.trouble = StoreError("the disk is full")
        await till.send_json(event(1))
        said = await hear(till, "problem")
        assert (said["problem"]["status"], said["retry_after_s"]) == (503, 5)
        shop.tills.trouble = None
        await till.send_json(event(1))
        assert (await hear(till, "ack"))["ack_seq"] == 1


async def test_one_who_only_sends_rubbish_is_dropped(shop: Shop) -> None:
    async with shop.stream() as till:
        for _ in range(_checkout_stream.MAX_BAD + 1):
            await till.send_str("hello")
        assert await goodbye(till) == (1008, "20 bad frames in a row")


async def test_a_frame_that_is_too_large_ends_it(shop: Shop) -> None:
    async with shop.stream() as till:
        await till.send_str("x" * ((1 << 20) + 1))
        code, _ = await goodbye(till)
        assert code == 1009


async def test_the_newest_stream_of_a_till_wins(shop: Shop) -> None:
    async with shop.stream() as older, shop.stream(terminal=OTHER) as neighbour:
        await hear(older, "ack")
        async with shop.stream() as newer:
            await hear(newer, "ack")
            assert (await goodbye(older))[0] == 4001
            await newer.send_json(event(1))
            assert (await hear(newer, "ack"))["ack_seq"] == 1
            await neighbour.send_json(event(1))
            await hear(neighbour, "ack")
            assert (await hear(neighbour, "ack"))["ack_seq"] == 1


async def test_a_revoked_token_ends_the_stream(shop: Shop) -> None:
    async with shop.stream() as till, shop.stream(terminal=OTHER) as other:
        await hear(till, "ack")
        tokens.revoke(shop.tokens_file, TILL)
        assert await goodbye(till) == (1008, "the token is not good any more")
        await hear(other, "ack")
        await other.send_json(event(1))
        assert (await hear(other, "ack"))["ack_seq"] == 1


async def test_a_till_that_takes_nothing_is_dropped(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkout_stream, "SEND_S", 0.2)
    for number in range(60_000):  # more than the kernel takes for it
        shop.tills.charge(f"{number:014d}", number)
    reader, writer = await open_by_hand(shop, "?since=0")  # reads the handshake and then nothing more
    await until(lambda: TILL in shop.driver._streams._open)
    await until(lambda: TILL not in shop.driver._streams._open)
    assert (await shop.ask("GET", f"/v1/price/{MILK}")).status == 200
    reader.feed_eof()
    writer.close()


async def test_a_dead_peer_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkout_stream, "PING_S", 0.1)
    async with open_shop(tmp_path) as shop:
        reader, writer = await open_by_hand(shop)
        async with asyncio.timeout(10):
            rest = await reader.read()
        assert b"\x89\x00" in rest  # a ping (RFC 6455, 5.5.2) that was not answered
        await until(lambda: TILL not in shop.driver._streams._open)
        writer.close()


async def open_by_hand(shop: Shop, query: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", shop.driver.port))
    reader, writer = await asyncio.open_connection(sock=plain, limit=1024)
    head = f"GET /v1/sco/{TILL}/stream{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += f"Authorization: Bearer {shop.tokens[TILL]}\r\n"
    writer.write((head + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + "A" * 22 + "==\r\n\r\n").encode())
    assert b" 101 " in await reader.readline()
    return reader, writer


async def test_one_byte_at_a_time_and_cut_in_the_middle(shop: Shop) -> None:
    body = json.dumps(event(1)).encode()
    frame = b"\x81\xfe" + len(body).to_bytes(2, "big") + b"\0\0\0\0" + body
    reader, writer = await open_by_hand(shop)
    for byte in frame[:-1]:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert not shop.tills.kept
    writer.write(frame[-1:])
    await until(lambda: shop.tills.kept)
    writer.write(frame[: len(frame) // 2])
    writer.transport.abort()
    await until(lambda: TILL not in shop.driver._streams._open)
    assert sorted(shop.tills.kept[TILL]) == [1]
    reader.feed_eof()


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 426), ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "1"}, 400)],
)
async def test_no_good_handshake(shop: Shop, headers, status) -> None:
    answer = await shop.ask("GET", f"/v1/sco/{TILL}/stream", headers=headers)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_another_tills_token_opens_nothing(shop: Shop) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await shop.session.ws_connect(f"{shop.url}/v1/sco/{TILL}/stream", headers=shop.auth(OTHER))
    assert refused.value.status == 403


async def test_a_stop_says_goodbye_and_takes_less_than_two_seconds(shop: Shop) -> None:
    async with shop.stream() as till, shop.stream(terminal=OTHER) as deaf:
        await hear(till, "ack")
        await hear(deaf, "ack")
        shop.running.cancel()
        assert await goodbye(till) == (1001, "the gateway stops; come back soon")
        async with asyncio.timeout(2):
            await asyncio.wait({shop.running})
