"""Tag reports of RFID readers: bytes -> records, and socket -> driver -> records; llrpkit and sllurp beside it.

`python -m bench llrp`, or `python -m bench.llrp [quick]`. "lean": EPC, antenna, power, time; "rich": also ROSpec,
channel, a second time, count, Impinj's power and phase. Rates are tag reports per second of CPU time of the process
that decodes, median of interleaved rounds. sllurp (GPL) is no part of this project: it runs in a process and a
throw-away environment of its own, or is left out with the reason.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llrpkit.client import LLRPClient
from llrpkit.inventory import TagReport
from llrpkit.protocol import decode_message, messages

from bench._llrp_load import KINDS, reports
from drivers._llrp_clock import ReaderClock
from drivers._llrp_reports import Reports
from drivers.rfid_llrp import Config, Driver
from gateway.driver import Services
from gateway.messages import TagReads

TAGS, ROUNDS = 20_000, 3
FLOOD = 400_000  # tags over the socket; a tenth of it for llrpkit
SOCKET_BYTES = 65_536
INSTALL_S = 60
PATIENCE_S = 120.0
NOW_US = 1_790_000_001_000_000

# What runs in sllurp's own process: the same bytes, the same clock.
SLLURP = """
import json, sys, time
from sllurp.llrp import LLRPMessage
found = {}
for name, path in json.loads(sys.argv[1]).items():
    data, sizes = open(path, "rb").read(), json.load(open(path + ".sizes"))
    at, whole = 0, []
    for size in sizes:
        whole.append(data[at : at + size])
        at += size
    best = []
    for _ in range(3):
        began, tags = time.process_time(), 0
        for one in whole:
            tags += len(LLRPMessage(msgbytes=one).msgdict["RO_ACCESS_REPORT"]["TagReportData"])
        best.append(tags / (time.process_time() - began))
    found[name] = sorted(best)[1]
print(json.dumps(found))
"""

Load = dict[str, list[bytes]]
Rates = dict[str, dict[str, float]]


def loads(tags: int) -> Load:
    return {f"{kind} x{per}": reports(kind, per, tags) for kind in KINDS for per in (1, 50)}


def ours(whole: list[bytes]) -> int:
    decoder = Reports()
    return sum(len(decoder.decode(one)) for one in whole)


def ours_to_reads(whole: list[bytes]) -> int:
    """Decode as the driver does: what one read of the socket gives becomes reads together."""
    decoder, clock, tags = Reports(), ReaderClock(), 0
    at_once = max(1, SOCKET_BYTES // len(whole[0]))
    for at in range(0, len(whole), at_once):
        seen = [tag for one in whole[at : at + at_once] for tag in decoder.decode(one)]
        tags += len(clock.reads(seen, NOW_US))
    return tags


def llrpkit(whole: list[bytes]) -> int:
    tags = 0
    for one in whole:
        message = decode_message(one)
        assert isinstance(message, messages.RO_ACCESS_REPORT)
        tags += len(message.tag_report_datas)
    return tags


def llrpkit_to_tags(whole: list[bytes]) -> int:
    tags = 0
    for one in whole:
        message = decode_message(one)
        assert isinstance(message, messages.RO_ACCESS_REPORT)
        tags += len([TagReport.from_param(tag) for tag in message.tag_report_datas])
    return tags


DECODERS: dict[str, Callable[[list[bytes]], int]] = {
    "ours: bytes -> TagSeen": ours,
    "ours: bytes -> TagRead": ours_to_reads,
    "llrpkit: messages": llrpkit,
    "llrpkit: TagReport": llrpkit_to_tags,
}


def rate(decode: Callable[[list[bytes]], int], whole: list[bytes], tags: int) -> float:
    began = time.process_time()
    assert decode(whole) == tags
    return tags / (time.process_time() - began)


def decoding(load: Load, tags: int, rounds: int) -> Rates:
    taken: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in load} for name in DECODERS}
    for _ in range(rounds):
        for kind, whole in load.items():
            for name, decode in DECODERS.items():
                taken[name][kind].append(rate(decode, whole, tags))
    return {name: {kind: statistics.median(one) for kind, one in row.items()} for name, row in taken.items()}


def sllurp(load: Load) -> dict[str, float] | str:
    """Return its rates, or why there are none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            venv.create(folder / "venv", with_pip=True)
            python = folder / "venv" / "bin" / "python"
            subprocess.run(
                [python, "-m", "pip", "install", "-q", "sllurp"], check=True, capture_output=True, timeout=INSTALL_S
            )
            paths = {kind: str(folder / kind.replace(" ", "-")) for kind in load}
            for kind, path in paths.items():
                Path(path).write_bytes(b"".join(load[kind]))
                Path(path + ".sizes").write_text(json.dumps([len(one) for one in load[kind]]))
            said = subprocess.run(
                [python, "-c", SLLURP, json.dumps(paths)], check=True, capture_output=True, timeout=300, text=True
            )
        except (subprocess.SubprocessError, OSError) as error:
            return str(error).partition("\n")[0]
        found: dict[str, float] = json.loads(said.stdout)
        return found


