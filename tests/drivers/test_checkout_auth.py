"""Who is let in to the tills' interface: tokens, client certificates, failures that add up, what the log says."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from drivers import _terminal_tokens as tokens
from drivers._checkout_auth import FAILURES, LOCKED_S, MAX_ADDRESSES, WITHIN_S, Failures
from drivers._checkout_routes import ROUTES
from drivers.checkout_http import Config
from tests.drivers.checkout_shop import OTHER, TILL, Shop, event, open_shop, until

EVENTS, ACK = f"/v1/sco/{TILL}/events", f"/v1/sco/{TILL}/ack"
UNKNOWN = "Bearer ait_till-1_" + "A" * 43


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as shop:
        yield shop


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_nothing_but_health_answers_without_a_token(shop: Shop, route) -> None:
    path = route.path.format(terminal=TILL, code="1", device="device-pos-rest", event="basket-open")
    answer = await shop.ask(route.method, path, {} if route.body else None, terminal=None)
    wanted = {"anybody": 200, "any_terminal": 401, "own_terminal": 401, "allowed_address": 404}
    assert answer.status == wanted[route.access]
    if answer.status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("", "no-bearer-token"),
        ("Bearer", "no-bearer-token"),
        ("Bearer ", "no-bearer-token"),
        ("Basic dGlsbC0xOng=", "no-bearer-token"),
        ("Bearer x y", "no-bearer-token"),
        (UNKNOWN, "unknown-token"),
        ("Bearer " + "a" * 5000, "unknown-token"),
    ],
)
async def test_a_wrong_header_is_refused(shop: Shop, header: str, kind: str) -> None:
    answer = await shop.ask("GET", ACK, terminal=None, headers={"Authorization": header})
    assert (answer.status, answer.json["type"]) == (401, f"urn:aisled:problem:{kind}")


async def test_a_part_of_a_token_is_no_token(shop: Shop) -> None:
    good = shop.tokens[TILL]
    for wrong in (good[:-1], good + "A", good.replace(TILL, OTHER)):
        answer = await shop.ask("GET", ACK, terminal=None, headers={"Authorization": f"Bearer {wrong}"})
        assert answer.status == 401


async def test_a_token_is_good_for_its_own_terminal_only(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    assert (await shop.ask("GET", ACK, terminal=OTHER)).status == 403
    assert (await shop.ask("POST", EVENTS, event(1), terminal=OTHER)).status == 403
    assert not shop.tills.kept
    assert {record.once for record in caplog.records} == {"other till-2"}


async def test_a_replaced_token_is_good_for_the_overlap(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    fresh = tokens.rotate(shop.tokens_file, TILL, shop.clock.now(), timedelta(hours=1))
    both = [f"Bearer {one}" for one in (shop.tokens[TILL], fresh)]

    async def statuses() -> list[int]:
        return [
            (await shop.ask("GET", ACK, terminal=None, headers={"Authorization": one, "Connection": "close"})).status
            for one in both
        ]

    assert await statuses() == [200, 200]
    shop.clock.at += timedelta(hours=1)
    assert await statuses() == [401, 200]
    assert "expired token, for till-1" in caplog.text


async def test_a_revoked_token_is_refused_within_a_second_also_on_an_open_connection(shop: Shop) -> None:
    assert (await shop.ask("GET", ACK)).status == 200
    tokens.revoke(shop.tokens_file, TILL)
    async with asyncio.timeout(5):
        while (await shop.ask("GET", ACK)).status == 200:  # noqa: ASYNC110 - a second has no event
            await asyncio.sleep(0.05)
    assert (await shop.ask("GET", f"/v1/sco/{OTHER}/ack", terminal=OTHER)).status == 200


async def test_who_fails_too_often_hears_429_and_harms_nobody(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    wrong = {"Authorization": UNKNOWN}
    statuses = [(await shop.ask("GET", ACK, terminal=None, headers=wrong)).status for _ in range(FAILURES + 3)]
    assert statuses == [401] * FAILURES + [429] * 3
    locked = await shop.ask("GET", ACK, terminal=None, headers=wrong)
    assert 0 < int(locked.headers["Retry-After"]) <= LOCKED_S + 1
    assert (await shop.ask("GET", ACK)).status == 200
    assert {record.once for record in caplog.records if "refused" in record.message} == {"auth unknown token till-1"}
    assert "A" * 43 not in caplog.text


async def test_a_damaged_file_of_tokens_keeps_the_shop_open(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    assert (await shop.ask("GET", ACK)).status == 200
    shop.tokens_file.write_text("{")
    assert (await shop.ask("GET", ACK, headers={"Connection": "close"})).status == 200
    await until(lambda: any(said[1] == "tokens_unreadable" for said in shop.said))
    assert "damaged" in caplog.text


async def test_only_terminals_of_the_list_are_there(tmp_path: Path) -> None:
    async with open_shop(tmp_path, terminals=[TILL]) as shop:
        assert (await shop.ask("GET", ACK)).status == 200
        answer = await shop.ask("GET", f"/v1/sco/{OTHER}/ack", terminal=OTHER)
        assert (answer.status, answer.json["type"]) == (404, "urn:aisled:problem:no-such-terminal")


async def test_a_web_page_cannot_use_a_tills_certificate(shop: Shop) -> None:
    answer = await shop.ask("GET", ACK, terminal=None, headers={"Origin": "http://evil.example"})
    assert answer.status == 403


def failed(failures: Failures, times: Iterable[float], address: str = "a") -> Failures:
    for now_s in times:
        failures.note(address, now_s)
    return failures


def test_ten_failures_within_five_minutes_lock_for_five() -> None:
    assert failed(Failures(), range(FAILURES - 1)).locked_s("a", 20) == 0
    locked = failed(Failures(), range(FAILURES))
    assert locked.locked_s("a", 9) == LOCKED_S
    assert locked.locked_s("b", 9) == 0
    assert locked.locked_s("a", 9 + LOCKED_S) == 0
    slow = failed(Failures(), [one * WITHIN_S / (FAILURES - 1) for one in range(FAILURES)])
    assert slow.locked_s("a", WITHIN_S) == 0


def test_failures_of_many_addresses_are_forgotten_oldest_first() -> None:
    failures = failed(Failures(), range(FAILURES))
    for number in range(MAX_ADDRESSES):
        failures.note(f"10.{number}", 10.0)
    assert failures.locked_s("a", 10) == 0
    assert len(failures._at) == MAX_ADDRESSES
    assert not failures._locked


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"plaintext": True}, "plaintext is for this machine itself"),
        ({"plaintext": True, "host": "10.0.0.5"}, "allow_plaintext_lan"),
        ({"certificate_file": "a.pem"}, "belong together"),
        ({"terminals": ["Till 1"]}, "should match pattern"),
        ({"host": "gateway"}, "IPv4 or IPv6"),
    ],
)
def test_what_would_not_be_safe_is_no_configuration(fields, reason) -> None:
    with pytest.raises(ValidationError, match=reason):
        Config.model_validate({"id": "tills", "driver": "checkout_http"} | fields)


def test_plaintext_in_the_shop_must_be_wanted() -> None:
    config = {"id": "tills", "driver": "checkout_http", "plaintext": True}
    assert Config.model_validate(config | {"host": "127.0.0.1"}).plaintext
    assert Config.model_validate(config | {"allow_plaintext_lan": True}).plaintext


async def test_malformed_http_is_one_line_in_the_log_without_its_bytes(shop: Shop, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await shop.raw(b"GET /v1/price/4111111111111111 HTTP/1.1\r\nAuthor ization: secret-one\r\n\r\n")
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b"urn:aisled:problem:malformed" in answer
    for said in (answer.decode(), caplog.text):
        assert "secret-one" not in said
        assert "4111111111111111" not in said
    assert [record.once for record in caplog.records if record.name.startswith("drivers")] == [
        "malformed BadHttpMessage"
    ]
