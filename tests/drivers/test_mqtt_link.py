"""The link to a broker: what it says when it fails, who must act, and that nothing is acknowledged by itself."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from drivers._mqtt import Incoming, MqttLink, MqttOptions, TooLarge, TurnedAway, Will
from gateway.errors import ConfigError, LinkDown
from tests.mosquitto import Mosquitto, free_port, until

SECRET = "correct horse battery"


Brokers = Callable[[str], Awaitable[Mosquitto]]


@pytest.fixture
async def brokers(tmp_path: Path) -> AsyncIterator[Brokers]:
    """Starts brokers with extra lines of configuration, and ends them."""
    started: list[Mosquitto] = []

    async def start(extra: str) -> Mosquitto:
        broker = Mosquitto(tmp_path / f"broker{len(started)}", extra)
        started.append(broker)
        await broker.start()
        return broker

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
async def broker(brokers: Brokers) -> Mosquitto:
    return await brokers("allow_anonymous true")


def options(url: str, name: str = "me", **more: object) -> MqttOptions:
    return replace(MqttOptions(url, name, connect_timeout_s=2), **more)  # type: ignore[arg-type]


async def failure(wrong: MqttOptions) -> Exception:
    with pytest.raises((LinkDown, ConfigError)) as caught:
        async with MqttLink(wrong):
            pass
    assert SECRET not in str(caught.value)
    return caught.value


async def take(link: MqttLink, count: int) -> list[Incoming]:
    got: list[Incoming] = []
    async with asyncio.timeout(10):
        while len(got) < count:
            got += await link.receive()
    return got


async def test_messages_go_out_and_come_in_order(broker: Mosquitto):
    async with MqttLink(options(broker.url, subscriptions=("t/#",))) as link:
        sent = [link.publish("t/x", b"%d" % number) for number in range(500)]
        got: list[Incoming] = []
        async with asyncio.timeout(10):
            while len(got) < 500:
                batch = await link.receive()
                link.ack(*batch)
                got += batch
            await asyncio.gather(*sent)
    assert [int(message.payload) for message in got] == list(range(500))


@pytest.mark.parametrize("version5", [True, False])
async def test_what_is_not_acknowledged_comes_again(broker: Mosquitto, *, version5: bool):
    keeping = options(broker.url, version5=version5, subscriptions=("t",), session_expiry_s=60)
    async with MqttLink(keeping) as link, MqttLink(options(broker.url, "other")) as other:
        assert not link.session_present
        for number in range(3):
            await other.publish("t", b"%d" % number)
        first = await take(link, 3)
        link.ack(first[0])
        await asyncio.wait_for(other.publish("unrelated", b""), 5)
    async with MqttLink(keeping) as link:
        assert link.session_present
        again = await take(link, 2)
        assert [message.payload for message in again] == [b"1", b"2"]
        assert all(message.duplicate for message in again)


async def test_the_will_is_published_only_when_the_link_breaks(broker: Mosquitto):
    async with MqttLink(options(broker.url, "hq", subscriptions=("will",))) as watcher:
        willing = options(broker.url, will=Will("will", b"gone", retain=False))
        async with MqttLink(willing):
            pass
        async with MqttLink(willing) as link:
            link.drop("cut")
            with pytest.raises(LinkDown, match="cut"):
                await link.receive()
        (message,) = await take(watcher, 1)
    assert message.payload == b"gone"


async def test_a_lost_link_fails_what_waits(broker: Mosquitto):
    async with MqttLink(options(broker.url)) as link:
        broker.kill()
        async with asyncio.timeout(10):
            reason = await link.wait_closed()
        assert reason.startswith(f"127.0.0.1:{broker.port}: ")
        with pytest.raises(LinkDown):
            await link.publish("t", b"")
        with pytest.raises(LinkDown):
            await link.receive()


async def test_a_refused_port_is_a_link_down():
    assert isinstance(error := await failure(options(f"mqtt://127.0.0.1:{free_port()}")), LinkDown)
    assert "Connection refused" in str(error)


@pytest.mark.parametrize("version5", [True, False])
async def test_a_wrong_password_needs_a_person(brokers: Brokers, *, version5: bool):
    broker = await brokers("allow_anonymous false")
    error = await failure(options(broker.url, username="anna", password=SECRET, version5=version5))
    assert isinstance(error, ConfigError)
    assert "not authorised" in str(error)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[str]:
    """Serve each connection by `handle`; at the end, every one of them is closed."""
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())  # type: ignore[arg-type]
        await handle(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"mqtt://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    listening.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)


def level(hello: bytes) -> int:
    """The protocol level that a CONNECT asks for (MQTT 3.1.1 and 5.0, 3.1.2.2)."""
    return hello[hello.index(b"MQTT") + 4]


async def test_an_old_broker_is_spoken_to_in_3_1_1(broker: Mosquitto):
    """It hangs up on MQTT 5, as brokers from before it do."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(4096):
            sink.write(data)
        sink.close()
        await sink.wait_closed()

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(4096)
        if level(hello) == 4:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", broker.port)
            there_writer.write(hello)
            await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    async with server(old) as url, MqttLink(options(url, subscriptions=("t",))) as link:
        assert link.protocol == MQTTProtocolVersion.MQTTv311
        await link.publish("t", b"old", correlation=b"dropped")
        assert (await take(link, 1))[0].payload == b"old"


