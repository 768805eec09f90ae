"""The driver on bad lines: byte by byte, cut, silent, out of step, no reader at all; and TLS with the wrong one."""

import asyncio
import contextlib
import datetime as dt
import hashlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from drivers import _llrp_reader, _llrp_session
from drivers._llrp_frames import bare
from gateway.errors import BadFrame, ConfigError, GatewayError, LinkDown
from gateway.supervisor import verdict
from tests.drivers.llrp_shop import Compat, Gateway, config, running, tags, until

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_llrp_reader, "HEARD_S", 0.05)


@pytest.fixture
async def reader() -> AsyncIterator[Compat]:
    async with Compat(tags=tags(5), reads_per_sec=500) as emulator:
        yield emulator


@contextlib.asynccontextmanager
async def serving(serve: Serve, **options: Any) -> AsyncIterator[int]:
    """A server of one function; its connections end with it."""
    open_now: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        with contextlib.suppress(OSError, EOFError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_now:
            writer.close()


class Line:
    """A line to a reader. `piece`: bytes at a time; `cut_after`: bytes from the reader; `silent`: nothing passes."""

    def __init__(self, port: int, piece: int = 65_536, cut_after: int | None = None) -> None:
        self._port, self._piece, self._left = port, piece, cut_after
        self.silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as group:
                back = group.create_task(self._pass(reader, ours))
                await self._pass(theirs, writer, counted=True)
                back.cancel()
        finally:
            ours.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(self._piece):
                if counted and self._left is not None:
                    self._left -= len(data)
                    if self._left < 0:
                        return
                if not self.silent:
                    sink.write(data)
                    await sink.drain()


async def outcome(port: int, **fields: Any) -> GatewayError:
    """Run a driver until it fails; return what the supervisor makes of it."""
    gateway = Gateway()
    async with running(gateway, config(port, **fields)) as (_, task):
        async with asyncio.timeout(10):
            await asyncio.wait({task})
        error = task.exception()
        assert error is not None
        found = verdict(error)
        assert found is not None, error
        return found


async def test_one_byte_at_a_time(reader: Compat) -> None:
    gateway = Gateway()
    async with serving(Line(reader.port, piece=1).serve) as port, running(gateway, config(port)) as (_, task):
        await until(lambda: len({read.epc for read in gateway.reads}) == 5, task=task)


@pytest.mark.parametrize("after", [0, 5, 40, 500, 5_000])
async def test_cut_anywhere_is_a_link_that_is_down(reader: Compat, after: int) -> None:
    async with serving(Line(reader.port, piece=7, cut_after=after).serve) as port:
        assert isinstance(await outcome(port), LinkDown)


async def test_a_silent_line_is_noticed(reader: Compat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_llrp_session, "DEAD_S", 0.5)
    monkeypatch.setattr(_llrp_reader, "KEEPALIVE_S", 0.2)
    reader.tags, gateway, line = [], Gateway(), Line(reader.port)
    async with serving(line.serve) as port, running(gateway, config(port)) as (_, task):
        await until(lambda: reader.keepalive_acks >= 4, task=task)  # nothing is read, yet it is alive
        assert gateway.heard
        line.silent = True
        told = len(gateway.heard)
        async with asyncio.timeout(10):
            await asyncio.wait({task})
        assert "not a sign of life" in str(verdict(task.exception()))  # type: ignore[arg-type]
        assert len(gateway.heard) <= told + 2  # nobody said that it reads while it was silent


async def test_nobody_there_and_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_llrp_reader, "CONNECT_S", 0.3)
    assert isinstance(await outcome(1), LinkDown)

    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(mute) as port:
        assert "an LLRP reader?" in str(await outcome(port))


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", BadFrame),
        (b"\x04\x3f\x00\x00\x00\x05\x00\x00\x00\x00", BadFrame),
        (bare(62, 1) * 1_000, LinkDown),
        (b"", LinkDown),
    ],
    ids=["http", "short", "only keepalives", "nothing"],
)
async def test_what_is_no_reader(says: bytes, kind: type[GatewayError]) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        await writer.drain()

    async with serving(serve) as port:
        assert isinstance(await outcome(port), kind)


