"""`python -m bench [name ...]`: print the machine's conditions once, then run every `bench/<name>.py` (or those named).

Figures are for this machine only; the ratios within one run are what can be quoted. Not tests: nothing fails here.
"""

import importlib
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).parent
PROBE_WRITES = 200
PROBE_LOADS = 20_000
PROBE_EVENT = b'{"id":"r-000000001","device":"d1","n":1,"made":1795312800123456,"kind":"climate","temperature_c":21.5}'


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def sync_us() -> tuple[float, float]:
    """Return median and 99th percentile of fdatasync after an append of 4 KiB, where temporary files are."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(PROBE_WRITES):
            file.write(bytes(4096))
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - start) * 1e6)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def json_us() -> tuple[float, float]:
    """Return CPU and wall time of `json.loads` of a small event: how slow this machine is just now."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(PROBE_LOADS):
        json.loads(PROBE_EVENT)
    return (time.process_time() - cpu) / PROBE_LOADS * 1e6, (time.perf_counter() - wall) / PROBE_LOADS * 1e6


def conditions() -> None:
    median, p99 = sync_us()
    print(f"{cpu_model()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, kernel {platform.release()}")
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    cpu, wall = json_us()
    print(
        f"json.loads of a small event: {cpu:.1f} us of CPU in {wall:.1f} us (a large difference: the machine is busy)"
    )
    print(f"fdatasync after a 4 KiB append: median {median:.0f} us, p99 {p99:.0f} us")


def main() -> None:
    wanted = sys.argv[1:] or names()
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        sys.exit(f"no bench {', '.join(unknown)}; there are: {', '.join(names())}")
    sys.argv[1:] = []
    conditions()
    for name in wanted:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
