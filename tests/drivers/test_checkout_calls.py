"""Every call of the tills' interface over a real socket: what it answers, and how it says no."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from drivers._checkout_events import MAX_DATA_BYTES, NO_TIME, read_batch
from gateway.errors import GatewayError, StoreError
from gateway.messages import SaleBasket, Tick, TillGap
from tests.drivers.checkout_shop import MILK, NOW, OTHER, TILL, Shop, event, item, open_shop, until
from tests.gateway.desk_rig import DeskRig

EVENTS = f"/v1/sco/{TILL}/events"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as shop:
        yield shop


async def test_one_event_is_kept_and_acknowledged(shop: Shop) -> None:
    answer = await shop.ask("POST", EVENTS, item(1))
    assert answer.status == 200
    accepted = {"event_id": "e-1", "seq": 1, "result": "accepted", "reason": None}
    assert answer.json == {"results": [accepted], "ack_seq": 1}
    assert shop.tills.kept[TILL][1].data["gtin"] == MILK


async def test_a_repeat_is_a_duplicate_and_a_reused_number_a_conflict(shop: Shop) -> None:
    await shop.ask("POST", EVENTS, item(1))
    again = await shop.ask("POST", EVENTS, item(1))
    assert (again.status, again.json["results"][0]["result"]) == (200, "duplicate")
    other = await shop.ask("POST", EVENTS, item(1, quantity=2))
    assert other.status == 409
    assert other.json["results"][0]["result"] == "conflict"
    batch = await shop.ask("POST", EVENTS, [item(1, quantity=2), item(2)])
    assert [one["result"] for one in batch.json["results"]] == ["conflict", "accepted"]


async def test_a_bad_event_in_an_array_does_not_hold_up_the_others(shop: Shop) -> None:
    bad = [event(2, "item.added", data={"line": 0}), event(3, at="yesterday"), 7, event(4, colour="red")]
    answer = await shop.ask("POST", EVENTS, [item(1), *bad, event(5)])
    assert answer.status == 200
    results = answer.json["results"]
    assert [one["result"] for one in results] == ["accepted", *["rejected"] * 4, "accepted"]
    assert [one["seq"] for one in results] == [1, 2, 3, None, 4, 5]
    assert "data.line" in results[1]["reason"]
    assert results[2]["reason"].startswith("at: ")
    assert "colour" in results[4]["reason"]
    assert [(seq, one.type) for seq, one in sorted(shop.tills.kept[TILL].items())] == [
        (1, "item.added"),
        (2, "terminal.refused"),
        (3, "terminal.refused"),
        (4, "terminal.refused"),
        (5, "basket.opened"),
    ]
    assert answer.json["ack_seq"] == 5


NAN = b'{"event_id":"e-1","seq":1,"type":"x","at":"2026-11-23T09:00:00Z","basket_id":"b-1","data":{"a":NaN}}'
BAD = [
    (event(1, "item.voided"), "data.line: Field required", NOW),
    (event(1, "payment.failed", data={"reason": 7}), "data.reason: Input should be a valid string", NOW),
    (NAN, "data: holds a number or a text that is none", NOW),
    (event(1, basket_id="a b"), "basket_id: String should match", NOW),
    (event(1, colour="red"), "colour: Extra inputs are not permitted", NOW),
    (event(1, "Item"), "type: String should match", NOW),
    (event(1, data=7), "data: Input should be an object", NOW),
    (event(1, at="2026-11-23T09:00:00"), "at: ", NO_TIME),
    (event(1, at="0001-01-01T00:00:00+14:00"), "at: not a time of this century", NO_TIME),
    (event(1, at=NOW.replace(year=2101).isoformat()), "at: not a time of this century", NO_TIME),
]


@pytest.mark.parametrize(("bad", "reason", "at"), BAD)
async def test_the_number_of_a_refused_event_is_used_up(shop: Shop, bad, reason, at) -> None:
    text = bad if isinstance(bad, bytes) else json.dumps(bad).encode()
    for _ in range(2):  # and said again it is refused again
        answer = await shop.ask("POST", EVENTS, text)
        assert (answer.status, answer.json["type"]) == (422, "urn:aisled:problem:rejected")
        [result] = answer.json["results"]
        assert (result["event_id"], result["seq"], result["result"]) == ("e-1", 1, "rejected")
        assert reason in result["reason"]
        assert answer.json["ack_seq"] == 1
    [kept] = shop.tills.kept[TILL].values()
    assert (kept.type, kept.at, kept.basket_id, kept.data) == ("terminal.refused", at, None, {})
    assert (await shop.ask("POST", EVENTS, item(2))).json["ack_seq"] == 2


@pytest.mark.parametrize("letter", ["x", "\u9999"])
async def test_the_data_of_one_event_is_bounded(shop: Shop, letter: str) -> None:
    size = len(letter.encode())
    most = letter * ((MAX_DATA_BYTES - len('{"a":""}')) // size)
    batch = [event(1, "x", data={"a": most}), event(2, "x", data={"a": most + letter}), event(3)]
    answer = await shop.ask("POST", EVENTS, json.dumps(batch).encode())
    assert [one["result"] for one in answer.json["results"]] == ["accepted", "rejected", "accepted"]
    assert "bytes of JSON; at most 8192 in one event" in answer.json["results"][1]["reason"]
    assert answer.json["ack_seq"] == 3
    assert shop.tills.kept[TILL][2].data == {}
    single = await shop.ask("POST", EVENTS, event(4, "x", data={"a": "x" * 500_000}))
    assert (single.status, single.json["ack_seq"]) == (422, 4)
    assert [one["at"] for one in single.json["errors"]] == ["data"]


async def test_a_refused_event_without_a_time_takes_one_of_its_neighbours(shop: Shop) -> None:
    await shop.ask("POST", EVENTS, [event(1, at="noon"), event(2)])
    assert shop.tills.kept[TILL][1].at == NOW


@pytest.mark.parametrize("name", [{"event_id": "a b"}, {"event_id": 7}, {"seq": 0}, {"seq": "1"}, {"seq": True}])
async def test_a_refused_event_without_id_or_number_uses_up_none(shop: Shop, name) -> None:
    single = await shop.ask("POST", EVENTS, event(1) | name)
    assert (single.status, single.json["type"], [one["at"] for one in single.json["errors"]]) == (
        422,
        "urn:aisled:problem:wrong-body",
        [*name],
    )
    batch = await shop.ask("POST", EVENTS, [event(1) | name, event(2), 7, event(3, at="noon"), event(4)])
    assert [one["result"] for one in batch.json["results"]] == [
        "rejected",
        "accepted",
        "rejected",
        "rejected",
        "accepted",
    ]
    assert sorted(shop.tills.kept[TILL]) == [2, 3, 4]


async def test_the_events_after_a_refused_one_do_not_wait(tmp_path: Path) -> None:
    """Before the real rule: what comes after it is applied at once, and the basket is not touched by it."""
    async with DeskRig(tmp_path) as rig:
        said = [
            event(1),
            item(2),
            event(3, "item.added", data={"line": 0}),
            event(4, at="noon"),
            event(5, "payment.succeeded", data={"amount_minor": 1290, "currency": "CNY", "tender": "cash"}),
            event(6, "basket.closed"),
        ]
        batch = read_batch(json.dumps(said).encode())
        kept = await rig.desk.take("tills", TILL, batch.events)
        assert [one.result for one in batch.outcomes(kept)] == [*["accepted"] * 2, *["rejected"] * 2, *["accepted"] * 2]
        assert rig.desk.ack_seq(TILL) == 6
        [basket] = rig.of(SaleBasket)
        assert (basket.outcome, basket.amount_minor, basket.at) == ("paid", 1290, NOW)
        assert not rig.of(TillGap)


async def test_an_unknown_type_is_kept_unread(shop: Shop) -> None:
    answer = await shop.ask("POST", EVENTS, event(1, "loyalty.shown", data={"deep": [1, {"x": None}]}))
    assert answer.status == 200
    assert shop.tills.kept[TILL][1].data == {"deep": [1, {"x": None}]}


async def test_the_till_says_its_time(shop: Shop) -> None:
    await shop.ask("POST", EVENTS, event(1), headers={"Sent-At": "2026-11-23T17:00:09+08:00"})
    assert [at.isoformat() for at in shop.tills.sent_at if at] == ["2026-11-23T17:00:09+08:00"]
    wrong = await shop.ask("POST", EVENTS, event(2), headers={"Sent-At": "noon"})
    assert wrong.status == 422


async def test_where_to_resume(shop: Shop) -> None:
    await shop.ask("POST", EVENTS, [event(1), event(2), event(4)])
    assert (await shop.ask("GET", f"/v1/sco/{TILL}/ack")).json == {"ack_seq": 2}


async def test_a_price_and_its_etag(shop: Shop) -> None:
    first = await shop.ask("GET", f"/v1/price/{MILK}")
    assert (first.status, first.json["price_minor"], first.json["price_version"]) == (200, 1290, 1)
    shop.tills.age_s = 9
    tag = {"If-None-Match": first.headers["ETag"]}
    assert (await shop.ask("GET", f"/v1/price/{MILK}", headers=tag)).status == 304
    shop.tills.charge(MILK, 1190)
    again = await shop.ask("GET", f"/v1/price/{MILK}", headers=tag)
    assert (again.status, again.json["price_minor"], again.headers["ETag"] == first.headers["ETag"]) == (
        200,
        1190,
        False,
    )


async def test_a_code_may_hold_a_slash(shop: Shop) -> None:
    answer = await shop.ask("GET", "/v1/price/https%3A%2F%2Fid.example%2F01%2F06901234567892")
    assert answer.status == 422
    assert "id.example/01" in answer.json["detail"]


async def test_prices_of_several_codes_come_in_order(shop: Shop) -> None:
    answer = await shop.ask("POST", "/v1/price/batch", {"codes": [MILK, "4006381333931", "?"]})
    found = answer.json["prices"]
    assert [one.get("price_minor") for one in found] == [1290, None, None]
    assert [one.get("status") for one in found] == [None, 404, 422]


async def test_the_feed_ends_with_the_version_that_it_leads_to(shop: Shop) -> None:
    for number in range(1200):
        shop.tills.charge(f"{number:014d}", number)
    answer = await shop.ask("GET", "/v1/prices?since=1")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert len(lines) == 1201
    assert [one["version"] for one in lines[:-1]] == list(range(2, 1202))
    assert lines[-1] == {"version": 1201}
    assert (await shop.ask("GET", "/v1/prices?since=9999")).body == b'{"version":1201}\n'  # put back: begin again


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_lease(shop: Shop, method: str) -> None:
    answer = await shop.ask(method, f"/v1/sco/{TILL}/lease", {"version": 1})
    assert answer.json == {"version": 1, "lease_s": 900}
    assert shop.tills.leases == [(TILL, 1)]


async def test_a_bagging_check_fails_open(shop: Shop) -> None:
    path, asked = f"/v1/sco/{TILL}/verify", {"basket_id": "b-1"}
    assert (await shop.ask("POST", path, asked)).json["verdict"] == "match"
    shop.tills.trouble = StoreError("the disk is full")
    answer = await shop.ask("POST", path, asked)
    assert (answer.status, answer.json["verdict"], answer.json["reason"]) == (200, "unknown", "the disk is full")


async def test_health_needs_no_token_and_says_nothing(shop: Shop) -> None:
    answer = await shop.ask("GET", "/v1/health", terminal=None)
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')


async def test_what_the_store_refuses_is_to_be_sent_again(shop: Shop) -> None:
    shop.tills.trouble = StoreError("the disk is full")
    answer = await shop.ask("POST", EVENTS, event(1))
    assert (answer.status, answer.json["detail"], answer.headers["Retry-After"]) == (503, "the disk is full", "5")
    shop.tills.trouble = GatewayError("not yet")
    assert (await shop.ask("GET", f"/v1/price/{MILK}")).status == 503


REFUSED = [
    ("GET", "/", None, {}, 404, "no-such-path"),
    ("GET", "/v1/price/", None, {}, 404, "no-such-path"),
    ("GET", EVENTS, None, {}, 405, "wrong-method"),
    ("OPTIONS", EVENTS, None, {}, 405, "wrong-method"),
    ("POST", EVENTS, b"{", {}, 400, "no-json"),
    ("POST", EVENTS, b"[1,", {}, 400, "no-json"),
    ("POST", EVENTS, b"", {}, 400, "no-json"),
    ("POST", EVENTS, b'"text"', {}, 422, "wrong-body"),
    ("POST", EVENTS, b"\xff\xfe", {}, 400, "no-json"),
    ("POST", EVENTS, event(0), {}, 422, "wrong-body"),
    ("POST", EVENTS, [event(n) for n in range(1, 502)], {}, 413, "too-many-events"),
    ("POST", EVENTS, b" " * (1 << 20) + b"{}", {}, 413, "too-large"),
    ("POST", EVENTS, event(1), {"Content-Type": "text/plain"}, 415, "wrong-content-type"),
    ("POST", EVENTS, event(1), {"Content-Encoding": "gzip"}, 415, "compressed"),
    ("POST", "/v1/price/batch", {"codes": "all"}, {}, 422, "wrong-body"),
    ("POST", "/v1/price/batch", {"codes": [""]}, {}, 422, "wrong-body"),
    ("GET", "/v1/price/12345670", None, {}, 404, "not-for-sale"),
    ("GET", "/v1/price/abc", None, {}, 422, "refused"),
    ("GET", "/v1/prices?since=-1", None, {}, 422, "wrong-query"),
    ("GET", "/v1/prices?since=soon", None, {}, 422, "wrong-query"),
    ("PUT", f"/v1/sco/{TILL}/lease", {"version": "1"}, {}, 422, "wrong-body"),
    ("POST", f"/v1/sco/{TILL}/verify", {"basket_id": "a b"}, {}, 422, "wrong-body"),
    ("GET", f"/v1/sco/{OTHER}/ack", None, {}, 403, "other-terminal"),
    ("GET", "/v1/sco/Till%201/ack", None, {}, 404, "no-such-terminal"),
    (
        "GET",
        f"/v1/sco/{TILL}/ack",
        None,
        {"Origin": "http://evil.example", "Authorization": ""},
        401,
        "no-bearer-token",
    ),
    ("POST", "/api/v1/resource/device-pos-rest/basket-open", {}, {}, 404, "no-such-path"),
]


@pytest.mark.parametrize(("method", "path", "said", "headers", "status", "kind"), REFUSED)
async def test_every_refusal_is_a_problem_with_a_reason(shop: Shop, method, path, said, headers, status, kind) -> None:
    answer = await shop.ask(method, path, said, headers=headers)
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["type"] == f"urn:aisled:problem:{kind}"
    assert problem["status"] == status
    assert problem["instance"] == path.split("?")[0]
    assert problem["detail"]
    assert not shop.tills.kept


async def test_a_wrong_body_names_the_place(shop: Shop) -> None:
    answer = await shop.ask("POST", EVENTS, item(1, quantity=0))
    assert answer.json["detail"] == "data.quantity: Input should be greater than or equal to 1"
    answer = await shop.ask("PUT", f"/v1/sco/{TILL}/lease", {"version": "1"})
    assert [one["at"] for one in answer.json["errors"]] == ["version"]


async def test_a_wrong_method_says_which_are_right(shop: Shop) -> None:
    answer = await shop.ask("GET", f"/v1/sco/{TILL}/lease")
    assert answer.headers["Allow"] == "POST, PUT"


async def test_a_client_that_waits_to_be_asked_for_its_body(shop: Shop) -> None:
    answer = await shop.ask("POST", EVENTS, event(1), expect100=True)
    assert answer.status == 200


async def test_a_body_that_does_not_say_its_size_is_bounded_too(shop: Shop) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    headers = shop.auth() | {"Content-Type": "application/json"}
    async with shop.session.post(shop.url + EVENTS, data=endless(), headers=headers) as response:
        assert response.status == 413


async def test_a_stop_finishes_what_is_in_hand(shop: Shop) -> None:
    shop.tills.hold = asyncio.Event()
    asking = asyncio.ensure_future(shop.ask("POST", EVENTS, event(1)))
    await until(lambda: shop.tills.takes)
    shop.running.cancel()
    await until(lambda: shop.driver.port is None)
    shop.tills.hold.set()
    assert (await asking).status == 200


async def test_a_bug_of_ours_is_a_problem_too_and_is_logged_in_full(shop: Shop, monkeypatch, caplog) -> None:
    def broken(_: str) -> int:
        raise RuntimeError("boom")

    monkeypatch.setattr(shop.tills, "ack_seq", broken)
    answer = await shop.ask("GET", f"/v1/sco/{TILL}/ack")
    assert (answer.status, answer.json["type"]) == (500, "urn:aisled:problem:bug")
    assert b"boom" not in answer.body
    assert "RuntimeError: boom" in caplog.text
    monkeypatch.undo()
    assert (await shop.ask("GET", f"/v1/sco/{TILL}/ack")).status == 200


async def test_a_stop_does_not_wait_for_a_commit_that_hangs(shop: Shop) -> None:
    shop.tills.hold = asyncio.Event()
    asking = asyncio.ensure_future(shop.ask("POST", EVENTS, event(1)))
    await until(lambda: shop.tills.takes)
    shop.running.cancel()
    _, waiting = await asyncio.wait({shop.running}, timeout=5)
    assert not waiting
    with pytest.raises(aiohttp.ClientConnectionError):
        await asking


async def test_a_new_machine_under_an_old_name_counts_on_far_above(tmp_path: Path) -> None:
    """As docs/tills.md asks: the next number after `ack_seq` may have been used, one far above was not."""
    async with DeskRig(tmp_path) as rig:

        async def send(*seqs: int, name: str) -> list[str]:
            events = read_batch(json.dumps([event(seq, event_id=f"{name}-{seq}") for seq in seqs]).encode()).events
            return [one.result for one in await rig.desk.take("tills", TILL, events)]

        async def wait() -> None:
            rig.pass_s(600)
            await rig.core.submit(Tick(at=rig.time, source="gateway"))

        assert await send(1, 2, 4, 5, name="old") == ["accepted"] * 4
        await wait()
        ack = rig.desk.ack_seq(TILL)
        assert ack == 2  # and 4 and 5 were used
        assert await send(4, name="new") == ["conflict"]
        first = ack + 1_000_000
        assert await send(first, first + 1, name="new") == ["accepted"] * 2
        await wait()
        assert rig.desk.ack_seq(TILL) == first + 1
        assert [(gap.first_seq, gap.last_seq) for gap in rig.of(TillGap)] == [(3, 3), (6, first - 1)]