class Counter:
    """A core that counts reads."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self.count = wanted, 0
        self.began_s = self.began_cpu_s = 0.0
        self.done = asyncio.Event()

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def report(self, *_: str) -> None:
        """Health is not measured here."""

    async def emit(self, *said: Any) -> None:  # noqa: ANN401 - readings and facts
        """Count; the first ones were decoded before the clock began."""
        if not self.began_s:
            self.began_s, self.began_cpu_s = time.perf_counter(), time.process_time()
            return
        self.count += sum(len(one.reads) for one in said if isinstance(one, TagReads))
        if self.count >= self._wanted:
            self.done.set()


def flood(kind: str, per_report: int, tags: int) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "bench._llrp_load", kind, str(per_report), str(tags)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, int(child.stdout.readline())


async def driver_takes(port: int, tags: int) -> tuple[float, float]:
    """Return tag reports per second of wall time and of CPU time, from the socket through `emit`."""
    counter = Counter(tags // 2)
    table = {"id": "bench", "driver": "rfid_llrp", "host": "127.0.0.1", "port": port, "insecure": True}
    driver = Driver(Config.model_validate(table), Services(clock=counter, report=counter.report))
    running = asyncio.create_task(driver.run(counter.emit))
    waiting = asyncio.create_task(counter.done.wait())
    await asyncio.wait({running, waiting}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    wall_s, cpu_s = time.perf_counter() - counter.began_s, time.process_time() - counter.began_cpu_s
    waiting.cancel()
    running.cancel()
    await asyncio.wait({running})
    assert counter.done.is_set(), "the driver did not take it all"
    return counter.count / wall_s, counter.count / cpu_s


async def llrpkit_takes(port: int, tags: int) -> tuple[float, float]:
    client = LLRPClient("127.0.0.1", port)
    await client.connect()
    await client.transact(messages.START_ROSPEC(ro_spec_id=1))
    count, began_s, began_cpu_s = 0, time.perf_counter(), time.process_time()
    while count < tags // 2:
        message = await client.reports.get()
        count += len([TagReport.from_param(tag) for tag in message.tag_report_datas])
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    await client.close()
    return count / wall_s, count / cpu_s


def end_to_end(flooded: int) -> None:
    print(f"\nsocket -> records, tag reports/s of wall time (of CPU time); {flooded:,} tags, llrpkit a tenth of it")
    for kind in KINDS:
        for per in (1, 50):
            row = []
            for take, tags in ((driver_takes, flooded), (llrpkit_takes, flooded // 10)):
                child, port = flood(kind, per, tags)
                row.append(asyncio.run(take(port, tags)))
                child.wait(PATIENCE_S)
            (wall, cpu), (kit_wall, kit_cpu) = row
            print(
                f"{kind} x{per:<4d} our driver {wall:9,.0f} ({cpu:9,.0f})   llrpkit's client {kit_wall:8,.0f} "
                f"({kit_cpu:8,.0f})   ratio {cpu / kit_cpu:.1f}"
            )


def show(rates: Rates, kinds: list[str]) -> None:
    print("decoding, tag reports/s of CPU time".ljust(38) + "".join(f"{kind:>14s}" for kind in kinds))
    for name, row in rates.items():
        print(name.ljust(38) + "".join(f"{row[kind]:14,.0f}" for kind in kinds))
    best = rates["ours: bytes -> TagRead"]
    for name, row in rates.items():
        if not name.startswith("ours"):
            print(f"ours (TagRead) / {name}".ljust(38) + "".join(f"{best[kind] / row[kind]:14.1f}" for kind in kinds))


def main() -> None:
    quick = "quick" in sys.argv[1:]
    tags, rounds, flooded = (4_000, 1, 100_000) if quick else (TAGS, ROUNDS, FLOOD)
    load = loads(tags)
    rates = decoding(load, tags, rounds)
    other = sllurp(load)
    if isinstance(other, dict):
        rates["sllurp: message dicts"] = other
    show(rates, list(load))
    if isinstance(other, str):
        print(f"sllurp: not measured ({other})")
    end_to_end(flooded)


if __name__ == "__main__":
    main()
