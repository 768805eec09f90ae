"""A real Mosquitto for tests: each on a free loopback port, with its own configuration, ended by its own process id."""

import asyncio
import contextlib
import getpass
import itertools
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FOUND = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
READY_S = 10.0


def _ports() -> Iterator[int]:
    """Yield ports below those that systems deal out by themselves; each process of `pytest -n` has its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = range(20_000 + worker, 32_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    start = random.SystemRandom().randrange(len(mine))
    yield from itertools.cycle([*mine[start:], *mine[:start]])


PORTS = _ports()


def free_port() -> int:
    """Return a loopback port that nobody uses now, nor is given by chance before it is used (`PORTS`)."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port := next(PORTS)))
            return port


class Mosquitto:
    """One broker. `extra` lines go into its configuration; `folder` keeps configuration, log and saved sessions."""

    def __init__(self, folder: Path, extra: str = "allow_anonymous true", port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.extra = extra
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, without TLS."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    async def start(self) -> None:
        """Start, and return when it accepts connections."""
        if FOUND is None:
            pytest.skip("mosquitto is not installed (apt install mosquitto)")
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "mosquitto.conf"
        # Started as root it would become another user, who cannot read a test's folder.
        config.write_text(f"user {getpass.getuser()}\nlistener {self.port} 127.0.0.1\n{self.extra}\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([FOUND, "-c", str(config)], stdout=log, stderr=log)  # noqa: ASYNC220  (it must be known at once, to be ended)
        await until(self._listens)

    def stop(self) -> None:
        """End it (it saves its sessions when the configuration says so) and wait for that."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(READY_S)
            self.process = None

    def kill(self) -> None:
        """End it without giving it time to save anything."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(READY_S)
            self.process = None

    def _listens(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            pytest.fail(f"mosquitto ended at start: {self.log}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


async def until(condition: Callable[[], bool], deadline_s: float = READY_S) -> None:
    """Return as soon as the condition holds; fail at the deadline."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110  (the condition is in another process)
            await asyncio.sleep(0.01)
