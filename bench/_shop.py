"""What a run needs around the gateway: two real Mosquittos, the gateway as its own process, what /proc says of it."""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
ROOT = Path(__file__).parents[1]
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
BROKER = """
listener {port} 127.0.0.1
allow_anonymous true
persistence {persistence}
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
log_type subscribe
log_type notice
"""
GATEWAY = """
[store]
id = "0421"
timezone = "Asia/Shanghai"
currency = "CNY"

[gateway]
id = "gw1"
data_dir = "{folder}"

[hq]
url = "mqtt://127.0.0.1:{hq}"
allow_plaintext = true

[[device]]
id = "sensors"
driver = "sensor_mqtt"
url = "mqtt://127.0.0.1:{devices}"
topic = "sensors/+/events"
id_pointer = "/id"
"""
BRIDGE = """
connection hq
address 127.0.0.1:{hq}
topic sensors/# out 1
cleansession false
bridge_max_packet_size 0
"""
UP = "aisled/v1/+/+/up/telemetry"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, deadline_s: float = 30) -> None:
    deadline = time.time() + deadline_s
    while not condition():
        if time.time() > deadline:
            sys.exit(f"gave up waiting: {what}")
        time.sleep(0.002)


@contextlib.contextmanager
def process(*arguments: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        running = subprocess.Popen([*map(str, arguments)], stdout=out, stderr=out, cwd=ROOT)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(10)


@contextlib.contextmanager
def broker(folder: Path, port: int, extra: str = "", *, remembers: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """Run Mosquitto; one that `remembers` keeps its sessions when it ends, for the next in the same folder."""
    folder.mkdir(exist_ok=True)
    where = f"persistence_location {folder}/\nuser root\n" if remembers else ""
    text = BROKER.format(port=port, persistence="true" if remembers else "false")
    (folder / "mosquitto.conf").write_text(text + where + extra)
    with process(MOSQUITTO, "-c", folder / "mosquitto.conf", log=folder / "log") as running:
        until(lambda: listens(port), "for Mosquitto")
        yield running


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Gateway:
    """`aisled run` in a folder."""

    def __init__(self, folder: Path, running: subprocess.Popen[bytes]) -> None:
        self.folder, self.running = folder, running
        self._proc = Path(f"/proc/{running.pid}")
        self._connection: sqlite3.Connection | None = None

    def kept(self) -> int:
        """Return how many telemetry facts were committed so far (their PUBACKs follow at once)."""
        if self._connection is None:
            self._connection = sqlite3.connect(f"file:{self.folder / 'aisled.db'}?mode=ro", uri=True)
        return int(self._connection.execute("SELECT last FROM outbox_stream WHERE name = 'telemetry'").fetchone()[0])

    def cpu_s(self) -> float:
        fields = (self._proc / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND

    def peak_mib(self) -> float:
        lines = (self._proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@contextlib.contextmanager
def gateway(folder: Path, devices: int, hq: int) -> Iterator[Gateway]:
    folder.mkdir()
    config = folder / "aisled.toml"
    config.write_text(GATEWAY.format(folder=folder, devices=devices, hq=hq))
    command = Path(sys.executable).with_name("aisled")
    broker_log = folder.parent / "devices" / "log"
    with process(command, "run", "--config", config, log=folder / "log") as running:

        def subscribed() -> bool:
            if running.poll() is not None:
                sys.exit(f"the gateway ended: {(folder / 'log').read_text()[-2000:]}")
            return "aisled-sensors 1 sensors/+/events" in broker_log.read_text()

        until(subscribed, "for the gateway")
        yield Gateway(folder, running)


def sensors(port: int, count: int, per_message: int = 1, rate: int = 0, window: int = 1000) -> subprocess.Popen[bytes]:
    arguments = [str(value) for value in (port, count, per_message, rate, window)]
    return subprocess.Popen([sys.executable, "-m", "bench._sensors", *arguments], stdout=subprocess.PIPE, cwd=ROOT)


def counter(port: int, topic: str, count: int, timeout_s: float) -> subprocess.Popen[bytes]:
    arguments = [str(port), topic, str(count), str(timeout_s)]
    started = subprocess.Popen([sys.executable, "-m", "bench._counter", *arguments], stdout=subprocess.PIPE, cwd=ROOT)
    said(started)
    return started


def said(running: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the next line that a process says."""
    assert running.stdout is not None
    line = running.stdout.readline()
    if not line:
        sys.exit(f"{running.args!r} ended with {running.wait()}")
    found: dict[str, Any] = json.loads(line)
    return found
