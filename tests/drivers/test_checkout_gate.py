"""The way in: TLS or nothing, connections that are counted, and those that do not get on."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from drivers import _checkout_gate, _checkout_web
from drivers.checkout_http import Config, Driver
from gateway.driver import Services
from gateway.errors import ConfigError, LinkDown
from gateway.shop_tls import ShopTls
from tests.drivers.checkout_shop import OTHER, TILL, Clock, Shop, event, hear, open_shop, until
from tests.gateway.tls_shop import authority, signed, trusting, written
from tests.tcp_proxy import TcpProxy

EVENTS, ACK = f"/v1/sco/{TILL}/events", f"/v1/sco/{TILL}/ack"

GONE = (aiohttp.ClientConnectionError, OSError)


@contextlib.asynccontextmanager
async def secure(folder: Path, **fields) -> AsyncIterator[Shop]:
    """A shop with an authority of its own, and tills that trust it."""
    async with open_shop(folder, certificates=ShopTls(folder, "0421", RealClock()), **fields) as shop:
        shop.scheme, shop.tls = "https", trusting(folder / "tls" / "ca.pem")
        yield shop


class RealClock(Clock):
    """OpenSSL looks at the wall clock."""

    def now(self):
        return datetime.now(UTC)


async def test_https_and_wss_by_the_stores_own_authority(tmp_path: Path) -> None:
    async with secure(tmp_path) as shop:
        assert (await shop.ask("POST", EVENTS, event(1))).status == 200
        async with shop.stream() as till:
            await till.send_json(event(2))
            await hear(till, "ack")
            assert (await hear(till, "ack"))["ack_seq"] == 2


async def test_a_client_certificate_takes_the_place_of_a_token(tmp_path: Path) -> None:
    issuer = authority("Tills")
    ca = written(tmp_path / "tills-ca.pem", issuer[1].public_bytes(Encoding.PEM))
    async with secure(tmp_path, client_ca_file=str(ca)) as shop:
        shop.tls.load_cert_chain(certified(tmp_path, issuer, f"aisled:terminal:{TILL}"))
        assert (await shop.ask("GET", ACK, terminal=None)).status == 200
        assert (await shop.ask("GET", f"/v1/sco/{OTHER}/ack", terminal=None)).status == 403
        assert (await shop.ask("GET", f"/v1/sco/{OTHER}/ack", terminal=OTHER)).status == 200  # a token speaks first


async def test_a_certificate_of_a_strange_authority_is_refused(tmp_path: Path, caplog) -> None:
    known, strange = authority("Tills"), authority("Strange")
    ca = written(tmp_path / "tills-ca.pem", known[1].public_bytes(Encoding.PEM))
    async with secure(tmp_path, client_ca_file=str(ca)) as shop:
        shop.tls.load_cert_chain(certified(tmp_path, strange, f"aisled:terminal:{TILL}"))
        with pytest.raises(GONE):
            await shop.ask("GET", ACK, terminal=None)
        await until(lambda: "TLS failed" in caplog.text)


def certified(folder: Path, issuer, uri: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return written(folder / "till.pem", pem + signed("till", key, issuer, uri=uri).public_bytes(Encoding.PEM))


async def test_plain_http_gets_nothing_and_is_logged_once_a_kind(tmp_path: Path, caplog) -> None:
    async with secure(tmp_path) as shop:
        for _ in range(3):
            answer = await shop.raw(f"GET {ACK} HTTP/1.1\r\nAuthorization: Bearer {shop.tokens[TILL]}\r\n\r\n".encode())
            assert b"HTTP" not in answer
        assert (await shop.ask("GET", ACK)).status == 200
        assert {record.once for record in caplog.records} == {"tls 127.0.0.1 HTTP_REQUEST"}
        assert shop.tokens[TILL] not in caplog.text


async def test_a_handshake_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkout_gate, "HANDSHAKE_S", 0.1)
    async with secure(tmp_path) as shop:
        assert await shop.raw(b"\x16\x03\x01") == b""
        assert (await shop.ask("GET", ACK)).status == 200


async def test_old_tls_is_refused(tmp_path: Path) -> None:
    async with secure(tmp_path) as shop:
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(GONE):
            await asyncio.open_connection("127.0.0.1", shop.driver.port, ssl=old)


async def test_a_header_or_a_body_that_drips_is_cut_off_and_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    monkeypatch.setattr(_checkout_gate, "HEADER_S", 0.2)
    monkeypatch.setattr(_checkout_web, "BODY_S", 0.2)
    async with open_shop(tmp_path) as shop:
        head = f"POST {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.tokens[TILL]}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        hung, half, body = await asyncio.gather(
            shop.raw(b""), shop.raw(head.encode()[:60]), shop.raw(head.encode()), return_exceptions=True
        )
        assert hung == b"" or isinstance(hung, ConnectionError)
        assert half == b"" or isinstance(half, ConnectionError)
        assert b"408" in body.split(b"\r\n")[0]
        assert (await shop.ask("GET", ACK)).status == 200
        assert {record.once for record in caplog.records} == {"slow 127.0.0.1"}


async def test_an_idle_connection_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkout_web, "IDLE_S", 0.1)
    async with open_shop(tmp_path) as shop:
        answer = await shop.raw(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.endswith(b'{"status":"ok"}')
        await until(lambda: not shop.driver._gate.seats)
        assert not shop.driver._gate._by_address


async def test_connections_are_bounded_by_address(tmp_path: Path, caplog) -> None:
    async with open_shop(tmp_path, connections_per_address_max=3) as shop:
        held = [socket.create_connection(("127.0.0.1", shop.driver.port)) for _ in range(3)]
        await until(lambda: len(shop.driver._gate.seats) == 3)
        with pytest.raises(GONE):
            await shop.ask("GET", ACK)
        held[0].close()
        await until(lambda: len(shop.driver._gate.seats) == 2)
        assert (await shop.ask("GET", ACK)).status == 200
        for one in held:
            one.close()
        assert any(record.once == "crowd 127.0.0.1" for record in caplog.records)


async def test_requests_one_after_another_on_one_connection_and_in_one_packet(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        one = f"GET {ACK} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.tokens[TILL]}\r\n"
        answer = await shop.raw((one + "\r\n" + one + "Connection: close\r\n\r\n").encode())
        assert answer.count(b'{"ack_seq":0}') == 2


async def test_one_byte_at_a_time(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        reader, writer = await asyncio.open_connection("127.0.0.1", shop.driver.port)
        head = (
            f"GET {ACK} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {shop.tokens[TILL]}\r\n\r\n"
        )
        for byte in head.encode():
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await reader.read()).endswith(b'{"ack_seq":0}')
        writer.close()


async def test_a_request_that_is_cut_keeps_nothing_and_one_whose_answer_is_lost_is_a_repeat(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        proxy = TcpProxy(shop.driver.port)
        await proxy.start()
        shop.tills.hold = asyncio.Event()
        straight, shop.driver.port = shop.driver.port, proxy.port
        asking = asyncio.ensure_future(shop.ask("POST", EVENTS, event(1)))
        await until(lambda: shop.tills.takes)
        proxy.reset()
        with pytest.raises(GONE):
            await asking
        shop.tills.hold.set()
        shop.driver.port = straight
        again = await shop.ask("POST", EVENTS, event(1))
        assert again.json["results"][0]["result"] == "duplicate"
        await proxy.stop()


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        port = shop.driver.port
        (tmp_path / "other").mkdir()
        with pytest.raises(LinkDown, match=f"cannot listen on 127.0.0.1 port {port}"):
            async with open_shop(tmp_path / "other", port=port):
                pass


async def test_a_check_says_what_is_there(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        assert await shop.driver.check() == "2 tills have tokens; 127.0.0.1 port 0 is free"
        taken = Config(id="tills", driver="checkout_http", host="127.0.0.1", plaintext=True, port=shop.driver.port)
        services = Services(clock=Clock(), report=lambda *_: None, data_dir=tmp_path)
        assert "cannot listen" in await Driver(taken, services).check()


async def test_without_certificates_or_prices_a_person_must_act(tmp_path: Path) -> None:
    config = Config(id="tills", driver="checkout_http", host="127.0.0.1")
    bare = Services(clock=Clock(), report=lambda *_: None, data_dir=tmp_path)
    with pytest.raises(ConfigError, match="no prices"):
        await Driver(config, bare).run(None)
    async with open_shop(tmp_path) as shop:
        services = Services(clock=Clock(), report=lambda *_: None, data_dir=tmp_path, tills=shop.tills)
        with pytest.raises(ConfigError, match="no certificates"):
            await Driver(config, services).run(None)


async def test_it_can_run_again_after_a_stop(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        assert (await shop.ask("GET", ACK)).status == 200
        shop.running.cancel()
        await asyncio.wait({shop.running})
        again = asyncio.ensure_future(shop.driver.run(None))
        await until(lambda: shop.driver.port is not None)
        assert (await shop.ask("GET", ACK)).status == 200
        again.cancel()
        await asyncio.wait({again})