async def test_a_reader_that_does_not_answer(reader: Compat, monkeypatch: pytest.MonkeyPatch) -> None:
    from llrpkit.protocol import messages

    monkeypatch.setattr(_llrp_session.Session.ask, "__defaults__", (0.3,))
    reader.drop_next(messages.GET_ROSPECS)
    assert "no answer to a message of type 26" in str(await outcome(reader.port))


async def test_the_stream_out_of_step_closes(reader: Compat) -> None:
    gateway = Gateway()
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
        reader.streams[0].write(b"\x04\x3d\xff\xff\xff\xff\x00\x00\x00\x00")
        async with asyncio.timeout(10):
            await asyncio.wait({task})
        assert isinstance(verdict(task.exception()), BadFrame)  # type: ignore[arg-type]


async def test_an_oversize_report_is_skipped(reader: Compat) -> None:
    gateway = Gateway()
    async with running(gateway, config(reader.port)) as (_, task):
        await until(lambda: gateway.reads, task=task)
        async with reader._send_lock:
            reader.streams[0].write(b"\x04\x3d" + (300_000).to_bytes(4) + bytes(4) + bytes(299_990))
        before = len(gateway.reads)
        await until(lambda: len(gateway.reads) > before + 20 and gateway.states[-1][1] == "bad_reports", task=task)


# TLS


def certificate(folder: Path, name: str, address: str = "127.0.0.1") -> tuple[Path, Path, str]:
    """A self-signed certificate: its file, its key's file, its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName(name)]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, private = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return pem, private, hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()


@contextlib.asynccontextmanager
async def behind_tls(reader: Compat, pem: Path, key: Path) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    async with serving(Line(reader.port).serve, ssl=context) as port:
        yield port


@pytest.mark.parametrize("pinned", ["fingerprint", "ca_file"])
async def test_a_reader_known_by_its_certificate(reader: Compat, tmp_path: Path, pinned: str) -> None:
    pem, key, fingerprint = certificate(tmp_path, "reader")
    pin = {"fingerprint": fingerprint, "ca_file": pem}[pinned]
    gateway = Gateway()
    async with behind_tls(reader, pem, key) as port, running(gateway, secured(port, **{pinned: pin})) as (_, task):
        await until(lambda: gateway.reads, task=task)


def secured(port: int, **fields: Any) -> Any:
    return config(port, insecure=False, **fields)


async def test_another_certificate_is_not_spoken_to(reader: Compat, tmp_path: Path) -> None:
    pem, key, fingerprint = certificate(tmp_path, "reader")
    other, _, wrong = certificate(tmp_path, "other")
    async with behind_tls(reader, pem, key) as port:
        error = await outcome(port, insecure=False, fingerprint=wrong)
        assert isinstance(error, LinkDown)
        assert fingerprint in str(error)  # what to pin if it is the right one after all
        assert isinstance(await outcome(port, insecure=False, ca_file=other), LinkDown)
        assert isinstance(await outcome(port, insecure=False, ca_file=pem, fingerprint=wrong), LinkDown)
    assert reader.asked == []  # not a byte of ours reached it


async def test_the_name_in_the_certificate_counts_unless_told_otherwise(reader: Compat, tmp_path: Path) -> None:
    pem, key, _ = certificate(tmp_path, "impinj-1", address="127.9.9.9")
    gateway = Gateway()
    async with behind_tls(reader, pem, key) as port:
        assert isinstance(await outcome(port, insecure=False, ca_file=pem), LinkDown)
        async with running(gateway, secured(port, ca_file=pem, tls_name="impinj-1")) as (_, task):
            await until(lambda: gateway.reads, task=task)


async def test_plain_and_tls_do_not_meet(reader: Compat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_llrp_reader, "CONNECT_S", 0.5)
    pem, key, fingerprint = certificate(tmp_path, "reader")
    assert isinstance(await outcome(reader.port, insecure=False, fingerprint=fingerprint), LinkDown)
    async with behind_tls(reader, pem, key) as port:
        assert "TLS?" in str(await outcome(port))


async def test_an_authority_that_is_no_file_is_for_a_person(reader: Compat, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for path in (tmp_path / "none.pem", tmp_path / "ca.pem"):
        assert isinstance(await outcome(reader.port, insecure=False, ca_file=path), ConfigError)