@pytest.mark.parametrize(
    "answer",
    [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b"\x20\x02\x00\x05"],
    ids=["3.1.1 says version", "5 says version", "3.1.1 says something else"],
)
async def test_the_answers_of_old_brokers_are_understood(answer: bytes):
    levels: list[int] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        levels.append(level(await reader.read(4096)))
        writer.write(answer if levels[-1] == 5 else b"\x20\x02\x00\x03")

    async with server(refuse) as url:
        error = await failure(options(url))
    assert levels == [5, 4]
    assert isinstance(error, TurnedAway)


async def test_a_silent_server_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await failure(options(f"mqtt://127.0.0.1:{silent.getsockname()[1]}", connect_timeout_s=0.1))
    assert "does not answer" in str(error)


async def test_what_is_too_large_in_is_told_without_its_bytes(broker: Mosquitto):
    small = options(broker.url, subscriptions=("t",), max_payload=1000)
    async with MqttLink(small) as link, MqttLink(options(broker.url, "other")) as other:
        await other.publish("t", b"x" * 3000)
        (message,) = await take(link, 1)
    assert (message.oversize, message.size, message.payload) == (True, 3000, b"")


async def test_what_is_too_large_out_is_refused(brokers: Brokers):
    broker = await brokers("allow_anonymous true\nmax_packet_size 2000")
    async with MqttLink(options(broker.url)) as link:
        with pytest.raises(TooLarge):
            await asyncio.wait_for(link.publish("t", b"x" * 3000), 5)
        await asyncio.wait_for(link.publish("t", b"fits"), 5)


async def test_nobody_takes_so_reading_stops(broker: Mosquitto):
    """QoS 0 knows no Receive Maximum: only a socket that is not read holds the sender back."""
    receiver = options(broker.url, subscriptions=("t",), max_payload=100_000)
    async with MqttLink(receiver) as link, MqttLink(options(broker.url, "other")) as other:
        for _ in range(50):
            other.publish("t", b"x" * 100_000, qos=0)
        await until(lambda: link._socket is not None and link._socket._is_full())
        await asyncio.wait_for(other.publish("flush", b""), 5)
        assert len(link._inbound) < 20
        assert len(await take(link, 1)) < 20


@pytest.mark.parametrize(
    "url", ["http://broker", "mqtts://", "mqtt://u:p@broker", "mqtt://broker:99999", "mqtt://b/path", "mqtt://[::1"]
)
def test_a_bad_address_is_a_config_error(url: str):
    with pytest.raises(ConfigError):
        _ = MqttOptions(url, "x").address


def test_the_password_is_not_shown():
    assert SECRET not in repr(MqttOptions("mqtt://b", "x", username="u", password=SECRET))


def _certificate(folder: Path, name: str, *extra: str) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", f"/CN={name}", "-days", "2", "-keyout", str(key), "-out", str(cert), *extra]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return cert, key


@pytest.fixture
async def tls(tmp_path: Path, brokers: Brokers) -> tuple[str, Path, Path, Path]:
    """A broker with TLS that wants a client certificate: its URL, its certificate, our certificate and key."""
    cert, key = _certificate(tmp_path, "broker", "-addext", "subjectAltName=IP:127.0.0.1")
    ours, our_key = _certificate(tmp_path, "gateway")
    lines = f"allow_anonymous true\ncafile {ours}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true"
    broker = await brokers(lines)
    return f"mqtts://127.0.0.1:{broker.port}", cert, ours, our_key


async def test_tls_with_a_client_certificate(tls: tuple[str, Path, Path, Path]):
    url, ca, cert, key = tls
    async with MqttLink(options(url, ca_file=ca, cert_file=cert, key_file=key, subscriptions=("t",))) as link:
        await link.publish("t", b"x" * 200_000)
        assert len((await take(link, 1))[0].payload) == 200_000


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # paho leaves it to us to forget the socket
async def test_an_untrusted_broker_needs_a_person(tls: tuple[str, Path, Path, Path]):
    error = await failure(options(tls[0], cert_file=tls[2], key_file=tls[3]))
    assert isinstance(error, ConfigError)
    assert "not trusted" in str(error)


async def test_a_missing_client_certificate_needs_a_person(tls: tuple[str, Path, Path, Path]):
    error = await failure(options(tls[0], ca_file=tls[1]))
    assert isinstance(error, ConfigError)
    assert "refused our certificate" in str(error)


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # paho leaves it to us to forget the socket
async def test_a_broker_without_tls_is_told_apart(broker: Mosquitto):
    error = await failure(options(f"mqtts://127.0.0.1:{broker.port}"))
    assert isinstance(error, LinkDown)


async def test_a_missing_file_is_named(tmp_path: Path):
    error = await failure(options("mqtts://127.0.0.1:1", ca_file=tmp_path / "nowhere.pem"))
    assert isinstance(error, ConfigError)
    assert "nowhere.pem" in str(error)


async def test_packet_ids_begin_again_and_pass_over_those_in_flight():
    link = MqttLink(options("mqtt://127.0.0.1:1"))
    link._mid = 65_533
    link._in_flight = dict.fromkeys((65_535, 2), asyncio.get_running_loop().create_future())
    assert [link._next_mid() for _ in range(3)] == [65_534, 3, 4]
