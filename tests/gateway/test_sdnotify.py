import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sdnotify import Notifier

ABSTRACT = f"@aisled-test-{os.getpid()}"


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    address = str(tmp_path / "notify") if request.param == "path" else ABSTRACT
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        listening.settimeout(5)
        yield listening, address


def test_life_of_a_service(systemd: tuple[socket.socket, str]) -> None:
    listening, address = systemd
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    notifier.ready("200 labels\nREADY=0")
    assert listening.recv(999) == b"READY=1\nSTATUS=200 labels READY=0"
    notifier.status("3 wait")
    assert listening.recv(999) == b"STATUS=3 wait"
    notifier.stopping()
    assert listening.recv(999).startswith(b"STOPPING=1\n")


async def test_the_watchdog_is_fed_only_while_healthy(systemd: tuple[socket.socket, str]) -> None:
    listening, address = systemd
    answers = iter([True, True, False, True])
    done = asyncio.Event()

    def healthy() -> bool:
        answer = next(answers, None)
        if answer is None:
            done.set()
        return bool(answer)

    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000", "WATCHDOG_PID": str(os.getpid())}
    task = asyncio.create_task(Notifier.from_environment(environment).run(healthy))
    async with asyncio.timeout(5):
        await done.wait()
    task.cancel()
    heard = [listening.recv(999).split(b"=")[0] for _ in range(4)]
    assert heard == [b"WATCHDOG", b"WATCHDOG", b"STATUS", b"WATCHDOG"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "1000"},
    ],
)
async def test_nobody_asked_for_a_watchdog(environment: dict[str, str]) -> None:
    async with asyncio.timeout(5):
        await Notifier.from_environment(environment).run(lambda: pytest.fail("nobody asked"))


def test_a_gone_socket_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier(str(tmp_path / "gone")).ready("up")
    assert "systemd was not told" in caplog.text
