"""Tills -> the tills' interface: events by POST and by WebSocket, look-ups. Each kind against a fresh process.

`python -m bench checkout`, or `python -m bench.checkout [quick]`. `memory`: events are accepted at once, so the
interface alone is measured; `store`: the gateway's desk, rules and store on this disk, FULL sync, 30 000 products,
whole baskets of 20 lines that are paid at the gateway's prices;
`waves`: the same while waves of 30 000 lines are applied, one after another.
The load comes from one process beside it, so on two cores each has one.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import _shop as shop

RUNS = 3
KINDS = (
    ("post", 8, "POST, one event, 8 connections"),
    ("post", 64, "POST, one event, 64 connections"),
    ("stream", 1, "WebSocket, 1 event a frame"),
    ("stream", 20, "WebSocket, 20 events a frame"),
    ("stream", 200, "WebSocket, 200 events a frame"),
)
COUNTS = {"memory": {"post": 20_000, "stream": 100_000}, "store": {"post": 8_000, "stream": 40_000}}
LOOK_UPS, LOOK_UP_RATE = 5_000, 500


def measured(behind: str, kind: str, count: int, size: int, rate: int = 0) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "bench._tills", behind, name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=shop.ROOT) as server:
            try:
                said = shop.said(server)
                gateway = shop.Gateway(Path(name), server)
                cpu_s = gateway.cpu_s()
                found = load(said, kind, count, size, rate)
                cpu_us = (gateway.cpu_s() - cpu_s) / count * 1e6
                return found | {"cpu_us": cpu_us, "rss": gateway.peak_mib()}
            finally:
                server.terminate()


def load(said: dict[str, Any], kind: str, count: int, size: int, rate: int) -> dict[str, float]:
    values = (kind, said["port"], json.dumps(said["tokens"]), json.dumps(said["prices"]), count, size, rate)
    command = [sys.executable, "-m", "bench._till_load", *map(str, values)]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=shop.ROOT, check=True, timeout=300)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def line(behind: str, title: str, runs: list[dict[str, float]]) -> None:
    middle = {name: statistics.median(one[name] for one in runs) for name in runs[0]}
    spread = f"{min(one['per_s'] for one in runs):,.0f}-{max(one['per_s'] for one in runs):,.0f}"
    late = f"{middle['p50_ms']:7.2f} {middle['p99_ms']:7.2f} {middle['worst_ms']:8.2f}"
    print(
        f"{behind:7s} {title:32s} {middle['per_s']:9,.0f} {spread:>17s} {late} {middle['cpu_us']:7.0f} "
        f"{middle['rss']:5.0f}",
        flush=True,
    )


def main() -> None:
    quick = "quick" in sys.argv[1:]
    runs = 1 if quick else RUNS
    print(
        "behind  what                              per s   (min-max)          p50 ms  p99 ms worst ms  CPU us  RSS MiB"
    )
    for behind, counts in COUNTS.items():
        if "memory" in sys.argv[1:] and behind != "memory":
            continue
        for kind, size, title in KINDS:
            line(
                behind, title, [measured(behind, kind, counts[kind] // (4 if quick else 1), size) for _ in range(runs)]
            )
        each = [measured(behind, "price", LOOK_UPS // (5 if quick else 1), 1, LOOK_UP_RATE) for _ in range(runs)]
        line(behind, f"look-ups at {LOOK_UP_RATE}/s", each)
    each = [measured("waves", "price", LOOK_UPS // (5 if quick else 1), 1, LOOK_UP_RATE) for _ in range(runs)]
    line("waves", f"look-ups at {LOOK_UP_RATE}/s", each)


if __name__ == "__main__":
    main()
