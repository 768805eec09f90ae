"""Starts and ends what the demo needs: an embedded broker, two simulated access points, the real daemon.

All on free loopback ports, all in one temporary folder. The access points and the daemon are child processes, started
with the same commands that a person would type; the broker lives in this process. Not here: the tills (`tills.py`).
"""

import asyncio
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from gateway.data_files import data_dir
from gateway.demo.broker import demo_broker
from gateway.errors import LinkDown

READY_S = 30.0  # a slow machine needs 10
STOP_S = 10.0
COMMAND = (sys.executable, "-m", "gateway.cli")
# 2.9 inch, small and big ones in black and white, which draw in 5 s; one in 25 has a colour, takes 30 s and straggles.
PANELS = ("21",) * 7 + ("5A",) * 3 + ("F0",) * 2 + ("21",) * 7 + ("5A",) * 2 + ("F3",) * 3 + ("01",)
TAIL = 20  # lines of a dead child's log that are shown


@dataclass(frozen=True)
class Child:
    """A process that we started."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def must_live(self) -> None:
        """Raise LinkDown, with the end of its log, when it has died."""
        if self.process.returncode is not None:
            raise LinkDown(f"{self.name} ended with {self.process.returncode}; {self.last_words()}")

    def last_words(self) -> str:
        """Return the end of its log."""
        tail = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-TAIL:])
        return f"the log of {self.name} ends with:\n{tail}"


@dataclass
class Stage:
    """What runs. The daemon starts last, when head office listens: the demo's broker keeps nothing for the absent."""

    folder: Path
    config: Path
    broker_url: str
    tills_url: str
    readers_port: int
    items_port: int
    truth_urls: dict[str, str]
    children: dict[str, Child]
    http: aiohttp.ClientSession
    stack: AsyncExitStack

    async def start_gateway(self) -> None:
        """Start the daemon, as systemd would."""
        words = ["run", "--config", str(self.config)]
        self.children["gateway"] = await start(self.stack, self.folder, "gateway", words)

    def all_must_live(self) -> None:
        """Raise LinkDown when a child has died."""
        for child in self.children.values():
            child.must_live()

    async def truth(self) -> dict[str, dict[str, tuple[datetime, str | None]]]:
        """Return for each access point what each of its labels shows: since when, which digest."""
        found = {}
        for name, url in self.truth_urls.items():
            async with self.http.get(url) as answer:
                tags = (await answer.json())["tags"]
            found[name] = {label: _glass(tag) for label, tag in tags.items()}
        return found

    async def stop_gateway(self) -> tuple[int, float]:
        """Ask the daemon to stop as systemd does; return its exit code and the seconds that it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        return await end(self.children.pop("gateway")), loop.time() - began

    async def aisled(self, *words: str) -> tuple[int, str]:
        """Run a short command as a person would; return its exit code, what it printed, and its complaint."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=self.folder
        )
        async with asyncio.timeout(READY_S):
            printed, complaint = await process.communicate()
        code = process.returncode or 0
        return code, (printed + complaint if code else printed).decode("utf-8", "replace")

    async def until_up(self, urls: dict[str, str]) -> None:
        """Wait until each of these children answers. Raises LinkDown when one dies, or none comes."""
        for name, url in urls.items():
            try:
                async with asyncio.timeout(READY_S):
                    while not await _answers(self.http, url):
                        self.all_must_live()
                        await asyncio.sleep(0.05)
            except TimeoutError:
                raise LinkDown(f"{name} does not answer; {self.children[name].last_words()}") from None


def _glass(tag: dict[str, Any]) -> tuple[datetime, str | None]:
    return datetime.fromisoformat(tag["since"]), tag["digest"]


@asynccontextmanager
async def stage(labels: int, speed: float) -> AsyncIterator[Stage]:
    """Set the stage and take it down again, whatever happens in between."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aisled-demo-")))
        port = await stack.enter_async_context(demo_broker())
        ports = {"ap-1": free_port(), "ap-2": free_port()}
        tills_port = free_port()
        readers_port = free_ports(3)
        config = _write_config(
            folder, {"18830": port, "18831": ports["ap-1"], "18832": ports["ap-2"]}, tills_port, readers_port
        )
        children: dict[str, Child] = {}
        truths: dict[str, str] = {}
        for number, (name, ap_port) in enumerate(ports.items(), 1):
            truth_port = free_port()
            words = ["simulate", "access-point", "--port", str(ap_port), "--truth-port", str(truth_port)]
            words += ["--types", ",".join(PANELS), "--tags", str(labels), "--speed", f"{speed:g}"]
            children[name] = await start(stack, folder, name, [*words, "--seed", str(number)])
            truths[name] = f"http://127.0.0.1:{truth_port}/truth"
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=READY_S)))
        broker_url, tills_url = f"mqtt://127.0.0.1:{port}", f"http://127.0.0.1:{tills_port}"
        on = Stage(folder, config, broker_url, tills_url, readers_port, free_port(), truths, children, http, stack)
        await on.until_up(truths)
        yield on


def free_port() -> int:
    """Return a loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_ports(count: int) -> int:
    """Return the first of so many loopback ports in a row that nobody uses now."""
    while True:
        first = free_port()
        with suppress(OSError, OverflowError), ExitStack() as probes:
            for number in range(count):
                probes.enter_context(socket.create_server(("127.0.0.1", first + number)))
            return first


def _write_config(folder: Path, ports: dict[str, int], tills_port: int, readers_port: int) -> Path:
    """Write `config/demo.toml` with this run's ports in place of the fixed ones; return its path."""
    text = (data_dir("config") / "demo.toml").read_text("utf-8")
    for fixed, port in ports.items():
        text = text.replace(f"127.0.0.1:{fixed}", f"127.0.0.1:{port}")
    text = text.replace("port = 18833", f"port = {tills_port}")
    for number in range(3):
        text = text.replace(f"port = {18835 + number}", f"port = {readers_port + number}")
    text = text.replace('data_dir = "aisled-demo"', f"data_dir = {json.dumps(str(folder / 'data'))}")
    path = folder / "aisled.toml"
    path.write_text(text, "utf-8")
    return path


async def start(stack: AsyncExitStack, folder: Path, name: str, words: list[str]) -> Child:
    """Start `aisled <words>`; its output goes to a file. Ctrl-c is for us alone: we end the children ourselves."""
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *words, stdout=out, stderr=out, cwd=folder, start_new_session=True
        )
    child = Child(name, process, log)
    stack.push_async_callback(end, child)
    return child


async def end(child: Child) -> int:
    """Ask politely, then not; return the exit code."""
    process = child.process
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.ok
    except aiohttp.ClientConnectionError:
        return False
