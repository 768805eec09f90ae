"""Look-ups of tills, 500 a second, while head office changes 30 000 prices at once, again and again.

The whole gateway as its own process: orders by MQTT from a real Mosquitto, the store on this disk with FULL sync, two
labels bound to each tenth product, facts up to head office, tills by HTTP. Quiet first, then waves without a pause.
Beside the answers: how late the gateway's event loop was, asked each millisecond. A wave's time is from its bytes to
the commit that says that every product was turned.
"""

import contextlib
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import _shop as shop
from bench import _wire as wire
from bench.waves import LINES, gtin, payload
from drivers import _terminal_tokens as tokens

TILLS, RATE = 8, 500
QUIET_S, WAVES = 10, 5
CONFIG = """
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
id = "tills"
driver = "checkout_http"
host = "127.0.0.1"
port = {tills}
plaintext = true
"""
TURNED = "SELECT count(*) FROM price_wave WHERE id = ? AND state LIKE '%\"announced\":true%'"


class Office:
    """Sends orders, and looks into the gateway's file for what became of them."""

    def __init__(self, hq: int, database: Path) -> None:
        self._sock = wire.connect(hq, "bench-hq")
        self._database = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        self._sent = 0

    def order(self, kind: str, body: bytes) -> None:
        """Send one."""
        self._sent += 1
        self._sock.sendall(wire.publish(wire.text(f"aisled/v1/0421/down/{kind}"), self._sent, body))
        self._sock.recv(4)

    def master(self, kind: str, table: str, items: list[dict[str, object]]) -> None:
        """Send master data; returns when it is kept."""
        self.order(kind, json.dumps({"sequence": 1, "full": False, kind: items}).encode())
        shop.until(lambda: self._count(f"SELECT count(*) FROM {table}") == len(items), f"for {kind}")

    def wave(self, sequence: int) -> float:
        """Return how many seconds it took."""
        body = payload(sequence, datetime.now(UTC))
        began = time.perf_counter()
        self.order("prices", body)
        shop.until(lambda: bool(self._count(TURNED, f"bench-{sequence}")), "for a wave", 120)
        return time.perf_counter() - began

    def _count(self, query: str, *values: object) -> int:
        return int(self._database.execute(query, values).fetchone()[0])


@contextlib.contextmanager
def gateway(folder: Path, hq: int, tills: int) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "aisled.toml").write_text(CONFIG.format(folder=folder, hq=hq, tills=tills))
    command = [sys.executable, "-m", "bench._probed", str(folder / "aisled.toml")]
    pipe = subprocess.PIPE
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log) as running:
        try:
            shop.until(lambda: shop.listens(tills), f"for the gateway, see {folder}/log")
            yield running
        finally:
            running.terminate()


def lag(running: subprocess.Popen[bytes]) -> dict[str, float]:
    """Return how late the loop was since this was asked last."""
    assert running.stdin is not None
    running.stdin.write(b"\n")
    running.stdin.flush()
    return shop.said(running)


@contextlib.contextmanager
def look_ups(port: int, given: list[str]) -> Iterator[dict[str, float]]:
    found: dict[str, float] = {}
    values = (port, json.dumps(given), json.dumps([gtin(n) for n in range(0, LINES, 100)]), RATE)
    command = [sys.executable, "-m", "bench._look_ups", *map(str, values)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=shop.ROOT) as asking:
        assert asking.stdin is not None
        yield found
        asking.stdin.write(b"\n")
        asking.stdin.flush()
        found |= shop.said(asking)


def line(title: str, late: dict[str, float], loop: dict[str, float]) -> None:
    answers = f"{late['p50_ms']:7.2f} {late['p99_ms']:7.2f} {late['worst_ms']:8.2f}"
    print(f"{title:10s} {late['per_s']:6.0f} {answers}   {loop['p99_ms']:7.2f} {loop['worst_ms']:8.2f} ", end="")
    print(f"{loop['over_2_ms']:6.0f}", flush=True)


def measure(folder: Path, hq: int, tills: int) -> None:
    given = [tokens.add(folder / "terminals.json", f"till-{n}", datetime.now(UTC)) for n in range(TILLS)]
    with gateway(folder, hq, tills) as running:
        office = Office(hq, folder / "aisled.db")
        office.master("products", "product", [{"gtin": gtin(n), "name": {"en": f"Product {n}"}} for n in range(LINES)])
        office.master(
            "bindings", "binding", [{"label": f"{n:016X}", "gtin": gtin(n // 2 * 10)} for n in range(LINES // 5)]
        )
        office.wave(1)
        print("          per s  p50 ms  p99 ms worst ms   loop late: p99    worst   > 2 ms")
        time.sleep(5)  # facts on their way to head office
        lag(running)
        with look_ups(tills, given) as late:
            time.sleep(QUIET_S)
        line("quiet", late, lag(running))
        with look_ups(tills, given) as late:
            took_s = [office.wave(sequence) for sequence in range(2, 2 + WAVES)]
        line("waves", late, lag(running))
        print(f"a wave of {LINES} lines: {statistics.median(took_s):.2f} s (worst {max(took_s):.2f})")


def main() -> None:
    with tempfile.TemporaryDirectory() as name, shop.broker(Path(name) / "hq", hq := shop.free_port()):
        folder = Path(name) / "gateway"
        folder.mkdir()
        measure(folder, hq, shop.free_port())


if __name__ == "__main__":
    main()
